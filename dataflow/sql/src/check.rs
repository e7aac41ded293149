//! Job text to a checked [`Job`]: every name resolved, every option taken, every view planned and lowered.
//!
//! Views are looked at twice. First each alone, with the relations it reads as leaves: that names the view at fault and
//! yields its key and whether it can retract. Then the job as a whole, from the sinks back to the sources: a view that is
//! read once is inlined into its reader, one that is read several times (or by a sink) becomes a node of its own with just
//! the columns that its readers want, and what the plans scan in the end is what the sources are asked to decode.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchment_contract::options::nearest;
use catchment_contract::{
    Error, Options, Replace, Result, SinkConnector, SinkSpec, Source, SourceConnector, ViewFacts,
};
use datafusion_common::DataFusionError;
use datafusion_expr::LogicalPlan;
use datafusion_sql::sqlparser::ast::Query;

use crate::catalog::{Catalog, REJECTS, RelationId, rejects_schema};
use crate::fault::Subject;
use crate::graph::{Column, Graph, Node, NodeId, Op};
use crate::inspect::{Landmarks, inspect, unknown_relation};
use crate::job::{Built, Job, JobSink, JobSource, JobView};
use crate::lower::{Leaf, Lowering};
use crate::plan::{inline, narrow, optimise, plan_view, relation_of, relations_of, schema_of};
use crate::stage::Stage;
use crate::statement::{Body, ColumnText, Name, OptionText, Statement, parse};
use crate::text::{Place, Text};

/// The connectors that a job may name.
#[derive(Clone, Default)]
pub struct Registry {
    /// Connectors of sources.
    pub sources: Vec<Arc<dyn SourceConnector>>,
    /// Connectors of sinks.
    pub sinks: Vec<Arc<dyn SinkConnector>>,
}

/// Checks the job `text`, with `variables` for `${NAME}` and `registry` for connectors. Touches no disk, network or clock.
///
/// # Errors
/// [`catchment_contract::Fault::User`], with line and column, for the first thing that is wrong.
pub fn check(text: &str, variables: &dyn Fn(&str) -> Option<String>, registry: &Registry) -> Result<Job> {
    let text = Text::expand(text, variables)?;
    let statements = parse(&text)?;
    let mut checker = Checker::new(&text, registry);
    for statement in &statements {
        checker.statement(statement)?;
    }
    if checker.sinks.is_empty() && checker.views.is_empty() && checker.sources.is_empty() {
        let hint = "a job holds CREATE SOURCE, CREATE VIEW and CREATE SINK statements";
        return Err(text.error(Place { line: 1, column: 1 }, "the job is empty", hint));
    }
    checker.job()
}

struct Checker<'a> {
    text: &'a Text,
    registry: &'a Registry,
    catalog: Catalog,
    sources: Vec<(String, Arc<dyn Source>)>,
    views: Vec<View>,
    sinks: Vec<JobSink>,
    /// Where each sink's relation is.
    taken: Vec<RelationId>,
    /// Nodes with the facts of sources and views, for the check of each view alone.
    facts: Graph,
    leaves: BTreeMap<RelationId, Leaf>,
    /// Whether each transform seen so far that may fail reads only relations that never retract.
    faults_append_only: bool,
}

struct View {
    name: String,
    place: Place,
    landmarks: Landmarks,
    /// Analysed, not optimised.
    plan: LogicalPlan,
    /// The optimised plan with other views as leaves, for `explain`.
    alone: String,
    facts: ViewFacts,
    /// Whether it depends on no source.
    constant: bool,
}

impl<'a> Checker<'a> {
    fn new(text: &'a Text, registry: &'a Registry) -> Self {
        let mut checker = Checker {
            text,
            registry,
            catalog: Catalog::new(),
            sources: Vec::new(),
            views: Vec::new(),
            sinks: Vec::new(),
            taken: Vec::new(),
            facts: Graph::default(),
            leaves: BTreeMap::new(),
            faults_append_only: true,
        };
        let rejects = ViewFacts { name: REJECTS.into(), schema: rejects_schema(), key: None, append_only: true };
        checker.add_leaf(RelationId::Rejects, &rejects);
        checker
    }

    fn statement(&mut self, statement: &Statement) -> Result<()> {
        let Statement { place, name, body } = statement;
        match body {
            Body::Source { columns, options } => self.source(*place, name, columns, options),
            Body::View { columns, query } => self.view(*place, name, columns, query),
            Body::Sink { from, options } => self.sink(*place, name, from, options),
        }
    }

    fn source(&mut self, place: Place, name: &Name, columns: &[ColumnText], options: &[OptionText]) -> Result<()> {
        self.unused(name)?;
        let owner = format!("source \"{}\"", name.text);
        let (connector, mut options) = self.options(place, &owner, options)?;
        let known = self.registry.sources.iter().find(|known| known.name() == connector.text);
        let Some(known) = known else {
            return Err(self.no_connector(
                &connector,
                "source",
                self.registry.sources.iter().map(|known| known.name()),
            ));
        };
        let source = known.check(&name.text, &mut options).map_err(|error| self.text.locate(error, place))?;
        options.finish().map_err(|error| self.text.locate(error, place))?;
        let relation = source.relation();
        for column in columns {
            self.declared(column, &owner, relation)?;
        }
        let id = RelationId::Source(self.sources.len());
        let key = match relation.replace {
            Replace::Row => Some(relation.key.clone()),
            Replace::Never | Replace::Payload => None,
        };
        let append_only = relation.replace == Replace::Never;
        let facts = ViewFacts { name: name.text.clone(), schema: relation.schema.clone(), key, append_only };
        self.catalog.add(&name.text, id, relation.schema.clone());
        self.add_leaf(id, &facts);
        self.sources.push((name.text.clone(), source));
        Ok(())
    }

    /// A column that a job declares must be one that the source has.
    fn declared(&self, column: &ColumnText, owner: &str, relation: &catchment_contract::Relation) -> Result<()> {
        if relation.schema.field_with_name(&column.name.text).is_ok() {
            return Ok(());
        }
        let names: Vec<&str> = relation.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let hint = match nearest(&column.name.text, names.iter().copied()) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("its columns are {}", names.join(", ")),
        };
        Err(self.text.error(column.name.place, format!("{owner} has no column \"{}\"", column.name.text), hint))
    }

    fn view(&mut self, place: Place, name: &Name, columns: &[Name], query: &Query) -> Result<()> {
        self.unused(name)?;
        let landmarks = inspect(query, place, self.text, &self.catalog)?;
        let subject = Subject { text: self.text, view: &name.text, place, landmarks: &landmarks };
        let fault = |error: DataFusionError| subject.planning(&error);
        let plan = plan_view(query, columns, &self.catalog).map_err(fault)?;
        let reads = relations_of(&plan).map_err(fault)?;
        let constant = reads.iter().all(|relation| match relation {
            RelationId::View(index) => self.views[*index].constant,
            RelationId::Source(_) | RelationId::Rejects => false,
        });
        let alone = inline(plan.clone(), &|relation| self.constant_view(relation)).map_err(fault)?;
        let alone = optimise(alone, self.catalog.config()).map_err(fault)?;
        let node = Lowering::new(&mut self.facts, &self.leaves, &subject, self.catalog.config()).view(&alone)?;
        let Node { key, append_only, .. } = self.facts.nodes[node].clone();
        let facts = ViewFacts { name: name.text.clone(), schema: schema_of(&plan), key, append_only };
        let id = RelationId::View(self.views.len());
        self.catalog.add(&name.text, id, facts.schema.clone());
        self.add_leaf(id, &facts);
        let alone = alone.display_indent().to_string();
        self.views.push(View { name: name.text.clone(), place, landmarks, plan, alone, facts, constant });
        Ok(())
    }

    fn constant_view(&self, relation: RelationId) -> Option<LogicalPlan> {
        let RelationId::View(index) = relation else { return None };
        let view = &self.views[index];
        // Its own leaves are constant too, and were inlined before it was planned as a whole.
        view.constant.then(|| {
            let inlined = inline(view.plan.clone(), &|relation| self.constant_view(relation));
            inlined.unwrap_or_else(|_| view.plan.clone())
        })
    }

    fn sink(&mut self, place: Place, name: &Name, from: &Name, options: &[OptionText]) -> Result<()> {
        if self.sinks.iter().any(|sink| sink.name == name.text) {
            let message = format!("there are two sinks \"{}\"", name.text);
            return Err(self.text.error(name.place, message, "give one of them another name"));
        }
        let Some(table) = self.catalog.table(&from.text) else {
            return Err(unknown_relation(&from.text, from.place, self.text, &self.catalog));
        };
        let relation = table.id;
        let facts = self.facts_of(relation);
        let owner = format!("sink \"{}\"", name.text);
        let (connector, mut options) = self.options(place, &owner, options)?;
        let known = self.registry.sinks.iter().find(|known| known.name() == connector.text);
        let Some(known) = known else {
            return Err(self.no_connector(&connector, "sink", self.registry.sinks.iter().map(|known| known.name())));
        };
        let checked = known.check(&name.text, &facts, &mut options);
        let spec: Box<dyn SinkSpec> = checked.map_err(|error| self.text.locate(error, place))?;
        options.finish().map_err(|error| self.text.locate(error, place))?;
        self.sinks.push(JobSink { name: name.text.clone(), from: from.text.clone(), spec, facts });
        self.taken.push(relation);
        Ok(())
    }

    fn unused(&self, name: &Name) -> Result<()> {
        if self.catalog.table(&name.text).is_none() {
            return Ok(());
        }
        let (message, hint) = match name.text.as_str() {
            REJECTS => ("the relation \"rejects\" is built in".to_string(), "give this one another name"),
            name => (format!("there are two relations \"{name}\""), "give one of them another name"),
        };
        Err(self.text.error(name.place, message, hint))
    }

    /// The `connector` of a `WITH` clause, and its other options.
    fn options(&self, place: Place, owner: &str, given: &[OptionText]) -> Result<(Name, Options)> {
        let mut options = Options::new(owner);
        let mut connector = None;
        for OptionText { name, value, value_place } in given {
            if name.text == "connector" {
                connector = Some(Name { text: value.clone(), place: *value_place });
            } else {
                options.insert(name.text.clone(), value.clone(), (*value_place).into());
            }
        }
        let missing = || {
            let hint = "write WITH (connector = '…', …)";
            self.text.error(place, format!("{owner} needs the option \"connector\""), hint)
        };
        Ok((connector.ok_or_else(missing)?, options))
    }

    fn no_connector<'n>(&self, name: &Name, kind: &str, known: impl Iterator<Item = &'n str>) -> Error {
        let known: Vec<&str> = known.collect();
        let hint = match nearest(&name.text, known.iter().copied()) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("connectors of {kind}s are {}", known.join(", ")),
        };
        self.text.error(name.place, format!("there is no {kind} connector \"{}\"", name.text), hint)
    }

    fn facts_of(&self, relation: RelationId) -> ViewFacts {
        match relation {
            RelationId::View(index) => self.views[index].facts.clone(),
            RelationId::Source(index) => {
                let (name, source) = &self.sources[index];
                let Node { key, append_only, .. } = self.facts.nodes[self.leaves[&relation].node].clone();
                ViewFacts { name: name.clone(), schema: source.relation().schema.clone(), key, append_only }
            }
            RelationId::Rejects => {
                let append_only = faults_append_only(&self.facts) && self.faults_append_only;
                ViewFacts { name: REJECTS.into(), schema: rejects_schema(), key: None, append_only }
            }
        }
    }

    fn add_leaf(&mut self, relation: RelationId, facts: &ViewFacts) {
        let ViewFacts { name, schema, key, append_only } = facts;
        let field = |field: &Arc<catchment_contract::arrow::datatypes::Field>| Column {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
        };
        let columns: Vec<Column> = schema.fields().iter().map(field).collect();
        let places = (0..columns.len()).collect();
        let node = self.facts.add(Node {
            name: name.clone(),
            op: Op::Union,
            inputs: Vec::new(),
            columns,
            key: key.clone(),
            append_only: *append_only,
        });
        self.leaves.insert(relation, Leaf { node, columns: places });
    }

    /// The job as a whole.
    fn job(self) -> Result<Job> {
        let whole = Whole::plan(&self)?;
        let (graph, built, outputs, rejects) = whole.lower(&self)?;
        let sources = self.sources.iter().enumerate().map(|(index, (name, source))| {
            let (projection, read) = whole.projection(index, source.as_ref());
            JobSource { name: name.clone(), source: source.clone(), projection, read }
        });
        let sources = sources.collect();
        let views = self.views.iter().enumerate().map(|(index, view)| JobView {
            facts: view.facts.clone(),
            read: whole.live.contains(&RelationId::View(index)),
            plan: view.alone.clone(),
        });
        let views = views.collect();
        Ok(Job { sources, views, sinks: self.sinks, graph, outputs, rejects, built })
    }
}

/// Whether no fault of a transform can be retracted.
fn faults_append_only(graph: &Graph) -> bool {
    graph.nodes.iter().all(|node| match &node.op {
        Op::Transform { stages, .. } => {
            let fallible = stages.iter().any(|stage| match stage {
                Stage::Filter(condition) => condition.fallible(),
                Stage::Project(columns) => columns.iter().any(|column| column.fallible()),
                Stage::Unnest { .. } | Stage::InSet(_) => false,
            });
            !fallible || node.inputs.iter().all(|input| graph.nodes[*input].append_only)
        }
        _ => true,
    })
}

/// The plans of all relations that are nodes of their own.
struct Whole {
    /// Optimised plans of the views that are nodes, with what they read as leaves.
    roots: BTreeMap<RelationId, LogicalPlan>,
    /// The columns of each relation that some reader wants.
    wanted: BTreeMap<RelationId, BTreeSet<usize>>,
    /// Relations that a sink needs, directly or not.
    live: BTreeSet<RelationId>,
}

impl Whole {
    fn plan(checker: &Checker<'_>) -> Result<Whole> {
        let mut whole = Whole { roots: BTreeMap::new(), wanted: BTreeMap::new(), live: BTreeSet::new() };
        let mut readers: BTreeMap<RelationId, usize> = BTreeMap::new();
        for relation in &checker.taken {
            whole.live.insert(*relation);
            // A sink's relation is a node, however many others read it.
            *readers.entry(*relation).or_default() += 2;
            let all = 0..checker.facts_of(*relation).schema.fields().len();
            whole.wanted.entry(*relation).or_default().extend(all);
        }
        for (index, view) in checker.views.iter().enumerate().rev() {
            if whole.live.contains(&RelationId::View(index)) {
                for relation in relations_of(&view.plan).map_err(|error| checker.fault(index, &error))? {
                    whole.live.insert(relation);
                    *readers.entry(relation).or_default() += 1;
                }
            }
        }
        let shared = |relation: &RelationId| readers.get(relation).is_some_and(|readers| *readers > 1);
        for index in (0..checker.views.len()).rev() {
            let relation = RelationId::View(index);
            if shared(&relation) && whole.wanted.contains_key(&relation) {
                let plan = whole.root(checker, index, &shared).map_err(|error| checker.fault(index, &error))?;
                whole.roots.insert(relation, plan);
            }
        }
        Ok(whole)
    }

    /// The plan of a view that is a node; notes what it reads.
    fn root(
        &mut self,
        checker: &Checker<'_>,
        index: usize,
        shared: &dyn Fn(&RelationId) -> bool,
    ) -> Result<LogicalPlan, DataFusionError> {
        let relation = RelationId::View(index);
        let wanted: Vec<usize> = self.wanted[&relation].iter().copied().collect();
        let plan = inline_unshared(checker, checker.views[index].plan.clone(), shared)?;
        let plan = optimise(narrow(plan, &wanted)?, checker.catalog.config())?;
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                let all = 0..scan.source.schema().fields().len();
                let columns = scan.projection.clone().unwrap_or_else(|| all.collect());
                self.wanted.entry(relation_of(scan)?).or_default().extend(columns);
            }
            Ok(datafusion_common::tree_node::TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }

    /// The columns that a decoder is asked for, and whether the source is read at all.
    fn projection(&self, index: usize, source: &dyn Source) -> (Vec<usize>, bool) {
        let relation = source.relation();
        let wanted = self.wanted.get(&RelationId::Source(index));
        let mut columns: BTreeSet<usize> = wanted.cloned().unwrap_or_default();
        columns.extend(&relation.key);
        if columns.is_empty() {
            columns.insert(0);
        }
        (columns.into_iter().collect(), wanted.is_some())
    }

    fn lower(&self, checker: &Checker<'_>) -> Result<(Graph, Vec<Built>, Vec<(String, NodeId)>, NodeId)> {
        let mut graph = Graph::default();
        let mut leaves = BTreeMap::new();
        let rejects =
            graph.add(leaf_node(&checker.facts_of(RelationId::Rejects), Op::Rejects, &(0..5).collect::<Vec<_>>()));
        leaves.insert(RelationId::Rejects, Leaf { node: rejects, columns: (0..5).collect() });
        for (index, (_, source)) in checker.sources.iter().enumerate() {
            let (columns, read) = self.projection(index, source.as_ref());
            if read {
                let relation = RelationId::Source(index);
                let node = graph.add(leaf_node(&checker.facts_of(relation), Op::Source(index), &columns));
                leaves.insert(relation, Leaf { node, columns });
            }
        }
        let mut built = Vec::new();
        for (relation, plan) in &self.roots {
            let RelationId::View(index) = *relation else { continue };
            let subject = checker.views[index].subject(checker.text);
            let node = Lowering::new(&mut graph, &leaves, &subject, checker.catalog.config()).view(plan)?;
            let columns = self.wanted[relation].iter().copied().collect();
            leaves.insert(*relation, Leaf { node, columns });
            built.push(Built { relation: *relation, node, plan: plan.display_indent().to_string() });
        }
        let mut outputs: Vec<(String, NodeId)> = Vec::new();
        for (sink, relation) in checker.sinks.iter().zip(&checker.taken) {
            if !outputs.iter().any(|(name, _)| *name == sink.from) {
                outputs.push((sink.from.clone(), leaves[relation].node));
            }
        }
        let roots: Vec<NodeId> = [rejects].into_iter().chain(outputs.iter().map(|(_, node)| *node)).collect();
        // Each root is an output, or the input of a later one, so none of them is pruned.
        let kept: Vec<NodeId> = roots.iter().copied().chain(built.iter().map(|built| built.node)).collect();
        let moved = graph.prune(&kept);
        let (outer, inner) = moved.split_at(roots.len());
        outputs.iter_mut().zip(&outer[1..]).for_each(|((_, node), moved)| *node = *moved);
        built.iter_mut().zip(inner).for_each(|(built, moved)| built.node = *moved);
        Ok((graph, built, outputs, outer[0]))
    }
}

/// `plan` with the views inlined that it alone reads, and constants.
fn inline_unshared(
    checker: &Checker<'_>,
    plan: LogicalPlan,
    shared: &dyn Fn(&RelationId) -> bool,
) -> Result<LogicalPlan, DataFusionError> {
    inline(plan, &|relation| match relation {
        RelationId::View(index) if checker.views[index].constant => checker.constant_view(relation),
        RelationId::View(index) if !shared(&relation) => {
            let inner = checker.views[index].plan.clone();
            Some(inline_unshared(checker, inner.clone(), shared).unwrap_or(inner))
        }
        _ => None,
    })
}

/// The node of a source or of the rejects with the columns `columns` of its relation.
fn leaf_node(facts: &ViewFacts, op: Op, columns: &[usize]) -> Node {
    let ViewFacts { name, schema, key, append_only } = facts;
    let key = key.as_ref().and_then(|key| {
        key.iter().map(|column| columns.iter().position(|known| known == column)).collect::<Option<Vec<_>>>()
    });
    let columns = columns.iter().map(|column| Column {
        name: schema.field(*column).name().clone(),
        data_type: schema.field(*column).data_type().clone(),
    });
    let name = if op_is_source(&op) { format!("Source: {name}") } else { "Rejects".to_string() };
    Node { name, op, inputs: Vec::new(), columns: columns.collect(), key, append_only: *append_only }
}

fn op_is_source(op: &Op) -> bool {
    matches!(op, Op::Source(_))
}

impl View {
    fn subject<'s>(&'s self, text: &'s Text) -> Subject<'s> {
        Subject { text, view: &self.name, place: self.place, landmarks: &self.landmarks }
    }
}

impl Checker<'_> {
    fn fault(&self, view: usize, error: &DataFusionError) -> Error {
        self.views[view].subject(self.text).planning(error)
    }
}

//! Job text to a checked [`Job`]: every name resolved, every option taken, every view planned and lowered.
//!
//! Views are looked at twice: here each alone, with the relations that it reads as leaves, which names the view at fault
//! and yields its key and whether it can retract; and in [`crate::whole`] all together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchment_contract::arrow::datatypes::Schema;
use catchment_contract::options::nearest;
use catchment_contract::reject::{REJECTS, rejects_schema};
use catchment_contract::{
    Error, Options, Replace, Result, SinkConnector, SinkSpec, Source, SourceConnector, ViewFacts, panics,
};
use datafusion_common::DataFusionError;
use datafusion_expr::LogicalPlan;
use datafusion_sql::sqlparser::ast::Query;

use crate::alone::{Alone, Known, alone};
use crate::catalog::{Catalog, RelationId};
use crate::custom::plan_operator;
use crate::declared::{declaration, untyped};
use crate::extensions::{Extensions, Operator};
use crate::fault::Subject;
use crate::graph::{Column, NodeId, Op};
use crate::identity::{self, Identity};
use crate::inspect::{Landmarks, inspect, unknown_relation};
use crate::job::{Job, JobSink, JobSource, JobView};
use crate::plan::{inline, plan_view, relations_of, schema_of};
use crate::rewrite::optimise;
use crate::statement::{Body, ColumnText, ColumnsText, Name, OptionText, Statement, parse};
use crate::text::{Place, Text};
use crate::whole::{Lowered, Whole};

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
    check_with(text, variables, registry, &Extensions::new())
}

/// As [`check`], for a job whose text may also name the functions and operators in `extensions`.
///
/// # Errors
/// As [`check`]; [`catchment_contract::Fault::User`] without a place for what is wrong with an extension.
pub fn check_with(
    text: &str,
    variables: &dyn Fn(&str) -> Option<String>,
    registry: &Registry,
    extensions: &Extensions,
) -> Result<Job> {
    let text = Text::expand(text, variables)?;
    std::thread::scope(|scope| {
        let checking = std::thread::Builder::new().name("check".to_string()).stack_size(STACK_BYTES);
        let checking = checking.spawn_scoped(scope, || panics::caught(|| check_text(&text, registry, extensions)));
        let checking = checking.map_err(|error| Error::io("start a thread that checks the job", error))?;
        let checked = checking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        checked.unwrap_or_else(|panic| Err(Error::bug(format!("the planner failed without saying where: {panic}"))))
    })
}

/// Where messages point that are about no statement.
const START: Place = Place { line: 1, column: 1 };

/// Parser and planner work by recursion; this is enough for the deepest query that [`parse`] lets through.
const STACK_BYTES: usize = 64 << 20;

fn check_text(text: &Text, registry: &Registry, extensions: &Extensions) -> Result<Job> {
    let statements = parse(text)?;
    let mut checker = Checker::new(text, registry, extensions)?;
    // Sinks come last: what their relations are known to be, the rejects above all, depends on every view.
    let (sinks, others): (Vec<_>, Vec<_>) = statements.iter().partition(|it| matches!(it.body, Body::Sink { .. }));
    for statement in others {
        checker.statement(statement)?;
        checker.operators()?;
    }
    checker.unread_operators()?;
    for statement in sinks {
        checker.statement(statement)?;
    }
    if checker.sinks.is_empty() && checker.views.is_empty() && checker.sources.is_empty() {
        let hint = "a job holds CREATE SOURCE, CREATE VIEW and CREATE SINK statements";
        return Err(text.error(START, "the job is empty", hint));
    }
    checker.job()
}

/// What is known of the job so far.
pub(crate) struct Checker<'a> {
    text: &'a Text,
    registry: &'a Registry,
    pub catalog: Catalog,
    pub sources: Vec<(String, Arc<dyn Source>)>,
    pub views: Vec<View>,
    pub sinks: Vec<Sink>,
    /// Names of the connectors that sources and sinks are of.
    connectors: BTreeSet<String>,
    /// Whether no reject of the views so far is ever retracted.
    faults_append_only: bool,
    /// Operators of one's own whose inputs are not all declared.
    waiting: Vec<Arc<Operator>>,
}

/// A checked sink.
pub(crate) struct Sink {
    name: String,
    spec: Arc<dyn SinkSpec>,
    /// The relation that it takes.
    pub relation: RelationId,
    facts: ViewFacts,
}

/// A checked view.
pub(crate) struct View {
    name: String,
    place: Place,
    landmarks: Landmarks,
    /// Analysed, not optimised.
    pub plan: LogicalPlan,
    /// The optimised plan with other views as leaves, for `explain`.
    alone: String,
    facts: ViewFacts,
    identity: Identity,
    /// Whether it depends on the rejects.
    reads_rejects: bool,
    /// Whether it depends on no source.
    pub constant: bool,
    /// Whether it is an operator of one's own.
    operator: bool,
}

impl<'a> Checker<'a> {
    fn new(text: &'a Text, registry: &'a Registry, extensions: &'a Extensions) -> Result<Self> {
        let mut checker = Checker {
            text,
            registry,
            catalog: Catalog::new(),
            sources: Vec::new(),
            views: Vec::new(),
            sinks: Vec::new(),
            connectors: BTreeSet::new(),
            faults_append_only: true,
            waiting: extensions.operators.clone(),
        };
        extensions.functions.iter().try_for_each(|function| checker.catalog.add_function(function))?;
        checker.operators()?;
        Ok(checker)
    }

    /// Adds the operators of one's own whose inputs are all declared by now.
    fn operators(&mut self) -> Result<()> {
        let is_ready = |operator: &Arc<Operator>, catalog: &Catalog| {
            operator.spec.inputs.iter().all(|(relation, _)| catalog.table(relation).is_some())
        };
        while let Some(next) = self.waiting.iter().position(|operator| is_ready(operator, &self.catalog)) {
            let operator = self.waiting.remove(next);
            operator.check()?;
            if self.catalog.table(&operator.spec.name).is_some() {
                let message =
                    format!("operator \"{}\" has the same name as another relation of the job", operator.spec.name);
                return Err(Error::user(message).with_hint("give one of them another name"));
            }
            let plan = plan_operator(&operator, &self.catalog)?;
            let name = Name { text: operator.spec.name.clone(), place: START };
            self.planned(START, &name, Landmarks::default(), plan, true)?;
        }
        Ok(())
    }

    /// An operator whose inputs the job does not have is a mistake.
    fn unread_operators(&self) -> Result<()> {
        let missing = self.waiting.iter().flat_map(|operator| {
            let name = &operator.spec.name;
            operator.spec.inputs.iter().map(move |(relation, _)| (name, relation))
        });
        let mut missing = missing.filter(|(_, relation)| self.catalog.table(relation).is_none());
        let Some((name, relation)) = missing.next() else { return Ok(()) };
        let hint = match nearest(relation, self.catalog.table_names()) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("its relations are {}", self.catalog.table_names().collect::<Vec<_>>().join(", ")),
        };
        Err(Error::user(format!("operator \"{name}\" reads \"{relation}\", which the job does not have"))
            .with_hint(hint))
    }

    fn statement(&mut self, statement: &Statement) -> Result<()> {
        let Statement { place, name, body } = statement;
        match body {
            Body::Source { declared, options } => self.source(*place, name, declared, options),
            Body::View { columns, query } => self.view(*place, name, columns, query),
            Body::Sink { from, options } => self.sink(*place, name, from, options),
        }
    }

    fn source(&mut self, place: Place, name: &Name, declared: &ColumnsText, options: &[OptionText]) -> Result<()> {
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
        let declaration = declaration(declared, self.text)?;
        let source =
            known.check(&name.text, &declaration, &mut options).map_err(|error| self.text.locate(error, place))?;
        options.finish().map_err(|error| self.text.locate(error, place))?;
        let relation = source.relation();
        for column in &declared.columns {
            self.declared(column, &owner, relation)?;
        }
        let id = RelationId::Source(self.sources.len());
        self.catalog.add(&name.text, id, relation.schema.clone());
        let unlisted = source.unlisted().into_iter().map(|column| relation.schema.field(column).name().clone());
        self.catalog.set_unlisted(&name.text, unlisted.collect());
        self.connectors.insert(connector.text);
        self.sources.push((name.text.clone(), source));
        Ok(())
    }

    /// A column that a job declares must be one that the source has.
    fn declared(&self, column: &ColumnText, owner: &str, relation: &catchment_contract::Relation) -> Result<()> {
        if let Ok(field) = relation.schema.field_with_name(&column.name.text) {
            return if field.data_type().is_null() { Err(untyped(column, self.text)) } else { Ok(()) };
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
        let keys = |relation| self.facts_of(relation).key;
        let plan = plan_view(query, columns, &self.catalog, &landmarks, &keys);
        let plan = plan.map_err(|error| subject.planning(&error))?;
        self.planned(place, name, landmarks, plan, false)
    }

    /// Adds the view `name` with the analysed plan `plan`.
    fn planned(
        &mut self,
        place: Place,
        name: &Name,
        landmarks: Landmarks,
        plan: LogicalPlan,
        operator: bool,
    ) -> Result<()> {
        let subject = Subject { text: self.text, view: &name.text, place, landmarks: &landmarks };
        let fault = |error: DataFusionError| subject.planning(&error);
        let reads = relations_of(&plan).map_err(fault)?;
        let mut constant = !operator;
        constant &= reads.iter().all(|relation| match relation {
            RelationId::View(index) => self.views[*index].constant,
            RelationId::Source(_) | RelationId::Rejects => false,
        });
        let alone = inline(plan.clone(), &|relation| self.constant_view(relation)).map_err(fault)?;
        let alone = optimise(alone, self.catalog.config()).map_err(fault)?;
        let schema = schema_of(&plan);
        let known = |relation| Known { facts: self.facts_of(relation), identity: self.identity_of(relation) };
        let found = self::alone(&alone, &Column::all(&schema), &subject, self.catalog.config(), &known)?;
        let Alone { key, append_only, faults_append_only, identity } = found;
        self.faults_append_only &= faults_append_only;
        let facts = ViewFacts { name: name.text.clone(), schema, key, append_only };
        self.catalog.add(&name.text, RelationId::View(self.views.len()), facts.schema.clone());
        let reads_rejects = reads.iter().any(|relation| self.reads_rejects(*relation));
        let alone = alone.display_indent().to_string();
        self.views.push(View {
            name: name.text.clone(),
            place,
            landmarks,
            plan,
            alone,
            facts,
            identity,
            reads_rejects,
            constant,
            operator,
        });
        Ok(())
    }

    /// The plan of a view that depends on no source.
    pub fn constant_view(&self, relation: RelationId) -> Option<LogicalPlan> {
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
        let facts = self.listed_facts_of(relation);
        let owner = format!("sink \"{}\"", name.text);
        let (connector, mut options) = self.options(place, &owner, options)?;
        let known = self.registry.sinks.iter().find(|known| known.name() == connector.text);
        let Some(known) = known else {
            return Err(self.no_connector(&connector, "sink", self.registry.sinks.iter().map(|known| known.name())));
        };
        let checked = known.check(&name.text, &facts, &mut options);
        let spec: Arc<dyn SinkSpec> = checked.map_err(|error| self.text.locate(error, place))?.into();
        options.finish().map_err(|error| self.text.locate(error, place))?;
        let target = spec.target();
        if let Some(other) = self.sinks.iter().find(|sink| sink.spec.target() == target) {
            let message = format!("sinks \"{}\" and \"{}\" both write to {target}", other.name, name.text);
            return Err(self.text.error(name.place, message, "give one of them another target"));
        }
        self.connectors.insert(connector.text);
        self.sinks.push(Sink { name: name.text.clone(), spec, relation, facts });
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
                options.insert(name.text.clone(), value.clone(), *value_place);
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

    /// What is known of a relation.
    pub fn facts_of(&self, relation: RelationId) -> ViewFacts {
        match relation {
            RelationId::View(index) => self.views[index].facts.clone(),
            RelationId::Source(index) => {
                let (name, source) = &self.sources[index];
                let relation = source.relation();
                let key = match relation.replace {
                    Replace::Row => Some(relation.key.clone()),
                    Replace::Never | Replace::Payload => None,
                };
                let append_only = relation.replace == Replace::Never;
                ViewFacts { name: name.clone(), schema: relation.schema.clone(), key, append_only }
            }
            RelationId::Rejects => {
                let append_only = self.faults_append_only;
                ViewFacts { name: REJECTS.into(), schema: rejects_schema(), key: None, append_only }
            }
        }
    }

    /// What the rows of a view follow from.
    fn identity_of(&self, relation: RelationId) -> Option<Identity> {
        match relation {
            RelationId::View(index) => Some(self.views[index].identity.clone()),
            RelationId::Source(_) | RelationId::Rejects => None,
        }
    }

    /// Whether a relation is the rejects, or depends on them.
    fn reads_rejects(&self, relation: RelationId) -> bool {
        match relation {
            RelationId::View(index) => self.views[index].reads_rejects,
            RelationId::Source(_) => false,
            RelationId::Rejects => true,
        }
    }

    /// The columns of a relation that a sink takes: all but a source's unlisted ones.
    pub fn listed(&self, relation: RelationId) -> Vec<usize> {
        let unlisted = match relation {
            RelationId::Source(index) => self.sources[index].1.unlisted(),
            RelationId::View(_) | RelationId::Rejects => Vec::new(),
        };
        let columns = self.facts_of(relation).schema.fields().len();
        (0..columns).filter(|column| !unlisted.contains(column)).collect()
    }

    /// What is known of a relation as a sink takes it.
    fn listed_facts_of(&self, relation: RelationId) -> ViewFacts {
        let ViewFacts { name, schema, key, append_only } = self.facts_of(relation);
        let listed = self.listed(relation);
        let fields: Vec<_> = listed.iter().map(|column| schema.fields()[*column].clone()).collect();
        let place = |column: &usize| listed.iter().position(|known| known == column);
        let key = key.and_then(|key| key.iter().map(place).collect());
        ViewFacts { name, schema: Arc::new(Schema::new(fields)), key, append_only }
    }

    /// The job as a whole.
    fn job(self) -> Result<Job> {
        let whole = Whole::plan(&self)?;
        let lowered = whole.lower(&self)?;
        let rejected = self.rejected(&lowered)?;
        let sinks = self.sinks.iter().map(|sink| {
            Ok(JobSink {
                name: sink.name.clone(),
                from: sink.facts.name.clone(),
                spec: sink.spec.clone(),
                facts: sink.facts.clone(),
                fingerprint: self.fingerprint(sink, &rejected)?,
            })
        });
        let sinks = sinks.collect::<Result<_>>()?;
        let Lowered { graph, built, outputs, rejects } = lowered;
        let sources = self.sources.iter().enumerate().map(|(index, (name, source))| {
            let (projection, read) = whole.projection(index, source.as_ref());
            JobSource { name: name.clone(), source: source.clone(), projection, read }
        });
        let sources = sources.collect();
        let views = self.views.iter().enumerate().map(|(index, view)| JobView {
            facts: view.facts.clone(),
            read: whole.live.contains(&RelationId::View(index)),
            plan: view.alone.clone(),
            identity: view.identity.text.clone(),
            operator: view.operator,
        });
        let views = views.collect();
        Ok(Job { sources, views, sinks, connectors: self.connectors, graph, outputs, rejects, built })
    }

    /// The definition of the relation that `sink` takes, in short; `rejects` that of the rejects.
    fn fingerprint(&self, sink: &Sink, rejects: &str) -> Result<String> {
        let own = match sink.relation {
            RelationId::View(index) => self.views[index].identity.fingerprint(),
            RelationId::Source(_) => identity::of_source(&sink.facts.name, &Column::all(&sink.facts.schema))?,
            RelationId::Rejects => identity::of_rejects(),
        };
        Ok(if self.reads_rejects(sink.relation) { identity::with_rejects(&own, rejects) } else { own })
    }

    /// What the rejects follow from: all that is run.
    fn rejected(&self, lowered: &Lowered) -> Result<String> {
        let graph = &lowered.graph;
        let mut written = BTreeMap::new();
        for (id, node) in graph.nodes.iter().enumerate() {
            match node.op {
                Op::Source(index) => written.insert(id, identity::source(&self.sources[index].0, &node.columns)?),
                Op::Rejects => written.insert(id, identity::rejects_leaf(&node.columns)?),
                _ => None,
            };
        }
        let outputs = lowered.outputs.iter().map(|(name, node)| (name.as_str(), *node));
        let built = lowered.built.iter().map(|built| match built.relation {
            RelationId::View(index) => (self.views[index].name.as_str(), built.node),
            RelationId::Source(_) | RelationId::Rejects => (REJECTS, built.node),
        });
        let mut roots: Vec<(&str, NodeId)> = outputs.chain(built).collect();
        roots.sort_unstable();
        let roots: Vec<NodeId> = roots.into_iter().map(|(_, node)| node).collect();
        identity::rejects(graph, &roots, &written)
    }
}

impl View {
    /// Who is spoken of in messages about this view.
    fn subject<'s>(&'s self, text: &'s Text) -> Subject<'s> {
        Subject { text, view: &self.name, place: self.place, landmarks: &self.landmarks }
    }
}

impl Checker<'_> {
    /// The subject of messages about the n-th view.
    pub fn subject(&self, view: usize) -> Subject<'_> {
        self.views[view].subject(self.text)
    }

    /// An error of the planner about the n-th view.
    pub fn fault(&self, view: usize, error: &DataFusionError) -> Error {
        self.subject(view).planning(error)
    }
}

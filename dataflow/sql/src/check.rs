//! Job text to a [`Job`]: every name resolved, every option taken, every view planned and lowered.
//!
//! ```text
//! statements ─ Checked (each for itself) ─ Shared (all together: who reads what) ─ Lowered (the graph) ─ Job
//! ```
//!
//! Views are looked at twice: here each alone, with the relations that it reads as leaves, which names the view at fault
//! and yields its key and whether it can retract; and in [`crate::shared`] all together.

use std::collections::BTreeSet;
use std::sync::Arc;

use catchment_contract::options::nearest;
use catchment_contract::reject::REJECTS;
use catchment_contract::{Error, Options, Result, SinkConnector, SinkSpec, SourceConnector, ViewFacts, panics};
use datafusion_common::DataFusionError;
use datafusion_expr::LogicalPlan;
use datafusion_sql::sqlparser::ast::Query;

use crate::alone::{Alone, alone};
use crate::assemble;
use crate::catalog::{Catalog, RelationId};
use crate::checked::{Checked, Sink, View};
use crate::custom::plan_operator;
use crate::declared::{declaration, untyped};
use crate::extensions::{Extensions, Operator};
use crate::fault::Subject;
use crate::graph::Column;
use crate::inspect::{Landmarks, inspect, unknown_relation};
use crate::job::Job;
use crate::plan::{inline, plan_view, relations_of, schema_of};
use crate::rewrite::optimise;
use crate::shared::Shared;
use crate::statement::{Body, ColumnText, ColumnsText, Name, OptionText, Statement, parse};
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
    if checker.checked.sinks.is_empty() && checker.checked.views.is_empty() && checker.checked.sources.is_empty() {
        let hint = "a job holds CREATE SOURCE, CREATE VIEW and CREATE SINK statements";
        return Err(text.error(START, "the job is empty", hint));
    }
    let checked = checker.checked;
    let shared = Shared::of(&checked)?;
    let lowered = shared.lower(&checked)?;
    assemble::job(checked, &shared, lowered)
}

/// Reads statement after statement.
struct Checker<'a> {
    registry: &'a Registry,
    /// Operators of one's own whose inputs are not all declared.
    waiting: Vec<Arc<Operator>>,
    /// What is known of the job so far.
    checked: Checked<'a>,
}

impl<'a> Checker<'a> {
    fn new(text: &'a Text, registry: &'a Registry, extensions: &'a Extensions) -> Result<Self> {
        let checked = Checked {
            text,
            catalog: Catalog::new(),
            sources: Vec::new(),
            views: Vec::new(),
            sinks: Vec::new(),
            connectors: BTreeSet::new(),
            faults_append_only: true,
        };
        let mut checker = Checker { registry, waiting: extensions.operators.clone(), checked };
        extensions.functions.iter().try_for_each(|function| checker.checked.catalog.add_function(function))?;
        checker.operators()?;
        Ok(checker)
    }

    /// Adds the operators of one's own whose inputs are all declared by now.
    fn operators(&mut self) -> Result<()> {
        let is_ready = |operator: &Arc<Operator>, catalog: &Catalog| {
            operator.spec.inputs.iter().all(|(relation, _)| catalog.table(relation).is_some())
        };
        while let Some(next) = self.waiting.iter().position(|operator| is_ready(operator, &self.checked.catalog)) {
            let operator = self.waiting.remove(next);
            operator.check()?;
            if self.checked.catalog.table(&operator.spec.name).is_some() {
                let message =
                    format!("operator \"{}\" has the same name as another relation of the job", operator.spec.name);
                return Err(Error::user(message).with_hint("give one of them another name"));
            }
            let plan = plan_operator(&operator, &self.checked.catalog)?;
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
        let mut missing = missing.filter(|(_, relation)| self.checked.catalog.table(relation).is_none());
        let Some((name, relation)) = missing.next() else { return Ok(()) };
        let hint = match nearest(relation, self.checked.catalog.table_names()) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("its relations are {}", self.checked.catalog.table_names().collect::<Vec<_>>().join(", ")),
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
        let declaration = declaration(declared, self.checked.text)?;
        let source = known
            .check(&name.text, &declaration, &mut options)
            .map_err(|error| self.checked.text.locate(error, place))?;
        options.finish().map_err(|error| self.checked.text.locate(error, place))?;
        let relation = source.relation();
        for column in &declared.columns {
            self.declared(column, &owner, relation)?;
        }
        let id = RelationId::Source(self.checked.sources.len());
        self.checked.catalog.add(&name.text, id, relation.schema.clone());
        let unlisted = source.unlisted().into_iter().map(|column| relation.schema.field(column).name().clone());
        self.checked.catalog.set_unlisted(&name.text, unlisted.collect());
        self.checked.connectors.insert(connector.text);
        self.checked.sources.push((name.text.clone(), source));
        Ok(())
    }

    /// A column that a job declares must be one that the source has.
    fn declared(&self, column: &ColumnText, owner: &str, relation: &catchment_contract::Relation) -> Result<()> {
        if let Ok(field) = relation.schema.field_with_name(&column.name.text) {
            return if field.data_type().is_null() { Err(untyped(column, self.checked.text)) } else { Ok(()) };
        }
        let names: Vec<&str> = relation.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let hint = match nearest(&column.name.text, names.iter().copied()) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("its columns are {}", names.join(", ")),
        };
        Err(self.checked.text.error(column.name.place, format!("{owner} has no column \"{}\"", column.name.text), hint))
    }

    fn view(&mut self, place: Place, name: &Name, columns: &[Name], query: &Query) -> Result<()> {
        self.unused(name)?;
        let landmarks = inspect(query, place, self.checked.text, &self.checked.catalog)?;
        let subject = Subject { text: self.checked.text, view: &name.text, place, landmarks: &landmarks };
        let keys = |relation| self.checked.facts_of(relation).key;
        let plan = plan_view(query, columns, &self.checked.catalog, &keys);
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
        let subject = Subject { text: self.checked.text, view: &name.text, place, landmarks: &landmarks };
        let fault = |error: DataFusionError| subject.planning(&error);
        let reads = relations_of(&plan).map_err(fault)?;
        let mut constant = !operator;
        constant &= reads.iter().all(|relation| match relation {
            RelationId::View(index) => self.checked.views[*index].constant,
            RelationId::Source(_) | RelationId::Rejects => false,
        });
        let alone = inline(plan.clone(), &|relation| self.checked.constant_view(relation)).map_err(fault)?;
        let alone = optimise(alone, self.checked.catalog.config()).map_err(fault)?;
        let schema = schema_of(&plan);
        let known = |relation| self.checked.known(relation);
        let found = self::alone(&alone, &Column::all(&schema), &subject, self.checked.catalog.config(), &known)?;
        let Alone { key, append_only, faults_append_only, identity } = found;
        self.checked.faults_append_only &= faults_append_only;
        let facts = ViewFacts { name: name.text.clone(), schema, key, append_only };
        self.checked.catalog.add(&name.text, RelationId::View(self.checked.views.len()), facts.schema.clone());
        let reads_rejects = reads.iter().any(|relation| self.checked.reads_rejects(*relation));
        let alone = alone.display_indent().to_string();
        self.checked.views.push(View {
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

    fn sink(&mut self, place: Place, name: &Name, from: &Name, options: &[OptionText]) -> Result<()> {
        if self.checked.sinks.iter().any(|sink| sink.name == name.text) {
            let message = format!("there are two sinks \"{}\"", name.text);
            return Err(self.checked.text.error(name.place, message, "give one of them another name"));
        }
        let Some(table) = self.checked.catalog.table(&from.text) else {
            return Err(unknown_relation(&from.text, from.place, self.checked.text, &self.checked.catalog));
        };
        let relation = table.id;
        let facts = self.checked.listed_facts_of(relation);
        let owner = format!("sink \"{}\"", name.text);
        let (connector, mut options) = self.options(place, &owner, options)?;
        let known = self.registry.sinks.iter().find(|known| known.name() == connector.text);
        let Some(known) = known else {
            return Err(self.no_connector(&connector, "sink", self.registry.sinks.iter().map(|known| known.name())));
        };
        let checked = known.check(&name.text, &facts, &mut options);
        let spec: Arc<dyn SinkSpec> = checked.map_err(|error| self.checked.text.locate(error, place))?.into();
        options.finish().map_err(|error| self.checked.text.locate(error, place))?;
        let target = spec.target();
        if let Some(other) = self.checked.sinks.iter().find(|sink| sink.spec.target() == target) {
            let message = format!("sinks \"{}\" and \"{}\" both write to {target}", other.name, name.text);
            return Err(self.checked.text.error(name.place, message, "give one of them another target"));
        }
        self.checked.connectors.insert(connector.text);
        self.checked.sinks.push(Sink { name: name.text.clone(), spec, relation, facts });
        Ok(())
    }

    fn unused(&self, name: &Name) -> Result<()> {
        if self.checked.catalog.table(&name.text).is_none() {
            return Ok(());
        }
        let (message, hint) = match name.text.as_str() {
            REJECTS => ("the relation \"rejects\" is built in".to_string(), "give this one another name"),
            name => (format!("there are two relations \"{name}\""), "give one of them another name"),
        };
        Err(self.checked.text.error(name.place, message, hint))
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
            self.checked.text.error(place, format!("{owner} needs the option \"connector\""), hint)
        };
        Ok((connector.ok_or_else(missing)?, options))
    }

    fn no_connector<'n>(&self, name: &Name, kind: &str, known: impl Iterator<Item = &'n str>) -> Error {
        let known: Vec<&str> = known.collect();
        let hint = match nearest(&name.text, known.iter().copied()) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("connectors of {kind}s are {}", known.join(", ")),
        };
        self.checked.text.error(name.place, format!("there is no {kind} connector \"{}\"", name.text), hint)
    }
}

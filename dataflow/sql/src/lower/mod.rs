//! Optimised logical plans to the operator graph.
//!
//! | plan | becomes |
//! |---|---|
//! | projection, filter, unnest | stages of a transform |
//! | union | union |
//! | aggregate, distinct | aggregate, distinct |
//! | aggregates with `OVER` | window |
//! | join; with constants: semi, anti | join; a stage that looks keys up in a set |
//! | sort + limit, `row_number()` with a bound | top-k, top-groups directly over a fitting aggregate |
//! | values | constants, computed now |
//! | an operator of the program's own | itself |
//!
//! Anything else is refused with the construct's name, its place, and what to write instead.

mod flow;
mod group;
mod join;
mod leaf;
mod rank;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::array::{RecordBatch, RecordBatchOptions};
use catchment_contract::arrow::datatypes::{Field, Schema};
use catchment_contract::{Error, Result};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{
    EmptyRelation, Expr, Extension, Filter, LogicalPlan, Projection, TableScan, Union, Unnest, Values,
};

pub(crate) use flow::Flow;
pub(crate) use leaf::Leaf;

use crate::catalog::RelationId;
use crate::custom::Custom;
use crate::expr::Expression;
use crate::fault::Subject;
use crate::graph::{Column, Graph, Node, NodeId, Op};
use crate::inspect::Construct;
use crate::plan::relation_of;
use crate::rewrite::may_fail;
use crate::stage::Stage;

/// Lowers the plan of one view.
pub(crate) struct Lowering<'a> {
    pub graph: &'a mut Graph,
    pub leaves: &'a BTreeMap<RelationId, Leaf>,
    pub subject: &'a Subject<'a>,
    props: ExecutionProps,
}

impl<'a> Lowering<'a> {
    pub fn new(
        graph: &'a mut Graph,
        leaves: &'a BTreeMap<RelationId, Leaf>,
        subject: &'a Subject<'a>,
        config: &Arc<ConfigOptions>,
    ) -> Self {
        let props = ExecutionProps { config_options: Some(config.clone()), ..ExecutionProps::default() };
        Lowering { graph, leaves, subject, props }
    }

    /// Lowers `plan` to a node whose output is the view.
    ///
    /// # Errors
    /// For a construct that cannot be kept up to date.
    pub fn view(&mut self, plan: &LogicalPlan) -> Result<NodeId> {
        let first = self.graph.nodes.len();
        let flow = self.flow(plan)?.labelled(self.subject.view);
        let columns = flow.columns.clone();
        let node = flow.node(self.graph, self.subject.view).map_err(|error| self.planning(&error))?;
        if node >= first {
            self.graph.nodes[node].columns = columns;
        }
        Ok(node)
    }

    /// The stream of `plan`'s rows.
    fn flow(&mut self, plan: &LogicalPlan) -> Result<Flow> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(alias) => Ok(self.flow(&alias.input)?.labelled(alias.alias.table())),
            LogicalPlan::Subquery(subquery) => self.flow(&subquery.subquery),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Union(union) => self.union(union, None),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::EmptyRelation(empty) => self.empty(empty),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(distinct) => self.distinct(distinct),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Extension(extension) => self.custom(extension),
            LogicalPlan::Sort(_) => Err(self.refuse(
                Construct::OrderBy,
                "ORDER BY without LIMIT",
                "leave it out (a view is a set of rows; order it where it is read), or add LIMIT",
            )),
            other => {
                let name = other.display().to_string();
                let name = name.split([':', ' ']).next().unwrap_or_default();
                Err(self.subject.unsupported(None, &format!("\"{name}\""), "write it with joins, unions and GROUP BY"))
            }
        }
    }

    fn refuse(&self, construct: Construct, what: &str, hint: &str) -> Error {
        self.subject.unsupported(Some(construct), what, hint)
    }

    fn planning(&self, error: &DataFusionError) -> Error {
        self.subject.planning(error)
    }

    fn compile(&self, expr: &Expr, schema: &DFSchema) -> Result<Expression> {
        let compiled = Expression::compile(expr, schema, &self.props).map_err(|error| self.planning(&error))?;
        match compiled.try_out() {
            Ok(()) => Ok(compiled),
            Err(error) => Err(self.subject.never(&error)),
        }
    }

    fn compile_all<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>, schema: &DFSchema) -> Result<Vec<Expression>> {
        exprs.into_iter().map(|expr| self.compile(expr, schema)).collect()
    }

    fn scan(&mut self, scan: &TableScan) -> Result<Flow> {
        let relation = relation_of(scan).map_err(|error| self.planning(&error))?;
        let leaf =
            self.leaves.get(&relation).cloned().ok_or_else(|| {
                Error::bug(format!("relation \"{}\" was not lowered before its reader", scan.table_name))
            })?;
        let flow = Flow::of(self.graph, leaf.node, scan.table_name.table());
        let wanted: Vec<usize> = match &scan.projection {
            Some(columns) => columns.clone(),
            None => (0..scan.source.schema().fields().len()).collect(),
        };
        let places: Option<Vec<usize>> =
            wanted.iter().map(|column| leaf.columns.iter().position(|known| known == column)).collect();
        let places =
            places.ok_or_else(|| Error::bug(format!("\"{}\" lacks a column that is read", scan.table_name)))?;
        Ok(flow.pick(&places))
    }

    fn projection(&mut self, projection: &Projection) -> Result<Flow> {
        let Projection { expr, input, schema, .. } = projection;
        if let LogicalPlan::Union(union) = input.as_ref() {
            return self.union(union, Some(projection));
        }
        let flow = match self.unranked(expr, input)? {
            Some(flow) => flow,
            None => self.flow(input)?,
        };
        let expressions = self.compile_all(expr, input.schema())?;
        Ok(flow.project(expressions, columns_of(schema)))
    }

    fn filter(&mut self, filter: &Filter) -> Result<Flow> {
        if let Some(flow) = self.ranked(filter, true)? {
            return Ok(flow);
        }
        let flow = self.flow(&filter.input)?;
        self.filtered(flow, &filter.predicate, filter.input.schema())
    }

    /// The rows of `flow`, whose columns are those of `schema`, for which `predicate` holds. Parts that may fail see only
    /// rows that all parts before them let through.
    fn filtered(&self, flow: Flow, predicate: &Expr, schema: &DFSchema) -> Result<Flow> {
        let parts = self.parts(predicate, schema)?;
        Ok(parts.into_iter().fold(flow, |flow, part| flow.filter(Stage::Filter(part))))
    }

    /// `predicate` as conditions that are asked one after another: what cannot fail together, then each that may.
    fn parts(&self, predicate: &Expr, schema: &DFSchema) -> Result<Vec<Expression>> {
        let parts = split_conjunction(predicate).into_iter().cloned();
        let (risky, safe): (Vec<Expr>, Vec<Expr>) = parts.partition(|part| may_fail(part, schema));
        let parts = conjunction(safe).into_iter().chain(risky);
        parts.map(|part| self.compile(&part, schema)).collect()
    }

    fn unnest(&mut self, unnest: &Unnest) -> Result<Flow> {
        let Unnest { input, list_type_columns, struct_type_columns, dependency_indices, schema, options, .. } = unnest;
        let mut flow = self.flow(input)?;
        let [(column, list)] = list_type_columns.as_slice() else {
            return Err(self.subject.unsupported(
                None,
                "unnest of several lists at once",
                "unnest one list in each view",
            ));
        };
        let identity = dependency_indices.iter().copied().eq(0..flow.columns.len());
        if !struct_type_columns.is_empty() || !identity {
            return Err(self.subject.unsupported(None, "unnest of a struct", "name the fields: SELECT s['field'] …"));
        }
        if let Some(Stage::Project(columns)) = flow.stages.last_mut()
            && list.depth == 1
        {
            columns[*column].keep_encoded();
        }
        for _ in 0..list.depth {
            flow.stages.push(Stage::Unnest { column: *column, preserve_nulls: options.preserve_nulls() });
        }
        flow.columns = columns_of(schema);
        flow.key = None;
        Ok(flow)
    }

    /// The union, each side projected by `projection` first if there is one: constants stay small and casts see them.
    fn union(&mut self, union: &Union, projection: Option<&Projection>) -> Result<Flow> {
        let view = self.subject.view;
        let columns = columns_of(projection.map_or(&union.schema, |projection| &projection.schema));
        let (mut inputs, mut append_only) = (Vec::new(), true);
        for input in &union.inputs {
            let mut flow = self.flow(input)?;
            if let Some(projection) = projection {
                flow = flow.project(self.compile_all(&projection.expr, &union.schema)?, columns.clone());
            }
            if !flow.types().into_iter().eq(columns.iter().map(|column| column.data_type.clone())) {
                return Err(Error::bug(format!("view \"{view}\": the sides of a union have different types")));
            }
            flow.columns.clone_from(&columns);
            append_only &= flow.append_only;
            inputs.push(flow.node(self.graph, view).map_err(|error| self.planning(&error))?);
        }
        let name = format!("Union: {view}");
        let id = self.graph.add(Node { name, op: Op::Union, inputs, columns, key: None, append_only });
        Ok(Flow::of(self.graph, id, view))
    }

    /// An operator of one's own.
    fn custom(&mut self, extension: &Extension) -> Result<Flow> {
        let Some(Custom { operator, inputs, .. }) = extension.node.as_any().downcast_ref::<Custom>() else {
            return Err(Error::bug(format!("\"{}\" is no operator of this job", extension.node.name())));
        };
        let spec = &operator.spec;
        let mut nodes = Vec::new();
        for (plan, (relation, columns)) in inputs.iter().zip(&spec.inputs) {
            let flow = self.flow(plan)?.labelled(relation);
            if flow.columns.len() != columns.len() {
                return Err(Error::bug(format!("operator \"{}\" got other columns of \"{relation}\"", spec.name)));
            }
            nodes.push(flow.node(self.graph, &spec.name).map_err(|error| self.planning(&error))?);
        }
        let columns = columns_of(extension.node.schema());
        let (name, op) = (format!("Operator: {}", spec.name), Op::Custom(operator.clone()));
        let (key, append_only) = (spec.key.clone(), spec.append_only);
        let id = self.graph.add(Node { name, op, inputs: nodes, columns, key, append_only });
        Ok(Flow::of(self.graph, id, spec.name.clone()))
    }

    fn values(&mut self, values: &Values) -> Result<Flow> {
        let nothing = DFSchema::empty();
        let columns = columns_of(&values.schema);
        let empty = Flow { columns: Vec::new(), ..self.one_row() };
        let mut parts = Vec::new();
        for row in &values.values {
            let expressions = self.compile_all(row, &nothing)?;
            let flow = empty.clone().project(expressions, columns.clone());
            let rows = flow.constant(self.graph).ok_or_else(|| Error::bug("VALUES are not constant"))?;
            parts.push(rows.map_err(|error| self.planning(&error))?);
        }
        let schema = arrow_schema(&columns);
        let rows = catchment_contract::arrow::compute::concat_batches(&schema, &parts)
            .map_err(|error| self.planning(&error.into()))?;
        let id = flow::add_constant(self.graph, rows, columns, self.subject.view);
        Ok(Flow::of(self.graph, id, self.subject.view))
    }

    fn empty(&mut self, empty: &EmptyRelation) -> Result<Flow> {
        if empty.produce_one_row {
            return Ok(self.one_row());
        }
        let columns = columns_of(&empty.schema);
        let rows = RecordBatch::new_empty(arrow_schema(&columns));
        let id = flow::add_constant(self.graph, rows, columns, "nothing");
        Ok(Flow::of(self.graph, id, "nothing"))
    }

    /// One row without columns: what a SELECT without FROM selects from.
    fn one_row(&mut self) -> Flow {
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
            .expect("a batch without columns has any number of rows");
        let id = flow::add_constant(self.graph, rows, Vec::new(), "one row");
        Flow::of(self.graph, id, "one row")
    }
}

/// The columns of a plan's output.
fn columns_of(schema: &DFSchemaRef) -> Vec<Column> {
    let column = |field: &Arc<Field>| Column { name: readable(field.name()), data_type: field.data_type().clone() };
    schema.fields().iter().map(column).collect()
}

/// A name that the planner made up, as a person would write it: `date_trunc('hour',created_utc)` for
/// `date_trunc(Utf8("hour"),comments.created_utc)`.
pub(crate) fn readable(name: &str) -> String {
    if !name.contains(['(', ' ']) {
        return name.to_string();
    }
    if name.starts_with("row_number()") {
        return "row_number()".to_string();
    }
    let mut text = without_windows(name).replace("count(Int64(1))", "count(*)");
    for (before, after, quote) in [("Utf8View(\"", "\")", "'"), ("Utf8(\"", "\")", "'"), ("Int64(", ")", "")] {
        while let Some((head, rest)) = text.split_once(before) {
            let Some((inner, tail)) = rest.split_once(after) else { break };
            text = format!("{head}{quote}{inner}{quote}{tail}");
        }
    }
    text
}

/// `text` with ` over` for what the names of window functions say of their windows.
pub(crate) fn without_windows(text: &str) -> String {
    let first = |text: &str, parts: &[&str]| parts.iter().filter_map(|part| Some((text.find(part)?, part.len()))).min();
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((start, _)) = first(rest, &[" PARTITION BY [", " ORDER BY [", " RANGE BETWEEN ", " ROWS BETWEEN "])
        && let Some(and) = rest[start..].find(" AND ")
        && let Some((end, len)) = first(&rest[start + and..], &["CURRENT ROW", "PRECEDING", "FOLLOWING"])
    {
        plain.push_str(&rest[..start]);
        plain.push_str(" over");
        rest = &rest[start + and + end + len..];
    }
    plain + rest
}

fn arrow_schema(columns: &[Column]) -> Arc<Schema> {
    let field = |column: &Column| Field::new(&column.name, column.data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

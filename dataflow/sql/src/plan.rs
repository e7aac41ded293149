//! Queries to logical plans, with DataFusion.
//!
//! A view is planned once, on its own, with the relations that it reads as leaves ([`plan_view`]). Its output has bare
//! column names, strings as `Utf8View` and instants as `Timestamp(µs, "UTC")`. Later [`inline`] replaces leaves by the
//! plans of views that are read once, and [`optimise`](crate::rewrite::optimise) rewrites what results.
//!
//! Errors of this module have the form `message; hint`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DataFusionError, Result, plan_datafusion_err, plan_err};
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, cast};
use datafusion_sql::planner::{ParserOptions, SqlToRel};
use datafusion_sql::sqlparser::ast::{Query, Statement};

use crate::catalog::{Catalog, RelationId, Table, timestamp_type};
use crate::merging::marked;
use crate::rewrite::{Keys, analyse, column_never_null};
use crate::statement::Name;
use crate::unlisted::excluded;

/// The analysed plan of a view's `query`, its columns called `columns` if there are any. `keys` are those of the
/// relations that it may read.
pub(crate) fn plan_view(query: &Query, columns: &[Name], catalog: &Catalog, keys: &Keys<'_>) -> Result<LogicalPlan> {
    let options = ParserOptions::new().with_collect_spans(true);
    let planner = SqlToRel::new_with_options(catalog, options);
    let plan = planner.sql_statement_to_plan(Statement::Query(Box::new(excluded(marked(query.clone()), catalog))))?;
    let plan = with_known_functions(plan, catalog)?;
    output(analyse(plan, catalog.config(), keys)?, columns)
}

/// `plan` with the catalog's functions where the planner put DataFusion's own, which nothing bounds: for operators (`@>`).
fn with_known_functions(plan: LogicalPlan, catalog: &Catalog) -> Result<LogicalPlan> {
    let known = |expr: Expr| match expr {
        Expr::ScalarFunction(mut call) => match catalog.get_function_meta(call.func.name()) {
            Some(known) => {
                call.func = known;
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            None => Ok(Transformed::no(Expr::ScalarFunction(call))),
        },
        other => Ok(Transformed::no(other)),
    };
    let plan = plan.transform_up_with_subqueries(|node| node.map_expressions(|expr| expr.transform_up(known)))?;
    Ok(plan.data)
}

/// `plan` with bare column names and the types that flow between views.
fn output(plan: LogicalPlan, names: &[Name]) -> Result<LogicalPlan> {
    let schema = plan.schema().clone();
    if !names.is_empty() && names.len() != schema.fields().len() {
        return plan_err!(
            "the view names {} columns, its query has {}; name each column, or none",
            names.len(),
            schema.fields().len()
        );
    }
    let mut outputs = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, column) in schema.columns().into_iter().enumerate() {
        let field = schema.field(index);
        let name = names.get(index).map_or_else(|| field.name().clone(), |name| name.text.clone());
        if seen.insert(name.clone(), index).is_some() {
            return plan_err!("two columns are called \"{name}\"; give one of them another name with AS");
        }
        let wanted = flowing_type(field.data_type()).ok_or_else(|| {
            plan_datafusion_err!("the column \"{name}\" has no type; write CAST(… AS type) around it")
        })?;
        let expr = Expr::Column(column);
        let expr = if wanted == *field.data_type() { expr } else { cast(expr, wanted) };
        outputs.push(expr.alias(name));
    }
    LogicalPlanBuilder::from(plan).project(outputs)?.build()
}

/// The type in which values of `data_type` flow out of a view; `None` for the type of a bare `NULL`.
fn flowing_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Null => return None,
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Dictionary(_, values) => return flowing_type(values),
        DataType::Timestamp(_, _) => timestamp_type(),
        DataType::List(item) => {
            let inner = flowing_type(item.data_type())?;
            DataType::List(Arc::new(Field::new(item.name(), inner, item.is_nullable())))
        }
        other => other.clone(),
    })
}

/// The columns of a plan's output, without qualifiers; nullable unless the plan shows that they never are null.
pub(crate) fn schema_of(plan: &LogicalPlan) -> SchemaRef {
    let fields: Vec<Field> = plan
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(column, field)| Field::new(field.name(), field.data_type().clone(), !column_never_null(plan, column)))
        .collect();
    Arc::new(Schema::new(fields))
}

/// The relation that a scan reads.
pub(crate) fn relation_of(scan: &TableScan) -> Result<RelationId> {
    match scan.source.downcast_ref::<Table>() {
        Some(table) => Ok(table.id),
        None => Err(DataFusionError::Internal(format!("{} is no relation of this job", scan.table_name))),
    }
}

/// The relations that `plan` reads, each as often as it is read.
pub(crate) fn relations_of(plan: &LogicalPlan) -> Result<Vec<RelationId>> {
    let mut relations = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            relations.push(relation_of(scan)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(relations)
}

/// The columns that the optimised `plan` reads, by relation.
pub(crate) fn columns_read(plan: &LogicalPlan) -> Result<BTreeMap<RelationId, BTreeSet<usize>>> {
    let mut read: BTreeMap<RelationId, BTreeSet<usize>> = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let all = 0..scan.source.schema().fields().len();
            let columns = scan.projection.clone().unwrap_or_else(|| all.collect());
            read.entry(relation_of(scan)?).or_default().extend(columns);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(read)
}

/// `plan` with each leaf for which `view` has a plan replaced by that plan, under the leaf's name.
pub(crate) fn inline(plan: LogicalPlan, view: &dyn Fn(RelationId) -> Option<LogicalPlan>) -> Result<LogicalPlan> {
    let inlined = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = &node
            && let Some(inner) = view(relation_of(scan)?)
        {
            let alias = scan.table_name.clone();
            return Ok(Transformed::yes(LogicalPlanBuilder::from(inner).alias(alias)?.build()?));
        }
        Ok(Transformed::no(node))
    })?;
    Ok(inlined.data)
}

/// `plan` with only the columns `wanted`, in that order.
pub(crate) fn narrow(plan: LogicalPlan, wanted: &[usize]) -> Result<LogicalPlan> {
    if wanted.iter().copied().eq(0..plan.schema().fields().len()) {
        return Ok(plan);
    }
    let columns = plan.schema().columns();
    let kept: Vec<Expr> = wanted.iter().map(|index| Expr::Column(Column::clone(&columns[*index]))).collect();
    LogicalPlanBuilder::from(plan).project(kept)?.build()
}

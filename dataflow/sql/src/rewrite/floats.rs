//! Floats are compared by value: `-0.0` is `0.0`, and all NaNs are one, the greatest of all.
//!
//! DataFusion's comparisons and the hashes of rows go by bits, which tell the zeros apart, and put the NaN that `0.0 / 0.0`
//! yields below everything. So what is compared, grouped, joined, ordered or searched for is made plain first; what is only
//! shown stays as it is.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::{AggregateFunction, InList, Sort as SortExpr};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    Aggregate, Between, BinaryExpr, Case, Distinct, Expr, ExprSchemable, LogicalPlan, Projection, Sort, Window,
};

use super::meaning::is_comparison;
use super::{columns, functions, with_expressions};

/// `plan` with its floats made plain where they are compared.
pub(super) fn plain(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let node = with_expressions(node, |expr| compared(expr, &schema))?;
        let changed = node.transformed;
        let node = node_compared(node.data, &schema)?;
        match node.transformed {
            true => node.map_data(LogicalPlan::recompute_schema),
            false => Ok(Transformed::new_transformed(node.data, changed)),
        }
    })?;
    Ok(plan.data)
}

/// `expr` over `schema`, made plain if it is a float.
pub(super) fn of(expr: Expr, schema: &DFSchema) -> Expr {
    let is_float = |expr: &Expr| {
        expr.get_type(schema)
            .is_ok_and(|kind| matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64))
    };
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(value)), metadata) => {
            Expr::Literal(ScalarValue::Float64(Some(value + 0.0)), metadata)
        }
        Expr::Literal(..) => expr,
        expr if is_float(&expr) && !functions::is_plain(&expr) => functions::plain_float(expr),
        expr => expr,
    }
}

/// The operands of a comparison made plain.
fn compared(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let plain = |expr: Box<Expr>| Box::new(of(*expr, schema));
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(plain(left), op, plain(right))))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            Transformed::yes(Expr::Between(Between::new(plain(expr), negated, plain(low), plain(high))))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let list = list.into_iter().map(|item| of(item, schema)).collect();
            Transformed::yes(Expr::InList(InList { expr: plain(expr), list, negated }))
        }
        Expr::Case(Case { expr: Some(expr), when_then_expr, else_expr }) => {
            let when_then_expr = when_then_expr.into_iter().map(|(when, then)| (plain(when), then)).collect();
            Transformed::yes(Expr::Case(Case { expr: Some(plain(expr)), when_then_expr, else_expr }))
        }
        Expr::ScalarFunction(mut function) if matches!(function.func.name(), "nullif" | "greatest" | "least") => {
            function.args = function.args.into_iter().map(|arg| of(arg, schema)).collect();
            Transformed::yes(Expr::ScalarFunction(function))
        }
        Expr::AggregateFunction(function) => Transformed::yes(Expr::AggregateFunction(aggregated(function, schema))),
        Expr::WindowFunction(mut function) => {
            let params = &mut function.params;
            params.partition_by =
                std::mem::take(&mut params.partition_by).into_iter().map(|by| of(by, schema)).collect();
            params.order_by = ordered(std::mem::take(&mut params.order_by), schema);
            if matches!(function.fun.name(), "min" | "max") {
                params.args = std::mem::take(&mut params.args).into_iter().map(|arg| of(arg, schema)).collect();
            }
            Transformed::yes(Expr::WindowFunction(function))
        }
        other => Transformed::no(other),
    })
}

/// Values are compared by the least, the greatest, the middle and each different one; a sum takes them as they are.
fn aggregated(mut function: AggregateFunction, schema: &DFSchema) -> AggregateFunction {
    if function.params.distinct || !matches!(function.func.name(), "sum" | "avg" | "count") {
        function.params.args = function.params.args.into_iter().map(|arg| of(arg, schema)).collect();
    }
    function
}

fn ordered(order: Vec<SortExpr>, schema: &DFSchema) -> Vec<SortExpr> {
    order.into_iter().map(|sort| SortExpr { expr: of(sort.expr, schema), ..sort }).collect()
}

/// What nodes compare by themselves. `schema` is that of their inputs.
fn node_compared(node: LogicalPlan, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    Ok(match node {
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => {
            let groups = group_expr.into_iter().map(|group| named(group, schema)).collect();
            Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(input, groups, aggr_expr)?))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let all = columns(input.schema());
            let plain: Vec<Expr> = all.iter().map(|column| named(column.clone(), input.schema())).collect();
            if plain == all {
                return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input))));
            }
            let input = LogicalPlan::Projection(Projection::try_new(plain, input)?);
            Transformed::yes(LogicalPlan::Distinct(Distinct::All(Arc::new(input))))
        }
        LogicalPlan::Join(mut join) => {
            let (left, right) = (join.left.schema().clone(), join.right.schema().clone());
            join.on = join.on.into_iter().map(|(a, b)| (of(a, &left), of(b, &right))).collect();
            Transformed::yes(LogicalPlan::Join(join))
        }
        LogicalPlan::Sort(Sort { expr, input, fetch }) => {
            let expr = ordered(expr, schema);
            Transformed::yes(LogicalPlan::Sort(Sort { expr, input, fetch }))
        }
        LogicalPlan::Window(Window { input, window_expr, .. }) => {
            Transformed::yes(LogicalPlan::Window(Window::try_new(window_expr, input)?))
        }
        other => Transformed::no(other),
    })
}

/// `expr` made plain, called as before.
fn named(expr: Expr, schema: &DFSchema) -> Expr {
    let (relation, name) = expr.qualified_name();
    let plain = of(expr.clone(), schema);
    if plain == expr { expr } else { plain.alias_qualified(relation, name) }
}

//! Which columns of a plan can never be null: what the plan shows, not what DataFusion's schemas say, which call
//! `nullif(x, y)` and a count behind an outer join never null.

use datafusion_common::JoinType;
use datafusion_expr::{Distinct, Expr, Join, LogicalPlan};

use super::strict::rejects_nulls;

/// Whether `expr` over the output of `plan` is never null. Errs on the side of no.
pub(super) fn never_null(expr: &Expr, plan: &LogicalPlan) -> bool {
    match expr {
        Expr::Literal(value, _) => !value.is_null(),
        Expr::Alias(alias) => never_null(&alias.expr, plan),
        Expr::Cast(cast) => never_null(&cast.expr, plan),
        Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsFalse(_) => true,
        Expr::Column(column) => {
            plan.schema().index_of_column(column).is_ok_and(|column| column_never_null(plan, column))
        }
        _ => false,
    }
}

/// Whether the column `column` of `plan` is never null. Errs on the side of no.
pub(crate) fn column_never_null(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let place = scan.projection.as_ref().map_or(Some(column), |kept| kept.get(column).copied());
            place.is_some_and(|place| !scan.source.schema().field(place).is_nullable())
        }
        LogicalPlan::SubqueryAlias(alias) => column_never_null(&alias.input, column),
        LogicalPlan::Projection(projection) => never_null(&projection.expr[column], &projection.input),
        LogicalPlan::Filter(filter) => {
            let known = filter.input.schema().columns()[column].clone();
            column_never_null(&filter.input, column) || rejects_nulls(&filter.predicate, &|other| *other == known)
        }
        LogicalPlan::Sort(sort) => column_never_null(&sort.input, column),
        LogicalPlan::Limit(limit) => column_never_null(&limit.input, column),
        LogicalPlan::Distinct(Distinct::All(input)) => column_never_null(input, column),
        LogicalPlan::Window(window) => {
            column < window.input.schema().fields().len() && column_never_null(&window.input, column)
        }
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| column_never_null(input, column)),
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.get(column) {
            Some(Expr::GroupingSet(_)) => false,
            Some(group) => never_null(group, &aggregate.input),
            None => is_count(&aggregate.aggr_expr[column - aggregate.group_expr.len()]),
        },
        LogicalPlan::Join(join) => joined(join, column),
        LogicalPlan::EmptyRelation(empty) => !empty.produce_one_row,
        _ => false,
    }
}

fn joined(join: &Join, column: usize) -> bool {
    let width = join.left.schema().fields().len();
    let (keeps_left, keeps_right) = match join.join_type {
        JoinType::Inner => (true, true),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => (true, false),
        _ => (false, join.join_type == JoinType::Right),
    };
    match column < width {
        true => keeps_left && column_never_null(&join.left, column),
        false => keeps_right && column_never_null(&join.right, column - width),
    }
}

/// Whether `expr` is a `count`, which is 0 over no rows.
pub(super) fn is_count(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_count(&alias.expr),
        Expr::AggregateFunction(function) => function.func.name() == "count",
        _ => false,
    }
}

//! Filters move towards the sources, and equalities between two sides become keys of their join.
//!
//! A part of a filter moves below a join, a `GROUP BY` or an unnest only if it cannot fail: rows that the query excludes
//! must not become rejects. Parts that stay keep their order, those that cannot fail first, so that a guard stands before
//! what it guards.
//!
//! Inner joins are taken apart and put together again in the order of the query, but that a side with an equality comes
//! before one without: `FROM a, b, c WHERE a.x = c.x AND b.y = c.y` joins a with c first. An outer join whose rows without
//! a partner cannot pass the filter above it is an inner one.

mod equality;
mod inner;

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, JoinType, Result};
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Aggregate, Distinct, Expr, Filter, Join, LogicalPlan, Projection, SubqueryAlias, Union, Unnest, Window,
};

use super::may_fail::may_fail;
use super::strict::rejects_nulls;
use super::{columns, conjuncts};

/// `plan` with its filters moved.
pub(super) fn filters(plan: LogicalPlan) -> Result<LogicalPlan> {
    push(plan, Vec::new())
}

/// `plan`, and of its rows those for which all `parts` hold.
fn push(plan: LogicalPlan, parts: Vec<Expr>) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(Filter { predicate, input, .. }) => {
            // What stood below was asked first.
            let parts = distinct(conjuncts(predicate).into_iter().chain(parts));
            push(owned(input), parts)
        }
        LogicalPlan::Projection(projection) => through_projection(projection, parts),
        LogicalPlan::SubqueryAlias(alias) => {
            let parts = by_position(parts, &alias.schema, &columns(alias.input.schema()))?;
            let SubqueryAlias { input, alias, .. } = alias;
            Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(push(owned(input), parts)?), alias)?))
        }
        LogicalPlan::Union(union) => through_union(union, parts),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let (below, above) = movable(parts, input.schema(), &|_| true);
            filtered(LogicalPlan::Distinct(Distinct::All(Arc::new(push(owned(input), below)?))), above)
        }
        LogicalPlan::Aggregate(aggregate) => through_aggregate(aggregate, parts),
        LogicalPlan::Window(window) => through_window(window, parts),
        LogicalPlan::Unnest(unnest) => through_unnest(unnest, parts),
        LogicalPlan::Join(join) => through_join(join, parts),
        other => {
            let below = other.map_children(|child| Ok(Transformed::yes(push(child, Vec::new())?)))?;
            filtered(below.data, parts)
        }
    }
}

fn owned(plan: Arc<LogicalPlan>) -> LogicalPlan {
    Arc::unwrap_or_clone(plan)
}

/// `parts` without those that stand there already.
fn distinct(parts: impl Iterator<Item = Expr>) -> Vec<Expr> {
    let mut kept: Vec<Expr> = Vec::new();
    for part in parts {
        if !kept.contains(&part) {
            kept.push(part);
        }
    }
    kept
}

/// `plan` below a filter of `parts`, those that cannot fail first.
fn filtered(plan: LogicalPlan, parts: Vec<Expr>) -> Result<LogicalPlan> {
    let (risky, safe): (Vec<Expr>, Vec<Expr>) = parts.into_iter().partition(|part| may_fail(part, plan.schema()));
    match conjunction(safe.into_iter().chain(risky)) {
        Some(predicate) => Ok(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?)),
        None => Ok(plan),
    }
}

/// Those of `parts` that cannot fail and read only columns of `schema` that `reads` allows, and the others.
fn movable(parts: Vec<Expr>, schema: &DFSchema, reads: &dyn Fn(&Column) -> bool) -> (Vec<Expr>, Vec<Expr>) {
    parts.into_iter().partition(|part| {
        let columns = part.column_refs();
        !columns.is_empty() && columns.into_iter().all(reads) && !may_fail(part, schema)
    })
}

/// `parts` over `schema` with each column replaced by the expression at its place.
fn by_position(parts: Vec<Expr>, schema: &DFSchema, exprs: &[Expr]) -> Result<Vec<Expr>> {
    let replace = |part: Expr| {
        let replaced = part.transform_up(|node| match &node {
            Expr::Column(column) => Ok(Transformed::yes(exprs[schema.index_of_column(column)?].clone())),
            _ => Ok(Transformed::no(node)),
        })?;
        Ok(replaced.data)
    };
    parts.into_iter().map(replace).collect()
}

fn through_projection(projection: Projection, parts: Vec<Expr>) -> Result<LogicalPlan> {
    let Projection { expr, input, schema, .. } = projection;
    let plain: Vec<Expr> = expr.iter().map(|expr| expr.clone().unalias_nested().data).collect();
    let below = by_position(parts, &schema, &plain)?;
    let input = Arc::new(push(owned(input), below)?);
    Ok(LogicalPlan::Projection(Projection::try_new_with_schema(expr, input, schema)?))
}

fn through_union(union: Union, parts: Vec<Expr>) -> Result<LogicalPlan> {
    let Union { inputs, schema } = union;
    let inputs = inputs.into_iter().map(|input| {
        let below = by_position(parts.clone(), &schema, &columns(input.schema()))?;
        Ok(Arc::new(push(owned(input), below)?))
    });
    Ok(LogicalPlan::Union(Union { inputs: inputs.collect::<Result<_>>()?, schema }))
}

fn through_aggregate(aggregate: Aggregate, parts: Vec<Expr>) -> Result<LogicalPlan> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let groups = if group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) { 0 } else { group_expr.len() };
    let of_group = |column: &Column| schema.index_of_column(column).is_ok_and(|place| place < groups);
    let (below, above) = movable(parts, &schema, &of_group);
    let plain: Vec<Expr> = group_expr.iter().map(|expr| expr.clone().unalias_nested().data).collect();
    let below = by_position(below, &schema, &plain)?;
    // What is computed for a group cannot fail; what it is computed from might.
    let (risky, safe): (Vec<Expr>, Vec<Expr>) = below.into_iter().partition(|part| may_fail(part, input.schema()));
    let risky = risky.into_iter().map(|part| over_groups(part, &plain, &schema)).collect::<Result<Vec<_>>>()?;
    let input = Arc::new(push(owned(input), safe)?);
    let aggregate = LogicalPlan::Aggregate(Aggregate::try_new_with_schema(input, group_expr, aggr_expr, schema)?);
    filtered(aggregate, risky.into_iter().chain(above).collect())
}

/// `part` over an aggregate's input with its groups as columns of the output again.
fn over_groups(part: Expr, groups: &[Expr], schema: &DFSchema) -> Result<Expr> {
    let columns = columns(schema);
    let replaced = part.transform_down(|node| match groups.iter().position(|group| *group == node) {
        Some(place) => Ok(Transformed::complete(columns[place].clone())),
        None => Ok(Transformed::no(node)),
    })?;
    Ok(replaced.data)
}

/// A filter on what all windows are partitioned by takes whole partitions.
fn through_window(window: Window, parts: Vec<Expr>) -> Result<LogicalPlan> {
    let Window { input, window_expr, schema } = window;
    let partitions: Vec<Vec<Expr>> = window_expr
        .iter()
        .map(|expr| match expr.clone().unalias_nested().data {
            Expr::WindowFunction(function) => {
                let WindowFunction { params, .. } = *function;
                params.partition_by
            }
            _ => Vec::new(),
        })
        .collect();
    let by = |column: &Column| {
        let column = Expr::Column(column.clone());
        partitions.iter().all(|partition| partition.contains(&column))
    };
    let (below, above) = movable(parts, &schema, &by);
    let input = Arc::new(push(owned(input), below)?);
    filtered(LogicalPlan::Window(Window { input, window_expr, schema }), above)
}

fn through_unnest(unnest: Unnest, parts: Vec<Expr>) -> Result<LogicalPlan> {
    let of_row = |column: &Column| {
        let Ok(place) = unnest.schema.index_of_column(column) else { return false };
        let below = unnest.dependency_indices.get(place).copied();
        below.is_some_and(|below| {
            let unnested = unnest.list_type_columns.iter().any(|(list, _)| *list == below);
            !unnested && !unnest.struct_type_columns.contains(&below)
        })
    };
    let (below, above) = movable(parts, &unnest.schema, &of_row);
    let of_input = columns(unnest.input.schema());
    let sources: Vec<Expr> = unnest.dependency_indices.iter().map(|place| of_input[*place].clone()).collect();
    let below = by_position(below, &unnest.schema, &sources)?;
    let mut unnest = unnest;
    unnest.input = Arc::new(push(owned(unnest.input), below)?);
    filtered(LogicalPlan::Unnest(unnest), above)
}

fn through_join(mut join: Join, parts: Vec<Expr>) -> Result<LogicalPlan> {
    join.join_type = narrowed(&join, &parts);
    if join.join_type == JoinType::Inner {
        return inner::joined(join, parts);
    }
    let (keeps_left, keeps_right) = match join.join_type {
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => (true, false),
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => (false, true),
        _ => (false, false),
    };
    // Parts above that read the side which is kept whole, and conditions on the other side, are filters of that side.
    let schemas = (join.left.schema().clone(), join.right.schema().clone());
    let reads_left = |column: &Column| schemas.0.has_column(column);
    let reads_right = |column: &Column| schemas.1.has_column(column);
    let of_kept: &dyn Fn(&Column) -> bool = match (keeps_left, keeps_right) {
        (true, _) => &reads_left,
        (_, true) => &reads_right,
        _ => &|_| false,
    };
    let (kept, above) = movable(parts, &join.schema, of_kept);
    let conditions = join.filter.take().map(conjuncts).unwrap_or_default();
    let both = schemas.0.join(&schemas.1).unwrap_or_else(|_| DFSchema::clone(&join.schema));
    let semi = matches!(join.join_type, JoinType::LeftSemi | JoinType::RightSemi);
    let (of_left, conditions) = movable(conditions, &both, &|column| (keeps_right || semi) && reads_left(column));
    let (of_right, conditions) = movable(conditions, &both, &|column| (keeps_left || semi) && reads_right(column));
    let (left, right) = if keeps_right { (Vec::new(), kept) } else { (kept, Vec::new()) };
    join.left = Arc::new(push(owned(join.left), left.into_iter().chain(of_left).collect())?);
    join.right = Arc::new(push(owned(join.right), right.into_iter().chain(of_right).collect())?);
    let rest = equality::keys(&mut join, conditions)?;
    join.filter = conjunction(rest);
    filtered(LogicalPlan::Join(join), above)
}

/// The kind of the join when rows without a partner are of no use that do not pass `parts`.
fn narrowed(join: &Join, parts: &[Expr]) -> JoinType {
    let rejects = |schema: &DFSchema| parts.iter().any(|part| rejects_nulls(part, &|column| schema.has_column(column)));
    let needs_left = rejects(join.left.schema());
    let needs_right = rejects(join.right.schema());
    match (join.join_type, needs_left, needs_right) {
        (JoinType::Left, _, true) | (JoinType::Right, true, _) | (JoinType::Full, true, true) => JoinType::Inner,
        (JoinType::Full, true, false) => JoinType::Left,
        (JoinType::Full, false, true) => JoinType::Right,
        (kind, _, _) => kind,
    }
}

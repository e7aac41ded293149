//! Inner joins: a list of relations and of conditions, joined in order.

use std::sync::Arc;

use datafusion_common::{Column, JoinConstraint, JoinType, NullEquality, Result, internal_err};
use datafusion_expr::{BinaryExpr, Expr, Join, LogicalPlan, Operator, Projection};

use super::{distinct, equality, filtered, movable, owned, push};
use crate::rewrite::{columns, conjuncts, may_fail};

/// `join`, and of its rows those for which all `parts` hold.
pub(super) fn joined(join: Join, parts: Vec<Expr>) -> Result<LogicalPlan> {
    let schema = join.schema.clone();
    let wanted = columns(&schema);
    let (mut sides, mut conditions) = (Vec::new(), Vec::new());
    flatten(LogicalPlan::Join(join), &mut sides, &mut conditions);
    let common = parts.iter().chain(&conditions).flat_map(common_parts).filter(|part| !may_fail(part, &schema));
    let common: Vec<Expr> = common.collect();
    let conditions = distinct(conditions.into_iter().chain(parts).chain(common));
    let mut rest = conditions;
    let mut pushed = Vec::new();
    for side in sides {
        let reads = |column: &Column| side.schema().has_column(column);
        let (below, above) = movable(rest, side.schema(), &reads);
        rest = above;
        pushed.push(push(side, below)?);
    }
    let mut sides = pushed.into_iter();
    let Some(mut left) = sides.next() else { return internal_err!("a join has no sides") };
    let mut sides: Vec<LogicalPlan> = sides.collect();
    let mut moved = false;
    while !sides.is_empty() {
        let next = next_of(&left, &sides, &rest)?;
        moved |= next != 0;
        let right = sides.remove(next);
        let mut join = Join::try_new(
            Arc::new(left),
            Arc::new(right),
            Vec::new(),
            None,
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?;
        rest = equality::keys(&mut join, rest)?;
        // What can be asked by now is asked before more is joined.
        let (now, later) = movable(rest, &join.schema, &|column| join.schema.has_column(column));
        rest = later;
        left = filtered(LogicalPlan::Join(join), now)?;
    }
    let plan = filtered(left, rest)?;
    match moved {
        true => Ok(LogicalPlan::Projection(Projection::try_new(wanted, Arc::new(plan))?)),
        false => Ok(plan),
    }
}

/// The relations that `plan` joins by inner joins, in order, and what must hold of their rows.
fn flatten(plan: LogicalPlan, sides: &mut Vec<LogicalPlan>, conditions: &mut Vec<Expr>) {
    match plan {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let Join { left, right, on, filter, null_equality, .. } = join;
            flatten(owned(left), sides, conditions);
            flatten(owned(right), sides, conditions);
            let op = match null_equality {
                NullEquality::NullEqualsNothing => Operator::Eq,
                NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
            };
            let equal = |(left, right)| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
            conditions.extend(on.into_iter().map(equal));
            conditions.extend(filter.map(conjuncts).unwrap_or_default());
        }
        other => sides.push(other),
    }
}

/// The place of the first of `sides` that has an equality with `left`; the first of all if none has one.
fn next_of(left: &LogicalPlan, sides: &[LogicalPlan], conditions: &[Expr]) -> Result<usize> {
    for (place, side) in sides.iter().enumerate() {
        for condition in conditions {
            if equality::between(condition, left.schema(), side.schema())?.is_some() {
                return Ok(place);
            }
        }
    }
    Ok(0)
}

/// What every alternative of `part` asks: `(a = b AND c) OR (a = b AND d)` asks `a = b`.
fn common_parts(part: &Expr) -> Vec<Expr> {
    if !matches!(part, Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. })) {
        return Vec::new();
    }
    let mut alternatives = Vec::new();
    split(part, &mut alternatives);
    let mut alternatives = alternatives.into_iter().map(|alternative| conjuncts(alternative.clone()));
    let mut common = alternatives.next().unwrap_or_default();
    for parts in alternatives {
        common.retain(|known| parts.contains(known));
    }
    common
}

fn split<'e>(part: &'e Expr, alternatives: &mut Vec<&'e Expr>) {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            split(left, alternatives);
            split(right, alternatives);
        }
        other => alternatives.push(other),
    }
}

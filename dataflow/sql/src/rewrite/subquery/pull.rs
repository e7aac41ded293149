//! A subquery that refers to the query around it, taken apart: a plan that refers to nothing outside, and conditions
//! between its rows and those outside.
//!
//! For every row outside, the subquery's rows are those of the plan that meet the conditions. What the conditions read
//! stands in columns of names that nothing else has, behind the subquery's own.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{JoinType, Result, plan_err};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, FetchType, Filter, Join, Limit, LogicalPlan, Operator, Projection, SkipType,
    SubqueryAlias,
};

use super::{Joining, column};
use crate::rewrite::{columns, conjuncts};

/// A subquery, taken apart.
pub(super) struct Pulled {
    /// Its columns, then `extras`.
    pub plan: LogicalPlan,
    /// What the conditions read of the plan, in order.
    pub extras: Vec<String>,
    pub conditions: Vec<Condition>,
}

/// What must hold between a row outside and one of the subquery.
pub(super) struct Condition {
    /// References to the outside, and columns among the extras.
    expr: Expr,
    /// `=` or `IS NOT DISTINCT FROM` where it is such a comparison of one extra, on the right, with something outside.
    pub equality: Option<Operator>,
}

impl Condition {
    /// The condition over a join of the rows outside and those of the plan.
    pub fn on_join(self) -> Expr {
        outside(self.expr)
    }

    /// What is compared, outside and inside, of an equality.
    pub fn sides(&self) -> Option<(Expr, Expr, Operator)> {
        match (&self.expr, self.equality) {
            (Expr::BinaryExpr(BinaryExpr { left, right, .. }), Some(op)) => {
                Some((outside(left.as_ref().clone()), right.as_ref().clone(), op))
            }
            _ => None,
        }
    }
}

/// `expr` with references to the outside as plain columns.
pub(super) fn outside(expr: Expr) -> Expr {
    let plain = expr.transform_up(|node| match node {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    });
    plain.expect("the closure never fails").data
}

/// Takes `plan` apart. For `EXISTS` (`only_rows`) its columns do not matter, only whether there are rows.
///
/// # Errors
/// Where it refers to the outside in a place that no join can stand for.
pub(super) fn pulled(plan: LogicalPlan, only_rows: bool, names: &mut Joining) -> Result<Pulled> {
    let mut pull = Pull { names, only_rows, conditions: Vec::new() };
    let (plan, extras) = pull.plan(plan, true)?;
    Ok(Pulled { plan, extras, conditions: pull.conditions })
}

struct Pull<'a> {
    names: &'a mut Joining,
    only_rows: bool,
    conditions: Vec<Condition>,
}

/// A plan that refers to nothing outside, and the names of the columns that were added to it, which stand last.
type Made = (LogicalPlan, Vec<String>);

impl Pull<'_> {
    /// `plan`, which is the subquery itself if `top`.
    fn plan(&mut self, plan: LogicalPlan, top: bool) -> Result<Made> {
        if !refers_outside(&plan) {
            return Ok((plan, Vec::new()));
        }
        let top = top && self.only_rows;
        match plan {
            LogicalPlan::Filter(filter) => self.filter(filter, top),
            LogicalPlan::Projection(projection) => self.projection(projection, top),
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
                let (input, extras) = self.plan(owned(input), top)?;
                let plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias)?);
                let plan = with_extras_last(plan, &extras)?;
                Ok((plan, extras))
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let (input, extras) = self.plan(owned(input), top)?;
                Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(input))), extras))
            }
            LogicalPlan::Sort(sort) => self.plan(owned(sort.input), top),
            LogicalPlan::Limit(limit) if top && keeps_a_row(&limit)? => self.plan(owned(limit.input), top),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Limit(_) => refuse("below its LIMIT", "number the rows with row_number() and join"),
            LogicalPlan::Union(_) => refuse("inside a UNION", "write one subquery for each part"),
            LogicalPlan::Window(_) => refuse("below a window function", "write it as a JOIN"),
            _ => refuse("in such a place", "write it as a JOIN"),
        }
    }

    fn filter(&mut self, filter: Filter, top: bool) -> Result<Made> {
        let Filter { predicate, input, .. } = filter;
        let (mut plan, mut extras) = self.plan(owned(input), top)?;
        let (outer, inner): (Vec<Expr>, Vec<Expr>) = conjuncts(predicate).into_iter().partition(Expr::contains_outer);
        if let Some(predicate) = conjunction(inner) {
            plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?);
        }
        let mut added = Vec::new();
        for part in outer {
            self.condition(part, &mut added)?;
        }
        extras.extend(added.iter().map(|(name, _)| name.clone()));
        if !added.is_empty() {
            let added = added.into_iter().map(|(name, expr)| expr.alias(name));
            let exprs = columns(plan.schema()).into_iter().chain(added).collect();
            plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
        }
        Ok((plan, extras))
    }

    /// Notes a condition, and in `added` what it reads of the plan.
    fn condition(&mut self, part: Expr, added: &mut Vec<(String, Expr)>) -> Result<()> {
        if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &part
            && matches!(op, Operator::Eq | Operator::IsNotDistinctFrom)
        {
            let sides = match () {
                () if is_outside(left) && is_inside(right) => Some((left, right)),
                () if is_outside(right) && is_inside(left) => Some((right, left)),
                () => None,
            };
            if let Some((outer, inner)) = sides {
                let name = self.names.name("outer");
                added.push((name.clone(), inner.as_ref().clone()));
                let expr = BinaryExpr::new(outer.clone(), *op, Box::new(column(&name)));
                self.conditions.push(Condition { expr: Expr::BinaryExpr(expr), equality: Some(*op) });
                return Ok(());
            }
        }
        let expr = part.transform_up(|node| match node {
            Expr::Column(_) => {
                let name = match added.iter().find(|(_, known)| *known == node) {
                    Some((name, _)) => name.clone(),
                    None => {
                        let name = self.names.name("outer");
                        added.push((name.clone(), node));
                        name
                    }
                };
                Ok(Transformed::yes(column(&name)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        self.conditions.push(Condition { expr: expr.data, equality: None });
        Ok(())
    }

    fn projection(&mut self, projection: Projection, top: bool) -> Result<Made> {
        let Projection { expr, input, .. } = projection;
        let (input, extras) = self.plan(owned(input), top)?;
        // What EXISTS selects does not matter.
        let expr = if top { Vec::new() } else { expr };
        if expr.iter().any(Expr::contains_outer) {
            return refuse("in its SELECT list", "compute it outside of the subquery");
        }
        let mut exprs: Vec<Expr> = expr.into_iter().chain(extras.iter().map(|name| column(name))).collect();
        if exprs.is_empty() {
            exprs.push(datafusion_expr::lit(true).alias(self.names.name("row")));
        }
        Ok((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?), extras))
    }

    /// Groups for each value that is compared with the outside.
    fn aggregate(&mut self, aggregate: Aggregate) -> Result<Made> {
        let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
        let (input, extras) = self.plan(owned(input), false)?;
        if group_expr.is_empty() {
            return refuse("below an aggregate without GROUP BY", "write GROUP BY, or join with the aggregate");
        }
        if group_expr.iter().chain(&aggr_expr).any(Expr::contains_outer) {
            return refuse("inside an aggregate", "compute it outside of the subquery");
        }
        self.only_equalities()?;
        let groups = group_expr.into_iter().chain(extras.iter().map(|name| column(name))).collect();
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, aggr_expr)?);
        Ok((with_extras_last(plan, &extras)?, extras))
    }

    /// Rows of one group of an aggregate must fit all the same rows outside.
    fn only_equalities(&self) -> Result<()> {
        match self.conditions.iter().all(|condition| condition.equality.is_some()) {
            true => Ok(()),
            false => refuse("by something other than = below an aggregate", "join first and aggregate the result"),
        }
    }

    fn join(&mut self, join: Join) -> Result<Made> {
        let Join { left, right, on, filter, join_type, join_constraint, null_equality, null_aware, .. } = join;
        let both = join_type == JoinType::Inner;
        let kept = both || matches!(join_type, JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti);
        let in_on = on.iter().any(|(left, right)| left.contains_outer() || right.contains_outer());
        let in_filter = filter.as_ref().is_some_and(Expr::contains_outer);
        if in_on || !both && (in_filter || refers_outside(&right)) || !kept {
            return refuse("inside an outer join", "write it as a JOIN");
        }
        let (left, mut extras) = self.plan(owned(left), false)?;
        let (right, of_right) = self.plan(owned(right), false)?;
        let (outer, inner): (Vec<Expr>, Vec<Expr>) =
            filter.map(conjuncts).unwrap_or_default().into_iter().partition(Expr::contains_outer);
        let join = Join::try_new(
            Arc::new(left),
            Arc::new(right),
            on,
            conjunction(inner),
            join_type,
            join_constraint,
            null_equality,
            null_aware,
        )?;
        let mut added = Vec::new();
        for part in outer {
            self.condition(part, &mut added)?;
        }
        extras.extend(of_right);
        let plan = with_extras_last(LogicalPlan::Join(join), &extras)?;
        if added.is_empty() {
            return Ok((plan, extras));
        }
        extras.extend(added.iter().map(|(name, _)| name.clone()));
        let added = added.into_iter().map(|(name, expr)| expr.alias(name));
        let exprs = columns(plan.schema()).into_iter().chain(added).collect();
        Ok((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?), extras))
    }
}

/// `plan` with its columns `extras` last and without qualifiers.
fn with_extras_last(plan: LogicalPlan, extras: &[String]) -> Result<LogicalPlan> {
    if extras.is_empty() {
        return Ok(plan);
    }
    let is_extra = |expr: &Expr| match expr {
        Expr::Column(column) => extras.contains(&column.name),
        _ => false,
    };
    let all = columns(plan.schema());
    let mut exprs: Vec<Expr> = all.iter().filter(|expr| !is_extra(expr)).cloned().collect();
    for name in extras {
        let found = all.iter().find(|expr| matches!(expr, Expr::Column(column) if column.name == *name));
        exprs.extend(found.map(|expr| match expr {
            Expr::Column(column) if column.relation.is_none() => expr.clone(),
            _ => expr.clone().alias(name),
        }));
    }
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

fn owned(plan: Arc<LogicalPlan>) -> LogicalPlan {
    Arc::unwrap_or_clone(plan)
}

fn refuse<T>(place: &str, hint: &str) -> Result<T> {
    plan_err!("a subquery that refers to the query around it {place} cannot be kept up to date; {hint}")
}

/// Whether `plan` refers to the outside anywhere.
pub(super) fn refers_outside(plan: &LogicalPlan) -> bool {
    let mut found = false;
    // The closure never fails, so neither does the walk.
    let _ = plan.apply(|node| {
        found |= node.contains_outer_reference();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

fn is_outside(expr: &Expr) -> bool {
    expr.contains_outer() && !expr.any_column_refs()
}

fn is_inside(expr: &Expr) -> bool {
    !expr.contains_outer() && expr.any_column_refs()
}

/// Whether a limit keeps a row where there is one.
pub(super) fn keeps_a_row(limit: &Limit) -> Result<bool> {
    let fetches = match limit.get_fetch_type()? {
        FetchType::Literal(fetch) => fetch.is_none_or(|fetch| fetch > 0),
        FetchType::UnsupportedExpr => false,
    };
    Ok(fetches && matches!(limit.get_skip_type()?, SkipType::Literal(0)))
}

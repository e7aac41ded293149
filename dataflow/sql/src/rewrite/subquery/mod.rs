//! Subqueries become joins.
//!
//! | subquery | becomes |
//! |---|---|
//! | `EXISTS`, `IN` as a part of a `WHERE` | semi join |
//! | `NOT EXISTS` so | anti join |
//! | `NOT IN` so | anti join that knows of nulls |
//! | one used as a value | left join with the aggregate of its rows, a group for each value that it is compared with; cross join where it refers to nothing outside |
//! | `EXISTS`, `IN` anywhere else | numbers of rows, as values |
//!
//! A subquery over an aggregate without `GROUP BY` always has one row, also where no row of its input fits: a count is 0
//! then, and everything else is computed from that behind the join. Any other subquery that is used as a value is the
//! greatest of its values and their number: where there are several, whoever reads the value fails (in SQL it is an error).

mod pull;
mod scalar;

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, JoinConstraint, JoinType, NullEquality, Result, plan_err};
use datafusion_expr::expr::{Exists, InSubquery, SetQuantifier};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Expr, Filter, Join, LogicalPlan, Operator, Projection, Subquery, not};
use datafusion_optimizer::analyzer::type_coercion::TypeCoercionRewriter;

use super::nulls::never_null;
use super::{columns, conjuncts, floats};
use pull::{Pulled, pulled};

/// `plan` without subqueries.
///
/// # Errors
/// For a subquery that no join can stand for, in the form `message; hint`.
pub(super) fn joined(plan: LogicalPlan) -> Result<LogicalPlan> {
    Joining::default().plan(plan)
}

/// Names that no other column has.
#[derive(Default)]
struct Joining {
    names: usize,
}

/// What `NOT EXISTS` and the like look for.
struct Sought {
    /// What must be among the subquery's values; `None` for `EXISTS`.
    value: Option<Expr>,
    subquery: Subquery,
    negated: bool,
}

impl Joining {
    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("__{what}_{}", self.names)
    }

    fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = plan.transform_up(|node| {
            if !has_subquery(&node) {
                return Ok(Transformed::no(node));
            }
            let joined = match node {
                LogicalPlan::Filter(filter) => self.filter(filter)?,
                LogicalPlan::Projection(projection) => self.projection(projection)?,
                LogicalPlan::Join(_) => {
                    return plan_err!(
                        "a subquery in the condition of a JOIN cannot be kept up to date; put it into the WHERE of one side"
                    );
                }
                _ => {
                    return plan_err!(
                        "a subquery inside GROUP BY, ORDER BY or an aggregate cannot be kept up to date; \
                         compute it in a view of its own first"
                    );
                }
            };
            Ok(Transformed::yes(joined))
        })?;
        Ok(plan.data)
    }

    fn filter(&mut self, filter: Filter) -> Result<LogicalPlan> {
        let Filter { predicate, input, .. } = filter;
        let mut plan = Arc::unwrap_or_clone(input);
        let wanted = columns(plan.schema());
        let mut rest = Vec::new();
        for part in conjuncts(predicate) {
            match self.sought(&part)? {
                Some(sought) => plan = self.semi(plan, sought)?,
                None => {
                    let (joined, part) = self.values(plan, part)?;
                    plan = joined;
                    rest.push(part);
                }
            }
        }
        if let Some(predicate) = conjunction(rest) {
            plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?);
        }
        if plan.schema().fields().len() == wanted.len() {
            return Ok(plan);
        }
        Ok(LogicalPlan::Projection(Projection::try_new(wanted, Arc::new(plan))?))
    }

    fn projection(&mut self, projection: Projection) -> Result<LogicalPlan> {
        let Projection { expr, input, schema, .. } = projection;
        let mut plan = Arc::unwrap_or_clone(input);
        let mut exprs = Vec::new();
        for (expr, (relation, field)) in expr.into_iter().zip(schema.iter()) {
            let (joined, value) = self.values(plan, expr.clone())?;
            plan = joined;
            exprs.push(if value == expr { value } else { value.alias_qualified(relation.cloned(), field.name()) });
        }
        Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
    }

    /// `part` of a `WHERE`, if it is what a semi or anti join computes.
    fn sought(&mut self, part: &Expr) -> Result<Option<Sought>> {
        let sought = match part {
            Expr::Exists(Exists { subquery, negated }) => {
                Sought { value: None, subquery: subquery.clone(), negated: *negated }
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) if !expr.contains_scalar_subquery() => {
                Sought { value: Some(expr.as_ref().clone()), subquery: subquery.clone(), negated: *negated }
            }
            Expr::Not(inner) => {
                let Some(sought) = self.sought(inner)? else { return Ok(None) };
                Sought { negated: !sought.negated, ..sought }
            }
            _ => return Ok(None),
        };
        // One that always has one row is a value.
        Ok((!scalar::is_one_group(&sought.subquery.subquery)).then_some(sought))
    }

    fn semi(&mut self, plan: LogicalPlan, sought: Sought) -> Result<LogicalPlan> {
        let Sought { value, subquery, negated } = sought;
        let inner = self.plan(Arc::unwrap_or_clone(subquery.subquery.clone()))?;
        let Pulled { plan: inner, extras, conditions } = pulled(inner, value.is_none(), self)?;
        let plain_equalities = conditions.iter().all(|condition| condition.equality == Some(Operator::Eq));
        let null_aware = match &value {
            Some(value) if negated => {
                let known = never_null(value, &plan) && super::column_never_null(&inner, 0);
                if !known && !plain_equalities {
                    return self.counted(plan, Sought { value: Some(value.clone()), subquery, negated });
                }
                !known
            }
            _ => false,
        };
        let mut kept: Vec<Expr> = extras.iter().map(|name| column(name)).collect();
        let mut on = Vec::new();
        if let Some(value) = value {
            let name = self.name("in");
            let member = floats::of(columns(inner.schema())[0].clone(), inner.schema());
            kept.insert(0, member.alias(&name));
            on.push((floats::of(value, plan.schema()), column(&name)));
        }
        if kept.is_empty() {
            // Only whether there is a row matters.
            kept.push(datafusion_expr::lit(true).alias(self.name("row")));
        }
        let right = LogicalPlan::Projection(Projection::try_new(kept, Arc::new(inner))?);
        let mut filter = Vec::new();
        for condition in conditions {
            match condition.sides() {
                Some((outer, inner, Operator::Eq)) => on.push((outer, inner)),
                _ => filter.push(condition.on_join()),
            }
        }
        check_level(on.iter().map(|(outer, _)| outer).chain(&filter), &plan, &right)?;
        coerced(Join::try_new(
            Arc::new(plan),
            Arc::new(right),
            on,
            conjunction(filter),
            if negated { JoinType::LeftAnti } else { JoinType::LeftSemi },
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            null_aware,
        )?)
    }

    /// As [`Joining::semi`], by numbers of rows.
    fn counted(&mut self, plan: LogicalPlan, sought: Sought) -> Result<LogicalPlan> {
        let wanted = columns(plan.schema());
        let (plan, part) = self.found(plan, sought)?;
        let plan = LogicalPlan::Filter(Filter::try_new(part, Arc::new(plan))?);
        Ok(LogicalPlan::Projection(Projection::try_new(wanted, Arc::new(plan))?))
    }

    /// `expr` with each subquery replaced by its value, which `plan` has then.
    fn values(&mut self, plan: LogicalPlan, expr: Expr) -> Result<(LogicalPlan, Expr)> {
        let mut plan = Some(plan);
        let replaced = expr.transform_down(|node| {
            let taken = |plan: &mut Option<LogicalPlan>| plan.take().ok_or_else(lost);
            let (joined, value) = match node {
                Expr::ScalarSubquery(subquery) => {
                    let inner = self.plan(Arc::unwrap_or_clone(subquery.subquery))?;
                    self.value(taken(&mut plan)?, inner)?
                }
                Expr::Exists(Exists { subquery, negated }) => {
                    self.found(taken(&mut plan)?, Sought { value: None, subquery, negated })?
                }
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    let (below, value) = self.values(taken(&mut plan)?, *expr)?;
                    self.found(below, Sought { value: Some(value), subquery, negated })?
                }
                Expr::SetComparison(set) => {
                    let negated = match (&set.op, &set.quantifier) {
                        (Operator::Eq, SetQuantifier::Any) => false,
                        (Operator::NotEq, SetQuantifier::All) => true,
                        (op, quantifier) => {
                            return plan_err!(
                                "{op} {quantifier} over a subquery cannot be kept up to date; compare with its min or max"
                            );
                        }
                    };
                    let sought = Sought { value: Some(*set.expr), subquery: set.subquery, negated };
                    self.found(taken(&mut plan)?, sought)?
                }
                other => return Ok(Transformed::no(other)),
            };
            plan = Some(joined);
            Ok(Transformed::new(value, true, TreeNodeRecursion::Jump))
        })?;
        Ok((plan.ok_or_else(lost)?, replaced.data))
    }

    /// Whether what is sought is found, as a value: true, false or, as SQL has it for `IN`, null.
    fn found(&mut self, plan: LogicalPlan, sought: Sought) -> Result<(LogicalPlan, Expr)> {
        let Sought { value, subquery, negated } = sought;
        let inner = self.plan(Arc::unwrap_or_clone(subquery.subquery))?;
        let (plan, found) = match value {
            None => self.exists(plan, inner)?,
            Some(value) => self.is_in(plan, value, inner)?,
        };
        Ok((plan, if negated { not(found) } else { found }))
    }
}

fn lost() -> datafusion_common::DataFusionError {
    datafusion_common::internal_datafusion_err!("a plan was taken twice")
}

fn has_subquery(node: &LogicalPlan) -> bool {
    let mut found = false;
    // The closure never fails, so neither does the walk.
    let _ = node.apply_expressions(|expr| {
        let here = expr.exists(|expr| {
            Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)))
        });
        found |= here.unwrap_or(true);
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// Refuses expressions over a join of `left` and `right` that refer to neither.
fn check_level<'e>(exprs: impl Iterator<Item = &'e Expr>, left: &LogicalPlan, right: &LogicalPlan) -> Result<()> {
    for column in exprs.flat_map(Expr::column_refs) {
        if !left.schema().has_column(column) && !right.schema().has_column(column) {
            return plan_err!(
                "a subquery that refers to a query two levels around it (\"{}\") cannot be kept up to date; \
                 write the inner one as a JOIN",
                column.name
            );
        }
    }
    Ok(())
}

/// `join` with its two sides compared as one type: a subquery is planned before the types of what it refers to are settled.
fn coerced(join: Join) -> Result<LogicalPlan> {
    let both = join.left.schema().join(join.right.schema())?;
    TypeCoercionRewriter::new(&both).coerce_join(join).and_then(|plan| match plan {
        LogicalPlan::Join(mut join) => {
            let mut rewriter = TypeCoercionRewriter::new(&both);
            join.filter = join.filter.map(|filter| filter.rewrite(&mut rewriter)).transpose()?.map(|made| made.data);
            Ok(LogicalPlan::Join(join))
        }
        other => Ok(other),
    })
}

/// A column without a qualifier, of a name that is used once.
fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

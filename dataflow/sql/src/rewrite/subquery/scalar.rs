//! Subqueries as values: the aggregate of their rows, joined.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, JoinConstraint, JoinType, NullEquality, Result, ScalarValue, plan_err};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Aggregate, AggregateUDF, Expr, Filter, Join, LogicalPlan, Operator, Projection, SubqueryAlias, cast, lit, when,
};
use datafusion_functions_aggregate::count::count_udaf;
use datafusion_functions_aggregate::min_max::max_udaf;
use datafusion_optimizer::analyzer::type_coercion::TypeCoercionRewriter;

use super::pull::{Pulled, keeps_a_row, outside, pulled, refers_outside};
use super::{Joining, check_level, coerced, column};
use crate::rewrite::nulls::is_count;
use crate::rewrite::{columns, floats, functions};

/// Whether `plan` is computed from the one row of an aggregate without `GROUP BY`.
pub(super) fn is_one_group(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => is_one_group(&projection.input),
        LogicalPlan::Filter(filter) => is_one_group(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_group(&alias.input),
        LogicalPlan::Sort(sort) => is_one_group(&sort.input),
        LogicalPlan::Limit(limit) => keeps_a_row(limit).unwrap_or(false) && is_one_group(&limit.input),
        _ => false,
    }
}

/// The one row of a subquery: its columns, and whether it is there (`HAVING`); both over its aggregate's columns, those of
/// the rows outside, and references to them.
struct Row {
    values: Vec<Expr>,
    present: Option<Expr>,
}

/// An aggregate that refers to nothing outside, and the keys by which it is joined.
struct Groups {
    plan: LogicalPlan,
    /// Pairs of outside and inside.
    keys: Vec<(Expr, Expr)>,
    /// Conditions on pairs of nulls too.
    filter: Vec<Expr>,
}

impl Joining {
    /// The value of the subquery `inner`: null without a row, an error at run time with more than one.
    pub(super) fn value(&mut self, plan: LogicalPlan, inner: LogicalPlan) -> Result<(LogicalPlan, Expr)> {
        let inner = if is_one_group(&inner) { inner } else { only_row(inner)? };
        self.computed(plan, inner, |row| {
            let Some(value) = row.values.into_iter().next() else {
                return plan_err!("a subquery that is used as a value has no column; select one");
            };
            match row.present {
                Some(present) => when(present, value).end(),
                None => Ok(value),
            }
        })
    }

    /// Whether the subquery `inner` has a row.
    pub(super) fn exists(&mut self, plan: LogicalPlan, inner: LogicalPlan) -> Result<(LogicalPlan, Expr)> {
        if is_one_group(&inner) {
            return self.computed(plan, inner, |row| Ok(row.present.unwrap_or_else(|| lit(true)).is_true()));
        }
        let counted = aggregate(inner, vec![count(lit(1_i64))])?;
        self.computed(plan, counted, |row| Ok(row.values[0].clone().gt(lit(0_i64))))
    }

    /// `value IN inner`, null where SQL has it so.
    pub(super) fn is_in(&mut self, plan: LogicalPlan, value: Expr, inner: LogicalPlan) -> Result<(LogicalPlan, Expr)> {
        if is_one_group(&inner) {
            return self.computed(plan, inner, |row| {
                let equal = value.clone().eq(row.values[0].clone());
                match row.present {
                    Some(present) => when(present, equal).otherwise(lit(false)),
                    None => Ok(equal),
                }
            });
        }
        let member = floats::of(columns(inner.schema())[0].clone(), inner.schema());
        let value = floats::of(value, plan.schema());
        let equal = referring(value.clone(), plan.schema())?.eq(member.clone());
        let matching = LogicalPlan::Filter(Filter::try_new(equal, Arc::new(inner.clone()))?);
        let matching = aggregate(matching, vec![count(lit(1_i64))])?;
        let (plan, is_found) = self.computed(plan, matching, |row| Ok(row.values[0].clone().gt(lit(0_i64))))?;
        let members = aggregate(inner, vec![count(lit(1_i64)), count(member)])?;
        // 0: there is no member; 1: none of them is null; 2: one is.
        let (plan, kind) = self.computed(plan, members, |row| {
            let (all, known) = (row.values[0].clone(), row.values[1].clone());
            when(all.clone().eq(lit(0_i64)), lit(0_i64)).when(all.eq(known), lit(1_i64)).otherwise(lit(2_i64))
        })?;
        let unknown = value.is_null().or(kind.clone().eq(lit(2_i64)));
        let found = when(is_found, lit(true))
            .when(kind.eq(lit(0_i64)), lit(false))
            .when(unknown, Expr::Literal(ScalarValue::Boolean(None), None))
            .otherwise(lit(false))?;
        Ok((plan, found))
    }

    /// What `of` makes of the row of `inner`, which is computed from one group, beside each row of `plan`.
    fn computed(
        &mut self,
        plan: LogicalPlan,
        inner: LogicalPlan,
        of: impl FnOnce(Row) -> Result<Expr>,
    ) -> Result<(LogicalPlan, Expr)> {
        let (mut groups, row) = self.row(inner)?;
        let value = of(row)?;
        let alone = groups.keys.is_empty() && groups.filter.is_empty();
        let of_group = |value: &Expr| value.column_refs().into_iter().all(|c| groups.plan.schema().has_column(c));
        let value = match alone && !value.contains_outer() && of_group(&value) {
            // Computed before the join, it changes less often than what it is computed from.
            true => {
                let name = self.name("value");
                let computed = Projection::try_new(vec![value.alias(&name)], Arc::new(groups.plan))?;
                groups.plan = LogicalPlan::Projection(computed);
                column(&name)
            }
            false => outside(value),
        };
        let Groups { plan: group, keys, filter } = groups;
        check_level(keys.iter().map(|(outer, _)| outer).chain(&filter).chain([&value]), &plan, &group)?;
        let joined = coerced(Join::try_new(
            Arc::new(plan),
            Arc::new(group),
            keys,
            conjunction(filter),
            if alone { JoinType::Inner } else { JoinType::Left },
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?)?;
        let value = value.rewrite(&mut TypeCoercionRewriter::new(joined.schema()))?.data;
        Ok((joined, value))
    }

    /// The aggregate at the bottom of `inner`, and what the nodes above it make of its row.
    fn row(&mut self, inner: LogicalPlan) -> Result<(Groups, Row)> {
        let below = |input: Arc<LogicalPlan>| Arc::unwrap_or_clone(input);
        Ok(match inner {
            LogicalPlan::Aggregate(aggregate) => self.groups(aggregate)?,
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => self.row(below(input))?,
            LogicalPlan::Sort(sort) => self.row(below(sort.input))?,
            LogicalPlan::Limit(limit) => self.row(below(limit.input))?,
            LogicalPlan::Projection(Projection { expr, input, .. }) => {
                let schema = input.schema().clone();
                let (groups, row) = self.row(below(input))?;
                let values = expr.into_iter().map(|expr| over(expr.unalias_nested().data, &schema, &row.values));
                (groups, Row { values: values.collect::<Result<_>>()?, present: row.present })
            }
            LogicalPlan::Filter(Filter { predicate, input, .. }) => {
                let schema = input.schema().clone();
                let (groups, row) = self.row(below(input))?;
                let holds = over(predicate, &schema, &row.values)?;
                let present = match row.present {
                    Some(present) => present.and(holds),
                    None => holds,
                };
                (groups, Row { present: Some(present), ..row })
            }
            other => return plan_err!("\"{}\" is computed from no aggregate", other.display()),
        })
    }

    fn groups(&mut self, aggregate: Aggregate) -> Result<(Groups, Row)> {
        let Aggregate { input, aggr_expr, .. } = aggregate;
        if aggr_expr.iter().any(Expr::contains_outer) {
            return plan_err!(
                "a subquery that refers to the query around it inside an aggregate cannot be kept up to date; \
                 compute it outside of the subquery"
            );
        }
        let Pulled { plan, extras, conditions } = pulled(Arc::unwrap_or_clone(input), false, self)?;
        debug_assert!(!refers_outside(&plan), "what was taken apart refers to nothing outside");
        let (mut keys, mut filter) = (Vec::new(), Vec::new());
        for condition in conditions {
            match condition.sides() {
                Some((outer, inner, Operator::Eq)) => keys.push((outer, inner)),
                Some(_) => filter.push(condition.on_join()),
                None => {
                    return plan_err!(
                        "a subquery used as a value that is compared by something other than = cannot be kept up to \
                         date; join first and aggregate the result"
                    );
                }
            }
        }
        let counts: Vec<bool> = aggr_expr.iter().map(is_count).collect();
        let groups: Vec<Expr> = extras.iter().map(|name| column(name)).collect();
        let grouped = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(plan), groups.clone(), aggr_expr)?);
        let mut named = groups;
        let mut values = Vec::new();
        for (aggregate, is_count) in columns(grouped.schema()).into_iter().skip(extras.len()).zip(counts) {
            let name = self.name("group");
            named.push(aggregate.alias(&name));
            // Where no row of the subquery fits, a count is 0, and all else is null.
            values.push(match is_count && !extras.is_empty() {
                true => when(column(&name).is_null(), lit(0_i64)).otherwise(column(&name))?,
                false => column(&name),
            });
        }
        let plan = LogicalPlan::Projection(Projection::try_new(named, Arc::new(grouped))?);
        Ok((Groups { plan, keys, filter }, Row { values, present: None }))
    }
}

/// `expr` over `schema` with each column replaced by the value at its place.
fn over(expr: Expr, schema: &DFSchema, values: &[Expr]) -> Result<Expr> {
    let replaced = expr.transform_up(|node| match &node {
        Expr::Column(column) => Ok(Transformed::yes(values[schema.index_of_column(column)?].clone())),
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(replaced.data)
}

/// `expr` over the rows outside as a subquery refers to them.
fn referring(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let replaced = expr.transform_up(|node| match node {
        Expr::Column(column) => {
            let (_, field) = schema.qualified_field_from_column(&column)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field.clone(), column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

/// The only row of `inner`, by the greatest of its values and their number.
fn only_row(inner: LogicalPlan) -> Result<LogicalPlan> {
    let value = columns(inner.schema())[0].clone();
    let kind = inner.schema().field(0).data_type().clone();
    let is_truth = kind == DataType::Boolean;
    let ordered = is_truth || kind.is_numeric() || kind.is_string() || kind.is_temporal() && !is_interval(&kind);
    if !ordered {
        return plan_err!(
            "a subquery used as a value that is a list or an interval cannot be kept up to date; write it as a JOIN"
        );
    }
    let greatest = call(max_udaf(), if is_truth { cast(value, DataType::Int32) } else { value });
    let grouped = aggregate(inner, vec![greatest, count(lit(1_i64))])?;
    let made = columns(grouped.schema());
    let only = functions::only_row(made[0].clone(), made[1].clone());
    let only = if is_truth { cast(only, DataType::Boolean) } else { only };
    Ok(LogicalPlan::Projection(Projection::try_new(vec![only], Arc::new(grouped))?))
}

fn is_interval(kind: &DataType) -> bool {
    matches!(kind, DataType::Interval(_))
}

fn aggregate(inner: LogicalPlan, aggregates: Vec<Expr>) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(inner), Vec::new(), aggregates)?))
}

fn count(of: Expr) -> Expr {
    call(count_udaf(), of)
}

fn call(function: Arc<AggregateUDF>, of: Expr) -> Expr {
    Expr::AggregateFunction(AggregateFunction::new_udf(function, vec![of], false, None, Vec::new(), None))
}

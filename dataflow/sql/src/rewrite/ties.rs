//! Orders that decide between any two rows which differ.
//!
//! `ORDER BY … LIMIT` and `row_number()` leave open which of two equal rows comes first. Were it left to the operators,
//! they would compare the columns that happen to reach them, and those depend on who reads the view. So every order goes
//! on, ascending with nulls last, through all columns of the relation that is ordered, as the query has it; no further
//! than where a key is complete, since then no two rows are equal.

use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_expr::expr::Sort as SortExpr;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{Distinct, Expr, LogicalPlan, Sort, Window};

use crate::catalog::RelationId;
use crate::plan::relation_of;

/// The columns of a relation that are unique together, if any are known.
pub(crate) type Keys<'a> = dyn Fn(RelationId) -> Option<Vec<usize>> + 'a;

/// `plan` with every order complete.
pub(super) fn settled(plan: LogicalPlan, keys: &Keys<'_>) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Sort(Sort { expr, input, fetch }) => {
            let expr = complete(expr, &[], &input, keys)?;
            Ok(Transformed::yes(LogicalPlan::Sort(Sort { expr, input, fetch })))
        }
        LogicalPlan::Window(window) => {
            let names = NamePreserver::new_for_projection();
            let Window { input, window_expr, .. } = window;
            let completed = window_expr.into_iter().map(|expr| {
                let name = names.save(&expr);
                Ok(name.restore(numbered(expr, &input, keys)?))
            });
            Ok(Transformed::yes(LogicalPlan::Window(Window::try_new(completed.collect::<Result<_>>()?, input)?)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

/// A `row_number()` with its order complete; any other window function as it is.
fn numbered(expr: Expr, input: &LogicalPlan, keys: &Keys<'_>) -> Result<Expr> {
    match expr {
        Expr::WindowFunction(mut function) if function.fun.name() == "row_number" => {
            let params = &mut function.params;
            // Without an order it is refused later.
            if !params.order_by.is_empty() {
                params.order_by = complete(std::mem::take(&mut params.order_by), &params.partition_by, input, keys)?;
            }
            Ok(Expr::WindowFunction(function))
        }
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(numbered(*alias.expr, input, keys)?);
            Ok(Expr::Alias(alias))
        }
        other => Ok(other),
    }
}

/// `order` and then the columns of `input` that it lacks, up to a key. All rows agree on `fixed`.
fn complete(mut order: Vec<SortExpr>, fixed: &[Expr], input: &LogicalPlan, keys: &Keys<'_>) -> Result<Vec<SortExpr>> {
    let columns = super::columns(input.schema());
    let key = unique(input, keys)?;
    for column in &columns {
        let has = |column: &Expr| fixed.contains(column) || order.iter().any(|sort| sort.expr == *column);
        if key.as_ref().is_some_and(|key| key.iter().all(|place| has(&columns[*place]))) {
            break;
        }
        if !has(column) {
            order.push(SortExpr::new(column.clone(), true, false));
        }
    }
    Ok(order)
}

/// Columns of `plan` that are unique together, if any are known.
fn unique(plan: &LogicalPlan, keys: &Keys<'_>) -> Result<Option<Vec<usize>>> {
    Ok(match plan {
        LogicalPlan::TableScan(scan) if scan.projection.is_none() => keys(relation_of(scan)?),
        LogicalPlan::SubqueryAlias(alias) => unique(&alias.input, keys)?,
        LogicalPlan::Filter(filter) => unique(&filter.input, keys)?,
        LogicalPlan::Sort(sort) => unique(&sort.input, keys)?,
        LogicalPlan::Limit(limit) => unique(&limit.input, keys)?,
        LogicalPlan::Window(window) => unique(&window.input, keys)?,
        LogicalPlan::Distinct(Distinct::All(input)) => Some((0..input.schema().fields().len()).collect()),
        LogicalPlan::Aggregate(aggregate) => {
            let sets = aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)));
            (!sets).then(|| (0..aggregate.group_expr.len()).collect())
        }
        LogicalPlan::Projection(projection) => {
            let below = projection.input.schema();
            let place = |column: &usize| {
                projection.expr.iter().position(|expr| match expr.clone().unalias() {
                    Expr::Column(known) => below.index_of_column(&known).is_ok_and(|known| known == *column),
                    _ => false,
                })
            };
            unique(&projection.input, keys)?.and_then(|key| key.iter().map(place).collect())
        }
        _ => None,
    })
}

//! `USING` and `NATURAL` in right and full joins: the column without a qualifier is the one that is not null.
//!
//! DataFusion takes the left side's column for it. Here the join's output gets the merged value in the place of both
//! sides' columns. Queries that name one side's column on its own are refused.

use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::{JoinConstraint, JoinType, Result, plan_err};
use datafusion_expr::{Expr, Join, LogicalPlan, Projection, when};

/// `plan` with the columns of `USING` merged. `qualified` are the columns that the query names with their relation.
pub(super) fn merged(plan: LogicalPlan, qualified: &[String]) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join)
            if join.join_constraint == JoinConstraint::Using
                && matches!(join.join_type, JoinType::Right | JoinType::Full) =>
        {
            Ok(Transformed::yes(with_merged(join, qualified)?))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

fn with_merged(join: Join, qualified: &[String]) -> Result<LogicalPlan> {
    let mut columns = super::columns(&join.schema);
    for (left, right) in &join.on {
        let (Expr::Column(left_column), Expr::Column(right_column)) = (left, right) else { continue };
        if qualified.contains(&left_column.name) {
            let (name, kind) = (&left_column.name, join.join_type.to_string().to_uppercase());
            return plan_err!(
                "one side's \"{name}\" beside a {kind} JOIN that merges both sides' cannot be kept up to date; \
                 write the join with ON, or \"{name}\" without its relation"
            );
        }
        let value = match join.join_type {
            JoinType::Right => right.clone(),
            _ => when(left.clone().is_not_null(), left.clone()).otherwise(right.clone())?,
        };
        for column in [left_column, right_column] {
            let place = join.schema.index_of_column(column)?;
            columns[place] = value.clone().alias_qualified(column.relation.clone(), column.name.clone());
        }
    }
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Join(join)))?))
}

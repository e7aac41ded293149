//! `unnest` inside `GROUP BY`: what is below it in an order that is the same in each run.
//!
//! DataFusion collects the columns that aggregates read in a hash set, so that two runs of one job would have two plans.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_expr::{Aggregate, LogicalPlan, LogicalPlanBuilder, Projection, Unnest};

/// `plan` with the columns below such an `unnest` in the order of their names.
pub(super) fn ordered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. })
            if matches!(input.as_ref(), LogicalPlan::Unnest(_)) =>
        {
            let input = Arc::new(by_name(Arc::unwrap_or_clone(input))?);
            Ok(Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(input, group_expr, aggr_expr)?)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

fn by_name(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Unnest(Unnest { input, exec_columns, options, .. }) = plan else { return Ok(plan) };
    let LogicalPlan::Projection(Projection { mut expr, input, .. }) = Arc::unwrap_or_clone(input) else {
        return datafusion_common::internal_err!("an unnest is not over a projection");
    };
    expr.sort_by_cached_key(|expr| expr.schema_name().to_string());
    // A list of lists is unnested level by level.
    let input = Arc::new(by_name(Arc::unwrap_or_clone(input))?);
    let projection = LogicalPlan::Projection(Projection::try_new(expr, input)?);
    LogicalPlanBuilder::from(projection).unnest_columns_with_options(exec_columns, options)?.build()
}

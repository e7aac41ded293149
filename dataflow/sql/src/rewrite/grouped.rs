//! `GROUP BY a, a`: a group's key has each expression once. The planner keeps both, over a schema that has one.

use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_expr::{Aggregate, Expr, LogicalPlan};

/// `plan` with keys that have each expression once.
pub(super) fn once(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => {
            let mut keys: Vec<Expr> = Vec::new();
            for key in &aggregate.group_expr {
                if !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
            if keys.len() == aggregate.group_expr.len() {
                return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
            }
            let made = Aggregate::try_new(aggregate.input, keys, aggregate.aggr_expr)?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(made)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

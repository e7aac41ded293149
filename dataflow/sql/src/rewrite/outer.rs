//! References of subqueries to the query around them have the types that its columns have by now.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, LogicalPlan, Subquery};

/// `node` with such references in the subqueries of its expressions. Those that stand another query deeper keep theirs: the
/// query between may have columns of the same name.
pub(super) fn typed(node: LogicalPlan) -> Result<LogicalPlan> {
    let schema = merge_schema(&node.inputs());
    let node = node.map_subqueries(|plan| match plan {
        LogicalPlan::Subquery(Subquery { subquery, outer_ref_columns, spans }) => {
            let plan = Arc::unwrap_or_clone(subquery).transform_up(|inner| {
                let inner = super::retyped(inner)?;
                inner.map_expressions(|expr| expr.transform_up(|expr| Ok(current(expr, &schema))))
            })?;
            let columns = outer_ref_columns.into_iter().map(|column| current(column, &schema).data).collect();
            let subquery = Subquery { subquery: Arc::new(plan.data), outer_ref_columns: columns, spans };
            Ok(Transformed::yes(LogicalPlan::Subquery(subquery)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(node.data)
}

fn current(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::OuterReferenceColumn(field, column) => match schema.qualified_field_from_column(&column) {
            Ok((_, known)) => Transformed::yes(Expr::OuterReferenceColumn(known.clone(), column)),
            Err(_) => Transformed::no(Expr::OuterReferenceColumn(field, column)),
        },
        other => Transformed::no(other),
    }
}

//! `USING` and `NATURAL` in right and full joins: the column without a qualifier is the one that is not null.
//!
//! DataFusion takes the left side's column for it. Here the join's output gets the merged value in the place of the columns of
//! that name. One that the query names with its relation is a call of [`own`] to the planner: the join's output has it too,
//! behind the others and under a name of ours.

use std::collections::HashSet;
use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, FieldRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, JoinConstraint, JoinType, Result, internal_err, plan_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    ColumnarValue, Expr, Join, LogicalPlan, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, when,
};

/// `plan` with the columns of `USING` merged.
///
/// # Errors
/// If it names a relation's own column where that is lost.
pub(super) fn merged(plan: LogicalPlan) -> Result<LogicalPlan> {
    let found = Found::of(&plan)?;
    if found.merged.is_empty() && found.owned.is_empty() {
        return Ok(plan);
    }
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = node.recompute_schema()?;
        let schema = merge_schema(&node.inputs());
        let node = super::with_expressions(node, |expr| settled(expr, &schema, &found.merged))?;
        match node.data {
            LogicalPlan::Join(join) if merges(&join) => Ok(Transformed::yes(with_merged(join, &found.owned)?)),
            other => Ok(Transformed::new_transformed(other, node.transformed)),
        }
    })?;
    Ok(plan.data)
}

/// Whether the merged column of `join` may be another one than its left side's.
fn merges(join: &Join) -> bool {
    join.join_constraint == JoinConstraint::Using && matches!(join.join_type, JoinType::Right | JoinType::Full)
}

/// Columns of a plan.
#[derive(Default)]
struct Found {
    /// Those in whose place a join has the merged value.
    merged: HashSet<Column>,
    /// Those that are named with their relation.
    owned: HashSet<Column>,
}

impl Found {
    fn of(plan: &LogicalPlan) -> Result<Found> {
        let mut found = Found::default();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Join(join) = node
                && merges(join)
            {
                found.merged.extend(merged_columns(join).into_iter().map(|(_, column, _)| column));
            }
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Some(Expr::Column(column)) = owned(expr) {
                        found.owned.insert(column.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(found)
    }
}

/// The columns of `join` that stand for a merged one: their places, and the keys that are merged.
fn merged_columns(join: &Join) -> Vec<(usize, Column, (Expr, Expr))> {
    let mut found = Vec::new();
    for (left, right) in &join.on {
        let Expr::Column(key) = left else { continue };
        let columns = join.schema.columns().into_iter().enumerate().filter(|(_, column)| column.name == key.name);
        found.extend(columns.map(|(place, column)| (place, column, (left.clone(), right.clone()))));
    }
    found
}

fn with_merged(join: Join, owned: &HashSet<Column>) -> Result<LogicalPlan> {
    let mut columns = super::columns(&join.schema);
    let mut own = Vec::new();
    for (place, column, (left, right)) in merged_columns(&join) {
        let value = match join.join_type {
            JoinType::Right => right,
            _ => when(left.clone().is_not_null(), left).otherwise(right)?,
        };
        if owned.contains(&column) && !join.schema.has_column(&own_name(&column)) {
            let Column { relation, name, .. } = own_name(&column);
            own.push(Expr::Column(column.clone()).alias_qualified(relation, name));
        }
        columns[place] = value.alias_qualified(column.relation, column.name);
    }
    columns.extend(own);
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Join(join)))?))
}

/// What `column` is called beside the merged one.
fn own_name(column: &Column) -> Column {
    Column::new(column.relation.clone(), format!("own {}", column.name))
}

/// `expr` over `schema`, a column of its own where it is one.
fn settled(expr: Expr, schema: &DFSchema, merged: &HashSet<Column>) -> Result<Transformed<Expr>> {
    let Some(inner) = owned(&expr) else { return Ok(Transformed::no(expr)) };
    match inner {
        Expr::Column(column) if schema.has_column(&own_name(column)) => {
            Ok(Transformed::yes(Expr::Column(own_name(column))))
        }
        Expr::Column(column) | Expr::OuterReferenceColumn(_, column) if merged.contains(column) => plan_err!(
            "\"{}\" of one side of a RIGHT or FULL JOIN that merges both sides' cannot be kept up to date here; \
             name it in a query that only joins, and read that: SELECT … FROM (SELECT {} AS own, … FROM … JOIN …) WHERE …",
            column.name,
            column.quoted_flat_name()
        ),
        inner => Ok(Transformed::yes(inner.clone())),
    }
}

/// `column`, named with its relation, as a call that nothing computes.
pub(crate) fn own(column: Expr) -> Expr {
    match column {
        Expr::Column(_) | Expr::OuterReferenceColumn(..) => {
            let function = Arc::new(ScalarUDF::from(Own { signature: Signature::any(1, Volatility::Immutable) }));
            Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![column]))
        }
        other => other,
    }
}

/// What `expr` is a call of [`own`] of.
fn owned(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.func.inner().is::<Own>() => call.args.first(),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Own {
    signature: Signature,
}

impl ScalarUDFImpl for Own {
    fn name(&self) -> &str {
        "own"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of] => Ok(of.clone()),
            _ => internal_err!("a column is one"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [of] => Ok(of.clone()),
            _ => internal_err!("a column is one"),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("a column is not computed")
    }
}

//! Constants: an expression of constants alone is evaluated now, by what will evaluate it at run time.
//!
//! One that fails stays as it is: it may stand in a branch that is never taken. `AND` and `OR` with a constant are the
//! other side, or the constant. Casts that only widen a compared integer go. Functions that are only notation for something else (`coalesce`) are replaced by it.

use std::sync::Arc;

use catchment_engine::flatten;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{BinaryExpr, Expr, LogicalPlan, Operator, Volatility};

use super::{unwrap, with_expressions};
use crate::expr::Expression;

/// Functions that are replaced by other expressions before they are evaluated; DataFusion evaluates some of them only so.
const NOTATION: [&str; 8] =
    ["arrow_cast", "arrow_try_cast", "cast_to_type", "coalesce", "get_field", "nvl", "nvl2", "try_cast_to_type"];

/// `plan` with its constants evaluated.
pub(super) fn constants(plan: LogicalPlan, config: &Arc<ConfigOptions>) -> Result<LogicalPlan> {
    let props = ExecutionProps { config_options: Some(config.clone()), ..ExecutionProps::default() };
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = Arc::new(merge_schema(&node.inputs()));
        let context = SimplifyContext::builder().with_schema(schema).with_config_options(config.clone()).build();
        with_expressions(node, |expr| fold(expr, &context, &props))
    })?;
    Ok(plan.data)
}

fn fold(expr: Expr, context: &SimplifyContext, props: &ExecutionProps) -> Result<Transformed<Expr>> {
    let expr = match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) if NOTATION.contains(&func.name()) => {
            match func.simplify(args, context)? {
                ExprSimplifyResult::Simplified(simpler) => {
                    // What it became may be constant, or notation again.
                    let folded = simpler.transform_up(|expr| fold(expr, context, props))?;
                    return Ok(Transformed::yes(folded.data));
                }
                ExprSimplifyResult::Original(args) => Expr::ScalarFunction(ScalarFunction { func, args }),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            // `true AND x` and `false OR x` are x; `false AND x` and `true OR x` are the constant.
            let neutral = op == Operator::And;
            match (truth(&left), truth(&right)) {
                (Some(value), _) => return Ok(Transformed::yes(if value == neutral { *right } else { *left })),
                (_, Some(value)) => return Ok(Transformed::yes(if value == neutral { *left } else { *right })),
                _ => Expr::BinaryExpr(BinaryExpr { left, op, right }),
            }
        }
        other => other,
    };
    if let Some(compared) = unwrap::compared(&expr, context.schema()) {
        return Ok(Transformed::yes(compared));
    }
    match evaluated(&expr, props) {
        Some(value) => Ok(Transformed::yes(Expr::Literal(value, None))),
        None => Ok(Transformed::no(expr)),
    }
}

fn truth(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Literal(ScalarValue::Boolean(value), _) => *value,
        _ => None,
    }
}

/// The value of an expression of constants; `None` if it is none, or cannot be computed.
fn evaluated(expr: &Expr, props: &ExecutionProps) -> Option<ScalarValue> {
    let foldable = match expr {
        Expr::ScalarFunction(function) => function.func.signature().volatility == Volatility::Immutable,
        Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => true,
        _ => false,
    };
    if !foldable || !of_constants(expr) {
        return None;
    }
    let array = Expression::compile(expr, &DFSchema::empty(), props).ok()?.evaluate(&[], 1).ok()?;
    ScalarValue::try_from_array(&flatten(&array), 0).ok()
}

fn of_constants(expr: &Expr) -> bool {
    let mut constant = true;
    // The closure never fails, so neither does the walk.
    let _ = expr.apply_children(|child| {
        constant &= matches!(child, Expr::Literal(..));
        Ok(TreeNodeRecursion::Continue)
    });
    constant
}

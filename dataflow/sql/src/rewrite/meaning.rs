//! Operators whose evaluation means something else in SQL, written so that it means the same.
//!
//! | query | evaluated as |
//! |---|---|
//! | comparison of intervals | of their lengths: DataFusion compares months, days and nanoseconds field by field |
//! | `x SIMILAR TO 'pattern'` | a regular expression of the whole text |
//! | `-x` of integers | `0 - x`, which fails instead of wrapping |
//! | `x << n`, `x >> n` | a shift that fails unless n is from 0 to 63 |
//! | casts | of times in microseconds, of numbers with rounding, to texts as PostgreSQL writes them |
//! | `x LIKE 'a!%' ESCAPE '!'` | with the escape that DataFusion knows |

mod casts;
mod like;
mod similar;

use catchment_contract::arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion_expr::expr::InList;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast};

use super::{functions, with_expressions};

/// `plan` with such operators replaced.
pub(super) fn settled(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        // Times below are in microseconds by now.
        let node = super::retyped(node)?;
        let schema = merge_schema(&node.inputs());
        with_expressions(node, |expr| meant(expr, &schema))
    })?;
    Ok(plan.data)
}

fn meant(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::SimilarTo(like) => Transformed::yes(similar::matched(like)?),
        Expr::Like(like) if like.escape_char.is_some_and(|escape| escape != '\\') => {
            Transformed::yes(Expr::Like(like::with_backslashes(like)?))
        }
        Expr::Literal(value, metadata) if matches!(value.data_type(), DataType::Timestamp(..)) => {
            Transformed::yes(Expr::Literal(casts::time(&value)?, metadata))
        }
        Expr::Cast(cast) => Transformed::yes(casts::cast(cast, schema)?),
        Expr::TryCast(cast) => Transformed::yes(casts::try_cast(cast, schema)?),
        Expr::Negative(inner) if inner.get_type(schema)?.is_integer() => {
            let zero = ScalarValue::new_zero(&inner.get_type(schema)?)?;
            Transformed::yes(Expr::Literal(zero, None) - *inner)
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::BitwiseShiftLeft | Operator::BitwiseShiftRight),
            right,
        }) => {
            let kind = left.get_type(schema)?;
            if !kind.is_signed_integer() {
                return plan_err!("cannot shift a value of the type {kind}; write CAST(… AS BIGINT) around it");
            }
            let wide = |expr: Expr| cast(expr, DataType::Int64);
            let shifted = functions::shift(wide(*left), wide(*right), op == Operator::BitwiseShiftLeft);
            Transformed::yes(if kind == DataType::Int64 { shifted } else { cast(shifted, kind) })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if is_comparison(op) && of_intervals(&left, &right, schema) =>
        {
            let (left, right) = (length(*left, schema)?, length(*right, schema)?);
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::Between(Between { expr, negated, low, high }) if of_intervals(&expr, &low, schema) => {
            let (expr, low, high) = (length(*expr, schema)?, length(*low, schema)?, length(*high, schema)?);
            Transformed::yes(Expr::Between(Between::new(Box::new(expr), negated, Box::new(low), Box::new(high))))
        }
        Expr::InList(InList { expr, list, negated }) if of_intervals(&expr, &expr, schema) => {
            let list = list.into_iter().map(|item| length(item, schema)).collect::<Result<_>>()?;
            Transformed::yes(Expr::InList(InList { expr: Box::new(length(*expr, schema)?), list, negated }))
        }
        other => Transformed::no(other),
    })
}

/// Whether `op` compares two values.
pub(super) fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn of_intervals(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let is_interval = |expr: &Expr| expr.get_type(schema).is_ok_and(|kind| matches!(kind, DataType::Interval(_)));
    is_interval(left) || is_interval(right)
}

/// A length of time in microseconds.
fn length(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let microseconds = DataType::Duration(TimeUnit::Microsecond);
    // A difference of times is a number already; as an interval it would not hold every difference.
    if let Expr::Cast(inner) = &expr
        && matches!(inner.expr.get_type(schema)?, DataType::Duration(_))
    {
        return Ok(cast(cast(inner.expr.as_ref().clone(), microseconds), DataType::Int64));
    }
    Ok(match expr.get_type(schema)? {
        DataType::Duration(_) => cast(cast(expr, microseconds), DataType::Int64),
        DataType::Interval(_) => {
            let whole = DataType::Interval(catchment_contract::arrow::datatypes::IntervalUnit::MonthDayNano);
            functions::interval_length(if expr.get_type(schema)? == whole { expr } else { cast(expr, whole) })
        }
        kind => return plan_err!("cannot compare an interval with a value of the type {kind}; compare two intervals"),
    })
}

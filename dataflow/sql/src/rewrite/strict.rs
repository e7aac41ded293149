//! Expressions that are null where some of their columns are.

use super::functions::PLAIN_FLOAT;
use datafusion_common::Column;
use datafusion_expr::{Between, BinaryExpr, Expr, Like, Operator};

/// Whether `expr` is null in every row in which all columns that `of` chooses are null. Errs on the side of no.
pub(super) fn is_null_with(expr: &Expr, of: &dyn Fn(&Column) -> bool) -> bool {
    let null = |expr: &Expr| is_null_with(expr, of);
    match expr {
        Expr::Column(column) => of(column),
        Expr::Literal(value, _) => value.is_null(),
        Expr::Alias(alias) => null(&alias.expr),
        Expr::Cast(cast) => null(&cast.expr),
        Expr::TryCast(cast) => null(&cast.expr),
        Expr::Negative(inner) | Expr::Not(inner) => null(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => null(left) && null(right),
            Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => false,
            Operator::StringConcat => null(left) || null(right),
            op if op.supports_propagation() => null(left) || null(right),
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
                null(left) || null(right)
            }
            _ => false,
        },
        Expr::ScalarFunction(function) if function.func.name() == PLAIN_FLOAT => function.args.iter().any(null),
        Expr::Like(Like { expr, pattern, .. }) => null(expr) || null(pattern),
        // `NULL BETWEEN …` is null; `x BETWEEN NULL AND 1` is false where x is greater.
        Expr::Between(Between { expr, .. }) => null(expr),
        Expr::InList(list) => !list.list.is_empty() && null(&list.expr),
        _ => false,
    }
}

/// Whether no row in which all columns that `of` chooses are null passes the filter `predicate`. Errs on the side of no.
pub(super) fn rejects_nulls(predicate: &Expr, of: &dyn Fn(&Column) -> bool) -> bool {
    match predicate {
        Expr::IsNotNull(inner) | Expr::IsTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotUnknown(inner) => {
            is_null_with(inner, of)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            rejects_nulls(left, of) || rejects_nulls(right, of)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            rejects_nulls(left, of) && rejects_nulls(right, of)
        }
        other => is_null_with(other, of),
    }
}

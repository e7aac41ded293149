//! Integers compared with a constant as what they are: `CAST(n AS DECIMAL(20, 0)) <= 10` is `n <= 10`.
//!
//! Only where the cast cannot fail and keeps every value, and the constant is a value of the column's type: then both
//! comparisons have the same answer for every row.

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::InList;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable};

use super::may_fail::cast_may_fail;

/// `expr`, a comparison over `schema`, without a cast that changes nothing; `None` if there is none.
pub(super) fn compared(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let (left, right) = match (narrow(left, schema), narrow(right, schema)) {
                (Some((inner, kind)), _) => (inner, exact(right, &kind)?),
                (_, Some((inner, kind))) => (exact(left, &kind)?, inner),
                _ => return None,
            };
            Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right))))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let (inner, kind) = narrow(expr, schema)?;
            let (low, high) = (exact(low, &kind)?, exact(high, &kind)?);
            Some(Expr::Between(Between::new(Box::new(inner), *negated, Box::new(low), Box::new(high))))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let (inner, kind) = narrow(expr, schema)?;
            let list = list.iter().map(|item| exact(item, &kind)).collect::<Option<_>>()?;
            Some(Expr::InList(InList { expr: Box::new(inner), list, negated: *negated }))
        }
        _ => None,
    }
}

/// What a cast of an integer is made of, if it keeps every value, and its type.
fn narrow(expr: &Expr, schema: &DFSchema) -> Option<(Expr, DataType)> {
    let Expr::Cast(cast) = expr else { return None };
    let (from, to) = (cast.expr.get_type(schema).ok()?, cast.field.data_type());
    let keeps = match to {
        DataType::Decimal128(_, scale) => *scale >= 0,
        other => other.is_integer(),
    };
    (from.is_integer() && keeps && !cast_may_fail(&from, to)).then(|| (cast.expr.as_ref().clone(), from))
}

/// The constant `expr` as a value of `kind`, if it is one.
fn exact(expr: &Expr, kind: &DataType) -> Option<Expr> {
    let Expr::Literal(value, _) = expr else { return None };
    let narrow = value.cast_to(kind).ok()?;
    let back: ScalarValue = narrow.cast_to(&value.data_type()).ok()?;
    (back == *value && narrow.is_null() == value.is_null()).then_some(Expr::Literal(narrow, None))
}

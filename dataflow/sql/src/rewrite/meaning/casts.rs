//! Casts as SQL has them: whole numbers are rounded, not cut; times are in microseconds, since nanoseconds end in 2262; texts
//! are PostgreSQL's.

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion_expr::expr::{Cast, TryCast};
use datafusion_expr::{Expr, ExprSchemable, cast as cast_to, try_cast as try_cast_to};

use crate::catalog::timestamp_type;
use crate::rewrite::{functions, types};

/// What `cast` means.
pub(super) fn cast(cast: Cast, schema: &DFSchema) -> Result<Expr> {
    meant(*cast.expr, cast.field.data_type().clone(), schema, cast_to)
}

/// What `cast` means.
pub(super) fn try_cast(cast: TryCast, schema: &DFSchema) -> Result<Expr> {
    meant(*cast.expr, cast.field.data_type().clone(), schema, try_cast_to)
}

fn meant(expr: Expr, to: DataType, schema: &DFSchema, make: fn(Expr, DataType) -> Expr) -> Result<Expr> {
    let from = expr.get_type(schema)?;
    Ok(match (&from, &to) {
        (_, DataType::Timestamp(_, Some(zone))) if !matches!(zone.as_ref(), "UTC" | "+00:00" | "+00" | "Z") => {
            return plan_err!(
                "times are in UTC, not in the zone \"{zone}\"; leave AT TIME ZONE out, or add an INTERVAL"
            );
        }
        (DataType::Timestamp(..) | DataType::Date32 | DataType::Date64, DataType::Timestamp(..)) => {
            instant(expr, &from, make)
        }
        (DataType::Null, DataType::Timestamp(..)) => make(expr, timestamp_type()),
        (from, DataType::Timestamp(..)) if from.is_string() => make(with_seconds(expr), timestamp_type()),
        (_, DataType::Timestamp(..)) => make(make(expr, to), timestamp_type()),
        (from, to) if from.is_floating() && to.is_integer() => make(functions::to_even(expr), to.clone()),
        (DataType::Decimal128(digits, scale @ 1..), to) if to.is_integer() => {
            let whole = digits.saturating_sub(scale.unsigned_abs()) + 1;
            make(cast_to(expr, DataType::Decimal128(whole, 0)), to.clone())
        }
        (DataType::Float32 | DataType::Float64, to) if to.is_string() => text(functions::text_of(expr), to),
        (DataType::Timestamp(..), to) if to.is_string() => text(functions::text_of(instant(expr, &from, cast_to)), to),
        (DataType::Interval(_) | DataType::Duration(_), to) if to.is_string() => return types::no_text(),
        _ => make(expr, to),
    })
}

/// `value`, a time, in microseconds.
pub(super) fn time(value: &ScalarValue) -> Result<ScalarValue> {
    value.cast_to(&timestamp_type())
}

/// `expr`, a time or date of the type `from`, in microseconds.
fn instant(expr: Expr, from: &DataType, make: fn(Expr, DataType) -> Expr) -> Expr {
    if *from == timestamp_type() { expr } else { make(expr, timestamp_type()) }
}

/// `expr` with seconds if it is a time of day without them, `2024-01-31 12:30`, which SQL knows and DataFusion does not.
fn with_seconds(expr: Expr) -> Expr {
    let Expr::Literal(value, metadata) = &expr else { return expr };
    let Some(text) = value.try_as_str().flatten() else { return expr };
    let text = text.trim();
    let lacks = text.get(10..).is_some_and(|time| {
        let digits = |place: usize| time.as_bytes().get(place).is_some_and(u8::is_ascii_digit);
        time.len() == 6 && time.as_bytes()[3] == b':' && [1, 2, 4, 5].into_iter().all(digits)
    });
    if lacks { Expr::Literal(ScalarValue::Utf8(Some(format!("{text}:00"))), metadata.clone()) } else { expr }
}

fn text(expr: Expr, to: &DataType) -> Expr {
    if *to == DataType::Utf8View { expr } else { cast_to(expr, to.clone()) }
}

//! Arithmetic that DataFusion does otherwise than SQL.

use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array};
use catchment_contract::arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, i256};
use datafusion_common::{Result, exec_err, internal_err};

/// Digits behind the point of a quotient of decimals, unless its operands have more.
const QUOTIENT_SCALE: i8 = 16;
/// Digits of a decimal.
const DIGITS_MAX: u8 = 38;

/// Each of `values` rounded to a whole number, halves to the even one.
pub(super) fn to_even(values: &ArrayRef) -> Result<ArrayRef> {
    if let Some(floats) = values.as_primitive_opt::<Float64Type>() {
        let rounded: Float64Array = floats.unary(f64::round_ties_even);
        return Ok(Arc::new(rounded));
    }
    if let Some(floats) = values.as_primitive_opt::<Float32Type>() {
        let rounded: Float32Array = floats.unary(f32::round_ties_even);
        return Ok(Arc::new(rounded));
    }
    internal_err!("{} is no float", values.data_type())
}

/// `values`, all of which are above zero or null.
pub(super) fn positive(values: &ArrayRef) -> Result<ArrayRef> {
    let Some(floats) = values.as_primitive_opt::<Float64Type>() else {
        return internal_err!("{} is no double", values.data_type());
    };
    match floats.iter().flatten().find(|value| *value <= 0.0) {
        Some(0.0) => exec_err!("zero has no logarithm"),
        Some(_) => exec_err!("a negative number has no logarithm"),
        None => Ok(values.clone()),
    }
}

/// `values`, all of which have as many digits as a decimal may have.
pub(super) fn fitting(values: &ArrayRef) -> Result<ArrayRef> {
    let Some(decimals) = values.as_primitive_opt::<Decimal128Type>() else { return Ok(values.clone()) };
    match decimals.iter().flatten().any(|value| value.unsigned_abs() >= 10_u128.pow(DIGITS_MAX.into())) {
        true => exec_err!("a decimal has more than {DIGITS_MAX} digits"),
        false => Ok(values.clone()),
    }
}

/// The type of the quotient of two decimals.
pub(super) fn quotient_type(left: &DataType, right: &DataType) -> Result<DataType> {
    match (left, right) {
        (DataType::Decimal128(_, left), DataType::Decimal128(_, right)) => {
            Ok(DataType::Decimal128(DIGITS_MAX, QUOTIENT_SCALE.max(*left).max(*right)))
        }
        _ => internal_err!("{left} and {right} are no decimals"),
    }
}

/// `left / right` of decimals, rounded.
pub(super) fn quotients(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let output = quotient_type(left.data_type(), right.data_type())?;
    let (DataType::Decimal128(_, of_left), DataType::Decimal128(_, of_right), DataType::Decimal128(_, scale)) =
        (left.data_type(), right.data_type(), &output)
    else {
        return internal_err!("a quotient is no decimal");
    };
    let (left, right) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
    // The result's scale is not below the left's; a right scale below 0 does not come from SQL.
    let shift = u32::from((scale - of_left + of_right).unsigned_abs());
    let Some(power) = i256::from_i128(10).checked_pow(shift) else {
        return exec_err!("a quotient has too many digits");
    };
    let divided = left.iter().zip(right).map(|pair| match pair {
        (Some(_), Some(0)) => exec_err!("divide by zero error"),
        (Some(left), Some(right)) => quotient(left, right, power).map(Some),
        _ => Ok(None),
    });
    let quotients = divided.collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(quotients.with_data_type(output)))
}

fn quotient(left: i128, right: i128, power: i256) -> Result<i128> {
    let (Some(left), right) = (i256::from_i128(left).checked_mul(power), i256::from_i128(right)) else {
        return exec_err!("the quotient of two decimals has more than {DIGITS_MAX} digits");
    };
    let (whole, rest) = (left / right, left % right);
    // Halves go away from zero.
    let twice = rest.wrapping_abs().wrapping_mul(i256::from_i128(2));
    let away = match twice >= right.wrapping_abs() {
        true if (left < i256::ZERO) != (right < i256::ZERO) => i256::from_i128(-1),
        true => i256::from_i128(1),
        false => i256::ZERO,
    };
    match (whole + away).to_i128().filter(|value| value.unsigned_abs() < 10_u128.pow(DIGITS_MAX.into())) {
        Some(value) => Ok(value),
        None => exec_err!("the quotient of two decimals has more than {DIGITS_MAX} digits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_and_fail_where_they_do_not_fit() {
        let array = |value: i128, precision, scale| -> ArrayRef {
            let array = Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale);
            Arc::new(array.expect("a decimal"))
        };
        let of = |left: ArrayRef, right: ArrayRef| {
            quotients(&left, &right)
                .map(|made| made.as_primitive::<Decimal128Type>().value(0))
                .map_err(|e| e.to_string())
        };
        assert_eq!(of(array(1, 10, 2), array(3, 1, 0)), Ok(33_333_333_333_333));
        assert_eq!(of(array(200, 10, 2), array(3, 1, 0)), Ok(6_666_666_666_666_667));
        assert_eq!(of(array(-200, 10, 2), array(3, 1, 0)), Ok(-6_666_666_666_666_667));
        assert!(of(array(1, 10, 2), array(0, 1, 0)).is_err_and(|error| error.contains("zero")));
        let large = 10_i128.pow(37);
        assert!(of(array(large, 38, 0), array(1, 38, 10)).is_err_and(|error| error.contains("38 digits")));
    }

    #[test]
    fn halves_go_to_the_even_number() {
        let given: ArrayRef = Arc::new(Float64Array::from(vec![2.5, 3.5, -2.5, 0.4, f64::NAN]));
        let rounded = to_even(&given).expect("floats");
        let rounded: Vec<f64> = rounded.as_primitive::<Float64Type>().values().to_vec();
        assert_eq!(rounded[..4], [2.0, 4.0, -2.0, 0.0]);
        assert!(rounded[4].is_nan());
    }
}

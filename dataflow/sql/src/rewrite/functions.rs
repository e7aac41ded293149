//! Functions that plans need and no query names: what SQL's operators do where DataFusion's do something else.

use std::sync::{Arc, LazyLock};

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use catchment_contract::arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, IntervalMonthDayNanoType};
use datafusion_common::cast::as_int64_array;
use datafusion_common::{Result, exec_err, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The value of a subquery: of its rows' only value and their number.
pub(super) fn only_row(value: Expr, rows: Expr) -> Expr {
    call(Function::OnlyRow, vec![value, rows])
}

/// An interval's length in microseconds, a month being 30 days and a day 24 hours: what intervals are compared by.
pub(super) fn interval_length(interval: Expr) -> Expr {
    call(Function::IntervalLength, vec![interval])
}

/// `value << places` or `value >> places`, of 64-bit integers.
pub(super) fn shift(value: Expr, places: Expr, left: bool) -> Expr {
    call(if left { Function::ShiftLeft } else { Function::ShiftRight }, vec![value, places])
}

/// `value`, a float, with one zero and one NaN.
pub(super) fn plain_float(value: Expr) -> Expr {
    call(Function::PlainFloat, vec![value])
}

/// Whether `expr` is a [`plain_float`].
pub(super) fn is_plain(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(function) if function.func.name() == PLAIN_FLOAT)
}

/// The function that gives floats one zero and one NaN. It never fails, and its result is null where its argument is.
pub(crate) const PLAIN_FLOAT: &str = "plain_float";

fn call(function: Function, args: Vec<Expr>) -> Expr {
    static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let all = [
            Function::OnlyRow,
            Function::IntervalLength,
            Function::ShiftLeft,
            Function::ShiftRight,
            Function::PlainFloat,
        ];
        all.into_iter().map(|function| Arc::new(ScalarUDF::from(Internal::new(function)))).collect()
    });
    Expr::ScalarFunction(ScalarFunction { func: ALL[function as usize].clone(), args })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Function {
    OnlyRow,
    IntervalLength,
    ShiftLeft,
    ShiftRight,
    PlainFloat,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Internal {
    function: Function,
    signature: Signature,
}

impl Internal {
    fn new(function: Function) -> Self {
        Internal { function, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Internal {
    fn name(&self) -> &str {
        match self.function {
            Function::OnlyRow => "only_row",
            Function::IntervalLength => "interval_length",
            Function::ShiftLeft => "shift_left",
            Function::ShiftRight => "shift_right",
            Function::PlainFloat => PLAIN_FLOAT,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.function, types) {
            (Function::OnlyRow, [value, _]) | (Function::PlainFloat, [value]) => Ok(value.clone()),
            (Function::OnlyRow, _) => internal_err!("a value and a number of rows are wanted"),
            _ => Ok(DataType::Int64),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result: ArrayRef = match (self.function, arrays.as_slice()) {
            (Function::OnlyRow, [value, rows]) => {
                let rows = as_int64_array(rows)?;
                if let Some(rows) = rows.iter().flatten().find(|rows| *rows > 1) {
                    return exec_err!("a subquery that is used as a value has {rows} rows");
                }
                value.clone()
            }
            (Function::PlainFloat, [values]) => plain(values)?,
            (Function::IntervalLength, [interval]) => Arc::new(lengths(interval)?),
            (function, [value, places]) => Arc::new(shifted(value, places, function == Function::ShiftLeft)?),
            _ => return internal_err!("an internal function got other arguments than it has"),
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn plain(values: &ArrayRef) -> Result<ArrayRef> {
    // Adding makes a zero of both, and leaves a NaN one of many.
    if let Some(floats) = values.as_primitive_opt::<Float64Type>() {
        return Ok(Arc::new(floats.unary::<_, Float64Type>(|x| if x.is_nan() { f64::NAN } else { x + 0.0 })));
    }
    if let Some(floats) = values.as_primitive_opt::<Float32Type>() {
        return Ok(Arc::new(floats.unary::<_, Float32Type>(|x| if x.is_nan() { f32::NAN } else { x + 0.0 })));
    }
    Ok(values.clone())
}

fn lengths(intervals: &ArrayRef) -> Result<Int64Array> {
    const DAY_MICROSECONDS: i128 = 86_400_000_000;
    let Some(intervals) = intervals.as_primitive_opt::<IntervalMonthDayNanoType>() else {
        return internal_err!("{} is no interval", intervals.data_type());
    };
    let length = |interval: catchment_contract::arrow::datatypes::IntervalMonthDayNano| {
        let days = i128::from(interval.months) * 30 + i128::from(interval.days);
        i64::try_from(days * DAY_MICROSECONDS + i128::from(interval.nanoseconds / 1000)).ok()
    };
    let lengths: Option<Vec<Option<i64>>> =
        intervals.iter().map(|interval| interval.map_or(Some(None), |interval| length(interval).map(Some))).collect();
    match lengths {
        Some(lengths) => Ok(lengths.into()),
        None => exec_err!("an interval is longer than 292,000 years"),
    }
}

fn shifted(values: &ArrayRef, places: &ArrayRef, left: bool) -> Result<Int64Array> {
    let (values, places) = (values.as_primitive::<Int64Type>(), places.as_primitive::<Int64Type>());
    let shift = |(value, places): (Option<i64>, Option<i64>)| {
        let (Some(value), Some(places)) = (value, places) else { return Ok(None) };
        match u32::try_from(places).ok().filter(|places| *places < i64::BITS) {
            Some(places) if left => Ok(Some(value.wrapping_shl(places))),
            Some(places) => Ok(Some(value.wrapping_shr(places))),
            None => exec_err!("cannot shift a 64-bit integer by {places} places"),
        }
    };
    values.iter().zip(places.iter()).map(shift).collect::<Result<Vec<_>>>().map(Int64Array::from)
}

#[cfg(test)]
mod tests {
    use catchment_contract::arrow::array::Float64Array;

    use super::*;

    #[test]
    fn floats_have_one_zero_and_one_nan() {
        let nan_of_division = -f64::NAN;
        let given: ArrayRef = Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(nan_of_division), Some(-1.5)]));
        let plain = plain(&given).expect("floats");
        let bits: Vec<Option<u64>> = plain.as_primitive::<Float64Type>().iter().map(|x| x.map(f64::to_bits)).collect();
        assert_eq!(bits, [Some(0.0_f64), None, Some(f64::NAN), Some(-1.5)].map(|x| x.map(f64::to_bits)));
    }

    #[test]
    fn shifts_fail_where_they_would_wrap() {
        let of = |value: i64, places: i64, left: bool| {
            let array = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
            shifted(&array(value), &array(places), left).map(|shifted| shifted.value(0)).map_err(|e| e.to_string())
        };
        assert_eq!(of(1, 63, true), Ok(i64::MIN));
        assert_eq!(of(-8, 1, false), Ok(-4));
        assert!(of(1, 64, true).is_err_and(|error| error.contains("by 64 places")));
        assert!(of(1, -1, false).is_err());
    }
}

//! Functions that plans need and no query names: what SQL's operators and functions do where DataFusion's do something else.

mod calendar;
mod lists;
mod numbers;
#[cfg(test)]
mod oracle;
mod text;
mod times;
mod to_char;

use std::sync::{Arc, LazyLock};

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray, new_empty_array,
};
use catchment_contract::arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use datafusion_common::cast::as_int64_array;
use datafusion_common::{Result, exec_err, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};

pub(super) use calendar::DAY;
pub(super) use times::{Part, Unit};
pub(super) use to_char::Pattern;

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

/// `value`, a float, rounded to a whole number, halves to the even one.
pub(super) fn to_even(value: Expr) -> Expr {
    call(Function::ToEven, vec![value])
}

/// `value`, a double, which fails where it is not above zero.
pub(super) fn positive(value: Expr) -> Expr {
    call(Function::Positive, vec![value])
}

/// `value`, a float, a time in microseconds or a truth, as PostgreSQL writes it; a truth as `concat` does.
pub(super) fn text_of(value: Expr) -> Expr {
    call(Function::TextOf, vec![value])
}

/// `value`, a decimal, which fails where it has more than 38 digits.
pub(super) fn fitting(value: Expr) -> Expr {
    call(Function::Fitting, vec![value])
}

/// `left / right` of decimals.
pub(super) fn quotient(left: Expr, right: Expr) -> Expr {
    call(Function::Quotient, vec![left, right])
}

/// `time`, in microseconds, cut to the unit called `unit`, which is one.
pub(super) fn cut(unit: &str, time: Expr) -> Expr {
    call(Function::Cut, vec![lit(unit), time])
}

/// `time` cut to a multiple of `length` microseconds, which are more than none, from `origin` on; both in microseconds.
pub(super) fn bin(length: i64, time: Expr, origin: Expr) -> Expr {
    call(Function::Bin, vec![lit(length), time, origin])
}

/// The part called `part`, which is one, of a time in microseconds, a date or a length of time.
pub(super) fn part(part: &str, value: Expr) -> Expr {
    call(Function::Part, vec![lit(part), value])
}

/// `time`, in microseconds, written by `pattern`.
pub(super) fn to_char(time: Expr, pattern: &str) -> Expr {
    call(Function::ToChar, vec![time, lit(pattern)])
}

/// Whether `value` compares by `op` with an element of `list`; `None` if there is no such comparison. Both have the types
/// that they are compared in once [`ANY`] was met with them.
pub(super) fn any(op: Operator, value: Expr, list: Expr) -> Option<Expr> {
    let (_, name) = lists::COMPARISONS.iter().find(|(known, _)| *known == op)?;
    Some(call(Function::Any, vec![lit(*name), value, list]))
}

/// `list` without the elements that are `value`, of their type.
pub(super) fn without(list: Expr, value: Expr) -> Expr {
    call(Function::Without, vec![list, value])
}

/// `interval` as often as `times` says.
pub(super) fn multiple(interval: Expr, times: Expr) -> Expr {
    call(Function::Multiple, vec![interval, times])
}

/// The function that gives floats one zero and one NaN. Its result is null where its argument is.
pub(crate) const PLAIN_FLOAT: &str = "plain_float";

/// The function that compares a value with the elements of a list.
pub(super) const ANY: &str = "compared_with_any";

/// Whether `function` is one of these and never fails.
pub(crate) fn is_total(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Internal>().is_some_and(|internal| {
        use Function::*;
        matches!(internal.function, PlainFloat | ToEven | TextOf | Cut | Bin | Part | ToChar | Any | Without)
    })
}

fn call(function: Function, args: Vec<Expr>) -> Expr {
    static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        FUNCTIONS.iter().map(|(function, _)| Arc::new(ScalarUDF::from(Internal::new(*function)))).collect()
    });
    let place = FUNCTIONS.iter().position(|(known, _)| *known == function).expect("every function is in the table");
    Expr::ScalarFunction(ScalarFunction { func: ALL[place].clone(), args })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Function {
    OnlyRow,
    IntervalLength,
    Multiple,
    ShiftLeft,
    ShiftRight,
    PlainFloat,
    ToEven,
    Positive,
    Fitting,
    TextOf,
    Quotient,
    Cut,
    Bin,
    Part,
    ToChar,
    Any,
    Without,
}

/// The functions and what they are called.
const FUNCTIONS: [(Function, &str); 17] = [
    (Function::OnlyRow, "only_row"),
    (Function::IntervalLength, "interval_length"),
    (Function::Multiple, "interval_multiple"),
    (Function::ShiftLeft, "shift_left"),
    (Function::ShiftRight, "shift_right"),
    (Function::PlainFloat, PLAIN_FLOAT),
    (Function::ToEven, "round_to_even"),
    (Function::Positive, "above_zero"),
    (Function::Fitting, "of_38_digits"),
    (Function::TextOf, "text_of"),
    (Function::Quotient, "quotient"),
    (Function::Cut, "date_trunc"),
    (Function::Bin, "date_bin"),
    (Function::Part, "date_part"),
    (Function::ToChar, "to_char"),
    (Function::Any, ANY),
    (Function::Without, "without"),
];

impl Function {
    /// The place of the argument that is a name or a pattern, the same for all rows.
    fn named(self) -> Option<usize> {
        match self {
            Function::Cut | Function::Part | Function::Any => Some(0),
            Function::ToChar => Some(1),
            _ => None,
        }
    }
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
        FUNCTIONS.iter().find(|(known, _)| *known == self.function).map_or("", |(_, name)| name)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.function, types) {
            (Function::OnlyRow, [value, _])
            | (Function::PlainFloat | Function::ToEven | Function::Positive | Function::Fitting, [value])
            | (Function::Cut, [_, value])
            | (Function::Bin, [_, value, _])
            | (Function::Multiple | Function::Without, [value, _]) => Ok(value.clone()),
            (Function::Any, _) => Ok(DataType::Boolean),
            (Function::TextOf | Function::ToChar, _) => Ok(DataType::Utf8View),
            (Function::Quotient, [left, right]) => numbers::quotient_type(left, right),
            (Function::IntervalLength | Function::ShiftLeft | Function::ShiftRight, _) => Ok(DataType::Int64),
            _ => internal_err!("{} got other arguments than it has", self.name()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let data_type = match (self.function, args.arg_fields) {
            (Function::Part, [_, value]) => {
                let name =
                    args.scalar_arguments.first().copied().flatten().and_then(|name| name.try_as_str().flatten());
                match name.and_then(|name| Part::of(name, value.data_type())) {
                    Some(part) => part.output(),
                    None => return internal_err!("no part of a time was checked"),
                }
            }
            (_, fields) => {
                let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
                self.return_type(&types)?
            }
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.number_rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(args.return_type())));
        }
        // A name is read once, and not spread over the rows as other constants are.
        let named = self.function.named();
        let name = named.and_then(|place| match args.args.get(place) {
            Some(ColumnarValue::Scalar(value)) => value.try_as_str().flatten(),
            _ => None,
        });
        let values = args.args.iter().enumerate().filter(|(place, _)| Some(*place) != named);
        let arrays = values.map(|(_, value)| value.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
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
            (Function::Multiple, [intervals, times]) => multiples(intervals, times)?,
            (Function::ToEven, [values]) => numbers::to_even(values)?,
            (Function::Positive, [values]) => numbers::positive(values)?,
            (Function::Fitting, [values]) => numbers::fitting(values)?,
            (Function::Quotient, [left, right]) => numbers::quotients(left, right)?,
            (Function::TextOf, [values]) => text::of(values)?,
            (Function::Cut, [times]) => match name.and_then(Unit::of) {
                Some(unit) => times::cut(unit, times)?,
                None => return internal_err!("no unit of a time was checked"),
            },
            (Function::Bin, [lengths, times, origins]) => times::bins(lengths, times, origins)?,
            (Function::Part, [values]) => match name.and_then(|name| Part::of(name, values.data_type())) {
                Some(part) => times::part(part, values)?,
                None => return internal_err!("no part of a time was checked"),
            },
            (Function::ToChar, [times]) => match name {
                Some(pattern) => Pattern::of(pattern).write(times)?,
                None => return internal_err!("no pattern was checked"),
            },
            (Function::Any, [values, lists]) => match name {
                Some(comparison) => lists::any(comparison, values, lists)?,
                None => return internal_err!("no comparison was checked"),
            },
            (Function::Without, [lists, values]) => lists::without(lists, values)?,
            (function, [value, places]) => Arc::new(shifted(value, places, function == Function::ShiftLeft)?),
            _ => return internal_err!("an internal function got other arguments than it has"),
        };
        Ok(ColumnarValue::Array(result))
    }
}

/// `intervals` as often as `times` says.
fn multiples(intervals: &ArrayRef, times: &ArrayRef) -> Result<ArrayRef> {
    let Some(intervals) = intervals.as_primitive_opt::<IntervalMonthDayNanoType>() else {
        return internal_err!("{} is no interval", intervals.data_type());
    };
    let times = as_int64_array(times)?;
    let multiple = |pair: (Option<IntervalMonthDayNano>, Option<i64>)| {
        let (Some(interval), Some(times)) = pair else { return Ok(None) };
        let small = i32::try_from(times).ok();
        let months = small.and_then(|times| interval.months.checked_mul(times));
        let days = small.and_then(|times| interval.days.checked_mul(times));
        let nanoseconds = interval.nanoseconds.checked_mul(times);
        let zero = |part: i32| (part == 0).then_some(0);
        match (months.or(zero(interval.months)), days.or(zero(interval.days)), nanoseconds) {
            (Some(months), Some(days), Some(nanoseconds)) => {
                Ok(Some(IntervalMonthDayNano::new(months, days, nanoseconds)))
            }
            _ => exec_err!("an interval {times} times is too long"),
        }
    };
    let multiples = intervals.iter().zip(times).map(multiple).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(multiples.into_iter().collect::<IntervalMonthDayNanoArray>()))
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
    let Some(intervals) = intervals.as_primitive_opt::<IntervalMonthDayNanoType>() else {
        return internal_err!("{} is no interval", intervals.data_type());
    };
    let length = |interval: IntervalMonthDayNano| {
        let days = i128::from(interval.months) * 30 + i128::from(interval.days);
        i64::try_from(days * i128::from(DAY) + i128::from(interval.nanoseconds / 1000)).ok()
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
    use catchment_contract::arrow::array::{Float64Array, IntervalMonthDayNanoArray};
    use catchment_contract::arrow::datatypes::IntervalMonthDayNano;
    use rand::rngs::SmallRng;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn floats_have_one_zero_and_one_nan() {
        let nan_of_division = -f64::NAN;
        let given: ArrayRef = Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(nan_of_division), Some(-1.5)]));
        let plain = plain(&given).expect("floats");
        let bits: Vec<Option<u64>> = plain.as_primitive::<Float64Type>().iter().map(|x| x.map(f64::to_bits)).collect();
        assert_eq!(bits, [Some(0.0_f64), None, Some(f64::NAN), Some(-1.5)].map(|x| x.map(f64::to_bits)));
    }

    fn random(seed: u64) -> SmallRng {
        println!("seed {seed}");
        SmallRng::seed_from_u64(seed)
    }

    fn numbers(random: &mut SmallRng) -> Option<i64> {
        match random.random_range(0..8) {
            0 => None,
            1 => [i64::MIN, i64::MAX, 0, 1, -1].choose(random).copied(),
            2 => Some(random.random()),
            _ => Some(random.random_range(-3..70)),
        }
    }

    /// Doubled or halved, one place after another.
    #[test]
    fn random_shifts_are_doublings_and_halvings() {
        let mut random = random(5);
        for round in 0..2_000 {
            let (value, places, left) = (numbers(&mut random), numbers(&mut random), random.random());
            let array = |value: Option<i64>| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
            let found = shifted(&array(value), &array(places), left).map(|shifted| shifted.iter().next().flatten());
            let step = |value: i64| if left { value.wrapping_add(value) } else { value.div_euclid(2) };
            let expected = match (value, places) {
                (Some(value), Some(places @ 0..64)) => Ok(Some((0..places).fold(value, |value, _| step(value)))),
                (Some(_), Some(_)) => Err(()),
                _ => Ok(None),
            };
            assert_eq!(found.map_err(drop), expected, "round {round}: {value:?} by {places:?}, left: {left}");
        }
    }

    #[test]
    fn random_intervals_are_as_long_as_their_parts() {
        let mut random = random(6);
        for round in 0..2_000 {
            let part = |random: &mut SmallRng| match random.random_range(0..4) {
                0 => [i32::MIN, i32::MAX, 0].choose(random).copied().unwrap_or_default(),
                _ => random.random_range(-400..400),
            };
            let (months, days) = (part(&mut random), part(&mut random));
            let nanoseconds = numbers(&mut random);
            let interval = nanoseconds.map(|nanoseconds| IntervalMonthDayNano { months, days, nanoseconds });
            let array: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![interval]));
            let expected = nanoseconds.map(|nanoseconds| {
                let whole = (i128::from(months) * 720 + i128::from(days) * 24) * 3_600_000_000;
                i64::try_from(whole + i128::from(nanoseconds / 1_000)).ok()
            });
            let found = lengths(&array).map(|lengths| lengths.iter().next().flatten());
            match expected {
                None => assert_eq!(found.ok(), Some(None), "round {round}: a null"),
                Some(None) => assert!(found.is_err(), "round {round}: {interval:?}"),
                Some(length) => assert_eq!(found.ok(), Some(length), "round {round}: {interval:?}"),
            }
        }
    }

    #[test]
    fn random_floats_are_told_apart_by_what_they_are() {
        let mut random = random(7);
        for round in 0..2_000 {
            let float = match random.random_range(0..4) {
                0 => [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::MIN].choose(&mut random).copied(),
                1 => None,
                2 => Some(f64::from_bits(random.random())),
                _ => Some(f64::from(random.random_range(-4..4)) / 2.0),
            };
            let array: ArrayRef = Arc::new(Float64Array::from(vec![float]));
            let found = plain(&array).expect("floats");
            let found = found.as_primitive::<Float64Type>().iter().next().flatten();
            let expected = float.map(|float| match float.to_string().as_str() {
                "NaN" => 0x7ff8_0000_0000_0000,
                "0" | "-0" => 0,
                _ => float.to_bits(),
            });
            assert_eq!(found.map(f64::to_bits), expected, "round {round}: {float:?}");
        }
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

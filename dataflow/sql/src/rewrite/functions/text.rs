//! Numbers and times as texts, as PostgreSQL writes them.

use std::fmt::Write as _;
use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, AsArray, StringViewBuilder};
use catchment_contract::arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use datafusion_common::{Result, internal_err};

use super::calendar::{DAY, Date, HOUR, MINUTE, SECOND};

/// Each of `values` as a text.
pub(super) fn of(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Float64 => written(values.as_primitive::<Float64Type>().iter(), |text, value| {
            float(text, value, &format!("{value:e}"), 15);
        }),
        DataType::Float32 => written(values.as_primitive::<Float32Type>().iter(), |text, value| {
            float(text, value.into(), &format!("{value:e}"), 6);
        }),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            written(values.as_primitive::<TimestampMicrosecondType>().iter(), time)
        }
        DataType::Boolean => {
            written(values.as_boolean().iter(), |text, value| text.push(if value { 't' } else { 'f' }))
        }
        other => return internal_err!("{other} has no text of its own"),
    })
}

/// The texts that `write` makes of `values`.
pub(super) fn written<T>(values: impl Iterator<Item = Option<T>>, write: impl Fn(&mut String, T)) -> ArrayRef {
    let mut texts = StringViewBuilder::new();
    let mut text = String::new();
    for value in values {
        match value {
            Some(value) => {
                text.clear();
                write(&mut text, value);
                texts.append_value(&text);
            }
            None => texts.append_null(),
        }
    }
    Arc::new(texts.finish())
}

/// `value`, whose shortest digits are those of `scientific`; with an exponent below 10⁻⁴ and from 10^`plain` on.
fn float(text: &mut String, value: f64, scientific: &str, plain: i32) {
    if !value.is_finite() {
        text.push_str(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        });
        return;
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    text.push_str(sign);
    if !(-4..plain).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a text never fails.
        let _ = write!(text, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
        return;
    }
    let digits: String = mantissa.chars().filter(|digit| *digit != '.').collect();
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    match whole {
        0 => {
            text.push_str("0.");
            text.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
            text.push_str(&digits);
        }
        whole if whole >= digits.len() => {
            text.push_str(&digits);
            text.extend(std::iter::repeat_n('0', whole - digits.len()));
        }
        whole => {
            text.push_str(&digits[..whole]);
            text.push('.');
            text.push_str(&digits[whole..]);
        }
    }
}

/// A time: `2024-01-31 12:30:00`, with as many digits of a second as it has.
fn time(text: &mut String, micros: i64) {
    let (date, of_day) = (Date::at(micros), micros.rem_euclid(DAY));
    let (year, before) = if date.year > 0 { (date.year, "") } else { (1 - date.year, " BC") };
    let (hour, minute, second) = (of_day / HOUR, of_day / MINUTE % 60, of_day / SECOND % 60);
    let _ = write!(text, "{year:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}", date.month, date.day);
    if of_day % SECOND != 0 {
        let fraction = format!("{:06}", of_day % SECOND);
        let _ = write!(text, ".{}", fraction.trim_end_matches('0'));
    }
    text.push_str(before);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_postgresql_writes_them() {
        let check = |value: f64, expect: &str| {
            let mut text = String::new();
            float(&mut text, value, &format!("{value:e}"), 15);
            assert_eq!(text, expect);
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(2.5, "2.5");
        check(100.0, "100");
        check(0.0001, "0.0001");
        check(1e-5, "1e-05");
        check(123_456_789.125, "123456789.125");
        check(123_456_789_012_345.0, "123456789012345");
        check(1e15, "1e+15");
        check(-1.5e300, "-1.5e+300");
        check(f64::NEG_INFINITY, "-Infinity");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn times_as_postgresql_writes_them() {
        let check = |micros: i64, expect: &str| {
            let mut text = String::new();
            time(&mut text, micros);
            assert_eq!(text, expect);
        };
        check(0, "1970-01-01 00:00:00");
        check(-1, "1969-12-31 23:59:59.999999");
        check(1_706_704_200_500_000, "2024-01-31 12:30:00.5");
        check(-62_135_596_800_000_001, "0001-12-31 23:59:59.999999 BC");
    }
}

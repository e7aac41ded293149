//! `date_trunc`, `date_bin`, `date_part`, `extract` and `to_char`.

use catchment_contract::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr, cast, lit};

use crate::catalog::timestamp_type;
use crate::rewrite::functions::{self, Part, Pattern, Unit};

/// What `function`, whose arguments are of `types`, means; `None` if it is none of these, or one of DataFusion's own.
pub(super) fn function(function: &ScalarFunction, types: &[DataType]) -> Result<Option<Expr>> {
    match (function.func.name(), function.args.as_slice(), types) {
        ("date_trunc", [unit, time], [_, of]) => truncated(unit, time, of),
        ("date_part", [part, value], [_, of]) => part_of(part, value, of),
        ("date_bin", [stride, time], [_, of]) => binned(stride, time, of, None),
        ("date_bin", [stride, time, origin], [_, of, of_origin]) => binned(stride, time, of, Some((origin, of_origin))),
        ("to_char", [time, pattern], [of, _]) => written(time, pattern, of),
        (name @ ("to_date" | "to_timestamp"), [_, patterns @ ..], _) => {
            // They read strftime's patterns; by any other no text is a time.
            let foreign = patterns.iter().filter_map(constant).find(|pattern| !is_strftime(pattern));
            match foreign {
                Some(pattern) => plan_err!(
                    "{name}() does not know the pattern '{pattern}'; write one of strftime's: '%Y-%m-%d %H:%M:%S'"
                ),
                None => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

fn truncated(unit: &Expr, time: &Expr, of: &DataType) -> Result<Option<Expr>> {
    let Some(name) = constant(unit) else {
        return plan_err!("date_trunc() needs a unit that is a text; write one: date_trunc('day', …)");
    };
    if !is_time(of) {
        return plan_err!("date_trunc() takes a time or a date; write CAST(… AS TIMESTAMP) around its argument");
    }
    if Unit::of(&name).is_none() {
        return plan_err!("date_trunc() has no unit \"{name}\"; its units are {}", Unit::names());
    }
    Ok(Some(functions::cut(&name, instant(time, of))))
}

fn binned(stride: &Expr, time: &Expr, of: &DataType, origin: Option<(&Expr, &DataType)>) -> Result<Option<Expr>> {
    if !is_time(of) || !origin.is_none_or(|(_, of)| is_time(of)) {
        // A time of day.
        return Ok(None);
    }
    let stride = match stride {
        Expr::Literal(value, _) => value.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano))?,
        _ => return plan_err!("date_bin() needs a length that is constant; write date_bin(INTERVAL '15 minutes', …)"),
    };
    let ScalarValue::IntervalMonthDayNano(Some(stride)) = stride else { return Ok(None) };
    let length = i64::from(stride.days) * functions::DAY + stride.nanoseconds / 1000;
    if stride.months != 0 || length <= 0 {
        return plan_err!(
            "date_bin() takes a length above zero of days and less; write date_trunc('month', …) for months and years"
        );
    }
    let origin = match origin {
        Some((origin, of)) => instant(origin, of),
        None => cast(lit(0_i64), timestamp_type()),
    };
    Ok(Some(functions::bin(length, instant(time, of), origin)))
}

fn part_of(part: &Expr, value: &Expr, of: &DataType) -> Result<Option<Expr>> {
    let value = match of {
        DataType::Date32 => value.clone(),
        DataType::Duration(_) => cast(value.clone(), DataType::Duration(TimeUnit::Microsecond)),
        DataType::Interval(IntervalUnit::MonthDayNano) => value.clone(),
        DataType::Interval(_) => cast(value.clone(), DataType::Interval(IntervalUnit::MonthDayNano)),
        of if is_time(of) => instant(value, of),
        // A time of day.
        _ => return Ok(None),
    };
    let Some(name) = constant(part) else {
        return plan_err!("date_part() needs a part that is a text; write one: date_part('day', …)");
    };
    let kind = match of {
        DataType::Date32 => "a date",
        DataType::Duration(_) | DataType::Interval(_) => "an interval",
        _ => "a time",
    };
    let of = if is_time(of) && *of != DataType::Date32 { &timestamp_type() } else { of };
    if Part::of(&name, of).is_none() {
        return plan_err!("date_part() has no part \"{name}\" of {kind}; its parts are {}", Part::names(of));
    }
    Ok(Some(functions::part(&name, value)))
}

fn written(time: &Expr, pattern: &Expr, of: &DataType) -> Result<Option<Expr>> {
    if !is_time(of) {
        return plan_err!("to_char() takes a time or a date; write CAST(… AS TEXT) for anything else");
    }
    if matches!(pattern, Expr::Literal(value, _) if value.is_null()) {
        return Ok(None);
    }
    let Some(text) = constant(pattern) else {
        return plan_err!("to_char() needs a pattern that is a text; write one: to_char(…, 'YYYY-MM-DD')");
    };
    let taken = Pattern::of(&text);
    if is_strftime(&text) {
        if Pattern::of(&without_specifiers(&text)).has_field() {
            return plan_err!(
                "the pattern '{text}' of to_char() mixes two notations; write 'YYYY-MM-DD HH24:MI:SS' or '%Y-%m-%d %H:%M:%S'"
            );
        }
        return Ok(None);
    }
    if taken.has_zone() {
        return plan_err!("to_char() cannot write the zone of a time; times are in UTC: write \"UTC\" in the pattern");
    }
    Ok(Some(functions::to_char(instant(time, of), &text)))
}

/// Whether `text` is a pattern of strftime's: `%` and a letter stand in it.
fn is_strftime(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair[0] == b'%' && pair[1].is_ascii_alphanumeric())
}

/// `text` without what strftime would replace.
fn without_specifiers(text: &str) -> String {
    let mut rest = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            rest.push(character);
        } else {
            // A width or a point may stand before the letter: `%3f`, `%.f`.
            characters.by_ref().find(|character| character.is_ascii_alphabetic() || *character == '%');
        }
    }
    rest
}

fn constant(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value @ (ScalarValue::Utf8(_) | ScalarValue::Utf8View(_) | ScalarValue::LargeUtf8(_)), _) => {
            value.try_as_str().flatten().map(str::to_string)
        }
        Expr::Cast(cast) => constant(&cast.expr),
        _ => None,
    }
}

fn is_time(kind: &DataType) -> bool {
    let is_of_time = matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null);
    is_of_time || kind.is_string()
}

/// `time` of the type `of` in microseconds.
fn instant(time: &Expr, of: &DataType) -> Expr {
    if *of == timestamp_type() { time.clone() } else { cast(time.clone(), timestamp_type()) }
}

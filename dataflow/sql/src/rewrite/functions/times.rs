//! Parts of times, and times cut to a unit, as PostgreSQL has them; for every time that 64 bits of microseconds hold.

use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, TimestampMicrosecondArray};
use catchment_contract::arrow::datatypes::{
    DataType, Date32Type, DurationMicrosecondType, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion_common::cast::as_int64_array;
use datafusion_common::{Result, internal_err};

use super::calendar::{DAY, Date, HOUR, MINUTE, SECOND, days, midnight};

/// What a time is cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rewrite) enum Unit {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
}

const UNITS: [(&str, Unit); 13] = [
    ("microseconds", Unit::Microseconds),
    ("milliseconds", Unit::Milliseconds),
    ("second", Unit::Second),
    ("minute", Unit::Minute),
    ("hour", Unit::Hour),
    ("day", Unit::Day),
    ("week", Unit::Week),
    ("month", Unit::Month),
    ("quarter", Unit::Quarter),
    ("year", Unit::Year),
    ("decade", Unit::Decade),
    ("century", Unit::Century),
    ("millennium", Unit::Millennium),
];

impl Unit {
    /// The unit called `name`, in any of PostgreSQL's spellings.
    pub fn of(name: &str) -> Option<Unit> {
        let name = spelled(name);
        UNITS.iter().find(|(known, _)| *known == name).map(|(_, unit)| *unit)
    }

    /// The names of all units.
    pub fn names() -> String {
        UNITS.map(|(name, _)| name).join(", ")
    }

    /// `micros` cut to the unit.
    fn cut(self, micros: i64) -> i64 {
        let whole = |length: i64| micros.saturating_sub(micros.rem_euclid(length));
        let year = |length: i64, offset: i64| {
            let year = Date::at(micros).year - offset;
            midnight(days(year.div_euclid(length) * length + offset, 1, 1))
        };
        match self {
            Unit::Microseconds => micros,
            Unit::Milliseconds => whole(1000),
            Unit::Second => whole(SECOND),
            Unit::Minute => whole(MINUTE),
            Unit::Hour => whole(HOUR),
            Unit::Day => whole(DAY),
            Unit::Week => {
                let date = Date::at(micros);
                midnight(date.days - (date.iso_weekday() - 1))
            }
            Unit::Month => {
                let date = Date::at(micros);
                midnight(date.days - (date.day - 1))
            }
            Unit::Quarter => {
                let date = Date::at(micros);
                midnight(days(date.year, (date.month - 1) / 3 * 3 + 1, 1))
            }
            Unit::Year => year(1, 0),
            Unit::Decade => year(10, 0),
            Unit::Century => year(100, 1),
            Unit::Millennium => year(1000, 1),
        }
    }
}

/// `times`, in microseconds, cut to `unit`.
pub(super) fn cut(unit: Unit, times: &ArrayRef) -> Result<ArrayRef> {
    let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
        return internal_err!("{} is no time in microseconds", times.data_type());
    };
    let zone = times.timezone().map(str::to_string);
    let cut: TimestampMicrosecondArray = times.unary(|micros| unit.cut(micros));
    Ok(Arc::new(cut.with_timezone_opt(zone)))
}

/// Each of `times` cut to a multiple of its length from its origin on, all in microseconds.
pub(super) fn bins(lengths: &ArrayRef, times: &ArrayRef, origins: &ArrayRef) -> Result<ArrayRef> {
    let (Some(times), Some(origins)) =
        (times.as_primitive_opt::<TimestampMicrosecondType>(), origins.as_primitive_opt::<TimestampMicrosecondType>())
    else {
        return internal_err!("{} is no time in microseconds", times.data_type());
    };
    let lengths = as_int64_array(lengths)?;
    let bins = lengths.iter().zip(times).zip(origins).map(|((length, time), origin)| {
        let (length, time, origin) = (i128::from(length?.max(1)), i128::from(time?), i128::from(origin?));
        let bin = origin + (time - origin).div_euclid(length) * length;
        // Only before all times of 64 bits may a bin begin outside of them.
        Some(i64::try_from(bin).unwrap_or(i64::MIN))
    });
    let zone = times.timezone().map(str::to_string);
    Ok(Arc::new(bins.collect::<TimestampMicrosecondArray>().with_timezone_opt(zone)))
}

/// What is asked of a time, a date or a length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rewrite) enum Part {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Dow,
    IsoDow,
    Doy,
    Week,
    Month,
    Quarter,
    Year,
    IsoYear,
    Decade,
    Century,
    Millennium,
    Julian,
    Epoch,
}

const PARTS: [(&str, Part); 19] = [
    ("microseconds", Part::Microseconds),
    ("milliseconds", Part::Milliseconds),
    ("second", Part::Second),
    ("minute", Part::Minute),
    ("hour", Part::Hour),
    ("day", Part::Day),
    ("dow", Part::Dow),
    ("isodow", Part::IsoDow),
    ("doy", Part::Doy),
    ("week", Part::Week),
    ("month", Part::Month),
    ("quarter", Part::Quarter),
    ("year", Part::Year),
    ("isoyear", Part::IsoYear),
    ("decade", Part::Decade),
    ("century", Part::Century),
    ("millennium", Part::Millennium),
    ("julian", Part::Julian),
    ("epoch", Part::Epoch),
];

impl Part {
    /// The part called `name`, in any of PostgreSQL's spellings, of values of the type `of`.
    pub fn of(name: &str, of: &DataType) -> Option<Part> {
        let name = spelled(name);
        let found = PARTS.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)?;
        found.has(of).then_some(found)
    }

    /// The names of all parts of values of the type `of`.
    pub fn names(of: &DataType) -> String {
        PARTS.iter().filter(|(_, part)| part.has(of)).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Whether values of the type `of` have the part.
    fn has(self, of: &DataType) -> bool {
        use Part::*;
        match of {
            DataType::Date32 => !matches!(self, Microseconds | Milliseconds | Second | Minute | Hour),
            DataType::Duration(_) | DataType::Interval(_) => {
                !matches!(self, Dow | IsoDow | Doy | Week | IsoYear | Julian)
            }
            _ => true,
        }
    }

    /// The type of the part: what may have a fraction is a double.
    pub fn output(self) -> DataType {
        match self {
            Part::Milliseconds | Part::Second | Part::Julian | Part::Epoch => DataType::Float64,
            _ => DataType::Int32,
        }
    }

    /// The part of a time.
    fn of_time(self, micros: i64) -> f64 {
        let (date, of_day) = (Date::at(micros), micros.rem_euclid(DAY));
        let whole = match self {
            Part::Microseconds => of_day % MINUTE,
            Part::Milliseconds => return (of_day % MINUTE) as f64 / 1000.0,
            Part::Second => return (of_day % MINUTE) as f64 / SECOND as f64,
            Part::Minute => of_day / MINUTE % 60,
            Part::Hour => of_day / HOUR,
            Part::Day => date.day,
            Part::Dow => date.iso_weekday() % 7,
            Part::IsoDow => date.iso_weekday(),
            Part::Doy => date.day_of_year(),
            Part::Week => date.iso_week().1,
            Part::Month => date.month,
            Part::Quarter => (date.month - 1) / 3 + 1,
            Part::Year => called(date.year),
            Part::IsoYear => called(date.iso_week().0),
            Part::Decade => date.year.div_euclid(10),
            Part::Century => date.century(),
            Part::Millennium => date.millennium(),
            Part::Julian => return (date.days + JULIAN_OF_1970) as f64 + of_day as f64 / DAY as f64,
            Part::Epoch => return micros as f64 / SECOND as f64,
        };
        whole as f64
    }

    /// The part of a length of time.
    fn of_interval(self, interval: IntervalMonthDayNano) -> f64 {
        let (months, days) = (i64::from(interval.months), i64::from(interval.days));
        let micros = interval.nanoseconds / 1000;
        let whole = match self {
            Part::Microseconds => micros % MINUTE,
            Part::Milliseconds => return (micros % MINUTE) as f64 / 1000.0,
            Part::Second => return (micros % MINUTE) as f64 / SECOND as f64,
            Part::Minute => micros / MINUTE % 60,
            Part::Hour => micros / HOUR,
            Part::Day => days,
            Part::Month => months % 12,
            Part::Quarter => months % 12 / 3 + 1,
            Part::Year => months / 12,
            Part::Decade => months / 120,
            Part::Century => months / 1200,
            Part::Millennium => months / 12_000,
            Part::Epoch => {
                // A year has 365.25 days here, and a month 30.
                let days = (months / 12) as f64 * 365.25 + (months % 12 * 30 + days) as f64;
                return days * 86_400.0 + micros as f64 / SECOND as f64;
            }
            Part::Dow | Part::IsoDow | Part::Doy | Part::Week | Part::IsoYear | Part::Julian => 0,
        };
        whole as f64
    }
}

/// The Julian day of 1970-01-01.
const JULIAN_OF_1970: i64 = 2_440_588;

/// A year as it is called: before 1 comes -1.
fn called(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// `name` in the spelling of the tables here.
fn spelled(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let known = match name.as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microsecon" => "microseconds",
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "millisecon" => "milliseconds",
        "s" | "sec" | "secs" | "seconds" => "second",
        "m" | "min" | "mins" | "minutes" => "minute",
        "h" | "hr" | "hrs" | "hours" => "hour",
        "d" | "days" => "day",
        "w" | "weeks" => "week",
        "mon" | "mons" | "months" => "month",
        "qtr" | "quarters" => "quarter",
        "y" | "yr" | "yrs" | "years" => "year",
        "dec" | "decs" | "decades" => "decade",
        "c" | "cent" | "centuries" => "century",
        "mil" | "mils" | "millennia" => "millennium",
        "jd" | "j" => "julian",
        other => other,
    };
    known.to_string()
}

/// `part` of each of `values`.
pub(super) fn part(part: Part, values: &ArrayRef) -> Result<ArrayRef> {
    let of: Vec<Option<f64>> = match values.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = values.as_primitive::<TimestampMicrosecondType>();
            times.iter().map(|micros| micros.map(|micros| part.of_time(micros))).collect()
        }
        DataType::Date32 => {
            let dates = values.as_primitive::<Date32Type>();
            dates.iter().map(|days| days.map(|days| part.of_time(midnight(days.into())))).collect()
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            // A difference of times has days and no months.
            let between = |micros: i64| IntervalMonthDayNano::new(0, (micros / DAY) as i32, micros % DAY * 1000);
            let lengths = values.as_primitive::<DurationMicrosecondType>();
            lengths.iter().map(|micros| micros.map(|micros| part.of_interval(between(micros)))).collect()
        }
        DataType::Interval(_) => {
            let Some(intervals) = values.as_primitive_opt::<IntervalMonthDayNanoType>() else {
                return internal_err!("{} is no interval of months, days and nanoseconds", values.data_type());
            };
            intervals.iter().map(|interval| interval.map(|interval| part.of_interval(interval))).collect()
        }
        other => return internal_err!("{other} is no time"),
    };
    Ok(match part.output() {
        DataType::Float64 => Arc::new(Float64Array::from(of)),
        _ => Arc::new(of.into_iter().map(|value| value.map(|value| value as i32)).collect::<Int32Array>()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_706_704_245_123_456; // 2024-01-31 12:30:45.123456

    #[test]
    fn times_are_cut_to_units_of_any_spelling() {
        let check = |unit: &str, expect: (i64, i64, i64, i64)| {
            let (year, month, day, hour) = expect;
            assert_eq!(Unit::of(unit).expect(unit).cut(AT), days(year, month, day) * DAY + hour * HOUR, "{unit}");
        };
        check("HOUR", (2024, 1, 31, 12));
        check("days", (2024, 1, 31, 0));
        check("week", (2024, 1, 29, 0));
        check("month", (2024, 1, 1, 0));
        check("qtr", (2024, 1, 1, 0));
        check("decade", (2020, 1, 1, 0));
        check("century", (2001, 1, 1, 0));
        check("millennium", (2001, 1, 1, 0));
        assert_eq!(Unit::of("bogus"), None);
        // Nothing wraps at the ends.
        for (_, unit) in UNITS {
            unit.cut(i64::MIN);
            unit.cut(i64::MAX);
        }
    }

    #[test]
    fn parts_of_times_and_lengths() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        let check =
            |part: &str, expect: f64| assert_eq!(Part::of(part, &time).expect(part).of_time(AT), expect, "{part}");
        check("second", 45.123_456);
        check("milliseconds", 45_123.456);
        check("microseconds", 45_123_456.0);
        check("dow", 3.0);
        check("century", 21.0);
        check("julian", 2_460_341.0 + 45_045.123_456 / 86_400.0);
        assert_eq!(Part::of("hour", &DataType::Date32), None);
        assert_eq!(Part::of("bogus", &time), None);
        let length = IntervalMonthDayNano::new(14, 3, 3_723_000_000_000);
        assert_eq!(
            [Part::Year, Part::Month, Part::Day, Part::Hour].map(|part| part.of_interval(length)),
            [1.0, 2.0, 3.0, 1.0]
        );
        assert_eq!(Part::Epoch.of_interval(length), (365.25 + 63.0) * 86_400.0 + 3_723.0);
    }
}

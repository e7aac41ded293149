//! A second calendar, a second division and a second rounding, each the naive one: a walk from day to day, digits one after
//! another, and looking at both neighbours.

use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, IntervalMonthDayNanoArray, TimestampMicrosecondArray,
};
use catchment_contract::arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimeUnit, TimestampMicrosecondType,
};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::numbers::{quotients, to_even};
use super::times::{Part, Unit, cut, part};

const DAY: i64 = 86_400_000_000;

/// A calendar that is walked.
#[derive(Clone, Copy, Debug)]
struct Walk {
    day: i64,
    /// Year, month, day of the month.
    date: (i64, i64, i64),
    of_year: i64,
    /// From 1, Monday.
    weekday: i64,
    iso: (i64, i64),
    /// The first days of the week, month, quarter, year, decade, century and millennium.
    starts: [i64; 7],
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Walk {
    /// 2000-01-01, a Saturday of the last week of 1999. Its century and millennium began long before.
    fn start() -> Walk {
        let starts = [10_952, 10_957, 10_957, 10_957, 10_957, 0, 0];
        Walk { day: 10_957, date: (2000, 1, 1), of_year: 1, weekday: 6, iso: (1999, 52), starts }
    }

    fn next(self) -> Walk {
        let Walk { day, date: (year, month, of_month), of_year, weekday, iso, mut starts } = self;
        let day = day + 1;
        let weekday = weekday % 7 + 1;
        let date = match (of_month < month_days(year, month), month < 12) {
            (true, _) => (year, month, of_month + 1),
            (false, true) => (year, month + 1, 1),
            (false, false) => (year + 1, 1, 1),
        };
        let is_new_year = date.0 != year;
        let of_year = if is_new_year { 1 } else { of_year + 1 };
        // A week is of the year that its Thursday is in.
        let left = 365 + i64::from(is_leap(date.0)) - of_year;
        let iso = match (weekday, left < 3) {
            (1, true) => (date.0 + 1, 1),
            (1, false) if of_year <= 4 && iso.0 != date.0 => (date.0, 1),
            (1, false) => (iso.0, iso.1 + 1),
            _ => iso,
        };
        let is_new = [
            weekday == 1,
            date.2 == 1,
            date.2 == 1 && date.1 % 3 == 1,
            is_new_year,
            is_new_year && date.0 % 10 == 0,
            is_new_year && date.0 % 100 == 1,
            is_new_year && date.0 % 1000 == 1,
        ];
        is_new.iter().zip(&mut starts).for_each(|(is_new, start)| *start = if *is_new { day } else { *start });
        Walk { day, date, of_year, weekday, iso, starts }
    }
}

const UNITS: [&str; 7] = ["week", "month", "quarter", "year", "decade", "century", "millennium"];

fn times(micros: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros.to_vec()))
}

#[test]
fn four_thousand_years_are_walked() {
    let seed = 8;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut walk = Walk::start();
    let (mut days, mut micros) = (Vec::new(), Vec::new());
    while walk.date.0 < 6_000 {
        walk = walk.next();
        days.push(walk);
        micros.push(walk.day * DAY + random.random_range(0..DAY));
    }
    let column = times(&micros);
    let of = |name: &str| -> Vec<i64> {
        let known = Part::of(name, &DataType::Timestamp(TimeUnit::Microsecond, None)).expect("a part");
        let found = part(known, &column).expect("times");
        found.as_primitive::<Int32Type>().values().iter().map(|value| i64::from(*value)).collect()
    };
    let compare = |name: &str, expected: fn(&Walk) -> i64| {
        for (found, walk) in of(name).into_iter().zip(&days) {
            assert_eq!(found, expected(walk), "{name} of {walk:?}");
        }
    };
    compare("year", |walk| walk.date.0);
    compare("month", |walk| walk.date.1);
    compare("day", |walk| walk.date.2);
    compare("quarter", |walk| [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4][walk.date.1 as usize - 1]);
    compare("doy", |walk| walk.of_year);
    compare("isodow", |walk| walk.weekday);
    compare("dow", |walk| if walk.weekday == 7 { 0 } else { walk.weekday });
    compare("week", |walk| walk.iso.1);
    compare("isoyear", |walk| walk.iso.0);
    for (place, name) in UNITS.into_iter().enumerate() {
        let found = cut(Unit::of(name).expect("a unit"), &column).expect("times");
        for (found, walk) in found.as_primitive::<TimestampMicrosecondType>().values().iter().zip(&days) {
            if walk.starts[place] > 0 {
                assert_eq!(*found, walk.starts[place] * DAY, "{name} of {walk:?}");
            }
        }
    }
}

/// 400 years are 146,097 days, before and behind.
#[test]
fn the_calendar_repeats_itself() {
    let seed = 9;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    const CYCLE: i64 = 146_097 * DAY;
    for round in 0..5_000 {
        let at = random.random_range(-DAY * 100_000_000..DAY * 100_000_000);
        let near = at.rem_euclid(CYCLE);
        for name in ["second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century"] {
            let unit = Unit::of(name).expect("a unit");
            let found = cut(unit, &times(&[at, near])).expect("times");
            let found = found.as_primitive::<TimestampMicrosecondType>();
            assert_eq!(at - found.value(0), near - found.value(1), "round {round}: {name} of {at}");
        }
    }
}

/// `left / right` with `scale` digits more than an integer division has, by hand; halves go away from zero.
fn divided(left: i128, right: i128, scale: u32) -> Option<i128> {
    let (dividend, divisor) = (left.unsigned_abs(), right.unsigned_abs());
    let (mut quotient, mut rest) = (dividend / divisor, dividend % divisor);
    for _ in 0..scale {
        rest *= 10;
        quotient = quotient.checked_mul(10)?.checked_add(rest / divisor)?;
        rest %= divisor;
    }
    quotient += u128::from(rest >= divisor - rest);
    let is_negative = (left < 0) != (right < 0);
    let quotient = i128::try_from(quotient).ok().filter(|quotient| *quotient < 10_i128.pow(38))?;
    Some(if is_negative { -quotient } else { quotient })
}

#[test]
fn random_quotients_are_divided_by_hand() {
    let seed = 10;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    for round in 0..5_000_u32 {
        let mut number = |most: u32| -> Option<i128> {
            match random.random_range(0..12) {
                0 => None,
                1 => [0, 1, -1, 10_i128.pow(most) - 1].choose(&mut random).copied(),
                2..6 => Some(random.random_range(-1_000..1_000)),
                _ => Some(random.random_range(-10_i128.pow(most)..10_i128.pow(most))),
            }
        };
        let (left, right) = (number(30), number(20));
        let (of_left, of_right) = ((round % 5) as i8, (round / 5 % 7) as i8);
        let array = |value: Option<i128>, scale: i8| -> ArrayRef {
            let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale);
            Arc::new(array.expect("a decimal"))
        };
        let found = quotients(&array(left, of_left), &array(right, of_right));
        let found = found.map(|made| made.as_primitive::<Decimal128Type>().iter().next().flatten()).map_err(drop);
        let expected = match (left, right) {
            (Some(_), Some(0)) => Err(()),
            (Some(left), Some(right)) => {
                let scale = 16 - i32::from(of_left) + i32::from(of_right);
                divided(left, right, scale as u32).map(Some).ok_or(())
            }
            _ => Ok(None),
        };
        assert_eq!(found, expected, "round {round}: {left:?} / {right:?}, scales {of_left} and {of_right}");
    }
}

#[test]
fn random_floats_go_to_the_nearer_neighbour() {
    let seed = 11;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    for round in 0..20_000 {
        let value = match random.random_range(0..4) {
            0 => f64::from(random.random_range(-40..40)) / 2.0,
            1 => random.random_range(-1e17..1e17),
            2 => [f64::INFINITY, f64::MAX, -0.0, 0.5, -0.5].choose(&mut random).copied().unwrap_or_default(),
            _ => random.random_range(-10.0..10.0),
        };
        let array: ArrayRef = Arc::new(Float64Array::from(vec![Some(value), None]));
        let found = to_even(&array).expect("floats");
        assert!(found.is_null(1), "round {round}");
        let found = found.as_primitive::<Float64Type>().value(0);
        let (below, above) = (value.floor(), value.ceil());
        let expected = match (value - below).partial_cmp(&(above - value)) {
            Some(std::cmp::Ordering::Less) => below,
            Some(std::cmp::Ordering::Greater) => above,
            _ if below % 2.0 == 0.0 => below,
            _ => above,
        };
        assert_eq!(found, expected, "round {round}: {value}");
    }
}

#[test]
fn random_multiples_of_intervals_are_sums() {
    let seed = 12;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    for round in 0..2_000 {
        let (months, days) = (random.random_range(-50..50), random.random_range(-50..50));
        let nanoseconds: i64 = random.random_range(-1_000_000_000_000..1_000_000_000_000);
        let times = random.random_range(-40..40_i64);
        let mut sum = (0, 0, 0);
        for _ in 0..times.abs() {
            sum = (sum.0 + months, sum.1 + days, sum.2 + nanoseconds);
        }
        let sign = if times < 0 { -1 } else { 1 };
        let interval = IntervalMonthDayNano { months, days, nanoseconds };
        let intervals: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![Some(interval), None]));
        let counts: ArrayRef =
            Arc::new(catchment_contract::arrow::array::PrimitiveArray::<Int64Type>::from(vec![times, times]));
        let found = super::multiples(&intervals, &counts).expect("they are short");
        let found = found.as_primitive::<IntervalMonthDayNanoType>();
        let expected = IntervalMonthDayNano::new(sign * sum.0, sign * sum.1, i64::from(sign) * sum.2);
        assert_eq!((found.value(0), found.is_null(1)), (expected, true), "round {round}: {interval:?} × {times}");
    }
}

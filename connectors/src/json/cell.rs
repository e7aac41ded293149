//! Values of fields: as JSON has them, then settled to their column's type. What all sources of JSON share.
//!
//! Settling is where nothing may be lost in silence: a number that does not fit, a fraction that would be cut, a text that
//! is none, is an error in words. Strings are taken for numbers, truth values and times where they are exactly that.

use catchment_contract::arrow::datatypes::DataType;

use super::decimal::decimal;
use crate::time;

/// Whole numbers up to here are exact in a float: 2^53.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A column's type, as far as reading asks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Bool,
    /// A whole number between these, both included.
    Int {
        min: i64,
        max: i64,
    },
    UInt64,
    Float,
    Float32,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Text,
    Date,
    /// An instant.
    Time(TimeUnit),
    /// Whether something was edited: false, true, or the time of the edit; 0 and 1 are false and true.
    Edited,
    /// The JSON text of any value.
    Json,
    /// Anything: only whether it is there counts.
    Any,
    List(Box<Type>),
}

/// What the integers of a time count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    /// So many microseconds each.
    Micros(i64),
    /// Seconds; milliseconds, microseconds or nanoseconds where seconds would lie beyond the year 9999 and these do not
    /// lie before 2001.
    Guessed,
}

impl TimeUnit {
    /// Microseconds since 1970 of a whole number.
    fn of_int(self, value: i64) -> Option<i64> {
        let seconds = match self {
            TimeUnit::Micros(unit) => value.checked_mul(unit),
            TimeUnit::Guessed => match value {
                SECONDS_FROM_MILLIS..MILLIS_END => value.checked_mul(1_000),
                MICROS_BEGIN..MICROS_END => Some(value),
                NANOS_BEGIN.. => Some(value / 1_000),
                _ => value.checked_mul(1_000_000),
            },
        };
        seconds.filter(|us| time::MICROS.contains(us))
    }

    /// Microseconds since 1970 of a number with a fraction.
    fn of_float(self, value: f64) -> Option<i64> {
        let unit_us = match self {
            TimeUnit::Micros(unit) => unit as f64,
            TimeUnit::Guessed if value.fract() == 0.0 && value.abs() < FLOAT_EXACT_MAX => {
                return self.of_int(value as i64);
            }
            TimeUnit::Guessed if (SECONDS_FROM_MILLIS as f64..MILLIS_END as f64).contains(&value) => 1e3,
            TimeUnit::Guessed if value >= NANOS_BEGIN as f64 => 1e-3,
            TimeUnit::Guessed => 1e6,
        };
        // What is beyond the integers saturates, and is refused.
        Some((value * unit_us).round() as i64).filter(|us| time::MICROS.contains(us))
    }
}

/// The first millisecond that is taken for one: in 2001. As seconds it would be the year 33658.
const SECONDS_FROM_MILLIS: i64 = 1_000_000_000_000;
/// Milliseconds of the year 5138.
const MILLIS_END: i64 = 100_000_000_000_000;
/// Microseconds of 2001.
const MICROS_BEGIN: i64 = 1_000_000_000_000_000;
/// Microseconds of the year 5138.
const MICROS_END: i64 = 100_000_000_000_000_000;
/// Nanoseconds of 2001.
const NANOS_BEGIN: i64 = 1_000_000_000_000_000_000;

impl Type {
    /// The type of a column of `data_type`; one that no column can have is read as text.
    pub(crate) fn of(data_type: &DataType, unit: TimeUnit) -> Self {
        let int = |min, max| Type::Int { min, max };
        match data_type {
            DataType::Boolean => Type::Bool,
            DataType::Int8 => int(i8::MIN.into(), i8::MAX.into()),
            DataType::Int16 => int(i16::MIN.into(), i16::MAX.into()),
            DataType::Int32 => int(i32::MIN.into(), i32::MAX.into()),
            DataType::Int64 => int(i64::MIN, i64::MAX),
            DataType::UInt8 => int(0, u8::MAX.into()),
            DataType::UInt16 => int(0, u16::MAX.into()),
            DataType::UInt32 => int(0, u32::MAX.into()),
            DataType::UInt64 => Type::UInt64,
            DataType::Float32 => Type::Float32,
            DataType::Float64 => Type::Float,
            DataType::Decimal128(precision, scale) => Type::Decimal { precision: *precision, scale: *scale },
            DataType::Date32 => Type::Date,
            DataType::Timestamp(..) => Type::Time(unit),
            DataType::List(item) => Type::List(Box::new(Type::of(item.data_type(), unit))),
            _ => Type::Text,
        }
    }

    /// The type in words.
    fn name(&self) -> String {
        match self {
            Type::Bool => "true or false".to_owned(),
            Type::Int { min: i64::MIN, max: i64::MAX } => "a 64-bit integer".to_owned(),
            Type::Int { min, max } => format!("a whole number from {min} to {max}"),
            Type::UInt64 => format!("a whole number from 0 to {}", u64::MAX),
            Type::Float | Type::Float32 => "a number".to_owned(),
            Type::Decimal { precision, scale } => format!("a DECIMAL({precision}, {scale})"),
            Type::Text => "text".to_owned(),
            Type::Date => "a date".to_owned(),
            Type::Time(_) => "a time".to_owned(),
            Type::Edited => "true, false or a time".to_owned(),
            Type::Json | Type::Any => "a value".to_owned(),
            Type::List(_) => "an array".to_owned(),
        }
    }
}

/// A field's value in a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Missing,
    Null,
    Bool(bool),
    /// A whole number; of a settled time, microseconds since 1970.
    Int(i64),
    /// Microseconds since 1970, where JSON itself says that it is a time (`$date`).
    Micros(i64),
    /// Beyond `i64`; every value of a settled [`Type::UInt64`].
    UInt(u64),
    Float(f64),
    /// In the record itself.
    Str(&'a str),
    /// In the arena's text: a string that had escapes.
    Text {
        start: usize,
        len: u32,
    },
    /// JSON text as it was written, for decimals.
    Raw(&'a str),
    /// In the arena's decimals.
    Decimal(u32),
    /// In the arena's items.
    List {
        start: u32,
        len: u32,
    },
    /// What no cell holds, for messages.
    Wrong(&'static str),
}

/// What cells refer to.
#[derive(Debug, Default)]
pub(crate) struct Arena<'a> {
    pub text: String,
    pub items: Vec<Cell<'a>>,
    pub decimals: Vec<i128>,
}

impl<'a> Arena<'a> {
    /// A string of the arena's own.
    pub(crate) fn keep(&mut self, value: &str) -> Cell<'a> {
        let start = self.text.len();
        self.text.push_str(value);
        // A record is far below 4 GiB.
        u32::try_from(value.len()).map_or(Cell::Wrong("a string too long"), |len| Cell::Text { start, len })
    }

    /// A list of the arena's own.
    pub(crate) fn keep_list(&mut self, values: Vec<Cell<'a>>) -> Cell<'a> {
        let (start, len) = (u32::try_from(self.items.len()), u32::try_from(values.len()));
        self.items.extend(values);
        match (start, len) {
            (Ok(start), Ok(len)) => Cell::List { start, len },
            _ => Cell::Wrong("an array too long"),
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self, start: u32, len: u32) -> &[Cell<'a>] {
        &self.items[start as usize..][..len as usize]
    }
}

impl<'a> Cell<'a> {
    /// The string, if it is one.
    #[inline]
    pub(crate) fn str<'b>(&self, text: &'b str) -> Option<&'b str>
    where
        'a: 'b,
    {
        match *self {
            Cell::Str(value) => Some(value),
            Cell::Text { start, len } => text.get(start..start + len as usize),
            _ => None,
        }
    }

    /// Whether there is a value.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Cell::Missing | Cell::Null)
    }

    /// Whether two settled cells of one type are equal.
    pub(crate) fn same(&self, other: &Cell<'a>, arena: &Arena<'a>) -> bool {
        match (self, other) {
            (Cell::Decimal(one), Cell::Decimal(two)) => {
                arena.decimals.get(*one as usize) == arena.decimals.get(*two as usize)
            }
            _ => match (self.str(&arena.text), other.str(&arena.text)) {
                (None, None) => self == other,
                (one, two) => one == two,
            },
        }
    }

    /// The value as `ty` wants it, or what is wrong with it: `"abc", not a whole number from 0 to 255`.
    #[inline]
    pub(crate) fn settle(self, ty: &Type, arena: &mut Arena<'a>) -> Result<Cell<'a>, String> {
        match (ty, self) {
            (_, Cell::Missing | Cell::Null)
            | (Type::Text, Cell::Str(_) | Cell::Text { .. })
            | (Type::Bool, Cell::Bool(_))
            | (Type::Float, Cell::Float(_)) => Ok(self),
            (Type::Int { min, max }, Cell::Int(value)) if (*min..=*max).contains(&value) => Ok(self),
            (Type::Time(unit), Cell::Int(value)) if let Some(us) = unit.of_int(value) => Ok(Cell::Int(us)),
            (Type::Edited, Cell::Bool(_)) | (Type::Any, _) => Ok(self),
            (Type::Json, Cell::Str(_) | Cell::Text { .. }) => Ok(self),
            _ => self.settle_slowly(ty, arena),
        }
    }

    fn settle_slowly(self, ty: &Type, arena: &mut Arena<'a>) -> Result<Cell<'a>, String> {
        let settled = match (ty, self) {
            (Type::Decimal { precision, scale }, cell) => match cell {
                Cell::Raw(raw) => keep_decimal(raw.trim_matches('"'), *precision, *scale, arena),
                _ => cell
                    .str(&arena.text)
                    .map(str::to_owned)
                    .and_then(|text| keep_decimal(&text, *precision, *scale, arena)),
            },
            (Type::List(item), Cell::List { start, len }) => return self.settle_items(item, start, len, arena),
            (Type::Text, Cell::Int(value)) => Some(arena.keep(&value.to_string())),
            (Type::Text, Cell::UInt(value)) => Some(arena.keep(&value.to_string())),
            (Type::Text, Cell::Float(value)) => Some(arena.keep(&format!("{value:?}"))),
            (Type::Text, Cell::Bool(value)) => Some(Cell::Str(if value { "true" } else { "false" })),
            (_, Cell::Str(_) | Cell::Text { .. }) => parse(self.str(&arena.text).unwrap_or_default(), ty),
            (_, cell) => number(cell, ty),
        };
        settled.ok_or_else(|| format!("{}, not {}", self.what(&arena.text), ty.name()))
    }

    fn settle_items(self, item: &Type, start: u32, len: u32, arena: &mut Arena<'a>) -> Result<Cell<'a>, String> {
        for at in start as usize..start as usize + len as usize {
            let settled = arena.items[at].settle(item, arena);
            arena.items[at] =
                settled.map_err(|what| format!("an array whose item {} is {what}", at - start as usize + 1))?;
        }
        Ok(self)
    }

    /// What the value is, for messages.
    fn what(&self, text: &str) -> String {
        match self {
            Cell::Missing | Cell::Null => "null".to_owned(),
            Cell::Bool(value) => value.to_string(),
            Cell::Int(value) => value.to_string(),
            Cell::Micros(_) => "a time".to_owned(),
            Cell::UInt(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Raw(raw) => shown(raw),
            Cell::Str(_) | Cell::Text { .. } => format!("\"{}\"", shown(self.str(text).unwrap_or_default())),
            Cell::Decimal(_) => "a decimal".to_owned(),
            Cell::List { .. } => "an array".to_owned(),
            Cell::Wrong(what) => (*what).to_owned(),
        }
    }
}

/// The first 40 characters.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

fn keep_decimal<'a>(text: &str, precision: u8, scale: i8, arena: &mut Arena<'a>) -> Option<Cell<'a>> {
    let at = u32::try_from(arena.decimals.len()).ok()?;
    arena.decimals.push(decimal(text, precision, scale)?);
    Some(Cell::Decimal(at))
}

/// A JSON number or truth value as `ty`.
fn number<'a>(cell: Cell<'a>, ty: &Type) -> Option<Cell<'a>> {
    match (ty, cell) {
        (Type::Bool | Type::Edited, Cell::Int(value @ (0 | 1))) => Some(Cell::Bool(value == 1)),
        (Type::Bool, Cell::Float(value)) => number(whole(value)?, ty),
        (Type::Int { min, max }, Cell::Int(value)) => (*min..=*max).contains(&value).then_some(cell),
        (Type::Int { .. } | Type::Time(TimeUnit::Micros(1)), Cell::Float(value)) => number(whole(value)?, ty),
        (Type::UInt64, Cell::Int(value)) => u64::try_from(value).ok().map(Cell::UInt),
        (Type::UInt64, Cell::UInt(_)) => Some(cell),
        (Type::UInt64, Cell::Float(value)) => number(whole(value)?, ty),
        (Type::Float, Cell::Int(value)) => Some(Cell::Float(value as f64)),
        (Type::Float, Cell::UInt(value)) => Some(Cell::Float(value as f64)),
        (Type::Float32, Cell::Float(value)) => (value as f32).is_finite().then_some(cell),
        (Type::Float32, Cell::Int(value)) => Some(Cell::Float(value as f64)),
        (Type::Float32, Cell::UInt(value)) => Some(Cell::Float(value as f64)),
        (Type::Date, Cell::Int(days)) => time::DAYS.contains(&days).then_some(cell),
        (Type::Date, Cell::Micros(us)) => Some(Cell::Int(us.div_euclid(DAY_US))),
        (Type::Time(_) | Type::Edited, Cell::Micros(us)) => time::MICROS.contains(&us).then_some(Cell::Int(us)),
        (Type::Time(unit), Cell::Int(value)) => unit.of_int(value).map(Cell::Int),
        (Type::Time(unit), Cell::Float(value)) => unit.of_float(value).map(Cell::Int),
        (Type::Edited, Cell::Int(value)) => TimeUnit::Guessed.of_int(value).map(Cell::Int),
        (Type::Edited, Cell::Float(value)) => match value {
            0.0 | 1.0 => Some(Cell::Bool(value == 1.0)),
            _ => TimeUnit::Guessed.of_float(value).map(Cell::Int),
        },
        _ => None,
    }
}

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// What a string holds, as `ty`.
fn parse<'a>(text: &str, ty: &Type) -> Option<Cell<'a>> {
    match ty {
        Type::Bool | Type::Edited if is_word(text, &["true", "t", "yes"]) => Some(Cell::Bool(true)),
        Type::Bool | Type::Edited if is_word(text, &["false", "f", "no"]) => Some(Cell::Bool(false)),
        Type::Bool | Type::Int { .. } => number(any_number(text)?, ty),
        Type::UInt64 => text.parse().ok().map(Cell::UInt),
        Type::Float | Type::Float32 => {
            let value: f64 = text.parse().ok()?;
            value.is_finite().then_some(Cell::Float(value)).and_then(|cell| match ty {
                Type::Float => Some(cell),
                _ => number(cell, ty),
            })
        }
        Type::Date => date(text),
        Type::Time(TimeUnit::Micros(_)) => match text.parse::<i64>() {
            Ok(value) => number(Cell::Int(value), ty),
            Err(_) => time::micros(text).map(Cell::Int),
        },
        Type::Time(TimeUnit::Guessed) | Type::Edited => match any_number(text) {
            Some(cell) => number(cell, ty),
            None => time::micros(text).map(Cell::Int),
        },
        Type::Text | Type::Decimal { .. } | Type::List(_) | Type::Json | Type::Any => None,
    }
}

fn is_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `2024-01-31`, or days since 1970.
fn date<'a>(text: &str) -> Option<Cell<'a>> {
    if let Ok(days) = text.parse::<i64>() {
        return number(Cell::Int(days), &Type::Date);
    }
    // A date with a time is no date: its time would be lost.
    if text.contains([':', 'T', 't', ' ']) {
        return None;
    }
    time::days(text).map(Cell::Int)
}

/// A number in text; not a number is none.
pub(crate) fn any_number<'a>(text: &str) -> Option<Cell<'a>> {
    match text.parse::<i64>() {
        Ok(value) => Some(Cell::Int(value)),
        Err(_) => text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Cell::Float),
    }
}

/// A float that is a whole number and exact.
fn whole<'a>(value: f64) -> Option<Cell<'a>> {
    (value.fract() == 0.0 && value.abs() <= FLOAT_EXACT_MAX).then_some(Cell::Int(value as i64))
}

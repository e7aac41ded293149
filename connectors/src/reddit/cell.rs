//! Values of fields: as JSON has them, then settled to their field's type.

use super::columns::Type;
use crate::time::{MICROS, micros};

/// A field's value in a record. Escaped strings lie in the sheet's own text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// In the payload itself.
    Str(&'a str),
    /// In the sheet's text.
    Text {
        start: usize,
        len: u32,
    },
    /// Neither null nor a scalar, or a number beyond 64 bits: what it is, for messages.
    Wrong(&'static str),
}

impl<'a> Cell<'a> {
    /// The string, if it is one.
    pub(super) fn str<'b>(&self, text: &'b str) -> Option<&'b str>
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
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Cell::Missing | Cell::Null)
    }

    /// The value as `ty` wants it: text, integer (times in microseconds), float or bool; or what is wrong with it.
    pub(super) fn settle(self, ty: Type, text: &str) -> Result<Cell<'a>, String> {
        match (ty, self) {
            (_, Cell::Missing | Cell::Null)
            | (Type::Text, Cell::Str(_) | Cell::Text { .. })
            | (Type::Int, Cell::Int(_))
            | (Type::Float, Cell::Float(_))
            | (Type::Flag | Type::Edited, Cell::Bool(_))
            | (Type::Any, _) => Ok(self),
            (Type::Float, Cell::Int(value)) => Ok(Cell::Float(value as f64)),
            (Type::Int, Cell::Float(value)) => whole(value).ok_or_else(|| format!("{value}, not a 64-bit integer")),
            (Type::Flag, Cell::Int(value @ (0 | 1))) => Ok(Cell::Bool(value == 1)),
            (Type::Time | Type::Edited, Cell::Int(value)) => time(value).ok_or_else(|| out_of_range(value)),
            (Type::Time | Type::Edited, Cell::Float(value)) => float_time(value).ok_or_else(|| out_of_range(value)),
            (_, Cell::Str(_) | Cell::Text { .. }) => self.parse(ty, text),
            _ => Err(format!("{}, not {}", self.what(), name(ty))),
        }
    }

    /// A value that a string holds.
    fn parse(self, ty: Type, text: &str) -> Result<Cell<'a>, String> {
        let value = self.str(text).unwrap_or_default();
        let trimmed = value.trim();
        let number = || match trimmed.parse::<i64>() {
            Ok(value) => Some(Cell::Int(value)),
            Err(_) => trimmed.parse::<f64>().ok().filter(|value| value.is_finite()).map(Cell::Float),
        };
        match ty {
            Type::Flag | Type::Edited if trimmed.eq_ignore_ascii_case("true") => return Ok(Cell::Bool(true)),
            Type::Flag | Type::Edited if trimmed.eq_ignore_ascii_case("false") => return Ok(Cell::Bool(false)),
            _ => {}
        }
        if let Some(number) = number() {
            return number.settle(ty, text);
        }
        if let (Type::Time | Type::Edited, Some(time)) = (ty, micros(trimmed)) {
            return Ok(Cell::Int(time));
        }
        let shown: String = value.chars().take(40).collect();
        Err(format!("\"{shown}\", not {}", name(ty)))
    }

    fn what(&self) -> &'static str {
        match self {
            Cell::Missing | Cell::Null => "null",
            Cell::Bool(_) => "true or false",
            Cell::Int(_) | Cell::Float(_) => "a number",
            Cell::Str(_) | Cell::Text { .. } => "a string",
            Cell::Wrong(what) => what,
        }
    }
}

fn name(ty: Type) -> &'static str {
    match ty {
        Type::Text => "a string",
        Type::Int => "a 64-bit integer",
        Type::Float => "a number",
        Type::Flag => "true or false",
        Type::Time => "a time",
        Type::Edited => "true, false or a time",
        Type::Any => "anything",
    }
}

fn out_of_range(value: impl std::fmt::Display) -> String {
    format!("{value}, which is out of range for a time in seconds")
}

fn whole<'a>(value: f64) -> Option<Cell<'a>> {
    // 2^63 is the first float above the range; i64::MAX itself is none.
    let fits = value.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    fits.then_some(Cell::Int(value as i64))
}

fn time<'a>(seconds: i64) -> Option<Cell<'a>> {
    seconds.checked_mul(1_000_000).filter(|us| MICROS.contains(us)).map(Cell::Int)
}

fn float_time<'a>(seconds: f64) -> Option<Cell<'a>> {
    // What is beyond the integers saturates, and is refused; NaN is none of JSON's numbers.
    Some((seconds * 1e6).round() as i64).filter(|us| MICROS.contains(us)).map(Cell::Int)
}

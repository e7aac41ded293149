//! One value of a field as a cell, and the extended JSON of MongoDB.
//!
//! `{"$oid": …}`, `{"$symbol": …}` and the `$number…` forms are the value inside; `{"$date": …}` is a time: milliseconds, or
//! ISO-8601 text; `{"$undefined": true}` is null, and so are the numbers that are none (`NaN`, `Infinity`). An object that
//! stands where a scalar is wanted gives the first of the `pick` fields that it has, null if they are null.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use super::cell::{Arena, Cell, Type};
use crate::time;

/// A value for a cell of type `ty`, not settled yet.
pub(crate) struct Value<'s, 'a> {
    pub ty: &'s Type,
    pub arena: &'s mut Arena<'a>,
    /// Fields that stand for an object, the best first.
    pub pick: &'static [&'static str],
}

impl<'s, 'a> Value<'s, 'a> {
    /// A value that no field of an object stands for.
    pub(crate) fn new(ty: &'s Type, arena: &'s mut Arena<'a>) -> Self {
        Value { ty, arena, pick: &[] }
    }

    fn text(&mut self) -> Value<'_, 'a> {
        Value { ty: &Type::Text, arena: self.arena, pick: &[] }
    }
}

impl<'a> DeserializeSeed<'a> for Value<'_, 'a> {
    type Value = Cell<'a>;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Cell<'a>, D::Error> {
        match self.ty {
            // As written: a float in between would lose digits.
            Type::Decimal { .. } => Ok(match LazyValue::deserialize(deserializer)?.as_raw_cow() {
                Cow::Borrowed("null") => Cell::Null,
                Cow::Borrowed(raw) => Cell::Raw(raw),
                Cow::Owned(_) => Cell::Wrong("a string with escapes"),
            }),
            Type::Json => Ok(match LazyValue::deserialize(deserializer)?.as_raw_cow() {
                Cow::Borrowed("null") => Cell::Null,
                Cow::Borrowed(raw) => Cell::Str(raw),
                Cow::Owned(raw) => self.arena.keep(&raw),
            }),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'a> Visitor<'a> for Value<'_, 'a> {
    type Value = Cell<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_borrowed_str<E>(self, value: &'a str) -> Result<Cell<'a>, E> {
        Ok(Cell::Str(value))
    }

    #[inline]
    fn visit_str<E>(self, value: &str) -> Result<Cell<'a>, E> {
        Ok(self.arena.keep(value))
    }

    #[inline]
    fn visit_bool<E>(self, value: bool) -> Result<Cell<'a>, E> {
        Ok(Cell::Bool(value))
    }

    #[inline]
    fn visit_i64<E>(self, value: i64) -> Result<Cell<'a>, E> {
        Ok(Cell::Int(value))
    }

    #[inline]
    fn visit_u64<E>(self, value: u64) -> Result<Cell<'a>, E> {
        Ok(i64::try_from(value).map_or(Cell::UInt(value), Cell::Int))
    }

    #[inline]
    fn visit_f64<E>(self, value: f64) -> Result<Cell<'a>, E> {
        Ok(Cell::Float(value))
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<Cell<'a>, E> {
        Ok(Cell::Null)
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Cell<'a>, S::Error> {
        let Type::List(item) = self.ty else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Cell::Wrong("an array"));
        };
        let mut items = Vec::new();
        while let Some(cell) = seq.next_element_seed(Value::new(item, &mut *self.arena))? {
            items.push(cell);
        }
        Ok(self.arena.keep_list(items))
    }

    fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<Cell<'a>, M::Error> {
        let (mut fields, mut extended, mut picked, mut nothing) = (0, None, None, false);
        while let Some(name) = map.next_key_seed(FieldName { pick: self.pick })? {
            fields += 1;
            match name {
                Name::Extended(kind) => {
                    let cell = map.next_value_seed(self.text())?;
                    extended = Some(kind.cell(cell, self.arena));
                }
                Name::Picked(rank) if picked.is_none_or(|(best, _)| rank < best) => {
                    let cell = map.next_value_seed(self.text())?;
                    match cell {
                        Cell::Wrong(_) => {}
                        Cell::Null => nothing = true,
                        cell => picked = Some((rank, cell)),
                    }
                }
                Name::Picked(_) | Name::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(match (extended, picked) {
            (Some(cell), _) if fields == 1 => cell,
            (_, Some((_, cell))) => cell,
            _ if nothing => Cell::Null,
            _ => Cell::Wrong("an object"),
        })
    }
}

/// A key of extended JSON.
#[derive(Clone, Copy, Debug)]
enum Extended {
    /// The value inside.
    Same,
    Number,
    Date,
    Undefined,
}

impl Extended {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "$oid" | "$symbol" | "$uuid" => Extended::Same,
            "$numberInt" | "$numberLong" | "$numberDouble" | "$numberDecimal" => Extended::Number,
            "$date" => Extended::Date,
            "$undefined" => Extended::Undefined,
            _ => return None,
        })
    }

    fn cell<'a>(self, cell: Cell<'a>, arena: &Arena<'a>) -> Cell<'a> {
        let text = cell.str(&arena.text).map(str::trim);
        match self {
            Extended::Same => cell,
            Extended::Undefined => Cell::Null,
            Extended::Number => match text {
                Some("NaN" | "Infinity" | "-Infinity") => Cell::Null,
                Some(text) => super::cell::any_number(text).unwrap_or(cell),
                None => cell,
            },
            Extended::Date => {
                let millis = match (cell, text) {
                    (Cell::Int(value), _) => Some(value),
                    (_, Some(text)) => text.parse().ok(),
                    _ => None,
                };
                let micros = millis.and_then(|value| value.checked_mul(1_000));
                micros.or_else(|| time::micros(text?)).map_or(cell, Cell::Micros)
            }
        }
    }
}

enum Name {
    Extended(Extended),
    /// The place among the fields to pick.
    Picked(usize),
    Other,
}

struct FieldName {
    pick: &'static [&'static str],
}

impl<'a> DeserializeSeed<'a> for FieldName {
    type Value = Name;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        let picked = || self.pick.iter().position(|wanted| *wanted == name).map(Name::Picked);
        Ok(Extended::of(name).map(Name::Extended).or_else(picked).unwrap_or(Name::Other))
    }
}

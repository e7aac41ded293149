//! One pass over a JSON value: the wanted fields of its objects, on a sheet of cells.
//!
//! A row of the sheet is begun when an object is, and forgotten when what came was no object. Of a field that comes twice,
//! the last one counts. What is not wanted is skipped without being unescaped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::plan::Plan;
use crate::json::cell::{Arena, Cell, Type};
use crate::json::scalars_are;
use crate::json::sheet::Sheet;
use crate::json::value::Value;

/// An object's wanted fields, in the first `limit` slots, as a row; no row if the value is no object.
pub(super) struct Object<'s, 'a> {
    pub plan: &'s Plan,
    pub sheet: &'s mut Sheet<'a>,
    pub limit: usize,
}

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Option<usize>, M::Error> {
        let Object { plan, sheet, limit } = self;
        let row = sheet.begin();
        while let Some(slot) = map.next_key_seed(SlotName { plan })? {
            match slot.filter(|slot| *slot < limit) {
                Some(slot) => {
                    let ty = &plan.slots[slot].ty;
                    let cell = map.next_value_seed(Value::new(ty, &mut sheet.arena))?;
                    sheet.put(row, slot, cell);
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(row))
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Option<usize>, S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    scalars_are!(None);
}

/// A change as Debezium writes it, itself or in its `payload`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    /// Row of `before`'s key.
    pub before: Option<usize>,
    /// Row of `after`.
    pub after: Option<usize>,
    pub op: Cell<'a>,
    pub epoch: Cell<'a>,
    pub ts_ms: Cell<'a>,
    /// It stood in a `payload`.
    pub wrapped: bool,
}

impl Change<'_> {
    const NONE: Change<'static> = Change {
        before: None,
        after: None,
        op: Cell::Missing,
        epoch: Cell::Missing,
        ts_ms: Cell::Missing,
        wrapped: false,
    };
}

/// Scans a [`Change`]; `None` if the value is no object.
pub(super) struct Envelope<'s, 'a> {
    pub plan: &'s Plan,
    pub sheet: &'s mut Sheet<'a>,
    /// It is the value of a `payload`, so that another one in it is a field like others.
    pub wrapped: bool,
}

impl<'a> DeserializeSeed<'a> for Envelope<'_, 'a> {
    type Value = Option<Change<'a>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Envelope<'_, 'a> {
    type Value = Option<Change<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let Envelope { plan, sheet, wrapped } = self;
        let mut change = Change { wrapped, ..Change::NONE };
        while let Some(part) = map.next_key_seed(PartName)? {
            match part {
                Part::Before => {
                    change.before = map.next_value_seed(Object { plan, sheet: &mut *sheet, limit: plan.keys })?;
                }
                Part::After => {
                    let limit = plan.slots.len();
                    change.after = map.next_value_seed(Object { plan, sheet: &mut *sheet, limit })?;
                }
                Part::Op => change.op = map.next_value_seed(Value::new(&Type::Text, &mut sheet.arena))?,
                Part::Epoch => change.epoch = map.next_value_seed(Value::new(&Type::Text, &mut sheet.arena))?,
                Part::TsMs => change.ts_ms = map.next_value_seed(Value::new(&Type::Text, &mut sheet.arena))?,
                Part::Payload if !wrapped => {
                    if let Some(inner) = map.next_value_seed(Envelope { plan, sheet: &mut *sheet, wrapped: true })? {
                        change = inner;
                    }
                }
                Part::Payload | Part::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(change))
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    scalars_are!(None);
}

/// A field of an envelope.
enum Part {
    Before,
    After,
    Op,
    Epoch,
    TsMs,
    Payload,
    Other,
}

struct PartName;

impl<'a> DeserializeSeed<'a> for PartName {
    type Value = Part;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Part, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PartName {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Part, E> {
        Ok(match name {
            "before" => Part::Before,
            "after" => Part::After,
            "op" => Part::Op,
            "epoch" => Part::Epoch,
            "ts_ms" => Part::TsMs,
            "payload" => Part::Payload,
            _ => Part::Other,
        })
    }
}

/// A field's name as its slot.
struct SlotName<'s> {
    plan: &'s Plan,
}

impl<'a> DeserializeSeed<'a> for SlotName<'_> {
    type Value = Option<usize>;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for SlotName<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    #[inline]
    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.plan.slot(name))
    }
}

/// The key's columns in a JSON array, as many as there are.
pub(super) struct KeyArray<'s, 'a> {
    pub plan: &'s Plan,
    pub arena: &'s mut Arena<'a>,
}

impl<'a> DeserializeSeed<'a> for KeyArray<'_, 'a> {
    type Value = Vec<Cell<'a>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Vec<Cell<'a>>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for KeyArray<'_, 'a> {
    type Value = Vec<Cell<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of the key's columns")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Vec<Cell<'a>>, S::Error> {
        let mut cells = Vec::with_capacity(self.plan.keys);
        for slot in &self.plan.slots[..self.plan.keys] {
            match seq.next_element_seed(Value::new(&slot.ty, &mut *self.arena))? {
                Some(cell) => cells.push(cell),
                None => return Ok(cells),
            }
        }
        // One too many makes it another key.
        if seq.next_element::<IgnoredAny>()?.is_some() {
            cells.clear();
            while seq.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(cells)
    }
}

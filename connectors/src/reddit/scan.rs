//! One pass over a JSON value: the records inside it, and their wanted fields, on a sheet of cells.
//!
//! A value is a record as dumps have it, a `{kind, data}` object, a listing, a snapshot `{fetched_at, listing}`, or an array
//! of such. Every object gets a row of cells when it begins; when it ends it is known whether it was a record. Records
//! inside records (replies) come after the record that they reply to.
//!
//! Of a field that comes twice, the last one counts. What is not wanted is skipped without being unescaped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::cell::Cell;
use super::columns::{Kind, Type};
use super::plan::{Key, Plan};
use crate::json::{DEPTH_MAX, scalars_are};

/// What a row of the sheet turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A record of this kind; `None` as long as nothing tells.
    Record(Option<Kind>),
    /// A thing of another kind: a subreddit, a user, a "more" stub.
    Other,
    /// An object around records.
    Container,
}

/// A row of the sheet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub what: What,
    /// Line that it stands in, counted from the payload's first.
    pub line: u64,
}

/// Rows of cells, one cell a slot.
pub(super) struct Sheet<'a> {
    pub cells: Vec<Cell<'a>>,
    pub rows: Vec<Row>,
    /// Strings that had escapes.
    pub text: String,
    slots: usize,
}

impl<'a> Sheet<'a> {
    /// An empty sheet, with room for `rows` of `slots` cells.
    pub(super) fn new(slots: usize, rows: usize) -> Self {
        let cells = Vec::with_capacity(slots * rows);
        Sheet { cells, rows: Vec::with_capacity(rows), text: String::new(), slots }
    }

    /// The cell of `row` in `slot`.
    #[inline]
    pub(super) fn cell(&self, row: usize, slot: usize) -> Cell<'a> {
        self.cells[row * self.slots + slot]
    }

    /// Puts a cell.
    #[inline]
    pub(super) fn put(&mut self, row: usize, slot: usize, cell: Cell<'a>) {
        self.cells[row * self.slots + slot] = cell;
    }

    /// Forgets the rows from `row` on.
    pub(super) fn truncate(&mut self, row: usize) {
        self.rows.truncate(row);
        self.cells.truncate(row * self.slots);
    }

    fn begin(&mut self, line: u64) -> usize {
        self.rows.push(Row { what: What::Record(None), line });
        self.cells.resize(self.rows.len() * self.slots, Cell::Missing);
        self.rows.len() - 1
    }
}

/// Scans a value that may be or hold records.
pub(super) struct Node<'s, 'a> {
    pub plan: &'s Plan,
    pub sheet: &'s mut Sheet<'a>,
    pub line: u64,
    pub depth: usize,
}

impl<'s, 'a> Node<'s, 'a> {
    /// A scan of the line number `line` of a payload.
    pub(super) fn new(plan: &'s Plan, sheet: &'s mut Sheet<'a>, line: u64) -> Self {
        Node { plan, sheet, line, depth: 0 }
    }

    fn inner(&mut self) -> Node<'_, 'a> {
        Node { plan: self.plan, sheet: self.sheet, line: self.line, depth: self.depth + 1 }
    }

    /// One field's value.
    #[inline]
    fn field<M: MapAccess<'a>>(&mut self, map: &mut M, row: usize, slot: usize) -> Result<(), M::Error> {
        let cell = if self.plan.slots[slot].ty == Type::Any {
            map.next_value::<IgnoredAny>()?;
            Cell::Bool(true)
        } else {
            map.next_value_seed(Scalar { text: &mut self.sheet.text })?
        };
        self.sheet.put(row, slot, cell);
        Ok(())
    }

    /// The fields of an object that are no record's own: what it tells of the records inside.
    fn wrapping<M: MapAccess<'a>>(&mut self, key: Key, map: &mut M, wrap: &mut Wrap<'a>) -> Result<(), M::Error> {
        match key {
            Key::Kind => wrap.kind = map.next_value_seed(Scalar { text: &mut self.sheet.text })?,
            Key::FetchedAt => wrap.fetched = map.next_value_seed(Scalar { text: &mut self.sheet.text })?,
            Key::Container => {
                let first = self.sheet.rows.len();
                if map.next_value_seed(self.inner())? {
                    wrap.container = true;
                    wrap.inside = Some(first);
                }
            }
            Key::Replies => drop(map.next_value_seed(self.inner())?),
            Key::Skip | Key::Slot(_) | Key::Meta => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }

    /// Settles what the object in `row` was.
    fn end(&mut self, row: usize, wrap: Wrap<'a>) {
        let kind = wrap.kind.str(&self.sheet.text).map(|kind| match kind {
            "t1" => What::Record(Some(Kind::Comments)),
            "t3" => What::Record(Some(Kind::Submissions)),
            "Listing" => What::Container,
            _ => What::Other,
        });
        if !wrap.container {
            self.sheet.rows[row].what = match kind {
                Some(told @ What::Record(_)) => told,
                _ => What::Record(self.told_kind(row)),
            };
        } else {
            self.sheet.rows[row].what = What::Container;
            let inside = wrap.inside.and_then(|inside| self.sheet.rows.get_mut(inside));
            if let (Some(what @ (What::Record(_) | What::Other)), Some(inside)) = (kind, inside) {
                let listing = inside.what == What::Container && what != What::Other;
                inside.what = if listing { What::Container } else { what };
            }
        }
        if wrap.fetched.is_some() {
            for inner in row..self.sheet.rows.len() {
                self.sheet.put(inner, self.plan.fetched(), wrap.fetched);
            }
        }
    }

    /// What the record's own fields tell of its kind.
    fn told_kind(&self, row: usize) -> Option<Kind> {
        let cell = |slot| self.sheet.cell(row, slot);
        if cell(Plan::TITLE) != Cell::Missing {
            return Some(Kind::Submissions);
        }
        if cell(Plan::BODY) != Cell::Missing {
            return Some(Kind::Comments);
        }
        let prefix = |kind: Kind| cell(Plan::NAME).str(&self.sheet.text).is_some_and(|n| n.starts_with(kind.prefix()));
        [Kind::Comments, Kind::Submissions].into_iter().find(|kind| prefix(*kind))
    }
}

/// What an object tells of the records inside it.
struct Wrap<'a> {
    kind: Cell<'a>,
    fetched: Cell<'a>,
    container: bool,
    /// Row of the object in `data`.
    inside: Option<usize>,
}

impl<'a> DeserializeSeed<'a> for Node<'_, 'a> {
    /// Whether it was an object or an array.
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Node<'_, 'a> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record, a listing, or an array of them")
    }

    fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<bool, M::Error> {
        if self.depth > DEPTH_MAX {
            return Err(M::Error::custom(format_args!("nested more than {DEPTH_MAX} deep")));
        }
        let row = self.sheet.begin(self.line);
        let mut wrap = Wrap { kind: Cell::Missing, fetched: Cell::Missing, container: false, inside: None };
        while let Some(key) = map.next_key_seed(Name { plan: self.plan })? {
            match key {
                Key::Skip => drop(map.next_value::<IgnoredAny>()?),
                Key::Slot(slot) => self.field(&mut map, row, usize::from(slot))?,
                Key::Meta => map.next_value_seed(MetaFields { node: &mut self, row })?,
                _ => self.wrapping(key, &mut map, &mut wrap)?,
            }
        }
        self.end(row, wrap);
        Ok(true)
    }

    fn visit_seq<S: SeqAccess<'a>>(mut self, mut seq: S) -> Result<bool, S::Error> {
        if self.depth > DEPTH_MAX {
            return Err(S::Error::custom(format_args!("nested more than {DEPTH_MAX} deep")));
        }
        while seq.next_element_seed(self.inner())?.is_some() {}
        Ok(true)
    }

    scalars_are!(false);
}

/// A field's name.
struct Name<'s> {
    plan: &'s Plan,
}

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Key;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    #[inline]
    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(self.plan.key(name))
    }
}

/// The fields of `_meta` that belong to the record around it; anything but an object is passed over.
struct MetaFields<'n, 's, 'a> {
    node: &'n mut Node<'s, 'a>,
    row: usize,
}

impl<'a> DeserializeSeed<'a> for MetaFields<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for MetaFields<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let plan = self.node.plan;
        while let Some(key) = map.next_key_seed(Name { plan })? {
            match key {
                Key::Slot(slot) if plan.slots[usize::from(slot)].meta => {
                    self.node.field(&mut map, self.row, usize::from(slot))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    scalars_are!(());
}

/// A value for a cell.
struct Scalar<'s> {
    text: &'s mut String,
}

impl<'a> DeserializeSeed<'a> for Scalar<'_> {
    type Value = Cell<'a>;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Cell<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Scalar<'_> {
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
        let start = self.text.len();
        self.text.push_str(value);
        // A payload's record is far below 4 GiB: a line is at most 64 MiB, a document 256 MiB.
        Ok(u32::try_from(value.len()).map_or(Cell::Wrong("a string too long"), |len| Cell::Text { start, len }))
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
        Ok(i64::try_from(value).map_or(Cell::Wrong("a number beyond 64 bits"), Cell::Int))
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
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Wrong("an array"))
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Cell<'a>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Cell::Wrong("an object"))
    }
}

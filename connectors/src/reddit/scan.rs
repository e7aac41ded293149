//! One pass over a JSON value: the records inside it, and their wanted fields, on a sheet of cells.
//!
//! A value is a record as dumps have it, a `{kind, data}` object, a listing, a snapshot `{fetched_at, listing}`, an answer
//! of the API around such, or an array of them. Every object gets a row of cells when it begins; when it ends, its own fields
//! tell whether it is a record ([`judge`](super::judge)) or around records. Records inside records (`replies`, `children`,
//! `comments`) come after the record that they belong to.
//!
//! A *wide* scan enters the values of unknown fields too: objects by id, arrays under any name. It is made only of values
//! that hold no record otherwise.
//!
//! Of a field that comes twice, the last one counts. What is not wanted is skipped without being unescaped.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use super::columns::Kind;
use super::judge::{self, Clues};
use super::plan::{Key, Plan};
use crate::json::cell::{Cell, Type};
use crate::json::sheet::Sheet;
use crate::json::value::Value;
use crate::json::{self, DEPTH_MAX, scalars_are};

/// What a row of the sheet turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A record of this kind; `None` if it may be of either.
    Record(Option<Kind>),
    /// A thing of Reddit of another kind: a subreddit, a user, a "more" stub.
    Other,
    /// An object around records.
    Container,
    /// Something else, for this reason.
    Nothing(&'static str),
    /// Something else inside a record, which is that record's own.
    Part,
}

/// A row of the sheet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub what: What,
    /// Line that it stands in, counted from the payload's first.
    pub line: u64,
    /// The name of the field that it stands in, in a wide scan.
    pub key: Cell<'a>,
    /// It stands in an array.
    pub listed: bool,
    /// It is what a record has for its replies.
    pub replies: bool,
    pub clues: Clues,
}

/// The records of a payload.
pub(super) struct Found<'a> {
    pub sheet: Sheet<'a>,
    pub rows: Vec<Row<'a>>,
    /// Arrays of values that are no objects, where records may be.
    pub lists: u64,
}

impl Found<'_> {
    /// Forgets the rows from `row` on.
    pub(super) fn truncate(&mut self, row: usize) {
        self.rows.truncate(row);
        self.sheet.truncate(row);
    }
}

/// Scans a value that may be or hold records.
pub(super) struct Node<'s, 'a> {
    pub plan: &'s Plan,
    pub found: &'s mut Found<'a>,
    line: u64,
    depth: usize,
    wide: bool,
    key: Cell<'a>,
    listed: bool,
    replies: bool,
    /// The value's own text, where it is wanted.
    pub text: Option<&'a str>,
}

impl<'s, 'a> Node<'s, 'a> {
    /// A scan of the line number `line` of a payload.
    pub(super) fn new(plan: &'s Plan, found: &'s mut Found<'a>, line: u64, wide: bool) -> Self {
        Node { plan, found, line, depth: 0, wide, key: Cell::Missing, listed: false, replies: false, text: None }
    }

    fn inner(&mut self, key: Cell<'a>, listed: bool) -> Node<'_, 'a> {
        let Node { plan, found, line, depth, wide, .. } = self;
        Node { plan, found, line: *line, depth: *depth + 1, wide: *wide, key, listed, replies: false, text: None }
    }

    pub(super) fn begin(&mut self) -> usize {
        let Node { line, key, listed, replies, .. } = *self;
        self.found.rows.push(Row { what: What::Part, line, key, listed, replies, clues: Clues::default() });
        let row = self.found.sheet.begin();
        if let Some(text) = self.text {
            self.found.sheet.put(row, Plan::TEXT, Cell::Str(text));
        }
        row
    }

    /// One field's value.
    #[inline]
    fn field<M: MapAccess<'a>>(&mut self, map: &mut M, row: usize, slot: usize) -> Result<(), M::Error> {
        let cell = self.value(map, slot)?;
        self.found.sheet.put(row, slot, cell);
        Ok(())
    }

    /// One value of the field that belongs to `slot`.
    #[inline]
    fn value<M: MapAccess<'a>>(&mut self, map: &mut M, slot: usize) -> Result<Cell<'a>, M::Error> {
        let slot = &self.plan.slots[slot];
        if slot.ty == Type::Any {
            let some = map.next_value::<Option<IgnoredAny>>()?.is_some();
            return Ok(if some { Cell::Bool(true) } else { Cell::Null });
        }
        map.next_value_seed(Value { ty: &slot.ty, arena: &mut self.found.sheet.arena, pick: slot.pick })
    }

    /// A field that is none of the record's wanted ones.
    fn other<M: MapAccess<'a>>(
        &mut self,
        name: Field<'a>,
        map: &mut M,
        row: usize,
        wrap: &mut Wrap<'a>,
    ) -> Result<(), M::Error> {
        match name.key {
            Some(Key::Slot(slot)) => self.field(map, row, usize::from(slot))?,
            Some(Key::Alias(slot)) => {
                let slot = usize::from(slot);
                let cell = self.value(map, slot)?;
                self.found.sheet.fill(row, slot, cell);
            }
            Some(Key::Known | Key::Around) => drop(map.next_value::<IgnoredAny>()?),
            Some(key @ (Key::Post | Key::Reply | Key::Foreign)) => {
                let some = map.next_value::<Option<IgnoredAny>>()?.is_some();
                self.found.rows[row].clues.add(key, some);
            }
            Some(Key::Kind) => wrap.kind = map.next_value_seed(Value::new(&Type::Text, &mut self.found.sheet.arena))?,
            Some(Key::FetchedAt) => {
                wrap.fetched = map.next_value_seed(Value::new(&Type::Text, &mut self.found.sheet.arena))?;
            }
            Some(key @ (Key::Container | Key::Replies)) => {
                let first = self.found.rows.len();
                let inner = Node { replies: key == Key::Replies, ..self.inner(Cell::Missing, false) };
                if map.next_value_seed(inner)? {
                    wrap.container = true;
                    wrap.inside = Some(first);
                }
            }
            Some(Key::Meta) => self.meta(map, row)?,
            Some(Key::Thread) => {
                let Cow::Borrowed(raw) = map.next_value::<LazyValue<'a>>()?.as_raw_cow() else { return Ok(()) };
                let mut parser = json::parser(raw);
                if raw.starts_with(['{', '[']) {
                    self.found.rows[row].clues.unknown = true;
                    let first = self.found.rows.len();
                    if self.wide {
                        self.inner(name.text, false).deserialize(&mut parser).map_err(M::Error::custom)?;
                    }
                    wrap.elsewhere(first..self.found.rows.len());
                    return Ok(());
                }
                let value = Value::new(&Type::Text, &mut self.found.sheet.arena).deserialize(&mut parser);
                let cell = value.map_err(M::Error::custom)?;
                self.found.sheet.fill(row, Plan::THREAD, cell);
            }
            None if self.wide => {
                self.found.rows[row].clues.unknown = true;
                let first = self.found.rows.len();
                map.next_value_seed(self.inner(name.text, false))?;
                wrap.elsewhere(first..self.found.rows.len());
            }
            None => {
                self.found.rows[row].clues.unknown = true;
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    /// The fields of `_meta` that belong to the record around it.
    fn meta<M: MapAccess<'a>>(&mut self, map: &mut M, row: usize) -> Result<(), M::Error> {
        self.found.rows[row].clues.add(Key::Meta, true);
        let Some(slot) = self.plan.meta else { return map.next_value_seed(MetaFields { node: self, row }) };
        let Cell::Str(raw) = self.value(map, slot)? else { return Ok(()) };
        self.found.sheet.put(row, slot, Cell::Str(raw));
        MetaFields { node: self, row }.deserialize(&mut json::parser(raw)).map_err(M::Error::custom)
    }

    /// Settles what the object in `row` was.
    pub(super) fn end(&mut self, row: usize, wrap: Wrap<'a>) {
        let kind = wrap.kind.str(&self.found.sheet.arena.text).and_then(judge::kind);
        let inner = wrap.inside.filter(|inside| *inside < self.found.rows.len());
        let own = judge::judge(self.plan, self.found, row, if wrap.container { None } else { kind });
        let thing = wrap.container && kind.is_some() && !judge::has_id(self.found, row);
        self.found.rows[row].what = match own {
            _ if thing => What::Container,
            What::Record(_) | What::Other => own,
            _ if wrap.container => What::Container,
            _ => own,
        };
        if let (true, Some(kind), Some(inner)) = (thing, kind, inner) {
            let has_id = judge::has_id(self.found, inner);
            let inner = &mut self.found.rows[inner];
            match (kind, inner.what) {
                (What::Record(_), What::Nothing(_)) if has_id => inner.what = kind,
                (What::Record(_), What::Record(_) | What::Other) => inner.what = kind,
                (What::Other, _) => inner.what = What::Other,
                _ => {}
            }
        }
        if matches!(self.found.rows[row].what, What::Record(_) | What::Other) {
            // What a record has in fields of its own is not another record, whatever it looks like.
            for rows in wrap.elsewhere {
                self.found.rows[rows].iter_mut().for_each(|part| part.what = What::Part);
            }
            let parts = self.found.rows[row + 1..].iter_mut().filter(|part| matches!(part.what, What::Nothing(_)));
            parts.for_each(|part| part.what = What::Part);
        }
        if wrap.fetched.is_some() {
            for inner in row..self.found.rows.len() {
                self.found.sheet.put(inner, Plan::FETCHED, wrap.fetched);
            }
        }
    }
}

/// What an object tells of the records inside it.
pub(super) struct Wrap<'a> {
    kind: Cell<'a>,
    fetched: Cell<'a>,
    container: bool,
    /// Row of the object in `data`.
    inside: Option<usize>,
    /// Rows in fields that are not known, in a wide scan.
    elsewhere: Vec<Range<usize>>,
}

impl Default for Wrap<'_> {
    /// Of an object that holds none.
    fn default() -> Self {
        Wrap { kind: Cell::Missing, fetched: Cell::Missing, container: false, inside: None, elsewhere: Vec::new() }
    }
}

impl Wrap<'_> {
    /// Takes note of what was found in a field that is not known.
    fn elsewhere(&mut self, rows: Range<usize>) {
        self.container |= !rows.is_empty();
        self.elsewhere.push(rows);
    }
}

impl<'a> DeserializeSeed<'a> for Node<'_, 'a> {
    /// Whether it was an object or an array.
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(mut self, deserializer: D) -> Result<bool, D::Error> {
        if !self.plan.text {
            return deserializer.deserialize_any(self);
        }
        let text = match LazyValue::deserialize(deserializer)?.as_raw_cow() {
            Cow::Borrowed(text) => text,
            Cow::Owned(_) => return Ok(false),
        };
        self.text = Some(text);
        json::parser(text).deserialize_any(self).map_err(D::Error::custom)
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
        let row = self.begin();
        let mut wrap = Wrap::default();
        // Most fields are skipped: they stay in this loop.
        let (mut known, mut unknown) = (false, false);
        while let Some(name) = map.next_key_seed(Name { plan: self.plan, wide: self.wide })? {
            match name.key {
                Some(Key::Slot(slot)) => self.field(&mut map, row, usize::from(slot))?,
                Some(Key::Known) => {
                    known = true;
                    map.next_value::<IgnoredAny>()?;
                }
                None if !self.wide => {
                    unknown = true;
                    map.next_value::<IgnoredAny>()?;
                }
                _ => self.other(name, &mut map, row, &mut wrap)?,
            }
        }
        let clues = &mut self.found.rows[row].clues;
        clues.known |= known;
        clues.unknown |= unknown;
        self.end(row, wrap);
        Ok(true)
    }

    fn visit_seq<S: SeqAccess<'a>>(mut self, mut seq: S) -> Result<bool, S::Error> {
        if self.depth > DEPTH_MAX {
            return Err(S::Error::custom(format_args!("nested more than {DEPTH_MAX} deep")));
        }
        let mut scalars = false;
        while let Some(is_container) = seq.next_element_seed(self.inner(Cell::Missing, true))? {
            scalars |= !is_container;
        }
        self.found.lists += u64::from(scalars);
        Ok(true)
    }

    scalars_are!(false);
}

/// A field's name: what it means, and its text in a wide scan.
struct Field<'a> {
    key: Option<Key>,
    text: Cell<'a>,
}

struct Name<'s> {
    plan: &'s Plan,
    wide: bool,
}

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Field<'a>;

    #[inline]
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Field<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name<'_> {
    type Value = Field<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    #[inline]
    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Field<'a>, E> {
        let text = if self.wide { Cell::Str(name) } else { Cell::Missing };
        Ok(Field { key: self.plan.key(name), text })
    }

    #[inline]
    fn visit_str<E>(self, name: &str) -> Result<Field<'a>, E> {
        Ok(Field { key: self.plan.key(name), text: Cell::Missing })
    }
}

/// The fields of `_meta` that belong to the record around it; anything but an object is passed over.
pub(super) struct MetaFields<'n, 's, 'a> {
    pub node: &'n mut Node<'s, 'a>,
    pub row: usize,
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
        while let Some(name) = map.next_key_seed(Name { plan, wide: false })? {
            match name.key {
                Some(Key::Slot(slot)) if plan.slots[usize::from(slot)].meta => {
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

//! Payloads to rows: scan every line onto a sheet, settle the records, build the columns.
//!
//! A line is one JSON value, as the readers of lines and of values give them. What cannot become rows is a reject with its
//! number: a line that is no JSON or no UTF-8 as a whole, a record alone (`line 3, record 2` in a listing) when only it is
//! wrong. Records of another kind than the source's are neither rows nor rejects, and counted as passed over.
//!
//! **Nearly JSON.** A line that the parser refuses is [mended](crate::json::mend), and its payload decoded once more; a line
//! that holds no record, or records beside unknown fields, is scanned once more, wider (objects by id, records in fields of
//! any name). Neither costs anything
//! where lines are as they should be.
//!
//! Blank lines, and NULs around values, are passed over.

use std::str;
use std::sync::Arc;

use catchment_contract::arrow::array::{Int64Array, RecordBatch, RecordBatchOptions};
use catchment_contract::arrow::datatypes::{Field, Schema};
use catchment_contract::{Decoded, Payload, Reject};
use memchr::{memchr, memchr_iter};
use serde::de::{DeserializeSeed, IgnoredAny};

use super::columns::{Column, Kind, Made};
use super::judge::{bare, links_to_itself};
use super::plan::Plan;
use super::record;
use super::scan::{Found, Node, Row, What};
use crate::files::position::Cut;
use crate::json;
use crate::json::cell::Cell;
use crate::json::sheet::Sheet;
use crate::json::walk::Order;

const NO_RECORDS: &str =
    "arrays of plain values and no record, as in a table by rows; write it by records (pandas: orient='records')";

/// Decodes payloads of one kind for one projection.
#[derive(Debug)]
pub struct Decoder {
    plan: Plan,
}

impl Decoder {
    /// A decoder for the columns `projection` of [`Kind::schema`], in that order.
    ///
    /// # Panics
    /// If an index is not one of a column.
    pub fn new(kind: Kind, projection: &[usize]) -> Self {
        Decoder { plan: Plan::new(kind, projection) }
    }
}

impl catchment_contract::Decoder for Decoder {
    fn decode(&self, payload: &Payload) -> Decoded {
        let work = Work::new(&self.plan, payload, &payload.bytes, true);
        if work.mended.is_empty() {
            return work.finish(payload);
        }
        let bytes = replaced(&payload.bytes, &work.mended);
        Work::new(&self.plan, payload, &bytes, false).finish(payload)
    }
}

/// `bytes` with other text in some places, which are in order.
fn replaced(bytes: &[u8], places: &[(usize, usize, String)]) -> Vec<u8> {
    let (mut made, mut at) = (Vec::with_capacity(bytes.len()), 0);
    for (start, end, text) in places {
        made.extend_from_slice(&bytes[at..*start]);
        made.extend_from_slice(text.as_bytes());
        at = *end;
    }
    made.extend_from_slice(&bytes[at..]);
    made
}

/// One payload on its way.
struct Work<'a> {
    plan: &'a Plan,
    found: Found<'a>,
    /// Rows of the sheet that become rows.
    kept: Vec<usize>,
    /// Their versions.
    versions: Vec<Option<i64>>,
    rejects: Vec<Reject>,
    first_record: u64,
    /// What a place is called: `line`, or `record` where values are not lines.
    unit: &'static str,
    others: u64,
    /// Lines that can be mended: where they begin and end, and what they are then.
    mended: Vec<(usize, usize, String)>,
    mend: bool,
    /// The order of fields, in which flat records are read; `None`: every line is scanned.
    order: Option<Order>,
}

impl<'a> Work<'a> {
    fn new(plan: &'a Plan, payload: &Payload, bytes: &'a [u8], mend: bool) -> Self {
        let lines = memchr_iter(b'\n', bytes).count() + 1;
        let mut work = Work {
            plan,
            found: Found { sheet: Sheet::new(plan.slots.len(), lines), rows: Vec::with_capacity(lines), lists: 0 },
            kept: Vec::with_capacity(lines),
            versions: Vec::with_capacity(lines),
            rejects: payload.rejects.clone(),
            first_record: payload.first_record,
            unit: if Cut::of(&payload.position) == Some(Cut::Values) { "record" } else { "line" },
            others: 0,
            mended: Vec::new(),
            mend,
            order: plan.flat.then(|| Order::new(plan.names())),
        };
        work.payload(bytes);
        work
    }

    fn payload(&mut self, bytes: &'a [u8]) {
        let text = str::from_utf8(bytes).ok();
        let (mut start, mut line) = (0, 0);
        while start < bytes.len() {
            let newline = memchr(b'\n', &bytes[start..]);
            let end = newline.map_or(bytes.len(), |newline| start + newline);
            match text.and_then(|text| text.get(start..end)) {
                Some(text) => self.line(line, start, text),
                None => match str::from_utf8(&bytes[start..end]) {
                    Ok(text) => self.line(line, start, text),
                    Err(error) => {
                        let reason = format!("not UTF-8: {} good bytes before the first bad one", error.valid_up_to());
                        self.reject(line, &bytes[start..end], reason);
                    }
                },
            }
            start = end + 1;
            line += 1;
        }
    }

    /// One JSON value, which begins at the byte `start` of the payload.
    fn line(&mut self, line: u64, start: usize, whole: &'a str) {
        let text = whole.trim_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '\0' | '\u{feff}' | '\u{1e}'));
        if text.is_empty() {
            return;
        }
        if json::nested_too_deep(text.as_bytes()) {
            let reason = format!("nested more than {} deep", json::DEPTH_MAX);
            return self.reject(line, text.as_bytes(), reason);
        }
        let (first, lists) = (self.found.rows.len(), self.found.lists);
        match self.scan(line, text, false) {
            Ok(true) => {}
            Ok(false) => {
                self.found.truncate(first);
                // A string that holds JSON: it was written twice over.
                let inner = sonic_rs::from_str::<String>(text).ok().filter(|inner| inner.starts_with(['{', '[']));
                match inner.filter(|_| self.mend) {
                    Some(inner) => self.mended.push((start, start + whole.len(), inner.replace('\n', " "))),
                    None => self.reject(line, text.as_bytes(), "not a JSON object".to_owned()),
                }
                return;
            }
            Err(reason) => {
                self.found.truncate(first);
                match json::mend::mend(text).filter(|_| self.mend) {
                    Some(mended) => self.mended.push((start, start + whole.len(), mended)),
                    None => self.reject(line, text.as_bytes(), reason),
                }
                return;
            }
        }
        if !self.holds_records(first) || self.may_hold_more(first) {
            let before = self.things(first);
            self.found.truncate(first);
            if self.scan(line, text, true).is_ok() && self.things(first) > before {
                // Objects that are no records are around them, or beside them under names of their own.
                let rows = self.found.rows[first..].iter_mut();
                let besides = rows.filter(|row| matches!(row.what, What::Nothing(_)) && !row.listed);
                besides.for_each(|row| row.what = What::Container);
            } else {
                self.found.truncate(first);
                let _ = self.scan(line, text, false);
            }
        }
        if let [row] = &mut self.found.rows[first..]
            && row.clues.torn
            && self.found.sheet.str(first, Plan::ID).is_some_and(|id| links_to_itself(text, id))
        {
            row.what = What::Record(Some(Kind::Comments));
        }
        let is_empty = self.found.rows[first..].iter().all(|row| row.what == What::Container);
        if is_empty && self.found.lists > lists {
            return self.reject(line, text.as_bytes(), NO_RECORDS.to_owned());
        }
        self.settle(first, text);
    }

    /// Scans one value onto the sheet. Whether it was an object or an array, or why it is no JSON.
    fn scan(&mut self, line: u64, text: &'a str, wide: bool) -> Result<bool, String> {
        if let Some(order) = self.order.as_mut().filter(|_| !wide) {
            let first = self.found.rows.len();
            if Node::new(self.plan, &mut self.found, line, wide).flat(text, order).is_some() {
                return Ok(true);
            }
            self.found.truncate(first);
        }
        let mut parser = json::parser(text);
        Node::new(self.plan, &mut self.found, line, wide)
            .deserialize(&mut parser)
            .and_then(|object| parser.end().map(|()| object))
            // The words of one parse, whatever is wanted of the value.
            .map_err(|error| json::not_json(text, &sonic_rs::from_str::<IgnoredAny>(text).err().unwrap_or(error)))
    }

    /// How many things of Reddit are among the rows from `first` on.
    fn things(&self, first: usize) -> usize {
        self.found.rows[first..].iter().filter(|row| matches!(row.what, What::Record(_) | What::Other)).count()
    }

    /// Whether there is something of Reddit among the rows from `first` on, or an empty listing.
    fn holds_records(&self, first: usize) -> bool {
        self.things(first) > 0 || self.found.rows[first..].iter().all(|row| row.what == What::Container)
    }

    /// Whether an object around records, or in the place of replies, has fields that nobody looked into.
    fn may_hold_more(&self, first: usize) -> bool {
        let around = |row: &Row<'_>| match row.what {
            What::Container => true,
            What::Part => row.replies && !row.clues.known,
            _ => false,
        };
        self.found.rows[first..].iter().any(|row| row.clues.unknown && around(row))
    }

    /// Keeps the good records among the rows from `first` on, which one line gave.
    fn settle(&mut self, first: usize, text: &'a str) {
        let mut number = 0;
        let several = self.found.rows.len() > first + 1;
        for row in first..self.found.rows.len() {
            let (what, line) = (self.found.rows[row].what, self.found.rows[row].line);
            let outcome = match what {
                What::Container | What::Part => continue,
                What::Other => {
                    self.others += 1;
                    continue;
                }
                What::Record(Some(kind)) if kind != self.plan.kind => {
                    self.others += 1;
                    continue;
                }
                What::Record(_) => self.record(row),
                What::Nothing(reason) => Err(reason.to_owned()),
            };
            number += 1;
            if let Err(reason) = outcome {
                let place = if several { format!(", record {number}") } else { String::new() };
                let place = format!("{}{place}", self.place(line));
                self.rejects.push(Reject::new(place, Some(text.as_bytes()), reason));
            }
        }
    }

    /// Settles the cells of a record and keeps it.
    fn record(&mut self, row: usize) -> Result<(), String> {
        record::settle(self.plan, &mut self.found.sheet, row)?;
        self.versions.push(record::version(self.plan, &self.found.sheet, row));
        self.kept.push(row);
        Ok(())
    }

    fn reject(&mut self, line: u64, raw: &[u8], reason: String) {
        let place = self.place(line);
        self.rejects.push(Reject::new(place, Some(raw), reason));
    }

    fn place(&self, line: u64) -> String {
        format!("{} {}", self.unit, self.first_record + line)
    }

    fn finish(mut self, payload: &Payload) -> Decoded {
        let mut cells = Vec::with_capacity(self.kept.len());
        let mut columns = Vec::with_capacity(self.plan.columns.len());
        let mut fields = Vec::with_capacity(self.plan.columns.len());
        for (column, slot) in &self.plan.columns {
            cells.clear();
            for (at, row) in self.kept.iter().enumerate() {
                let cell = match column.made {
                    Made::Record => {
                        let number = self.first_record + self.found.rows[*row].line;
                        i64::try_from(number).map_or(Cell::Null, Cell::Int)
                    }
                    Made::Retrieved => self.versions[at].map_or(Cell::Null, Cell::Int),
                    Made::File => Cell::Str(&payload.partition),
                    _ => made(column, *slot, &mut self.found.sheet, *row, self.plan.kind),
                };
                cells.push(cell);
            }
            let data_type = column.data_type();
            columns.push(json::build::column(&data_type, &cells, &self.found.sheet.arena));
            fields.push(Field::new(column.name, data_type, column.name != "id"));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.kept.len()));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .expect("every column was built with its field's type and one value a row kept");
        let versions = self.versions.iter().any(Option::is_some).then(|| Int64Array::from(self.versions));
        let records = (rows.num_rows() + self.rejects.len()) as u64;
        Decoded { rows, versions, tombstones: None, rejects: self.rejects, records, passed_over: self.others }
    }
}

/// The value of a column that is made of the settled cell in `slot`.
fn made<'a>(column: &Column, slot: usize, sheet: &mut Sheet<'a>, row: usize, kind: Kind) -> Cell<'a> {
    let cell = sheet.cell(row, slot);
    match column.made {
        Made::Same if slot == Plan::ID => without_prefix(cell, &sheet.arena.text),
        Made::Bare => without_prefix(cell, &sheet.arena.text),
        Made::Name if cell.is_some() => cell,
        Made::Name => {
            let id = sheet.str(row, Plan::ID).map(bare).unwrap_or_default();
            let name = format!("{}{id}", kind.prefix());
            sheet.arena.keep(&name)
        }
        Made::EditedFlag => match cell {
            Cell::Int(_) => Cell::Bool(true),
            cell => cell,
        },
        Made::EditedAt if matches!(cell, Cell::Bool(_)) => Cell::Null,
        Made::Inside(path) => record::inside(cell, path, &mut sheet.arena),
        _ => cell,
    }
}

fn without_prefix<'a>(cell: Cell<'a>, text: &str) -> Cell<'a> {
    match cell {
        Cell::Str(id) => Cell::Str(bare(id)),
        Cell::Text { start, len } => {
            let cut = cell.str(text).map_or(0, |id| id.len() - bare(id).len());
            Cell::Text { start: start + cut, len: len - cut as u32 }
        }
        other => other,
    }
}

#[cfg(test)]
mod flat;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod tests;

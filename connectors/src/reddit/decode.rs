//! Payloads to rows: scan every line onto a sheet, settle the records, build the columns.
//!
//! A line is one JSON value; a whole document is treated as one long line. What cannot become rows is a reject with its
//! line number: a line that is no JSON or no UTF-8 as a whole, a record alone (`line 3, record 2` in a listing) when only
//! it is wrong. Records of another kind than the source's are neither rows nor rejects and do not count as records of
//! this source: [`Decoder::others`] counts them.
//!
//! Blank lines are passed over.

use std::str;
use std::sync::atomic::{AtomicU64, Ordering};

use catchment_contract::arrow::array::{Int64Array, RecordBatch};
use catchment_contract::{Decoded, Payload, Reject};
use memchr::{memchr, memchr_iter};
use serde::de::DeserializeSeed;

use super::build;
use super::cell::Cell;
use super::columns::Kind;
use super::plan::Plan;
use super::scan::{Node, Row, Sheet, What};
use crate::files::position::FilePosition;
use crate::json;

/// Decodes payloads of one kind for one projection.
#[derive(Debug)]
pub struct Decoder {
    plan: Plan,
    others: AtomicU64,
}

impl Decoder {
    /// A decoder for the columns `projection` of [`Kind::schema`], in that order.
    ///
    /// # Panics
    /// If an index is not one of a column.
    pub fn new(kind: Kind, projection: &[usize]) -> Self {
        Decoder { plan: Plan::new(kind, projection), others: AtomicU64::new(0) }
    }

    /// Records of another kind that were passed over so far.
    pub fn others(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }
}

impl catchment_contract::Decoder for Decoder {
    fn decode(&self, payload: &Payload) -> Decoded {
        let document = FilePosition::is_document(&payload.position);
        let lines = if document { 1 } else { memchr_iter(b'\n', &payload.bytes).count() + 1 };
        let mut work = Work {
            plan: &self.plan,
            sheet: Sheet::new(self.plan.slots.len(), lines),
            kept: Vec::with_capacity(lines),
            versions: Vec::with_capacity(lines),
            rejects: payload.rejects.clone(),
            first_record: payload.first_record,
            document,
            others: 0,
        };
        work.payload(&payload.bytes);
        if work.others > 0 {
            self.others.fetch_add(work.others, Ordering::Relaxed);
            tracing::debug!(partition = %payload.partition, records = work.others, "passed over records of another kind");
        }
        work.finish()
    }
}

/// One payload on its way.
struct Work<'a> {
    plan: &'a Plan,
    sheet: Sheet<'a>,
    /// Rows of the sheet that become rows.
    kept: Vec<usize>,
    /// Their versions.
    versions: Vec<Option<i64>>,
    rejects: Vec<Reject>,
    first_record: u64,
    document: bool,
    others: u64,
}

impl<'a> Work<'a> {
    fn payload(&mut self, bytes: &'a [u8]) {
        let text = str::from_utf8(bytes).ok();
        let (mut start, mut line) = (0, 0);
        while start < bytes.len() {
            let newline = if self.document { None } else { memchr(b'\n', &bytes[start..]) };
            let end = newline.map_or(bytes.len(), |newline| start + newline);
            match text.and_then(|text| text.get(start..end)) {
                Some(text) => self.line(line, text),
                None => match str::from_utf8(&bytes[start..end]) {
                    Ok(text) => self.line(line, text),
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

    /// One JSON value.
    fn line(&mut self, line: u64, text: &'a str) {
        if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
            return;
        }
        if json::nested_too_deep(text.as_bytes()) {
            let reason = format!("nested more than {} deep", json::DEPTH_MAX);
            return self.reject(line, text.as_bytes(), reason);
        }
        let first = self.sheet.rows.len();
        // Lone surrogates (half an emoji, cut off by somebody's script) become U+FFFD instead of costing the record.
        let mut parser = sonic_rs::Deserializer::from_str(text).utf8_lossy();
        let scanned = Node::new(self.plan, &mut self.sheet, line).deserialize(&mut parser);
        let reason = match scanned.and_then(|object| parser.end().map(|()| object)) {
            Ok(true) => return self.settle(first, text),
            Ok(false) => "not a JSON object".to_owned(),
            Err(error) => json::not_json(text, &error),
        };
        self.sheet.truncate(first);
        self.reject(line, text.as_bytes(), reason);
    }

    /// Keeps the good records among the rows from `first` on, which one line gave.
    fn settle(&mut self, first: usize, text: &'a str) {
        let mut number = 0;
        let several = self.sheet.rows.len() > first + 1;
        for row in first..self.sheet.rows.len() {
            let Row { what, line } = self.sheet.rows[row];
            match what {
                What::Container => continue,
                What::Other => self.others += 1,
                What::Record(Some(kind)) if kind != self.plan.kind => self.others += 1,
                What::Record(_) => {
                    number += 1;
                    if let Err(reason) = self.record(row) {
                        let place = if several { format!(", record {number}") } else { String::new() };
                        let place = format!("{}{place}", self.place(line));
                        self.rejects.push(Reject::new(place, Some(text.as_bytes()), reason));
                    }
                }
            }
        }
    }

    /// Settles the cells of a record and keeps it.
    fn record(&mut self, row: usize) -> Result<(), String> {
        let sheet = &mut self.sheet;
        let id = [Plan::ID, Plan::NAME].into_iter().find_map(|slot| match sheet.cell(row, slot) {
            cell @ (Cell::Str(_) | Cell::Text { .. }) => Some(cell),
            _ => None,
        });
        match id.filter(|id| id.str(&sheet.text).is_some_and(|id| !build::bare(id).is_empty())) {
            Some(id) => sheet.put(row, Plan::ID, id),
            None if sheet.cell(row, Plan::ID).is_some() => return Err("its \"id\" is not a string".to_owned()),
            None => return Err("it has no \"id\", so it is not a record of Reddit".to_owned()),
        }
        for (index, slot) in self.plan.slots.iter().enumerate() {
            let cell = sheet.cell(row, index);
            let settled = cell.settle(slot.ty, &sheet.text);
            sheet.put(row, index, settled.map_err(|what| format!("field \"{}\" is {what}", slot.field))?);
        }
        self.versions.push(
            self.plan
                .retrieved()
                .filter_map(|slot| match self.sheet.cell(row, slot) {
                    Cell::Int(time) => Some(time),
                    _ => None,
                })
                .max(),
        );
        self.kept.push(row);
        Ok(())
    }

    fn reject(&mut self, line: u64, raw: &[u8], reason: String) {
        let place = self.place(line);
        self.rejects.push(Reject::new(place, Some(raw), reason));
    }

    fn place(&self, line: u64) -> String {
        if self.document { "document".to_owned() } else { format!("line {}", self.first_record + line) }
    }

    fn finish(self) -> Decoded {
        let columns = self.plan.columns.iter();
        let columns = columns
            .map(|(column, slot)| build::column(column, *slot, &self.sheet, &self.kept, &self.versions, self.plan));
        let rows: RecordBatch = build::batch(self.plan, columns.collect(), self.kept.len());
        let versions = self.versions.iter().any(Option::is_some).then(|| Int64Array::from(self.versions));
        let records = (rows.num_rows() + self.rejects.len()) as u64;
        Decoded { rows, versions, tombstones: None, rejects: self.rejects, records, passed_over: 0 }
    }
}

#[cfg(test)]
mod tests;

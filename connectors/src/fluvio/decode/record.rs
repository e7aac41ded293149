//! Records to rows of the sheet: what each format makes of a key and a value.

use std::str;

use catchment_contract::Reject;
use catchment_topics::batch::Record;
use serde::de::DeserializeSeed;

use super::super::option::Format;
use super::plan::{Own, Plan};
use super::scan::{Change, Envelope, KeyArray, Object};
use crate::json;
use crate::json::cell::{Cell, Type};
use crate::json::sheet::Sheet;

/// Records of one payload on their way.
pub(super) struct Work<'a> {
    plan: &'a Plan,
    partition: i64,
    pub sheet: Sheet<'a>,
    /// Rows of the sheet that become rows, and whether they remove their key.
    pub kept: Vec<(usize, bool)>,
    pub rejects: Vec<Reject>,
    /// Records that became rows or rejects.
    pub records: u64,
}

/// Where a value's fields stand in its text, for a second look at one of them.
#[derive(Clone, Copy)]
struct Scope<'a> {
    text: &'a str,
    path: &'static [&'static str],
}

impl<'a> Work<'a> {
    pub(super) fn new(plan: &'a Plan, partition: i64, rows: usize) -> Self {
        Work {
            plan,
            partition,
            sheet: Sheet::new(plan.slots.len(), rows),
            kept: Vec::with_capacity(rows),
            rejects: Vec::new(),
            records: 0,
        }
    }

    /// One record of the topic.
    pub(super) fn record(&mut self, record: &Record<'a>) {
        match str::from_utf8(record.value) {
            Ok(text) if self.plan.format == Format::Ndjson => self.lines(text, record),
            Ok(text) => {
                let outcome = self.value(text, record);
                self.settled(outcome, None, record, text.as_bytes());
            }
            Err(error) => {
                let reason = format!("not UTF-8: {} good bytes before the first bad one", error.valid_up_to());
                self.settled(Err(reason), None, record, record.value);
            }
        }
    }

    /// A reject that is no record of its own: a batch, or bytes between batches.
    pub(super) fn reject(&mut self, place: String, raw: Option<&[u8]>, reason: String) {
        self.rejects.push(Reject::new(place, raw, reason));
        self.records += 1;
    }

    fn lines(&mut self, text: &'a str, record: &Record<'a>) {
        let mut some = false;
        for (number, line) in text.lines().enumerate() {
            if !line.trim().is_empty() {
                some = true;
                let outcome = self.object(line, record);
                self.settled(outcome, Some(number + 1), record, line.as_bytes());
            }
        }
        if !some {
            self.settled(Err("it holds no line".to_owned()), None, record, text.as_bytes());
        }
    }

    /// Counts a record (or a line of one), and rejects it if it is wrong.
    fn settled(&mut self, outcome: Result<(), String>, line: Option<usize>, record: &Record<'a>, raw: &[u8]) {
        let Err(reason) = outcome else {
            self.records += 1;
            return;
        };
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        self.reject(format!("partition {}, offset {}{line}", self.partition, record.offset), Some(raw), reason);
    }

    fn value(&mut self, text: &'a str, record: &Record<'a>) -> Result<(), String> {
        let removes = matches!(text.trim_ascii(), "" | "null");
        match self.plan.format {
            Format::Debezium | Format::Upsert if removes => self.removal(record),
            Format::Debezium => self.change(text, record),
            Format::Upsert | Format::Json | Format::Ndjson => self.object(text, record),
        }
    }

    /// The row that the record's key names is gone.
    fn removal(&mut self, record: &Record<'a>) -> Result<(), String> {
        let row = self.sheet.begin();
        if record.key.is_none() && self.plan.keys == 1 {
            self.sheet.put(row, 0, Cell::Null);
        }
        let outcome = self.row(row, true, None, Scope { text: "", path: &[] }, record);
        if outcome.is_err() {
            self.sheet.truncate(row);
        }
        outcome
    }

    /// One object, one row.
    fn object(&mut self, text: &'a str, record: &Record<'a>) -> Result<(), String> {
        let first = self.sheet.rows();
        let (plan, limit) = (self.plan, self.plan.slots.len());
        let outcome = parse(text, Object { plan, sheet: &mut self.sheet, limit })
            .and_then(|row| row.ok_or_else(|| "not a JSON object".to_owned()))
            .and_then(|row| self.row(row, false, None, Scope { text, path: &[] }, record));
        if outcome.is_err() {
            self.sheet.truncate(first);
        }
        outcome
    }

    /// A change, one row, or two where the key changes.
    fn change(&mut self, text: &'a str, record: &Record<'a>) -> Result<(), String> {
        let (first, kept) = (self.sheet.rows(), self.kept.len());
        let outcome = parse(text, Envelope { plan: self.plan, sheet: &mut self.sheet, wrapped: false })
            .and_then(|change| change.ok_or_else(|| "not a JSON object".to_owned()))
            .and_then(|change| self.apply(&change, text, record));
        if outcome.is_err() {
            self.sheet.truncate(first);
            self.kept.truncate(kept);
        }
        outcome
    }

    fn apply(&mut self, change: &Change<'a>, text: &'a str, record: &Record<'a>) -> Result<(), String> {
        let (before, after): (&'static [&'static str], &'static [&'static str]) = match change.wrapped {
            false => (&["before"], &["after"]),
            true => (&["payload", "before"], &["payload", "after"]),
        };
        let scope = |path| Scope { text, path };
        let op = change.op.str(&self.sheet.arena.text).unwrap_or_default();
        let (moves, row) = match (op, change.after) {
            ("c" | "r", Some(row)) => (false, row),
            ("u", Some(row)) => (true, row),
            ("d", _) => {
                let row = change.before.unwrap_or_else(|| self.sheet.begin());
                return self.row(row, true, Some(change), scope(before), record);
            }
            ("c" | "r" | "u", None) => return Err(format!("its op is \"{op}\", and it has no \"after\"")),
            ("t", _) => return Err("a truncation of the whole table, which is not applied".to_owned()),
            ("m", _) => return Err("a message, which is no change of a row".to_owned()),
            ("", _) => return Err("it has no \"op\", so it is not a change as Debezium writes it".to_owned()),
            _ => return Err(format!("its op \"{op}\" is none of c, r, u and d")),
        };
        let at = self.kept.len();
        self.row(row, false, Some(change), scope(after), record)?;
        match change.before.filter(|_| moves) {
            Some(old) => self.moved(old, row, at, scope(before)),
            None => Ok(()),
        }
    }

    /// An update whose row had another key before removes that one first: `at` is the place of its new row among those
    /// kept.
    fn moved(&mut self, old: usize, new: usize, at: usize, scope: Scope<'a>) -> Result<(), String> {
        let keys = self.plan.keys;
        // What `before` leaves out of the key has not changed.
        if (0..keys).any(|slot| !self.sheet.cell(old, slot).is_some()) {
            return Ok(());
        }
        (0..keys).try_for_each(|slot| self.settle(old, slot, scope))?;
        let same = |slot| self.sheet.cell(old, slot).same(&self.sheet.cell(new, slot), &self.sheet.arena);
        if !(0..keys).all(same) {
            (keys..self.plan.slots.len()).for_each(|slot| self.sheet.put(old, slot, Cell::Null));
            self.kept.insert(at, (old, true));
        }
        Ok(())
    }

    /// Settles the cells of a row and keeps it.
    fn row(
        &mut self,
        row: usize,
        removes: bool,
        change: Option<&Change<'a>>,
        scope: Scope<'a>,
        record: &Record<'a>,
    ) -> Result<(), String> {
        self.own(row, change, record);
        self.fill_key(row, record)?;
        let keys = self.plan.keys;
        for slot in 0..if removes { keys } else { self.plan.slots.len() } {
            self.settle(row, slot, scope)?;
        }
        if removes {
            (keys..self.plan.slots.len()).for_each(|slot| self.sheet.put(row, slot, Cell::Null));
        }
        self.kept.push((row, removes));
        Ok(())
    }

    fn settle(&mut self, row: usize, slot: usize, scope: Scope<'a>) -> Result<(), String> {
        let wanted = &self.plan.slots[slot];
        if wanted.ty == Type::Text {
            let cell = self.sheet.cell(row, slot);
            if cell.is_some() && cell.str(&self.sheet.arena.text).is_none() {
                let text = self.as_written(&wanted.name, scope)?;
                self.sheet.put(row, slot, text);
            }
            return Ok(());
        }
        self.sheet.settle(row, slot, &wanted.ty).map_err(|what| format!("field \"{}\" is {what}", wanted.name))
    }

    /// A text column takes what is no string as it was written.
    fn as_written(&mut self, field: &str, scope: Scope<'a>) -> Result<Cell<'a>, String> {
        let path = scope.path.iter().copied().chain([field]).collect::<Vec<&str>>();
        let found = sonic_rs::get(scope.text, &path);
        match found.as_ref().map(sonic_rs::LazyValue::as_raw_str) {
            Ok(raw) => Ok(self.sheet.arena.keep(raw)),
            Err(_) => Err(format!("field \"{field}\" is not text")),
        }
    }

    /// Fills the columns that the record itself fills.
    fn own(&mut self, row: usize, change: Option<&Change<'a>>, record: &Record<'a>) {
        let plan = self.plan;
        for (own, slot) in &plan.own {
            let cell = match own {
                Own::Offset => Cell::Int(record.offset),
                Own::Partition => Cell::Int(self.partition),
                Own::Time if record.time < 0 => Cell::Null,
                Own::Time => Cell::Int(record.time.saturating_mul(1_000)),
                Own::Key => self.key_text(record),
                Own::Epoch => change.map_or(Cell::Null, |change| change.epoch),
                Own::TsMs => change.map_or(Cell::Null, |change| change.ts_ms),
            };
            self.sheet.put(row, *slot, cell);
        }
    }

    fn key_text(&mut self, record: &Record<'a>) -> Cell<'a> {
        match record.key.map(|key| (str::from_utf8(key), key)) {
            None => Cell::Null,
            Some((Ok(text), _)) => Cell::Str(text),
            Some((Err(_), key)) => self.sheet.arena.keep(&String::from_utf8_lossy(key)),
        }
    }

    /// Fills what the row lacks of its primary key from the record's key.
    fn fill_key(&mut self, row: usize, record: &Record<'a>) -> Result<(), String> {
        let plan = self.plan;
        let Some(open) = (0..plan.keys).find(|slot| !self.sheet.cell(row, *slot).is_some()) else { return Ok(()) };
        let no_text = |_| format!("it has no \"{}\", and its record's key is not UTF-8", plan.slots[open].name);
        let text = record.key.map(str::from_utf8).transpose().map_err(no_text)?;
        for (slot, cell) in text.map(|text| self.key_cells(text)).unwrap_or_default().into_iter().enumerate() {
            if !self.sheet.cell(row, slot).is_some() {
                self.sheet.put(row, slot, cell);
            }
        }
        let lacks = |cell| match cell {
            Cell::Missing => true,
            Cell::Null => !plan.format.changes_rows(),
            _ => false,
        };
        let Some(slot) = (0..plan.keys).find(|slot| lacks(self.sheet.cell(row, *slot))) else { return Ok(()) };
        let key = match text {
            None => "its record has no key".to_owned(),
            Some(text) => format!("neither has its record's key \"{}\"", text.chars().take(40).collect::<String>()),
        };
        Err(format!("it has no \"{}\", which is in the primary key, and {key}", plan.slots[slot].name))
    }

    /// The primary key's columns in a record's key; fewer if it does not say all.
    fn key_cells(&mut self, text: &'a str) -> Vec<Cell<'a>> {
        let plan = self.plan;
        let fields = |work: &mut Self| {
            let row = parse(text, Object { plan, sheet: &mut work.sheet, limit: plan.keys }).ok()??;
            let cells: Vec<Cell<'a>> = (0..plan.keys).map(|slot| work.sheet.cell(row, slot)).collect();
            work.sheet.truncate(row);
            cells.iter().any(Cell::is_some).then_some(cells)
        };
        if text.starts_with('{')
            && let Some(cells) = fields(self)
        {
            return cells;
        }
        if plan.keys == 1 {
            return vec![Cell::Str(text)];
        }
        parse(text, KeyArray { plan, arena: &mut self.sheet.arena }).unwrap_or_default()
    }
}

/// One JSON value and nothing after it, or what is wrong with it.
fn parse<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> Result<S::Value, String> {
    if json::nested_too_deep(text.as_bytes()) {
        return Err(format!("nested more than {} deep", json::DEPTH_MAX));
    }
    let mut parser = json::parser(text);
    seed.deserialize(&mut parser)
        .and_then(|value| parser.end().map(|()| value))
        .map_err(|error| json::not_json(text, &error))
}

//! What every sink must do.
//!
//! A [`SinkFixture`] brings the sink and reads what a reader of its target would see; [`run`] plays the engine: it writes
//! epochs, takes checkpoints, loses its process at any point between two calls, and compares what is seen with a model.
//!
//! **What is required**
//! - Nothing is visible before [`Sink::publish`]; after it exactly the relation as of the checkpoint is.
//! - `publish` may be called again with the same checkpoint, in the same life and after a restart, and changes nothing.
//! - The sink may be dropped between any two calls. [`SinkSpec::open`] at the last committed checkpoint makes that one
//!   visible, and what was written or staged after it vanishes.
//! - A checkpoint without changes stages nothing; changes that cancel out change nothing.
//! - Nulls, texts of any length and with any characters, numbers at the ends of their types come through.
//!
//! ```
//! use catchment_contract::suite::sink::{self, SinkFixture};
//!
//! /// `fixture` makes a sink with an empty target.
//! fn conforms(fixture: impl Fn() -> Box<dyn SinkFixture>) {
//!     for seed in 0..20 {
//!         sink::run(&mut *fixture(), seed);
//!     }
//! }
//! ```
//!
//! One seed is one run: the same calls with the same rows in the same order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::sink::{Sink, SinkContext, SinkSpec, Staged, ViewFacts};
use crate::update::{Epoch, Run, UpdateBatch};

/// Checkpoints that a run takes after the ones that are always the same.
const RANDOM_CHECKPOINTS: u64 = 12;
/// A text that fits no page, buffer or small batch.
const WIDE_CHARS: usize = 70_000;

/// A sink under test, and the outside world as its readers see it.
pub trait SinkFixture {
    /// The sink, checked for [`SinkFixture::facts`]. Asked for anew at each open, as a restarted job would.
    fn spec(&self) -> Box<dyn SinkSpec>;

    /// Where the job runs; the same at each call.
    fn context(&self) -> SinkContext;

    /// All rows that a reader sees now, in any order: each by [`row_text`] or [`batch_texts`].
    fn read(&mut self) -> Vec<String>;

    /// Whether the sink takes only relations that never retract.
    fn is_append_only(&self) -> bool {
        false
    }

    /// Ends and starts what the sink writes to (a server), as far as it is ours to start; between two lives of the job.
    fn restart(&mut self) {}

    /// The relation that the sink is checked for.
    fn facts(&self) -> ViewFacts {
        ViewFacts { name: "suite".into(), schema: schema(), key: Some(vec![0]), append_only: self.is_append_only() }
    }
}

/// The columns of the suite's relation: a key (`id`) and one of each common type, all nullable but the key in practice.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8View, true),
        Field::new("count", DataType::Int64, true),
        Field::new("ratio", DataType::Float64, true),
        Field::new("good", DataType::Boolean, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("text", DataType::Utf8View, true),
    ]))
}

/// A row as text, out of a JSON object with the relation's columns (others are ignored): `at` is microseconds since 1970
/// as a number, or a text that ends in `Z` with six digits of a second.
pub fn row_text(row: &Value) -> String {
    let schema = schema();
    let cells = schema.fields().iter().map(|field| match &row[field.name()] {
        Value::Number(number) if field.name() == "ratio" => format!("{:?}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Number(number) if field.name() == "at" => time_text(number.as_i64().unwrap_or(i64::MIN)),
        cell => cell.to_string(),
    });
    cells.collect::<Vec<_>>().join("|")
}

/// The rows of `batch` as text; it has the relation's columns, by name, in any order and among others.
///
/// # Panics
/// If a column is missing or has another type (strings may be of any kind).
pub fn batch_texts(batch: &RecordBatch) -> Vec<String> {
    let strings = |name: &str| {
        let column = arrow::compute::cast(column(batch, name), &DataType::Utf8View).expect("a column of strings");
        (0..batch.num_rows())
            .map(|row| column.is_valid(row).then(|| column.as_string_view().value(row).to_owned()))
            .collect()
    };
    let (ids, texts): (Vec<Option<String>>, Vec<Option<String>>) = (strings("id"), strings("text"));
    let counts = column(batch, "count").as_primitive::<Int64Type>();
    let ratios = column(batch, "ratio").as_primitive::<Float64Type>();
    let goods = column(batch, "good").as_boolean();
    let times = column(batch, "at").as_primitive::<TimestampMicrosecondType>();
    let row = |row: usize| Row {
        id: ids[row].clone(),
        count: counts.is_valid(row).then(|| counts.value(row)),
        ratio: ratios.is_valid(row).then(|| ratios.value(row)),
        good: goods.is_valid(row).then(|| goods.value(row)),
        at: times.is_valid(row).then(|| times.value(row)),
        text: texts[row].clone(),
    };
    (0..batch.num_rows()).map(|at| row(at).to_text()).collect()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).unwrap_or_else(|| panic!("what was read has no column \"{name}\""))
}

/// Microseconds since 1970 as text; days and the rest suffice to compare.
fn time_text(micros: i64) -> String {
    let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let date = arrow::temporal_conversions::date32_to_datetime(days as i32);
    let day = date.map_or_else(|| days.to_string(), |date| date.format("%Y-%m-%d").to_string());
    let (second, micro) = (rest / 1_000_000, rest % 1_000_000);
    format!("\"{day}T{:02}:{:02}:{:02}.{micro:06}Z\"", second / 3600, second / 60 % 60, second % 60)
}

/// A row of the relation.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    id: Option<String>,
    count: Option<i64>,
    ratio: Option<f64>,
    good: Option<bool>,
    at: Option<i64>,
    text: Option<String>,
}

impl Row {
    fn to_text(&self) -> String {
        let Row { id, count, ratio, good, at, text } = self;
        let mut row = Map::new();
        row.insert("id".into(), id.as_deref().into());
        row.insert("count".into(), (*count).into());
        row.insert("ratio".into(), (*ratio).into());
        row.insert("good".into(), (*good).into());
        row.insert("at".into(), (*at).into());
        row.insert("text".into(), text.as_deref().into());
        row_text(&Value::Object(row))
    }
}

fn to_batch(rows: &[&Row]) -> RecordBatch {
    let times = rows.iter().map(|row| row.at).collect::<TimestampMicrosecondArray>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.id.as_deref()).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| row.count).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.ratio).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.good).collect::<BooleanArray>()),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(rows.iter().map(|row| row.text.as_deref()).collect::<StringViewArray>()),
    ];
    RecordBatch::try_new(schema(), columns).expect("columns of one length and the schema's types")
}

/// SplitMix64 (G. Steele and others, 2014): enough randomness for a test, and no dependency for everybody.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Where a life of the job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It goes on.
    Never,
    /// After updates were written.
    Written,
    /// After they were staged; the checkpoint is not committed.
    Staged,
    /// After the checkpoint is committed; it is not published.
    Committed,
    /// After it was published.
    Published,
}

type View = BTreeMap<String, Row>;
type Changes = Vec<(Row, i64)>;

struct Player<'f> {
    fixture: &'f mut dyn SinkFixture,
    seed: u64,
    random: Random,
    sink: Option<Box<dyn Sink>>,
    /// The last committed checkpoint: its number, what the sink staged last, the relation as of it.
    number: u64,
    staged: Option<(u64, Staged)>,
    epoch: Epoch,
    committed: View,
    /// The relation as written.
    view: View,
    ids: u64,
}

/// Runs the suite on a sink whose target is empty.
///
/// # Panics
/// If the sink does not do what it must; the message names seed, step and difference.
pub fn run(fixture: &mut dyn SinkFixture, seed: u64) {
    let mut player = Player {
        fixture,
        seed,
        random: Random(seed),
        sink: None,
        number: 0,
        staged: None,
        epoch: 0,
        committed: View::new(),
        view: View::new(),
        ids: 0,
    };
    player.open("at first");
    player.expect("after the first open");
    player.nothing_to_stage();
    let ends = [End::Never, End::Written, End::Staged, End::Committed, End::Published, End::Never];
    for end in ends {
        player.checkpoint(end);
        player.rest(End::Never);
        player.checkpoint(End::Never);
        player.rest(end);
    }
    player.cancelled();
    for _ in 0..RANDOM_CHECKPOINTS {
        let end = match player.random.below(8) {
            0 => End::Written,
            1 => End::Staged,
            2 => End::Committed,
            3 => End::Published,
            _ => End::Never,
        };
        match player.random.below(4) {
            0 => player.rest(end),
            _ => player.checkpoint(end),
        }
    }
    // A last life has nothing to do, and sees everything.
    player.reopen("at the end");
    player.rest(End::Never);
    if player.fixture.spec().can_begin_anew() {
        player.begin_anew();
    }
}

impl Player<'_> {
    fn fail(&self, step: &str, what: &str) -> ! {
        panic!("seed {}, checkpoint {}, {step}: {what}", self.seed, self.number)
    }

    fn ok<T>(&self, step: &str, result: Result<T>) -> T {
        result.unwrap_or_else(|error| self.fail(step, &format!("{error:?}")))
    }

    fn sink(&mut self) -> &mut dyn Sink {
        &mut **self.sink.as_mut().expect("a life has a sink")
    }

    fn open(&mut self, step: &str) {
        let last = self.staged.as_ref().map(|(number, staged)| (*number, staged));
        let opened = self.fixture.spec().open(&self.fixture.context(), last);
        self.sink = Some(self.ok(step, opened));
    }

    /// A life ends without a word; the next begins at the last committed checkpoint.
    fn reopen(&mut self, step: &str) {
        self.sink = None;
        if self.random.chance(50) {
            self.fixture.restart();
        }
        self.view = self.committed.clone();
        self.open(step);
        self.expect(step);
    }

    /// Compares what is visible with the last committed checkpoint.
    fn expect(&mut self, step: &str) {
        let expect = self.committed.clone();
        self.expect_view(step, &expect);
    }

    fn expect_view(&mut self, step: &str, view: &View) {
        let mut found = self.fixture.read();
        let mut expect: Vec<String> = view.values().map(Row::to_text).collect();
        found.sort();
        expect.sort();
        if found == expect {
            return;
        }
        let only = |left: &[String], right: &[String]| {
            let cut = |text: &String| text.chars().take(200).collect::<String>();
            left.iter().filter(|text| !right.contains(text)).map(cut).take(3).collect::<Vec<_>>()
        };
        let (missing, extra) = (only(&expect, &found), only(&found, &expect));
        self.fail(
            step,
            &format!(
                "a reader sees {} rows where {} should be; missing {missing:?}, not ours {extra:?}",
                found.len(),
                expect.len()
            ),
        );
    }

    fn text(&mut self) -> Option<String> {
        const PIECES: [&str; 8] = ["word ", "\"", "\\", "\n\r\t", "é€😀", "\u{1}", "{\"a\":[1]}", "ß"];
        match self.random.below(50) {
            0 => Some("wide ".repeat(WIDE_CHARS / 5)),
            1..5 => None,
            5..9 => Some(String::new()),
            _ => {
                let pieces = self.random.below(6);
                Some((0..pieces).map(|_| PIECES[self.random.below(8) as usize]).collect())
            }
        }
    }

    fn row(&mut self, id: String) -> Row {
        let ends = [i64::MIN, i64::MAX, 0, -1, 1 << 53];
        let count = match self.random.below(4) {
            0 => None,
            1 => Some(ends[self.random.below(5) as usize]),
            _ => Some(self.random.below(1000) as i64),
        };
        let ratio = (!self.random.chance(20)).then(|| self.random.below(4000) as f64 / 8.0 - 100.5);
        let good = (!self.random.chance(20)).then(|| self.random.chance(50));
        let at = (!self.random.chance(20)).then(|| self.random.below(4_000_000_000_000_000) as i64 - 1_000_000_000_000);
        Row { id: Some(id), count, ratio, good, at, text: self.text() }
    }

    /// Changes of an epoch, which take the view on.
    fn changes(&mut self) -> Changes {
        let mut changes = Changes::new();
        for _ in 0..self.random.below(12) {
            let old = self.view.keys().nth(self.random.below(16) as usize).cloned();
            let old = old.filter(|_| !self.fixture.is_append_only());
            let id = old.clone().unwrap_or_else(|| {
                self.ids += 1;
                format!("id {}", self.ids)
            });
            if let Some(row) = old.and_then(|old| self.view.remove(&old)) {
                changes.push((row, -1));
                if self.random.chance(30) {
                    continue;
                }
            }
            let row = self.row(id.clone());
            self.view.insert(id, row.clone());
            changes.push((row, 1));
        }
        changes
    }

    /// Writes epochs of changes: several to a call, in several batches, as slices and with shared or single diffs.
    fn write(&mut self, step: &str) {
        for _ in 0..=self.random.below(3) {
            let mut batches = Vec::new();
            for _ in 0..=self.random.below(2) {
                self.epoch += 1;
                let changes = self.changes();
                let at = self.random.below(changes.len() as u64 + 1) as usize;
                let (left, right) = changes.split_at(at);
                batches.extend([left, right].map(|some| batch(some, self.epoch)));
            }
            batches.retain(|batch| !batch.is_empty());
            let upto = self.epoch;
            let written = self.sink().write(batches, upto);
            self.ok(step, written);
        }
    }

    fn stage(&mut self, step: &str) -> Option<Staged> {
        let (number, epoch) = (self.number + 1, self.epoch);
        let staged = self.sink().stage(number, epoch);
        self.ok(step, staged)
    }

    /// A checkpoint of new changes, and the end of the job's life somewhere in it.
    fn checkpoint(&mut self, end: End) {
        let step = format!("{end:?}");
        self.write(&step);
        self.expect(&format!("{step}: after writing, before publishing"));
        if end == End::Written {
            return self.reopen("opened after a life that had written only");
        }
        let staged = self.stage(&step);
        self.expect(&format!("{step}: after staging, before publishing"));
        if end == End::Staged {
            return self.reopen("opened after a life that had staged and not committed");
        }
        if staged.is_none() && self.view != self.committed {
            self.fail(&step, "nothing was staged, and there were changes");
        }
        let before = self.committed.clone();
        self.commit(staged.clone());
        if end == End::Committed {
            return self.reopen("opened after a life that had committed and not published");
        }
        let Some(staged) = staged else { return };
        self.expect_view(&format!("{step}: committed, before publishing"), &before);
        for time in ["after publishing", "after publishing again"] {
            let number = self.number;
            let published = self.sink().publish(number, &staged);
            self.ok(&step, published);
            self.expect(time);
        }
        if end == End::Published {
            self.reopen("opened after a life that had published");
            let number = self.number;
            let published = self.sink().publish(number, &staged);
            self.ok("publishing what an earlier life had published", published);
            self.expect("after publishing what an earlier life had published");
        }
    }

    fn commit(&mut self, staged: Option<Staged>) {
        self.number += 1;
        if let Some(staged) = staged {
            self.staged = Some((self.number, staged));
        }
        self.committed = self.view.clone();
    }

    /// Checkpoints without changes. In the first a sink may still note that what came before is published, whether or not
    /// the job's life ends then; the second is [`Player::nothing_to_stage`].
    fn rest(&mut self, end: End) {
        let step = format!("a checkpoint without updates, {end:?}");
        self.write_nothing(&step);
        let staged = self.stage(&step);
        if matches!(end, End::Written | End::Staged) {
            return self.reopen(&step);
        }
        self.commit(staged.clone());
        if end == End::Committed {
            return self.reopen(&step);
        }
        if let Some(staged) = staged {
            let number = self.number;
            let published = self.sink().publish(number, &staged);
            self.ok(&step, published);
        }
        self.expect(&step);
        if end == End::Published {
            self.reopen(&step);
        }
        self.nothing_to_stage();
    }

    /// A checkpoint after one that had no changes either.
    fn nothing_to_stage(&mut self) {
        let step = "a second checkpoint without updates";
        self.write_nothing(step);
        if self.stage(step).is_some() {
            self.fail(step, "something was staged");
        }
        self.commit(None);
        self.expect(step);
    }

    fn write_nothing(&mut self, step: &str) {
        self.epoch += 1;
        let upto = self.epoch;
        let written = self.sink().write(Vec::new(), upto);
        self.ok(step, written);
    }

    /// A life that knows nothing of those before it.
    fn begin_anew(&mut self) {
        let step = "a life that begins anew";
        (self.sink, self.staged) = (None, None);
        self.open(step);
        self.expect(step);
        self.epoch += 1;
        self.ids += 1;
        let row = self.row(format!("id {}", self.ids));
        let kept = self.view.values().take(3).cloned().chain([row]);
        self.view = kept.map(|row| (row.id.clone().unwrap_or_default(), row)).collect();
        let rows: Changes = self.view.values().map(|row| (row.clone(), 1)).collect();
        let (written, upto) = (batch(&rows, self.epoch), self.epoch);
        let written = self.sink().write(vec![written], upto);
        self.ok(step, written);
        let staged = self.stage(step);
        self.commit(staged.clone());
        let number = self.number;
        let published = staged.map_or(Ok(()), |staged| self.sink().publish(number, &staged));
        self.ok(step, published);
        self.expect(step);
    }

    /// A checkpoint whose changes cancel out: a row goes and comes back, another comes and goes.
    fn cancelled(&mut self) {
        if self.fixture.is_append_only() {
            return;
        }
        self.ids += 1;
        let guest = self.row(format!("id {}", self.ids));
        let resident = self.view.values().next().cloned();
        let mut there: Changes = vec![(guest.clone(), 1)];
        let mut back: Changes = vec![(guest, -1)];
        if let Some(resident) = resident {
            there.push((resident.clone(), -1));
            back.push((resident, 1));
        }
        for changes in [there, back] {
            self.epoch += 1;
            let (written, upto) = (batch(&changes, self.epoch), self.epoch);
            let written = self.sink().write(vec![written], upto);
            self.ok("changes that cancel out", written);
        }
        let staged = self.stage("changes that cancel out");
        self.commit(staged.clone());
        if let Some(staged) = staged {
            let number = self.number;
            let published = self.sink().publish(number, &staged);
            self.ok("changes that cancel out", published);
        }
        self.expect("after changes that cancelled out");
    }
}

/// Updates of `changes` at `epoch`, as a slice of a longer batch, as the engine may give them.
fn batch(changes: &[(Row, i64)], epoch: Epoch) -> UpdateBatch {
    let Some((first, _)) = changes.first() else {
        return UpdateBatch { rows: to_batch(&[]), epochs: Run::One(epoch), diffs: Run::One(1) };
    };
    let rows: Vec<&Row> = std::iter::once(first).chain(changes.iter().map(|(row, _)| row)).collect();
    let diffs: Vec<i64> = changes.iter().map(|(_, diff)| *diff).collect();
    let diffs = if diffs.iter().all(|diff| *diff == 1) { Run::One(1) } else { Run::Each(diffs.into()) };
    let epochs =
        if changes.len().is_multiple_of(2) { Run::One(epoch) } else { Run::Each(vec![epoch; changes.len()].into()) };
    UpdateBatch { rows: to_batch(&rows).slice(1, changes.len()), epochs, diffs }
}

#[cfg(test)]
mod tests;

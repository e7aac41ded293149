//! What every source must do.
//!
//! A [`SourceFixture`] brings the source and appends to what it reads; [`run`] plays the engine: it looks for partitions,
//! reads them round by round, drops readers after any number of calls, makes the source anew from its positions, and
//! compares what has come with what was appended.
//!
//! **What is required**
//! - Everything that was appended comes, once: nothing is lost and nothing comes twice, whatever is dropped and whenever
//!   the source is made anew. Within a partition records come in the order in which they were appended.
//! - Reading can go on at the position of every payload, and gives exactly the rest.
//! - What is no record is a reject, and the account adds up: records = rows + rejects.
//! - [`Source::discover`] gives each partition once, the same ones in the same order when asked again, and nothing at all
//!   when nothing is new. Partitions that are added later are found.
//! - Under [`Unfinished::Leave`] a record that is being written is neither delivered nor rejected before it is whole, and
//!   comes then.
//! - A decoder is pure: a payload gives the same rows, rejects and counts again and on other threads, and the same ones
//!   whatever else is projected.
//!
//! ```no_run
//! use catchment_contract::suite::source::{self, SourceFixture};
//! # fn fixture() -> Box<dyn SourceFixture> { unimplemented!() }
//! for seed in 0..20 {
//!     let mut fixture = fixture();
//!     source::run(&mut *fixture, seed);
//! }
//! ```
//!
//! One seed is one run: the same calls with the same records in the same order. The suite has one row a record, no key and
//! no tombstones; what a source makes of those is its own tests' matter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::sink::Random;
use crate::source::{Decoded, Partition, Payload, Position, Source, Unfinished};

/// Steps of a run before everything is read to the end.
const STEPS: u64 = 30;
/// At most this many records are appended at once, if the fixture allows as many.
const RECORDS_MAX: u64 = 300;
/// How many payloads of the last, whole reading are resumed after; all of them if they are fewer.
const RESUMES_MAX: usize = 12;
/// A text that fits no page or small buffer.
const WIDE_CHARS: usize = 40_000;

/// A record to append: its identity and a text, which become one row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestRecord {
    /// Eleven letters and digits, ascending in the order of appending, each only once.
    pub id: String,
    /// Not empty. It has no control characters, no `&` and `<`, and no space at its ends.
    pub text: String,
}

/// A source under test, and a hand on the outside world that it reads.
pub trait SourceFixture {
    /// The source. Asked for anew now and then, as a restarted job would.
    fn source(&self) -> Arc<dyn Source>;

    /// The columns, by index, that hold a record's id and its text; both are strings.
    fn columns(&self) -> [usize; 2];

    /// How many partitions there are to append to, at least 1. A source of which each record is a partition says 1.
    fn partitions(&self) -> usize;

    /// Appends whole records to partition `partition`, a number below [`SourceFixture::partitions`].
    fn append(&mut self, partition: usize, records: &[TestRecord]);

    /// Appends something that is no record and makes exactly one reject.
    fn append_bad(&mut self, partition: usize);

    /// Adds a partition; false if that cannot be.
    fn add_partition(&mut self) -> bool {
        false
    }

    /// Appends the beginning of a record, as a writer that is at work leaves it; false if records are never seen in part.
    /// Nothing else is appended to that partition before [`SourceFixture::append_rest`].
    fn append_part(&mut self, _partition: usize, _record: &TestRecord) -> bool {
        false
    }

    /// Appends what [`SourceFixture::append_part`] left out.
    fn append_rest(&mut self, _partition: usize, _record: &TestRecord) {}

    /// The most records that are appended at once: few where each one costs a file.
    fn records_max(&self) -> u64 {
        RECORDS_MAX
    }
}

/// Runs the suite once.
///
/// # Panics
/// If the source does not do what is required; the message names the seed.
pub fn run(fixture: &mut dyn SourceFixture, seed: u64) {
    println!("source suite, seed {seed}");
    let source = fixture.source();
    let mut player = Player {
        fixture,
        source,
        random: Random(seed),
        made: 0,
        appended: Vec::new(),
        bad: 0,
        part: None,
        read: Account::default(),
        positions: BTreeMap::new(),
        seed,
    };
    let first = player.records();
    player.append(first);
    for _ in 0..STEPS {
        player.step();
    }
    player.finish();
}

/// What has come of payloads.
#[derive(Debug, Default)]
struct Account {
    /// Rows by partition, in order.
    rows: BTreeMap<String, Vec<TestRecord>>,
    records: u64,
    rejects: u64,
}

struct Player<'f> {
    fixture: &'f mut dyn SourceFixture,
    source: Arc<dyn Source>,
    random: Random,
    /// Records that were made, and so the next one's number.
    made: u64,
    appended: Vec<TestRecord>,
    bad: u64,
    /// A record that was begun, and where.
    part: Option<(usize, TestRecord)>,
    read: Account,
    positions: BTreeMap<String, Position>,
    seed: u64,
}

impl Player<'_> {
    fn step(&mut self) {
        match self.random.below(10) {
            0..=2 => {
                let records = self.records();
                self.append(records);
            }
            3 => {
                if let Some(partition) = self.free_partition() {
                    self.fixture.append_bad(partition);
                    self.bad += 1;
                }
            }
            4 => drop(self.fixture.add_partition()),
            5 => self.unfinished(),
            6 => self.source = self.fixture.source(),
            _ => self.round(),
        }
    }

    /// A partition that no record was begun in.
    fn free_partition(&mut self) -> Option<usize> {
        let count = self.fixture.partitions();
        let first = self.random.below(count as u64) as usize;
        let taken = self.part.as_ref().map(|(partition, _)| *partition);
        (0..count).map(|step| (first + step) % count).find(|partition| Some(*partition) != taken)
    }

    /// New records, some of them wide.
    fn records(&mut self) -> Vec<TestRecord> {
        let count = 1 + self.random.below(self.fixture.records_max().max(1));
        (0..count).map(|_| self.record()).collect()
    }

    fn record(&mut self) -> TestRecord {
        const PIECES: [&str; 10] = ["a", "Zeit", "0", " w", "\"", "\\", "é", "漢字", "😀", "{}"];
        let len = match self.random.below(60) {
            0 => WIDE_CHARS,
            _ => self.random.below(700) as usize,
        };
        let mut text = String::from("w");
        while text.len() < len {
            text.push_str(PIECES[self.random.below(10) as usize]);
        }
        self.made += 1;
        TestRecord { id: format!("r{:010}", self.made), text }
    }

    fn append(&mut self, records: Vec<TestRecord>) {
        let Some(partition) = self.free_partition() else { return };
        self.fixture.append(partition, &records);
        self.appended.extend(records);
    }

    /// Begins a record, or finishes the one that was begun.
    fn unfinished(&mut self) {
        if let Some((partition, record)) = self.part.take() {
            self.fixture.append_rest(partition, &record);
            self.appended.push(record);
            return;
        }
        // What is written meanwhile has higher numbers, and lies in other partitions.
        let record = self.record();
        let partition = self.random.below(self.fixture.partitions() as u64) as usize;
        if self.fixture.append_part(partition, &record) {
            self.part = Some((partition, record));
        }
    }

    /// Looks for partitions and reads them, or drops the readers on the way.
    fn round(&mut self) {
        let found = self.discover();
        let whole = self.random.chance(60);
        for partition in found {
            let calls = if whole { u64::MAX } else { self.random.below(4) };
            self.read_some(&partition, calls);
        }
    }

    fn discover(&self) -> Vec<Partition> {
        let found = self.ok(self.source.discover(&self.positions), "discover");
        let again = self.ok(self.source.discover(&self.positions), "discover");
        self.check(found == again, "partitions change from one look to the next, and nothing was appended");
        let ids: BTreeSet<&str> = found.iter().map(|partition| partition.id.as_str()).collect();
        self.check(ids.len() == found.len(), "a partition is found twice");
        found
    }

    /// Reads up to `calls` payloads into the account, then drops the reader.
    fn read_some(&mut self, partition: &Partition, calls: u64) {
        let mode = match self.part {
            Some(_) => Unfinished::Leave,
            None if self.random.chance(50) => Unfinished::Leave,
            None => Unfinished::Take,
        };
        let mut reader = self.ok(self.source.open(partition, mode), "open");
        for _ in 0..calls {
            let Some(payload) = self.ok(reader.next(), "next") else { break };
            let decoded = self.decode(&payload);
            let rows = self.rows(&decoded);
            self.read.records += decoded.records;
            self.read.rejects += decoded.rejects.len() as u64;
            self.read.rows.entry(partition.id.clone()).or_default().extend(rows);
            self.check(*payload.partition == *partition.id, "a payload names another partition");
            self.positions.insert(partition.id.clone(), payload.position);
        }
    }

    /// Decodes a payload here, again, and on another thread; with the two columns and with all.
    fn decode(&self, payload: &Payload) -> Decoded {
        let two = self.fixture.columns();
        let decoder = self.source.decoder(&two);
        let decoded = decoder.decode(payload);
        let elsewhere = std::thread::scope(|scope| {
            let other = scope.spawn(|| decoder.decode(payload));
            self.check(same(&decoded, &decoder.decode(payload)), "a payload decodes differently again");
            other.join()
        });
        let Ok(elsewhere) = elsewhere else { self.fail("decoding panicked on another thread") };
        self.check(same(&decoded, &elsewhere), "a payload decodes differently on another thread");
        let all: Vec<usize> = (0..self.source.relation().schema.fields().len()).collect();
        let every = self.source.decoder(&all).decode(payload);
        self.check(
            every.rejects == decoded.rejects,
            "what is rejected depends on a projection that all records satisfy",
        );
        let columns = self.ok(every.rows.project(&two), "project");
        self.check(texts(&columns) == texts(&decoded.rows), "a projection gives other values than all columns do");
        let count = decoded.rows.num_rows() as u64 + decoded.rejects.len() as u64;
        self.check(decoded.records == count, "the account does not add up: records = rows + rejects");
        decoded
    }

    fn rows(&self, decoded: &Decoded) -> Vec<TestRecord> {
        self.check(decoded.tombstones.is_none(), "nobody has removed anything");
        texts(&decoded.rows).into_iter().map(|[id, text]| TestRecord { id, text }).collect()
    }

    /// Reads everything that is left, then everything again from the start, and compares.
    fn finish(&mut self) {
        if let Some((partition, record)) = self.part.take() {
            self.fixture.append_rest(partition, &record);
            self.appended.push(record);
        }
        for partition in self.discover() {
            self.read_some(&partition, u64::MAX);
        }
        self.check(self.discover().is_empty(), "something is new right after everything was read");
        self.source = self.fixture.source();
        self.check(self.discover().is_empty(), "something is new after the source was made anew");
        self.compare(&self.read, "read in rounds");
        self.resume();
    }

    /// Whether an account holds what was appended.
    fn compare(&self, account: &Account, how: &str) {
        let mut come: Vec<&TestRecord> = account.rows.values().flatten().collect();
        for rows in account.rows.values() {
            let ordered = rows.is_sorted_by(|one, two| one.id < two.id);
            self.check(ordered, &format!("records of a partition come twice or in another order than appended, {how}"));
        }
        come.sort();
        let mut expect: Vec<&TestRecord> = self.appended.iter().collect();
        expect.sort();
        let (come_ids, ids): (BTreeSet<_>, BTreeSet<_>) =
            (come.iter().map(|record| &record.id).collect(), expect.iter().map(|record| &record.id).collect());
        let missing: Vec<_> = ids.difference(&come_ids).take(3).collect();
        let more: Vec<_> = come_ids.difference(&ids).take(3).collect();
        self.check(missing.is_empty() && more.is_empty(), &format!("missing {missing:?}, too many {more:?}, {how}"));
        self.check(come.len() == expect.len(), &format!("{} rows instead of {}, {how}", come.len(), expect.len()));
        self.check(come == expect, &format!("a text changed on its way, {how}"));
        let Account { records, rejects, .. } = account;
        self.check(*rejects == self.bad, &format!("{rejects} rejects instead of {}, {how}", self.bad));
        self.check(*records == expect.len() as u64 + self.bad, &format!("{records} records were counted, {how}"));
    }

    /// Reads everything once more, and from the position of payloads on.
    fn resume(&mut self) {
        let mut account = Account::default();
        let (mut ends, mut all) = (BTreeMap::new(), Vec::new());
        for partition in self.ok(self.source.discover(&BTreeMap::new()), "discover") {
            let mut reader = self.ok(self.source.open(&partition, Unfinished::Take), "open");
            let mut payloads = Vec::new();
            while let Some(payload) = self.ok(reader.next(), "next") {
                let decoded = self.decode(&payload);
                account.records += decoded.records;
                account.rejects += decoded.rejects.len() as u64;
                payloads.push((payload.position.clone(), self.rows(&decoded)));
                ends.insert(partition.id.clone(), payload.position);
            }
            account.rows.insert(partition.id.clone(), payloads.iter().flat_map(|(_, rows)| rows.clone()).collect());
            all.push((partition.id, payloads));
        }
        self.compare(&account, "read at once");
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (at, (_, payloads)) in all.iter().enumerate() {
            places.extend((0..payloads.len()).map(|payload| (at, payload)));
        }
        for _ in 0..RESUMES_MAX.min(places.len()) {
            let (at, payload) = places.swap_remove(self.random.below(places.len() as u64) as usize);
            let (id, payloads) = &all[at];
            let expect: Vec<TestRecord> = payloads[payload + 1..].iter().flat_map(|(_, rows)| rows.clone()).collect();
            self.resume_at(id, &payloads[payload].0, &ends, &expect);
        }
    }

    /// Whether everything after one position comes, and nothing else.
    fn resume_at(&self, id: &str, at: &Position, ends: &BTreeMap<String, Position>, expect: &[TestRecord]) {
        let mut known = ends.clone();
        known.insert(id.to_owned(), at.clone());
        let found = self.ok(self.source.discover(&known), "discover");
        self.check(
            found.iter().all(|partition| partition.id == id),
            "another partition than the one with a rest is found",
        );
        let mut rest = Vec::new();
        for partition in found {
            let mut reader = self.ok(self.source.open(&partition, Unfinished::Take), "open");
            while let Some(payload) = self.ok(reader.next(), "next") {
                rest.extend(self.rows(&self.decode(&payload)));
            }
        }
        let (come, wanted) = (rest.len(), expect.len());
        self.check(rest == expect, &format!("partition \"{id}\" gives {come} rows after {at:?}, {wanted} are left"));
    }

    fn ok<T, E: std::fmt::Debug>(&self, result: Result<T, E>, call: &str) -> T {
        result.unwrap_or_else(|error| self.fail(&format!("{call} failed: {error:?}")))
    }

    fn check(&self, holds: bool, what: &str) {
        if !holds {
            self.fail(what);
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("source suite, seed {}: {what}", self.seed)
    }
}

/// Whether two decodings are the same.
fn same(one: &Decoded, two: &Decoded) -> bool {
    let Decoded { rows, versions, tombstones, rejects, records, passed_over } = one;
    *rows == two.rows
        && *versions == two.versions
        && *tombstones == two.tombstones
        && *rejects == two.rejects
        && *records == two.records
        && *passed_over == two.passed_over
}

/// Two columns of strings.
fn texts(rows: &arrow::array::RecordBatch) -> Vec<[String; 2]> {
    let strings = |column: usize| cast(rows.column(column), &DataType::Utf8View).expect("a column of strings");
    let (ids, texts) = (strings(0), strings(1));
    let (ids, texts) = (ids.as_string_view(), texts.as_string_view());
    ids.iter()
        .zip(texts)
        .map(|(id, text)| [id.unwrap_or("(null)").to_owned(), text.unwrap_or("(null)").to_owned()])
        .collect()
}

#[cfg(test)]
mod tests;

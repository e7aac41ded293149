//! The suite finds what it is there to find: a source in memory passes, and each way of breaking it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{RecordBatch, StringViewArray};
use arrow::datatypes::{Field, Schema};

use super::*;
use crate::error::{Error, Result};
use crate::reject::Reject;
use crate::source::{Decoder, PartitionReader, Relation, Replace};

/// How the source in memory is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The first record after a position is lost.
    Skips,
    /// The last record before a position comes again.
    Repeats,
    /// The order of partitions changes.
    Unsteady,
    /// A partition that was read to its end is found again.
    Noisy,
    /// Partitions that are added are not found.
    Blind,
    /// A reject is not counted.
    Miscounts,
    /// A record that is no record is passed over.
    Swallows,
    /// Long texts are cut.
    Cuts,
    /// A record that is being written is rejected.
    Hasty,
    /// The end of a partition is forgotten with what was being written there.
    Forgets,
    /// Decoding gives something else the second time.
    Impure,
}

/// Lines `id text`, with a newline once they are whole.
type World = Arc<Mutex<Vec<String>>>;

struct Memory {
    fault: Fault,
    world: World,
    relation: Relation,
    looks: AtomicUsize,
}

impl Memory {
    fn new(fault: Fault, world: World) -> Self {
        let fields = ["text", "id"].map(|name| Field::new(name, DataType::Utf8View, false));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let relation = Relation { schema, key: Vec::new(), replace: Replace::Never };
        Memory { fault, world, relation, looks: AtomicUsize::new(0) }
    }
}

/// Lines at a time.
const LINES: usize = 97;

impl Source for Memory {
    fn relation(&self) -> &Relation {
        &self.relation
    }

    fn definition(&self) -> String {
        "rows in memory".into()
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let world = self.world.lock().unwrap();
        let partition = |(at, text): (usize, &String)| {
            let from = known.get(&at.to_string()).cloned();
            let offset = from.as_ref().map_or(0, |from| from.0.parse::<usize>().unwrap());
            let whole = text.rfind('\n').map_or(0, |newline| newline + 1);
            let blind = self.fault == Fault::Blind && from.is_none() && !known.is_empty();
            let found = (offset < whole || self.fault == Fault::Noisy) && !blind;
            found.then(|| Partition { id: at.to_string(), bytes: None, from })
        };
        let mut found: Vec<Partition> = world.iter().enumerate().filter_map(partition).collect();
        if self.fault == Fault::Unsteady && self.looks.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            found.reverse();
        }
        Ok(found)
    }

    fn open(&self, partition: &Partition, unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        let index: usize = partition.id.parse().map_err(|_| Error::bug("not ours"))?;
        let text = self.world.lock().unwrap()[index].clone();
        let mut at = partition.from.as_ref().map_or(0, |from| from.0.parse::<usize>().unwrap());
        match self.fault {
            Fault::Skips if at > 0 => at += text[at..].find('\n').map_or(0, |newline| newline + 1),
            Fault::Repeats if at > 0 => at = text[..at - 1].rfind('\n').map_or(0, |newline| newline + 1),
            _ => {}
        }
        let (fault, id) = (self.fault, partition.id.as_str().into());
        Ok(Box::new(Lines { fault, id, text, at, unfinished }))
    }

    fn decoder(&self, projection: &[usize]) -> Arc<dyn Decoder> {
        let schema = Arc::new(self.relation.schema.project(projection).unwrap());
        Arc::new(Decoding { fault: self.fault, schema, projection: projection.to_vec(), calls: AtomicUsize::new(0) })
    }
}

struct Lines {
    fault: Fault,
    id: Arc<str>,
    text: String,
    at: usize,
    unfinished: Unfinished,
}

impl PartitionReader for Lines {
    fn next(&mut self) -> Result<Option<Payload>> {
        let rest = &self.text[self.at..];
        let lines = rest.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let bytes: Vec<u8> = lines.take(LINES).flat_map(str::bytes).collect();
        if bytes.is_empty() {
            return Ok(None);
        }
        self.at += bytes.len();
        let tail = &self.text[self.at..];
        let (at_end, mut rejects) = (!tail.contains('\n'), Vec::new());
        if at_end && !tail.is_empty() {
            assert_eq!(self.unfinished, Unfinished::Leave, "the suite asks for nothing else");
            match self.fault {
                Fault::Hasty => rejects.push(Reject::new("end", None, "not whole")),
                Fault::Forgets => self.at += tail.len(),
                _ => {}
            }
        }
        let position = Position(self.at.to_string());
        Ok(Some(Payload { partition: self.id.clone(), first_record: 1, bytes_read: 0, bytes, position, rejects }))
    }
}

struct Decoding {
    fault: Fault,
    schema: Arc<Schema>,
    projection: Vec<usize>,
    calls: AtomicUsize,
}

impl Decoder for Decoding {
    fn decode(&self, payload: &Payload) -> Decoded {
        let text = String::from_utf8(payload.bytes.clone()).unwrap();
        let mut rejects = payload.rejects.clone();
        let mut rows: Vec<(String, &str)> = Vec::new();
        for line in text.lines() {
            match line.split_once(' ') {
                Some((id, text)) => rows.push((text.to_owned(), id)),
                None if self.fault == Fault::Swallows => {}
                None => rejects.push(Reject::new("line", Some(line.as_bytes()), "no record")),
            }
        }
        if self.fault == Fault::Cuts {
            rows.iter_mut().for_each(|(text, _)| *text = text.chars().take(10_000).collect());
        }
        if self.fault == Fault::Impure && self.calls.fetch_add(1, Ordering::Relaxed) > 0 {
            rows.truncate(rows.len() / 2);
        }
        let column = |index: &usize| -> arrow::array::ArrayRef {
            match index {
                0 => Arc::new(rows.iter().map(|(text, _)| Some(text.as_str())).collect::<StringViewArray>()),
                _ => Arc::new(rows.iter().map(|(_, id)| Some(*id)).collect::<StringViewArray>()),
            }
        };
        let columns = self.projection.iter().map(column).collect();
        let miscount = self.fault == Fault::Miscounts;
        let records = (rows.len() + if miscount { 0 } else { rejects.len() }) as u64;
        let rows = RecordBatch::try_new(self.schema.clone(), columns).unwrap();
        Decoded { rows, versions: None, tombstones: None, rejects, records, passed_over: 0 }
    }
}

struct Fixture {
    fault: Fault,
    world: World,
}

impl SourceFixture for Fixture {
    fn source(&self) -> Arc<dyn Source> {
        Arc::new(Memory::new(self.fault, self.world.clone()))
    }

    fn columns(&self) -> [usize; 2] {
        [1, 0]
    }

    fn partitions(&self) -> usize {
        self.world.lock().unwrap().len()
    }

    fn append(&mut self, partition: usize, records: &[TestRecord]) {
        let mut world = self.world.lock().unwrap();
        records.iter().for_each(|record| world[partition].push_str(&format!("{} {}\n", record.id, record.text)));
    }

    fn append_bad(&mut self, partition: usize) {
        self.world.lock().unwrap()[partition].push_str("rubbish\n");
    }

    fn add_partition(&mut self) -> bool {
        self.world.lock().unwrap().push(String::new());
        true
    }

    fn append_part(&mut self, partition: usize, record: &TestRecord) -> bool {
        self.world.lock().unwrap()[partition].push_str(&record.id);
        true
    }

    fn append_rest(&mut self, partition: usize, record: &TestRecord) {
        self.world.lock().unwrap()[partition].push_str(&format!(" {}\n", record.text));
    }
}

fn passes(fault: Fault, seed: u64) -> bool {
    let mut fixture = Fixture { fault, world: Arc::new(Mutex::new(vec![String::new()])) };
    catch_unwind(AssertUnwindSafe(|| run(&mut fixture, seed))).is_ok()
}

#[test]
fn a_source_that_does_what_is_required_passes() {
    for seed in 0..5 {
        assert!(passes(Fault::None, seed), "seed {seed}");
    }
}

#[test]
fn each_fault_is_found() {
    use Fault::{Blind, Cuts, Forgets, Hasty, Impure, Miscounts, Noisy, Repeats, Skips, Swallows, Unsteady};
    for fault in [Skips, Repeats, Unsteady, Noisy, Blind, Miscounts, Swallows, Cuts, Hasty, Forgets, Impure] {
        assert!((0..20).any(|seed| !passes(fault, seed)), "{fault:?} is not found");
    }
}

//! Files of lines by name; a line that is no number is a reject.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catchment_contract::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use catchment_contract::{
    Decoded, Decoder, Error, ErrorKind, Partition, PartitionReader, Payload, Position, Reject, Relation, Replace,
    Result, Retry, Source, Unfinished, Wake,
};
use catchment_engine::host::{Host, Monitor};

use super::{Faults, schema};

/// What is wrong with a source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// It accepts, and never answers a reader.
    Silent,
    /// It takes so long to say what there is.
    Slow(Duration),
    /// It is not there.
    Away,
    /// It is there, and holds nothing.
    Empty,
    /// Reading fails now and then, and goes on when the partition is opened again.
    Flaky,
    /// It takes so long to read a payload.
    Laborious(Duration),
    /// It panics when it is read.
    Panics,
    /// Its decoder panics.
    DecoderPanics,
}

#[derive(Default)]
pub struct LinesState {
    pub files: BTreeMap<String, Vec<String>>,
    pub wakes: Vec<Wake>,
    pub trouble: Trouble,
    /// Files that nobody may open.
    pub locked: Vec<String>,
    /// Files that vanish when they are opened.
    pub vanishing: Vec<String>,
    /// How many partitions were opened.
    pub opened: u64,
}

pub struct Lines {
    pub state: Arc<Monitor<LinesState>>,
    /// Lines of a payload.
    pub payload_lines: usize,
    pub definition: Mutex<String>,
    faults: Faults,
    host: Host,
    relation: Relation,
}

impl Lines {
    pub fn new(host: &Host, faults: &Faults) -> Self {
        Lines {
            state: Arc::new(Monitor::new(host, LinesState::default())),
            payload_lines: 3,
            definition: Mutex::new("lines in memory".into()),
            faults: faults.clone(),
            host: host.clone(),
            relation: Relation { schema: schema(), key: vec![], replace: Replace::Never },
        }
    }

    pub fn append(&self, file: &str, lines: &[impl ToString]) {
        let lines = lines.iter().map(ToString::to_string);
        self.state.update(|state| state.files.entry(file.to_string()).or_default().extend(lines));
    }

    /// Tells those that watch.
    pub fn wake(&self) {
        self.state.with(|state| state.wakes.clone()).iter().for_each(|wake| wake());
    }

    pub fn set(&self, trouble: Trouble) {
        self.state.update(|state| state.trouble = trouble);
    }

    pub fn lines(&self) -> Vec<String> {
        self.state.with(|state| state.files.values().flatten().cloned().collect())
    }

    fn trouble(&self) -> Trouble {
        self.state.with(|state| state.trouble)
    }
}

fn missing(what: &str) -> Error {
    Error::user(format!("cannot read {what}: no such file or folder")).with_kind(ErrorKind::NotFound)
}

impl Source for Lines {
    fn relation(&self) -> &Relation {
        &self.relation
    }

    fn definition(&self) -> String {
        self.definition.lock().unwrap().clone()
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        match self.trouble() {
            Trouble::Away => return Err(missing("the folder")),
            Trouble::Empty => return Err(Error::user("the folder is empty").with_kind(ErrorKind::Empty)),
            Trouble::Slow(pause) => {
                let until = self.host.now() + pause;
                self.state.wait_until(Some(until), |_| None::<()>);
            }
            _ => {}
        }
        self.faults.chance(20, "the source")?;
        let at = |id: &str| known.get(id).map_or(0, |position| position.0.parse::<usize>().unwrap());
        let partition = |id: &String| Partition { id: id.clone(), bytes: None, from: known.get(id).cloned() };
        self.state.with(|state| {
            let new = state.files.iter().filter(|(id, lines)| at(id) < lines.len());
            Ok(new.map(|(id, _)| partition(id)).collect())
        })
    }

    fn open(&self, partition: &Partition, _unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        self.faults.chance(20, "opening")?;
        let at = partition.from.as_ref().map_or(0, |position| position.0.parse().unwrap());
        let lines = self.state.with(|state| {
            state.opened += 1;
            if state.locked.contains(&partition.id) {
                return Err(Error::user("cannot read it: permission denied").with_kind(ErrorKind::Denied));
            }
            if state.vanishing.contains(&partition.id) {
                state.files.remove(&partition.id);
            }
            state.files.get(&partition.id).cloned().ok_or_else(|| missing("the file"))
        })?;
        Ok(Box::new(LineReader {
            partition: partition.id.as_str().into(),
            lines,
            at,
            payload_lines: self.payload_lines,
            state: self.state.clone(),
            faults: self.faults.clone(),
        }))
    }

    fn decoder(&self, _projection: &[usize]) -> Arc<dyn Decoder> {
        Arc::new(LineDecoder(self.state.clone()))
    }

    fn watch(&self, wake: Wake) -> Result<Option<Box<dyn Send>>> {
        self.state.update(|state| state.wakes.push(wake));
        Ok(Some(Box::new(())))
    }
}

struct LineReader {
    partition: Arc<str>,
    lines: Vec<String>,
    at: usize,
    payload_lines: usize,
    state: Arc<Monitor<LinesState>>,
    faults: Faults,
}

impl PartitionReader for LineReader {
    fn next(&mut self) -> Result<Option<Payload>> {
        let trouble = self.state.wait(|state| (state.trouble != Trouble::Silent).then_some(state.trouble));
        assert!(trouble != Trouble::Panics, "the source has gone mad");
        if let Trouble::Laborious(work) = trouble {
            self.faults.environment.sleep(work);
        }
        if self.faults.hit(50) || (trouble == Trouble::Flaky && self.faults.environment.random_in(1..=5) == 1) {
            return Err(Error::remote("the connection is lost").with_retry(Retry::Reopen));
        }
        let lines = &self.lines[self.at..self.lines.len().min(self.at + self.payload_lines)];
        if lines.is_empty() {
            return Ok(None);
        }
        let first_record = self.at as u64 + 1;
        self.at += lines.len();
        Ok(Some(Payload {
            partition: self.partition.clone(),
            bytes: lines.join("\n").into_bytes(),
            first_record,
            bytes_read: 1,
            position: Position(self.at.to_string()),
            rejects: vec![],
        }))
    }
}

struct LineDecoder(Arc<Monitor<LinesState>>);

impl Decoder for LineDecoder {
    fn decode(&self, payload: &Payload) -> Decoded {
        assert!(self.0.with(|state| state.trouble) != Trouble::DecoderPanics, "the decoder has gone mad");
        let text = std::str::from_utf8(&payload.bytes).unwrap();
        let (mut numbers, mut rejects) = (Vec::new(), Vec::new());
        for (nth, line) in text.split('\n').enumerate() {
            match line.parse::<i64>() {
                Ok(number) => numbers.push(number),
                Err(error) => {
                    let place = format!("line {}", payload.first_record + nth as u64);
                    rejects.push(Reject::new(
                        place,
                        Some(line.as_bytes()),
                        format!("\"{line}\" is not a number: {error}"),
                    ));
                }
            }
        }
        let records = (numbers.len() + rejects.len()) as u64;
        let rows = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(numbers)) as ArrayRef]).unwrap();
        Decoded { rows, versions: None, tombstones: None, rejects, records, passed_over: 0 }
    }
}

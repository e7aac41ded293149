//! Rows that the program itself delivers: a source for embedding and for tests.
//!
//! ```sql
//! CREATE SOURCE readings WITH (connector = 'push', feed = 'readings');
//! ```
//!
//! The feed `readings` is made by [`JobBuilder::feed`](crate::JobBuilder::feed), which returns the [`Feed`] that takes its
//! rows. What is pushed stays in memory for as long as the feed: a run may be opened again and reads it again as far as its
//! last checkpoint does not hold it. Every feed is a partition of its own, so rows that an earlier process pushed stay in
//! the job's state, and rows of this one are added to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchment_contract::arrow::array::{BooleanArray, RecordBatch};
use catchment_contract::arrow::compute::concat_batches;
use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::arrow::ipc::reader::StreamReader;
use catchment_contract::arrow::ipc::writer::StreamWriter;
use catchment_contract::{
    Declaration, Decoded, Decoder, Environment, Error, Options, Partition, PartitionReader, Payload, Position,
    Relation, Replace, Result, Source, SourceConnector, Unfinished, Wake,
};

/// Takes rows for a source of a job. Clones feed the same source.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    partition: String,
    relation: Relation,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    payloads: Vec<Pushed>,
    wakes: Vec<Wake>,
}

/// One push, as a stream of Arrow IPC: what a decoder on another thread reads.
#[derive(Clone)]
struct Pushed {
    bytes: Vec<u8>,
    first_record: u64,
    rows: u64,
    deletes: bool,
}

impl Feed {
    pub(crate) fn new(name: &str, schema: SchemaRef, key: &[usize], environment: &Environment) -> Feed {
        let replace = if key.is_empty() { Replace::Never } else { Replace::Row };
        let relation = Relation { schema, key: key.to_vec(), replace };
        let partition = format!("{name}-{}", environment.unique_name());
        Feed { shared: Arc::new(Shared { name: name.into(), partition, relation, state: Mutex::default() }) }
    }

    /// Adds rows; in a feed with a key each replaces the row that has its key.
    ///
    /// # Errors
    /// If their columns are not those of the feed.
    pub fn push(&self, rows: &RecordBatch) -> Result<()> {
        self.add(rows, false)
    }

    /// Removes the rows with the keys of `rows`, whose other columns do not matter.
    ///
    /// # Errors
    /// As [`Feed::push`]; if the feed has no key.
    pub fn delete(&self, rows: &RecordBatch) -> Result<()> {
        if self.shared.relation.key.is_empty() {
            return Err(Error::user(format!("cannot delete from feed \"{}\": it has no key", self.shared.name))
                .with_hint("give the feed a key when it is made"));
        }
        self.add(rows, true)
    }

    fn add(&self, rows: &RecordBatch, deletes: bool) -> Result<()> {
        let Shared { name, relation, .. } = &*self.shared;
        let types = |schema: &SchemaRef| -> Vec<_> { schema.fields().iter().map(|f| f.data_type().clone()).collect() };
        if types(&rows.schema()) != types(&relation.schema) {
            let message = format!("cannot push rows into feed \"{name}\": their columns are not those of the feed");
            return Err(Error::user(message).with_hint(format!("its columns are {}", relation.schema)));
        }
        let bytes = encode(&relation.schema, rows)
            .map_err(|error| Error::bug(format!("could not encode rows for feed \"{name}\"")).with_source(error))?;
        let mut state = self.shared.state();
        let first_record = state.payloads.last().map_or(1, |last| last.first_record + last.rows);
        state.payloads.push(Pushed { bytes, first_record, rows: rows.num_rows() as u64, deletes });
        state.wakes.iter().for_each(|wake| wake());
        Ok(())
    }
}

fn encode(schema: &SchemaRef, rows: &RecordBatch) -> Result<Vec<u8>, catchment_contract::arrow::error::ArrowError> {
    let rows = RecordBatch::try_new(schema.clone(), rows.columns().to_vec())?;
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    writer.write(&rows)?;
    writer.into_inner()
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connector `push`, over the feeds of one job.
#[derive(Default)]
pub(crate) struct PushConnector {
    pub feeds: BTreeMap<String, Feed>,
}

impl SourceConnector for PushConnector {
    fn name(&self) -> &'static str {
        "push"
    }

    fn check(&self, name: &str, declared: &Declaration, options: &mut Options) -> Result<Arc<dyn Source>> {
        declared.refuse_key(&format!("source \"{name}\""))?;
        let (feed, span) = options.require("feed")?;
        let found = self.feeds.get(&feed).ok_or_else(|| {
            options
                .error(span, format!("the program has no feed \"{feed}\""))
                .with_hint("make it with JobBuilder::feed before the job is checked")
        })?;
        Ok(Arc::new(PushSource { shared: found.shared.clone() }))
    }
}

struct PushSource {
    shared: Arc<Shared>,
}

fn index(position: Option<&Position>) -> usize {
    position.and_then(|position| position.0.parse().ok()).unwrap_or(0)
}

impl Source for PushSource {
    fn relation(&self) -> &Relation {
        &self.shared.relation
    }

    fn definition(&self) -> String {
        format!("feed \"{}\"", self.shared.name)
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let id = self.shared.partition.clone();
        let from = known.get(&id).cloned();
        let state = self.shared.state();
        let left = state.payloads.get(index(from.as_ref())..).unwrap_or_default();
        if left.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = left.iter().map(|pushed| pushed.bytes.len() as u64).sum();
        Ok(vec![Partition { id, bytes: Some(bytes), from }])
    }

    fn open(&self, partition: &Partition, _unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        Ok(Box::new(PushReader { shared: self.shared.clone(), next: index(partition.from.as_ref()) }))
    }

    fn decoder(&self, projection: &[usize]) -> Arc<dyn Decoder> {
        Arc::new(PushDecoder { relation: self.shared.relation.clone(), projection: projection.to_vec() })
    }

    fn watch(&self, wake: Wake) -> Result<Option<Box<dyn Send>>> {
        self.shared.state().wakes.push(wake.clone());
        Ok(Some(Box::new(Watch { shared: self.shared.clone(), wake })))
    }
}

/// Ends a watch when it is dropped.
struct Watch {
    shared: Arc<Shared>,
    wake: Wake,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.state().wakes.retain(|wake| !Arc::ptr_eq(wake, &self.wake));
    }
}

struct PushReader {
    shared: Arc<Shared>,
    next: usize,
}

/// First byte of a payload: what its rows do.
const UPSERT: u8 = 0;
const DELETE: u8 = 1;

impl PartitionReader for PushReader {
    fn next(&mut self) -> Result<Option<Payload>> {
        let Some(pushed) = self.shared.state().payloads.get(self.next).cloned() else { return Ok(None) };
        self.next += 1;
        let mut bytes = vec![if pushed.deletes { DELETE } else { UPSERT }];
        bytes.extend_from_slice(&pushed.bytes);
        Ok(Some(Payload {
            partition: self.shared.partition.as_str().into(),
            bytes_read: bytes.len() as u64,
            bytes,
            first_record: pushed.first_record,
            position: Position(self.next.to_string()),
            rejects: Vec::new(),
        }))
    }
}

struct PushDecoder {
    relation: Relation,
    projection: Vec<usize>,
}

impl Decoder for PushDecoder {
    fn decode(&self, payload: &Payload) -> Decoded {
        let (kind, stream) = payload.bytes.split_first().expect("the reader writes the kind first");
        let reader = StreamReader::try_new(stream, None).expect("the feed wrote the stream");
        let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("the feed wrote the stream");
        let rows = concat_batches(&self.relation.schema, &batches).expect("the batches have the feed's columns");
        let rows = rows.project(&self.projection).expect("the engine asks for columns that are there");
        let count = rows.num_rows();
        let tombstones = (*kind == DELETE).then(|| BooleanArray::from(vec![true; count]));
        Decoded { rows, versions: None, tombstones, rejects: Vec::new(), records: count as u64, passed_over: 0 }
    }
}

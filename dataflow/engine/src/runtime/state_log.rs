//! What the sources delivered, kept for the next start.
//!
//! A restart feeds the arrivals of all earlier runs through the dataflow again, at epochs that sinks have already
//! published. That is right for any operator and any order of upserts, because arrival numbers and versions are kept;
//! its cost grows with what ever arrived.
//!
//! Each file is an Arrow IPC stream of the source's projected columns followed by `version`, `arrival` and `tombstone`
//! (for the rejects: their columns alone), at most about [`FILE_BYTES`] long, never rewritten. A file that no manifest
//! names is left over from a run that did not commit it; the next run removes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::arrow::error::ArrowError;
use catchment_contract::arrow::ipc::reader::StreamReader;
use catchment_contract::arrow::ipc::writer::StreamWriter;
use catchment_contract::{Error, Lease, Result, Store};

use super::arrivals::column_names;
use super::board::Board;
use crate::checkpoint::{Manifest, StateFile};
use crate::host::{Answer, Host, Queue, Reply, reply};

/// Size at which a file is written out: 8 MiB, since it is put together in memory.
const FILE_BYTES: usize = 8 << 20;

/// What the log's thread is told, in order.
enum LogMessage {
    /// Arrivals of a source, and their bytes in memory.
    Append { source: String, rows: RecordBatch, bytes: usize },
    /// Write out everything; answer with the files made since the cut before.
    Cut(Reply<CutAnswer>),
}

/// Files made since the cut before, by source.
pub(super) type CutAnswer = Result<BTreeMap<String, Vec<StateFile>>>;

/// The other end of the log's thread.
pub(super) struct StateLog {
    host: Host,
    messages: Arc<Queue<LogMessage>>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    /// Never given: it is dropped when the thread ends.
    ended: Option<Answer<()>>,
}

impl StateLog {
    /// Starts the log's thread; files go to `folder`, their names begin with `run`. An error ends the run.
    ///
    /// # Errors
    /// If the system has no room for the thread.
    pub fn start(board: &Board, store: Arc<dyn Store>, folder: String, run: String) -> Result<StateLog> {
        let host = board.host().clone();
        let (messages, waiting) = (Arc::new(Queue::new(&host)), Arc::default());
        let (running, ended) = reply(&host);
        let mut writer = Writer {
            store,
            folder,
            run,
            parts: 0,
            open: BTreeMap::new(),
            files: BTreeMap::new(),
            messages: messages.clone(),
            waiting: Arc::clone(&waiting),
        };
        let failed = board.clone();
        let body = move || {
            let _running: Reply<()> = running;
            if let Err(error) = writer.run() {
                failed.fail(error);
            }
        };
        board.start("state-log", body)?;
        Ok(StateLog { host, messages, waiting, ended: Some(ended) })
    }

    /// Keeps arrivals.
    pub fn append(&self, source: &str, rows: RecordBatch) {
        let bytes = rows.get_array_memory_size();
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.messages.push(LogMessage::Append { source: source.to_owned(), rows, bytes });
    }

    /// Writes out everything that was appended.
    pub fn cut(&self) -> Answer<CutAnswer> {
        let (question, answer) = reply(&self.host);
        self.messages.push(LogMessage::Cut(question));
        answer
    }

    /// Bytes in memory that wait to be written.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Ends the thread once it has done what it was told.
    pub fn finish(&mut self) {
        self.messages.close();
        if let Some(ended) = self.ended.take() {
            let _ = ended.wait();
        }
    }
}

impl Drop for StateLog {
    fn drop(&mut self) {
        self.messages.close();
    }
}

struct OpenFile {
    stream: StreamWriter<Vec<u8>>,
    rows: u64,
}

struct Writer {
    store: Arc<dyn Store>,
    folder: String,
    run: String,
    parts: u64,
    open: BTreeMap<String, OpenFile>,
    files: BTreeMap<String, Vec<StateFile>>,
    messages: Arc<Queue<LogMessage>>,
    waiting: Arc<AtomicUsize>,
}

/// Whoever waits for an answer sees that the thread has ended.
impl Drop for Writer {
    fn drop(&mut self) {
        self.messages.abandon();
    }
}

impl Writer {
    fn run(&mut self) -> Result<()> {
        while let Some(message) = self.messages.pop() {
            match message {
                LogMessage::Append { source, rows, bytes } => {
                    self.append(source, &rows)?;
                    self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                }
                LogMessage::Cut(reply) => reply.give(Ok(self.cut()?)),
            }
        }
        Ok(())
    }

    fn append(&mut self, source: String, rows: &RecordBatch) -> Result<()> {
        let file = match self.open.entry(source.clone()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let stream = StreamWriter::try_new(Vec::new(), &rows.schema()).map_err(not_encoded)?;
                entry.insert(OpenFile { stream, rows: 0 })
            }
        };
        file.stream.write(rows).map_err(not_encoded)?;
        file.rows += rows.num_rows() as u64;
        if file.stream.get_ref().len() >= FILE_BYTES {
            self.write_out(&source)?;
        }
        Ok(())
    }

    fn write_out(&mut self, source: &str) -> Result<()> {
        let Some(OpenFile { stream, rows }) = self.open.remove(source) else { return Ok(()) };
        let bytes = stream.into_inner().map_err(not_encoded)?;
        self.parts += 1;
        let path = format!("{}/{source}/{}-{:06}.arrow", self.folder, self.run, self.parts);
        let file = StateFile { path, rows, bytes: bytes.len() as u64 };
        self.store.put(&file.path, bytes)?;
        self.files.entry(source.to_string()).or_default().push(file);
        Ok(())
    }

    fn cut(&mut self) -> Result<BTreeMap<String, Vec<StateFile>>> {
        let open: Vec<String> = self.open.keys().cloned().collect();
        for source in open {
            self.write_out(&source)?;
        }
        Ok(std::mem::take(&mut self.files))
    }
}

fn not_encoded(error: ArrowError) -> Error {
    Error::bug("could not encode arrivals as Arrow IPC").with_source(error)
}

/// Reads a state file back, batch by batch.
pub(super) fn read(store: &dyn Store, file: &StateFile, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let damaged = || Error::data(format!("state file \"{}\" is damaged", file.path));
    let missing = || {
        Error::data(format!("state file \"{}\" is missing", file.path))
            .with_hint("restore it from a backup, or add --reset once to load everything anew")
    };
    let bytes = store.get(&file.path)?.ok_or_else(missing)?;
    let reader =
        StreamReader::try_new(std::io::Cursor::new(bytes), None).map_err(|error| damaged().with_source(error))?;
    // It may hold columns that the job does not read any more.
    let found = column_names(&reader.schema());
    let places = column_names(schema).iter().map(|name| found.iter().position(|other| other == name)).collect();
    let places: Option<Vec<usize>> = places;
    let places = places.ok_or_else(|| damaged().with_hint("its columns are not those that the checkpoint names"))?;
    let batches = reader.map(|batch| batch.and_then(|batch| batch.project(&places)));
    let batches: Vec<RecordBatch> =
        batches.collect::<Result<_, ArrowError>>().map_err(|error| damaged().with_source(error))?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows as u64 != file.rows {
        return Err(damaged().with_hint(format!("it holds {rows} rows where the checkpoint counts {}", file.rows)));
    }
    Ok(batches)
}

/// Removes state files that `manifest` does not name, unless a newer run has begun.
pub(super) fn remove_orphans(store: &dyn Store, folder: &str, manifest: &Manifest, lease: &dyn Lease) -> Result<()> {
    let named: BTreeSet<&str> =
        manifest.sources.values().flat_map(|source| source.state.iter().map(|file| file.path.as_str())).collect();
    let mut orphans = store.list(folder)?;
    orphans.retain(|path| !named.contains(path.as_str()));
    if orphans.is_empty() || !lease.may_remove()? {
        return Ok(());
    }
    for path in orphans {
        tracing::info!(path, "removing a state file that no checkpoint names");
        store.delete(&path)?;
    }
    Ok(())
}

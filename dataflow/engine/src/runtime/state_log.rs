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
use std::thread::JoinHandle;

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::arrow::error::ArrowError;
use catchment_contract::arrow::ipc::reader::StreamReader;
use catchment_contract::arrow::ipc::writer::StreamWriter;
use catchment_contract::{Error, Lease, Result, Store};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::arrivals::column_names;
use super::reading::spawn;
use crate::checkpoint::{Manifest, StateFile};

/// Size at which a file is written out: 8 MiB, since it is put together in memory.
const FILE_BYTES: usize = 8 << 20;

/// Batches that may wait to be written.
const QUEUE: usize = 64;

pub(crate) enum LogMessage {
    /// Arrivals of a source.
    Append { source: String, rows: RecordBatch },
    /// Write out everything; answer with the files made since the cut before.
    Cut { reply: Sender<Result<BTreeMap<String, Vec<StateFile>>>> },
}

/// The other end of the log's thread.
pub(crate) struct StateLog {
    pub messages: Sender<LogMessage>,
    pub thread: JoinHandle<()>,
}

/// Starts the log's thread; files go to `folder`, their names begin with `run`.
pub(crate) fn start(store: Arc<dyn Store>, folder: String, run: String) -> StateLog {
    let (messages, queue) = bounded(QUEUE);
    let writer = Writer { store, folder, run, parts: 0, open: BTreeMap::new(), files: BTreeMap::new() };
    StateLog { messages, thread: spawn("state-log".into(), move || writer.run(&queue)) }
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
}

impl Writer {
    fn run(mut self, queue: &Receiver<LogMessage>) {
        let mut failure: Option<Error> = None;
        for message in queue {
            match message {
                LogMessage::Append { source, rows } if failure.is_none() => {
                    failure = self.append(source, &rows).err();
                }
                LogMessage::Append { .. } => {}
                LogMessage::Cut { reply } => {
                    let cut = match failure.take() {
                        Some(error) => Err(error),
                        None => self.cut(),
                    };
                    let _ = reply.send(cut);
                }
            }
        }
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
pub(crate) fn read(store: &dyn Store, file: &StateFile, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
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
pub(crate) fn remove_orphans(store: &dyn Store, folder: &str, manifest: &Manifest, lease: &dyn Lease) -> Result<()> {
    let named: BTreeSet<&str> =
        manifest.sources.values().flat_map(|source| source.state.iter().map(|file| file.path.as_str())).collect();
    let mut orphans = store.list(folder)?;
    orphans.retain(|path| !named.contains(path.as_str()));
    if orphans.is_empty() || !lease.is_held()? {
        return Ok(());
    }
    for path in orphans {
        tracing::info!(path, "removing a state file that no checkpoint names");
        store.delete(&path)?;
    }
    Ok(())
}

//! The log's thread: what it was told to keep, written out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::arrow::compute::BatchCoalescer;
use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::arrow::ipc::writer::StreamWriter;
use catchment_contract::{Result, Store};

use super::file::{self, not_encoded};
use super::merge::mergeable;
use super::{FILE_BYTES, LogMessage};
use crate::checkpoint::{StateFile, folder_name};
use crate::host::Queue;

/// Rows of a batch in a merged file.
const BATCH_ROWS: usize = 8192;

pub(super) struct OpenFile {
    schema: SchemaRef,
    stream: StreamWriter<Vec<u8>>,
    rows: u64,
}

pub(super) struct Writer {
    pub store: Arc<dyn Store>,
    pub folder: String,
    pub run: String,
    pub parts: u64,
    pub open: BTreeMap<String, OpenFile>,
    /// All files, by source.
    pub files: BTreeMap<String, Vec<StateFile>>,
    pub messages: Arc<Queue<LogMessage>>,
    pub waiting: Arc<AtomicUsize>,
}

/// Whoever waits for an answer sees that the thread has ended.
impl Drop for Writer {
    fn drop(&mut self) {
        self.messages.abandon();
    }
}

impl Writer {
    pub fn run(&mut self) -> Result<()> {
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
                let schema = rows.schema();
                // Room for all of it: a buffer that doubles is copied, and takes three times as much for a while.
                let buffer = Vec::with_capacity(FILE_BYTES + FILE_BYTES / 4);
                let stream = StreamWriter::try_new(buffer, &schema).map_err(not_encoded)?;
                entry.insert(OpenFile { schema, stream, rows: 0 })
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
        let Some(OpenFile { schema: _, stream, rows }) = self.open.remove(source) else { return Ok(()) };
        let bytes = stream.into_inner().map_err(not_encoded)?;
        let file = self.put(source, bytes, rows)?;
        self.files.entry(source.to_owned()).or_default().push(file);
        Ok(())
    }

    fn put(&mut self, source: &str, bytes: Vec<u8>, rows: u64) -> Result<StateFile> {
        self.parts += 1;
        let path = format!("{}/{}/{}-{:06}.arrow", self.folder, folder_name(source), self.run, self.parts);
        let file = StateFile::describe(path, &bytes, rows);
        self.store.put(&file.path, bytes)?;
        Ok(file)
    }

    fn cut(&mut self) -> Result<BTreeMap<String, Vec<StateFile>>> {
        let open: Vec<(String, SchemaRef)> =
            self.open.iter().map(|(source, file)| (source.clone(), file.schema.clone())).collect();
        for (source, schema) in open {
            self.write_out(&source)?;
            self.merge(&source, &schema)?;
        }
        Ok(self.files.clone())
    }

    /// Puts one file in the place of the last ones, if they have become many.
    fn merge(&mut self, source: &str, schema: &SchemaRef) -> Result<()> {
        let files = self.files.get(source).map(Vec::as_slice).unwrap_or_default();
        let sizes: Vec<u64> = files.iter().map(|file| file.bytes).collect();
        let Some(first) = mergeable(&sizes) else { return Ok(()) };
        let mut stream = StreamWriter::try_new(Vec::new(), schema).map_err(not_encoded)?;
        let mut batches = BatchCoalescer::new(schema.clone(), BATCH_ROWS);
        let rows = files[first..].iter().map(|file| file.rows).sum();
        for file in &files[first..] {
            for batch in file::read(&*self.store, file, schema)? {
                // Names and types are the same; what may be null is said by the newer ones.
                let batch = RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).map_err(not_encoded)?;
                batches.push_batch(batch).map_err(not_encoded)?;
                while let Some(batch) = batches.next_completed_batch() {
                    stream.write(&batch).map_err(not_encoded)?;
                }
            }
        }
        batches.finish_buffered_batch().map_err(not_encoded)?;
        while let Some(batch) = batches.next_completed_batch() {
            stream.write(&batch).map_err(not_encoded)?;
        }
        let bytes = stream.into_inner().map_err(not_encoded)?;
        let merged = self.put(source, bytes, rows)?;
        tracing::debug!(source, from = sizes.len() - first, bytes = merged.bytes, "merged state files");
        let files = self.files.entry(source.to_owned()).or_default();
        files.truncate(first);
        files.push(merged);
        Ok(())
    }
}

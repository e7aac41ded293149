//! What the sources delivered, kept for the next start.
//!
//! A restart feeds the arrivals of all earlier runs through the dataflow again, at epochs that sinks have already
//! published. That is right for any operator and any order of upserts, because arrival numbers and versions are kept;
//! its cost grows with what ever arrived.
//!
//! Each file, `state/<source>/<run>-<part>.arrow`, is an Arrow IPC stream of the source's projected columns followed by
//! `version`, `arrival` and `tombstone` (for the rejects: their columns alone), at most about [`FILE_BYTES`] long. It is
//! never changed; its checksum is in the manifest. A file that no manifest names is left over from a run that did not
//! commit it; the next run removes it.
//!
//! A checkpoint writes one small file a source. Small files are merged as they become more ([`merge`]), so that their
//! number grows with the logarithm of what arrived, and a checkpoint rewrites no more than one file's worth.

mod file;
mod merge;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::{Result, Store};

use super::board::Board;
use crate::checkpoint::{SourceState, StateFile};
use crate::host::{Answer, Host, Queue, Reply, reply};

pub(super) use file::read;
use writer::Writer;

/// Size at which a file is written out: 8 MiB, since it is put together in memory.
const FILE_BYTES: usize = 8 << 20;

/// What the log's thread is told, in order.
enum LogMessage {
    /// Arrivals of a source, and their bytes in memory.
    Append { source: String, rows: RecordBatch, bytes: usize },
    /// Write out everything; answer with all files.
    Cut(Reply<CutAnswer>),
}

/// All files of each source that has some, by source.
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
    /// Starts the log's thread; files go to `folder`, their names begin with `run`. `sources` say which files there are. An
    /// error ends the run.
    ///
    /// # Errors
    /// If the system has no room for the thread.
    pub fn start(
        board: &Board,
        store: Arc<dyn Store>,
        folder: String,
        run: String,
        sources: &BTreeMap<String, SourceState>,
    ) -> Result<StateLog> {
        let host = board.host().clone();
        let (messages, waiting) = (Arc::new(Queue::new(&host)), Arc::default());
        let (running, ended) = reply(&host);
        let mut writer = Writer {
            store,
            folder,
            run,
            parts: 0,
            open: BTreeMap::new(),
            files: sources.iter().map(|(name, source)| (name.clone(), source.state.clone())).collect(),
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

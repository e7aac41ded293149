//! How a job runs: plain data. Components are given to [`Runtime::open`](super::Runtime::open).

use std::path::PathBuf;
use std::time::Duration;

/// How a job runs.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Age at which an epoch is closed.
    pub epoch_interval: Duration,
    /// Decoded bytes at which an epoch is closed.
    pub epoch_bytes: usize,
    /// Time between checkpoints.
    pub checkpoint_interval: Duration,
    /// What each reader of a source may read ahead of the batch that is taken next, in bytes; a source has as many readers
    /// as there are workers, at most 8.
    pub read_ahead_bytes: usize,
    /// For how long a job that stays up waits for a source, or a partition of one, that cannot be read, since it last
    /// could. A job that runs until it is idle waits a few seconds.
    pub patience: Duration,
    /// Bytes of rows that all sinks together may hold in memory before they write them; a sink takes an equal part, between 1
    /// and 64 MiB.
    pub held_bytes: usize,
    /// Bytes of memory that operators' states may take, on all workers together: what is more is spilled. `None`: as much as
    /// there is.
    pub state_memory: Option<usize>,
    /// Folder for what is spilled. It is made when it is needed, and nothing stays in it.
    pub spill_dir: PathBuf,
    /// Folder for scratch files.
    pub scratch: PathBuf,
    /// Whether to forget what earlier runs read and wrote.
    pub reset: bool,
    /// Names of sinks that begin anew, whatever the last checkpoint says of them: they take everything that ever arrived. A
    /// table is replaced by the first commit, a topic gets everything behind what it holds.
    pub reset_sinks: Vec<String>,
}

impl Default for RunOptions {
    /// One worker, epochs of 100 ms or 32 MiB, a checkpoint every 10 s, 4 MiB read ahead by each reader, 10 minutes of
    /// patience, all the memory that states take.
    fn default() -> Self {
        RunOptions {
            workers: 1,
            epoch_interval: Duration::from_millis(100),
            epoch_bytes: 32 << 20,
            checkpoint_interval: Duration::from_secs(10),
            read_ahead_bytes: 4 << 20,
            patience: Duration::from_secs(600),
            held_bytes: usize::MAX,
            state_memory: None,
            spill_dir: std::env::temp_dir().join("catchment.spill"),
            scratch: std::env::temp_dir(),
            reset: false,
            reset_sinks: Vec::new(),
        }
    }
}

impl RunOptions {
    /// The same options for a job that may take `bytes` bytes of memory: half of them are for operators' states, or all but 1
    /// GiB where that is more, but three quarters at most; an eighth is for what sinks hold; and epochs are so small that what
    /// is on its way fits in the rest.
    pub fn within(self, bytes: usize) -> Self {
        RunOptions {
            epoch_bytes: (bytes / 128).max(EPOCH_BYTES_MIN).min(self.epoch_bytes),
            held_bytes: bytes / 8,
            state_memory: Some(bytes.saturating_sub(1 << 30).clamp(bytes / 2, bytes - bytes / 4)),
            ..self
        }
    }
}

/// Smaller epochs cost more than they save.
const EPOCH_BYTES_MIN: usize = 1 << 20;

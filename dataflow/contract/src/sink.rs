//! Sinks: a view's changes, made visible in another system exactly once.
//!
//! A sink takes part in checkpoints (numbered `n`, 1, 2, …) in three steps, each on the sink's own I/O thread:
//!
//! 1. [`Sink::write`] takes the updates of closed epochs;
//! 2. [`Sink::stage`] makes all that was written so far durable but not visible, and describes it in a [`Staged`];
//! 3. the engine commits checkpoint `n`, which holds every sink's `Staged`, and only then calls [`Sink::publish`], which
//!    makes it visible. `publish` is idempotent: after a crash it is called again with the same `n` and `Staged`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::options::Options;
use crate::reject::Reject;
use crate::update::{Epoch, UpdateBatch};

/// What is known of a relation when a sink for it is checked.
#[derive(Clone, Debug)]
pub struct ViewFacts {
    /// The relation's name.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Columns whose values are unique in the relation at every epoch, if known.
    pub key: Option<Vec<usize>>,
    /// Whether it never retracts a row.
    pub append_only: bool,
}

/// A run's right to write for its job: it ends when a newer run begins, which the older one may be slow to notice.
pub trait Lease: Send + Sync {
    /// Whether no newer run had begun when this was called.
    ///
    /// # Errors
    /// If it cannot be found out.
    fn is_held(&self) -> Result<bool>;

    /// Whether the run may remove what earlier runs seem to have left over: it holds the lease, and is not one that keeps
    /// everything until its first checkpoint. Whoever removes lists first and asks then: what was there before belongs to
    /// no newer run.
    ///
    /// # Errors
    /// If it cannot be found out.
    fn may_remove(&self) -> Result<bool> {
        self.is_held()
    }
}

impl fmt::Debug for dyn Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

/// For a job that nobody else can run.
impl Lease for () {
    fn is_held(&self) -> Result<bool> {
        Ok(true)
    }
}

/// Where a job runs: given to sinks when they are opened.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The job's name: owner of its tables, first part of transaction ids.
    pub job: String,
    /// The right to write for the job.
    pub lease: Arc<dyn Lease>,
    /// Whether what an earlier life of the job has written may be replaced. False where the job has never committed a
    /// checkpoint and nobody said to begin anew: what it wrote all the same is of a life whose checkpoints were lost.
    pub may_replace: bool,
    /// Folder for scratch files, if the sink needs one.
    pub scratch: PathBuf,
    /// Bytes of rows that the sink may hold in memory before it writes them.
    pub held_bytes: usize,
}

impl SinkContext {
    /// For a job that nobody else runs, with scratch files where the system keeps them.
    pub fn alone(job: &str) -> Self {
        SinkContext {
            job: job.into(),
            lease: Arc::new(()),
            may_replace: true,
            scratch: std::env::temp_dir(),
            held_bytes: 64 << 20,
        }
    }
}

/// What a sink made durable in a checkpoint, in its own words; stored in the checkpoint's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Staged(pub serde_json::Value);

/// What a sink has made visible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SinkFigures {
    /// Rows that a reader of a table sees; for a topic, the records published in this run.
    pub rows: u64,
    /// Where a topic's partitions stand; empty for tables.
    pub partitions: Vec<TopicPosition>,
}

/// Where a sink stands in a partition of its topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicPosition {
    /// The partition.
    pub partition: u32,
    /// Offset after the last record that is published.
    pub offset: u64,
    /// Records that are staged or waiting and not yet published.
    pub behind: u64,
}

/// Makes sinks of one kind out of `CREATE SINK … WITH (connector = '<name>', …)`.
pub trait SinkConnector: Send + Sync {
    /// The connector's name in SQL.
    fn name(&self) -> &'static str;

    /// Checks the options of a sink named `name` for the relation `view`, without touching disk, network or clock.
    /// Takes every option it knows from `options`; the caller refuses the ones left over.
    ///
    /// # Errors
    /// [`crate::Fault::User`] for a missing or wrong option, or one that does not fit the relation.
    fn check(&self, name: &str, view: &ViewFacts, options: &mut Options) -> Result<Box<dyn SinkSpec>>;
}

/// A checked sink.
pub trait SinkSpec: Send + Sync {
    /// One line for people: `lake table "comments", mode current, partitioned by day(created_utc)`.
    fn describe(&self) -> String;

    /// What it writes to, for people: `lake table "comments"`. Two sinks of a job cannot write to the same.
    fn target(&self) -> String;

    /// Opens the sink: makes what is missing, refuses what another job owns, and brings the outside to exactly the
    /// state of checkpoint `last` (publishing its staged output if that is not known to be done, removing what later,
    /// uncommitted attempts left). `None` if the job has no checkpoint, or none that knew this sink.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Taken`] if another job owns the target, [`crate::ErrorKind::Denied`] if it cannot be
    /// written; any error ends the run.
    fn open(&self, context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>>;

    /// Whether a sink that is opened without a checkpoint replaces with its first commit whatever an earlier life left, so
    /// that it can begin anew; false where what is written stays, as in a topic.
    fn can_begin_anew(&self) -> bool {
        false
    }
}

/// An open sink. Used by one thread at a time.
pub trait Sink: Send {
    /// Takes updates of epochs that are closed: after this, no update of an epoch up to `upto` (inclusive) follows.
    /// Within one call all updates have epochs in `(previous upto, upto]`; the engine has not consolidated them.
    ///
    /// # Errors
    /// Any error ends the run; nothing becomes visible.
    fn write(&mut self, updates: Vec<UpdateBatch>, upto: Epoch) -> Result<()>;

    /// Makes everything written so far durable, not visible, for checkpoint `n` at epoch `epoch`. Returns `None` if
    /// nothing changed since the checkpoint before; the first time it may also return the note that what came before is
    /// published by now.
    ///
    /// # Errors
    /// Any error ends the run; what was staged is removed by the next [`SinkSpec::open`].
    fn stage(&mut self, n: u64, epoch: Epoch) -> Result<Option<Staged>>;

    /// Makes the staged output of checkpoint `n` visible, atomically and once, however often it is called.
    ///
    /// # Errors
    /// Retried inside with back-off; an error that comes out ends the run, and the next open publishes again.
    fn publish(&mut self, n: u64, staged: &Staged) -> Result<()>;

    /// What a reader sees now, for the summary.
    fn figures(&self) -> SinkFigures;

    /// Takes the rows that the sink's system refused since the last call and that are therefore not in its output (a
    /// record too large for a topic), in the order in which they were met. Called after the open, [`Sink::write`],
    /// [`Sink::stage`] and [`Sink::publish`]; the engine adds them to the job's rejects. What is refused until a stage ends
    /// is kept by that checkpoint; what a publish refuses is refused again when it is repeated, until the checkpoint
    /// after it. Nothing by default: most systems take any row.
    fn take_rejects(&mut self) -> Vec<Reject> {
        Vec::new()
    }
}

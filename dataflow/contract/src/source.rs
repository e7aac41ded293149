//! Sources: records of the outside world as rows.
//!
//! A source lists its *partitions*, opens each at a *position*, and cuts it into *payloads* of whole records; its
//! *decoder* turns payloads into Arrow rows and rejects. Reading is sequential in a partition; decoding is pure and runs
//! on several threads at once. A source knows nothing of epochs, workers or SQL.
//!
//! ```text
//! SourceConnector::check ─▶ Source ─ discover ─▶ Partition ─ open ─▶ PartitionReader ─ next ─▶ Payload
//!                              └ decoder(projection) ─▶ Decoder ─ decode(Payload) ─▶ Decoded { rows, rejects }
//! ```
//!
//! **Arrival order** within a run is partition order as `discover` returns it, then payload order, then row order: never
//! timing. The engine numbers rows by it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::options::Options;
use crate::reject::Reject;

/// The times that every reader of tables and topics can write down, in microseconds since 1970: the years 1 to 9999 of the
/// proleptic Gregorian calendar.
pub const WRITABLE_MICROS: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// How rows of a relation replace one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Never: every row that arrives is added (no key).
    Never,
    /// A row replaces the row with the same key.
    Row,
    /// All rows of a key in one payload replace all rows that the key had (a document of several rows).
    Payload,
}

/// What a source yields: its columns, its key, and how rows replace one another.
#[derive(Clone, Debug)]
pub struct Relation {
    /// All columns the source can give. Strings are `Utf8View`, times are `Timestamp(Microsecond, "UTC")`.
    pub schema: SchemaRef,
    /// Columns that name the unit of replacement; empty for [`Replace::Never`].
    pub key: Vec<usize>,
    /// How rows replace one another.
    pub replace: Replace,
}

/// A source's unit of order, such as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Names the partition for good: a path below the source's root, a topic's partition number.
    pub id: String,
    /// Bytes to read from the start position, as far as known (compressed size for a compressed file); for progress.
    pub bytes: Option<u64>,
    /// Where to go on; `None` for the beginning.
    pub from: Option<Position>,
}

/// An opaque resume point inside a partition: only the source that made it reads it.
///
/// Two positions are equal when nothing lies between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(pub String);

/// What a reader does with a record that is not finished where the partition ends now, such as a line without a newline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unfinished {
    /// Take it, as far as it can be a whole record: nobody comes back for it soon.
    #[default]
    Take,
    /// Leave it to a later round, without a reject: its writer is at work.
    Leave,
}

/// What a job says of a source beside its options.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    /// The declared columns with their types, in order; `None` if the job declares none.
    pub columns: Option<SchemaRef>,
    /// Names of the `PRIMARY KEY`'s columns; empty without one.
    pub primary_key: Vec<String>,
}

impl Declaration {
    /// For sources that know their own columns.
    ///
    /// # Errors
    /// If the job declares a primary key.
    pub fn refuse_key(&self, owner: &str) -> Result<()> {
        if self.primary_key.is_empty() {
            return Ok(());
        }
        Err(Error::user(format!("{owner} has a primary key of its own")).with_hint("leave PRIMARY KEY out"))
    }
}

/// How far a partition is read, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionLag {
    /// The partition's id.
    pub partition: String,
    /// Offset of the next record to read.
    pub offset: u64,
    /// Records that are there and not read.
    pub behind: u64,
}

/// Called when a source may have something new. Cheap, and may be called too often.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Whole records as they were read, before decoding.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The partition's id.
    pub partition: Arc<str>,
    /// The records' bytes (decompressed): whole lines for line formats, one document otherwise.
    pub bytes: Vec<u8>,
    /// Number of the first record of this payload in its partition, from 1 (a line number for line formats).
    pub first_record: u64,
    /// Bytes of the outside world (compressed, if so) consumed since the payload before; for progress.
    pub bytes_read: u64,
    /// Where to resume after this payload.
    pub position: Position,
    /// What the reader itself could not turn into records (a truncated frame, an empty file).
    pub rejects: Vec<Reject>,
}

/// What a decoder made of one payload.
///
/// Nothing that was read is uncounted: `records` = records that became rows + `rejects`, and beside them `passed_over`. The
/// ledger adds up on it.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Rows in record order, with the projected columns in the projection's order. A string column may be
    /// dictionary-encoded (`Dictionary(UInt32, Utf8View)`) where the schema says `Utf8View`.
    pub rows: RecordBatch,
    /// Version of each row, higher is newer, null where the record carries none; `None` if no record does.
    pub versions: Option<Int64Array>,
    /// Rows that remove their key (only the key columns count); `None` if none does.
    pub tombstones: Option<BooleanArray>,
    /// Records that did not become rows, including those the reader rejected.
    pub rejects: Vec<Reject>,
    /// Input records that became rows or rejects.
    pub records: u64,
    /// Records that were read and are of another kind than this source takes, such as a comment in a source of
    /// submissions: neither rows nor rejects, and not among `records`.
    pub passed_over: u64,
}

/// Makes sources of one kind out of `CREATE SOURCE … WITH (connector = '<name>', …)`.
pub trait SourceConnector: Send + Sync {
    /// The connector's name in SQL.
    fn name(&self) -> &'static str;

    /// Checks the options of source `name` without touching disk, network or clock, and returns the source they
    /// describe. Takes every option it knows from `options`; the caller refuses the ones left over, and declared columns
    /// that the source does not have.
    ///
    /// # Errors
    /// [`crate::Fault::User`] for a missing or wrong option, or a declaration that does not fit.
    fn check(&self, name: &str, declared: &Declaration, options: &mut Options) -> Result<Arc<dyn Source>>;
}

/// A checked source. `discover`, `open` and the readers may touch the outside world; nothing before them does.
pub trait Source: Send + Sync {
    /// Columns, key and replacement.
    fn relation(&self) -> &Relation;

    /// Columns, by index, that only whoever names them gets: `*`, and a sink that takes the source itself, leave them out.
    /// For what is large, or of interest to few. No column of the key is among them.
    fn unlisted(&self) -> Vec<usize> {
        Vec::new()
    }

    /// What the source is, in a few words that stay the same from run to run: system, format, and the name of what is
    /// read where positions mean nothing without it (`topic "buzz" as debezium`). A job whose source says something else
    /// than at the last checkpoint is refused. What may change in between is left out, such as the folder of files.
    fn definition(&self) -> String;

    /// The partitions that have something to read, given the positions reached so far: new ones (`from` is `None`) and
    /// grown ones (`from` is the known position), in arrival order. A partition with nothing new is left out; one that
    /// vanished is not an error.
    ///
    /// Called on an I/O thread at start and again while a job stays up.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] for a path that does not exist, [`crate::ErrorKind::Denied`] for one that cannot
    /// be read; both name the path and say what to do. A path that exists and holds no partition is an error only when
    /// `known` is empty: [`crate::ErrorKind::Empty`], and a job that stays up waits.
    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>>;

    /// Opens `partition` at its `from`.
    ///
    /// # Errors
    /// As [`Source::discover`]; [`crate::Fault::Data`] if the partition no longer holds what `from` refers to.
    fn open(&self, partition: &Partition, unfinished: Unfinished) -> Result<Box<dyn PartitionReader>>;

    /// A decoder that yields the columns `projection` of the relation's schema, in that order, and touches no others
    /// but what it needs for keys and versions.
    fn decoder(&self, projection: &[usize]) -> Arc<dyn Decoder>;

    /// Calls `wake` from now on whenever there may be something new, until the answer is dropped. `None` if the source
    /// cannot tell: then it is asked by [`Source::discover`] from time to time.
    ///
    /// # Errors
    /// If watching fails for good.
    fn watch(&self, _wake: Wake) -> Result<Option<Box<dyn Send>>> {
        Ok(None)
    }

    /// How far the partitions of `known` are read, for the summary; empty for sources without offsets.
    ///
    /// # Errors
    /// If the outside world cannot be asked.
    fn lag(&self, _known: &BTreeMap<String, Position>) -> Result<Vec<PartitionLag>> {
        Ok(Vec::new())
    }
}

/// Reads one partition in order. Called on an I/O thread; may block.
pub trait PartitionReader: Send {
    /// The next payload, `None` at the partition's present end.
    ///
    /// Payloads are about [`PAYLOAD_BYTES`] long: large enough to amortise, small enough to balance.
    ///
    /// # Errors
    /// Damage to the data is a reject, not an error: the reader ends after it. An error is one of the outside world and
    /// says whether to go on (`Retry`).
    fn next(&mut self) -> Result<Option<Payload>>;
}

/// Target size of a payload: 1 MiB, some thousand comments, which fits a core's cache beside the rows made of it.
pub const PAYLOAD_BYTES: usize = 1 << 20;

/// Turns payloads into rows. Pure: no I/O, no state between payloads, any thread.
pub trait Decoder: Send + Sync {
    /// Rows and rejects of one payload.
    fn decode(&self, payload: &Payload) -> Decoded;
}

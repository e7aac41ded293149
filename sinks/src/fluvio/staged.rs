//! What a checkpoint keeps of a topic's sink, so that it can be published after a crash.
//!
//! A JSON object, the value of [`Staged`]. Fields, all always present:
//!
//! | field | meaning |
//! |---|---|
//! | `format` | 2 |
//! | `topic` | the topic's name |
//! | `records` | what its records are: [`FluvioSpec::records`](crate::fluvio::FluvioSpec::records) |
//! | `producer` | the `producer_id` of our batches, above 0 |
//! | `checkpoint`, `epoch` | number of the checkpoint that staged this, and its epoch |
//! | `outbox` | object of encoded batches, the partitions' one after the other: `path`, `bytes`, `checksum` (XXH3-64); null without records or with `at_least_once` |
//! | `keys` | object of published keys, the same fields; null without `emit = 'first'` |
//! | `partitions` | by number: `offset` (where the partition's end was, or will be once earlier checkpoints are published), `sequence` (of the first chunk, or of the next one if there is none), `chunks`, `records` |
//!
//! The number of partitions is that of the topic when the sink first wrote to it, and stays: a key's records would else
//! be spread over two partitions.

use catchment_contract::{Error, Result, Staged};
use serde::{Deserialize, Serialize};

use crate::fluvio::publish::Run;

/// The version of the format that this module writes and reads.
const FORMAT: u32 = 2;

/// Records that are durable and not visible yet; see the module's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedRecords {
    format: u32,
    pub topic: String,
    pub records: String,
    pub producer: i64,
    pub checkpoint: u64,
    pub epoch: u64,
    pub outbox: Option<Object>,
    pub keys: Option<Object>,
    pub partitions: Vec<StagedPartition>,
}

/// An object in the lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub path: String,
    pub bytes: u64,
    pub checksum: u64,
}

/// A partition's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedPartition {
    pub offset: i64,
    pub sequence: i32,
    pub chunks: u32,
    pub records: u64,
}

impl StagedPartition {
    /// Its chunks as a run of `producer`'s, without the chunks themselves.
    pub fn run(&self, producer: i64) -> Run<'static> {
        let StagedPartition { offset, sequence, chunks, records } = *self;
        Run { from: offset, producer, sequence, chunks, records, encoded: &[] }
    }

    /// The sequence after this part.
    pub fn next_sequence(&self) -> i32 {
        self.sequence.saturating_add_unsigned(self.chunks)
    }

    /// The offset after this part, if nobody else writes.
    pub fn next_offset(&self) -> i64 {
        self.offset.saturating_add_unsigned(self.records)
    }
}

impl StagedRecords {
    /// Without objects and partitions yet.
    pub fn new(topic: &str, records: &str, producer: i64, checkpoint: u64, epoch: u64) -> Self {
        StagedRecords {
            format: FORMAT,
            topic: topic.to_owned(),
            records: records.to_owned(),
            producer,
            checkpoint,
            epoch,
            outbox: None,
            keys: None,
            partitions: Vec::new(),
        }
    }

    /// The paths of its objects.
    pub fn paths(&self) -> Vec<String> {
        self.outbox.iter().chain(&self.keys).map(|object| object.path.clone()).collect()
    }

    /// As a checkpoint keeps it.
    ///
    /// # Errors
    /// None: every field has a JSON form.
    pub fn to_staged(&self) -> Result<Staged> {
        let value = serde_json::to_value(self);
        Ok(Staged(value.map_err(|error| Error::bug("staged records have no JSON form").with_source(error))?))
    }

    /// Reads what [`StagedRecords::to_staged`] wrote for `topic` and its `records`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is something else, [`catchment_contract::Fault::User`] if it is about
    /// another topic or other records.
    pub fn from_staged(staged: &Staged, topic: &str, records: &str) -> Result<Self> {
        let read: StagedRecords = serde_json::from_value(staged.0.clone()).map_err(|error| {
            Error::data(format!("the checkpoint's note about topic \"{topic}\" cannot be read")).with_source(error)
        })?;
        if read.format != FORMAT {
            return Err(Error::data(format!(
                "the checkpoint's note about topic \"{topic}\" has format {}, and this version knows {FORMAT}",
                read.format
            ))
            .with_hint("run the version of catchment that wrote it, or a newer one"));
        }
        if read.topic != topic {
            return Err(Error::user(format!("the sink wrote to topic \"{}\" until its last checkpoint", read.topic))
                .with_hint("keep that name"));
        }
        if read.records != records {
            return Err(Error::user(format!(
                "the records of topic \"{topic}\" were {} until the sink's last checkpoint, and are {records} now",
                read.records
            ))
            .with_hint("write format, key and emit as they were"));
        }
        let possible = |part: &StagedPartition| part.offset >= 0 && part.sequence >= 0;
        if read.producer <= 0 || read.partitions.is_empty() || !read.partitions.iter().all(possible) {
            return Err(Error::data(format!("the checkpoint's note about topic \"{topic}\" makes no sense")));
        }
        Ok(read)
    }
}

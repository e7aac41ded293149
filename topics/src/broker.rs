//! What a broker does for us, whichever it is.

use std::time::Duration;

use bytes::Bytes;
use catchment_contract::Result;

/// How a topic is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Partitions, at least 1.
    pub partitions: u32,
    /// Copies of each partition, at least 1. The embedded broker keeps one.
    pub replication: u32,
    /// How long records are kept at least; `None` for the broker's default (7 days on a cluster).
    pub retention: Option<Duration>,
}

impl Default for TopicSpec {
    /// One partition, one copy, the broker's retention.
    fn default() -> Self {
        TopicSpec { partitions: 1, replication: 1, retention: None }
    }
}

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its name.
    pub name: String,
    /// Its partitions are numbered `0..partitions`.
    pub partitions: u32,
    /// How long records are kept at least, if the topic says so.
    pub retention: Option<Duration>,
    /// Whether it is a system topic of the server (`consumer-offset`).
    pub system: bool,
    /// Whether the server changes batches on their way in (transforms, deduplication): such a topic loses our headers.
    pub rebuilt: bool,
}

/// First offset kept and the exact end: the offset that the next record will get. Offsets count records from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// First offset that can be read.
    pub start: i64,
    /// Offset of the next record to come, acknowledged records all below it.
    pub end: i64,
}

/// Answer to a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Whole, validated batches back to back, the first of which holds the offset asked for (it may begin below it);
    /// empty at the partition's end.
    Batches {
        /// The encoded batches.
        bytes: Bytes,
        /// The offset after the last of them; the offset asked for if there are none.
        next: i64,
    },
    /// The offset asked for is no longer kept.
    Evicted {
        /// First offset kept.
        start: i64,
    },
    /// The batch that holds the offset asked for does not match its checksum, or cannot be one: its records are lost.
    Damaged {
        /// Where to read on: the offset after the batch, as far as that can be told.
        next: i64,
        /// What is wrong with it, and where.
        why: String,
    },
}

/// A broker. Calls block, each with a time-out and back-off inside; an error that comes out has been retried as far as
/// that was safe.
pub trait Broker: Send + Sync {
    /// One line for people: `embedded broker at 127.0.0.1:4131, files in lake/_catchment/topics`.
    fn describe(&self) -> String;

    /// Address of the controller for other clients, `host:port`.
    fn address(&self) -> String;

    /// Bytes of the largest encoded batch that the broker takes; a record that does not fit into a batch of its own is
    /// refused by [`PartitionClient::produce`].
    fn record_bytes_max(&self) -> usize {
        16 << 20
    }

    /// All topics, system topics among them, in name order.
    ///
    /// # Errors
    /// If the broker cannot be reached.
    fn topics(&self) -> Result<Vec<TopicFacts>>;

    /// One topic, if it exists.
    ///
    /// # Errors
    /// If the broker cannot be reached.
    fn topic(&self, name: &str) -> Result<Option<TopicFacts>>;

    /// Makes a topic, and returns when its partitions can be used.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::Taken`] if it exists, [`catchment_contract::ErrorKind::Invalid`] for a name or a
    /// spec that the broker refuses.
    fn create(&self, name: &str, spec: &TopicSpec) -> Result<()>;

    /// Deletes a topic with its records.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::NotFound`] if there is none, [`catchment_contract::ErrorKind::Denied`] for a
    /// system topic.
    fn delete(&self, name: &str) -> Result<()>;

    /// A client of one partition.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::NotFound`] if the topic or the partition does not exist.
    fn partition(&self, topic: &str, partition: u32) -> Result<Box<dyn PartitionClient>>;
}

/// Reads and writes one partition. Used by one thread at a time; may be dropped at any time.
pub trait PartitionClient: Send {
    /// First offset and exact end (what was acknowledged is below it, also after a server was killed).
    ///
    /// # Errors
    /// If the broker cannot be reached, or the partition is gone.
    fn bounds(&mut self) -> Result<Bounds>;

    /// Whole batches from the one that holds offset `from`, about `max_bytes` of them and at least one if there is any.
    /// Never drops a record, whatever the server cuts.
    ///
    /// # Errors
    /// If the broker cannot be reached, `from` lies beyond the end ([`catchment_contract::Fault::Data`]), or what stands
    /// there is damaged so badly that nobody can tell where the next batch begins.
    fn fetch(&mut self, from: i64, max_bytes: usize) -> Result<Fetched>;

    /// Appends one encoded batch, and returns the offset of its first record once it is acknowledged. Sent once: never
    /// repeated inside.
    ///
    /// # Errors
    /// With [`catchment_contract::Outcome::Unknown`] when it may have been appended (find out with `fetch` before writing
    /// again), with `NotApplied` when it was not: too large ([`catchment_contract::ErrorKind::TooLarge`]), refused, or
    /// never sent.
    fn produce(&mut self, batch: &[u8]) -> Result<i64>;

    /// Brings what was acknowledged to disk, with the folders that name it, as far as that is the client's to ask: a sink
    /// calls it before its checkpoint no longer holds what it published. Fluvio's protocol has no such request, so on a
    /// cluster it does nothing.
    ///
    /// # Errors
    /// If the disk refuses; the partition then takes no more records, since nobody knows what the disk holds.
    fn sync(&mut self) -> Result<()>;

    /// Waits until the end lies beyond `end`, at most `timeout`; true if it does.
    ///
    /// # Errors
    /// If the broker cannot be reached, or the partition is gone.
    fn wait(&mut self, end: i64, timeout: Duration) -> Result<bool>;
}

//! Reads and writes one partition over one connection to its leader.
//!
//! The connection is made when it is needed and dropped after any failure. The leader is looked up once, and again when
//! it says that it no longer leads or cannot be reached. Questions that change nothing are repeated; a write never is.
//!
//! **The exact end.** A server that was killed comes back with a high watermark behind the end of its log, and the log's
//! end is what counts: everything that was acknowledged is below it. So a partition with one copy is read to its log's
//! end. With several copies what only the leader has may still be lost: records are given out below the watermark, and
//! [`PartitionClient::bounds`] waits until the watermark has come up to the end that it found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::{Error, ErrorKind, Outcome, Result};
use fluvio_protocol::link::ErrorCode;
use fluvio_spu_schema::Isolation;
use fluvio_spu_schema::produce::{PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;

use crate::batch::BatchHeader;
use crate::broker::{Bounds, Fetched, PartitionClient};
use crate::cluster::Cluster;
use crate::cluster::admin::{self, Leader};
use crate::cluster::failure::Failure;
use crate::cluster::fetch::{self, Asked};
use crate::cluster::link::Link;
use crate::cluster::wire::{REQUEST_BYTES_MAX, SentRecords};

/// How much is asked for at once while the end is looked for: a hundred small batches' headers a question.
const END_BYTES: usize = 64 << 10;
/// How much is asked for to see whether there is anything.
const PEEK_BYTES: usize = 64;
/// First and longest pause between two looks at a partition's end while waiting.
const WAIT_PAUSE_FIRST: Duration = Duration::from_millis(1);
const WAIT_PAUSE_MAX: Duration = Duration::from_millis(20);
/// How long the copies may take to come up to an end that was found, and the pause between two looks at how far they are.
const COPIES_WAIT_MAX: Duration = Duration::from_secs(2);
const COPIES_PAUSE: Duration = Duration::from_millis(5);
/// After a write whose outcome is unknown, the next call waits this long: a request that had arrived whole is then in the
/// log or never will be, so that who looks does not look too early. A guard against the likely case, not a proof.
const SETTLE: Duration = Duration::from_millis(50);
/// What a Produce request holds besides the batch.
const PRODUCE_SLACK_BYTES: usize = 1 << 10;

/// One partition of a cluster.
pub(super) struct ClusterPartition {
    cluster: Arc<Cluster>,
    topic: String,
    partition: u32,
    /// Where it was last known to be led.
    leader: Option<Leader>,
    link: Option<Link>,
    /// Whom the last attempt talked to, for messages.
    place: String,
    /// When the outcome of the last write will have shown, if it is unknown.
    settles: Option<Instant>,
}

impl ClusterPartition {
    pub(super) fn new(cluster: Arc<Cluster>, topic: &str, partition: u32) -> Self {
        let place = cluster.controller();
        ClusterPartition {
            cluster,
            topic: topic.to_string(),
            partition,
            leader: None,
            link: None,
            place,
            settles: None,
        }
    }

    /// One attempt at [`PartitionClient::bounds`].
    pub(super) fn attempt_bounds(&mut self) -> Result<Bounds, Failure> {
        self.attempt(bounds)
    }

    fn name(&self) -> String {
        format!("partition {} of topic \"{}\"", self.partition, self.topic)
    }

    /// Asks the leader once. After a failure the connection is gone, and so is the leader if it may be another.
    fn attempt<T>(
        &mut self,
        question: impl FnOnce(&mut Link, &Asked<'_>, &Leader) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(at) = self.settles.take() {
            let environment = &self.cluster.environment;
            environment.sleep(at.saturating_duration_since(environment.now()));
        }
        self.connect()?;
        let (Some(link), Some(leader)) = (&mut self.link, &self.leader) else {
            return Err(Failure::NotYet("there is no connection".into()));
        };
        let answer = question(link, &Asked { topic: &self.topic, partition: self.partition }, leader);
        if let Err(failure) = &answer {
            self.link = None;
            if failure.is_elsewhere() {
                self.leader = None;
            }
        }
        answer
    }

    /// Makes sure that there is a connection.
    fn connect(&mut self) -> Result<(), Failure> {
        if self.link.is_some() {
            return Ok(());
        }
        let leader = match self.leader.take() {
            Some(leader) => leader,
            None => {
                self.place = self.cluster.controller();
                let mut controller = self.cluster.dial_controller()?;
                admin::leader(&mut controller, &self.topic, self.partition, self.cluster.local)?
            }
        };
        self.place = format!("its leader at {}", leader.address);
        let secured = self.cluster.tls.storage(&leader.address, &leader.unit)?;
        // Where it cannot be reached the leader stays unknown, and is looked up again.
        self.link = Some(self.cluster.dial(&leader.address, &secured)?);
        self.leader = Some(leader);
        Ok(())
    }

    /// Asks until there is an answer, a lasting failure, or the time is over.
    fn ask<T>(
        &mut self,
        what: &str,
        question: impl Fn(&mut Link, &Asked<'_>, &Leader) -> Result<T, Failure>,
    ) -> Result<T> {
        let begun = self.cluster.environment.now();
        let mut retries = self.cluster.retries();
        // A connection that was there before may simply have grown old: the first reconnection is at once.
        let mut is_old = self.link.is_some();
        loop {
            let failure = match self.attempt(&question) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if std::mem::take(&mut is_old) && failure.passes() {
                continue;
            }
            let (what, place) = (format!("{what} {}", self.name()), self.place.as_str());
            if !retries.wait_if(&what, failure.passes(), || failure.chain_at(place)) {
                return Err(failure.into_final(&what, place, self.cluster.environment.now() - begun));
            }
        }
    }
}

impl PartitionClient for ClusterPartition {
    fn bounds(&mut self) -> Result<Bounds> {
        self.ask("find the ends of", bounds)
    }

    fn fetch(&mut self, from: i64, max_bytes: usize) -> Result<Fetched> {
        self.ask("read from", |link, asked, leader| read(link, asked, leader, from, max_bytes))
    }

    fn produce(&mut self, batch: &[u8]) -> Result<i64> {
        let what = format!("write to {}", self.name());
        check(batch, &what)?;
        // A write into a connection that was closed meanwhile would have an unknown outcome for nothing.
        if self.link.as_ref().is_some_and(Link::is_closed) {
            self.link = None;
        }
        // Connecting may be repeated, since nothing was sent.
        self.ask("write to", |_, _, _| Ok(()))?;
        let timeout = self.cluster.request_timeout;
        let answer = self.attempt(|link, asked, _| {
            // What cannot be sent fails here, before a byte is.
            link.version::<ProduceRequest<SentRecords<'_>>>()?;
            Ok(produce(link, asked, batch, timeout))
        });
        let failure = match answer {
            Ok(Ok(offset)) => return Ok(offset),
            Ok(Err(failure)) => {
                self.link = None;
                if failure.is_elsewhere() {
                    self.leader = None;
                }
                failure
            }
            Err(unsent) => return Err(unsent.into_error(&what, &self.place)),
        };
        if refused(&failure) {
            return Err(failure.into_error(&what, &self.place));
        }
        self.settles = Some(self.cluster.environment.now() + SETTLE);
        Err(failure
            .into_error(&what, &self.place)
            .with_outcome(Outcome::Unknown)
            .with_hint("it may have been written: look at the partition's end before writing again"))
    }

    /// The protocol has no such request.
    fn sync(&mut self) -> Result<()> {
        Ok(())
    }

    fn wait(&mut self, end: i64, timeout: Duration) -> Result<bool> {
        let environment = self.cluster.environment.clone();
        let until = environment.now() + timeout;
        let mut pause = WAIT_PAUSE_FIRST;
        loop {
            let has_grown = self.ask("wait for records of", |link, asked, leader| {
                Ok(match read(link, asked, leader, end, PEEK_BYTES)? {
                    Fetched::Batches { next, .. } => next > end,
                    Fetched::Evicted { start } => start > end,
                    Fetched::Damaged { next, .. } => next > end,
                })
            })?;
            let left = until.saturating_duration_since(environment.now());
            if has_grown || left.is_zero() {
                return Ok(has_grown);
            }
            environment.sleep(pause.min(left));
            pause = (pause * 2).min(WAIT_PAUSE_MAX);
        }
    }
}

/// Whether a batch may be sent at all.
fn check(batch: &[u8], what: &str) -> Result<()> {
    let (bytes, limit) = (batch.len(), REQUEST_BYTES_MAX - PRODUCE_SLACK_BYTES);
    if bytes > limit {
        let text = format!("cannot {what}: a batch of {bytes} bytes is over the broker's limit of {limit} bytes");
        return Err(Error::user(text)
            .with_kind(ErrorKind::TooLarge)
            .with_hint("write smaller records, or batches of fewer records"));
    }
    match BatchHeader::read(batch) {
        Some(header) if header.bytes == bytes => Ok(()),
        _ => Err(Error::bug(format!("cannot {what}: {bytes} bytes are not one encoded batch"))),
    }
}

/// Sends one batch and waits until all replicas have it.
fn produce(link: &mut Link, asked: &Asked<'_>, batch: &[u8], timeout: Duration) -> Result<i64, Failure> {
    let request = ProduceRequest {
        isolation: Isolation::ReadCommitted,
        timeout,
        topics: vec![TopicProduceData {
            name: asked.topic.to_string(),
            partitions: vec![PartitionProduceData { partition_index: asked.partition, records: SentRecords(batch) }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let reply = link.request_sized(&request, batch.len() + PRODUCE_SLACK_BYTES, END_BYTES, PRODUCE_SLACK_BYTES)?;
    match reply.find_partition_response(asked.topic, asked.partition) {
        Some(PartitionProduceResponse { error_code: ErrorCode::None, base_offset, .. }) => Ok(*base_offset),
        Some(PartitionProduceResponse { error_code: ErrorCode::MessageTooLarge, .. }) => Err(Failure::Code {
            code: ErrorCode::MessageTooLarge,
            message: Some(format!("a batch of {} bytes is over the broker's limit", batch.len())),
        }),
        Some(refused) => Err(Failure::Code { code: refused.error_code.clone(), message: None }),
        None => Err(Failure::Reply("it does not mention the partition".into())),
    }
}

/// Whether the server said, in so many words, that it has not written a batch. "Not the leader" is no such word: a server
/// that is deposed while its replicas confirm says so after it has written.
fn refused(failure: &Failure) -> bool {
    let Failure::Code { code, .. } = failure else { return false };
    matches!(
        code,
        ErrorCode::CompressionError
            | ErrorCode::MessageTooLarge
            | ErrorCode::MirrorProduceFromHome
            | ErrorCode::MirrorProduceFromRemoteNotAllowed
            | ErrorCode::PermissionDenied
            | ErrorCode::TopicDeleted
            | ErrorCode::TopicNotFound
    )
}

fn read(link: &mut Link, asked: &Asked<'_>, leader: &Leader, from: i64, max_bytes: usize) -> Result<Fetched, Failure> {
    match fetch::fetch(link, asked, from, max_bytes, leader.replicated) {
        // Before the start or beyond the end? A stock server has no code for the latter, only words.
        Err(Failure::Code { code, .. }) if is_outside(&code) => {
            let Bounds { start, end } = bounds(link, asked, leader)?;
            match from {
                from if from < start => Ok(Fetched::Evicted { start }),
                from if from > end => Err(Failure::Beyond { offset: from, end }),
                _ => Err(Failure::NotYet(format!("offset {from} of {start} to {end} is refused: {code}"))),
            }
        }
        other => other,
    }
}

/// Whether a refused fetch may have asked for an offset that the log does not have.
fn is_outside(code: &ErrorCode) -> bool {
    matches!(code, ErrorCode::OffsetOutOfRange | ErrorCode::Other(_))
}

/// The first offset, and the log's end by its batches' headers.
fn bounds(link: &mut Link, asked: &Asked<'_>, leader: &Leader) -> Result<Bounds, Failure> {
    let reply = link.request(&FetchOffsetsRequest::new(asked.topic.to_string(), asked.partition))?;
    let found = reply
        .topics
        .into_iter()
        .filter(|topic| topic.name == asked.topic)
        .flat_map(|topic| topic.partitions)
        .find(|partition| partition.partition_index == asked.partition)
        .ok_or_else(|| Failure::Reply("it does not mention the partition".into()))?;
    if found.error_code.is_error() {
        return Err(Failure::Code { code: found.error_code, message: None });
    }
    let start = found.start_offset.max(0);
    let mut end = found.last_stable_offset.max(start);
    loop {
        match fetch::last_seen(link, asked, end, END_BYTES) {
            Ok((next, high)) if next == end => return settled(link, asked, leader, Bounds { start, end }, high),
            Ok((next, _)) => end = next,
            // A watermark beyond the log's end, or a log that was cut from the front meanwhile.
            Err(Failure::Code { code, .. }) if is_outside(&code) && end > start => end = start,
            Err(Failure::Code { code: ErrorCode::OffsetEvicted { next_available, .. }, .. })
                if next_available > end =>
            {
                return Err(Failure::NotYet("the log's start moved while its end was looked for".into()));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// With several copies an end is exact once they all have what is below it, so that is waited for; `high` is how far they
/// are. The end stays the one that was found, though the log may grow meanwhile: every record that was acknowledged before
/// the question is below it. To ask for a later end each time would never succeed under steady writes.
fn settled(
    link: &mut Link,
    asked: &Asked<'_>,
    leader: &Leader,
    bounds: Bounds,
    mut high: i64,
) -> Result<Bounds, Failure> {
    let environment = link.environment().clone();
    let until = environment.now() + COPIES_WAIT_MAX.min(link.timeout());
    while leader.replicated && high < bounds.end {
        if environment.now() >= until {
            return Err(Failure::NotYet(format!("its copies are at offset {high} of {}", bounds.end)));
        }
        environment.sleep(COPIES_PAUSE);
        high = match fetch::last_seen(link, asked, bounds.end, PEEK_BYTES) {
            Ok((_, high)) => high,
            // Cut at its front, or at its end by a new leader's word: what was found no longer holds.
            Err(Failure::Code { code, .. }) if is_outside(&code) || matches!(code, ErrorCode::OffsetEvicted { .. }) => {
                return Err(Failure::NotYet("the log was cut while its copies were waited for".into()));
            }
            Err(failure) => return Err(failure),
        };
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use catchment_contract::Fault;
    use fluvio_protocol::api::Request;

    use super::*;
    use crate::batch::{BatchBuilder, Producer};

    #[test]
    fn what_is_no_batch_or_too_large_is_not_sent() {
        let mut builder = BatchBuilder::new();
        builder.push(None, b"value");
        let batch = builder.finish(Producer::NONE, -1, -1);
        check(&batch, "write").unwrap();
        let refused = |bytes: &[u8]| check(bytes, "write").unwrap_err();
        assert_eq!(refused(&batch[1..]).to_string(), "cannot write: 72 bytes are not one encoded batch");
        assert_eq!(refused(&[batch.clone(), batch].concat()).fault(), Fault::Bug);
        builder.push(None, &vec![0; REQUEST_BYTES_MAX]);
        let bytes = builder.bytes();
        let error = refused(&builder.finish(Producer::NONE, -1, -1));
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let expect = format!("cannot write: a batch of {bytes} bytes is over the broker's limit of 33553408 bytes");
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn only_a_plain_refusal_counts_as_not_written() {
        let code = |code| Failure::Code { code, message: None };
        assert!(refused(&code(ErrorCode::MessageTooLarge)));
        assert!(!refused(&code(ErrorCode::NotLeaderForPartition)));
        assert!(!refused(&code(ErrorCode::StorageError)));
        assert!(!refused(&code(ErrorCode::UnknownServerError)));
        assert!(!refused(&Failure::Closed));
        assert!(!refused(&Failure::Reply(String::new())));
    }

    #[test]
    fn the_produce_request_is_the_stock_one() {
        use fluvio_protocol::Encoder;
        use fluvio_protocol::record::{Batch, RawRecords, Record, RecordSet};
        use fluvio_spu_schema::produce::{DefaultPartitionRequest, DefaultProduceRequest, DefaultTopicRequest};

        let stock: Batch<RawRecords> = Batch::from(vec![Record::new("value")]).try_into().unwrap();
        let mut batch = Vec::new();
        stock.encode(&mut batch, 0).unwrap();
        let mut expect = Vec::new();
        let request = DefaultProduceRequest {
            isolation: Isolation::ReadCommitted,
            timeout: Duration::from_secs(3),
            topics: vec![DefaultTopicRequest {
                name: "orders".into(),
                partitions: vec![DefaultPartitionRequest {
                    partition_index: 2,
                    records: RecordSet { batches: vec![stock] },
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let version = DefaultProduceRequest::DEFAULT_API_VERSION;
        request.encode(&mut expect, version).unwrap();
        let ours = ProduceRequest {
            isolation: Isolation::ReadCommitted,
            timeout: Duration::from_secs(3),
            topics: vec![TopicProduceData {
                name: "orders".into(),
                partitions: vec![PartitionProduceData { partition_index: 2, records: SentRecords(&batch) }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut bytes = Vec::new();
        ours.encode(&mut bytes, version).unwrap();
        assert_eq!(bytes, expect);
    }
}

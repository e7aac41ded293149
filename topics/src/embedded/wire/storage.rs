//! The storage port: append, read, bounds, streams, consumers' offsets.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::record::ReplicaKey;
use fluvio_spu_schema::fetch::{FetchResponse, FetchablePartitionResponse, FetchableTopicResponse};
use fluvio_spu_schema::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use fluvio_spu_schema::server::consumer_offset::{
    ConsumerOffset, DeleteConsumerOffsetResponse, FetchConsumerOffsetsResponse, UpdateConsumerOffsetResponse,
};
use fluvio_spu_schema::server::fetch_offset::{
    FetchOffsetPartitionResponse, FetchOffsetTopicResponse, FetchOffsetsResponse,
};
use fluvio_spu_schema::server::update_offset::{OffsetUpdateStatus, UpdateOffsetsResponse};
use tokio::sync::watch;
use tracing::warn;

use super::super::log::Log;
use super::super::offsets::{CONSUMER_BYTES_MAX, Consumer};
use super::super::store::Store;
use super::codes;
use super::connections::{Opened, Place, STREAMS_MAX};
use super::frame::{End, REPLY_BYTES_MAX, Replies, Request, Requests};
use super::input::{Input, Malformed};
use super::records::Records;
use super::requests::{Fetch, FetchPartition, Filter, Produce, Replica, Stream, Topic};
use super::requests::{read_acknowledged, read_bounds};
use super::stream;
use super::versions::{Served, VERSIONS, Versions, check};
use crate::broker::Fetched;

const PRODUCE: u16 = super::frame::PRODUCE;
const FETCH: u16 = 1;
const BOUNDS: u16 = 1002;
const STREAM: u16 = 1003;
const ACKNOWLEDGE: u16 = 1005;
const KEEP_OFFSET: u16 = 1006;
const FORGET_OFFSET: u16 = 1007;
const OFFSETS: u16 = 1008;

/// The least versions are those from which on the fields stay the same, or grow at their end.
const SERVED: &[Served] = &[
    Served(VERSIONS, 0, 2),
    Served(PRODUCE, 5, 25),
    Served(FETCH, 11, 25),
    Served(BOUNDS, 18, 25),
    Served(STREAM, 19, 25),
    Served(ACKNOWLEDGE, 0, 0),
    Served(KEEP_OFFSET, 23, 25),
    Served(FORGET_OFFSET, 23, 25),
    Served(OFFSETS, 24, 25),
];

/// Sessions of one connection before those are forgotten whose streams have ended.
const SESSIONS_KEPT: usize = 1024;

/// A stream as its connection knows it.
struct Session {
    /// Up to which offset its records have arrived.
    acknowledged: watch::Sender<i64>,
    consumer: Option<Consumer>,
    /// Counts the stream.
    _opened: Opened,
    /// What is read; a topic made anew under the same name has another. Weak, since sessions outlive deleted topics.
    log: Option<Weak<Log>>,
}

/// Serves one connection until it ends.
pub async fn serve(store: Arc<Store>, mut requests: Requests, replies: Replies, place: &Arc<Place>) -> Result<(), End> {
    let mut sessions: HashMap<u32, Session> = HashMap::new();
    let mut sessions_max = SESSIONS_KEPT;
    let mut last_id = 0_u32;
    while let Some(mut request) = requests.next(&replies).await? {
        check(&request, SERVED)?;
        let mut input = request.body.clone();
        request.body = Input::new(Bytes::new());
        match request.key {
            VERSIONS => replies.send(&request, &Versions(SERVED)).await?,
            PRODUCE => {
                let reply = produce(&store, &request, input).await?;
                // The batches are gone from memory: others need not wait until this peer takes its reply.
                drop(request.large.take());
                replies.send(&request, &reply).await?;
            }
            FETCH => fetch(&store, &request, Fetch::read(&mut input)?, &replies).await?,
            BOUNDS => replies.send(&request, &bounds(&store, read_bounds(&mut input)?)).await?,
            STREAM => {
                let asked = Stream::read(&mut input, request.version)?;
                if sessions.len() >= sessions_max {
                    sessions.retain(|_, session| !session.acknowledged.is_closed());
                    sessions_max = SESSIONS_KEPT.max(2 * sessions.len());
                }
                let opened = place.open_stream().await;
                let opened = opened.ok_or_else(|| Malformed(format!("more than {STREAMS_MAX} streams")))?;
                last_id = last_id.wrapping_add(1);
                sessions.insert(last_id, open(&store, request, asked, last_id, &replies, opened));
            }
            ACKNOWLEDGE => {
                let status =
                    read_acknowledged(&mut input)?.into_iter().map(|(offset, id)| acknowledge(&sessions, offset, id));
                replies.send(&request, &UpdateOffsetsResponse { status: status.collect() }).await?;
            }
            KEEP_OFFSET => {
                let (offset, id) = (input.i64()?, input.u32()?);
                let error_code = keep(&store, sessions.get(&id), offset).await;
                replies.send(&request, &UpdateConsumerOffsetResponse { offset, error_code }).await?;
            }
            FORGET_OFFSET => {
                let Replica { topic, partition } = Replica::read(&mut input)?;
                let error_code = forget(&store, Consumer { id: input.text()?, topic, partition }).await;
                replies.send(&request, &DeleteConsumerOffsetResponse { error_code }).await?;
            }
            OFFSETS => replies.send(&request, &offsets(&store, &Filter::read(&mut input)?)).await?,
            key => return Err(End::Unsupported { key, version: request.version }),
        }
    }
    Ok(())
}

async fn produce(store: &Arc<Store>, request: &Request, mut input: Input) -> Result<ProduceResponse, End> {
    if let Some(bytes) = request.too_large {
        let (name, index) = Produce::read_first(&mut input)?;
        warn!(topic = name, partition = index, bytes, "a produce request over the limit was refused");
        let refused = answer(index, Err(ErrorCode::MessageTooLarge));
        let responses = vec![TopicProduceResponse { name, partitions: vec![refused] }];
        return Ok(ProduceResponse { responses, ..ProduceResponse::default() });
    }
    let asked = Produce::read(&mut input)?;
    let mut responses = Vec::with_capacity(asked.topics.len());
    for Topic { name, partitions } in asked.topics {
        let mut answers = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let appended = match store.log(&name, partition.index) {
                _ if asked.smartmodules => Err(codes::no_smartmodules()),
                None => Err(ErrorCode::NotLeaderForPartition),
                Some(log) => append(store, log, partition.records).await,
            };
            answers.push(answer(partition.index, appended));
        }
        responses.push(TopicProduceResponse { name, partitions: answers });
    }
    Ok(ProduceResponse { responses, ..ProduceResponse::default() })
}

/// Appends; where that waits for the disk, the other connections go on meanwhile.
async fn append(store: &Arc<Store>, log: Arc<Log>, records: Bytes) -> Result<i64, ErrorCode> {
    let appended = if store.fsync() {
        let task = tokio::task::spawn_blocking(move || log.append(&records));
        task.await.map_err(|error| ErrorCode::Other(error.to_string()))?
    } else {
        log.append(&records)
    };
    appended.map_err(|refused| {
        warn!(reason = %refused, "batches were refused");
        codes::of_log(&refused)
    })
}

fn answer(partition_index: u32, appended: Result<i64, ErrorCode>) -> PartitionProduceResponse {
    let (base_offset, error_code) = match appended {
        Ok(offset) => (offset, ErrorCode::None),
        Err(code) => (-1, code),
    };
    PartitionProduceResponse { partition_index, error_code, base_offset, ..PartitionProduceResponse::default() }
}

async fn fetch(store: &Store, request: &Request, asked: Fetch, replies: &Replies) -> Result<(), End> {
    // Before the batches are in memory.
    let slot = replies.slot().await?;
    let mut left = asked.max_bytes.min(REPLY_BYTES_MAX);
    let mut topics = Vec::with_capacity(asked.topics.len());
    for Topic { name, partitions } in asked.topics {
        let mut answers = Vec::with_capacity(partitions.len());
        for partition in partitions {
            // Each gets a batch until the whole reply is full; then only the bounds.
            let found = read(store, &name, &partition, left);
            left = left.saturating_sub(found.records.0.len());
            answers.push(found);
        }
        topics.push(FetchableTopicResponse { name, partitions: answers, data: std::marker::PhantomData });
    }
    let mut reply = FetchResponse { topics, ..FetchResponse::default() };
    // One partition, as our own client asks: its batches go to the socket uncopied.
    let records = match reply.topics.as_mut_slice() {
        [FetchableTopicResponse { partitions, .. }] => match partitions.as_mut_slice() {
            [only] => std::mem::take(&mut only.records.0),
            _ => Bytes::new(),
        },
        _ => Bytes::new(),
    };
    slot.send(request, &reply, records)
}

fn read(store: &Store, topic: &str, asked: &FetchPartition, left: usize) -> FetchablePartitionResponse<Records> {
    let mut reply = FetchablePartitionResponse::<Records> { partition_index: asked.index, ..Default::default() };
    let Some(log) = store.log(topic, asked.index) else {
        reply.error_code = ErrorCode::NotLeaderForPartition;
        return reply;
    };
    match log.bounds() {
        Ok(bounds) => (reply.log_start_offset, reply.high_watermark) = (bounds.start, bounds.end),
        Err(refused) => {
            reply.error_code = codes::of_log(&refused);
            return reply;
        }
    }
    if left == 0 {
        return reply;
    }
    match log.fetch(asked.offset, asked.max_bytes.min(left)) {
        Ok(Fetched::Batches { bytes, .. }) => reply.records = Records(bytes),
        Ok(Fetched::Evicted { start }) => {
            reply.error_code = ErrorCode::OffsetEvicted { offset: asked.offset, next_available: start };
        }
        Ok(Fetched::Damaged { why, .. }) => {
            warn!(topic, partition = asked.index, why, "a fetch was refused");
            reply.error_code = ErrorCode::StorageError;
        }
        Err(refused) => {
            warn!(topic, partition = asked.index, reason = %refused, "a fetch was refused");
            reply.error_code = codes::of_log(&refused);
        }
    }
    reply
}

fn bounds(store: &Store, asked: Vec<Topic<u32>>) -> FetchOffsetsResponse {
    let partition = |topic: &str, partition_index: u32| {
        let mut reply = FetchOffsetPartitionResponse { partition_index, ..FetchOffsetPartitionResponse::default() };
        match store.log(topic, partition_index).map(|log| log.bounds()) {
            Some(Ok(bounds)) => (reply.start_offset, reply.last_stable_offset) = (bounds.start, bounds.end),
            Some(Err(refused)) => reply.error_code = codes::of_log(&refused),
            None => reply.error_code = ErrorCode::PartitionNotLeader,
        }
        reply
    };
    let topics = asked.into_iter().map(|Topic { name, partitions }| {
        let partitions = partitions.into_iter().map(|index| partition(&name, index)).collect();
        FetchOffsetTopicResponse { name, partitions }
    });
    FetchOffsetsResponse { topics: topics.collect() }
}

fn open(store: &Store, request: Request, mut asked: Stream, id: u32, replies: &Replies, opened: Opened) -> Session {
    let (acknowledged, arrivals) = watch::channel(-1);
    let consumer = asked.consumer.take().filter(|name| name.len() <= CONSUMER_BYTES_MAX);
    let consumer = consumer.map(|id| Consumer { id, topic: asked.topic.clone(), partition: asked.partition });
    let log = store.log(&asked.topic, asked.partition);
    let session = Session { acknowledged, consumer, _opened: opened, log: log.as_ref().map(Arc::downgrade) };
    tokio::spawn(stream::run(log, request, asked, id, arrivals, replies.clone()));
    session
}

fn acknowledge(sessions: &HashMap<u32, Session>, offset: i64, session_id: u32) -> OffsetUpdateStatus {
    let error = match sessions.get(&session_id) {
        Some(session) => {
            session.acknowledged.send_replace(offset);
            ErrorCode::None
        }
        None => ErrorCode::FetchSessionNotFoud,
    };
    OffsetUpdateStatus { session_id, error }
}

async fn keep(store: &Arc<Store>, session: Option<&Session>, offset: i64) -> ErrorCode {
    let Some(session) = session else { return ErrorCode::FetchSessionNotFoud };
    let Some(consumer) = session.consumer.clone() else { return ErrorCode::OffsetManagementDisabled };
    let Some(log) = &session.log else { return ErrorCode::NotLeaderForPartition };
    let Some(log) = log.upgrade() else { return ErrorCode::TopicDeleted };
    let store = Arc::clone(store);
    // A file is brought to disk.
    let kept = tokio::task::spawn_blocking(move || store.offsets.set(consumer, offset, &log)).await;
    match kept.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(true) => ErrorCode::None,
        Ok(false) => ErrorCode::TopicDeleted,
        Err(error) => {
            warn!(%error, "a consumer's offset could not be kept");
            ErrorCode::OffsetFlushRequestError(error.to_string())
        }
    }
}

async fn forget(store: &Arc<Store>, consumer: Consumer) -> ErrorCode {
    let store = Arc::clone(store);
    let gone = tokio::task::spawn_blocking(move || store.offsets.remove(&consumer)).await;
    match gone.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(()) => ErrorCode::None,
        Err(error) => ErrorCode::Other(error.to_string()),
    }
}

fn offsets(store: &Store, filter: &Filter) -> FetchConsumerOffsetsResponse {
    let Filter { replica, consumer } = filter;
    let kept = store.offsets.list(|kept| {
        consumer.as_ref().is_none_or(|id| *id == kept.id)
            && replica.as_ref().is_none_or(|one| one.topic == kept.topic && one.partition == kept.partition)
    });
    let consumers = kept.into_iter().map(|(consumer, kept)| {
        let Consumer { id, topic, partition } = consumer;
        ConsumerOffset::new(id, ReplicaKey::new(topic, partition), kept.offset, kept.modified_s)
    });
    FetchConsumerOffsetsResponse { error_code: ErrorCode::None, consumers: consumers.collect() }
}

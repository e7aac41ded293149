//! One stream of a consumer: batches as they come, until somebody ends it.
//!
//! Nothing is sent before there is a batch, and none is fetched before its reply has a place; the first reply tells the
//! session's number. At most [`WINDOW`] replies are under way before the consumer acknowledges one: the stock client
//! queues ten over all streams of a connection, and a full queue would stop the connection's other replies.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fluvio_protocol::link::ErrorCode;
use fluvio_spu_schema::fetch::FetchablePartitionResponse;
use fluvio_spu_schema::server::stream_fetch::StreamFetchResponse;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::super::log::{DELETED, Log};
use super::super::refused::Refused;
use super::codes;
use super::frame::{End, REPLY_BYTES_MAX, Replies, Request, Slot};
use super::records::Records;
use super::requests::Stream;
use crate::broker::Fetched;

/// Replies under way.
const WINDOW: usize = 2;

/// Serves a stream; its end is not its connection's.
pub async fn run(
    log: Option<Arc<Log>>,
    request: Request,
    asked: Stream,
    id: u32,
    acknowledged: watch::Receiver<i64>,
    replies: Replies,
) {
    let stream = Running { request, asked, id, replies };
    let code = match log {
        _ if stream.asked.smartmodules => Some(codes::no_smartmodules()),
        None => Some(ErrorCode::NotLeaderForPartition),
        Some(log) => match stream.send_on(&log, acknowledged).await {
            Ok(code) => code,
            Err(end) => return debug!(?end, "a stream ended with its connection"),
        },
    };
    if let Some(code) = code
        && let Ok(slot) = stream.replies.slot().await
    {
        let _ = stream.reply(slot, code, Bytes::new(), -1);
    }
}

struct Running {
    request: Request,
    asked: Stream,
    id: u32,
    replies: Replies,
}

impl Running {
    /// Sends batches; returns the code to end with, or none if the connection ended.
    async fn send_on(&self, log: &Log, mut acknowledged: watch::Receiver<i64>) -> Result<Option<ErrorCode>, End> {
        let mut ends = log.watch();
        let mut next = self.asked.offset;
        // Offsets after the replies under way.
        let mut sent: VecDeque<i64> = VecDeque::new();
        loop {
            let end = *ends.borrow_and_update();
            if end == DELETED {
                return Ok(Some(ErrorCode::TopicDeleted));
            }
            let arrived = *acknowledged.borrow_and_update();
            while sent.front().is_some_and(|after| *after <= arrived) {
                sent.pop_front();
            }
            if next != end && sent.len() < WINDOW {
                // Batches are fetched only now that there is a place for them. Not cancelled by new ends, which come all
                // the time: the stream would lose its turn.
                let slot = tokio::select! {
                    slot = self.replies.slot() => slot?,
                    changed = acknowledged.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return Ok(None),
                    },
                };
                let end = *ends.borrow_and_update();
                if end == DELETED {
                    return Ok(Some(ErrorCode::TopicDeleted));
                }
                let max_bytes = self.asked.max_bytes.min(REPLY_BYTES_MAX);
                match log.fetch(next, max_bytes) {
                    Ok(Fetched::Batches { bytes, next: after }) if !bytes.is_empty() => {
                        self.reply(slot, ErrorCode::None, bytes, end)?;
                        next = after;
                        sent.push_back(after);
                        continue;
                    }
                    // The place is given back before the wait below.
                    Ok(Fetched::Batches { .. }) => drop(slot),
                    Ok(Fetched::Evicted { start }) => {
                        return Ok(Some(ErrorCode::OffsetEvicted { offset: next, next_available: start }));
                    }
                    Ok(Fetched::Damaged { why, .. }) => {
                        warn!(topic = self.asked.topic, partition = self.asked.partition, why, "a stream ended");
                        return Ok(Some(ErrorCode::StorageError));
                    }
                    Err(refused) => return Ok(Some(self.refused(&refused))),
                }
            }
            tokio::select! {
                changed = ends.changed() => if changed.is_err() { return Ok(Some(ErrorCode::TopicDeleted)) },
                changed = acknowledged.changed() => if changed.is_err() { return Ok(None) },
                () = self.replies.closed() => return Ok(None),
            }
        }
    }

    fn refused(&self, refused: &Refused) -> ErrorCode {
        warn!(topic = self.asked.topic, partition = self.asked.partition, reason = %refused, "a stream ended");
        codes::of_log(refused)
    }

    fn reply(&self, slot: Slot<'_>, error_code: ErrorCode, records: Bytes, high_watermark: i64) -> Result<(), End> {
        let partition = FetchablePartitionResponse::<Records> {
            partition_index: self.asked.partition,
            error_code,
            high_watermark,
            ..FetchablePartitionResponse::default()
        };
        let body = StreamFetchResponse { topic: self.asked.topic.clone(), stream_id: self.id, partition };
        slot.send(&self.request, &body, records)
    }
}

//! Reading one partition: fetches of a few megabytes are cut into payloads of whole batches.
//!
//! A payload's bytes are encoded batches back to back, as [`catchment_topics::batch`] has them, without those that their
//! writer has repeated; its `first_record` is the first offset wanted plus one, because the first batch may begin below.
//! What is appended after the reader was opened is left to the next round.
//!
//! A partition whose position was not recorded yet gives at least one payload, an empty one if there is no record, so
//! that the position is kept: what `latest` meant at the first look is what it means for ever.

use std::sync::Arc;

use bytes::Bytes;
use catchment_contract::source::PAYLOAD_BYTES;
use catchment_contract::{Error, PartitionReader, Payload, Reject, Result};
use catchment_topics::Fetched;
use catchment_topics::batch::batches;

use super::clients::{Loan, evicted};
use super::option::{OnEviction, Start, TopicOptions};
use super::position::TopicPosition;

/// Size of a fetch: 4 MiB, since one that is answered from files takes tens of milliseconds whatever its size.
const FETCH_BYTES: usize = 4 << 20;

/// Reads one partition up to the end it had when it was opened.
pub(super) struct TopicReader {
    options: Arc<TopicOptions>,
    /// `None` at the end: others may use the connection.
    client: Option<Loan>,
    number: u32,
    id: Arc<str>,
    position: TopicPosition,
    end: i64,
    /// Whole batches that were fetched and not cut yet.
    fetched: Bytes,
    rejects: Vec<Reject>,
    /// Bytes that were passed over since the payload before.
    skipped: u64,
}

impl TopicReader {
    pub(super) fn new(
        options: Arc<TopicOptions>,
        client: Loan,
        number: u32,
        position: TopicPosition,
        end: i64,
    ) -> Self {
        TopicReader {
            options,
            client: Some(client),
            number,
            id: number.to_string().into(),
            position,
            end,
            fetched: Bytes::new(),
            rejects: Vec::new(),
            skipped: 0,
        }
    }

    /// Fetches until there are batches or the end is reached. What was fetched beyond the end is dropped.
    fn fill(&mut self) -> Result<()> {
        if self.position.offset >= self.end {
            self.fetched = Bytes::new();
        }
        while self.fetched.is_empty() && self.position.offset < self.end {
            let Some(client) = &mut self.client else { return Ok(()) };
            let offset = self.position.offset;
            match client.attempt(|client| client.fetch(offset, FETCH_BYTES))? {
                // The end went back, as after a server was lost: the next look sees what is true.
                Fetched::Batches { bytes, .. } if bytes.is_empty() => self.end = offset,
                Fetched::Batches { bytes, .. } => self.fetched = bytes,
                Fetched::Evicted { start } => self.evicted(start)?,
                Fetched::Damaged { next, why } => self.damaged(next, why),
            }
        }
        Ok(())
    }

    /// Moves to the first offset kept, if that is allowed.
    fn evicted(&mut self, start: i64) -> Result<()> {
        let TopicOptions { topic, on_eviction, start: from, .. } = &*self.options;
        let offset = self.position.offset;
        if start <= offset {
            return Err(Error::bug(format!(
                "partition {} of topic \"{topic}\" says that offset {offset} is evicted, and keeps those from {start} on",
                self.number
            )));
        }
        // Who begins at the earliest record has missed nothing when that record has just gone.
        let missed = !(self.position.new && *from == Start::Earliest);
        if missed && *on_eviction == OnEviction::Fail {
            return Err(evicted(topic, self.number, offset, start));
        }
        if missed {
            let records = start - offset;
            tracing::warn!(
                topic,
                partition = self.number,
                offset,
                start,
                records,
                "records were evicted before they were read"
            );
            let place = format!("partition {}, offsets {offset} to {}", self.number, start - 1);
            self.rejects.push(Reject::new(
                place,
                None,
                format!("{records} records were evicted before they were read"),
            ));
        }
        self.position.offset = start;
        self.end = self.end.max(start);
        Ok(())
    }

    /// Passes over a batch that was damaged where the broker keeps it: its records are lost, and a reject says so.
    fn damaged(&mut self, next: i64, why: String) {
        let offset = self.position.offset;
        // Behind the end there is nothing that the batch could have held.
        let next = next.clamp(offset + 1, self.end.max(offset + 1));
        let TopicOptions { topic, .. } = &*self.options;
        tracing::warn!(topic, partition = self.number, offset, next, why, "a damaged batch was passed over");
        let place = format!("partition {}, offsets {offset} to {}", self.number, next - 1);
        self.rejects.push(Reject::new(place, None, format!("the batch is damaged: {why}")));
        self.position.offset = next;
    }

    /// Takes whole batches off what was fetched, about [`PAYLOAD_BYTES`] of them.
    fn cut(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut taken = 0;
        let mut walk = batches(&self.fetched);
        while bytes.len() < PAYLOAD_BYTES
            && let Some(batch) = walk.next()
        {
            if batch.header.base_offset >= self.end {
                taken = if taken == 0 { 0 } else { self.fetched.len() };
                break;
            }
            taken += batch.bytes.len();
            if batch.header.next_offset() <= self.position.offset {
                continue;
            }
            if self.position.pass(&batch.header) {
                if bytes.is_empty() {
                    bytes.reserve(batch.bytes.len().max(PAYLOAD_BYTES.min(self.fetched.len())));
                }
                bytes.extend_from_slice(batch.bytes);
            } else {
                let (offset, producer) = (batch.header.base_offset, batch.header.producer_id);
                tracing::debug!(
                    partition = self.number,
                    offset,
                    producer,
                    "skipped a batch that its writer has repeated"
                );
                self.skipped += batch.bytes.len() as u64;
            }
        }
        if taken == 0 {
            let TopicOptions { topic, .. } = &*self.options;
            return Err(Error::bug(format!(
                "a fetch from partition {} of topic \"{topic}\" gave no batch that was asked for",
                self.number
            )));
        }
        self.fetched = self.fetched.slice(taken..);
        Ok(bytes)
    }
}

impl PartitionReader for TopicReader {
    fn next(&mut self) -> Result<Option<Payload>> {
        loop {
            self.fill()?;
            let first = self.position.offset;
            let done = self.fetched.is_empty();
            let bytes = if done { Vec::new() } else { self.cut()? };
            let unrecorded = self.position.new || !self.rejects.is_empty();
            if bytes.is_empty() && !unrecorded && (done || self.position.offset < self.end) {
                if done {
                    self.client = None;
                    return Ok(None);
                }
                continue;
            }
            self.position.new = false;
            return Ok(Some(Payload {
                partition: self.id.clone(),
                bytes_read: bytes.len() as u64 + std::mem::take(&mut self.skipped),
                bytes,
                first_record: u64::try_from(first).unwrap_or(0) + 1,
                position: self.position.encode(),
                rejects: std::mem::take(&mut self.rejects),
            }));
        }
    }
}

//! Records to chunks: encoded batches, numbered a partition, each published by one request.
//!
//! A record with a key goes to the partition of the key's hash, as the stock client would send it. Records without keys
//! fill one chunk after the other, and the chunks take the partitions in turns.

use bytes::Bytes;
use catchment_contract::{Error, Result};
use catchment_topics::batch::{BATCH_BYTES_MAX, BatchBuilder, Producer, partition_of};

/// What is to be appended to one partition, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// Sequence of the first chunk.
    pub sequence: i32,
    /// Records in the chunks.
    pub records: u64,
    /// The encoded batches.
    pub chunks: Vec<Bytes>,
}

/// How records are routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// By the hash of their keys; a record whose key is null goes where an empty key does.
    Keys,
    /// In turns, a chunk at a time.
    Turns,
}

/// Cuts records into chunks.
pub struct Chunks {
    routing: Routing,
    producer: Producer,
    /// Time of the batches, ms since 1970.
    time_ms: i64,
    /// Size that a chunk is filled to.
    bytes: usize,
    /// Size that no chunk may pass.
    bytes_max: usize,
    lanes: Vec<Lane>,
    builders: Vec<BatchBuilder>,
    /// Partition of the next chunk of [`Routing::Turns`].
    turn: usize,
}

impl Chunks {
    /// Chunks of about `bytes` for partitions whose next sequences are `sequences`; a record that would make a chunk
    /// larger than `bytes_max` is refused.
    pub fn new(
        routing: Routing,
        producer: i64,
        sequences: &[i32],
        time_ms: i64,
        bytes: usize,
        bytes_max: usize,
    ) -> Self {
        let lanes = sequences.iter().map(|sequence| Lane { sequence: *sequence, ..Lane::default() }).collect();
        let builders = match routing {
            Routing::Keys => sequences.len(),
            Routing::Turns => 1,
        };
        // The number of chunks so far says whose turn it is, so that it need not be remembered.
        let before: u64 = sequences.iter().map(|sequence| sequence.unsigned_abs() as u64).sum();
        let bytes_max = bytes_max.min(BATCH_BYTES_MAX);
        Chunks {
            routing,
            producer: Producer { id: producer, epoch: 0 },
            time_ms,
            bytes: bytes.min(bytes_max),
            bytes_max,
            builders: vec![BatchBuilder::new(); builders],
            turn: (before % sequences.len().max(1) as u64) as usize,
            lanes,
        }
    }

    /// Adds a record. If it alone is too large for a chunk, it is left out, and the size that it would have is returned.
    ///
    /// # Errors
    /// If a partition has no sequence left.
    pub fn push(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<Option<usize>> {
        let (builder, lane) = match self.routing {
            Routing::Keys => {
                let partition = partition_of(key.unwrap_or_default(), self.lanes.len() as u32) as usize;
                (partition, partition)
            }
            Routing::Turns => (0, self.turn),
        };
        if self.builders[builder].bytes_with(key, value) > self.bytes {
            self.finish_chunk(builder, lane)?;
            let alone = self.builders[builder].bytes_with(key, value);
            if alone > self.bytes_max {
                return Ok(Some(alone));
            }
        }
        self.builders[builder].push(key, value);
        Ok(None)
    }

    fn finish_chunk(&mut self, builder: usize, lane: usize) -> Result<()> {
        let builder = &mut self.builders[builder];
        if builder.is_empty() {
            return Ok(());
        }
        let lane = &mut self.lanes[lane];
        let sequence = i32::try_from(lane.chunks.len()).ok().and_then(|chunks| lane.sequence.checked_add(chunks));
        let sequence = sequence.ok_or_else(|| Error::bug("a partition's chunks cannot be numbered any more"))?;
        lane.records += u64::from(builder.records());
        lane.chunks.push(builder.finish(self.producer, sequence, self.time_ms).into());
        self.turn = (self.turn + 1) % self.lanes.len();
        Ok(())
    }

    /// The chunks, a lane a partition; lanes may be empty.
    ///
    /// # Errors
    /// As [`Chunks::push`].
    pub fn finish(mut self) -> Result<Vec<Lane>> {
        for builder in 0..self.builders.len() {
            let lane = if self.routing == Routing::Turns { self.turn } else { builder };
            self.finish_chunk(builder, lane)?;
        }
        Ok(self.lanes)
    }
}

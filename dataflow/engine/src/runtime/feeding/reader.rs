//! Reading one partition at a time, from its position to its present end.
//!
//! A call that may succeed later is made again here for a few seconds, since going on in place keeps arrival order. What
//! goes on failing is left to the [`feeder`](super::feeder), and the partitions behind it are read meanwhile. A partition
//! that is not there any more is no fault: the next look at the source tells what has become of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catchment_contract::{
    Decoder, Error, ErrorKind, Partition, Position, Result, Retries, RetryPolicy, Source, Unfinished,
};

use super::decoders::{Decoders, Task};
use super::lane::Lane;
use crate::host::Host;

/// For how long a partition is tried again where it stands.
pub(super) const IN_PLACE: RetryPolicy = RetryPolicy {
    pause_first: Duration::from_millis(100),
    pause_max: Duration::from_secs(2),
    patience: Duration::from_secs(3),
};

/// What the readers of a source share.
pub(super) struct Shared {
    pub name: String,
    /// The source's place in the job.
    pub index: usize,
    pub source: Arc<dyn Source>,
    pub decoder: Arc<dyn Decoder>,
    pub lane: Arc<Lane>,
    pub decoders: Decoders,
    pub host: Host,
    /// How far each partition was read.
    pub positions: Mutex<BTreeMap<String, Position>>,
    pub round: Mutex<Round>,
}

/// The round that goes on.
#[derive(Default)]
pub(super) struct Round {
    /// What to do with unfinished records.
    pub unfinished: Unfinished,
    /// Partitions that have failed in earlier rounds: they are tried once.
    pub aside: BTreeSet<String>,
    /// Those of them that were read now.
    pub read: Vec<String>,
    /// Partitions that could not be read, and why.
    pub failed: Vec<(Partition, Error)>,
}

/// What has come of a partition.
enum End {
    /// It was read, or is not there any more, or nobody wants it.
    Done,
    Failed(Error),
}

impl Shared {
    /// Reads partitions until none is left; a helper waits for more until the lane is closed.
    pub fn read(&self, helper: bool) {
        while let Some((part, partition)) = self.lane.begin(helper) {
            let _end = EndPart { lane: &self.lane, part };
            let outcome = self.read_partition(part, partition.clone());
            let mut round = lock(&self.round);
            match outcome {
                End::Done if round.aside.contains(&partition.id) => round.read.push(partition.id),
                End::Done => {}
                End::Failed(error) => round.failed.push((partition, error)),
            }
        }
    }

    fn read_partition(&self, part: u64, mut partition: Partition) -> End {
        let patient = !lock(&self.round).aside.contains(&partition.id);
        let mut retries = Retries::new(IN_PLACE, self.host.environment().clone());
        loop {
            let error = match self.read_from(part, &mut partition, &mut retries) {
                Ok(()) => return End::Done,
                Err(error) => error,
            };
            if error.kind() == ErrorKind::NotFound {
                tracing::debug!(source = self.name, partition = partition.id, "it is not there any more");
                return End::Done;
            }
            let Some(pause) = retries.next_pause(&error).filter(|_| patient) else { return End::Failed(error) };
            if retries.failures() == 1 {
                let (source, partition) = (&self.name, &partition.id);
                tracing::warn!(source, partition, error = error.chain(), "reading failed, opening again");
            }
            if !self.lane.pause(self.host.now() + pause) {
                return End::Done;
            }
        }
    }

    /// Reads on from the partition's position, which moves on with each payload.
    fn read_from(&self, part: u64, partition: &mut Partition, retries: &mut Retries) -> Result<()> {
        if self.lane.is_closed() {
            return Ok(());
        }
        let unfinished = lock(&self.round).unfinished;
        let mut reader = self.source.open(partition, unfinished)?;
        while self.lane.await_room(part) {
            let Some(payload) = reader.next()? else { return Ok(()) };
            retries.progress();
            partition.from = Some(payload.position.clone());
            lock(&self.positions).insert(partition.id.clone(), payload.position.clone());
            let Some(place) = self.lane.push(part, payload.bytes.len()) else { return Ok(()) };
            let (decoder, lane) = (self.decoder.clone(), self.lane.clone());
            self.decoders.push(Task { source: self.index, payload, decoder, lane, part, place });
        }
        Ok(())
    }
}

/// Ends a part, however its reader ends.
struct EndPart<'l> {
    lane: &'l Lane,
    part: u64,
}

impl Drop for EndPart<'_> {
    fn drop(&mut self) {
        self.lane.end(self.part);
    }
}

/// What a panicking thread leaves behind ends with the run.
pub(super) fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

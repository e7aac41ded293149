//! Epochs: what is in the open one, how many are on their way, and when the open one is closed.
//!
//! Batches enter the open epoch as they arrive. It is due when it is [`RunOptions::epoch_interval`] old or holds
//! [`RunOptions::epoch_bytes`]; or, when no source has more in hand, at once, unless the one before was closed less than
//! `epoch_interval` ago. At most [`EPOCHS_AHEAD`] closed epochs are on their way through the workers: while they are,
//! the open one waits, and takes no more than its bytes. A source that has not had its share of them, `epoch_bytes` divided
//! by the number of sources, may enter a full epoch all the same: one with much to read does not keep the others out. So an
//! epoch holds less than twice `epoch_bytes`, and for each source a batch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use catchment_contract::Epoch;

use super::options::RunOptions;
use crate::host::Host;

/// Closed epochs that may be on their way through the workers.
const EPOCHS_AHEAD: u64 = 2;

/// The epochs of a run.
pub(super) struct Epochs {
    host: Host,
    interval: Duration,
    bytes_max: usize,
    /// The open one.
    open: Epoch,
    /// What it holds, and of which source; the rejects of sinks come last.
    bytes: usize,
    by_source: Vec<usize>,
    /// When the first batch entered it.
    began: Instant,
    /// When the one before was closed.
    closed: Option<Instant>,
    /// All up to this one are complete.
    complete: Epoch,
    /// Spans of the epochs on their way.
    spans: BTreeMap<Epoch, tracing::Span>,
}

impl Epochs {
    /// The first epoch is open and empty.
    pub fn new(host: &Host, options: &RunOptions, sources: usize) -> Self {
        Epochs {
            host: host.clone(),
            interval: options.epoch_interval,
            bytes_max: options.epoch_bytes,
            open: 1,
            bytes: 0,
            by_source: vec![0; sources + 1],
            began: host.now(),
            closed: None,
            complete: 0,
            spans: BTreeMap::new(),
        }
    }

    /// The open epoch.
    pub fn open(&self) -> Epoch {
        self.open
    }

    /// A batch of input `source` enters the open epoch. One of no bytes counts all the same, since it moves a position.
    pub fn add(&mut self, source: usize, bytes: usize) {
        if self.bytes == 0 {
            self.began = self.host.now();
        }
        self.bytes += bytes + 1;
        self.by_source[source] += bytes + 1;
    }

    /// Whether more of a source may enter the open epoch.
    pub fn has_room(&self, source: usize) -> bool {
        self.bytes < self.bytes_max || self.by_source[source] < self.bytes_max / (self.by_source.len() - 1).max(1)
    }

    /// Whether nothing entered the open epoch.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether another epoch may be on its way.
    pub fn can_close(&self) -> bool {
        self.open - 1 - self.complete < EPOCHS_AHEAD
    }

    /// When the open epoch is due, if it is not empty and can be closed; `quiet` if no source has more in hand.
    pub fn due_at(&self, quiet: bool) -> Option<Instant> {
        if self.is_empty() || !self.can_close() {
            return None;
        }
        if self.bytes >= self.bytes_max {
            return Some(self.began);
        }
        let old = self.began + self.interval;
        let next = self.closed.map_or(self.began, |closed| closed + self.interval);
        Some(if quiet { old.min(next) } else { old })
    }

    /// Whether the open epoch is to be closed now.
    pub fn is_due(&self, quiet: bool) -> bool {
        self.due_at(quiet).is_some_and(|due| due <= self.host.now())
    }

    /// Closes the open epoch and opens the next, which is the answer.
    pub fn close(&mut self) -> Epoch {
        self.spans.insert(self.open, tracing::debug_span!("epoch", epoch = self.open, bytes = self.bytes));
        self.closed = Some(self.host.now());
        self.open_at(self.open + 1)
    }

    /// Goes on at a later epoch: a run begins after those that earlier ones have used.
    pub fn open_at(&mut self, epoch: Epoch) -> Epoch {
        self.open = epoch;
        self.bytes = 0;
        self.by_source.fill(0);
        epoch
    }

    /// Takes note that all epochs up to `epoch` are complete; false if that was known.
    pub fn complete(&mut self, epoch: Epoch) -> bool {
        if epoch <= self.complete {
            return false;
        }
        self.complete = epoch;
        self.spans.retain(|other, _| *other > epoch);
        true
    }

    /// Whether no epoch is on its way.
    pub fn are_complete(&self) -> bool {
        self.complete + 1 >= self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Simulation;

    const KIB: usize = 1 << 10;

    fn epochs(host: Host) -> Epochs {
        Epochs::new(&host, &RunOptions { epoch_bytes: 100 * KIB, ..RunOptions::default() }, 4)
    }

    #[test]
    fn an_epoch_is_due_by_age_and_by_bytes() {
        let (simulation, host) = Simulation::begin(1);
        let mut epochs = epochs(host);
        assert!(!epochs.is_due(true) && epochs.due_at(true).is_none(), "nothing is in it");
        epochs.add(0, 0);
        assert!(!epochs.is_due(false));
        simulation.clock().advance(Duration::from_millis(100));
        assert!(epochs.is_due(false));
        assert_eq!(epochs.close(), 2);
        epochs.add(0, 100 * KIB);
        assert!(epochs.is_due(false));
    }

    #[test]
    fn an_epoch_does_not_wait_when_nothing_more_comes() {
        let (simulation, host) = Simulation::begin(2);
        let mut epochs = epochs(host);
        epochs.add(0, 1);
        assert!(epochs.is_due(true) && !epochs.is_due(false), "the first of all");
        epochs.close();
        simulation.clock().advance(Duration::from_millis(60));
        epochs.add(0, 1);
        assert!(!epochs.is_due(true), "the one before was closed just now");
        simulation.clock().advance(Duration::from_millis(40));
        assert!(epochs.is_due(true) && !epochs.is_due(false));
    }

    #[test]
    fn two_epochs_are_ahead_and_the_third_waits() {
        let mut epochs = epochs(Host::system());
        for _ in 0..2 {
            epochs.add(0, 100 * KIB);
            assert!(epochs.is_due(false));
            epochs.close();
        }
        epochs.add(0, 100 * KIB);
        assert!(!epochs.is_due(true) && !epochs.can_close());
        assert!(epochs.complete(1) && !epochs.complete(1) && epochs.is_due(false));
    }

    #[test]
    fn a_full_epoch_takes_what_has_not_had_its_share() {
        let mut epochs = epochs(Host::system());
        epochs.add(0, 120 * KIB);
        assert_eq!([0, 1, 2, 3].map(|source| epochs.has_room(source)), [false, true, true, true]);
        (0..25).for_each(|_| epochs.add(1, KIB));
        assert!(!epochs.has_room(1) && epochs.has_room(2));
        epochs.close();
        assert!(epochs.has_room(0));
    }
}

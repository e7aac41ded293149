//! From the stream's containers to the sorted chunks of a batch.
//!
//! Containers are kept as they came until the frontier passes their epochs; then one sort over hashes and one gather
//! make the batch. A merge batcher would copy each row once for every doubling of what it holds.

use std::collections::VecDeque;

use catchment_contract::Epoch;
use timely::progress::frontier::AntichainRef;

use super::assemble::Assembler;
use super::chunk::RowChunk;
use super::rows::Rows;
use crate::updates::Updates;

/// Rows that wait for their epoch to be complete.
pub(super) struct Batcher {
    key: Vec<usize>,
    mask: u64,
    pending: Vec<Rows>,
}

impl Batcher {
    /// A batcher for rows whose key is the columns `key`; bits of key hashes outside `mask` are cleared.
    pub(super) fn new(key: Vec<usize>, mask: u64) -> Self {
        Batcher { key, mask, pending: Vec::new() }
    }

    /// Keeps `updates` until they are sealed.
    pub(super) fn push(&mut self, updates: Updates) {
        if !updates.is_empty() {
            self.pending.push(Rows::new(updates, &self.key, self.mask));
        }
    }

    /// The first epoch that a kept row has.
    pub(super) fn first_epoch(&self) -> Option<Epoch> {
        self.pending.iter().flat_map(|rows| rows.epochs.iter().copied()).min()
    }

    /// All rows of epochs before `upper`, sorted and consolidated; none is no chunk.
    pub(super) fn seal(&mut self, upper: AntichainRef<'_, Epoch>) -> VecDeque<RowChunk> {
        // No upper is past all epochs.
        let upper = upper.first().copied();
        let waits = |epoch: &Epoch| upper.is_some_and(|upper| *epoch >= upper);
        let mut ready = Vec::with_capacity(self.pending.len());
        for rows in std::mem::take(&mut self.pending) {
            if !rows.epochs.iter().any(waits) {
                ready.push(rows);
            } else if rows.epochs.iter().all(waits) {
                self.pending.push(rows);
            } else {
                let (kept, shipped): (Vec<u32>, Vec<u32>) =
                    (0..rows.len() as u32).partition(|row| waits(&rows.epochs[*row as usize]));
                self.pending.push(rows.select(&kept));
                ready.push(rows.select(&shipped));
            }
        }
        sorted(&ready)
    }
}

/// A row by its hashes and where it is.
#[derive(Clone, Copy, Default)]
struct Entry {
    key: u64,
    identity: u64,
    source: u32,
    row: u32,
}

/// Sorted, consolidated chunks of all rows of `sources`.
pub(super) fn sorted(sources: &[Rows]) -> VecDeque<RowChunk> {
    let mut epochs = sources.iter().flat_map(|rows| rows.epochs.iter());
    let first = epochs.next().copied();
    let one_epoch = epochs.all(|epoch| Some(*epoch) == first);
    let epoch = |entry: &Entry| sources[entry.source as usize].epochs[entry.row as usize];
    let (mut entries, buckets) = bucketed(sources);
    for bucket in buckets.windows(2) {
        let entries = &mut entries[bucket[0]..bucket[1]];
        if one_epoch {
            entries.sort_unstable_by_key(|entry| (entry.key, entry.identity));
        } else {
            entries.sort_unstable_by_key(|entry| (entry.key, entry.identity, epoch(entry)));
        }
    }
    let mut assembler = Assembler::new(sources.iter().collect());
    for entry in &entries {
        assembler.push(entry.source as usize, entry.row as usize, epoch(entry));
    }
    assembler.finish()
}

/// Entries of all rows, scattered by the high bits of their key hash into buckets of some 64 that fit a core's cache;
/// the second value holds the buckets' bounds.
fn bucketed(sources: &[Rows]) -> (Vec<Entry>, Vec<usize>) {
    let rows: usize = sources.iter().map(Rows::len).sum();
    let bits = (rows / 64).max(1).ilog2().min(14);
    let bucket = |key: u64| if bits == 0 { 0 } else { (key >> (64 - bits)) as usize };
    let mut bounds = vec![0usize; (1 << bits) + 1];
    for key in sources.iter().flat_map(|rows| rows.keys.iter()) {
        bounds[bucket(*key) + 1] += 1;
    }
    for index in 1..bounds.len() {
        bounds[index] += bounds[index - 1];
    }
    let mut next = bounds.clone();
    let mut entries = vec![Entry::default(); rows];
    for (source, rows) in sources.iter().enumerate() {
        for (row, (key, identity)) in rows.keys.iter().zip(rows.identities.iter()).enumerate() {
            let at = &mut next[bucket(*key)];
            entries[*at] = Entry { key: *key, identity: *identity, source: source as u32, row: row as u32 };
            *at += 1;
        }
    }
    (entries, bounds)
}

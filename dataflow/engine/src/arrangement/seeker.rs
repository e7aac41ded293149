//! Lookup of key hashes in a batch, forward only.

use super::chunk::RowChunk;

/// A position in a batch's chunks that only moves forward: a sweep over ascending keys costs a gallop each.
///
/// It borrows nothing, so that a suspended join can keep it beside the batch: every call is given the same chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seeker {
    chunk: usize,
    row: usize,
}

impl Seeker {
    /// Moves to the first row, at or after the present one, whose key hash is at least `key`; whether it equals `key`.
    #[inline]
    pub fn seek(&mut self, chunks: &[RowChunk], key: u64) -> bool {
        let before = |index: usize| chunks[index].rows().keys.last().is_none_or(|last| *last < key);
        let chunk = gallop(self.chunk, chunks.len(), before);
        if chunk != self.chunk {
            *self = Seeker { chunk, row: 0 };
        }
        let Some(chunk) = chunks.get(self.chunk) else { return false };
        let keys = chunk.rows().keys();
        self.row = gallop(self.row, keys.len(), |row| keys[row] < key);
        keys.get(self.row) == Some(&key)
    }

    /// The row it is at, as (chunk, row); `None` behind the last.
    #[inline]
    pub fn at(&self, chunks: &[RowChunk]) -> Option<(usize, usize)> {
        (self.chunk < chunks.len()).then_some((self.chunk, self.row))
    }

    /// Moves one row on.
    #[inline]
    pub fn step(&mut self, chunks: &[RowChunk]) {
        self.row += 1;
        if chunks.get(self.chunk).is_some_and(|chunk| self.row >= chunk.rows().len()) {
            *self = Seeker { chunk: self.chunk + 1, row: 0 };
        }
    }
}

/// The first index in `from..end` for which `before` does not hold, given that it holds for a prefix; steps double.
#[inline]
fn gallop(from: usize, end: usize, before: impl Fn(usize) -> bool) -> usize {
    if from >= end || !before(from) {
        return from;
    }
    let (mut low, mut step) = (from, 1);
    while low + step < end && before(low + step) {
        low += step;
        step *= 2;
    }
    let mut high = (low + step).min(end);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

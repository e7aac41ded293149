//! Rows of a chunk: hashes, epochs, diffs and columns, side by side.

use catchment_contract::arrow::array::ArrayRef;
use catchment_contract::arrow::buffer::ScalarBuffer;
use catchment_contract::hash::hash_rows;
use catchment_contract::{Diff, Epoch};

use super::gather::gather_column;
use crate::updates::{Updates, flatten};

/// Rows in the layout of an arrangement, in any order; a [`super::RowChunk`] holds them sorted and consolidated.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Hash of the key columns (low lane).
    pub(super) keys: ScalarBuffer<u64>,
    /// Hash of all columns (high lane).
    pub(super) identities: ScalarBuffer<u64>,
    pub(super) epochs: ScalarBuffer<Epoch>,
    pub(super) diffs: ScalarBuffer<Diff>,
    pub(super) columns: Vec<ArrayRef>,
}

/// What rows are sorted by: key hash, row hash, epoch.
pub(super) type Place = (u64, u64, Epoch);

impl Rows {
    /// The rows of `updates`, whose key is the columns `key`, with the key hashes' bits outside `mask` cleared.
    pub(super) fn new(updates: Updates, key: &[usize], mask: u64) -> Self {
        let len = updates.len();
        let carried = updates.key_hashes(key);
        let keys = if mask == u64::MAX { carried } else { carried.iter().map(|hash| hash & mask).collect() };
        let (columns, epochs, diffs) = updates.into_parts();
        let columns: Vec<ArrayRef> = columns.iter().map(flatten).collect();
        let identities = hash_rows(&columns, len).high.into();
        Rows { keys, identities, epochs: epochs.expand(len), diffs: diffs.expand(len), columns }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Hash of the key columns, a row each.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// High lane of the hash of all columns, a row each: with [`Rows::keys`] the row's identity.
    pub fn identities(&self) -> &[u64] {
        &self.identities
    }

    /// Epoch of each row.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// Diff of each row; never 0 in a chunk.
    pub fn diffs(&self) -> &[Diff] {
        &self.diffs
    }

    /// All columns, none of them a dictionary.
    pub fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    #[inline]
    pub(super) fn place(&self, row: usize) -> Place {
        (self.keys[row], self.identities[row], self.epochs[row])
    }

    /// `len` rows from `offset` on, without copying.
    pub(super) fn slice(&self, offset: usize, len: usize) -> Self {
        Rows {
            keys: self.keys.slice(offset, len),
            identities: self.identities.slice(offset, len),
            epochs: self.epochs.slice(offset, len),
            diffs: self.diffs.slice(offset, len),
            columns: self.columns.iter().map(|column| column.slice(offset, len)).collect(),
        }
    }

    /// The rows named by `rows`, in that order.
    pub(super) fn select(&self, rows: &[u32]) -> Self {
        let at: Vec<(usize, usize)> = rows.iter().map(|row| (0, *row as usize)).collect();
        Rows {
            keys: at.iter().map(|(_, row)| self.keys[*row]).collect(),
            identities: at.iter().map(|(_, row)| self.identities[*row]).collect(),
            epochs: at.iter().map(|(_, row)| self.epochs[*row]).collect(),
            diffs: at.iter().map(|(_, row)| self.diffs[*row]).collect(),
            columns: gather_columns(&[self], &at),
        }
    }

    /// All rows of `parts`, in order.
    pub(super) fn concat(parts: &[&Rows]) -> Self {
        let at: Vec<(usize, usize)> =
            parts.iter().enumerate().flat_map(|(part, rows)| (0..rows.len()).map(move |row| (part, row))).collect();
        Rows {
            keys: parts.iter().flat_map(|rows| rows.keys.iter().copied()).collect(),
            identities: parts.iter().flat_map(|rows| rows.identities.iter().copied()).collect(),
            epochs: parts.iter().flat_map(|rows| rows.epochs.iter().copied()).collect(),
            diffs: parts.iter().flat_map(|rows| rows.diffs.iter().copied()).collect(),
            columns: gather_columns(parts, &at),
        }
    }
}

/// All columns of the rows `at`, as `(source, row)`.
pub(super) fn gather_columns(sources: &[&Rows], at: &[(usize, usize)]) -> Vec<ArrayRef> {
    let width = sources.first().map_or(0, |rows| rows.columns.len());
    (0..width)
        .map(|index| {
            let columns: Vec<&ArrayRef> = sources.iter().map(|rows| &rows.columns[index]).collect();
            gather_column(&columns, at)
        })
        .collect()
}

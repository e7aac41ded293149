//! From row references in order to chunks: consolidation first, one gather a chunk after.

use std::collections::VecDeque;

use catchment_contract::arrow::array::ArrayRef;
use catchment_contract::{Diff, Epoch};
use differential_dataflow::trace::chunk::Chunk;

use super::chunk::RowChunk;
use super::rows::{Place, Rows, gather_columns};

/// Collects references to rows, pushed in the order of their places, sums the diffs of equal places, drops zeros, and
/// gathers every [`RowChunk::TARGET`] rows into a chunk.
pub(super) struct Assembler<'a> {
    sources: Vec<&'a Rows>,
    at: Vec<(usize, usize)>,
    places: Vec<Place>,
    diffs: Vec<Diff>,
    out: VecDeque<RowChunk>,
}

impl<'a> Assembler<'a> {
    pub(super) fn new(sources: Vec<&'a Rows>) -> Self {
        Assembler { sources, at: Vec::new(), places: Vec::new(), diffs: Vec::new(), out: VecDeque::new() }
    }

    /// Adds row `row` of source `source` at `epoch`. Places never descend from one call to the next.
    #[inline]
    pub(super) fn push(&mut self, source: usize, row: usize, epoch: Epoch) {
        let rows = self.sources[source];
        let place = (rows.keys[row], rows.identities[row], epoch);
        let diff = rows.diffs[row];
        if let (Some(last), Some(sum)) = (self.places.last(), self.diffs.last_mut()) {
            debug_assert!(*last <= place, "rows are assembled in order");
            if *last == place {
                *sum += diff;
                return;
            }
        }
        self.drop_zero();
        if self.places.len() >= RowChunk::TARGET {
            self.flush();
        }
        self.at.push((source, row));
        self.places.push(place);
        self.diffs.push(diff);
    }

    /// Adds a whole chunk, all of whose places are past those pushed so far.
    pub(super) fn pass(&mut self, chunk: RowChunk) {
        self.flush();
        self.out.push_back(chunk);
    }

    /// The chunks made so far and the rest.
    pub(super) fn finish(mut self) -> VecDeque<RowChunk> {
        self.flush();
        self.out
    }

    #[inline]
    fn drop_zero(&mut self) {
        if self.diffs.last() == Some(&0) {
            self.at.pop();
            self.places.pop();
            self.diffs.pop();
        }
    }

    fn flush(&mut self) {
        self.drop_zero();
        if self.places.is_empty() {
            return;
        }
        let rows = Rows {
            keys: self.places.iter().map(|place| place.0).collect(),
            identities: self.places.iter().map(|place| place.1).collect(),
            epochs: self.places.iter().map(|place| place.2).collect(),
            diffs: self.diffs.iter().copied().collect(),
            columns: self.gather(),
        };
        self.out.push_back(RowChunk::new(rows));
        self.at.clear();
        self.places.clear();
        self.diffs.clear();
    }

    /// The columns of the rows collected, from the sources that they use alone.
    fn gather(&self) -> Vec<ArrayRef> {
        if self.sources.len() == 1 {
            return gather_columns(&self.sources, &self.at);
        }
        let mut slots = vec![usize::MAX; self.sources.len()];
        let mut used = Vec::new();
        let at: Vec<(usize, usize)> = self
            .at
            .iter()
            .map(|(source, row)| {
                let slot = &mut slots[*source];
                if *slot == usize::MAX {
                    *slot = used.len();
                    used.push(self.sources[*source]);
                }
                (*slot, *row)
            })
            .collect();
        gather_columns(&used, &at)
    }
}

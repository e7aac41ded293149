//! The groups that new batches touch: their rows before and after each epoch, and what that changes in the output.

use catchment_contract::arrow::array::{Array, ArrayRef, UInt32Array};
use catchment_contract::arrow::compute::concat;
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::{Diff, Epoch, Run};
use catchment_engine::Updates;
use catchment_engine::arrangement::{RowBatch, RowChunk, Seeker, gather_column};
use catchment_engine::updates::take_rows;

use super::GroupLogic;
use crate::join::same::same_values;

/// Rows that are gathered at once, unless one group has more.
const WINDOW_ROWS: usize = 32 * 1024;
/// Rows of an output container at most, unless one group puts out more.
const CONTAINER_ROWS: usize = 8 * 1024;

/// What groups put out, and how.
pub(super) struct Groups {
    key: Vec<usize>,
    out_types: Vec<DataType>,
    logic: GroupLogic,
}

/// One update of a row: the row's place among a window's distinct rows, its epoch (`None` before the new batches), diff.
type Edit = (usize, Option<Epoch>, Diff);

/// The rows with one key hash: distinct rows `start..end` of a window, and edits `edits.0..edits.1`.
#[derive(Clone, Copy)]
struct Bucket {
    rows: (usize, usize),
    edits: (usize, usize),
}

/// The distinct rows of some key hashes, and their edits.
struct Window {
    chunks: Vec<RowChunk>,
    /// The chunk that was read last, a batch each: its index there and here.
    last: Vec<Option<(usize, usize)>>,
    at: Vec<(usize, usize)>,
    edits: Vec<Edit>,
    buckets: Vec<Bucket>,
}

/// Output on its way: parts of one epoch and sign each.
#[derive(Default)]
struct Output {
    parts: Vec<Vec<ArrayRef>>,
    epochs: Vec<Epoch>,
    diffs: Vec<Diff>,
}

impl Groups {
    /// Groups by the columns `key`.
    pub(super) fn new(key: Vec<usize>, out_types: Vec<DataType>, logic: GroupLogic) -> Self {
        Groups { key, out_types, logic }
    }

    /// Yields what the batches `fresh` change, given all batches `held` before them.
    pub(super) fn changes(&mut self, held: &[RowBatch], fresh: &[RowBatch], mut give: impl FnMut(Updates)) {
        let chunks = fresh.iter().flat_map(|batch| &batch.chunks);
        let mut keys: Vec<u64> = chunks.flat_map(|chunk| chunk.rows().keys().iter().copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        let batches: Vec<(&RowBatch, bool)> =
            held.iter().map(|batch| (batch, false)).chain(fresh.iter().map(|batch| (batch, true))).collect();
        let mut seekers = vec![Seeker::default(); batches.len()];
        let (mut window, mut output) = (Window::new(batches.len()), Output::default());
        for key in keys {
            window.load(key, &batches, &mut seekers);
            if window.at.len() >= WINDOW_ROWS {
                let full = std::mem::replace(&mut window, Window::new(batches.len()));
                self.evaluate(full, &mut output, &mut give);
            }
        }
        self.evaluate(window, &mut output, &mut give);
        output.flush(self.out_types.len(), &mut give);
    }

    fn evaluate(&mut self, window: Window, output: &mut Output, give: &mut impl FnMut(Updates)) {
        let Some(first) = window.chunks.first() else { return };
        let columns: Vec<ArrayRef> = (0..first.rows().columns().len()).map(|column| window.gather(column)).collect();
        let same_as_next = self.same_key_as_next(&columns, window.at.len());
        for bucket in &window.buckets {
            let (start, end) = bucket.rows;
            let edits = &window.edits[bucket.edits.0..bucket.edits.1];
            if (start + 1..end).all(|row| same_as_next[row - 1]) {
                self.group(&columns, (start..end).collect(), edits, output);
            } else {
                // Different keys with one hash.
                for rows in self.split(&columns, start, end) {
                    self.group(&columns, rows, edits, output);
                }
            }
            if output.epochs.len() >= CONTAINER_ROWS {
                output.flush(self.out_types.len(), give);
            }
        }
    }

    /// Whether each row has the same key as the next.
    fn same_key_as_next(&self, columns: &[ArrayRef], rows: usize) -> Vec<bool> {
        let pairs = rows.saturating_sub(1);
        let mut same = vec![true; pairs];
        for key in &self.key {
            let mask = same_values(&columns[*key].slice(0, pairs), &columns[*key].slice(rows - pairs, pairs));
            same.iter_mut().enumerate().for_each(|(row, same)| *same &= mask.value(row));
        }
        same
    }

    /// The rows `start..end` by key.
    fn split(&self, columns: &[ArrayRef], start: usize, end: usize) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for row in start..end {
            let same = |group: &&mut Vec<usize>| {
                self.key.iter().all(|key| {
                    let value = |row: usize| columns[*key].slice(row, 1);
                    same_values(&value(group[0]), &value(row)).value(0)
                })
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups
    }

    /// Adds what changes in the group of the ascending window rows `rows`, whose edits are among `edits`.
    fn group(&mut self, columns: &[ArrayRef], rows: Vec<usize>, edits: &[Edit], output: &mut Output) {
        let position = |row: usize| rows.binary_search(&row).ok();
        let mut counts: Vec<Diff> = vec![0; rows.len()];
        let mut later: Vec<(Epoch, usize, Diff)> = Vec::new();
        for (row, epoch, diff) in edits {
            match (position(*row), epoch) {
                (Some(at), None) => counts[at] += diff,
                (Some(at), Some(epoch)) => later.push((*epoch, at, *diff)),
                (None, _) => {}
            }
        }
        later.sort_unstable();
        let mut before = None;
        let mut counted = counts.clone();
        for edits in later.chunk_by(|a, b| a.0 == b.0) {
            edits.iter().for_each(|(_, at, diff)| counts[*at] += diff);
            let live = |counts: &[Diff]| counts.iter().map(|count| (*count).max(0)).collect::<Vec<_>>();
            if live(&counted) == live(&counts) {
                continue;
            }
            let old = before.take().unwrap_or_else(|| self.rows_of(columns, &rows, &counted));
            let new = self.rows_of(columns, &rows, &counts);
            if old != new {
                output.push(old, edits[0].0, -1);
                output.push(new.clone(), edits[0].0, 1);
            }
            (before, counted) = (Some(new), counts.clone());
        }
    }

    /// What the group puts out when its rows are there as often as `counts` says; no columns for no row.
    fn rows_of(&mut self, columns: &[ArrayRef], rows: &[usize], counts: &[Diff]) -> Vec<ArrayRef> {
        let live: Vec<usize> = (0..rows.len()).filter(|at| counts[*at] > 0).collect();
        if live.is_empty() {
            return Vec::new();
        }
        let (first, last) = (rows[live[0]], rows[live[live.len() - 1]]);
        let columns: Vec<ArrayRef> = if last - first + 1 == live.len() {
            columns.iter().map(|column| column.slice(first, live.len())).collect()
        } else {
            let positions = UInt32Array::from_iter_values(live.iter().map(|at| rows[*at] as u32));
            columns.iter().map(|column| take_rows(column, &positions)).collect()
        };
        let counts: Vec<Diff> = live.iter().map(|at| counts[*at]).collect();
        let made = (self.logic)(&columns, &counts);
        debug_assert!(
            made.iter().map(|column| column.data_type()).eq(&self.out_types),
            "the logic puts out the types it said"
        );
        made
    }
}

impl Window {
    fn new(batches: usize) -> Self {
        let last = vec![None; batches];
        Window { chunks: Vec::new(), last, at: Vec::new(), edits: Vec::new(), buckets: Vec::new() }
    }

    /// The place among this window's chunks of chunk `chunk` of batch `batch`.
    fn slot(&mut self, batches: &[(&RowBatch, bool)], batch: usize, chunk: usize) -> usize {
        match self.last[batch] {
            Some((last, slot)) if last == chunk => slot,
            _ => {
                self.chunks.push(batches[batch].0.chunks[chunk].clone());
                self.last[batch] = Some((chunk, self.chunks.len() - 1));
                self.chunks.len() - 1
            }
        }
    }

    /// Adds all rows of key hash `key`; keys come in ascending order.
    fn load(&mut self, key: u64, batches: &[(&RowBatch, bool)], seekers: &mut [Seeker]) {
        let mut found: Vec<(u64, usize, usize, Option<Epoch>, Diff)> = Vec::new();
        for (index, ((batch, fresh), seeker)) in batches.iter().zip(seekers).enumerate() {
            if !seeker.seek(&batch.chunks, key) {
                continue;
            }
            while let Some((chunk, row)) = seeker.at(&batch.chunks)
                && batch.chunks[chunk].rows().keys()[row] == key
            {
                let rows = batch.chunks[chunk].rows();
                let epoch = fresh.then(|| rows.epochs()[row]);
                found.push((rows.identities()[row], self.slot(batches, index, chunk), row, epoch, rows.diffs()[row]));
                seeker.step(&batch.chunks);
            }
        }
        found.sort_unstable_by_key(|found| found.0);
        let (rows, edits) = (self.at.len(), self.edits.len());
        for same in found.chunk_by(|a, b| a.0 == b.0) {
            self.edits.extend(same.iter().map(|(_, _, _, epoch, diff)| (self.at.len(), *epoch, *diff)));
            self.at.push((same[0].1, same[0].2));
        }
        self.buckets.push(Bucket { rows: (rows, self.at.len()), edits: (edits, self.edits.len()) });
    }

    fn gather(&self, column: usize) -> ArrayRef {
        let sources: Vec<&ArrayRef> = self.chunks.iter().map(|chunk| &chunk.rows().columns()[column]).collect();
        gather_column(&sources, &self.at)
    }
}

impl Output {
    fn push(&mut self, columns: Vec<ArrayRef>, epoch: Epoch, diff: Diff) {
        let rows = columns.first().map_or(0, |column| column.len());
        if rows > 0 {
            self.parts.push(columns);
            self.epochs.extend(std::iter::repeat_n(epoch, rows));
            self.diffs.extend(std::iter::repeat_n(diff, rows));
        }
    }

    fn flush(&mut self, width: usize, give: &mut impl FnMut(Updates)) {
        let Output { parts, epochs, diffs } = std::mem::take(self);
        if epochs.is_empty() {
            return;
        }
        let columns = (0..width).map(|column| {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| part[column].as_ref()).collect();
            concat(&arrays).expect("the logic puts out one type a column")
        });
        let columns = columns.collect();
        let epochs = match epochs.first() {
            Some(first) if epochs.iter().all(|epoch| epoch == first) => Run::One(*first),
            _ => Run::Each(epochs.into()),
        };
        give(Updates::new(diffs.len(), columns, epochs, Run::Each(diffs.into())));
    }
}

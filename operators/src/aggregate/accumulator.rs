//! Accumulators: what a group remembers of its rows for one aggregate.
//!
//! An accumulator holds a slot a group and works on columns: it adds a batch of values with their groups and diffs, and
//! answers for a list of groups. Addition is commutative and every diff can be undone, so changes inside an epoch may come
//! in any order; answers are asked for only between epochs.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, Int64Array};
use catchment_contract::arrow::compute::{CastOptions, cast_with_options};
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::{Diff, Run};

use crate::bytes::{put_int, take_int};
use crate::lanes::Lane;

/// Values for one aggregate, each with its group and diff.
pub(crate) struct Batch<'a> {
    /// The group of each row.
    pub groups: &'a [u32],
    /// The aggregate's input, flat; none for `count(*)`.
    pub values: Option<&'a ArrayRef>,
    /// The diff of each row.
    pub diffs: &'a Run<Diff>,
}

impl Batch<'_> {
    /// Calls `visit(row, group, diff)` for every row whose value is not null.
    #[inline]
    pub(crate) fn each_valid(&self, mut visit: impl FnMut(usize, usize, Diff)) {
        let nulls = self.values.and_then(|values| values.logical_nulls());
        for (row, group) in self.groups.iter().enumerate() {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                visit(row, *group as usize, self.diffs.at(row));
            }
        }
    }
}

/// One aggregate of all groups.
pub(crate) trait Accumulator {
    /// Makes room for groups below `groups`.
    fn resize(&mut self, groups: usize);

    /// Adds a batch. Slots of its groups exist.
    fn add(&mut self, batch: &Batch<'_>);

    /// Empties the slot of a group that has no rows any more.
    fn clear(&mut self, group: u32);

    /// The aggregate of each of `groups`.
    fn evaluate(&self, groups: &[u32]) -> ArrayRef;

    /// Appends the slot of each of `groups` to the part beside it.
    fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]);

    /// Fills the slots of `groups`, which are empty, from the beginnings of `parts`, and goes past what was read.
    fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]);

    /// Empties the slots of groups that have rows.
    fn forget(&mut self, groups: &[u32]) {
        groups.iter().for_each(|group| self.clear(*group));
    }

    /// Bytes in memory, roughly, where there are so many groups.
    fn memory(&self, groups: usize) -> usize;
}

/// Calls `save(slot, part)` for each group and its part.
pub(crate) fn save_each(groups: &[u32], parts: &mut [Vec<u8>], mut save: impl FnMut(usize, &mut Vec<u8>)) {
    groups.iter().zip(parts).for_each(|(group, part)| save(*group as usize, part));
}

/// Calls `load(slot, part)` for each group and its part.
pub(crate) fn load_each<'a>(groups: &[u32], parts: &mut [&'a [u8]], mut load: impl FnMut(usize, &mut &'a [u8])) {
    groups.iter().zip(parts).for_each(|(group, part)| load(*group as usize, part));
}

/// `count(*)` and `count(x)`.
pub(crate) struct Count {
    counts: Lane,
    output: DataType,
}

impl Count {
    pub(crate) fn new(output: &DataType) -> Self {
        Count { counts: Lane::default(), output: output.clone() }
    }
}

impl Accumulator for Count {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        batch.each_valid(|_, group, diff| self.counts.add_diff(group, diff));
    }

    fn clear(&mut self, group: u32) {
        self.counts.set(group as usize, 0);
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let counts = groups.iter().map(|group| i64::try_from(self.counts.at(*group as usize)).ok());
        cast_to(&(Arc::new(counts.collect::<Int64Array>()) as ArrayRef), &self.output)
    }

    fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]) {
        save_each(groups, parts, |group, part| put_int(part, self.counts.at(group)));
    }

    fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]) {
        load_each(groups, parts, |group, part| self.counts.set(group, take_int(part)));
    }

    fn memory(&self, groups: usize) -> usize {
        groups * self.counts.slot_bytes()
    }
}

/// `column` as `output`; what the type cannot hold is null.
pub(crate) fn cast_to(column: &ArrayRef, output: &DataType) -> ArrayRef {
    if column.data_type() == output {
        return column.clone();
    }
    let options = CastOptions { safe: true, ..Default::default() };
    cast_with_options(column, output, &options).expect("the spec was checked: its types can be cast")
}

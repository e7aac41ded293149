//! The first groups of each partition, counted and ranked in one state.
//!
//! `SELECT …, row_number() OVER (PARTITION BY a ORDER BY count(*) DESC, b) … GROUP BY a, b` over millions of groups: one
//! hash table of all groups would miss the cache at every row. Here the partition's key (`a`) and the other keys (`b`) are
//! interned apart, and every partition has a table of its own ([`counts`]) from the other keys' number to the accumulators.
//! An epoch's rows are ordered by partition first, so that one small table is in the cache while its rows are counted.
//!
//! **State**: about 14 bytes a group with a single count; 35 bytes and its bytes a distinct other key, which all partitions
//! share; some 150 bytes a partition, and 8 bytes a group shown.
//!
//! **Choosing.** What a partition shows is remembered. After an epoch the candidates are what it showed and what changed: if
//! enough of them rank no later than the last one shown did, no other group can have come in. Otherwise, or where about
//! as much changed as there is, its table is scanned once.

mod choice;
mod counts;
mod held;
mod plan;

use std::sync::Arc;

use catchment_contract::Run;
use catchment_contract::arrow::array::{ArrayRef, UInt64Array};
use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::{UpdateStream, Updates};
use catchment_state::Memory;

use choice::{Chosen, Shown};
use held::Held;
use plan::{Feed, NULL, Plan};

use crate::aggregate::{AggregateSpec, integers};
use crate::driver::{Logic, drive};
use crate::key_table::KeyTable;
use crate::spill::Spill;
use crate::top_k::{Ranking, TopKSpec};

/// An aggregate and the groups kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopGroupsSpec {
    /// The groups.
    pub aggregate: AggregateSpec,
    /// Which groups are kept; columns and types are those of the aggregate's output.
    pub top: TopKSpec,
}

impl TopGroupsSpec {
    /// Whether [`top_groups`] can keep it up to date; if not, an `aggregate` with a `top_k` behind it can.
    ///
    /// It can where the partition's columns are part of the group's keys, but not all; every aggregate is a count or a sum of
    /// integers as `Int64` or `UInt64`, without `DISTINCT`; the order names aggregates in front of keys; and at most 4,096
    /// groups of a partition are kept, those passed over included.
    pub fn fits(&self) -> bool {
        Plan::of(self).is_some()
    }
}

/// The first groups of each partition: the aggregate's columns, and the place if asked for; consolidated.
///
/// # Panics
/// If [`TopGroupsSpec::fits`] says no.
pub fn top_groups<'s>(input: UpdateStream<'s>, name: &str, spec: TopGroupsSpec, memory: &Memory) -> UpdateStream<'s> {
    let logic = TopGroupsLogic::new(&spec, memory);
    drive(input, name, logic.held.plan.partition.clone(), logic)
}

/// All partitions of one worker.
pub(crate) struct TopGroupsLogic {
    top: TopKSpec,
    partition_keys: KeyTable,
    held: Held,
    spill: Spill,
}

/// Rows of one container that belong to one partition and lie together.
#[derive(Clone, Copy)]
struct Stretch {
    partition: u32,
    container: u32,
    from: u32,
    to: u32,
}

/// One container, made ready.
struct Prepared {
    groups: Vec<u32>,
    diffs: Run<i64>,
    feeds: Vec<Feed>,
}

/// Rows of the output before they are columns.
#[derive(Default)]
struct Emitted {
    partitions: Vec<u32>,
    rest: Vec<u32>,
    /// All aggregates of a row, then those of the next.
    values: Vec<i128>,
    ranks: Vec<u64>,
    diffs: Vec<i64>,
}

impl TopGroupsLogic {
    pub(crate) fn new(spec: &TopGroupsSpec, memory: &Memory) -> Self {
        let plan = Plan::of(spec).expect("the planner asks whether a spec fits before it builds");
        let types: Vec<DataType> =
            plan.partition.iter().map(|column| spec.aggregate.input_types[*column].clone()).collect();
        TopGroupsLogic {
            spill: Spill::new(memory, types.len()),
            partition_keys: KeyTable::new(&types),
            held: Held::new(plan, spec.top.offset + spec.top.limit),
            top: spec.top.clone(),
        }
    }

    #[cfg(test)]
    pub(crate) fn with_hash_bits(mut self, bits: u32) -> Self {
        self.partition_keys = self.partition_keys.with_hash_bits(bits);
        self.held.rest = self.held.rest.with_hash_bits(bits);
        self
    }

    /// Interns both keys of all rows; stretches of rows in the order of their partitions.
    fn prepare(&mut self, input: &[Updates]) -> (Vec<Prepared>, Vec<Stretch>) {
        let (mut prepared, mut stretches) = (Vec::with_capacity(input.len()), Vec::new());
        let mut partitions = Vec::new();
        for (container, updates) in input.iter().enumerate() {
            let columns = |indices: &[usize]| -> Vec<ArrayRef> {
                indices.iter().map(|index| updates.column(*index).clone()).collect()
            };
            partitions.clear();
            let hashes = updates.carried_key_hashes().map(|hashes| &hashes[..]);
            self.partition_keys.intern(&columns(&self.held.plan.partition), updates.len(), hashes, &mut partitions);
            let mut from = 0;
            for same in partitions.chunk_by(|one, other| one == other) {
                let to = from + same.len() as u32;
                stretches.push(Stretch { partition: same[0], container: container as u32, from, to });
                from = to;
            }
            let mut groups = Vec::with_capacity(updates.len());
            self.held.rest.intern(&columns(&self.held.plan.rest), updates.len(), None, &mut groups);
            prepared.push(Prepared { groups, diffs: updates.diffs().clone(), feeds: self.held.plan.feeds(updates) });
        }
        self.held.resize(self.partition_keys.bound());
        self.spill.recall(&mut self.partition_keys, &mut self.held);
        stretches.sort_by_key(|stretch| stretch.partition);
        (prepared, stretches)
    }

    /// Counts the rows of one partition; whether any was retracted.
    fn count(&mut self, prepared: &[Prepared], stretches: &[Stretch]) -> bool {
        let counts = &mut self.held.partitions[stretches[0].partition as usize].counts;
        let mut has_retractions = false;
        for stretch in stretches {
            let Prepared { groups, diffs, feeds } = &prepared[stretch.container as usize];
            let (from, to) = (stretch.from as usize, stretch.to as usize);
            for (row, group) in groups[from..to].iter().enumerate() {
                let (row, group) = (from + row, *group);
                let diff = diffs.at(row);
                let (slot, is_new) = counts.find_or_insert(group);
                self.held.holders[group as usize] += u32::from(is_new);
                self.held.groups += usize::from(is_new);
                has_retractions |= diff <= 0;
                counts.add_rows(slot, diff);
                for feed in feeds {
                    feed.add(counts, slot, row, diff);
                }
            }
        }
        has_retractions
    }

    /// Chooses anew what a partition shows and notes the difference.
    fn choose(&mut self, prepared: &[Prepared], stretches: &[Stretch], out: &mut Emitted) {
        let id = stretches[0].partition;
        let changed = stretches.iter().flat_map(|stretch| {
            prepared[stretch.container as usize].groups[stretch.from as usize..stretch.to as usize].iter().copied()
        });
        let touched = stretches.iter().map(|stretch| (stretch.to - stretch.from) as usize).sum();
        let old = self.held.partitions[id as usize].shown.unpack(self.held.plan.output_types().count());
        let new = self.held.choice(id).choose(&old, changed, touched);
        if old != new {
            self.compare(id, &old, &new, out);
            self.held.partitions[id as usize].shown = Shown::pack(&new);
        }
    }

    /// Emits the difference between what a partition showed and shows.
    fn compare(&self, partition: u32, old: &[Chosen], new: &[Chosen], out: &mut Emitted) {
        let old = old.get(self.top.offset..).unwrap_or_default();
        let new = new.get(self.top.offset..).unwrap_or_default();
        let rank = |index: usize| (self.top.offset + index + 1) as u64;
        match self.top.ranking {
            Ranking::RowNumber => {
                for index in 0..old.len().max(new.len()) {
                    let (gone, came) = (old.get(index), new.get(index));
                    if gone != came {
                        gone.into_iter().for_each(|one| out.push(partition, one, rank(index), -1));
                        came.into_iter().for_each(|one| out.push(partition, one, rank(index), 1));
                    }
                }
            }
            Ranking::None => {
                let by_group = |list: &[Chosen]| {
                    let mut list = list.to_vec();
                    list.sort_unstable_by_key(|one| one.group);
                    list
                };
                let (old_sorted, new_sorted) = (by_group(old), by_group(new));
                let is_in = |list: &[Chosen], one: &Chosen| {
                    list.binary_search_by_key(&one.group, |other| other.group).is_ok_and(|place| list[place] == *one)
                };
                let gone = old.iter().filter(|one| !is_in(&new_sorted, one));
                gone.for_each(|one| out.push(partition, one, 0, -1));
                let came = new.iter().filter(|one| !is_in(&old_sorted, one));
                came.for_each(|one| out.push(partition, one, 0, 1));
            }
        }
    }

    /// Removes the groups among the rows of one partition that have no rows any more.
    fn sweep(&mut self, prepared: &[Prepared], stretches: &[Stretch], lost: &mut Vec<u32>) {
        let counts = &mut self.held.partitions[stretches[0].partition as usize].counts;
        for stretch in stretches {
            for group in &prepared[stretch.container as usize].groups[stretch.from as usize..stretch.to as usize] {
                if let Some(slot) = counts.find(*group)
                    && counts.rows(slot) == 0
                {
                    counts.remove(slot);
                    self.held.holders[*group as usize] -= 1;
                    self.held.groups -= 1;
                    lost.push(*group);
                }
            }
        }
    }

    fn columns(&self, emitted: Emitted) -> Updates {
        let len = emitted.diffs.len();
        if len == 0 {
            return Updates::default();
        }
        let keys = self.held.plan.partition_out.len() + self.held.plan.rest_out.len();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; keys];
        if !self.held.plan.partition_out.is_empty() {
            let decoded = self.partition_keys.columns_of_repeated(&emitted.partitions);
            self.held.plan.partition_out.iter().zip(decoded).for_each(|(out, column)| columns[*out] = Some(column));
        }
        let decoded = self.held.rest.columns_of_repeated(&emitted.rest);
        self.held.plan.rest_out.iter().zip(decoded).for_each(|(out, column)| columns[*out] = Some(column));
        let mut columns: Vec<ArrayRef> = columns.into_iter().flatten().collect();
        let width = self.held.plan.output_types().count();
        for (index, output) in self.held.plan.output_types().enumerate() {
            let values = (0..len).map(|row| Some(emitted.values[row * width + index]).filter(|value| *value != NULL));
            columns.push(integers(values, output));
        }
        if self.top.ranking == Ranking::RowNumber {
            columns.push(Arc::new(UInt64Array::from(emitted.ranks)));
        }
        Updates::new(len, columns, Run::One(0), Run::Each(emitted.diffs.into()))
    }
}

impl Emitted {
    fn push(&mut self, partition: u32, one: &Chosen, rank: u64, diff: i64) {
        self.partitions.push(partition);
        self.rest.push(one.group);
        self.values.extend_from_slice(&one.values);
        self.ranks.push(rank);
        self.diffs.push(diff);
    }
}

impl Logic for TopGroupsLogic {
    fn apply(&mut self, input: Vec<Updates>) -> Vec<Updates> {
        let (prepared, stretches) = self.prepare(&input);
        drop(input);
        let (mut emitted, mut lost, mut left) = (Emitted::default(), Vec::new(), Vec::new());
        for stretches in stretches.chunk_by(|one, other| one.partition == other.partition) {
            let has_retractions = self.count(&prepared, stretches);
            self.choose(&prepared, stretches, &mut emitted);
            if has_retractions {
                self.sweep(&prepared, stretches, &mut lost);
                let partition = stretches[0].partition;
                if self.held.partitions[partition as usize].counts.len() == 0 {
                    left.push(partition);
                }
            }
        }
        let output = self.columns(emitted);
        // Numbers are given back only when nothing of this epoch names them any more.
        for group in lost {
            if self.held.holders[group as usize] == 0 {
                self.held.rest.remove(group);
            }
        }
        left.into_iter().for_each(|partition| self.spill.release(&mut self.partition_keys, partition));
        let touched = stretches.iter().map(|stretch| stretch.partition);
        self.spill.settle(&mut self.partition_keys, &mut self.held, touched);
        vec![output]
    }

    fn rest(&mut self) {
        self.spill.settle(&mut self.partition_keys, &mut self.held, std::iter::empty());
    }
}

#[cfg(test)]
mod tests;

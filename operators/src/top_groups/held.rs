//! What is kept of all partitions: their groups' accumulators, what they show, and the groups' keys, which they share.
//!
//! Saved, a partition is its groups, each with the hash and the bytes of its key, the count of its rows and its other
//! accumulators. What it shows follows from that.

use catchment_state::records::Strings;

use super::choice::{Choice, Shown};
use super::counts::Counts;
use super::plan::Plan;
use crate::bytes::{put_bytes, put_int, put_len, take_array, take_bytes, take_int, take_len};
use crate::key_table::KeyTable;
use crate::spill::Beside;

/// See the module's documentation.
pub(super) struct Held {
    pub plan: Plan,
    /// Groups kept of each partition.
    pub kept: usize,
    pub partitions: Vec<Partition>,
    /// The keys of groups beside those of their partition.
    pub rest: KeyTable,
    /// Partitions that hold each of them.
    pub holders: Vec<u32>,
    /// Groups of all partitions.
    pub groups: usize,
}

pub(super) struct Partition {
    pub counts: Counts,
    pub shown: Shown,
}

impl Partition {
    fn vacant(plan: &Plan) -> Self {
        Partition { counts: Counts::new(plan.lanes), shown: Shown::default() }
    }
}

impl Held {
    pub fn new(plan: Plan, kept: usize) -> Self {
        let rest = KeyTable::with_fields(plan.rest_fields.clone()).with_comparison();
        Held { plan, kept, partitions: Vec::new(), rest, holders: Vec::new(), groups: 0 }
    }

    /// Makes room for `partitions` partitions and for all keys of groups.
    pub fn resize(&mut self, partitions: usize) {
        self.partitions.resize_with(partitions, || Partition::vacant(&self.plan));
        self.holders.resize(self.rest.bound(), 0);
    }

    /// The choice of a partition.
    pub fn choice(&self, partition: u32) -> Choice<'_> {
        let counts = &self.partitions[partition as usize].counts;
        Choice { plan: &self.plan, keys: &self.rest, counts, kept: self.kept }
    }
}

impl Beside for Held {
    fn save(&self, ids: &[u32]) -> Strings {
        let mut states = Strings::default();
        for counts in ids.iter().map(|id| &self.partitions[*id as usize].counts) {
            states.push_with(|out| {
                if counts.len() == 0 {
                    return;
                }
                put_len(out, counts.len());
                for (slot, group) in counts.all() {
                    out.extend_from_slice(&self.rest.hash(group).to_le_bytes());
                    put_bytes(out, self.rest.bytes(group));
                    put_int(out, counts.rows(slot));
                    (0..self.plan.lanes).for_each(|lane| put_int(out, counts.lane(lane, slot)));
                }
            });
        }
        states
    }

    fn load(&mut self, ids: &[u32], states: &Strings) {
        for (id, mut state) in ids.iter().zip(states.iter()) {
            for _ in 0..take_len(&mut state) {
                let hash = u64::from_le_bytes(take_array(&mut state));
                let group = self.rest.intern_bytes(take_bytes(&mut state), hash);
                self.holders.resize(self.rest.bound(), 0);
                self.holders[group as usize] += 1;
                let counts = &mut self.partitions[*id as usize].counts;
                let (slot, _) = counts.find_or_insert(group);
                counts.set_rows(slot, take_int(&mut state));
                (0..self.plan.lanes).for_each(|lane| counts.add(lane, slot, take_int(&mut state)));
                self.groups += 1;
            }
            let shown = Shown::pack(&self.choice(*id).scan());
            self.partitions[*id as usize].shown = shown;
        }
    }

    fn forget(&mut self, ids: &[u32]) {
        for id in ids {
            let partition = std::mem::replace(&mut self.partitions[*id as usize], Partition::vacant(&self.plan));
            self.groups -= partition.counts.len();
            for (_, group) in partition.counts.all() {
                self.holders[group as usize] -= 1;
                if self.holders[group as usize] == 0 {
                    self.rest.remove(group);
                }
            }
        }
    }

    fn memory(&self, keys: usize) -> usize {
        // A table is between three eighths and three quarters full.
        const GROUP_BYTES: usize = 16;
        const PARTITION_BYTES: usize = 150;
        let rest = self.rest.memory() + self.rest.len() * size_of::<u32>();
        keys * PARTITION_BYTES
            + 8 * self.groups.min(keys * self.kept)
            + self.groups * GROUP_BYTES * (1 + self.plan.lanes)
            + rest
    }
}

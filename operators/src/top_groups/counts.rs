//! The groups of one partition: a small open-addressing table from a group's number to its accumulators.
//!
//! Linear probing over four-byte keys; accumulators lie beside in [`Lane`]s, so that a lone count makes eight bytes an
//! entry at a load of 3/8 to 3/4. Removal shifts back, there are no tombstones.

use crate::lanes::Lane;

/// A slot without a group; no group has this number.
const EMPTY: u32 = u32::MAX;

/// Slots of the smallest table.
const SLOTS_MIN: usize = 4;

/// See the module's documentation.
pub(super) struct Counts {
    keys: Vec<u32>,
    len: usize,
    /// The sum of the diffs of each group's rows.
    rows: Lane,
    /// Further accumulators.
    lanes: Box<[Lane]>,
}

impl Counts {
    /// An empty table with `lanes` accumulators a group beside the count of its rows.
    pub(super) fn new(lanes: usize) -> Self {
        Counts { keys: Vec::new(), len: 0, rows: Lane::default(), lanes: vec![Lane::default(); lanes].into() }
    }

    /// The number of groups, those included whose rows sum to 0 and that were not removed yet.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn home(&self, key: u32) -> usize {
        // Fibonacci hashing (D. Knuth, TAOCP 6.4): numbers are dense, their products' high bits are spread.
        let bits = self.keys.len().trailing_zeros();
        (u64::from(key.wrapping_mul(0x9E37_79B1)) << bits >> 32) as usize
    }

    /// The slot of group `key`.
    #[inline]
    pub(super) fn find(&self, key: u32) -> Option<usize> {
        if self.keys.is_empty() {
            return None;
        }
        let mask = self.keys.len() - 1;
        let mut slot = self.home(key);
        loop {
            match self.keys[slot] {
                found if found == key => return Some(slot),
                EMPTY => return None,
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// The slot of group `key`, and whether it was not there before.
    #[inline]
    pub(super) fn find_or_insert(&mut self, key: u32) -> (usize, bool) {
        if (self.len + 1) * 4 > self.keys.len() * 3 {
            self.resize((self.keys.len() * 2).max(SLOTS_MIN));
        }
        let mask = self.keys.len() - 1;
        let mut slot = self.home(key);
        loop {
            match self.keys[slot] {
                found if found == key => return (slot, false),
                EMPTY => {
                    self.keys[slot] = key;
                    self.len += 1;
                    return (slot, true);
                }
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn resize(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.keys, vec![EMPTY; slots]);
        let mut moves = Vec::with_capacity(self.len);
        for (from, key) in old.into_iter().enumerate().filter(|(_, key)| *key != EMPTY) {
            let mut slot = self.home(key);
            while self.keys[slot] != EMPTY {
                slot = (slot + 1) & (slots - 1);
            }
            self.keys[slot] = key;
            moves.push((from as u32, slot as u32));
        }
        self.rows = self.rows.moved(&moves, slots);
        self.lanes.iter_mut().for_each(|lane| *lane = lane.moved(&moves, slots));
    }

    /// Removes the group in `slot`. Other groups may move.
    pub(super) fn remove(&mut self, slot: usize) {
        let mask = self.keys.len() - 1;
        let (mut hole, mut next) = (slot, slot);
        loop {
            next = (next + 1) & mask;
            let key = self.keys[next];
            if key == EMPTY {
                break;
            }
            // A group may fill the hole if that does not lie before its home.
            let home = self.home(key);
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.keys[hole] = key;
                self.rows.copy(next, hole);
                self.lanes.iter_mut().for_each(|lane| lane.copy(next, hole));
                hole = next;
            }
        }
        self.keys[hole] = EMPTY;
        self.rows.set(hole, 0);
        self.lanes.iter_mut().for_each(|lane| lane.set(hole, 0));
        self.len -= 1;
        if self.len == 0 {
            *self = Counts::new(self.lanes.len());
        } else if self.keys.len() > 64 && self.len * 8 < self.keys.len() {
            self.resize(self.keys.len() / 4);
        }
    }

    /// The count of rows of the group in `slot`.
    #[inline]
    pub(super) fn rows(&self, slot: usize) -> i128 {
        self.rows.at(slot)
    }

    /// Accumulator `lane` of the group in `slot`.
    #[inline]
    pub(super) fn lane(&self, lane: usize, slot: usize) -> i128 {
        self.lanes[lane].at(slot)
    }

    /// Adds rows to the group in `slot`.
    #[inline]
    pub(super) fn add_rows(&mut self, slot: usize, diff: i64) {
        self.rows.add_diff(slot, diff);
    }

    /// Sets the count of rows of the group in `slot`.
    pub(super) fn set_rows(&mut self, slot: usize, rows: i128) {
        self.rows.set(slot, rows);
    }

    /// Adds to accumulator `lane` of the group in `slot`.
    #[inline]
    pub(super) fn add(&mut self, lane: usize, slot: usize, delta: i128) {
        self.lanes[lane].add(slot, delta);
    }

    /// All slots that hold a group with rows, with the group's number.
    pub(super) fn present(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.all().filter(|(slot, _)| self.rows.at(*slot) > 0)
    }

    /// All slots that hold a group, with the group's number.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.keys.iter().copied().enumerate().filter(|(_, key)| *key != EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn the_table_agrees_with_a_map_under_inserts_and_removals() {
        for seed in 0..50 {
            println!("seed {seed}");
            let mut random = SmallRng::seed_from_u64(seed);
            let (mut table, mut map) = (Counts::new(1), HashMap::<u32, i64>::new());
            for step in 0..2000 {
                let key = random.random_range(0..200) * if seed % 2 == 0 { 1 } else { 1 << 20 };
                if step % 500 > 350 {
                    if let Some(slot) = table.find(key) {
                        table.remove(slot);
                    }
                    map.remove(&key);
                } else {
                    let diff = random.random_range(1..5);
                    let (slot, is_new) = table.find_or_insert(key);
                    assert_eq!(is_new, !map.contains_key(&key));
                    table.add_rows(slot, diff);
                    table.add(0, slot, i128::from(-diff));
                    *map.entry(key).or_default() += diff;
                }
                assert_eq!(table.len(), map.len());
            }
            let mut found: Vec<(u32, i128)> = table.present().map(|(slot, key)| (key, table.rows(slot))).collect();
            assert!(table.present().all(|(slot, _)| table.lane(0, slot) == -table.rows(slot)));
            let mut expected: Vec<(u32, i128)> = map.into_iter().map(|(key, rows)| (key, rows.into())).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
    }
}

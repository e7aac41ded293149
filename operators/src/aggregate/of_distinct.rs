//! `f(DISTINCT x)`: an accumulator that sees each value of a group once.
//!
//! Values get numbers; the state is the multiplicity of every (group, value) pair, in one hash table of 64-bit pairs. A
//! pair that appears or vanishes is passed on to the accumulator behind with +1 or −1.

use std::collections::HashMap;

use catchment_contract::Run;
use catchment_contract::arrow::array::{Array, ArrayRef, UInt32Array};
use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::updates::take_rows;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::accumulator::{Accumulator, Batch};
use crate::bytes::{put_bytes, put_int, put_len, take_array, take_bytes, take_int, take_len};
use crate::key_table::KeyTable;

/// See the module's documentation.
pub(crate) struct OfDistinct {
    values: KeyTable,
    /// Pairs that hold each value.
    holders: Vec<u32>,
    pairs: HashTable<(u64, i64)>,
    inner: Box<dyn Accumulator>,
}

impl OfDistinct {
    /// `inner` over distinct values of the type `input`.
    pub(crate) fn new(input: &DataType, inner: Box<dyn Accumulator>) -> Self {
        let values = KeyTable::new(std::slice::from_ref(input));
        OfDistinct { values, holders: Vec::new(), pairs: HashTable::new(), inner }
    }

    /// Adds `diff` to a pair; what that does to its presence: +1, −1 or nothing.
    fn add_pair(&mut self, group: u32, value: u32, diff: i64) -> i64 {
        let pair = u64::from(group) << 32 | u64::from(value);
        match self.pairs.entry(mix(pair), |(other, _)| *other == pair, |(other, _)| mix(*other)) {
            Entry::Vacant(vacant) => {
                vacant.insert((pair, diff));
                self.holders[value as usize] += 1;
                i64::from(diff > 0)
            }
            Entry::Occupied(mut found) => {
                let count = &mut found.get_mut().1;
                let before = *count;
                *count += diff;
                let after = *count;
                if after == 0 {
                    found.remove();
                    self.holders[value as usize] -= 1;
                }
                i64::from(after > 0) - i64::from(before > 0)
            }
        }
    }
}

/// A bijection that spreads pairs over all bits (the finalizer of SplitMix64, S. Vigna).
fn mix(pair: u64) -> u64 {
    let pair = (pair ^ pair >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let pair = (pair ^ pair >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    pair ^ pair >> 31
}

impl Accumulator for OfDistinct {
    fn resize(&mut self, groups: usize) {
        self.inner.resize(groups);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(column) = batch.values else { return };
        let mut ids = Vec::new();
        self.values.intern(std::slice::from_ref(column), column.len(), None, &mut ids);
        self.holders.resize(self.values.bound(), 0);
        let (mut rows, mut groups, mut diffs, mut lost) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        batch.each_valid(|row, group, diff| {
            if diff == 0 {
                return;
            }
            let change = self.add_pair(group as u32, ids[row], diff);
            if change != 0 {
                rows.push(row as u32);
                groups.push(group as u32);
                diffs.push(change);
            }
        });
        lost.extend(ids.iter().copied().filter(|id| self.holders[*id as usize] == 0));
        if !rows.is_empty() {
            let column: ArrayRef = take_rows(column, &UInt32Array::from(rows));
            let diffs = Run::Each(diffs.into());
            self.inner.add(&Batch { groups: &groups, values: Some(&column), diffs: &diffs });
        }
        // Numbers are given back only now: the batch may have named one again after its last holder had left.
        lost.sort_unstable();
        lost.dedup();
        lost.into_iter().for_each(|id| self.values.remove(id));
    }

    fn clear(&mut self, group: u32) {
        self.inner.clear(group);
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        self.inner.evaluate(groups)
    }

    /// What the accumulator behind has, then each value with its hash and count.
    fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]) {
        self.inner.save(groups, parts);
        let mut pairs: Vec<Vec<(u32, i64)>> = vec![Vec::new(); groups.len()];
        let places = places(groups);
        for (pair, count) in &self.pairs {
            if let Some(place) = places.get(&group_of(*pair)) {
                pairs[*place].push((*pair as u32, *count));
            }
        }
        for (pairs, part) in pairs.into_iter().zip(parts) {
            put_len(part, pairs.len());
            for (value, count) in pairs {
                part.extend_from_slice(&self.values.hash(value).to_le_bytes());
                put_bytes(part, self.values.bytes(value));
                put_int(part, count.into());
            }
        }
    }

    fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]) {
        self.inner.load(groups, parts);
        for (group, part) in groups.iter().zip(parts) {
            for _ in 0..take_len(part) {
                let hash = u64::from_le_bytes(take_array(part));
                let value = self.values.intern_bytes(take_bytes(part), hash);
                self.holders.resize(self.values.bound(), 0);
                self.add_pair(*group, value, take_int(part) as i64);
            }
        }
    }

    fn forget(&mut self, groups: &[u32]) {
        let places = places(groups);
        let mut lost = Vec::new();
        self.pairs.retain(|(pair, _)| {
            let stays = !places.contains_key(&group_of(*pair));
            if !stays {
                let holders = &mut self.holders[*pair as u32 as usize];
                *holders -= 1;
                if *holders == 0 {
                    lost.push(*pair as u32);
                }
            }
            stays
        });
        lost.into_iter().for_each(|value| self.values.remove(value));
        self.inner.forget(groups);
    }

    fn memory(&self, groups: usize) -> usize {
        const PAIR_BYTES: usize = 20;
        let values = self.values.memory() + self.values.len() * size_of::<u32>();
        self.pairs.len() * PAIR_BYTES + values + self.inner.memory(groups)
    }
}

/// The group of a pair.
fn group_of(pair: u64) -> u32 {
    (pair >> 32) as u32
}

/// Where each of `groups` stands among them.
fn places(groups: &[u32]) -> HashMap<u32, usize> {
    groups.iter().copied().zip(0..).collect()
}

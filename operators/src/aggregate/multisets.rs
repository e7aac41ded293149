//! A multiset for each group, and how many values all of them keep.

use std::borrow::Borrow;

use super::accumulator::{Batch, load_each, save_each};
use crate::bytes::{put_bytes, put_int, put_len, take_bytes, take_int, take_len};
use crate::multiset::{Multiset, ToValue};

/// Bytes of a value that is kept, and its count, beside what it points to.
const BESIDE_VALUE: usize = 24;
/// What a value that is kept as bytes takes beyond.
const USUAL_BYTES: usize = 32;

/// See the module's documentation.
pub(super) struct Multisets<V> {
    groups: Vec<Multiset<V>>,
    values: usize,
}

/// A value as bytes and back.
pub(super) trait Saved: Sized {
    const BYTES: usize;
    fn save(&self, out: &mut Vec<u8>);
    fn load(bytes: &mut &[u8]) -> Self;
}

impl Saved for i64 {
    const BYTES: usize = BESIDE_VALUE;

    fn save(&self, out: &mut Vec<u8>) {
        put_int(out, (*self).into());
    }

    fn load(bytes: &mut &[u8]) -> Self {
        take_int(bytes) as i64
    }
}

impl Saved for Box<[u8]> {
    const BYTES: usize = BESIDE_VALUE + USUAL_BYTES;

    fn save(&self, out: &mut Vec<u8>) {
        put_bytes(out, self);
    }

    fn load(bytes: &mut &[u8]) -> Self {
        take_bytes(bytes).into()
    }
}

impl<V> Default for Multisets<V> {
    fn default() -> Self {
        Multisets { groups: Vec::new(), values: 0 }
    }
}

impl<V> Multisets<V> {
    pub fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, Multiset::default);
    }

    /// The multiset of a group.
    pub fn of(&self, group: u32) -> &Multiset<V> {
        &self.groups[group as usize]
    }

    /// Adds the value that `value` gives for each row of `batch` whose value is not null.
    pub fn add<'a, Q>(&mut self, batch: &Batch<'_>, value: impl Fn(usize) -> &'a Q)
    where
        V: Borrow<Q>,
        Q: Ord + ToValue<V> + ?Sized + 'a,
    {
        batch.each_valid(|row, group, diff| {
            let more = self.groups[group].add(value(row), diff);
            self.values = self.values.saturating_add_signed(more);
        });
    }

    pub fn clear(&mut self, group: u32) {
        self.values -= std::mem::take(&mut self.groups[group as usize]).kept().count();
    }
}

impl<V: Saved> Multisets<V> {
    pub fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]) {
        save_each(groups, parts, |group, part| {
            let values = &self.groups[group];
            put_len(part, values.kept().count());
            for (value, count) in values.kept() {
                value.save(part);
                put_int(part, count.into());
            }
        });
    }

    pub fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]) {
        load_each(groups, parts, |group, part| {
            let len = take_len(part);
            let values = (0..len).map(|_| (V::load(part), take_int(part) as i64));
            self.groups[group] = Multiset::of_sorted(values);
            self.values += len;
        });
    }

    pub fn memory(&self, groups: usize) -> usize {
        groups * size_of::<Multiset<V>>() + self.values * V::BYTES
    }
}

//! A multiset for each key of a table.

use std::borrow::Borrow;
use std::rc::Rc;

use catchment_state::records::Strings;

use super::{Multiset, ToValue};
use crate::bytes::{put_bytes, put_int, put_len, take_bytes, take_int, take_len};
use crate::spill::Beside;

/// Multisets, by number, and the bytes that all their values take, roughly.
pub(crate) struct Multisets<V> {
    sets: Vec<Multiset<V>>,
    bytes: usize,
}

/// What a value takes beside its own bytes: where it is, its count, and its allocation.
const BESIDE_VALUE: usize = 32;

/// Bytes that the values of a multiset take, roughly.
fn size<V: Saved>(values: &Multiset<V>) -> usize {
    values.kept().map(|(value, _)| BESIDE_VALUE + value.bytes()).sum()
}

/// A value as bytes and back.
pub(crate) trait Saved: Sized {
    /// Its own bytes in memory.
    fn bytes(&self) -> usize;
    /// Appends it.
    fn save(&self, out: &mut Vec<u8>);
    /// Reads one and goes past it.
    fn load(bytes: &mut &[u8]) -> Self;
}

impl Saved for i64 {
    fn bytes(&self) -> usize {
        size_of::<i64>()
    }

    fn save(&self, out: &mut Vec<u8>) {
        put_int(out, (*self).into());
    }

    fn load(bytes: &mut &[u8]) -> Self {
        take_int(bytes) as i64
    }
}

macro_rules! saved_as_bytes {
    ($bytes:ty) => {
        impl Saved for $bytes {
            fn bytes(&self) -> usize {
                self.len()
            }

            fn save(&self, out: &mut Vec<u8>) {
                put_bytes(out, self);
            }

            fn load(bytes: &mut &[u8]) -> Self {
                take_bytes(bytes).into()
            }
        }
    };
}

saved_as_bytes!(Box<[u8]>);
saved_as_bytes!(Rc<[u8]>);

impl<V> Default for Multisets<V> {
    fn default() -> Self {
        Multisets { sets: Vec::new(), bytes: 0 }
    }
}

impl<V> Multisets<V> {
    /// Makes room for multisets below `sets`.
    pub(crate) fn resize(&mut self, sets: usize) {
        self.sets.resize_with(sets, Multiset::default);
    }

    /// One of them.
    pub(crate) fn of(&self, set: u32) -> &Multiset<V> {
        &self.sets[set as usize]
    }

    /// Adds `value` to one of them `diff` times.
    #[inline]
    pub(crate) fn add<Q>(&mut self, set: usize, value: &Q, diff: i64)
    where
        V: Borrow<Q>,
        Q: Ord + ToValue<V> + ?Sized,
    {
        let more = self.sets[set].add(value, diff);
        self.bytes = self.bytes.saturating_add_signed(more * (BESIDE_VALUE + size_of_val(value)) as isize);
    }
}

impl<V: Saved> Multisets<V> {
    /// Empties one of them.
    pub(crate) fn clear(&mut self, set: u32) {
        self.bytes -= size(&std::mem::take(&mut self.sets[set as usize]));
    }

    /// Appends one of them.
    pub(crate) fn save_one(&self, set: usize, out: &mut Vec<u8>) {
        put_len(out, self.sets[set].kept().count());
        for (value, count) in self.sets[set].kept() {
            value.save(out);
            put_int(out, count.into());
        }
    }

    /// Reads one, which is empty, and goes past it.
    pub(crate) fn load_one(&mut self, set: usize, bytes: &mut &[u8]) {
        let len = take_len(bytes);
        let values = (0..len).map(|_| (V::load(bytes), take_int(bytes) as i64));
        self.sets[set] = Multiset::of_sorted(values);
        self.bytes += size(&self.sets[set]);
    }
}

impl<V: Saved> Beside for Multisets<V> {
    fn save(&self, ids: &[u32]) -> Strings {
        let mut states = Strings::default();
        for id in ids {
            states.push_with(|out| {
                if !self.of(*id).is_empty() {
                    self.save_one(*id as usize, out)
                }
            });
        }
        states
    }

    fn load(&mut self, ids: &[u32], states: &Strings) {
        ids.iter().zip(states.iter()).for_each(|(id, mut state)| self.load_one(*id as usize, &mut state));
    }

    fn forget(&mut self, ids: &[u32]) {
        ids.iter().for_each(|id| self.clear(*id));
    }

    fn memory(&self, keys: usize) -> usize {
        keys * size_of::<Multiset<V>>() + self.bytes
    }
}

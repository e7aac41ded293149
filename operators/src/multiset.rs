//! Ordered multisets: distinct values in order, each with its count. What `min`, `max`, medians and the first rows of a
//! partition are kept in.
//!
//! Counts may be negative until other changes of the same epoch arrive; a value is in the multiset while its count is above 0.

mod many;
mod medians;

use std::borrow::Borrow;

use crate::sorted_list::{SortedList, Weight};

pub(crate) use many::Multisets;
#[cfg(test)]
pub(crate) use medians::plain_median;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Multiset<V> {
    values: SortedList<Counted<V>>,
}

/// A value and its count, which is not 0.
#[derive(Clone, Debug)]
struct Counted<V> {
    value: V,
    count: i64,
}

impl<V> Weight for Counted<V> {
    #[inline]
    fn weight(&self) -> i64 {
        self.count
    }
}

impl<V> Default for Multiset<V> {
    fn default() -> Self {
        Multiset { values: SortedList::default() }
    }
}

impl<V> Multiset<V> {
    /// Adds `value` `diff` times; it is made into what is kept if it is new. How many values more are kept.
    pub(crate) fn add<Q>(&mut self, value: &Q, diff: i64) -> isize
    where
        V: Borrow<Q>,
        Q: Ord + ToValue<V> + ?Sized,
    {
        if diff == 0 {
            return 0;
        }
        match self.values.find(|known| known.value.borrow().cmp(value)) {
            Err(place) => {
                self.values.insert(place, Counted { value: value.to_value(), count: diff });
                1
            }
            Ok(place) => {
                let count = self.values.change(place, |known| {
                    known.count += diff;
                    known.count
                });
                if count == 0 {
                    self.values.remove(place);
                }
                -isize::from(count == 0)
            }
        }
    }

    /// All values that are kept, in order, with their counts, those below 1 included.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&V, i64)> {
        self.values.iter().map(|known| (&known.value, known.count))
    }

    /// The multiset of distinct values in order, with their counts.
    pub(crate) fn of_sorted(values: impl Iterator<Item = (V, i64)>) -> Self {
        let mut made = Multiset::default();
        values.for_each(|(value, count)| made.values.push(Counted { value, count }));
        made
    }

    /// Whether nothing is kept, also no value of a negative count.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values that are in it, in order, with their counts.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&V, i64)> {
        self.values.iter().filter(|known| known.count > 0).map(|known| (&known.value, known.count))
    }

    /// The least value.
    pub(crate) fn first(&self) -> Option<&V> {
        let end = self.values.first()?;
        if end.count > 0 { Some(&end.value) } else { self.iter().next().map(|(value, _)| value) }
    }

    /// The greatest value.
    pub(crate) fn last(&self) -> Option<&V> {
        let end = self.values.last()?;
        if end.count > 0 { Some(&end.value) } else { self.iter().next_back().map(|(value, _)| value) }
    }
}

/// What is looked up, as what is kept.
pub(crate) trait ToValue<V> {
    fn to_value(&self) -> V;
}

impl ToValue<i64> for i64 {
    #[inline]
    fn to_value(&self) -> i64 {
        *self
    }
}

impl ToValue<i128> for i128 {
    #[inline]
    fn to_value(&self) -> i128 {
        *self
    }
}

impl<V: for<'a> From<&'a [u8]>> ToValue<V> for [u8] {
    fn to_value(&self) -> V {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_multiset_keeps_its_ends() {
        let mut values = Multiset::<i64>::default();
        let added: isize = (0..1000).map(|value| values.add(&value, 1)).sum();
        assert_eq!((added, values.add(&7, 1), values.add(&7, -1)), (1000, 0, 0));
        assert_eq!(values.add(&999, -1), -1);
        values.add(&0, -2);
        assert_eq!((values.first(), values.last()), (Some(&1), Some(&998)));
        values.add(&0, 2);
        assert_eq!(values.first(), Some(&0));
        assert_eq!(values.iter().count(), 999);
    }

    #[test]
    fn bytes_are_made_once() {
        let mut values = Multiset::<Box<[u8]>>::default();
        values.add(b"b".as_slice(), 1);
        values.add(b"a".as_slice(), 2);
        values.add(b"b".as_slice(), -1);
        assert_eq!(
            values.iter().map(|(value, count)| (value.to_vec(), count)).collect::<Vec<_>>(),
            [(b"a".to_vec(), 2)]
        );
        values.add(b"a".as_slice(), -2);
        assert!(values.is_empty());
    }
}

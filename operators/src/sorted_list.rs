//! Values in order, cut into short pieces: what everything that operators keep in order is built of.
//!
//! A change finds its piece by binary search over their last values and moves a few hundred values at most; a walk runs over
//! memory in order; a value by its place is found by passing over pieces, each of which knows the sum of its values'
//! weights. The first piece lies in the list itself, so that a small list is one allocation.
//!
//! **Cost**: a change is logarithmic in practice (the directory of pieces is moved when one comes or goes, 40 bytes for some
//! hundred values). **State**: the values, at least half of the room that is allotted, and 32 bytes a piece.

use std::cmp::Ordering;

use smallvec::SmallVec;

/// Values of one piece at most.
const PIECE_VALUES_MAX: usize = 256;

/// What a value counts for when one is looked for by its place.
pub(crate) trait Weight {
    /// May be negative for a while.
    fn weight(&self) -> i64;
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct SortedList<T> {
    /// None is empty.
    pieces: SmallVec<[Piece<T>; 1]>,
}

#[derive(Clone, Debug)]
struct Piece<T> {
    values: Vec<T>,
    weight: i64,
}

/// Where a value stands, or the end. A change of the list moves what lies behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    piece: usize,
    at: usize,
}

impl<T> Default for SortedList<T> {
    fn default() -> Self {
        SortedList { pieces: SmallVec::new() }
    }
}

impl<T: Weight> SortedList<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Where the value stands that `order` finds equal, or where it would have to be inserted. `order` says how a value
    /// compares with the one that is looked for.
    pub(crate) fn find(&self, order: impl Fn(&T) -> Ordering) -> Result<Cursor, Cursor> {
        let piece = match self.pieces.len() {
            0 | 1 => 0,
            // Behind all: the last piece takes it.
            len => self.pieces.partition_point(|piece| order(piece.last()).is_lt()).min(len - 1),
        };
        let found = self.pieces.get(piece).map_or(Err(0), |piece| piece.values.binary_search_by(order));
        match found {
            Ok(at) => Ok(Cursor { piece, at }),
            Err(at) => Err(Cursor { piece, at }),
        }
    }

    /// Inserts a value at the place that [`SortedList::find`] gave for it.
    pub(crate) fn insert(&mut self, cursor: Cursor, value: T) {
        let weight = value.weight();
        let Some(piece) = self.pieces.get_mut(cursor.piece) else {
            self.pieces.push(Piece { values: vec![value], weight });
            return;
        };
        piece.values.insert(cursor.at, value);
        piece.weight += weight;
        if piece.values.len() > PIECE_VALUES_MAX {
            // New values mostly come at the end: the half that is left behind stays as it is.
            let upper = piece.values.split_off(PIECE_VALUES_MAX / 2);
            let weight = upper.iter().map(Weight::weight).sum();
            piece.weight -= weight;
            self.pieces.insert(cursor.piece + 1, Piece { values: upper, weight });
        }
    }

    /// Adds a value behind all others.
    pub(crate) fn push(&mut self, value: T) {
        let piece = self.pieces.len().saturating_sub(1);
        let at = self.pieces.last().map_or(0, |piece| piece.values.len());
        self.insert(Cursor { piece, at }, value);
    }

    /// Removes the value at `cursor`, which is not the end.
    pub(crate) fn remove(&mut self, cursor: Cursor) {
        let piece = &mut self.pieces[cursor.piece];
        piece.weight -= piece.values.remove(cursor.at).weight();
        if piece.values.is_empty() {
            self.pieces.remove(cursor.piece);
        }
    }

    /// Changes the value at `cursor`, which is not the end, but not its order; what `change` answers.
    pub(crate) fn change<R>(&mut self, cursor: Cursor, change: impl FnOnce(&mut T) -> R) -> R {
        let piece = &mut self.pieces[cursor.piece];
        let value = &mut piece.values[cursor.at];
        piece.weight -= value.weight();
        let answer = change(value);
        piece.weight += value.weight();
        answer
    }

    /// The first value of which `is_before` is not true; it is true of all before some value and of none behind.
    pub(crate) fn seek(&self, is_before: impl Fn(&T) -> bool) -> Cursor {
        let piece = self.pieces.partition_point(|piece| is_before(piece.last()));
        // In bounds: the last value is not before.
        let at = self.pieces.get(piece).map_or(0, |piece| piece.values.partition_point(is_before));
        Cursor { piece, at }
    }

    /// The value at `cursor`; none at the end.
    #[inline]
    pub(crate) fn get(&self, cursor: Cursor) -> Option<&T> {
        self.pieces.get(cursor.piece).map(|piece| &piece.values[cursor.at])
    }

    /// The place behind `cursor`, which is not the end.
    #[inline]
    pub(crate) fn after(&self, cursor: Cursor) -> Cursor {
        match cursor.at + 1 < self.pieces[cursor.piece].values.len() {
            true => Cursor { at: cursor.at + 1, ..cursor },
            false => Cursor { piece: cursor.piece + 1, at: 0 },
        }
    }

    /// The place before `cursor`; none before the first.
    pub(crate) fn before(&self, cursor: Cursor) -> Option<Cursor> {
        if cursor.at > 0 {
            return Some(Cursor { at: cursor.at - 1, ..cursor });
        }
        let piece = cursor.piece.checked_sub(1)?;
        Some(Cursor { piece, at: self.pieces[piece].values.len() - 1 })
    }

    /// The value behind which the sum of weights passes `weight`, which is at least 0.
    pub(crate) fn at_weight(&self, weight: i64) -> Option<Located> {
        let mut before = 0;
        for (index, piece) in self.pieces.iter().enumerate() {
            if before + piece.weight <= weight {
                before += piece.weight;
                continue;
            }
            for (at, value) in piece.values.iter().enumerate() {
                if before + value.weight() > weight {
                    return Some(Located { cursor: Cursor { piece: index, at }, before });
                }
                before += value.weight();
            }
        }
        None
    }

    /// The first value.
    pub(crate) fn first(&self) -> Option<&T> {
        self.pieces.first()?.values.first()
    }

    /// The last value.
    pub(crate) fn last(&self) -> Option<&T> {
        self.pieces.last()?.values.last()
    }

    /// The sum of all weights.
    pub(crate) fn weight(&self) -> i64 {
        self.pieces.iter().map(|piece| piece.weight).sum()
    }

    /// All values in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.pieces.iter().flat_map(|piece| &piece.values)
    }
}

/// A value that was found by its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located {
    pub cursor: Cursor,
    /// The sum of the weights of the values before it.
    pub before: i64,
}

impl<T> Piece<T> {
    fn last(&self) -> &T {
        self.values.last().expect("no piece is empty")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    impl Weight for (i64, i64) {
        fn weight(&self) -> i64 {
            self.1
        }
    }

    #[test]
    fn random_changes_leave_what_an_ordered_map_holds() {
        for seed in 0..20 {
            println!("seed {seed}");
            let mut random = SmallRng::seed_from_u64(seed);
            let (mut list, mut model) = (SortedList::<(i64, i64)>::default(), BTreeMap::new());
            for _ in 0..4_000 {
                let (key, weight) = (random.random_range(0..900), random.random_range(1..4));
                match (list.find(|(other, _)| other.cmp(&key)), random.random_bool(0.5)) {
                    (Err(cursor), _) => {
                        list.insert(cursor, (key, weight));
                        assert_eq!(model.insert(key, weight), None);
                    }
                    (Ok(cursor), true) => {
                        list.remove(cursor);
                        assert!(model.remove(&key).is_some());
                    }
                    (Ok(cursor), false) => {
                        list.change(cursor, |(_, old)| *old += weight);
                        *model.get_mut(&key).unwrap() += weight;
                    }
                }
            }
            assert!(list.iter().copied().eq(model.iter().map(|(key, weight)| (*key, *weight))));
            for key in -1..902 {
                let expected = model.range(key..).next().map(|(key, weight)| (*key, *weight));
                assert_eq!(list.get(list.seek(|(other, _)| *other < key)).copied(), expected);
            }
            let places = model.iter().flat_map(|(key, weight)| vec![*key; *weight as usize]);
            for (place, key) in places.enumerate() {
                let located = list.at_weight(place as i64).unwrap();
                assert_eq!(list.get(located.cursor).unwrap().0, key);
                assert_eq!(located.before, model.range(..key).map(|(_, weight)| weight).sum::<i64>());
            }
            let mut cursor = Cursor::default();
            let mut walked = Vec::new();
            while let Some(value) = list.get(cursor) {
                walked.push(*value);
                assert_eq!(list.before(list.after(cursor)), Some(cursor));
                cursor = list.after(cursor);
            }
            assert!(walked.iter().eq(list.iter()) && list.before(Cursor::default()).is_none());
            model.keys().for_each(|key| list.remove(list.find(|(other, _)| other.cmp(key)).unwrap()));
            assert!(list.is_empty() && list.get(Cursor::default()).is_none() && list.at_weight(0).is_none());
        }
    }
}

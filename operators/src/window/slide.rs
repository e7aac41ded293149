//! A frame that slides over a partition: rows that enter are added to its tallies, rows that leave are taken out again.
//!
//! Sums are exact, so what was taken out leaves no trace and the result does not depend on the way that the frame took.

use catchment_contract::arrow::datatypes::i256;

use super::frame::{Frame, Place, Range};
use super::{Entries, Entry};
use crate::aggregate::ExactSum;
use crate::image::value;
use crate::multiset::Multiset;
use crate::sorted_list::Cursor;

/// What a frame keeps of a feed.
pub(super) struct Tallied {
    pub feed: usize,
    /// The empty sum of the kind that is kept.
    pub sum: Sum,
    /// No values, of the kind that is kept in order.
    pub sorted: Sorted,
}

/// What is known of the rows in a frame, for one feed.
#[derive(Debug)]
pub(super) struct Tally {
    /// Values that are not null, copies counted.
    pub count: i64,
    pub sum: Sum,
    /// The values in order, where asked for.
    pub sorted: Sorted,
}

/// A sum that forgets nothing.
#[derive(Clone, Debug)]
pub(super) enum Sum {
    /// Nobody asks for it.
    No,
    Integers(i128),
    Doubles(Box<ExactSum>),
    /// Of values of 128 bits.
    Wide(i256),
}

/// Values in order.
#[derive(Clone, Debug)]
pub(super) enum Sorted {
    /// Nobody asks for them.
    No,
    Narrow(Multiset<i64>),
    Wide(Multiset<i128>),
}

/// A feed's values by row number; none where the row does not count.
pub(super) enum Values {
    /// Images.
    Narrow(Vec<Option<i64>>),
    /// Values of more than 64 bits, as they are.
    Wide(Vec<Option<i128>>),
}

/// A frame on its way over a partition.
pub(super) struct Slide<'a> {
    frame: Frame,
    tallied: &'a [Tallied],
    tallies: Vec<Tally>,
    /// The first entry in the frame, and the first behind it.
    from: Cursor,
    to: Cursor,
}

/// What a slide reads: the partition's rows, each feed's values and the number of copies, by row number.
pub(super) struct Ground<'a> {
    pub entries: &'a Entries,
    pub values: &'a [Values],
    pub copies: &'a dyn Fn(u32) -> i64,
}

impl Sum {
    /// Nothing added up yet.
    pub(super) fn integers() -> Self {
        Sum::Integers(0)
    }

    pub(super) fn doubles() -> Self {
        Sum::Doubles(Box::default())
    }

    pub(super) fn wide() -> Self {
        Sum::Wide(i256::ZERO)
    }
}

impl Sorted {
    /// The least value.
    pub(super) fn first(&self) -> Option<i128> {
        match self {
            Sorted::No => None,
            Sorted::Narrow(values) => values.first().copied().map(i128::from),
            Sorted::Wide(values) => values.first().copied(),
        }
    }

    /// The greatest value.
    pub(super) fn last(&self) -> Option<i128> {
        match self {
            Sorted::No => None,
            Sorted::Narrow(values) => values.last().copied().map(i128::from),
            Sorted::Wide(values) => values.last().copied(),
        }
    }
}

impl Values {
    /// Grows or shrinks to `len` rows; new ones do not count.
    pub(super) fn resize(&mut self, len: usize) {
        match self {
            Values::Narrow(values) => values.resize(len, None),
            Values::Wide(values) => values.resize(len, None),
        }
    }
}

impl Tally {
    fn new(tallied: &Tallied) -> Self {
        Tally { count: 0, sum: tallied.sum.clone(), sorted: tallied.sorted.clone() }
    }

    fn add(&mut self, image: i64, diff: i64) {
        self.count += diff;
        match &mut self.sum {
            Sum::No | Sum::Wide(_) => {}
            Sum::Integers(sum) => *sum += i128::from(image) * i128::from(diff),
            Sum::Doubles(sum) => sum.add(value(image), diff),
        }
        if let Sorted::Narrow(values) = &mut self.sorted {
            values.add(&image, diff);
        }
    }

    fn add_wide(&mut self, value: i128, diff: i64) {
        self.count += diff;
        if let Sum::Wide(sum) = &mut self.sum {
            *sum = sum.wrapping_add(i256::from_i128(value).wrapping_mul(i256::from_i128(diff.into())));
        }
        if let Sorted::Wide(values) = &mut self.sorted {
            values.add(&value, diff);
        }
    }
}

impl<'a> Slide<'a> {
    /// A slide of `frame` that holds nothing yet.
    pub(super) fn new(frame: Frame, tallied: &'a [Tallied]) -> Self {
        let tallies = tallied.iter().map(Tally::new).collect();
        Slide { frame, tallied, tallies, from: Cursor::default(), to: Cursor::default() }
    }

    /// The n-th tally of the frame.
    pub(super) fn tally(&self, index: usize) -> &Tally {
        &self.tallies[index]
    }

    /// Moves on to the frame of a row at `place`, which is not before where the slide was.
    pub(super) fn move_to(&mut self, place: Place, ground: &Ground<'_>) {
        let range = Range::frame(&self.frame, place);
        let entries = ground.entries;
        if entries.get(self.to).copied().is_some_and(|next| next.place.limit() < range.first) {
            // All rows leave, and some are jumped over.
            self.tallies = self.tallied.iter().map(Tally::new).collect();
            self.from = entries.seek(|entry| entry.place.limit() < range.first);
            self.to = self.from;
        }
        while let Some(entry) = entries.get(self.to).copied().filter(|entry| entry.place.limit() <= range.last) {
            self.add(entry, 1, ground);
            self.to = entries.after(self.to);
        }
        while self.from != self.to
            && let Some(entry) = entries.get(self.from).copied().filter(|entry| entry.place.limit() < range.first)
        {
            self.add(entry, -1, ground);
            self.from = entries.after(self.from);
        }
    }

    fn add(&mut self, entry: Entry, sign: i64, ground: &Ground<'_>) {
        let diff = sign * (ground.copies)(entry.row);
        for (tally, tallied) in self.tallies.iter_mut().zip(self.tallied) {
            match &ground.values[tallied.feed] {
                Values::Narrow(images) => {
                    if let Some(image) = images[entry.row as usize] {
                        tally.add(image, diff);
                    }
                }
                Values::Wide(values) => {
                    if let Some(value) = values[entry.row as usize] {
                        tally.add_wide(value, diff);
                    }
                }
            }
        }
    }
}

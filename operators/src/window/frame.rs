//! Which rows a row's frame holds, and which rows' frames hold a row.
//!
//! A row's place in its partition is its order value as an integer that grows in the window's direction, between what
//! stands for nulls. A frame runs from one bound to another, both inclusive; a bound is open, or lies a fixed distance
//! from the row's own value. A null has no distance to anything but nulls, so its frame holds its peers, and what an open
//! bound adds. Values have 38 digits at most and distances 64 bits: in 128 bits neither wraps nor reaches a null.

/// One end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// `UNBOUNDED PRECEDING` or `UNBOUNDED FOLLOWING`: the partition's end.
    Unbounded,
    /// So many units after the row's own value in the window's direction, before it if negative; 0 is `CURRENT ROW` and
    /// includes its peers. The unit is that of the order column's integers: microseconds, days, ones, a decimal's last digit.
    Offset(i64),
}

/// A `RANGE` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Where it starts, inclusive.
    pub start: Bound,
    /// Where it ends, inclusive; not before it starts.
    pub end: Bound,
}

impl Frame {
    /// Whether some row may be in it.
    pub fn is_possible(&self) -> bool {
        match (self.start, self.end) {
            (Bound::Offset(start), Bound::Offset(end)) => start <= end,
            _ => true,
        }
    }
}

/// Nulls that come first.
const NULL_FIRST: i128 = i128::MIN;
/// Nulls that come last.
const NULL_LAST: i128 = i128::MAX;

/// Where a row stands in its partition: a limit in two halves, which need no more than 8 bytes' alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    high: i64,
    low: u64,
}

/// A place that a bound may ask for: beyond what values reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Limit(i128);

/// Everything that is not before `first` and not after `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub first: Limit,
    pub last: Limit,
}

impl Place {
    /// The place of an order value, if it is not null.
    pub(super) fn new(value: Option<i128>, descending: bool, nulls_first: bool) -> Self {
        let limit = match value {
            // The complement turns the order around without overflow.
            Some(value) if descending => !value,
            Some(value) => value,
            None if nulls_first => NULL_FIRST,
            None => NULL_LAST,
        };
        Place { high: (limit >> 64) as i64, low: limit as u64 }
    }

    /// The same place as a limit.
    pub(super) fn limit(self) -> Limit {
        Limit(i128::from(self.high) << 64 | i128::from(self.low))
    }

    fn moved(self, distance: i128) -> Limit {
        match self.limit() {
            null @ Limit(NULL_FIRST | NULL_LAST) => null,
            Limit(value) => Limit(value + distance),
        }
    }
}

impl Range {
    /// All places.
    pub(super) const ALL: Range = Range { first: Limit(NULL_FIRST), last: Limit(NULL_LAST) };

    /// `place` alone.
    pub(super) fn of(place: Place) -> Self {
        Range { first: place.limit(), last: place.limit() }
    }

    /// The frame of a row at `place`.
    pub(super) fn frame(frame: &Frame, place: Place) -> Self {
        Range {
            first: match frame.start {
                Bound::Unbounded => Range::ALL.first,
                Bound::Offset(offset) => place.moved(offset.into()),
            },
            last: match frame.end {
                Bound::Unbounded => Range::ALL.last,
                Bound::Offset(offset) => place.moved(offset.into()),
            },
        }
    }

    /// The places of all rows whose frame holds `place`.
    pub(super) fn holders(frame: &Frame, place: Place) -> Self {
        Range {
            first: match frame.end {
                Bound::Unbounded => Range::ALL.first,
                Bound::Offset(offset) => place.moved(-i128::from(offset)),
            },
            last: match frame.start {
                Bound::Unbounded => Range::ALL.last,
                Bound::Offset(offset) => place.moved(-i128::from(offset)),
            },
        }
    }

    /// Sorts `ranges` and joins those that overlap.
    pub(super) fn merge(ranges: &mut Vec<Range>) {
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let overlaps = next.first <= kept.last;
            if overlaps {
                kept.last = kept.last.max(next.last);
            }
            overlaps
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row's frame holds a place exactly if the place's holders hold the row, at the ends of the integers too.
    #[test]
    fn holders_are_the_inverse_of_frames() {
        let ends = [i64::MIN, i64::MIN + 1, -3, -1, 0, 2, i64::MAX - 1, i64::MAX];
        let decimals = [-10_i128.pow(38) + 1, 10_i128.pow(38) - 1];
        let values = ends.iter().map(|value| i128::from(*value)).chain(decimals);
        let mut places: Vec<Place> = values.map(|value| Place::new(Some(value), false, false)).collect();
        places.extend([Place::new(None, false, true), Place::new(None, false, false)]);
        let mut bounds: Vec<Bound> = ends.iter().map(|offset| Bound::Offset(*offset)).collect();
        bounds.push(Bound::Unbounded);
        let holds = |range: Range, place: Place| range.first <= place.limit() && place.limit() <= range.last;
        for start in &bounds {
            for end in &bounds {
                let frame = Frame { start: *start, end: *end };
                for row in places.iter().filter(|_| frame.is_possible()) {
                    for place in &places {
                        let inside = holds(Range::frame(&frame, *row), *place);
                        assert_eq!(inside, holds(Range::holders(&frame, *place), *row), "{frame:?} {row:?} {place:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn ranges_that_overlap_are_joined() {
        let range = |first: i128, last: i128| Range {
            first: Place::new(Some(first), false, false).limit(),
            last: Place::new(Some(last), false, false).limit(),
        };
        let mut ranges = vec![range(5, 9), range(1, 2), range(2, 3), range(6, 7), range(11, 11)];
        Range::merge(&mut ranges);
        assert_eq!(ranges, [range(1, 3), range(5, 9), range(11, 11)]);
        ranges.push(Range::ALL);
        Range::merge(&mut ranges);
        assert_eq!(ranges, [Range::ALL]);
    }

    #[test]
    fn a_descending_window_turns_values_around() {
        let place = |value: i64| Place::new(Some(value.into()), true, false);
        assert!(place(i64::MAX) < place(0) && place(0) < place(i64::MIN));
        let frame = Frame { start: Bound::Offset(-2), end: Bound::Offset(0) };
        let range = Range::frame(&frame, place(10));
        assert!(range.first == place(12).limit() && range.last == place(10).limit());
    }
}

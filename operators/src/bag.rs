//! Numbers with their counts, in order, that answer for the middle: what medians are kept in.
//!
//! Distinct values stand in short sorted lists, each with the sum of its counts, so that a change moves a few hundred
//! values at most, and a value by its place is found by passing over lists. Doubles are kept as integers of the same order
//! ([`image`]): both zeros are one value, and so are all NaNs, which are the greatest.
//!
//! **Cost**: a change is logarithmic in practice; a median passes over one list's length at most and the lists before it; a
//! deviation (`mad`) walks from the median outward, past up to half of the distinct values. **State**: 16 bytes a distinct
//! value.

/// Distinct values of one list at most.
const LIST_VALUES_MAX: usize = 256;

/// Turns the bits below the sign of negative doubles: their order as integers becomes that of the values. Its own inverse.
#[inline]
pub(crate) fn turn(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// The integer that stands for a double, and for all that are equal to it.
#[inline]
pub(crate) fn image(value: f64) -> i64 {
    // Adding 0.0 turns -0.0 into 0.0 and changes nothing else.
    let canonical = if value.is_nan() { f64::NAN } else { value + 0.0 };
    turn(canonical.to_bits() as i64)
}

/// The double that an integer stands for.
#[inline]
pub(crate) fn value(image: i64) -> f64 {
    f64::from_bits(turn(image) as u64)
}

/// Images of numbers with their counts; see the module's documentation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bag {
    /// None is empty.
    lists: Vec<List>,
    total: i64,
}

#[derive(Clone, Debug, Default)]
struct List {
    /// Values with their counts, ascending; no count is 0.
    values: Vec<(i64, i64)>,
    total: i64,
}

/// A distinct value's position, and the number of copies of lesser values.
#[derive(Clone, Copy)]
struct Found {
    list: usize,
    at: usize,
    before: i64,
}

impl Bag {
    /// Adds `image` `diff` times. Counts may be negative until other changes of the same epoch arrive.
    pub(crate) fn add(&mut self, image: i64, diff: i64) {
        if diff == 0 {
            return;
        }
        self.total += diff;
        let index = self.lists.partition_point(|list| list.last() < image).min(self.lists.len().saturating_sub(1));
        let Some(list) = self.lists.get_mut(index) else {
            self.lists.push(List { values: vec![(image, diff)], total: diff });
            return;
        };
        list.total += diff;
        match list.values.binary_search_by_key(&image, |(value, _)| *value) {
            Ok(at) => {
                list.values[at].1 += diff;
                if list.values[at].1 == 0 {
                    list.values.remove(at);
                }
            }
            Err(at) => list.values.insert(at, (image, diff)),
        }
        if list.values.is_empty() {
            self.lists.remove(index);
        } else if list.values.len() > LIST_VALUES_MAX {
            let upper = list.values.split_off(LIST_VALUES_MAX / 2);
            let total = upper.iter().map(|(_, count)| count).sum();
            list.total -= total;
            self.lists.insert(index + 1, List { values: upper, total });
        }
    }

    /// The least image.
    pub(crate) fn first(&self) -> Option<i64> {
        Some(self.lists.first()?.values.first()?.0)
    }

    /// The greatest image.
    pub(crate) fn last(&self) -> Option<i64> {
        Some(self.lists.last()?.values.last()?.0)
    }

    /// The median of doubles: the mean of the two in the middle where their number is even; none of nothing.
    pub(crate) fn median(&self) -> Option<f64> {
        Some(self.median_at(self.middle()?))
    }

    /// The median, the lower of whose two is at `middle`.
    fn median_at(&self, middle: Found) -> f64 {
        let low = value(self.image(middle));
        let is_split = self.total % 2 == 0 && middle.before + self.count(middle) <= self.total / 2;
        match self.position_after(middle).filter(|_| is_split) {
            Some(high) => (low + value(self.image(high))) / 2.0,
            None => low,
        }
    }

    /// The median absolute deviation of doubles: the median of their distances from their median; none of nothing.
    pub(crate) fn mad(&self) -> Option<f64> {
        let middle = self.middle()?;
        let median = self.median_at(middle);
        // Distances grow on both sides of the median: one merge finds those in the middle.
        let distance = |found: Option<Found>| found.map_or(0.0, |found| (value(self.image(found)) - median).abs());
        let (mut below, mut above) = (Some(middle), self.position_after(middle));
        let (mut left, mut right) = (distance(below), distance(above));
        let (low, high) = ((self.total - 1) / 2, self.total / 2);
        let (mut passed, mut first) = (0, None);
        loop {
            let distance = match (below, above) {
                (Some(found), other) if other.is_none() || left <= right => {
                    passed += self.count(found);
                    below = self.position_before(found);
                    std::mem::replace(&mut left, distance(below))
                }
                (_, Some(found)) => {
                    passed += self.count(found);
                    above = self.position_after(found);
                    std::mem::replace(&mut right, distance(above))
                }
                _ => return first,
            };
            if first.is_none() && passed > low {
                first = Some(distance);
            }
            if let Some(first) = first
                && passed > high
            {
                return Some(if low == high { first } else { (first + distance) / 2.0 });
            }
        }
    }

    /// Where the lower of the values in the middle is.
    fn middle(&self) -> Option<Found> {
        let mut left = (self.total - 1) / 2;
        if self.total <= 0 {
            return None;
        }
        let mut before = 0;
        for (index, list) in self.lists.iter().enumerate() {
            if left >= list.total {
                left -= list.total;
                before += list.total;
                continue;
            }
            for (at, (_, count)) in list.values.iter().enumerate() {
                if left < *count {
                    return Some(Found { list: index, at, before });
                }
                left -= count;
                before += count;
            }
        }
        None
    }

    fn image(&self, found: Found) -> i64 {
        self.lists[found.list].values[found.at].0
    }

    fn count(&self, found: Found) -> i64 {
        self.lists[found.list].values[found.at].1
    }

    fn position_after(&self, found: Found) -> Option<Found> {
        let before = found.before + self.count(found);
        if found.at + 1 < self.lists[found.list].values.len() {
            return Some(Found { at: found.at + 1, before, ..found });
        }
        (found.list + 1 < self.lists.len()).then_some(Found { list: found.list + 1, at: 0, before })
    }

    fn position_before(&self, found: Found) -> Option<Found> {
        let (list, at) = match found.at {
            0 if found.list == 0 => return None,
            0 => (found.list - 1, self.lists[found.list - 1].values.len() - 1),
            at => (found.list, at - 1),
        };
        Some(Found { list, at, before: found.before - self.lists[list].values[at].1 })
    }
}

impl List {
    fn last(&self) -> i64 {
        self.values.last().map_or(i64::MIN, |(value, _)| *value)
    }
}

/// The median of `values` as a batch engine computes it; none of nothing.
#[cfg(test)]
pub(crate) fn plain_median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len(), sorted.len() % 2) {
        (0, _) => None,
        (_, 1) => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn plain_mad(values: &[f64]) -> Option<f64> {
        let median = plain_median(values)?;
        plain_median(&values.iter().map(|value| (value - median).abs()).collect::<Vec<_>>())
    }

    #[test]
    fn random_histories_have_the_middles_of_sorted_lists() {
        for seed in 0..60 {
            println!("seed {seed}");
            let mut random = SmallRng::seed_from_u64(seed);
            // From few distinct values to more than several lists hold.
            let distinct = [3, 40, 3_000][seed as usize % 3];
            let (mut bag, mut model) = (Bag::default(), Vec::new());
            for step in 0..3_000 {
                let leaves = !model.is_empty() && random.random_bool(0.45);
                if leaves {
                    let gone: f64 = model.swap_remove(random.random_range(0..model.len()));
                    bag.add(image(gone), -1);
                } else {
                    let came = f64::from(random.random_range(-distinct..distinct)) / 4.0;
                    model.push(came);
                    bag.add(image(came), 1);
                }
                if step % 13 == 0 {
                    assert_eq!(bag.median(), plain_median(&model));
                    assert_eq!(bag.mad(), plain_mad(&model));
                    let least = model.iter().copied().min_by(f64::total_cmp);
                    assert_eq!(bag.first().map(value), least);
                    assert_eq!(bag.last().map(value), model.iter().copied().max_by(f64::total_cmp));
                    assert_eq!(bag.total, model.len() as i64);
                }
            }
        }
    }

    #[test]
    fn copies_count() {
        let mut bag = Bag::default();
        assert_eq!((bag.median(), bag.mad()), (None, None));
        bag.add(image(5.0), 1_000_000);
        bag.add(image(1.0), 1_000_000);
        assert_eq!((bag.median(), bag.mad()), (Some(3.0), Some(2.0)));
        bag.add(image(9.0), 1);
        assert_eq!((bag.median(), bag.mad()), (Some(5.0), Some(4.0)));
        bag.add(image(5.0), -1_000_000);
        bag.add(image(1.0), -1_000_000);
        assert_eq!((bag.median(), bag.mad()), (Some(9.0), Some(0.0)));
        bag.add(image(9.0), -1);
        assert_eq!((bag.median(), bag.mad(), bag.total), (None, None, 0));
    }

    /// Changes of an epoch come in any order: a count below 0 in between does no harm.
    #[test]
    fn a_retraction_may_come_first() {
        let mut bag = Bag::default();
        bag.add(image(2.0), -1);
        bag.add(image(1.0), 3);
        assert!(bag.median().is_some() && bag.mad().is_some(), "whatever it is, there is no panic");
        bag.add(image(2.0), 1);
        assert_eq!((bag.median(), bag.mad()), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn what_is_no_number_does_no_harm() {
        let mut bag = Bag::default();
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, -0.0, 1e308] {
            bag.add(image(value), 1);
        }
        assert!(bag.median().is_some() && bag.mad().is_some());
    }

    #[test]
    fn images_keep_the_order_of_doubles() {
        let floats = [f64::NEG_INFINITY, -1.5, -5e-324, 0.0, 5e-324, 2.0, f64::INFINITY, f64::NAN];
        assert!(floats.map(image).is_sorted_by(|a, b| a < b));
        assert_eq!((image(-0.0), image(-f64::NAN)), (image(0.0), image(f64::NAN)));
        assert!(floats.iter().all(|float| value(image(*float)).to_bits() == float.to_bits()));
    }
}

//! The middle of a multiset of doubles, which are kept as their images ([`crate::image`]).
//!
//! **Cost**: a median passes over the pieces before it and one piece's length; a deviation walks from the median outward,
//! past up to half of the distinct values.

use super::{Counted, Multiset};
use crate::image::value;
use crate::sorted_list::{Cursor, Located};

impl Multiset<i64> {
    /// The median of doubles: the mean of the two in the middle where their number is even; `None` for an empty multiset.
    pub(crate) fn median(&self) -> Option<f64> {
        let total = self.total();
        Some(self.median_at(self.middle(total)?, total))
    }

    /// The median absolute deviation of doubles: the median of their distances from their median; `None` for an empty
    /// multiset.
    pub(crate) fn mad(&self) -> Option<f64> {
        let total = self.total();
        let middle = self.middle(total)?;
        let median = self.median_at(middle, total);
        if !median.is_finite() {
            // Half of the values at least are the median or NaN, and their distance is NaN, the greatest of all.
            return Some(f64::NAN);
        }
        // Distances grow on both sides of the median, to NaN: one merge finds those in the middle.
        let distance = |known: Option<&Counted<i64>>| known.map_or(0.0, |known| (value(known.value) - median).abs());
        let (mut below, mut above) = (Some(middle.cursor), self.known_after(middle.cursor));
        let (mut left, mut right) = (distance(self.known(below)), distance(self.known(above)));
        let (low, high) = ((total - 1) / 2, total / 2);
        let (mut passed, mut first) = (0, None);
        loop {
            let distance = match (below, above) {
                (Some(at), other) if other.is_none() || left.total_cmp(&right).is_le() => {
                    passed += self.count(at);
                    below = self.values.before(at);
                    std::mem::replace(&mut left, distance(self.known(below)))
                }
                (_, Some(at)) => {
                    passed += self.count(at);
                    above = self.known_after(at);
                    std::mem::replace(&mut right, distance(self.known(above)))
                }
                _ => return first,
            };
            if first.is_none() && passed > low {
                first = Some(distance);
            }
            if let Some(first) = first
                && passed > high
            {
                return Some(if low == high { first } else { first.midpoint(distance) });
            }
        }
    }

    /// The median, the lower of whose two is at `middle`.
    fn median_at(&self, middle: Located, total: i64) -> f64 {
        let double = |at: Cursor| self.values.get(at).map(|known| value(known.value));
        let low = double(middle.cursor).unwrap_or_default();
        let is_split = total % 2 == 0 && middle.before + self.count(middle.cursor) <= total / 2;
        let high = self.known_after(middle.cursor).filter(|_| is_split).and_then(double);
        high.map_or(low, |high| low.midpoint(high))
    }

    /// Where the lower of the values in the middle is.
    fn middle(&self, total: i64) -> Option<Located> {
        if total <= 0 { None } else { self.values.at_weight((total - 1) / 2) }
    }

    fn total(&self) -> i64 {
        self.values.weight()
    }

    fn known(&self, at: Option<Cursor>) -> Option<&Counted<i64>> {
        self.values.get(at?)
    }

    fn count(&self, at: Cursor) -> i64 {
        self.values.get(at).map_or(0, |known| known.count)
    }

    /// The place behind `at`, unless that is the end.
    fn known_after(&self, at: Cursor) -> Option<Cursor> {
        let after = self.values.after(at);
        self.values.get(after).map(|_| after)
    }
}

/// The median of `values` as a batch engine computes it; `None` for no values.
#[cfg(test)]
pub(crate) fn plain_median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len(), sorted.len() % 2) {
        (0, _) => None,
        (_, 1) => Some(sorted[middle]),
        _ => Some(sorted[middle - 1].midpoint(sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::image::image;

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
            let (mut values, mut model) = (Multiset::default(), Vec::new());
            for step in 0..3_000 {
                let leaves = !model.is_empty() && random.random_bool(0.45);
                if leaves {
                    let gone: f64 = model.swap_remove(random.random_range(0..model.len()));
                    values.add(&image(gone), -1);
                } else {
                    let came = f64::from(random.random_range(-distinct..distinct)) / 4.0;
                    model.push(came);
                    values.add(&image(came), 1);
                }
                if step % 13 == 0 {
                    assert_eq!(values.median(), plain_median(&model));
                    assert_eq!(values.mad(), plain_mad(&model));
                    let least = model.iter().copied().min_by(f64::total_cmp);
                    assert_eq!(values.first().map(|first| value(*first)), least);
                    assert_eq!(values.last().map(|last| value(*last)), model.iter().copied().max_by(f64::total_cmp));
                    assert_eq!(values.total(), model.len() as i64);
                }
            }
        }
    }

    #[test]
    fn not_a_number_is_the_farthest_of_all() {
        let mut values = Multiset::default();
        let check = |values: &Multiset<i64>, expect: [Option<f64>; 2]| {
            assert_eq!(format!("{:?}", [values.median(), values.mad()]), format!("{expect:?}"));
        };
        let added: isize = [f64::NAN, 0.0, -1.0].iter().map(|value| values.add(&image(*value), 1)).sum();
        assert_eq!(added, 3);
        check(&values, [Some(0.0), Some(1.0)]);
        values.add(&image(5.0), 1);
        check(&values, [Some(2.5), Some(3.0)]);
        values.add(&image(-1.0), -1);
        values.add(&image(0.0), -1);
        check(&values, [Some(f64::NAN), Some(f64::NAN)]);
    }

    #[test]
    fn copies_count() {
        let mut values = Multiset::default();
        assert_eq!((values.median(), values.mad()), (None, None));
        values.add(&image(5.0), 1_000_000);
        values.add(&image(1.0), 1_000_000);
        assert_eq!((values.median(), values.mad()), (Some(3.0), Some(2.0)));
        values.add(&image(9.0), 1);
        assert_eq!((values.median(), values.mad()), (Some(5.0), Some(4.0)));
        values.add(&image(5.0), -1_000_000);
        values.add(&image(1.0), -1_000_000);
        assert_eq!((values.median(), values.mad()), (Some(9.0), Some(0.0)));
        values.add(&image(9.0), -1);
        assert_eq!((values.median(), values.mad(), values.total()), (None, None, 0));
    }

    /// Changes of an epoch come in any order: a count below 0 in between does no harm.
    #[test]
    fn a_retraction_may_come_first() {
        let mut values = Multiset::default();
        values.add(&image(2.0), -1);
        values.add(&image(1.0), 3);
        assert!(values.median().is_some() && values.mad().is_some(), "whatever it is, there is no panic");
        values.add(&image(2.0), 1);
        assert_eq!((values.median(), values.mad()), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn what_is_no_number_does_no_harm() {
        let mut values = Multiset::default();
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, -0.0, 1e308] {
            values.add(&image(value), 1);
        }
        assert!(values.median().is_some() && values.mad().is_some());
    }

    /// Of all multisets of up to seven such values.
    #[test]
    fn infinities_are_as_far_as_a_list_says() {
        let all = [f64::NEG_INFINITY, -1.0, 1.5e308, f64::INFINITY, f64::NAN];
        for number in 0..5_usize.pow(7) {
            let digits = (0..7).map(|place| number / 5_usize.pow(place) % 5);
            let list: Vec<f64> = digits.take(1 + number % 7).map(|digit| all[digit]).collect();
            let mut values = Multiset::default();
            for value in &list {
                values.add(&image(*value), 1);
            }
            let (found, expect) = ([values.median(), values.mad()], [plain_median(&list), plain_mad(&list)]);
            assert_eq!(format!("{found:?}"), format!("{expect:?}"), "{list:?}");
        }
    }
}

//! Sums of floats that forget nothing.
//!
//! A sum is kept as one long integer in units of 2⁻¹⁰⁷⁴, the smallest double, of which only the window of limbs that was
//! ever touched is stored (a Kulisch accumulator, U. Kulisch, *Computer Arithmetic and Validity*). Adding and retracting
//! are exact, so a sum does not depend on order or history, and a group whose rows left is exactly 0 again. The answer is
//! rounded once, to nearest, ties to even.
//!
//! Infinities and NaNs are counted apart: any NaN, or infinities of both signs, make NaN; infinities of one sign make that
//! infinity. The sign of a zero is not kept: a sum of zeros is `0.0`. A window of usual data is four to six limbs of four
//! bytes.

use crate::bytes::{put_int, put_len, take_array, take_int, take_len};

/// Exponent of the least significant bit.
const UNIT_EXPONENT: i32 = -1074;

/// An exact sum of doubles; see the module's documentation.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExactSum {
    /// Place of the first limb: it counts 2^(32·base) units.
    base: u32,
    /// 32-bit digits, least significant first.
    limbs: Vec<u32>,
    /// What lies above the limbs, with the sign: the number is `top·2^(32·(base+len)) + limbs`, so it is that of two's
    /// complement.
    top: i64,
    specials: Option<Box<Specials>>,
}

/// How often each value that is no number was added.
#[derive(Clone, Debug, Default)]
struct Specials {
    nan: i64,
    positive: i64,
    negative: i64,
}

impl ExactSum {
    /// Bytes of the limbs of usual data.
    pub(super) const USUAL_LIMB_BYTES: usize = 24;

    /// Appends the sum.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let ExactSum { base, limbs, top, specials } = self;
        put_int(out, (*base).into());
        put_int(out, (*top).into());
        put_len(out, limbs.len());
        limbs.iter().for_each(|limb| out.extend_from_slice(&limb.to_le_bytes()));
        let Specials { nan, positive, negative } = specials.as_deref().cloned().unwrap_or_default();
        [nan, positive, negative].iter().for_each(|count| put_int(out, (*count).into()));
    }

    /// Reads a sum and goes past it.
    pub(super) fn load(bytes: &mut &[u8]) -> Self {
        let (base, top) = (take_int(bytes) as u32, take_int(bytes) as i64);
        let limbs = (0..take_len(bytes)).map(|_| u32::from_le_bytes(take_array(bytes))).collect();
        let mut count = || take_int(bytes) as i64;
        let specials = Specials { nan: count(), positive: count(), negative: count() };
        let is_special = !matches!(specials, Specials { nan: 0, positive: 0, negative: 0 });
        ExactSum { base, limbs, top, specials: is_special.then(|| Box::new(specials)) }
    }

    /// Adds `value` `diff` times.
    pub(crate) fn add(&mut self, value: f64, diff: i64) {
        if value.is_finite() {
            let bits = value.to_bits();
            let fraction = (bits & ((1 << 52) - 1)) as i128;
            let exponent = (bits >> 52 & 0x7FF) as u32;
            // Subnormals count units; a normal has its hidden bit.
            let (mantissa, shift) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
            let mantissa = if value < 0.0 { -mantissa } else { mantissa };
            // Two halves of the diff keep every product below 2¹²⁷.
            let (low, high) = (diff & 0xFFFF_FFFF, diff >> 32);
            self.add_at(mantissa * i128::from(low), shift);
            self.add_at(mantissa * i128::from(high), shift + 32);
        } else {
            let specials = self.specials.get_or_insert_default();
            let count = match value {
                f64::INFINITY => &mut specials.positive,
                f64::NEG_INFINITY => &mut specials.negative,
                _ => &mut specials.nan,
            };
            *count += diff;
            if let Specials { nan: 0, positive: 0, negative: 0 } = **specials {
                self.specials = None;
            }
        }
    }

    /// Adds `value · 2^shift` units; `|value| < 2⁸⁶`.
    fn add_at(&mut self, value: i128, shift: u32) {
        if value == 0 {
            return;
        }
        let place = shift / 32;
        if self.limbs.is_empty() && self.top == 0 {
            self.base = place;
        }
        if place < self.base {
            let missing = (self.base - place) as usize;
            self.limbs.splice(0..0, std::iter::repeat_n(0, missing));
            self.base = place;
        }
        let mut index = (place - self.base) as usize;
        let mut carry = value << (shift % 32);
        while carry != 0 {
            while index >= self.limbs.len() {
                self.limbs.push(self.top as u32);
                self.top >>= 32;
            }
            carry += i128::from(self.limbs[index]);
            self.limbs[index] = carry as u32;
            carry >>= 32;
            index += 1;
            if index == self.limbs.len() && i64::try_from(carry).is_ok_and(|carry| carry.abs() < 1 << 31) {
                self.top += carry as i64;
                carry = 0;
            }
        }
        self.shrink();
    }

    /// Drops limbs above the number, and all of them when it is 0.
    fn shrink(&mut self) {
        while let Some(last) = self.limbs.last()
            && self.top.abs() < 1 << 30
            && (self.top != 0 || *last == 0)
            && self.limbs.len() > 1
            && (self.top << 32 | i64::from(*last)).abs() < 1 << 31
        {
            self.top = self.top << 32 | i64::from(*last);
            self.limbs.pop();
        }
        if self.top == 0 && self.limbs.iter().all(|limb| *limb == 0) {
            self.limbs = Vec::new();
        }
    }

    /// The sum, rounded once.
    pub(crate) fn value(&self) -> f64 {
        if let Some(specials) = &self.specials {
            return match (specials.nan, specials.positive, specials.negative) {
                (0, _, 0) => f64::INFINITY,
                (0, 0, _) => f64::NEG_INFINITY,
                _ => f64::NAN,
            };
        }
        let mut digits = self.limbs.clone();
        digits.extend([self.top as u32, (self.top >> 32) as u32]);
        let is_negative = self.top < 0;
        if is_negative {
            negate(&mut digits);
        }
        let magnitude = round(&digits, self.base);
        if is_negative { -magnitude } else { magnitude }
    }
}

/// Two's complement negation.
fn negate(digits: &mut [u32]) {
    let mut carry = true;
    for digit in digits {
        (*digit, carry) = (!*digit).overflowing_add(u32::from(carry));
    }
}

/// `digits · 2^(32·base)` units as the nearest double, ties to even.
fn round(digits: &[u32], base: u32) -> f64 {
    let Some(last) = digits.iter().rposition(|digit| *digit != 0) else {
        return 0.0;
    };
    // The top 53 bits of the number, or all of it where it is shorter.
    let top_bit = 32 * last + 31 - digits[last].leading_zeros() as usize;
    let bit_at = |bit: usize| digits[bit / 32] >> (bit % 32) & 1;
    let lowest = top_bit.saturating_sub(52);
    let mut mantissa = (lowest..=top_bit).rev().fold(0u64, |mantissa, bit| mantissa << 1 | u64::from(bit_at(bit)));
    if lowest > 0 && bit_at(lowest - 1) == 1 {
        let is_tie = (0..lowest - 1).all(|bit| bit_at(bit) == 0);
        mantissa += u64::from(!is_tie || mantissa & 1 == 1);
    }
    let exponent = UNIT_EXPONENT + 32 * base as i32 + lowest as i32;
    scale(mantissa, exponent)
}

/// `mantissa · 2^exponent`, where the product is a double or too large for one.
fn scale(mantissa: u64, exponent: i32) -> f64 {
    let power = |exponent: i32| {
        if exponent >= -1022 {
            f64::from_bits(((exponent + 1023) as u64) << 52)
        } else {
            f64::from_bits(1 << (exponent - UNIT_EXPONENT))
        }
    };
    let mut value = mantissa as f64;
    let mut exponent = exponent;
    while exponent > 1023 {
        value *= power(1023);
        exponent -= 1023;
    }
    value * power(exponent)
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn sum(values: &[(f64, i64)]) -> f64 {
        let mut sum = ExactSum::default();
        values.iter().for_each(|(value, diff)| sum.add(*value, *diff));
        sum.value()
    }

    #[test]
    fn cancellation_and_extremes_are_exact() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[(1e308, 1), (1.0, 1), (-1e308, 1)]), 1.0);
        assert_eq!(sum(&[(0.1, 3), (0.1, -2)]), 0.1);
        assert_eq!(sum(&[(5e-324, 1)]), 5e-324);
        assert_eq!(sum(&[(5e-324, -3)]), -1.5e-323);
        assert_eq!(sum(&[(f64::MAX, 1)]), f64::MAX);
        assert_eq!(sum(&[(f64::MAX, 2)]), f64::INFINITY);
        assert_eq!(sum(&[(f64::MAX, 2), (f64::MAX, -1)]), f64::MAX);
        assert_eq!(sum(&[(-1.5, i64::MAX)]), -1.5 * i64::MAX as f64);
        assert_eq!(sum(&[(1.0, i64::MIN), (1.0, i64::MAX), (1.0, 1)]), 0.0);
        assert_eq!(sum(&[(f64::MIN_POSITIVE, 1), (-5e-324, 1)]), f64::MIN_POSITIVE - 5e-324);
    }

    #[test]
    fn what_is_no_number_can_be_retracted() {
        assert_eq!(sum(&[(f64::INFINITY, 1), (1.0, 1)]), f64::INFINITY);
        assert_eq!(sum(&[(f64::NEG_INFINITY, 1)]), f64::NEG_INFINITY);
        assert!(sum(&[(f64::INFINITY, 1), (f64::NEG_INFINITY, 1)]).is_nan());
        assert!(sum(&[(f64::NAN, 1), (1.0, 1)]).is_nan());
        assert_eq!(sum(&[(f64::NAN, 1), (1.0, 1), (f64::INFINITY, 2), (f64::NAN, -1), (f64::INFINITY, -2)]), 1.0);
    }

    #[test]
    fn integers_and_random_histories_agree_with_exact_arithmetic() {
        for seed in 0..200 {
            println!("seed {seed}");
            let mut random = SmallRng::seed_from_u64(seed);
            let (mut kept, mut exact) = (ExactSum::default(), 0i128);
            let mut held = Vec::new();
            for _ in 0..100 {
                let value: i64 = random.random_range(-(1 << 50)..1 << 50) >> random.random_range(0..50);
                let scale = 2f64.powi(random.random_range(-20..20));
                let diff = random.random_range(-5..6);
                kept.add(value as f64, diff);
                exact += i128::from(value) * i128::from(diff);
                assert_eq!(kept.value(), exact as f64);
                kept.add(value as f64 * scale, 1);
                held.push(value as f64 * scale);
                let back = held.swap_remove(random.random_range(0..held.len()));
                kept.add(back, -1);
                held.drain(..).for_each(|value| kept.add(value, -1));
                assert_eq!(kept.value(), exact as f64);
            }
        }
    }

    #[test]
    fn order_does_not_matter() {
        for seed in 0..100 {
            println!("seed {seed}");
            let mut random = SmallRng::seed_from_u64(seed);
            let mut values: Vec<(f64, i64)> =
                (0..50).map(|_| (f64::from_bits(random.random()), 1)).filter(|(value, _)| value.is_finite()).collect();
            let forward = sum(&values);
            values.reverse();
            assert_eq!(forward.to_bits(), sum(&values).to_bits());
        }
    }
}

//! Random numbers that are the same on every platform and in every version.
//!
//! [`Rng`] is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): 64 bits of
//! state, a published sequence, no dependency. The generators of the `rand` crate promise no stable sequence across
//! versions or platforms, and a data set that is named by its seed needs one.
//!
//! Every record draws from a generator of its own, made of `(seed, stream, index)`: record 17 can be written again, for
//! a later edit say, without the sixteen before it and without keeping it in memory.
//!
//! Distributions use only IEEE addition, multiplication, division and square root, which are exact everywhere;
//! `exp`, `ln` and `powf` are not (they differ in the last bit between C libraries). Powers of two come from a table of
//! 1,024 steps an octave, which [`Shapes`] holds.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

/// What a generator is for: two streams of one seed have nothing in common.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// The vocabulary, names and videos.
    World = 1,
    /// A comment, by its index.
    Comment = 2,
    /// A submission, by its index.
    Submission = 3,
    /// What becomes of a comment later, by its index.
    Change = 4,
    /// A comment that the first reading missed, by its index.
    Late = 5,
    /// A transcript, by its video's index.
    Transcript = 6,
    /// The hand-written sample.
    Sample = 7,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The generator of `index` in `stream` under `seed`.
    pub(crate) fn new(seed: u64, stream: Stream, index: u64) -> Self {
        let stream = mix(seed.wrapping_add(GOLDEN).wrapping_mul(2 * stream as u64 + 1));
        Rng(mix(stream.wrapping_add(index.wrapping_mul(GOLDEN))))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..end`; 0 if `end` is 0. Its bias is below `end` / 2^64.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// True `permille` times in a thousand.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// Draws indexes with given weights in constant time (Vose's alias method).
pub(crate) struct Weighted {
    /// An entry keeps its own index when the low half of the draw is below its first part, else takes the second.
    entries: Vec<(u32, u32)>,
}

impl Weighted {
    /// Index `i` is drawn in proportion to `weights[i]`. At most 2^32 weights, at least one above 0.
    fn new(weights: &[f64]) -> Self {
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        let mut left: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let mut entries: Vec<(u32, u32)> = (0..weights.len() as u32).map(|own| (u32::MAX, own)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..left.len()).partition(|&i| left[i] < 1.0);
        while let (Some(&poor), Some(&rich)) = (small.last(), large.last()) {
            small.pop();
            entries[poor] = ((left[poor] * f64::from(u32::MAX)) as u32, rich as u32);
            left[rich] -= 1.0 - left[poor];
            if left[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        Weighted { entries }
    }

    /// Zipf over `0..count`: index `k` is drawn in proportion to `1 / (k + 1)`, or to about `1 / (k + 1)^0.9` if `flat`.
    pub(crate) fn zipf(count: usize, flat: bool) -> Self {
        let weight = |k: usize| {
            let rank = (k + 1) as f64;
            // 115/128 = 1/2 + 1/4 + 1/8 + 1/64 + 1/128, each a chain of square roots: no powf.
            let root = |times: u32| (0..times).fold(rank, |value, _| value.sqrt());
            if flat { 1.0 / (root(1) * root(2) * root(3) * root(6) * root(7)) } else { 1.0 / rank }
        };
        Weighted::new(&(0..count).map(weight).collect::<Vec<_>>())
    }

    /// An index.
    pub(crate) fn draw(&self, rng: &mut Rng) -> usize {
        let bits = rng.bits();
        let at = (((bits >> 32) * self.entries.len() as u64) >> 32) as usize;
        let (keep, other) = self.entries[at];
        if (bits as u32) < keep { at } else { other as usize }
    }
}

/// Steps an octave in the table of powers of two.
const STEPS: usize = 1024;

/// Distributions with long tails, from a table of `2^(i / 1024)`.
pub(crate) struct Shapes {
    powers: Vec<f64>,
}

impl Shapes {
    pub(crate) fn new() -> Self {
        let step = (0..10).fold(2.0f64, |value, _| value.sqrt());
        let mut powers = Vec::with_capacity(STEPS);
        let mut power = 1.0;
        for _ in 0..STEPS {
            powers.push(power);
            power *= step;
        }
        Shapes { powers }
    }

    /// `2^(steps / 1024)`.
    fn exp2(&self, steps: i64) -> f64 {
        let octave = steps.div_euclid(STEPS as i64);
        let power = self.powers[steps.rem_euclid(STEPS as i64) as usize];
        let octaves = (1u64 << octave.unsigned_abs().min(62)) as f64;
        if octave < 0 { power / octaves } else { power * octaves }
    }

    /// About log-normal: `median * e^(0.8 z)` for a standard normal `z`, kept in `low..=high`.
    pub(crate) fn log_normal(&self, rng: &mut Rng, median: u32, low: u32, high: u32) -> u32 {
        // Twelve uniform numbers less six have the normal's mean and variance, and nearly its shape.
        let mut sum = 0i64;
        for _ in 0..3 {
            let bits = rng.bits();
            sum += (0..4).map(|part| ((bits >> (16 * part)) & 0xFFFF) as i64).sum::<i64>();
        }
        let z_65536ths = sum - 6 * 65_536;
        // 0.8 / ln 2 = 1.1542 octaves a deviation.
        let steps = z_65536ths * 1182 / 65_536;
        ((f64::from(median) * self.exp2(steps)) as u32).clamp(low, high)
    }

    /// Pareto (Lomax) with shape 1 / `inverse_shape_percent` × 100: `u^(-1/shape) - 1`, scaled by `scale`.
    pub(crate) fn pareto(&self, rng: &mut Rng, inverse_shape_percent: i64, scale: u32) -> i64 {
        let bits = rng.bits() | 1;
        let octaves = i64::from(bits.leading_zeros());
        let mantissa = (bits << octaves) as f64 / (1u64 << 63) as f64;
        let steps = self.powers.partition_point(|&power| power <= mantissa) as i64 - 1;
        let log2_inverse = (octaves + 1) * STEPS as i64 - steps;
        (f64::from(scale) * (self.exp2(log2_inverse * inverse_shape_percent / 100) - 1.0)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_is_the_published_sequence() {
        let mut rng = Rng(1234567);
        let got: Vec<u64> = (0..3).map(|_| rng.bits()).collect();
        assert_eq!(got, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn streams_differ() {
        let first = |stream, index| Rng::new(7, stream, index).bits();
        let all = [
            first(Stream::Comment, 0),
            first(Stream::Comment, 1),
            first(Stream::Change, 0),
            Rng::new(8, Stream::Comment, 0).bits(),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn zipf_has_its_weights() {
        let mut rng = Rng::new(1, Stream::World, 0);
        let zipf = Weighted::zipf(100, false);
        let mut counts = [0u32; 100];
        for _ in 0..100_000 {
            counts[zipf.draw(&mut rng)] += 1;
        }
        // The sum of 1/k for k up to 100 is 5.187.
        for (k, expect) in [(0, 19_278.0), (1, 9_639.0), (9, 1_928.0)] {
            let off = (f64::from(counts[k]) - expect).abs() / expect;
            assert!(off < 0.1, "index {k}: {} draws, expected about {expect}", counts[k]);
        }
        assert!(counts.iter().all(|&count| count > 0));
    }

    #[test]
    fn tails_have_their_medians() {
        let (shapes, mut rng) = (Shapes::new(), Rng::new(2, Stream::World, 0));
        let median = |mut values: Vec<i64>| {
            values.sort_unstable();
            values[values.len() / 2]
        };
        let lengths: Vec<i64> = (0..9999).map(|_| shapes.log_normal(&mut rng, 110, 20, 400).into()).collect();
        assert!((105..=115).contains(&median(lengths)));
        // The median of u^(-1/1.2) - 1 is 2^(1/1.2) - 1 = 0.78.
        let scores: Vec<i64> = (0..9999).map(|_| shapes.pareto(&mut rng, 83, 1000)).collect();
        assert!((720..=830).contains(&median(scores.clone())), "median {}", median(scores));
    }
}

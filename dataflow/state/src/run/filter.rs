//! A blocked Bloom filter (F. Putze, P. Sanders, J. Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007): all bits
//! of a hash are in one word.

/// Bits of the filter for each record at least; twice as many at most.
const BITS_A_RECORD: usize = 10;
/// Bits that a hash sets.
const BITS_SET: u32 = 4;

/// Which hashes may be in a set.
pub(super) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// An empty filter for at most `records` hashes.
    pub fn new(records: usize) -> Self {
        Filter { words: vec![0; (records * BITS_A_RECORD / 64 + 1).next_power_of_two()] }
    }

    pub fn memory(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }

    pub fn add(&mut self, hash: u64) {
        let (word, bits) = self.place(hash);
        self.words[word] |= bits;
    }

    #[inline]
    pub fn may_hold(&self, hash: u64) -> bool {
        let (word, bits) = self.place(hash);
        self.words[word] & bits == bits
    }

    /// The word of a hash, and its bits there.
    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        // Low bits of a hash are equal among the keys of one worker: they are mixed with the others.
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = (0..BITS_SET).fold(0, |bits, n| bits | 1 << ((mixed >> (6 * n + 8)) & 63));
        ((mixed >> 32) as usize & (self.words.len() - 1), bits)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn all_that_was_added_is_found_and_little_else() {
        let mut random = SmallRng::seed_from_u64(1);
        // As of one of two workers: the lowest bit is the same.
        let mut hash = || random.random::<u64>() | 1;
        let added: Vec<u64> = (0..50_000).map(|_| hash()).collect();
        let mut filter = Filter::new(added.len());
        added.iter().for_each(|hash| filter.add(*hash));
        assert!(added.iter().all(|hash| filter.may_hold(*hash)));
        let wrong = (0..100_000).filter(|_| filter.may_hold(hash())).count();
        assert!(wrong < 3_000, "{wrong} of 100,000 others seem to be in it");
    }
}

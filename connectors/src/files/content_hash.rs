//! The hash of a file's bytes as stored, taken while they are read, so that a file is known again wherever it lies.
//!
//! The bytes are cut into blocks of [`BLOCK_BYTES`]. With `H` for XXH3-128 and `‖` for concatenation of 16-byte
//! little-endian numbers,
//!
//! ```text
//! fold(0) = 0        fold(k + 1) = H(fold(k) ‖ H(block k))        hash = H(fold(n) ‖ H(the rest))
//! ```
//!
//! where `n` is the number of whole blocks and the rest may be empty. A reader that goes on inside a large file needs only
//! the fold before its block, and hashes at most one block again.

use std::collections::VecDeque;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Length of a block: 1 MiB.
pub(super) const BLOCK_BYTES: u64 = 1 << 20;

/// The running hash of a file's first bytes.
#[derive(Clone)]
pub(super) struct ContentHash {
    /// Folds at the ends of the last blocks, oldest first, with the number of blocks before; never empty.
    folds: VecDeque<(u64, u128)>,
    block: Xxh3,
    filled: u64,
}

impl ContentHash {
    /// Of no bytes yet.
    pub(super) fn new() -> Self {
        ContentHash::after(0, 0)
    }

    /// Of `blocks` whole blocks, whose fold is `fold`.
    pub(super) fn after(blocks: u64, fold: u128) -> Self {
        ContentHash { folds: VecDeque::from([(blocks, fold)]), block: Xxh3::new(), filled: 0 }
    }

    /// Takes the next bytes in.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (BLOCK_BYTES - self.filled).min(bytes.len() as u64);
            let (head, rest) = bytes.split_at(room as usize);
            self.block.update(head);
            self.filled += room;
            bytes = rest;
            if self.filled == BLOCK_BYTES {
                let (blocks, fold) = self.last();
                self.folds.push_back((blocks + 1, chain(fold, self.block.digest128())));
                self.block.reset();
                self.filled = 0;
            }
        }
    }

    /// How many bytes were taken in, those before the first block included.
    pub(super) fn bytes(&self) -> u64 {
        self.last().0 * BLOCK_BYTES + self.filled
    }

    /// The hash of all bytes so far.
    pub(super) fn hash(&self) -> u128 {
        chain(self.last().1, self.block.digest128())
    }

    /// The fold before the block that holds the byte `offset`; forgets older ones. `None` if it is forgotten.
    pub(super) fn fold_before(&mut self, offset: u64) -> Option<u128> {
        let blocks = offset / BLOCK_BYTES;
        while self.folds.len() > 1 && self.folds[1].0 <= blocks {
            self.folds.pop_front();
        }
        self.folds.front().filter(|(at, _)| *at == blocks).map(|(_, fold)| *fold)
    }

    fn last(&self) -> (u64, u128) {
        self.folds.back().copied().unwrap_or_default()
    }
}

fn chain(fold: u128, hash: u128) -> u128 {
    let mut both = [0; 32];
    both[..16].copy_from_slice(&fold.to_le_bytes());
    both[16..].copy_from_slice(&hash.to_le_bytes());
    xxh3_128(&both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], pieces: usize) -> ContentHash {
        let mut hash = ContentHash::new();
        bytes.chunks(pieces).for_each(|piece| hash.update(piece));
        hash
    }

    #[test]
    fn the_cut_does_not_count_and_every_byte_does() {
        let mut bytes: Vec<u8> = (0..3 * BLOCK_BYTES + 17).map(|n| (n % 251) as u8).collect();
        let whole = of(&bytes, usize::MAX);
        assert_eq!(whole.bytes(), bytes.len() as u64);
        for pieces in [1_000, 65_536, 1 << 20] {
            assert_eq!(of(&bytes, pieces).hash(), whole.hash());
        }
        for at in [0, 1 << 20, bytes.len() - 1] {
            bytes[at] ^= 1;
            assert_ne!(of(&bytes, 65_536).hash(), whole.hash());
            bytes[at] ^= 1;
        }
        assert_ne!(of(&bytes[..1 << 20], 1 << 20).hash(), of(&bytes[..(1 << 20) - 1], 1 << 20).hash());
    }

    #[test]
    fn goes_on_from_a_fold() {
        let bytes: Vec<u8> = (0..2 * BLOCK_BYTES + 100).map(|n| (n % 13) as u8).collect();
        let mut whole = of(&bytes, 4_096);
        let fold = whole.clone().fold_before(BLOCK_BYTES + 5).expect("still known");
        let mut rest = ContentHash::after(1, fold);
        rest.update(&bytes[BLOCK_BYTES as usize..]);
        assert_eq!((rest.hash(), rest.bytes()), (whole.hash(), whole.bytes()));
        assert!(whole.fold_before(2 * BLOCK_BYTES).is_some());
        assert_eq!(whole.fold_before(5), None, "forgotten");
    }
}

//! Words to codes: the dictionary of one batch, built without an allocation or a copy a token.
//!
//! **Model.** A word of up to [`INLINE_BYTES_MAX`] letters *is* its Arrow view (length and letters in one `u128`), so that
//! looking it up compares two integers and storing it stores them. Longer words are rare; their letters are kept once, in
//! blocks that become the views' buffers.
//!
//! **Table.** Open addressing with linear probing, at most half full. A slot carries the generation that filled it, so
//! that [`WordTable::clear`] costs nothing and the memory serves batch after batch. The hash is seeded at random for each
//! table: nobody can write comments that collide on purpose, and codes do not depend on it (they count first
//! appearances), so that results are the same from run to run.
//!
//! **Limits.** 2³² − 1 distinct words a batch; what a table keeps between batches is at most [`KEPT_SLOTS_MAX`] slots.

use std::hash::{BuildHasher, RandomState};

use catchment_contract::arrow::array::StringViewArray;
use catchment_contract::arrow::buffer::{Buffer, ScalarBuffer};
use catchment_contract::{Error, Result};

/// The longest word that fits its view.
pub const INLINE_BYTES_MAX: usize = 12;

/// Where a block of long words ends and the next one starts: well below the 2³² that a view's offset can name.
const BLOCK_BYTES: usize = 1 << 26;

/// Slots at the start: 4,096 of 24 bytes, room for 2,048 words.
const FIRST_SLOTS: usize = 1 << 12;

/// A table that grew beyond this (24 MiB) for one batch is given back after it.
const KEPT_SLOTS_MAX: usize = 1 << 20;

/// One place of the table; free unless `generation` is the table's own.
#[derive(Clone, Copy, Default)]
struct Slot {
    low: u64,
    high: u64,
    generation: u32,
    code: u32,
}

/// The distinct words of one batch, each with its code: the number of distinct words before it.
pub struct WordTable {
    slots: Vec<Slot>,
    generation: u32,
    views: Vec<u128>,
    blocks: Vec<Vec<u8>>,
    seeds: [u64; 2],
}

impl Default for WordTable {
    fn default() -> Self {
        let state = RandomState::new();
        WordTable {
            slots: vec![Slot::default(); FIRST_SLOTS],
            generation: 1,
            views: Vec::new(),
            blocks: Vec::new(),
            seeds: [state.hash_one(0u64), state.hash_one(1u64)],
        }
    }
}

impl WordTable {
    /// The number of distinct words.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// Forgets every word and keeps the memory.
    pub fn clear(&mut self) {
        self.views.clear();
        self.blocks.clear();
        if self.slots.len() > KEPT_SLOTS_MAX {
            self.slots = vec![Slot::default(); FIRST_SLOTS];
        }
        match self.generation.checked_add(1) {
            Some(next) => self.generation = next,
            None => {
                self.slots.fill(Slot::default());
                self.generation = 1;
            }
        }
    }

    /// The code of the word whose view is `view`; its length must be 1 to [`INLINE_BYTES_MAX`] and the bytes beyond zero.
    #[inline]
    pub fn inline(&mut self, view: u128) -> u32 {
        let (low, high) = halves(view);
        let mask = self.slots.len() - 1;
        let mut at = self.hash(low, high) & mask;
        loop {
            let slot = &self.slots[at];
            if slot.generation != self.generation {
                return self.insert(at, view);
            }
            if slot.low == low && slot.high == high {
                return slot.code;
            }
            at = (at + 1) & mask;
        }
    }

    /// The code of `word`, which is ASCII and longer than [`INLINE_BYTES_MAX`].
    #[cold]
    pub fn long(&mut self, word: &[u8]) -> u32 {
        let head = head_of(word);
        let mask = self.slots.len() - 1;
        let mut at = self.hash_long(word) & mask;
        loop {
            let slot = self.slots[at];
            if slot.generation != self.generation {
                let place = self.keep(word);
                return self.insert(at, u128::from(head) | u128::from(place) << 64);
            }
            if slot.low == head && self.kept(slot.high, word.len()) == word {
                return slot.code;
            }
            at = (at + 1) & mask;
        }
    }

    /// The words in code order, as an array.
    ///
    /// # Errors
    /// A bug, if a word is not ASCII: callers give letters.
    pub fn values(&self) -> Result<StringViewArray> {
        let views = ScalarBuffer::from(self.views.clone());
        let blocks = self.blocks.iter().map(|block| Buffer::from(block.as_slice())).collect::<Vec<_>>();
        StringViewArray::try_new(views, blocks, None)
            .map_err(|error| Error::bug("the words of a batch are not text").with_source(error))
    }

    fn insert(&mut self, at: usize, view: u128) -> u32 {
        let code = self.views.len() as u32;
        let (low, high) = halves(view);
        self.slots[at] = Slot { low, high, generation: self.generation, code };
        self.views.push(view);
        if self.views.len() * 2 > self.slots.len() {
            self.grow();
        }
        code
    }

    #[cold]
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![Slot::default(); old.len() * 2];
        let mask = self.slots.len() - 1;
        for slot in old.into_iter().filter(|slot| slot.generation == self.generation) {
            let length = slot.low as u32 as usize;
            let hash = match length <= INLINE_BYTES_MAX {
                true => self.hash(slot.low, slot.high),
                false => self.hash_long(self.kept(slot.high, length)),
            };
            let mut at = hash & mask;
            while self.slots[at].generation == self.generation {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }

    /// Stores a long word; its place is the block's number and, from bit 32 on, the offset there.
    fn keep(&mut self, word: &[u8]) -> u64 {
        if self.blocks.last().is_none_or(|block| block.len() >= BLOCK_BYTES) {
            self.blocks.push(Vec::new());
        }
        let index = self.blocks.len() - 1;
        let block = &mut self.blocks[index];
        let offset = block.len();
        block.extend_from_slice(word);
        index as u64 | (offset as u64) << 32
    }

    fn kept(&self, place: u64, length: usize) -> &[u8] {
        let offset = (place >> 32) as usize;
        &self.blocks[place as u32 as usize][offset..offset + length]
    }

    #[inline]
    fn hash(&self, low: u64, high: u64) -> usize {
        fold(low ^ self.seeds[0], high ^ self.seeds[1]) as usize
    }

    fn hash_long(&self, word: &[u8]) -> usize {
        let mut state = self.seeds[0] ^ word.len() as u64;
        for chunk in word.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            state = fold(state ^ u64::from_le_bytes(bytes), self.seeds[1]);
        }
        state as usize
    }
}

/// The first half of a long word's view: its length and its first four letters.
fn head_of(word: &[u8]) -> u64 {
    let prefix = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
    word.len() as u64 | u64::from(prefix) << 32
}

#[inline]
fn halves(view: u128) -> (u64, u64) {
    (view as u64, (view >> 64) as u64)
}

/// 64 × 64 → 128 bits, folded: every bit of both reaches every bit of the result.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use catchment_contract::arrow::array::Array;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn code(table: &mut WordTable, word: &str) -> u32 {
        if word.len() > INLINE_BYTES_MAX {
            return table.long(word.as_bytes());
        }
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&(word.len() as u32).to_le_bytes());
        bytes[4..4 + word.len()].copy_from_slice(word.as_bytes());
        table.inline(u128::from_le_bytes(bytes))
    }

    #[test]
    fn codes_count_first_appearances_over_growth_and_reuse() {
        let seed = 11;
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let mut table = WordTable::default();
        for round in 0..4 {
            table.clear();
            let mut expect = HashMap::new();
            for _ in 0..20_000 {
                let length = random.random_range(3..16);
                let word = (0..length).map(|_| char::from(b'a' + random.random_range(0..3u8))).collect::<String>();
                let next = expect.len() as u32;
                let expected = *expect.entry(word.clone()).or_insert(next);
                assert_eq!(code(&mut table, &word), expected, "round {round}, {word}");
            }
            let values = table.values().unwrap();
            assert_eq!((values.len(), table.len()), (expect.len(), expect.len()));
            assert!(expect.iter().all(|(word, code)| values.value(*code as usize) == word));
        }
    }

    #[test]
    fn a_full_turn_of_generations_forgets_too() {
        let mut table = WordTable::default();
        assert_eq!(code(&mut table, "one"), 0);
        table.generation = u32::MAX;
        table.clear();
        assert_eq!((table.generation, code(&mut table, "two"), code(&mut table, "one")), (1, 0, 1));
    }
}

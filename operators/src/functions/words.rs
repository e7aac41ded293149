//! `words(text) -> list`: every maximal run of three or more of a–z in the lower-cased text, in order, repeats kept.
//!
//! Lower-casing is Unicode's full mapping, as Rust's and Python's: besides A–Z exactly two characters have a lower-case
//! form that holds ASCII letters, the Kelvin sign `K` (U+212A → `k`) and `İ` (U+0130 → `i` and a combining dot, which ends
//! a run). DuckDB maps `İ` to a bare `i`: there alone the two differ. Everything else outside a–z ends a run: digits,
//! apostrophes, letters with accents.
//!
//! **Cost.** Two passes over a text: a branch-free one that lower-cases and blanks what is no letter, and one that walks
//! the letters' bit mask run by run, 64 bytes at a time. Then one probe of the [`WordTable`] a word. No allocation a word
//! or a text: the scratch and the table live as long as their thread.
//!
//! The values of the list are `Dictionary(UInt32, Utf8View)`, each distinct word once a batch, in [`words_encoded`]; the
//! SQL function flattens them.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, ListArray, StringViewArray, UInt32Array,
};
use catchment_contract::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use catchment_contract::arrow::compute::take;
use catchment_contract::arrow::datatypes::{Field, UInt32Type};
use catchment_contract::{Error, Result};
use datafusion_expr::ScalarUDF;
use memchr::memmem::Finder;

use super::text_to_list::{TextToList, item_field, views};
use super::word_table::{INLINE_BYTES_MAX, WordTable};

/// The function's name in SQL.
pub(super) const NAME: &str = "words";

/// A run of letters shorter than this is no word.
const LETTERS_MIN: usize = 3;

/// How many bytes the run walker looks at together: one bit of its mask each.
const BLOCK: usize = 64;

/// By the length of a word that fits its view: the mask of its letters among the sixteen bytes read at its start.
const LETTERS: [u128; INLINE_BYTES_MAX + 1] = letters_masks();

thread_local! {
    static TOKENIZER: RefCell<Tokenizer> = RefCell::default();
}

static KELVIN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\u{212A}"));
static DOTTED_I: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\u{130}"));

/// The words of each text: a list column of `Dictionary(UInt32, Utf8View)`, null where the text is.
///
/// Words of up to 12 letters are held in their views; codes count first appearances in the batch.
///
/// # Errors
/// If the batch holds more than 2³¹ − 1 words, which a list column cannot number (some 8 GB of text).
pub fn words_encoded(text: &StringViewArray) -> Result<ListArray> {
    TOKENIZER.with_borrow_mut(|tokenizer| tokenizer.encode(text))
}

/// [`words_encoded`] over any column of text.
pub(super) fn encoded(text: &ArrayRef) -> Result<ArrayRef> {
    Ok(Arc::new(words_encoded(&views(NAME, text)?)?))
}

/// The SQL function, whose result is `List(Utf8View)` as it declares.
pub(super) fn udf() -> Arc<ScalarUDF> {
    TextToList::udf(NAME, |text| {
        let list = words_encoded(&views(NAME, text)?)?;
        let (_, offsets, values, nulls) = list.into_parts();
        let codes = values.as_dictionary::<UInt32Type>();
        let plain = take(codes.values(), codes.keys(), None).map_err(unlike_a_list)?;
        Ok(Arc::new(ListArray::try_new(item_field(), offsets, plain, nulls).map_err(unlike_a_list)?))
    })
}

fn unlike_a_list(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::bug("the result of words() is not a list").with_source(error)
}

/// The state that outlives a batch for its memory's sake.
#[derive(Default)]
struct Tokenizer {
    table: WordTable,
    /// The text at hand, lower-cased, with 0 for every byte that is no letter, and zeros behind it.
    letters: Vec<u8>,
    codes: Vec<u32>,
}

impl Tokenizer {
    fn encode(&mut self, text: &StringViewArray) -> Result<ListArray> {
        self.table.clear();
        self.codes.clear();
        let mut offsets = Vec::with_capacity(text.len() + 1);
        offsets.push(0);
        for row in 0..text.len() {
            if text.is_valid(row) {
                self.tokens(text.value(row));
            }
            offsets.push(i32::try_from(self.codes.len()).map_err(|_| {
                Error::user("a batch of texts holds more than 2147483647 words")
                    .with_hint("feed words() smaller batches")
            })?);
        }
        let codes = UInt32Array::from(self.codes.clone());
        let values = DictionaryArray::try_new(codes, Arc::new(self.table.values()?)).map_err(unlike_a_list)?;
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        ListArray::try_new(field, offsets, Arc::new(values), text.nulls().cloned()).map_err(unlike_a_list)
    }

    /// Appends the codes of the words of `text`.
    fn tokens(&mut self, text: &str) {
        lower_letters(text, &mut self.letters);
        let blocks = text.len() / BLOCK + 1;
        let mut open = None;
        for block in 0..blocks {
            let base = block * BLOCK;
            let mut bits = letter_mask(&self.letters[base..base + BLOCK]);
            if let Some(start) = open {
                let more = bits.trailing_ones() as usize;
                if more == BLOCK {
                    continue;
                }
                open = None;
                self.token(start, base + more);
                bits &= u64::MAX << more;
            }
            while bits != 0 {
                let skip = bits.trailing_zeros() as usize;
                let run = (bits >> skip).trailing_ones() as usize;
                if skip + run == BLOCK {
                    open = Some(base + skip);
                    break;
                }
                self.token(base + skip, base + skip + run);
                bits &= u64::MAX << (skip + run);
            }
        }
    }

    /// Appends the code of the run of letters from `start` to `end`, if it is long enough.
    #[inline]
    fn token(&mut self, start: usize, end: usize) {
        let length = end - start;
        if length < LETTERS_MIN {
            return;
        }
        let code = match self.letters[start..].first_chunk::<16>() {
            Some(bytes) if length <= INLINE_BYTES_MAX => {
                let letters = u128::from_le_bytes(*bytes) & LETTERS[length];
                self.table.inline(letters << 32 | length as u128)
            }
            _ => self.table.long(&self.letters[start..end]),
        };
        self.codes.push(code);
    }
}

/// Fills `letters` with one byte for each of `text`: the lower-case letter, or 0. Behind it zeros, to the end of the
/// last block and 16 more, so that a block and a word's view can be read from any place in the text.
fn lower_letters(text: &str, letters: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let size = (bytes.len() / BLOCK + 1) * BLOCK + 16;
    if letters.len() < size {
        letters.resize(size, 0);
    }
    if !text.is_ascii() && (KELVIN.find(bytes).is_some() || DOTTED_I.find(bytes).is_some()) {
        lower_every_letter(text, letters);
    } else {
        for (letter, byte) in letters.iter_mut().zip(bytes) {
            let lower = byte | 0x20;
            *letter = if lower.wrapping_sub(b'a') < 26 { lower } else { 0 };
        }
    }
    letters[bytes.len()..size].fill(0);
}

/// [`lower_letters`] for a text with a letter whose lower-case form is ASCII though it is not. Such a letter is longer
/// than its form: the bytes that it leaves over must not end the run, so letters move to the front as in the lower-cased
/// text, and zeros fill the end.
fn lower_every_letter(text: &str, letters: &mut [u8]) {
    let lower = text.chars().flat_map(char::to_lowercase).map(|c| if c.is_ascii_lowercase() { c as u8 } else { 0 });
    let mut written = 0;
    for (letter, lower) in letters.iter_mut().zip(lower) {
        *letter = lower;
        written += 1;
    }
    let end = text.len().max(written);
    letters[written..end].fill(0);
}

/// A bit for each byte of a block (64 bytes), set where the byte is not 0. Every letter has bit 6 set.
#[inline]
fn letter_mask(block: &[u8]) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let mut mask = 0;
    for (index, word) in words.iter().enumerate() {
        let ones = (u64::from_le_bytes(*word) >> 6) & 0x0101_0101_0101_0101;
        // The product brings the lowest bit of byte i to bit 56 + i.
        mask |= (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
    }
    mask
}

const fn letters_masks() -> [u128; INLINE_BYTES_MAX + 1] {
    let mut masks = [0; INLINE_BYTES_MAX + 1];
    let mut length = 1;
    while length <= INLINE_BYTES_MAX {
        masks[length] = u128::MAX >> (128 - 8 * length);
        length += 1;
    }
    masks
}

#[cfg(test)]
mod tests;

//! The seal on what is ours: a text whose damage is seen.
//!
//! ```text
//! {"format":4,"bytes":1234,"xxh3":"0123456789abcdef"}\n
//! the text: `bytes` bytes of JSON
//! ```
//!
//! | field | |
//! |---|---|
//! | `format` | version of the text's format |
//! | `bytes` | the text's length |
//! | `xxh3` | XXH3 of the text with `format` as its seed: 64 bits, sixteen lower-case hexadecimal digits |
//!
//! The first line is written in exactly one way, so a bit that flips in either line is seen.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    bytes: u64,
    xxh3: String,
}

impl Header {
    fn of(format: u32, text: &[u8]) -> Self {
        let sum = xxh3_64_with_seed(text, u64::from(format));
        Header { format, bytes: text.len() as u64, xxh3: format!("{sum:016x}") }
    }

    fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("numbers and text have a JSON form");
        line.push(b'\n');
        line
    }
}

/// The checksum of a file's bytes, as manifests keep it: sixteen lower-case hexadecimal digits.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64_with_seed(bytes, 0))
}

/// The text under its seal.
pub(crate) fn seal(format: u32, text: &[u8]) -> Vec<u8> {
    let mut sealed = Header::of(format, text).line();
    sealed.extend_from_slice(text);
    sealed
}

/// The text and its format, or what is wrong with it.
pub(crate) fn open(sealed: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    if sealed.is_empty() {
        return Err("it is empty");
    }
    let end = sealed.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (line, text) = sealed.split_at(end + 1);
    let header: Header = serde_json::from_slice(line).map_err(|_| "its first line is not what was written")?;
    if text.len() as u64 != header.bytes {
        return Err("it is shorter or longer than it was written");
    }
    if Header::of(header.format, text).line() != line {
        return Err("its checksum does not match");
    }
    Ok((header.format, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_damage_is_seen() {
        let text = br#"{"a":1,"b":["x"]}"#;
        let sealed = seal(4, text);
        assert_eq!(open(&sealed), Ok((4, &text[..])));
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1 << bit;
                assert!(open(&flipped).is_err(), "byte {at}, bit {bit}");
            }
            assert!(open(&sealed[..at]).is_err(), "cut at {at}");
        }
        assert!(open(&[&sealed[..], b"x"].concat()).is_err());
    }
}

//! Resume positions inside files.
//!
//! A position is text, words parted by one blank each, so that those of 100,000 files stay small:
//!
//! ```text
//! lines 1048230 912 e 1048230 1700000000000000 91f0kQ3… 4acP… -
//! values 5120 17 pe 812 1700000000000000 91f0kQ3… 0b1x… - [
//! │      │    │  │  │   │                │        │     │ └ inside
//! │      │    │  │  │   │                │        │     └ fold
//! │      │    │  │  │   │                │        └ hash
//! │      │    │  │  │   │                └ head
//! │      │    │  │  │   └ modified
//! │      │    │  │  └ bytes
//! │      │    │  └ flags
//! │      │    └ records
//! │      └ offset
//! └ cut
//! ```
//!
//! - *cut*: how the file is read: `lines`, `values` (JSON values wherever they end), `document` (as a whole), `alien`
//!   (something else, which is one reject).
//! - *offset*: bytes of the unpacked text before the next record; *records*: lines or values before it.
//! - *flags*: `o`, the last record had no newline at its end; `e`, the file had nothing more when it had `bytes` bytes;
//!   `p`, it is packed or in another encoding, so that it is read from its beginning to go on; `r`, it had been changed so
//!   shortly before that its time cannot tell whether it has been changed since. `-` for none.
//! - *bytes*, *modified*: size of the file as stored when it was opened, and the time of its last change in microseconds
//!   since 1970.
//! - *head*: XXH3-64 of its first 4 KiB (of all of it, if it is shorter).
//! - *hash*: [content hash](super::content_hash) of all its `bytes` bytes; of the first 64 KiB for an alien; `-` before the
//!   end was reached.
//! - *fold*: the content hash's fold before the block that holds `offset`; `-` in the first block and for files that are
//!   packed.
//! - *inside*: for values, the containers around the next one, outermost first; left out where there is none.
//!
//! Hashes are written with six bits a character, least significant first, in the digits `0-9a-zA-Z_~`.
//!
//! **The same content is not new**, whatever its name and time: see [`FileSet::discover`](super::FileSet::discover).

use std::fmt::{self, Write};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use catchment_contract::{Error, Position, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::alien::SNIFF_BYTES;
use super::content_hash::{BLOCK_BYTES, ContentHash};
use super::find::Stamp;

/// How much of a file's beginning is hashed to look for it.
pub(super) const HEAD_BYTES: u64 = 4096;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As lines.
    Lines,
    /// As JSON values, wherever they begin and end.
    Values,
    /// As one document.
    Document,
    /// Not at all: it is something else.
    Alien,
}

impl Cut {
    const ALL: [(Cut, &'static str); 4] =
        [(Cut::Lines, "lines"), (Cut::Values, "values"), (Cut::Document, "document"), (Cut::Alien, "alien")];

    fn name(self) -> &'static str {
        Cut::ALL.iter().find(|(cut, _)| *cut == self).map_or("", |(_, name)| name)
    }

    /// How the file of a payload at `position` is read: what a decoder asks that must say where a record stands.
    pub fn of(position: &Position) -> Option<Cut> {
        let name = position.0.split(' ').next()?;
        Cut::ALL.iter().find(|(_, known)| *known == name).map(|(cut, _)| *cut)
    }
}

/// How far a file was read, and which file it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// How it is read.
    pub cut: Cut,
    /// Bytes of the unpacked text before the next record.
    pub offset: u64,
    /// Records before the next one.
    pub records: u64,
    /// The last record ended at the file's end, without a newline.
    pub open: bool,
    /// The file had nothing more at this size.
    pub end: bool,
    /// The file is packed, or its text is converted.
    pub packed: bool,
    /// The containers around the next value: `[` and `{`.
    pub inside: String,
    /// The file as it was.
    pub file: Fingerprint,
}

/// What tells whether a file is the one that was read, or that one grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Size as stored.
    pub bytes: u64,
    /// Time of the last change, in microseconds since 1970.
    pub modified_us: i64,
    /// The file was changed so shortly before it was opened that its time tells nothing of later changes.
    pub racy: bool,
    /// XXH3-64 of the first 4 KiB.
    pub head: u64,
    /// Hash of the whole content.
    pub hash: Option<u128>,
    /// The content hash's fold before the block of the position's offset.
    pub fold: Option<u128>,
}

impl FilePosition {
    /// The position as the contract carries it.
    pub fn encode(&self) -> Position {
        let FilePosition { cut, offset, records, open, end, packed, inside, file } = self;
        let flags: String = [(*open, 'o'), (*end, 'e'), (*packed, 'p'), (file.racy, 'r')]
            .into_iter()
            .filter_map(|(set, flag)| set.then_some(flag))
            .collect();
        let flags = if flags.is_empty() { "-" } else { &flags };
        let (head, hash, fold) = (Digits(Some(file.head.into())), Digits(file.hash), Digits(file.fold));
        let mut text = format!(
            "{} {offset} {records} {flags} {} {} {head} {hash} {fold}",
            cut.name(),
            file.bytes,
            file.modified_us
        );
        if !inside.is_empty() {
            text.push(' ');
            text.push_str(inside);
        }
        Position(text)
    }

    /// The position in `text`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is none of ours.
    pub fn decode(text: &Position, partition: &str) -> Result<Self> {
        read(text).ok_or_else(|| {
            Error::data(format!("cannot resume file \"{partition}\": its position is not one of a file source"))
                .with_hint("the source's connector may have changed: add --reset once to load everything anew")
        })
    }

    /// Whether both are the same place of the same content, whatever the clock says.
    pub(super) fn is_same_place(&self, other: &FilePosition) -> bool {
        let stripped = |position: &FilePosition| {
            let file = Fingerprint { racy: false, ..position.file.clone() };
            FilePosition { file, ..position.clone() }
        };
        stripped(self) == stripped(other)
    }

    /// Bytes as stored to read from this position on, in a file that now has `bytes`: a packed file is read from its
    /// beginning.
    pub(super) fn bytes_left(&self, bytes: u64) -> u64 {
        match (self.cut, self.packed) {
            (Cut::Lines | Cut::Values, false) => bytes.saturating_sub(self.offset),
            _ => bytes,
        }
    }

    /// Where a reader begins that goes on from here: the offset as stored, and the hash of everything before it.
    pub(super) fn begin(&self) -> (u64, ContentHash) {
        match self.file.fold {
            Some(fold) if !self.packed => {
                let blocks = self.offset / BLOCK_BYTES;
                (blocks * BLOCK_BYTES, ContentHash::after(blocks, fold))
            }
            _ => (0, ContentHash::new()),
        }
    }

    /// Whether `file` begins with the bytes that were read; `whole` looks at all of them, else at the first 4 KiB and the
    /// block of the position.
    pub(super) fn is_prefix_of(&self, file: &mut File, whole: bool) -> io::Result<bool> {
        let known = &self.file;
        if file.metadata()?.len() < known.bytes || head(file, known.bytes)? != known.head {
            return Ok(false);
        }
        if self.cut == Cut::Alien {
            return Ok(Some(hash_of(file, 0, known.bytes.min(SNIFF_BYTES as u64), ContentHash::new())?) == known.hash);
        }
        let Some(hash) = known.hash else { return Ok(true) };
        let (begin, before) = if whole { (0, ContentHash::new()) } else { self.begin() };
        Ok(hash_of(file, begin, known.bytes, before)? == hash)
    }
}

impl Fingerprint {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { bytes: self.bytes, modified_us: self.modified_us }
    }
}

/// The hash of the first [`HEAD_BYTES`] of a file that has `bytes`, or had.
pub(super) fn head(file: &mut File, bytes: u64) -> io::Result<u64> {
    file.rewind()?;
    let mut head = Vec::with_capacity(HEAD_BYTES.min(bytes) as usize);
    file.take(HEAD_BYTES.min(bytes)).read_to_end(&mut head)?;
    Ok(xxh3_64(&head))
}

/// The content hash of a file's first `end` bytes, of which those before `begin` hash to `hash`.
pub(super) fn hash_of(file: &mut File, begin: u64, end: u64, mut hash: ContentHash) -> io::Result<u128> {
    file.seek(SeekFrom::Start(begin))?;
    let mut rest = file.take(end.saturating_sub(begin));
    let mut buffer = vec![0; (end.saturating_sub(begin)).clamp(1, 256 << 10) as usize];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => return Ok(hash.hash()),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn read(text: &Position) -> Option<FilePosition> {
    let cut = Cut::of(text)?;
    let mut words = text.0.split(' ').skip(1);
    let (offset, records) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let flags = words.next()?;
    let (bytes, modified_us) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let head = u64::try_from(Digits::read(words.next()?)??).ok()?;
    let (hash, fold) = (Digits::read(words.next()?)?, Digits::read(words.next()?)?);
    let inside = words.next().unwrap_or_default();
    if words.next().is_some() || !inside.bytes().all(|byte| matches!(byte, b'[' | b'{')) {
        return None;
    }
    let racy = flags.contains('r');
    let file = Fingerprint { bytes, modified_us, racy, head, hash, fold };
    let flag = |flag| flags.contains(flag);
    let inside = inside.to_owned();
    Some(FilePosition { cut, offset, records, open: flag('o'), end: flag('e'), packed: flag('p'), inside, file })
}

/// A number in digits of six bits; `-` for none.
struct Digits(Option<u128>);

const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_~";

impl Digits {
    /// `None` if `text` is no number.
    fn read(text: &str) -> Option<Option<u128>> {
        if text == "-" {
            return Some(None);
        }
        let mut value = 0_u128;
        for digit in text.bytes().rev() {
            let digit = DIGITS.iter().position(|known| *known == digit)? as u128;
            value = value.checked_mul(64)?.checked_add(digit)?;
        }
        Some(Some(value))
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mut value) = self.0 else { return f.write_char('-') };
        loop {
            f.write_char(char::from(DIGITS[(value % 64) as usize]))?;
            value /= 64;
            if value == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_short_and_come_back() {
        let file = Fingerprint {
            bytes: 81_231,
            modified_us: 1_700_000_000_000_000,
            racy: true,
            head: u64::MAX,
            hash: Some(u128::MAX),
            fold: None,
        };
        for (cut, inside) in [(Cut::Lines, ""), (Cut::Values, "[{["), (Cut::Document, ""), (Cut::Alien, "")] {
            let position = FilePosition {
                cut,
                offset: 1_048_230,
                records: 912,
                open: true,
                end: false,
                packed: true,
                inside: inside.to_owned(),
                file: file.clone(),
            };
            let text = position.encode();
            assert_eq!(FilePosition::decode(&text, "p").unwrap(), position);
            assert_eq!(Cut::of(&text), Some(cut));
            assert!(text.0.len() < 100, "{} bytes: {}", text.0.len(), text.0);
        }
        for wrong in
            ["", "lines", "lines 1 2 - 3 4 5 - - x", "lines 1 2 - 3 4 - - -", "{\"lines\":{}}", "lines 1 2 - 3 4 5 é -"]
        {
            assert!(FilePosition::decode(&Position(wrong.to_owned()), "p").is_err(), "{wrong}");
        }
    }
}

//! Resume positions inside files.
//!
//! A position is JSON text, one object, in one of two forms:
//!
//! ```json
//! {"lines":{"offset":1048230,"line":912,"open":false,"end":false,"packed":true,"file":{"bytes":81231,"modified_us":1700000000000000,"head":"91f0…","tail":"04ac…"}}}
//! {"document":{"bytes":5120,"modified_us":1700000000000000,"hash":"e2b1…"}}
//! ```
//!
//! - `offset`: bytes of the *decompressed* file before the next record; `line`: lines before it; `open`: the last
//!   record had no newline at its end; `end`: the file had nothing more when it had `file.bytes` bytes;
//!   `packed`: it is compressed.
//! - `file`: the file as stored (compressed, if so) when it was opened: size, time of the last change, and the XXH3-64 of
//!   its first and of its last 4 KiB.
//! - `hash`: the XXH3-64 of the whole document as stored.
//!
//! **A file has grown** when it is larger and the bytes where its head and its former tail were hash as before. **It was
//! replaced** when they do not, or when it shrank, or when its time changed while its size did not: it is then read from
//! its beginning. A file whose size and time are as before is not opened to find out.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use catchment_contract::{Error, Position, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::find::{Found, Stamp};

/// How much of a file's head and tail is hashed.
const SAMPLE_BYTES: u64 = 4096;

/// A file's position, decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilePosition {
    /// Inside a file of lines.
    Lines(LinePosition),
    /// After a whole document.
    Document(DocumentPosition),
}

/// Where to go on in a file of lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinePosition {
    /// Bytes of the decompressed file before the next record.
    pub offset: u64,
    /// Lines before the next record.
    pub line: u64,
    /// The record before ended at the file's end, without a newline.
    pub open: bool,
    /// The file had nothing more at this size.
    pub end: bool,
    /// The file is compressed.
    pub packed: bool,
    /// The file as it was.
    pub file: Fingerprint,
}

/// A document that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentPosition {
    /// Size as stored.
    pub bytes: u64,
    /// Time of the last change, in microseconds since 1970.
    pub modified_us: i64,
    /// XXH3-64 of the file as stored, in hexadecimal.
    pub hash: String,
}

/// Tells whether a file is the one that was read, or that one grown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Size as stored.
    pub bytes: u64,
    /// Time of the last change, in microseconds since 1970.
    pub modified_us: i64,
    /// XXH3-64 of the first 4 KiB (or less, if the file is shorter), in hexadecimal.
    pub head: String,
    /// XXH3-64 of the last 4 KiB before `bytes`, in hexadecimal.
    pub tail: String,
}

impl FilePosition {
    /// The position as the contract carries it.
    pub fn encode(&self) -> Position {
        Position(serde_json::to_string(self).expect("plain structs with string keys always encode"))
    }

    /// The position in `text`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is none of ours.
    pub fn decode(text: &Position, partition: &str) -> Result<Self> {
        serde_json::from_str(&text.0).map_err(|error| {
            Error::data(format!("cannot resume file \"{partition}\": its position is not one of a file source"))
                .with_hint("the source's connector may have changed: add --reset once to load everything anew")
                .with_source(error)
        })
    }

    /// Whether a payload at `position` is a whole document rather than lines: what a decoder that reads both asks.
    pub fn is_document(position: &Position) -> bool {
        position.0.starts_with("{\"document\"")
    }

    /// Bytes as stored to read from this position on, in a file that now has `bytes`: a compressed file is read from its
    /// beginning.
    pub(super) fn bytes_left(&self, bytes: u64) -> u64 {
        match self {
            FilePosition::Lines(position) if !position.packed => bytes.saturating_sub(position.offset),
            FilePosition::Lines(_) | FilePosition::Document(_) => bytes,
        }
    }

    /// What a file that was read up to this position needs now.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn compare(&self, now: &Found) -> Result<Change> {
        match self {
            FilePosition::Lines(position) => position.compare(now),
            FilePosition::Document(position) => position.compare(now),
        }
        .map_err(|error| super::find::path_error(&now.path, error))
    }
}

/// What a file that was read before needs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: all of it was read.
    None,
    /// To be read on from its position.
    Grown,
    /// To be read from its beginning.
    Replaced,
}

impl LinePosition {
    fn compare(&self, now: &Found) -> io::Result<Change> {
        let same = now.stamp == self.file.stamp();
        if same && self.end {
            return Ok(Change::None);
        }
        if !same && now.stamp.bytes <= self.file.bytes {
            return Ok(Change::Replaced);
        }
        let intact = self.file.is_prefix_of(&mut File::open(&now.path)?)?;
        Ok(if intact { Change::Grown } else { Change::Replaced })
    }
}

impl DocumentPosition {
    fn compare(&self, now: &Found) -> io::Result<Change> {
        if now.stamp == (Stamp { bytes: self.bytes, modified_us: self.modified_us }) {
            return Ok(Change::None);
        }
        let same = now.stamp.bytes == self.bytes && hash_file(&now.path)? == self.hash;
        Ok(if same { Change::None } else { Change::Replaced })
    }
}

impl Fingerprint {
    /// The fingerprint of the first `stamp.bytes` of `file`. Leaves the file at its beginning.
    pub(super) fn take(file: &mut File, stamp: Stamp) -> io::Result<Self> {
        let made = Fingerprint {
            bytes: stamp.bytes,
            modified_us: stamp.modified_us,
            head: sample(file, 0, stamp.bytes)?,
            tail: sample(file, stamp.bytes.saturating_sub(SAMPLE_BYTES), stamp.bytes)?,
        };
        file.rewind()?;
        Ok(made)
    }

    /// Whether `file` begins with the bytes that this is the fingerprint of.
    pub(super) fn is_prefix_of(&self, file: &mut File) -> io::Result<bool> {
        if file.metadata()?.len() < self.bytes {
            return Ok(false);
        }
        Fingerprint::take(file, self.stamp()).map(|now| now == *self)
    }

    fn stamp(&self) -> Stamp {
        Stamp { bytes: self.bytes, modified_us: self.modified_us }
    }
}

/// The hash of at most [`SAMPLE_BYTES`] between `start` and `end`.
fn sample(file: &mut File, start: u64, end: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::with_capacity(SAMPLE_BYTES as usize);
    file.take(SAMPLE_BYTES.min(end - start)).read_to_end(&mut bytes)?;
    Ok(hex(xxh3_64(&bytes)))
}

pub(super) fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(hash.digest())),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// Hexadecimal text of a hash: JSON numbers lose bits above 53 in some readers.
fn hex(hash: u64) -> String {
    format!("{hash:016x}")
}

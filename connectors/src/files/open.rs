//! One open file: its unpacked text, with what is needed to say where it came from.
//!
//! The file is read up to the size that it had when it was opened, so that a position always belongs to a known size;
//! what is appended meanwhile is found by the next `discover`.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use catchment_contract::{Environment, PartitionReader, Payload, Reject, Result, Unfinished};

use super::alien::{Alien, SNIFF_BYTES, binary};
use super::compression::Compression;
use super::content_hash::{BLOCK_BYTES, ContentHash};
use super::document::DocumentReader;
use super::find::{Stamp, path_error};
use super::lines::{IsComplete, LineReader};
use super::position::{Cut, FilePosition, Fingerprint, hash_of, head};
use super::stream::{End, Stream};
use super::values::ValueReader;

/// A packed file that ends in the middle and was not changed for so long is taken to be cut off for good.
const QUIET: Duration = Duration::from_secs(60);

/// A document that has not changed for so long is taken to be whole.
const SETTLED: Duration = Duration::from_millis(100);

/// How long a document is waited for that goes on changing.
const SETTLED_MAX: Duration = Duration::from_secs(2);

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What became of a partition that was to be opened.
pub enum Opened {
    /// Text to be cut into records.
    Text(Box<OpenFile>),
    /// There is nothing to cut: the file is gone, was changed since it was looked at, is known already, or holds something
    /// else than text.
    Decided(Box<dyn PartitionReader>),
}

/// A file of text that was opened at a position, before anybody decided how to cut it.
pub struct OpenFile {
    pub(super) partition: Arc<str>,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    head: u64,
    racy: bool,
    pub(super) stream: Stream,
    pub(super) from: Option<FilePosition>,
    pub(super) environment: Environment,
}

impl OpenFile {
    /// Opens `path` as `partition`, at `from`.
    pub(super) fn open(
        partition: &str,
        path: PathBuf,
        from: Option<FilePosition>,
        environment: &Environment,
    ) -> Result<Opened> {
        let failed = |error| path_error(&path, error);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing()),
            opened => opened.map_err(failed)?,
        };
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            // A folder that could not be listed stands for the files in it.
            return std::fs::read_dir(&path).map(|_| nothing()).map_err(failed);
        }
        let stamp = Stamp::new(&metadata);
        let known = from.as_ref().is_some_and(|from| from.end && from.file.bytes == stamp.bytes);
        if let Some(from) = &from
            && !from.is_prefix_of(&mut file, known).map_err(failed)?
        {
            tracing::info!(path = %path.display(), "the file was replaced between look and open; it is looked at again");
            return Ok(nothing());
        }
        let racy = stamp.is_racy(environment);
        let head = head(&mut file, stamp.bytes).map_err(failed)?;
        if let Some(from) = from.as_ref().filter(|_| known) {
            if stamp == from.file.stamp() {
                return Ok(nothing());
            }
            let file = Fingerprint { modified_us: stamp.modified_us, racy, ..from.file.clone() };
            let position = FilePosition { file, ..from.clone() };
            return Ok(Opened::Decided(Box::new(Once(Some(payload(partition.into(), &position, Vec::new()))))));
        }
        let (begin, hash) = from.as_ref().map_or_else(|| (0, ContentHash::new()), FilePosition::begin);
        let stream = Stream::new(file, begin, stamp.bytes, hash).map_err(failed)?;
        let (partition, environment) = (Arc::from(partition), environment.clone());
        let mut made = OpenFile { partition, path, stamp, head, racy, stream, from, environment };
        made.seek().map_err(|error| path_error(&made.path, error))?;
        if made.stream.offset == 0 || made.stream.offset == BOM.len() as u64 {
            let alien = binary(made.sniff(SNIFF_BYTES)?);
            if let Some(alien) = alien {
                return made.into_alien(alien).map(Opened::Decided);
            }
        }
        Ok(Opened::Text(Box::new(made)))
    }

    /// How the file is packed.
    pub fn compression(&self) -> Compression {
        self.stream.compression
    }

    /// How the file was read before, where it is opened at a position inside it.
    pub fn resumes(&self) -> Option<Cut> {
        self.from.as_ref().map(|from| from.cut).filter(|cut| *cut != Cut::Alien)
    }

    /// Whether the file was changed so lately that a writer may be at work on it.
    pub(super) fn is_fresh(&self) -> bool {
        self.stamp.age(&self.environment) < QUIET
    }

    /// The first bytes after the position, unpacked and without a byte order mark: `bytes_max` of them, or all if the
    /// file has fewer, or those before a damage. They stay to be read.
    ///
    /// # Errors
    /// If the file cannot be read; damage is none.
    pub fn sniff(&mut self, bytes_max: usize) -> Result<&[u8]> {
        self.stream.sniff(bytes_max).map_err(|error| path_error(&self.path, error))
    }

    /// Reads the file as lines. `is_complete` judges a last line that has no newline: see [`LineReader`].
    pub fn into_lines(self, is_complete: Option<IsComplete>, unfinished: Unfinished) -> LineReader {
        LineReader::new(self, is_complete, unfinished)
    }

    /// Reads the file as JSON values, wherever they begin and end: see [`ValueReader`].
    pub fn into_values(self, unfinished: Unfinished) -> ValueReader {
        ValueReader::new(self, unfinished)
    }

    /// Reads the file as one document, from its beginning.
    pub fn into_document(self, unfinished: Unfinished) -> DocumentReader {
        DocumentReader::new(self, unfinished)
    }

    /// Reads nothing more of the file: it holds something else than its source reads, which is one reject.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn into_alien(mut self, alien: Alien) -> Result<Box<dyn PartitionReader>> {
        let bytes = self.stamp.bytes;
        let sample = File::open(&self.path)
            .and_then(|mut file| hash_of(&mut file, 0, bytes.min(SNIFF_BYTES as u64), ContentHash::new()));
        let sample = match sample {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            sample => Some(sample.map_err(|error| path_error(&self.path, error))?),
        };
        let mut position = self.position(Cut::Alien, 0, 0);
        position.end = true;
        position.file.hash = sample;
        position.file.fold = None;
        // One that has grown and is what it was is the reject that it was.
        let told = self.from.as_ref().is_some_and(|from| from.cut == Cut::Alien);
        let raw = self.stream.ahead.iter().take(RAW_BYTES).copied().collect::<Vec<u8>>();
        let reject = Reject::new("byte 0", Some(&raw), alien.reason());
        let rejects = if told { Vec::new() } else { vec![reject] };
        let mut made = payload(self.partition.clone(), &position, rejects);
        made.bytes_read = self.stream.bytes_read();
        Ok(Box::new(Once(Some(made))))
    }

    /// The file once it has not changed for a tenth of a second, opened at its beginning: a document tells nobody whether
    /// its writer is done. Waits two seconds at most.
    ///
    /// # Errors
    /// If the file cannot be looked at or opened again.
    pub fn settled(self) -> Result<Opened> {
        let environment = self.environment.clone();
        let began = environment.now();
        loop {
            let stamp = match std::fs::metadata(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing()),
                metadata => Stamp::new(&metadata.map_err(|error| path_error(&self.path, error))?),
            };
            let age = stamp.age(&environment);
            if age >= SETTLED || environment.now().saturating_duration_since(began) >= SETTLED_MAX {
                return match stamp == self.stamp {
                    true => Ok(Opened::Text(Box::new(self))),
                    false => OpenFile::open(&self.partition, self.path, None, &environment),
                };
            }
            environment.sleep(SETTLED - age);
        }
    }

    /// A position of this file, before its end: readers set what else they know.
    pub(super) fn position(&self, cut: Cut, offset: u64, records: u64) -> FilePosition {
        let packed = self.stream.compression != Compression::Plain || self.stream.converted;
        let (hash, hashed) = self.stream.stored.hash();
        let fold = self.stream.stored.fold_before(offset).filter(|_| !packed && offset >= BLOCK_BYTES);
        let hash = if hashed == self.stamp.bytes { Some(hash) } else { None };
        let Stamp { bytes, modified_us } = self.stamp;
        let file = Fingerprint { bytes, modified_us, racy: self.racy, head: self.head, hash, fold };
        FilePosition { cut, offset, records, open: false, end: false, packed, inside: String::new(), file }
    }

    /// A position at the end of the stream. What lies behind damage is hashed too, so that the file is known again.
    pub(super) fn last_position(&self, cut: Cut, offset: u64, records: u64) -> Result<FilePosition> {
        let mut position = self.position(cut, offset, records);
        if position.file.hash.is_none() && !matches!(self.stream.end, Some(End::Clean)) {
            let same = |file: &File| file.metadata().is_ok_and(|metadata| Stamp::new(&metadata) == self.stamp);
            position.file.hash = match File::open(&self.path) {
                Ok(mut file) if same(&file) => {
                    let hash = hash_of(&mut file, 0, self.stamp.bytes, ContentHash::new());
                    Some(hash.map_err(|error| path_error(&self.path, error))?)
                }
                _ => None,
            };
        }
        Ok(position)
    }

    /// Moves to the position, or past a byte order mark at the file's beginning.
    fn seek(&mut self) -> io::Result<()> {
        let offset = self.from.as_ref().map_or(0, |position| position.offset);
        if offset > 0 {
            return self.stream.skip(offset.saturating_sub(self.stream.offset));
        }
        let marked = self.stream.sniff(BOM.len())?.starts_with(BOM);
        if marked { self.stream.skip(BOM.len() as u64) } else { Ok(()) }
    }
}

/// How much of an alien its reject shows: what it is stands in the reason.
const RAW_BYTES: usize = 256;

/// A payload of no records.
fn payload(partition: Arc<str>, position: &FilePosition, rejects: Vec<Reject>) -> Payload {
    Payload { partition, bytes: Vec::new(), first_record: 1, bytes_read: 0, position: position.encode(), rejects }
}

fn nothing() -> Opened {
    Opened::Decided(Box::new(Once(None)))
}

/// Yields what was decided when the file was opened.
struct Once(Option<Payload>);

impl PartitionReader for Once {
    fn next(&mut self) -> Result<Option<Payload>> {
        Ok(self.0.take())
    }
}

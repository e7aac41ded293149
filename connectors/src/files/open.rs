//! One open file: its decompressed bytes, with what is needed to say where they came from.
//!
//! The file is read up to the size that it had when it was opened, so that a position always belongs to a known size;
//! what is appended meanwhile is found by the next `discover`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use catchment_contract::{Error, Result, Unfinished};

use super::compression::{Compression, MAGIC_BYTES};
use super::document::DocumentReader;
use super::find::{Stamp, path_error};
use super::lines::{IsComplete, LineReader};
use super::position::{FilePosition, Fingerprint, LinePosition};

/// Size of reads from the file: 256 KiB, so that a system call costs nothing beside what is done with its bytes.
const READ_BYTES: usize = 256 << 10;

/// A packed file that ends in the middle and was not changed for so long is taken to be cut off for good.
const QUIET: Duration = Duration::from_secs(60);

/// A document that has not changed for so long is taken to be whole.
const SETTLED: Duration = Duration::from_millis(100);

/// How long a document is waited for that goes on changing.
const SETTLED_MAX: Duration = Duration::from_secs(2);

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A file that was opened at a position, before anybody decided how to cut it.
pub struct OpenFile {
    pub(super) partition: Arc<str>,
    pub(super) path: PathBuf,
    pub(super) fingerprint: Fingerprint,
    pub(super) stream: Stream,
    pub(super) from: Option<LinePosition>,
}

impl OpenFile {
    /// Opens `path` as `partition`, at `from`.
    pub(super) fn open(partition: &str, path: PathBuf, from: Option<FilePosition>) -> Result<Self> {
        let failed = |error| path_error(&path, error);
        let mut file = File::open(&path).map_err(failed)?;
        let stamp = Stamp::new(&file.metadata().map_err(failed)?);
        let from = match from {
            Some(FilePosition::Lines(position)) => Some(position),
            Some(FilePosition::Document(_)) | None => None,
        };
        if let Some(position) = &from
            && !position.file.is_prefix_of(&mut file).map_err(failed)?
        {
            return Err(Error::data(format!("cannot resume file \"{}\": it was replaced", path.display()))
                .with_hint("run the job again: it then reads the file from its beginning"));
        }
        let fingerprint = Fingerprint::take(&mut file, stamp).map_err(failed)?;
        let stream = Stream::new(file, stamp.bytes).map_err(failed)?;
        let mut made = OpenFile { partition: partition.into(), path, fingerprint, stream, from };
        made.seek()?;
        Ok(made)
    }

    /// How the file is packed.
    pub fn compression(&self) -> Compression {
        self.stream.compression
    }

    /// Whether the file is opened at a position inside it, which only [`OpenFile::into_lines`] can go on from.
    pub fn resumes(&self) -> bool {
        self.from.is_some()
    }

    /// Whether the file was changed so lately that a writer may be at work on it.
    pub(super) fn is_fresh(&self) -> bool {
        let Fingerprint { bytes, modified_us, .. } = self.fingerprint;
        age(Stamp { bytes, modified_us }) < QUIET
    }

    /// The first bytes after the position, decompressed and without a byte order mark: `bytes_max` of them, or all if the
    /// file has fewer, or those before a damage. They stay to be read.
    ///
    /// # Errors
    /// If the file cannot be read; damage is none.
    pub fn sniff(&mut self, bytes_max: usize) -> Result<&[u8]> {
        while self.stream.ahead.len() < bytes_max && self.stream.end.is_none() {
            let mut ahead = std::mem::take(&mut self.stream.ahead);
            let filled = self.stream.fill(&mut ahead, bytes_max);
            self.stream.ahead = ahead;
            filled.map_err(|error| path_error(&self.path, error))?;
        }
        Ok(&self.stream.ahead[..self.stream.ahead.len().min(bytes_max)])
    }

    /// Reads the file as lines. `is_complete` judges a last line that has no newline: see [`LineReader`].
    pub fn into_lines(self, is_complete: Option<IsComplete>, unfinished: Unfinished) -> LineReader {
        LineReader::new(self, is_complete, unfinished)
    }

    /// Reads the file as one document, from its beginning.
    pub fn into_document(self, unfinished: Unfinished) -> DocumentReader {
        DocumentReader::new(self, unfinished)
    }

    /// The file once it has not changed for a tenth of a second, opened at its beginning: a document tells nobody whether
    /// its writer is done. Waits two seconds at most.
    ///
    /// # Errors
    /// If the file cannot be looked at or opened again.
    pub fn settled(self) -> Result<Self> {
        let began = Instant::now();
        loop {
            let metadata = std::fs::metadata(&self.path).map_err(|error| path_error(&self.path, error))?;
            let stamp = Stamp::new(&metadata);
            let age = age(stamp);
            if age >= SETTLED || began.elapsed() >= SETTLED_MAX {
                let same = stamp == Stamp { bytes: self.fingerprint.bytes, modified_us: self.fingerprint.modified_us };
                return if same { Ok(self) } else { OpenFile::open(&self.partition, self.path, None) };
            }
            std::thread::sleep(SETTLED - age);
        }
    }

    /// Moves to the position, or past a byte order mark at the file's beginning.
    fn seek(&mut self) -> Result<()> {
        let offset = self.from.as_ref().map_or(0, |position| position.offset);
        if offset == 0 {
            let marked = self.sniff(BOM.len())?.starts_with(BOM);
            return if marked { self.skip(BOM.len() as u64) } else { Ok(()) };
        }
        if self.stream.compression != Compression::Plain {
            return self.skip(offset);
        }
        self.stream.seek_plain(offset, self.fingerprint.bytes).map_err(|error| path_error(&self.path, error))
    }

    /// Drops `bytes` decompressed bytes. A stream that ends before shows it at the next read.
    fn skip(&mut self, bytes: u64) -> Result<()> {
        let target = self.stream.offset + bytes;
        let mut scratch = std::mem::take(&mut self.stream.ahead);
        loop {
            let drop = (target - self.stream.offset).min(scratch.len() as u64) as usize;
            scratch.drain(..drop);
            self.stream.offset += drop as u64;
            if self.stream.offset == target || self.stream.end.is_some() {
                break;
            }
            self.stream.fill(&mut scratch, READ_BYTES).map_err(|error| path_error(&self.path, error))?;
        }
        self.stream.ahead = scratch;
        Ok(())
    }
}

/// How long ago a file was changed; nothing for one that says it will be.
fn age(stamp: Stamp) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_micros(u64::try_from(stamp.modified_us).unwrap_or(0)))
}

/// Why a stream yields no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is at its end.
    Clean,
    /// It is packed and ends in the middle, for this reason: it was cut off, or somebody is writing it.
    CutOff(String),
    /// It is damaged, for this reason.
    Damaged(String),
}

/// Decompressed bytes of a file.
pub(super) struct Stream {
    unpacked: Box<dyn Read + Send>,
    packed: Packed,
    pub(super) compression: Compression,
    /// Bytes that were read ahead of [`Stream::offset`].
    pub(super) ahead: Vec<u8>,
    /// Decompressed bytes that were handed on.
    pub(super) offset: u64,
    /// Set once no more bytes come.
    pub(super) end: Option<End>,
    reported: u64,
}

/// What is known of the packed side while a decompressor owns the file.
#[derive(Clone)]
struct Packed {
    file: Arc<File>,
    bytes: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl Stream {
    fn new(mut file: File, bytes: u64) -> io::Result<Self> {
        let mut head = Vec::with_capacity(MAGIC_BYTES);
        (&mut file).take(bytes.min(MAGIC_BYTES as u64)).read_to_end(&mut head)?;
        file.rewind()?;
        let compression = Compression::of(&head);
        let packed = Packed {
            file: Arc::new(file),
            bytes: Arc::new(AtomicU64::new(0)),
            failed: Arc::new(AtomicBool::new(false)),
        };
        let limited = BufReader::with_capacity(READ_BYTES, packed.clone().take(bytes));
        let end = match compression {
            Compression::Unsupported(name) => Some(End::Damaged(format!(
                "the file is packed with {name}, which is not read: pack it with zstd, gzip or bzip2"
            ))),
            _ => None,
        };
        let unpacked = compression.unpack(limited)?;
        Ok(Stream { unpacked, packed, compression, ahead: Vec::new(), offset: 0, end, reported: 0 })
    }

    /// Appends decompressed bytes to `buffer` until it is `len` long or the stream ends, which sets [`Stream::end`].
    /// Does not move [`Stream::offset`].
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, len: usize) -> io::Result<()> {
        let mut filled = buffer.len();
        if filled >= len || self.end.is_some() {
            return Ok(());
        }
        buffer.resize(len, 0);
        let result = loop {
            match self.unpacked.read(&mut buffer[filled..]) {
                Ok(0) if filled < len => {
                    self.end = Some(End::Clean);
                    break Ok(());
                }
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.packed.failed.load(Ordering::Relaxed) => break Err(error),
                Err(error) => {
                    let reason = self.damage(&error);
                    self.end = Some(match error.kind() {
                        io::ErrorKind::UnexpectedEof => End::CutOff(reason),
                        _ => End::Damaged(reason),
                    });
                    break Ok(());
                }
            }
            if filled == len {
                break Ok(());
            }
        };
        buffer.truncate(filled);
        result
    }

    /// Packed bytes that were consumed since the last call.
    pub(super) fn bytes_read(&mut self) -> u64 {
        let now = self.packed.bytes.load(Ordering::Relaxed);
        now - std::mem::replace(&mut self.reported, now)
    }

    fn damage(&self, error: &io::Error) -> String {
        let name = self.compression.name();
        match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("the {name} stream is cut off: {error}"),
            _ => format!("the {name} stream is damaged: {error}"),
        }
    }

    /// Moves to `offset` of a plain file of `bytes` bytes.
    fn seek_plain(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        let mut file = &*self.packed.file;
        file.seek(SeekFrom::Start(offset))?;
        let limited = BufReader::with_capacity(READ_BYTES, self.packed.clone().take(bytes.saturating_sub(offset)));
        self.unpacked = Compression::Plain.unpack(limited)?;
        self.ahead.clear();
        self.end = None;
        self.offset = offset;
        Ok(())
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&*self.file).read(buffer) {
            Ok(n) => {
                self.bytes.fetch_add(n as u64, Ordering::Relaxed);
                Ok(n)
            }
            Err(error) => {
                self.failed.store(error.kind() != io::ErrorKind::Interrupted, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

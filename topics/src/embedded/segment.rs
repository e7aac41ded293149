//! One file of a partition: encoded batches back to back, named by the offset of its first record in 20 digits.
//!
//! The bytes are those of Fluvio's batch format with `base_offset` set; there is nothing between batches, before the
//! first or after the last. The last segment is *active*, and the only one that is written; the others are *sealed*.
//!
//! In memory a segment keeps a [`Mark`] about every [`MARK_BYTES`], from which a read walks over headers: 16 bytes for
//! 16 KiB of batches.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::refused::Refused;
use crate::batch::{HEADER_BYTES, batches};

/// Least distance of two marks.
pub const MARK_BYTES: u64 = 16 * 1024;

/// Where the batch that starts at an offset starts in the file.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub offset: i64,
    pub position: u64,
}

/// What is known of a file without reading it.
#[derive(Debug)]
pub struct Segment {
    /// Offset of its first record.
    pub base: i64,
    pub path: PathBuf,
    /// Bytes of whole batches.
    pub bytes: u64,
    /// Sorted; the first is the file's start if it holds anything.
    pub marks: Vec<Mark>,
    /// When it was written last, once it is sealed.
    pub sealed: Option<SystemTime>,
    /// Kept open while it is active; a sealed one is opened for each read, so that open files are few.
    pub file: Option<Arc<File>>,
}

/// A read prepared under the log's lock and done outside of it.
pub struct Span {
    pub path: PathBuf,
    pub file: Option<Arc<File>>,
    /// A batch starts here, at or before the one asked for.
    pub position: u64,
    /// The segment's end.
    pub end: u64,
}

/// A segment's file name.
pub fn file_name(base: i64) -> String {
    format!("{base:020}.log")
}

/// The base offset in a segment's file name.
pub fn base_of(path: &Path) -> Option<i64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let whole = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse().ok()).flatten()
}

impl Segment {
    /// Notes a batch that starts at `position`.
    pub fn mark(&mut self, offset: i64, position: u64) {
        if self.marks.last().is_none_or(|last| position >= last.position + MARK_BYTES) {
            self.marks.push(Mark { offset, position });
        }
    }

    /// Where to read for the batch that holds `offset`, which the segment must hold.
    pub fn span(&self, offset: i64) -> Span {
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        let position = after.checked_sub(1).and_then(|at| self.marks.get(at)).map_or(0, |mark| mark.position);
        Span { path: self.path.clone(), file: self.file.clone(), position, end: self.bytes }
    }
}

impl Span {
    /// Whole batches from the one that holds `offset`, at most `max_bytes` of them but at least one, their checksums
    /// compared; and the offset after the last.
    pub fn read(&self, offset: i64, max_bytes: usize) -> Result<(Bytes, i64), Refused> {
        let opened;
        let file: &File = match &self.file {
            Some(file) => file,
            None => {
                opened = File::open(&self.path).map_err(|error| self.io(error))?;
                &opened
            }
        };
        let skipped = MARK_BYTES as usize + HEADER_BYTES;
        let mut wanted = max_bytes.saturating_add(skipped);
        loop {
            let bytes = self.bytes_from_start(file, wanted)?;
            let found = Found::walk(&bytes, offset, max_bytes);
            match found.cut_at {
                None if found.bytes > 0 => {
                    return self.checked(bytes.slice(found.start..found.start + found.bytes), found.start);
                }
                Some(need) if found.bytes == 0 && need > bytes.len() && self.position + need as u64 <= self.end => {
                    wanted = need;
                }
                _ => {
                    let position = self.position + (found.start + found.bytes) as u64;
                    let why = format!("no batch that holds offset {offset}");
                    return Err(Refused::Damaged { file: self.path.clone(), position, why, next: None });
                }
            }
        }
    }

    fn bytes_from_start(&self, file: &File, wanted: usize) -> Result<Bytes, Refused> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let mut bytes = vec![0; wanted.min(left)];
        file.read_exact_at(&mut bytes, self.position).map_err(|error| self.io(error))?;
        Ok(bytes.into())
    }

    /// The intact batches up to the first that is not; `start` is where they begin behind the span's position.
    fn checked(&self, bytes: Bytes, start: usize) -> Result<(Bytes, i64), Refused> {
        let (mut next, mut end) = (0, 0);
        for batch in batches(&bytes) {
            if !batch.is_intact() {
                if end > 0 {
                    return Ok((bytes.slice(..end), next));
                }
                let (file, position) = (self.path.clone(), self.position + start as u64);
                let why = "the batch does not match its checksum".to_owned();
                return Err(Refused::Damaged { file, position, why, next: Some(batch.header.next_offset()) });
            }
            end += batch.bytes.len();
            next = batch.header.next_offset();
        }
        Ok((bytes, next))
    }

    fn io(&self, source: io::Error) -> Refused {
        Refused::Io { what: format!("read \"{}\"", self.path.display()), source }
    }
}

/// A run of whole batches in bytes that start with a batch.
struct Found {
    start: usize,
    bytes: usize,
    /// If there is none because the first is cut: how many bytes would hold it.
    cut_at: Option<usize>,
}

impl Found {
    fn walk(bytes: &[u8], offset: i64, max_bytes: usize) -> Found {
        let mut found = Found { start: 0, bytes: 0, cut_at: None };
        let mut walk = batches(bytes);
        for batch in walk.by_ref() {
            let size = batch.bytes.len();
            if batch.header.next_offset() <= offset {
                found.start += size;
            } else if found.bytes == 0 || found.bytes + size <= max_bytes {
                found.bytes += size;
            } else {
                return found;
            }
        }
        if found.bytes == 0 {
            let header = bytes.get(found.start..).and_then(crate::batch::BatchHeader::read);
            found.cut_at = header.map(|header| found.start + header.bytes);
        }
        found
    }
}

//! Reading a file as lines: decompressed bytes are cut after newlines into payloads of about
//! [`PAYLOAD_BYTES`](catchment_contract::source::PAYLOAD_BYTES).
//!
//! - A payload holds whole lines with their newlines. A longer line makes its payload longer, up to [`LINE_BYTES_MAX`];
//!   beyond, the line is skipped and rejected.
//! - `first_record` is a line number; blank lines count in it. Line numbers go on where a resumed file left off.
//! - An empty file (or a packed one that holds nothing) is one reject.
//!
//! **The last line without a newline** is delivered if it is complete (`is_complete` says so; without a judge it always
//! is), and the position remembers that its newline is still missing: when the file grows, what follows up to the newline
//! belongs to the line that was delivered, so that nothing is counted twice; if it is more than white space it is rejected.
//! A last line that is *not* complete is rejected, and the position stays before it: when the file grows, the line is
//! read again from its start, so that nothing is lost. A writer that stops in the middle of lines thus leaves a reject for
//! each time it was caught doing so.
//!
//! **While a job stays up** ([`Unfinished::Leave`]) both kinds of last lines are left to a later round without a word, and
//! so is a packed stream that ends in the middle, unless its file has been quiet for a minute: then it was cut off.

use catchment_contract::source::PAYLOAD_BYTES;
use catchment_contract::{PartitionReader, Payload, Reject, Result, Unfinished};
use memchr::{memchr, memchr_iter, memrchr};

use super::find::path_error;
use super::open::OpenFile;
use super::position::{Cut, FilePosition};
use super::stream::End;

/// The longest line: 64 MiB, far above any record that an API gives.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Judges whether a last line without a newline is a whole record.
pub type IsComplete = fn(&[u8]) -> bool;

/// Yields a file as payloads of whole lines.
pub struct LineReader {
    file: OpenFile,
    is_complete: Option<IsComplete>,
    unfinished: Unfinished,
    /// Lines before the next record.
    line: u64,
    /// The line before has not seen its newline yet.
    open: bool,
    done: bool,
    /// The end holds a line that was left to a later round.
    left: bool,
    rejects: Vec<Reject>,
}

impl LineReader {
    pub(super) fn new(file: OpenFile, is_complete: Option<IsComplete>, unfinished: Unfinished) -> Self {
        let from = file.from.as_ref().filter(|from| from.cut == Cut::Lines);
        let (line, open) = from.map_or((0, false), |from| (from.records, from.open));
        LineReader { file, is_complete, unfinished, line, open, done: false, left: false, rejects: Vec::new() }
    }

    /// Appends to `bytes` up to `len`.
    fn fill(&mut self, bytes: &mut Vec<u8>, len: usize) -> Result<()> {
        self.file.stream.fill(bytes, len).map_err(|error| path_error(&self.file.path, error))
    }

    /// Bytes that end with a newline, or all that is left of a stream that ends; what follows them stays ahead.
    fn whole_lines(&mut self) -> Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.file.stream.ahead);
        let (mut searched, mut target) = (0, PAYLOAD_BYTES);
        loop {
            self.fill(&mut bytes, target)?;
            if self.file.stream.end.is_some() {
                break;
            }
            if let Some(newline) = memrchr(b'\n', &bytes[searched..]) {
                let end = searched + newline + 1;
                self.file.stream.ahead = bytes[end..].to_vec();
                bytes.truncate(end);
                break;
            }
            searched = bytes.len();
            if searched >= LINE_BYTES_MAX {
                self.reject_long_line(&bytes)?;
                bytes = std::mem::take(&mut self.file.stream.ahead);
                (searched, target) = (0, PAYLOAD_BYTES);
                continue;
            }
            target = (searched * 2).min(LINE_BYTES_MAX);
        }
        if self.file.stream.ahead.is_empty() && self.file.stream.end.is_none() {
            let mut ahead = Vec::new();
            self.fill(&mut ahead, 1)?;
            self.file.stream.ahead = ahead;
        }
        Ok(bytes)
    }

    fn reject_long_line(&mut self, start: &[u8]) -> Result<()> {
        self.line += 1;
        let reason = format!("the line is longer than {} MiB", LINE_BYTES_MAX >> 20);
        self.rejects.push(Reject::new(format!("line {}", self.line), Some(start), reason));
        self.file.stream.offset += start.len() as u64;
        self.skip_line()?;
        Ok(())
    }

    /// Drops bytes up to the next newline and with it, or up to the stream's end. Returns the first of them that are no
    /// white space, and whether there was a newline.
    fn skip_line(&mut self) -> Result<(Vec<u8>, bool)> {
        let mut bytes = std::mem::take(&mut self.file.stream.ahead);
        let mut kept = Vec::new();
        loop {
            self.fill(&mut bytes, PAYLOAD_BYTES)?;
            let newline = memchr(b'\n', &bytes);
            let dropped = newline.map_or(bytes.len(), |newline| newline + 1);
            if kept.is_empty() {
                let text = bytes[..dropped].trim_ascii();
                kept.extend_from_slice(&text[..text.len().min(Reject::RAW_BYTES_MAX)]);
            }
            self.file.stream.offset += dropped as u64;
            bytes.drain(..dropped);
            if newline.is_some() || self.file.stream.end.is_some() {
                self.file.stream.ahead = bytes;
                return Ok((kept, newline.is_some()));
            }
        }
    }

    /// Drops what was appended to a line that was delivered without its newline.
    fn close_line(&mut self) -> Result<()> {
        let (rest, closed) = self.skip_line()?;
        self.open = !closed;
        if !rest.is_empty() {
            let reason = "the line went on after it had been read as a complete last line";
            self.rejects.push(Reject::new(format!("line {}", self.line), Some(&rest), reason));
        }
        Ok(())
    }

    /// At the stream's end: takes the last line off `bytes` unless it is complete, and rejects it or the damage. A writer
    /// at work is left alone: what has no newline stays for a later round.
    fn end(&mut self, bytes: &mut Vec<u8>, lines: u64) {
        self.done = true;
        let start = memrchr(b'\n', bytes).map_or(0, |newline| newline + 1);
        let at_work = match &self.file.stream.end {
            Some(End::Damaged(_)) => false,
            Some(End::CutOff(_)) => self.file.is_fresh(),
            Some(End::Clean | End::Trailing(_)) | None => true,
        };
        if let Some(End::Trailing(reason)) = &self.file.stream.end {
            let position = format!("behind line {}", self.line + lines);
            self.rejects.push(Reject::new(position, None, reason));
        }
        if self.unfinished == Unfinished::Leave && at_work {
            let cut_off = matches!(self.file.stream.end, Some(End::CutOff(_)));
            self.left = cut_off || !is_blank(&bytes[start..]);
            bytes.truncate(start);
            return;
        }
        let tail = &bytes[start..];
        let blank = is_blank(tail);
        let complete = !blank && self.is_complete.is_none_or(|is_complete| is_complete(tail));
        let raw = (!blank && !complete).then_some(tail);
        let position = format!("line {}", self.line + lines + 1);
        if let Some(End::Damaged(reason) | End::CutOff(reason)) = &self.file.stream.end {
            let position = format!("{position}, byte {}", self.file.stream.offset + bytes.len() as u64);
            self.rejects.push(Reject::new(position, raw, reason));
        } else if raw.is_some() {
            let reason = "the last line is incomplete and has no newline; it is read again when the file grows";
            self.rejects.push(Reject::new(position, raw, reason));
        } else if self.line == 0 && is_blank(bytes) {
            let reason = match self.file.stamp.bytes {
                0 => "the file is empty (0 bytes)",
                _ => "the file holds no record",
            };
            self.rejects.push(Reject::new("line 1", None, reason));
        }
        if complete {
            self.open = true;
        } else if !blank {
            bytes.truncate(start);
        }
    }

    fn position(&self) -> Result<FilePosition> {
        let (offset, lines) = (self.file.stream.offset, self.line);
        let mut position = match self.done {
            true => self.file.last_position(Cut::Lines, offset, lines)?,
            false => self.file.position(Cut::Lines, offset, lines),
        };
        position.open = self.open;
        position.end = self.done && !self.left;
        Ok(position)
    }
}

/// Whether nothing stands there but white space and the NULs that a crash leaves.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

impl PartitionReader for LineReader {
    fn next(&mut self) -> Result<Option<Payload>> {
        if self.done {
            return Ok(None);
        }
        if self.open {
            self.close_line()?;
        }
        let mut bytes = self.whole_lines()?;
        let mut lines = memchr_iter(b'\n', &bytes).count() as u64;
        if self.file.stream.ahead.is_empty() && self.file.stream.end.is_some() {
            self.end(&mut bytes, lines);
            lines += u64::from(self.open && !bytes.is_empty());
        }
        let first_record = self.line + 1;
        self.line += lines;
        self.file.stream.offset += bytes.len() as u64;
        let position = self.position()?;
        // Of a file that is just being made nothing is kept: it may yet become a document.
        let begun = self.file.from.is_none() && self.line == 0 && self.unfinished == Unfinished::Leave;
        if bytes.is_empty()
            && self.rejects.is_empty()
            && (begun || self.file.from.as_ref().is_some_and(|from| from.is_same_place(&position)))
        {
            return Ok(None);
        }
        Ok(Some(Payload {
            partition: self.file.partition.clone(),
            bytes,
            first_record,
            bytes_read: self.file.stream.bytes_read(),
            position: position.encode(),
            rejects: std::mem::take(&mut self.rejects),
        }))
    }
}

#[cfg(test)]
mod tests;

//! Reading a file as JSON values, wherever they begin and end: see [`Splitter`](crate::json::split::Splitter).
//!
//! - A payload holds one value a line, whatever the file's own lines; `first_record` numbers values. A value that is too
//!   long is a reject, and an empty line in its place.
//! - Memory is bounded by the longest value, never by the file: an array of any size is cut into its values.
//! - The last value, if it ends in the middle, is rejected, and so is an array that is not closed; the position stays before
//!   it, and when the file grows it is read again from its start. While a job stays up both are left to a later round, as
//!   [lines](super::lines) are.

use catchment_contract::source::PAYLOAD_BYTES;
use catchment_contract::{PartitionReader, Payload, Reject, Result, Unfinished};

use super::find::path_error;
use super::open::OpenFile;
use super::position::{Cut, FilePosition};
use super::stream::End;
use crate::json::split::{Cut as Ended, Splitter, VALUE_BYTES_MAX};

/// How much is unpacked at once.
const STEP_BYTES: usize = 256 << 10;

/// Yields a file as payloads of one JSON value a line.
pub struct ValueReader {
    file: OpenFile,
    unfinished: Unfinished,
    splitter: Splitter,
    /// Values before the next payload.
    values: u64,
    /// Where the next value begins, and the containers around it.
    next: (u64, String),
    /// Unpacked bytes that went through the splitter.
    consumed: u64,
    done: bool,
    left: bool,
}

impl ValueReader {
    pub(super) fn new(file: OpenFile, unfinished: Unfinished) -> Self {
        let from = file.from.as_ref().filter(|from| from.cut == Cut::Values);
        let (inside, values) = from.map_or_else(Default::default, |from| (from.inside.clone(), from.records));
        let consumed = file.stream.offset;
        let splitter = Splitter::new(&inside);
        ValueReader { file, unfinished, splitter, values, next: (consumed, inside), consumed, done: false, left: false }
    }

    /// Values until there are enough of them or the stream ends. Ends between two values, unless the stream does not.
    fn cut(&mut self) -> Result<Values> {
        let mut values = Values { lines: Vec::new(), count: 0, rejects: Vec::new(), before: self.values };
        while self.file.stream.end.is_none() || !self.file.stream.ahead.is_empty() {
            let mut bytes = std::mem::take(&mut self.file.stream.ahead);
            self.file.stream.fill(&mut bytes, STEP_BYTES).map_err(|error| path_error(&self.file.path, error))?;
            let mut taken = 0;
            while taken < bytes.len() {
                let begun = self.splitter.has_begun();
                let step = self.splitter.feed(&bytes[taken..], &mut |ended, value| values.keep(ended, value));
                taken += step;
                self.consumed += step as u64;
                if !self.splitter.has_begun() {
                    self.next = (self.consumed, self.splitter.inside().to_owned());
                    if values.lines.len() >= PAYLOAD_BYTES {
                        self.file.stream.ahead = bytes.split_off(taken);
                        return Ok(values);
                    }
                } else if !begun && taken == bytes.len() {
                    // The value began somewhere in this step: behind what was only white space and brackets.
                    let began = self.consumed - self.splitter.begun_bytes() as u64;
                    self.next = (began, self.splitter.inside().to_owned());
                }
            }
        }
        self.splitter.finish(&mut |ended, value| values.keep(ended, value));
        if !self.splitter.has_begun() {
            self.next = (self.consumed, self.splitter.inside().to_owned());
        }
        Ok(values)
    }

    /// At the stream's end: rejects what is not whole, or leaves it to its writer.
    fn end(&mut self, values: &mut Values) {
        self.done = true;
        let end = &self.file.stream.end;
        if let Some(End::Trailing(reason)) = end {
            values.reject(0, None, reason);
        }
        let at_work = match end {
            Some(End::Damaged(_)) => false,
            Some(End::CutOff(_)) => self.file.is_fresh(),
            Some(End::Clean | End::Trailing(_)) | None => true,
        };
        let (begun, open) = (self.splitter.has_begun(), !self.splitter.inside().is_empty());
        let cut_off = matches!(end, Some(End::CutOff(_)));
        if self.unfinished == Unfinished::Leave && at_work {
            self.left = begun || open || cut_off;
            return;
        }
        let raw = self.splitter.begun();
        let raw = begun.then_some(raw);
        match end {
            Some(End::Damaged(reason) | End::CutOff(reason)) => values.reject(1, raw, reason),
            _ if begun => {
                values.reject(1, raw, "the last value ends in the middle; it is read again when the file grows");
            }
            _ if open => {
                values.reject(0, None, "the array or object around the records is not closed: the file was cut off");
            }
            _ => {}
        }
    }

    fn position(&self) -> Result<FilePosition> {
        let (offset, values) = (self.next.0, self.values);
        let mut position = match self.done {
            true => self.file.last_position(Cut::Values, offset, values)?,
            false => self.file.position(Cut::Values, offset, values),
        };
        position.inside.clone_from(&self.next.1);
        position.end = self.done && !self.left;
        Ok(position)
    }
}

/// The values of a payload.
struct Values {
    /// One a line.
    lines: Vec<u8>,
    count: u64,
    rejects: Vec<Reject>,
    /// Values before these.
    before: u64,
}

impl Values {
    fn keep(&mut self, ended: Ended, value: &[u8]) {
        self.count += 1;
        match ended {
            Ended::Whole => self.lines.extend_from_slice(value),
            Ended::TooLong => {
                let reason = format!("the value is longer than {} MiB", VALUE_BYTES_MAX >> 20);
                self.reject(0, Some(value), &reason);
            }
        }
        self.lines.push(b'\n');
    }

    /// A reject at the value that is so many after the last one.
    fn reject(&mut self, after: u64, raw: Option<&[u8]>, reason: &str) {
        self.rejects.push(Reject::new(format!("record {}", self.before + self.count + after), raw, reason));
    }
}

impl PartitionReader for ValueReader {
    fn next(&mut self) -> Result<Option<Payload>> {
        if self.done {
            return Ok(None);
        }
        let mut values = self.cut()?;
        if self.file.stream.ahead.is_empty() && self.file.stream.end.is_some() {
            self.end(&mut values);
        }
        let first_record = self.values + 1;
        self.values += values.count;
        let position = self.position()?;
        let begun = self.file.from.is_none() && self.values == 0 && self.unfinished == Unfinished::Leave;
        let nothing = values.lines.is_empty() && values.rejects.is_empty();
        if nothing && (begun && self.left || self.file.from.as_ref().is_some_and(|from| from.is_same_place(&position)))
        {
            return Ok(None);
        }
        Ok(Some(Payload {
            partition: self.file.partition.clone(),
            bytes: values.lines,
            first_record,
            bytes_read: self.file.stream.bytes_read(),
            position: position.encode(),
            rejects: values.rejects,
        }))
    }
}

#[cfg(test)]
mod tests;

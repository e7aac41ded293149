//! The unpacked text of an open file, read ahead and counted.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::compression::{Compression, MAGIC_BYTES, Trailing};
use super::content_hash::ContentHash;
use super::input::{Input, Stored};
use super::utf16::{self, Utf16};

/// Why a stream yields no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is at its end.
    Clean,
    /// It is at its end, and what lies behind it was ignored, for this reason.
    Trailing(String),
    /// It is packed and ends in the middle, for this reason: it was cut off, or somebody is writing it.
    CutOff(String),
    /// It is damaged, for this reason.
    Damaged(String),
}

/// Unpacked bytes of a file, as UTF-8 if they were UTF-16.
pub(super) struct Stream {
    unpacked: Box<dyn Read + Send>,
    pub(super) stored: Stored,
    pub(super) compression: Compression,
    /// The text was UTF-16.
    pub(super) converted: bool,
    /// Bytes that were read ahead of [`Stream::offset`].
    pub(super) ahead: Vec<u8>,
    /// Unpacked bytes that were handed on.
    pub(super) offset: u64,
    /// Set once no more bytes come.
    pub(super) end: Option<End>,
    reported: u64,
}

impl Stream {
    /// The stream of `file`'s first `bytes` bytes from `begin` on; `hash` is that of the bytes before.
    pub(super) fn new(mut file: File, begin: u64, bytes: u64, hash: ContentHash) -> io::Result<Self> {
        file.seek(SeekFrom::Start(begin))?;
        let mut input = Input::new(file, bytes.saturating_sub(begin), hash);
        let stored = input.stored();
        let compression = if begin == 0 { Compression::of(input.peek(MAGIC_BYTES)?) } else { Compression::Plain };
        let unpacked = compression.unpack(input)?;
        let (ahead, end, converted, reported) = (Vec::new(), None, false, 0);
        let mut made = Stream { unpacked, stored, compression, converted, ahead, offset: begin, end, reported };
        if begin == 0 {
            made.convert()?;
        }
        Ok(made)
    }

    /// Converts UTF-16 from now on.
    fn convert(&mut self) -> io::Result<()> {
        let mut head = Vec::new();
        self.fill(&mut head, utf16::SNIFF_BYTES)?;
        let Some(order) = utf16::order(&head) else {
            self.ahead = head;
            return Ok(());
        };
        // What ended while the head was read ends again behind it.
        self.end = None;
        let rest = std::mem::replace(&mut self.unpacked, Box::new(io::empty()));
        self.unpacked = Box::new(Utf16::new(io::Cursor::new(head).chain(rest), order));
        self.converted = true;
        Ok(())
    }

    /// Appends unpacked bytes to `buffer` until it is `len` long or the stream ends, which sets [`Stream::end`].
    /// Does not move [`Stream::offset`].
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, len: usize) -> io::Result<()> {
        let mut filled = buffer.len();
        if filled >= len || self.end.is_some() {
            return Ok(());
        }
        buffer.resize(len, 0);
        let result = loop {
            match self.unpacked.read(&mut buffer[filled..]) {
                Ok(0) => {
                    self.end = Some(End::Clean);
                    break Ok(());
                }
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.stored.failed() => break Err(error),
                Err(error) => {
                    self.end = Some(self.ended(&error));
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

    /// Reads ahead until `bytes` bytes are there or the stream ends, and returns them.
    pub(super) fn sniff(&mut self, bytes: usize) -> io::Result<&[u8]> {
        while self.ahead.len() < bytes && self.end.is_none() {
            let mut ahead = std::mem::take(&mut self.ahead);
            let filled = self.fill(&mut ahead, bytes);
            self.ahead = ahead;
            filled?;
        }
        Ok(&self.ahead[..self.ahead.len().min(bytes)])
    }

    /// Drops `bytes` unpacked bytes. A stream that ends before shows it at the next read.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let target = self.offset + bytes;
        loop {
            let drop = (target - self.offset).min(self.ahead.len() as u64) as usize;
            self.ahead.drain(..drop);
            self.offset += drop as u64;
            if self.offset == target || self.end.is_some() {
                return Ok(());
            }
            self.sniff(SKIP_BYTES)?;
        }
    }

    /// Stored bytes that were read since the last call.
    pub(super) fn bytes_read(&mut self) -> u64 {
        let now = self.stored.bytes();
        now - std::mem::replace(&mut self.reported, now)
    }

    fn ended(&self, error: &io::Error) -> End {
        let name = self.compression.name();
        if let Some(trailing) = error.get_ref().and_then(|inner| inner.downcast_ref::<Trailing>()) {
            return End::Trailing(trailing.to_string());
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => End::CutOff(format!("the {name} stream is cut off: {error}")),
            _ => End::Damaged(format!("the {name} stream is damaged: {error}")),
        }
    }
}

/// How much is read at once to be dropped.
const SKIP_BYTES: usize = 256 << 10;

//! The bytes of a file as stored, on their way to a decompressor: counted, hashed, and looked at before they are taken.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::content_hash::ContentHash;

/// Size of reads from the file: 256 KiB, so that a system call costs nothing beside what is done with its bytes.
const READ_BYTES: usize = 256 << 10;

/// What is known of the stored side while a decompressor owns the [`Input`].
#[derive(Clone)]
pub(super) struct Stored {
    state: Arc<Mutex<State>>,
}

struct State {
    bytes: u64,
    failed: bool,
    hash: ContentHash,
}

impl Stored {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that were read from the file.
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Whether the file itself could not be read, so that an error is not one of the data.
    pub(super) fn failed(&self) -> bool {
        self.state().failed
    }

    /// The hash of everything up to the last byte that was read, and how many bytes that are.
    pub(super) fn hash(&self) -> (u128, u64) {
        let state = self.state();
        (state.hash.hash(), state.hash.bytes())
    }

    /// See [`ContentHash::fold_before`].
    pub(super) fn fold_before(&self, offset: u64) -> Option<u128> {
        self.state().hash.fold_before(offset)
    }
}

/// Reads a file up to a given size through a buffer.
pub(super) struct Input {
    file: File,
    stored: Stored,
    buffer: Vec<u8>,
    start: usize,
    /// Bytes of the file that may still be read.
    left: u64,
}

impl Input {
    /// The next `bytes` bytes of `file`; `hash` is that of everything before them.
    pub(super) fn new(file: File, bytes: u64, hash: ContentHash) -> Self {
        let state = State { bytes: 0, failed: false, hash };
        let stored = Stored { state: Arc::new(Mutex::new(state)) };
        Input { file, stored, buffer: Vec::new(), start: 0, left: bytes }
    }

    /// What is known of the bytes that were read.
    pub(super) fn stored(&self) -> Stored {
        self.stored.clone()
    }

    /// The next `bytes` bytes, or fewer at the end. They stay to be read.
    pub(super) fn peek(&mut self, bytes: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < bytes && self.left > 0 {
            self.more()?;
        }
        let end = self.buffer.len().min(self.start + bytes);
        Ok(&self.buffer[self.start..end])
    }

    fn more(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        let want = self.left.min(READ_BYTES as u64) as usize;
        self.buffer.resize(filled + want, 0);
        let read = loop {
            match self.file.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        let mut state = self.stored.state();
        match read {
            Ok(read) => {
                state.bytes += read as u64;
                state.hash.update(&self.buffer[filled..]);
                drop(state);
                self.left = if read == 0 { 0 } else { self.left - read as u64 };
                Ok(())
            }
            Err(error) => {
                state.failed = true;
                Err(error)
            }
        }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)?;
        Ok(&self.buffer[self.start..])
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let taken = from.len().min(into.len());
        into[..taken].copy_from_slice(&from[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

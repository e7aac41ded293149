//! Writing of a run, record by record.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use catchment_contract::Result;

use super::filter::Filter;
use super::{BLOCK_BYTES, Block, HEADER_BYTES, Inner, Run};
use crate::records::Name;
use crate::spill::SpillFolder;

/// Bytes that are written at once, at least.
const WRITE_BYTES: usize = 1 << 20;

/// A run that is being written.
pub(crate) struct Writer {
    folder: SpillFolder,
    file: File,
    /// What is not written yet: whole blocks, then the open one.
    buffer: Vec<u8>,
    /// Where the open block begins in the buffer.
    open: usize,
    blocks: Vec<Block>,
    filter: Filter,
    records: usize,
    /// Bytes that are written.
    written: u64,
}

impl Writer {
    /// A run of at most `records` records.
    ///
    /// # Errors
    /// If the folder takes no file.
    pub fn new(folder: &SpillFolder, records: usize) -> Result<Self> {
        Ok(Writer {
            folder: folder.clone(),
            file: folder.create()?,
            buffer: Vec::new(),
            open: 0,
            blocks: Vec::new(),
            filter: Filter::new(records),
            records: 0,
            written: 0,
        })
    }

    /// Adds a record, whose name is greater than those before; its bytes in the file.
    ///
    /// # Errors
    /// If it cannot be written.
    ///
    /// # Panics
    /// If the key or the state is 4 GiB long or longer.
    pub fn push(&mut self, (hash, key): Name<'_>, state: &[u8]) -> Result<usize> {
        if self.open == self.buffer.len() {
            let at = self.written + self.open as u64;
            self.blocks.push(Block { first: hash, at, len: 0, crc: 0 });
        }
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a key's state is below 4 GiB").to_le_bytes();
        self.buffer.extend_from_slice(&hash.to_le_bytes());
        self.buffer.extend_from_slice(&length(key));
        self.buffer.extend_from_slice(&length(state));
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(state);
        self.filter.add(hash);
        self.records += 1;
        if self.buffer.len() - self.open >= BLOCK_BYTES {
            self.close_block();
            if self.buffer.len() >= WRITE_BYTES {
                self.write()?;
            }
        }
        Ok(HEADER_BYTES + key.len() + state.len())
    }

    fn close_block(&mut self) {
        let bytes = &self.buffer[self.open..];
        if let Some(block) = self.blocks.last_mut()
            && !bytes.is_empty()
        {
            block.len = bytes.len() as u32;
            block.crc = crc32c::crc32c(bytes);
        }
        self.open = self.buffer.len();
    }

    fn write(&mut self) -> Result<()> {
        let wrote = self.file.write_all_at(&self.buffer, self.written);
        wrote.map_err(|error| self.folder.failed("write to", error))?;
        self.folder.note_written(self.buffer.len());
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.open = 0;
        Ok(())
    }

    /// The run, to be read.
    ///
    /// # Errors
    /// If the rest of it cannot be written.
    pub fn finish(mut self) -> Result<Run> {
        self.close_block();
        self.write()?;
        self.blocks.shrink_to_fit();
        let Writer { folder, file, blocks, filter, records, written, .. } = self;
        Ok(Run(Arc::new(Inner { file, folder, blocks, filter, records, bytes: written })))
    }
}

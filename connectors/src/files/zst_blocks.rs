//! The `.zst_blocks` format of Arctic Shift's older releases: blocks, each
//!
//! ```text
//! u32 compressed size ‖ a zstd frame of: u32 rows ‖ rows × (u32 offset, u32 size) ‖ the rows' bytes
//! ```
//!
//! in little-endian order; offsets count from the first byte of the rows. What comes out are the rows as lines.

use std::io::{self, BufRead, Read};

use super::input::Input;

/// The longest block, packed or not: 256 MiB; those that are published have some 256 rows.
const BLOCK_BYTES_MAX: u64 = 256 << 20;

/// Reads the rows of all blocks, a line each.
pub(super) struct ZstBlocks {
    packed: Input,
    lines: Vec<u8>,
    start: usize,
}

impl ZstBlocks {
    pub(super) fn new(packed: Input) -> Self {
        ZstBlocks { packed, lines: Vec::new(), start: 0 }
    }

    /// Unpacks the next block; whether there was one.
    fn next(&mut self) -> io::Result<bool> {
        self.lines.clear();
        self.start = 0;
        let head = self.packed.peek(4)?;
        if head.is_empty() {
            return Ok(false);
        }
        let Some(size) = u32_at(head, 0) else { return Err(cut_off()) };
        self.packed.consume(4);
        let size = u64::from(size);
        if size > BLOCK_BYTES_MAX {
            return Err(damaged());
        }
        let mut frame = Vec::new();
        if (&mut self.packed).take(size).read_to_end(&mut frame)? as u64 != size {
            return Err(cut_off());
        }
        let mut block = Vec::new();
        zstd::stream::read::Decoder::with_buffer(&frame[..])?.take(BLOCK_BYTES_MAX + 1).read_to_end(&mut block)?;
        if block.len() as u64 > BLOCK_BYTES_MAX {
            return Err(damaged());
        }
        self.lines = rows(&block).ok_or_else(damaged)?;
        Ok(true)
    }
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "incomplete block")
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a block's sizes do not fit its bytes")
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

fn rows(block: &[u8]) -> Option<Vec<u8>> {
    let count = u32_at(block, 0)? as usize;
    let data = block.get(count.checked_mul(8)?.checked_add(4)?..)?;
    let mut lines = Vec::with_capacity(data.len() + count);
    for row in 0..count {
        let (offset, size) = (u32_at(block, 4 + 8 * row)? as usize, u32_at(block, 8 + 8 * row)? as usize);
        let row = data.get(offset..offset.checked_add(size)?)?;
        if lines.len() + row.len() > BLOCK_BYTES_MAX as usize {
            return None;
        }
        lines.extend_from_slice(row);
        lines.push(b'\n');
    }
    Some(lines)
}

impl Read for ZstBlocks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.start == self.lines.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let taken = into.len().min(self.lines.len() - self.start);
        into[..taken].copy_from_slice(&self.lines[self.start..][..taken]);
        self.start += taken;
        Ok(taken)
    }
}

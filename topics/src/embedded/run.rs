//! A set of batches on its way to the disk, with the offsets that it gets.

use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};

use crate::batch::{BatchHeader, batches};

/// What the broker writes into a batch.
const BASE_OFFSET_BYTES: usize = 8;

/// See the module.
pub struct Run<'a> {
    pub parts: Vec<Part<'a>>,
    pub bytes: u64,
    /// Offset after the last record.
    pub next: i64,
}

pub struct Part<'a> {
    /// With its new offset.
    pub header: BatchHeader,
    /// Where it begins in the set.
    pub start: u64,
    base_offset: [u8; 8],
    /// Everything behind the base offset.
    rest: &'a [u8],
}

impl<'a> Run<'a> {
    /// The set, its first record at offset `base`.
    pub fn assign(set: &'a [u8], base: i64) -> Run<'a> {
        let mut run = Run { parts: Vec::new(), bytes: 0, next: base };
        for batch in batches(set) {
            let header = BatchHeader { base_offset: run.next, ..batch.header };
            let rest = batch.bytes.get(BASE_OFFSET_BYTES..).unwrap_or_default();
            run.parts.push(Part { header, start: run.bytes, base_offset: run.next.to_be_bytes(), rest });
            run.bytes += batch.bytes.len() as u64;
            run.next = header.next_offset();
        }
        run
    }

    /// Writes at `position`, which only the log's writer moves. The batches are not copied: offsets are written between
    /// their rests.
    pub fn write(&self, mut file: &File, position: u64) -> io::Result<()> {
        let slices = self.parts.iter().flat_map(|part| [IoSlice::new(&part.base_offset), IoSlice::new(part.rest)]);
        let mut slices: Vec<IoSlice<'_>> = slices.collect();
        let mut left = slices.as_mut_slice();
        file.seek(SeekFrom::Start(position))?;
        while !left.is_empty() {
            match file.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

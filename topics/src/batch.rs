//! Encoded batches: what is stored, sent and read. A batch is the unit of atomicity, written whole or not at all.
//!
//! The layout is Fluvio's (big-endian), 57 bytes of header before the records:
//!
//! | at | field | |
//! |---|---|---|
//! | 0 | base offset, i64 | of the first record; the broker sets it |
//! | 8 | length, i32 | of everything after this field |
//! | 12 | leader epoch, i32 | −1 |
//! | 16 | magic, i8 | 2 |
//! | 17 | checksum, u32 | CRC-32C of everything from 21 on |
//! | 21 | attributes, i16 | low 3 bits compression (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd), bit 4 a schema id follows the header |
//! | 23 | last offset delta, i32 | records − 1 |
//! | 27 | first time, i64 | ms since 1970, −1 none |
//! | 35 | greatest time, i64 | the same |
//! | 43 | producer id, i64 | −1 none |
//! | 51 | producer epoch, i16 | −1 none |
//! | 53 | first sequence, i32 | −1 none |
//! | 57 | schema id, u32 | only with attribute bit 4 |
//! | 57 | records | an i32 count and the records, compressed as a whole |
//!
//! A record is its length, attributes (i8), time delta, offset delta, key (0, or 1 with length and bytes), value (length
//! and bytes) and headers (0); lengths and deltas are zigzag varints. The base offset lies outside the checksum, so that
//! a broker sets it in place.
//!
//! Bytes here come from outside: a length or a count is believed only after it was compared with what is there.

mod builder;
mod records;

pub use builder::{BATCH_BYTES_MAX, BatchBuilder, Producer};
pub use records::{DECOMPRESSED_BYTES_MAX, Record, Records, WINDOW_BYTES_LOG_MAX};

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher;

/// Size of an encoded batch's header with the preamble (base offset and length).
pub const HEADER_BYTES: usize = 57;

/// Size of base offset and length, which the length field does not count.
pub(crate) const PREAMBLE_BYTES: usize = 12;
/// What the checksum covers begins here.
pub(crate) const CHECKED_FROM: usize = 21;
/// The only layout there is.
const MAGIC: u8 = 2;
/// Attribute bits that name the compression.
const COMPRESSION_BITS: i16 = 0x07;
/// Attribute bit: a schema id stands between header and records.
const SCHEMA_BIT: i16 = 0x10;
/// Size of a schema id.
const SCHEMA_BYTES: usize = 4;
/// Size of the count before the records.
const COUNT_BYTES: usize = 4;
/// A record without key, with an empty value: one byte each for its seven fields.
const RECORD_BYTES_MIN: usize = 7;

/// What a batch says of itself before its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Whole encoded size, the header with it.
    pub bytes: usize,
    /// Number of records, at least 1.
    pub records: u32,
    /// CRC-32C of everything behind the checksum.
    pub checksum: u32,
    /// Compression: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5–7 mean nothing yet.
    pub compression: u8,
    /// Whether a schema id stands between header and records.
    pub schema: bool,
    /// Who wrote it, -1 for nobody in particular.
    pub producer_id: i64,
    /// Which life of the writer, -1 for none.
    pub producer_epoch: i16,
    /// The writer's number for the batch, -1 for none.
    pub first_sequence: i32,
    /// Time of the first record, ms since 1970, -1 for none.
    pub first_time: i64,
    /// Greatest time of a record, ms since 1970, -1 for none.
    pub max_time: i64,
}

impl BatchHeader {
    /// The header at the start of `bytes`, which may be cut anywhere after it; `None` if fewer than [`HEADER_BYTES`] are
    /// there, or what stands there cannot be a batch: another magic, a negative offset, no records, more records than
    /// its length can hold.
    pub fn read(bytes: &[u8]) -> Option<BatchHeader> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let base_offset = i64::from_be_bytes(field(header, 0));
        let length = usize::try_from(i32::from_be_bytes(field(header, 8))).ok()?;
        let attributes = i16::from_be_bytes(field(header, 21));
        let last_delta = u32::try_from(i32::from_be_bytes(field(header, 23))).ok()?;
        let read = BatchHeader {
            base_offset,
            bytes: length.checked_add(PREAMBLE_BYTES)?,
            records: last_delta.checked_add(1)?,
            checksum: u32::from_be_bytes(field(header, 17)),
            compression: (attributes & COMPRESSION_BITS) as u8,
            schema: attributes & SCHEMA_BIT != 0,
            producer_id: i64::from_be_bytes(field(header, 43)),
            producer_epoch: i16::from_be_bytes(field(header, 51)),
            first_sequence: i32::from_be_bytes(field(header, 53)),
            first_time: i64::from_be_bytes(field(header, 27)),
            max_time: i64::from_be_bytes(field(header, 35)),
        };
        (header[16] == MAGIC && read.is_possible()).then_some(read)
    }

    /// Offset after the last record.
    pub fn next_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.records))
    }

    /// Whether offset, size and count can be true together.
    fn is_possible(&self) -> bool {
        if self.base_offset < 0 || self.base_offset.checked_add(i64::from(self.records)).is_none() {
            return false;
        }
        let Some(payload) = self.bytes.checked_sub(self.records_at()) else { return false };
        match self.compression {
            0 => (payload as u64) >= COUNT_BYTES as u64 + u64::from(self.records) * RECORD_BYTES_MIN as u64,
            _ => payload > 0,
        }
    }

    /// Where the records begin.
    fn records_at(&self) -> usize {
        HEADER_BYTES + if self.schema { SCHEMA_BYTES } else { 0 }
    }
}

/// `N` bytes of a header at `at`.
fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *header[at..].first_chunk().expect("every field lies inside the header")
}

/// Sets the offset of an encoded batch's first record in place; its checksum does not cover it.
///
/// # Panics
/// If `batch` is shorter than 8 bytes.
pub fn set_base_offset(batch: &mut [u8], offset: i64) {
    batch[..8].copy_from_slice(&offset.to_be_bytes());
}

/// The whole batches at the start of `bytes`, back to back.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// Iterator over whole batches. Ends at the first that is cut or cannot be: [`Batches::remaining`] tells. Checksums are
/// not looked at: [`Batch::is_intact`] does.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// What was not given out yet; after the end of the iteration, what is cut or cannot be.
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        let header = BatchHeader::read(self.rest)?;
        let (bytes, rest) = self.rest.split_at_checked(header.bytes)?;
        self.rest = rest;
        Some(Batch { header, bytes })
    }
}

/// One whole encoded batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Its header, read.
    pub header: BatchHeader,
    /// All of it, `header.bytes` long.
    pub bytes: &'a [u8],
}

impl Batch<'_> {
    /// Whether the checksum matches.
    pub fn is_intact(&self) -> bool {
        crc32c::crc32c(&self.bytes[CHECKED_FROM..]) == self.header.checksum
    }
}

/// The partition of a key, of `partitions` (at least 1): as the stock client routes, so that our topics and stock
/// producers agree (SipHash-2-4 without a key over the key's length and bytes).
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    let mut hasher = SipHasher::new();
    key.hash(&mut hasher);
    // The remainder is below `partitions`, so it fits.
    (hasher.finish() % u64::from(partitions.max(1))) as u32
}

#[cfg(test)]
mod tests;

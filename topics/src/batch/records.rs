//! The records of a batch: decompression within limits, and an iterator that copies nothing.

use std::io::Read;

use catchment_contract::{Error, Result};

use crate::batch::{Batch, BatchHeader, COUNT_BYTES};

/// Most bytes that a batch's records may have decompressed: twice the 32 MiB that a broker takes uncompressed. Decompression
/// ends there, whatever a batch would unpack to.
pub const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// Largest window of a zstd frame as a power of two: 8 MiB, what RFC 8878 asks of every decoder and what no level up to
/// 19 goes beyond (Fluvio's clients write level 1). The decoder allocates it before it has seen a byte of content.
pub const WINDOW_BYTES_LOG_MAX: u32 = 23;

/// Room first made for decompressed bytes, as a multiple of the compressed; later it grows by halves.
const GROWTH_GUESS: usize = 4;
/// Least room made at a time.
const STEP_BYTES: usize = 64 << 10;

/// A record, borrowed from the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'b> {
    /// Its offset.
    pub offset: i64,
    /// Its time, ms since 1970, -1 if the batch has none.
    pub time: i64,
    /// Its key, if it has one.
    pub key: Option<&'b [u8]>,
    /// Its value.
    pub value: &'b [u8],
}

impl<'a> Batch<'a> {
    /// The records, decompressed into `scratch` if they are compressed (which is cleared first).
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if the compression is unknown or broken, if the records take more than
    /// [`DECOMPRESSED_BYTES_MAX`], or if their count is not the header's.
    pub fn records<'b>(&'b self, scratch: &'b mut Vec<u8>) -> Result<Records<'b>> {
        self.records_within(scratch, DECOMPRESSED_BYTES_MAX)
    }

    /// As [`Batch::records`] with another limit. Compressed records cost at most about half as much again as `limit` of
    /// memory, and a window of 8 MiB while they are decompressed.
    ///
    /// # Errors
    /// As [`Batch::records`].
    pub fn records_within<'b>(&'b self, scratch: &'b mut Vec<u8>, limit: usize) -> Result<Records<'b>> {
        let header = self.header;
        let payload: &'a [u8] = &self.bytes[header.records_at()..];
        let bytes = match header.compression {
            0 => payload,
            _ => {
                decompress(&header, payload, scratch, limit)?;
                scratch.as_slice()
            }
        };
        let Some((count, rest)) = bytes.split_first_chunk::<COUNT_BYTES>() else {
            return Err(broken(header.base_offset, "its records end before their count"));
        };
        let count = i32::from_be_bytes(*count);
        if i64::from(count) != i64::from(header.records) {
            return Err(broken(
                header.base_offset,
                &format!("it holds {count} records where its header says {}", header.records),
            ));
        }
        Ok(Records { header, rest, index: 0 })
    }
}

/// Iterator over the records of a batch. After an error it ends.
#[derive(Clone, Debug)]
pub struct Records<'b> {
    header: BatchHeader,
    rest: &'b [u8],
    index: u32,
}

impl<'b> Iterator for Records<'b> {
    type Item = Result<Record<'b>>;

    fn next(&mut self) -> Option<Result<Record<'b>>> {
        if self.index >= self.header.records {
            return None;
        }
        let read = self.read();
        self.index = if read.is_some() { self.index + 1 } else { self.header.records };
        Some(read.ok_or_else(|| broken(self.header.base_offset, "a record does not fit its length")))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The lower bound is what a caller may reserve: never more than the bytes can hold.
        let left = (self.header.records - self.index) as usize;
        (left.min(self.rest.len()), Some(left))
    }
}

impl<'b> Records<'b> {
    /// The next record; `None` if what stands there is none.
    fn read(&mut self) -> Option<Record<'b>> {
        let mut fields = take_sized(&mut self.rest)?;
        let _attributes = fields.split_off_first()?;
        let time_delta = take_varint(&mut fields)?;
        // The stock client counts records too, whatever their delta says.
        let _offset_delta = take_varint(&mut fields)?;
        let key = match fields.split_off_first()? {
            0 => None,
            1 => Some(take_sized(&mut fields)?),
            _ => return None,
        };
        let value = take_sized(&mut fields)?;
        // What is left are headers, which nobody writes.
        let time = match self.header.first_time {
            first if first > 0 => first.saturating_add(time_delta),
            _ => -1,
        };
        Some(Record { offset: self.header.base_offset + i64::from(self.index), time, key, value })
    }
}

/// A length and as many bytes.
fn take_sized<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let size = usize::try_from(take_varint(bytes)?).ok()?;
    bytes.split_off(..size)
}

/// A zigzag varint of at most 10 bytes.
fn take_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    None
}

/// Decompresses `payload` into `scratch`, never beyond `limit`.
fn decompress(header: &BatchHeader, payload: &[u8], scratch: &mut Vec<u8>, limit: usize) -> Result<()> {
    let wrong = |error: std::io::Error| broken(header.base_offset, "it cannot be decompressed").with_source(error);
    let mut reader: Box<dyn Read + '_> = match header.compression {
        1 => Box::new(flate2::read::GzDecoder::new(payload)),
        2 => Box::new(snap::read::FrameDecoder::new(payload)),
        3 => Box::new(lz4_flex::frame::FrameDecoder::new(payload)),
        4 => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(payload).map_err(wrong)?;
            decoder.window_log_max(WINDOW_BYTES_LOG_MAX).map_err(wrong)?;
            Box::new(decoder)
        }
        other => {
            return Err(broken(header.base_offset, &format!("its compression {other} is unknown"))
                .with_hint("this reads gzip (1), snappy (2), lz4 (3) and zstd (4)"));
        }
    };
    scratch.clear();
    let mut step = payload.len().saturating_mul(GROWTH_GUESS).max(STEP_BYTES);
    loop {
        // One byte more than allowed tells a batch that is too large from one that just fits.
        let room = step.min(limit.saturating_add(1) - scratch.len());
        scratch.reserve_exact(room);
        if reader.by_ref().take(room as u64).read_to_end(scratch).map_err(wrong)? < room {
            return Ok(());
        }
        if scratch.len() > limit {
            return Err(broken(header.base_offset, &format!("it decompresses to more than {limit} bytes"))
                .with_hint("write smaller batches"));
        }
        step = (scratch.len() / 2).max(STEP_BYTES);
    }
}

/// An error about the batch at an offset.
fn broken(offset: i64, why: &str) -> Error {
    Error::data(format!("cannot read the batch at offset {offset}: {why}"))
}

//! Records to one encoded batch, in one buffer and one pass.

use crate::batch::{CHECKED_FROM, COUNT_BYTES, HEADER_BYTES, MAGIC, PREAMBLE_BYTES};

/// Most bytes of a batch that is built here. No broker takes as much (30 MB were accepted, 40 MB refused).
pub const BATCH_BYTES_MAX: usize = 1 << 30;

/// Where the records of an uncompressed batch without a schema begin.
const RECORDS_AT: usize = HEADER_BYTES + COUNT_BYTES;

/// Who writes, for the batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Who: -1 for nobody in particular.
    pub id: i64,
    /// Which life of the writer: -1 for none.
    pub epoch: i16,
}

impl Producer {
    /// Nobody in particular, as the stock client writes.
    pub const NONE: Producer = Producer { id: -1, epoch: -1 };
}

/// Builds uncompressed batches, one after the other, reusing nothing but its allocation's size.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// The header's place, the count's place, the records so far.
    bytes: Vec<u8>,
    records: u32,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        BatchBuilder { bytes: vec![0; RECORDS_AT], records: 0 }
    }
}

impl BatchBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        BatchBuilder::default()
    }

    /// Appends a record; its time will be the batch's.
    ///
    /// # Panics
    /// If the batch would pass [`BATCH_BYTES_MAX`]: callers finish a batch long before (64–256 KiB), and turn a record
    /// over the broker's limit away.
    pub fn push(&mut self, key: Option<&[u8]>, value: &[u8]) {
        let size = record_size(self.records, key, value);
        let whole = self.bytes.len().saturating_add(varint_size(size as i64)).saturating_add(size);
        assert!(whole <= BATCH_BYTES_MAX, "a batch of {whole} bytes is beyond the limit of {BATCH_BYTES_MAX}");
        self.bytes.reserve(whole - self.bytes.len());
        put_varint(&mut self.bytes, size as i64);
        // Attributes and time delta.
        self.bytes.extend_from_slice(&[0, 0]);
        put_varint(&mut self.bytes, i64::from(self.records));
        match key {
            None => self.bytes.push(0),
            Some(key) => {
                self.bytes.push(1);
                put_varint(&mut self.bytes, key.len() as i64);
                self.bytes.extend_from_slice(key);
            }
        }
        put_varint(&mut self.bytes, value.len() as i64);
        self.bytes.extend_from_slice(value);
        // No headers.
        self.bytes.push(0);
        self.records += 1;
    }

    /// Encoded size that the batch would have after a record, to decide before pushing it.
    pub fn bytes_with(&self, key: Option<&[u8]>, value: &[u8]) -> usize {
        let size = record_size(self.records, key, value);
        self.bytes.len().saturating_add(varint_size(size as i64)).saturating_add(size)
    }

    /// Records so far.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Encoded size so far, the header with it.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was pushed since the last batch.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// One encoded batch with its checksum; the builder is empty afterwards. The base offset is 0: the broker sets it.
    /// `time` is ms since 1970 and that of every record.
    ///
    /// # Panics
    /// If the builder is empty: there is no batch without records.
    pub fn finish(&mut self, producer: Producer, sequence: i32, time: i64) -> Vec<u8> {
        assert!(self.records > 0, "a batch holds at least one record");
        let next = BatchBuilder { bytes: Vec::with_capacity(self.bytes.len()), records: 0 };
        let BatchBuilder { mut bytes, records } = std::mem::replace(self, next);
        self.bytes.resize(RECORDS_AT, 0);

        // Both fit an i32, since a record takes at least seven of at most 2^30 bytes.
        let length = (bytes.len() - PREAMBLE_BYTES) as i32;
        let count = records as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[12..16].copy_from_slice(&(-1i32).to_be_bytes());
        bytes[16] = MAGIC;
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        bytes[27..35].copy_from_slice(&time.to_be_bytes());
        bytes[35..43].copy_from_slice(&time.to_be_bytes());
        bytes[43..51].copy_from_slice(&producer.id.to_be_bytes());
        bytes[51..53].copy_from_slice(&producer.epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        let checksum = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }
}

/// Size of a record without its length field.
fn record_size(index: u32, key: Option<&[u8]>, value: &[u8]) -> usize {
    // Attributes, time delta, whether there is a key, number of headers: a byte each.
    let fixed = 4;
    let key = key.map_or(0, |key| varint_size(key.len() as i64).saturating_add(key.len()));
    let value = varint_size(value.len() as i64).saturating_add(value.len());
    varint_size(i64::from(index)).saturating_add(fixed).saturating_add(key).saturating_add(value)
}

/// Zigzag: small negatives become small.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Encoded size of a varint: 1 to 10.
fn varint_size(number: i64) -> usize {
    (64 - (zigzag(number) | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_varint(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = zigzag(number);
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

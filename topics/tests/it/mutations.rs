//! Batches that nobody wrote: random bytes, and written batches with anything changed in them, go through everything that
//! reads batches. Nothing panics, and memory stays below the limits that the decoder promises.
//!
//! `FUZZ_SECONDS` sets the time (2 by default), `SEED` the seed.

use std::time::{Duration, Instant};

use catchment_topics::batch::{Batch, BatchHeader, HEADER_BYTES, batches, set_base_offset};
use fluvio_compression::Compression;
use fluvio_protocol::Encoder;
use fluvio_protocol::record::{Batch as StockBatch, RawRecords, Record as StockRecord};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore, SeedableRng};

use crate::alone;

/// Most bytes that a batch's records may have decompressed, here.
const LIMIT_BYTES: usize = 1 << 20;
/// What the process may grow by: the limit's room (doubled by growth), an 8 MiB window and as much of buffers around it,
/// the allocator's own habits.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

/// Numbers that break arithmetic.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, i64::MAX as u64, u64::MAX];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Largest memory that the process has had, if the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// As the stock client writes: its records compressed as a whole.
fn written(random: &mut StdRng, compression: Compression) -> Vec<u8> {
    let records: Vec<StockRecord> = (0..random.random_range(1..40))
        .map(|_| {
            let mut value = vec![b'v'; random.random_range(0..200)];
            let varied = value.len() / 3;
            random.fill_bytes(&mut value[..varied]);
            match random.random_bool(0.5) {
                true => StockRecord::new_key_value(format!("key {}", random.random_range(0..9)), value),
                false => StockRecord::new(value),
            }
        })
        .collect();
    let mut batch = StockBatch::from(records);
    batch.header.first_timestamp = random.random_range(-1..9);
    batch.header.set_compression(compression);
    let raw: StockBatch<RawRecords> = batch.try_into().unwrap();
    let mut bytes = Vec::new();
    raw.encode(&mut bytes, 0).unwrap();
    set_base_offset(&mut bytes, random.random_range(0..1000));
    bytes
}

/// A batch whose records were changed before they were compressed: what decompresses well and is wrong inside.
fn wrong_inside(random: &mut StdRng, compression: Compression) -> Vec<u8> {
    let plain = written(random, Compression::None);
    let mut records = plain[HEADER_BYTES..].to_vec();
    mutate(random, &mut records);
    with_payload(&plain, compression, &compression.compress(&records).unwrap())
}

/// A batch that grows a thousandfold.
fn bomb(random: &mut StdRng, compression: Compression) -> Vec<u8> {
    let plain = written(random, Compression::None);
    let zeros = vec![0; random.random_range(LIMIT_BYTES / 2..4 * LIMIT_BYTES)];
    with_payload(&plain, compression, &compression.compress(&zeros).unwrap())
}

fn with_payload(plain: &[u8], compression: Compression, payload: &[u8]) -> Vec<u8> {
    let mut bytes = plain[..HEADER_BYTES].to_vec();
    bytes.extend(payload);
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[22] = bytes[22] & !7 | compression as u8;
    bytes
}

/// Changes bits, bytes and fields, cuts, repeats, moves pieces about.
fn mutate(random: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..5) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..6) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => {
                let edge = EDGES.choose(random).unwrap().to_be_bytes();
                let width = [1, 2, 4, 8][random.random_range(0..4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&edge[8 - width..]);
            }
            3 => bytes.truncate(at),
            4 => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
            }
            _ => {
                let to = random.random_range(0..=at);
                let piece: Vec<u8> = bytes.drain(to..at).collect();
                bytes.extend(piece);
            }
        }
    }
}

fn input(random: &mut StdRng) -> Vec<u8> {
    const COMPRESSIONS: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let compression = *COMPRESSIONS.choose(random).unwrap();
    match random.random_range(0..20) {
        0 => {
            let mut bytes = vec![0; random.random_range(0..300)];
            random.fill_bytes(&mut bytes);
            bytes
        }
        1 => bomb(random, compression),
        2..6 => wrong_inside(random, compression),
        6 => (0..3).flat_map(|_| written(random, compression)).collect(),
        _ => {
            let mut bytes = written(random, compression);
            mutate(random, &mut bytes);
            bytes
        }
    }
}

/// Reads all that can be read, and checks that what comes out was in there.
fn read(bytes: &[u8], scratch: &mut Vec<u8>) -> u64 {
    let mut count = 0;
    let mut all = batches(bytes);
    for batch in all.by_ref() {
        let Batch { header, bytes: own } = batch;
        assert_eq!(header.bytes, own.len());
        assert!(header.records >= 1 && header.next_offset() > header.base_offset);
        let _ = batch.is_intact();
        let Ok(records) = batch.records_within(scratch, LIMIT_BYTES) else { continue };
        assert!(records.size_hint().0 <= LIMIT_BYTES.max(own.len()));
        let (mut seen, mut size) = (0u32, 0);
        for record in records.map_while(Result::ok) {
            assert_eq!(record.offset, header.base_offset + i64::from(seen));
            size += record.value.len() + record.key.map_or(0, <[u8]>::len);
            seen += 1;
        }
        assert!(seen <= header.records && size <= LIMIT_BYTES.max(own.len()));
        count += u64::from(seen);
    }
    assert!(scratch.capacity() <= 4 * LIMIT_BYTES, "{} bytes of scratch", scratch.capacity());
    assert!(BatchHeader::read(all.remaining()).is_none_or(|header| header.bytes > all.remaining().len()));
    count
}

#[test]
fn nothing_panics_and_memory_is_bounded() {
    alone("mutations::nothing_panics_and_memory_is_bounded", || {
        let (seed, seconds) = (setting("SEED", 1), setting("FUZZ_SECONDS", 2));
        println!("SEED={seed} FUZZ_SECONDS={seconds}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut scratch = Vec::new();
        // What the compressors of the test itself take is not counted.
        for _ in 0..500 {
            read(&input(&mut random), &mut scratch);
        }
        let (before, until) = (peak_bytes(), Instant::now() + Duration::from_secs(seconds));
        let (mut inputs, mut records) = (0u64, 0);
        while Instant::now() < until {
            records += read(&input(&mut random), &mut scratch);
            inputs += 1;
        }
        let grown = peak_bytes().zip(before).map(|(after, before)| after - before);
        println!("{inputs} inputs, {records} records read, memory grew by {grown:?} bytes");
        assert!(records > inputs, "most inputs must get as far as records");
        assert!(grown.is_none_or(|grown| grown <= GROWTH_BYTES_MAX), "memory grew by {grown:?} bytes");
    });
}

/// A zstd frame that asks for a window of 128 MiB is refused before anything is allocated for it.
#[test]
fn a_window_beyond_the_limit_is_refused() {
    let mut random = StdRng::seed_from_u64(2);
    let plain = written(&mut random, Compression::None);
    // Magic, descriptor (no size, no checksum, no dictionary), window 2^27, a raw block of 4 bytes that is the last.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x21, 0x00, 0x00, 0, 0, 0, 1];
    let bytes = with_payload(&plain, Compression::Zstd, &frame);
    let batch = batches(&bytes).next().unwrap();
    let chain = batch.records(&mut Vec::new()).map(|_| ()).unwrap_err().chain();
    assert!(chain.contains("it cannot be decompressed") && chain.contains("memory"), "{chain}");
    // The same frame with a window of 8 MiB gets as far as the count.
    let frame = [&frame[..5], &[13 << 3], &frame[6..]].concat();
    let bytes = with_payload(&plain, Compression::Zstd, &frame);
    let chain = batches(&bytes).next().unwrap().records(&mut Vec::new()).map(|_| ()).unwrap_err().chain();
    assert!(chain.contains("it holds 1 records where its header says"), "{chain}");
}

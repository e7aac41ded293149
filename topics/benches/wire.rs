//! What a batch costs a record: building and reading it, beside the protocol crate's own encoder and decoder, which the
//! stock client uses. Records of 200 B and 1 KiB in batches of about 256 KiB. Under `cargo test` batches are small.
//!
//! Each read checks the sum of its values' lengths, so that no work can vanish.

use std::hint::black_box;

use bytes::Bytes;
use catchment_topics::batch::{BatchBuilder, Producer, batches};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fluvio_compression::Compression;
use fluvio_protocol::record::{Batch as StockBatch, RawRecords, Record as StockRecord};
use fluvio_protocol::{Decoder, Encoder};

/// Sizes of a record's value.
const VALUE_BYTES: [usize; 2] = [200, 1024];

/// Records of a batch.
fn records(value_bytes: usize) -> usize {
    let batch_bytes = if std::env::args().any(|argument| argument == "--bench") { 256 << 10 } else { 4 << 10 };
    batch_bytes / value_bytes
}

/// Keys of ten letters, and values that compress as text does.
fn pairs(value_bytes: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..records(value_bytes))
        .map(|index| {
            let value = format!("{{\"id\":{index},\"body\":\"lorem ipsum dolor sit amet, consectetur {index}\"}}");
            (format!("t1_{index:07}").into_bytes(), value.into_bytes().into_iter().cycle().take(value_bytes).collect())
        })
        .collect()
}

fn built(builder: &mut BatchBuilder, pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    pairs.iter().for_each(|(key, value)| builder.push(Some(key), value));
    builder.finish(Producer { id: 7, epoch: 0 }, 1, 1_700_000_000_000)
}

fn stock_built(pairs: &[(Vec<u8>, Vec<u8>)], compression: Compression) -> Vec<u8> {
    let records: Vec<StockRecord> =
        pairs.iter().map(|(key, value)| StockRecord::new_key_value(key.clone(), value.clone())).collect();
    let mut batch = StockBatch::from(records);
    batch.header.set_compression(compression);
    let raw: StockBatch<RawRecords> = batch.try_into().expect("these compressions are built in");
    let mut bytes = Vec::new();
    raw.encode(&mut bytes, 0).expect("a vector takes all bytes");
    bytes
}

fn read(bytes: &[u8], scratch: &mut Vec<u8>) -> usize {
    let mut sum = 0;
    for batch in batches(bytes) {
        assert!(batch.is_intact());
        for record in batch.records(scratch).expect("it was just written") {
            sum += black_box(record.expect("it was just written")).value.len();
        }
    }
    sum
}

/// As the stock consumer does: a batch of bytes, then of records. It checks no checksum.
fn stock_read(bytes: &Bytes) -> usize {
    let raw = StockBatch::<RawRecords>::decode_from(&mut bytes.clone(), 0).expect("it was just written");
    let batch: StockBatch = raw.try_into().expect("it was just written");
    batch.records().iter().map(|record| black_box(record).value.len()).sum()
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for size in VALUE_BYTES {
        let pairs = pairs(size);
        group.throughput(Throughput::Elements(pairs.len() as u64));
        let mut builder = BatchBuilder::new();
        group.bench_function(BenchmarkId::new("ours", size), |bencher| bencher.iter(|| built(&mut builder, &pairs)));
        group.bench_function(BenchmarkId::new("stock", size), |bencher| {
            bencher.iter(|| stock_built(&pairs, Compression::None));
        });
    }
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for size in VALUE_BYTES {
        let pairs = pairs(size);
        group.throughput(Throughput::Elements(pairs.len() as u64));
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let bytes = Bytes::from(stock_built(&pairs, compression));
            let (expect, mut scratch) = (pairs.len() * size, Vec::new());
            group.bench_function(BenchmarkId::new(format!("ours {compression}"), size), |bencher| {
                bencher.iter(|| assert_eq!(read(&bytes, &mut scratch), expect));
            });
            group.bench_function(BenchmarkId::new(format!("stock {compression}"), size), |bencher| {
                bencher.iter(|| assert_eq!(stock_read(&bytes), expect));
            });
        }
    }
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);

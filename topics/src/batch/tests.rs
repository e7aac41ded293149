//! The judge is the protocol crate: what it writes is read here, what is built here it reads and writes the same.

use bytes::Bytes;
use fluvio_compression::Compression;
use fluvio_protocol::record::{Batch as StockBatch, MemoryRecords, RawRecords, Record as StockRecord};
use fluvio_protocol::{Decoder, Encoder};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::*;

const COMPRESSIONS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

type Pairs = Vec<(Option<Vec<u8>>, Vec<u8>)>;
/// Offset, time, key and value.
type Owned = (i64, i64, Option<Vec<u8>>, Vec<u8>);

fn some_pairs(random: &mut StdRng, records: usize, bytes_max: usize) -> Pairs {
    let fill = |random: &mut StdRng, most: usize| {
        let mut bytes = vec![b'a'; random.random_range(0..=most)];
        let varied = bytes.len() / 2;
        random.fill_bytes(&mut bytes[..varied]);
        bytes
    };
    (0..records).map(|_| (random.random_bool(0.7).then(|| fill(random, 70)), fill(random, bytes_max))).collect()
}

fn stock_batch(pairs: &Pairs) -> StockBatch {
    let records: Vec<StockRecord> = pairs
        .iter()
        .map(|(key, value)| match key {
            Some(key) => StockRecord::new_key_value(key.clone(), value.clone()),
            None => StockRecord::new(value.clone()),
        })
        .collect();
    StockBatch::from(records)
}

/// As the stock producer writes.
fn stock_bytes(pairs: &Pairs, compression: Compression, base: i64, time: i64) -> Vec<u8> {
    let mut batch = stock_batch(pairs).base_offset(base);
    batch.header.first_timestamp = time;
    batch.header.max_time_stamp = time;
    batch.header.set_compression(compression);
    let raw: StockBatch<RawRecords> = batch.try_into().unwrap();
    let mut bytes = Vec::new();
    raw.encode(&mut bytes, 0).unwrap();
    bytes
}

fn read_all(bytes: &[u8]) -> Vec<Owned> {
    let mut all = Vec::new();
    let mut scratch = Vec::new();
    for batch in batches(bytes) {
        assert!(batch.is_intact());
        for record in batch.records(&mut scratch).unwrap() {
            let Record { offset, time, key, value } = record.unwrap();
            all.push((offset, time, key.map(<[u8]>::to_vec), value.to_vec()));
        }
    }
    all
}

#[test]
fn what_the_stock_encoder_writes_is_read() {
    let mut random = StdRng::seed_from_u64(1);
    for compression in COMPRESSIONS {
        let mut bytes = Vec::new();
        let mut expect = Vec::new();
        for records in [1, 2, 63, 64, 65, 300] {
            let pairs = some_pairs(&mut random, records, 300);
            let base = expect.len() as i64;
            bytes.extend(stock_bytes(&pairs, compression, base, 1_700_000_000_000));
            expect.extend(
                pairs
                    .into_iter()
                    .enumerate()
                    .map(|(index, (key, value))| (base + index as i64, 1_700_000_000_000, key, value)),
            );
        }
        assert_eq!(batches(&bytes).map(|batch| batch.header.compression).max(), Some(compression as u8));
        assert_eq!(read_all(&bytes), expect, "{compression}");
    }
}

#[test]
fn what_is_built_the_stock_decoder_reads_and_writes_the_same() {
    let mut random = StdRng::seed_from_u64(2);
    let mut builder = BatchBuilder::new();
    for records in [1, 2, 64, 8193] {
        let pairs = some_pairs(&mut random, records, 200);
        for (key, value) in &pairs {
            let foreseen = builder.bytes_with(key.as_deref(), value);
            builder.push(key.as_deref(), value);
            assert_eq!(builder.bytes(), foreseen);
        }
        let size = builder.bytes();
        let bytes = builder.finish(Producer { id: -7, epoch: 3 }, 41, 1_700_000_000_123);
        assert!(builder.is_empty());
        assert_eq!(bytes.len(), size);

        let stock = StockBatch::<MemoryRecords>::decode_from(&mut Bytes::from(bytes.clone()), 0).unwrap();
        assert!(stock.validate_decoding());
        let read: Pairs = stock
            .records()
            .iter()
            .map(|record| (record.key.as_ref().map(|key| key.to_vec()), record.value.to_vec()))
            .collect();
        assert_eq!(read, pairs);
        assert!(stock.records().iter().enumerate().all(|(index, record)| record.offset_delta() == index as i64));
        let mut again = Vec::new();
        stock.encode(&mut again, 0).unwrap();
        assert_eq!(again, bytes, "byte for byte, checksum and all");

        let header = BatchHeader::read(&bytes).unwrap();
        assert_eq!((header.producer_id, header.producer_epoch, header.first_sequence), (-7, 3, 41));
        assert_eq!((header.base_offset, header.records as usize, header.bytes), (0, records, bytes.len()));
        assert_eq!((header.first_time, header.max_time), (1_700_000_000_123, 1_700_000_000_123));
    }
}

#[test]
fn a_builder_ends_where_a_size_grows_by_a_byte() {
    for size in [0, 1, 63, 64, 8191, 8192, 1 << 20] {
        let mut builder = BatchBuilder::new();
        builder.push(Some(&vec![1; size]), &vec![2; size]);
        let bytes = builder.finish(Producer::NONE, -1, -1);
        let stock = StockBatch::<MemoryRecords>::decode_from(&mut Bytes::from(bytes), 0).unwrap();
        assert!(stock.validate_decoding());
        assert_eq!(stock.records()[0].value.len(), size);
    }
}

#[test]
fn times_are_the_stock_consumers() {
    let pairs = vec![(None, b"a".to_vec()), (None, b"b".to_vec())];
    let mut batch = stock_batch(&pairs).base_offset(10);
    batch.header.first_timestamp = 1_000;
    for (record, delta) in batch.mut_records().iter_mut().zip([0, 250]) {
        record.get_mut_header().set_timestamp_delta(delta);
    }
    let mut bytes = Vec::new();
    batch.encode(&mut bytes, 0).unwrap();
    let stock: Vec<_> =
        batch.into_consumer_records_iter(0).map(|record| (record.offset(), record.timestamp())).collect();
    let ours: Vec<_> = read_all(&bytes).into_iter().map(|(offset, time, ..)| (offset, time)).collect();
    assert_eq!(ours, stock);
    assert_eq!(ours, [(10, 1_000), (11, 1_250)]);
    assert_eq!(read_all(&stock_bytes(&pairs, Compression::None, 0, -1))[0].1, -1);
}

#[test]
fn a_schema_id_is_passed_over() {
    let pairs = vec![(Some(b"k".to_vec()), b"v".to_vec())];
    let mut batch = stock_batch(&pairs);
    let mut id = Bytes::from_static(&[0, 0, 0, 9]);
    batch.set_schema_id(Decoder::decode_from(&mut id, 0).unwrap());
    let mut bytes = Vec::new();
    batch.encode(&mut bytes, 0).unwrap();
    assert_eq!(read_all(&bytes), [(0, -1, Some(b"k".to_vec()), b"v".to_vec())]);
}

#[test]
fn a_cut_batch_ends_the_iteration() {
    let mut random = StdRng::seed_from_u64(3);
    let pairs = some_pairs(&mut random, 5, 50);
    let first = stock_bytes(&pairs, Compression::None, 0, 1);
    let second = stock_bytes(&pairs, Compression::Lz4, 5, 1);
    let whole = [first.clone(), second].concat();
    for cut in 0..=whole.len() {
        let mut some = batches(&whole[..cut]);
        let expect = usize::from(cut >= first.len()) + usize::from(cut == whole.len());
        assert_eq!(some.by_ref().count(), expect);
        let given = [0, first.len(), whole.len()][expect];
        assert_eq!(some.remaining(), &whole[given..cut]);
    }
}

#[test]
fn a_header_that_cannot_be_is_none() {
    let good = stock_bytes(&vec![(None, b"value".to_vec())], Compression::None, 4, 1);
    assert!(BatchHeader::read(&good).is_some());
    let check = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(BatchHeader::read(&bad), None, "{bytes:?} at {at}");
    };
    check(0, &(-1i64).to_be_bytes());
    check(0, &i64::MAX.to_be_bytes());
    check(8, &(-1i32).to_be_bytes());
    check(8, &44i32.to_be_bytes());
    check(16, &[1]);
    check(23, &(-1i32).to_be_bytes());
    check(23, &1i32.to_be_bytes());
    check(23, &i32::MAX.to_be_bytes());
    assert_eq!(BatchHeader::read(&good[..HEADER_BYTES - 1]), None);
}

#[test]
fn an_offset_is_set_in_place() {
    let mut bytes = stock_bytes(&vec![(None, b"value".to_vec())], Compression::None, 0, 1);
    set_base_offset(&mut bytes, 77);
    assert_eq!(read_all(&bytes)[0].0, 77);
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let pairs: Pairs = vec![(None, vec![0; 8 << 20])];
    for compression in &COMPRESSIONS[1..] {
        let bytes = stock_bytes(&pairs, *compression, 0, 1);
        let batch = batches(&bytes).next().unwrap();
        let mut scratch = Vec::new();
        let error = batch.records_within(&mut scratch, 1 << 20).unwrap_err();
        assert!(error.chain().contains("it decompresses to more than 1048576 bytes"), "{}", error.chain());
        assert!(scratch.capacity() <= 4 << 20, "{}", scratch.capacity());
        assert_eq!(batch.records(&mut scratch).unwrap().count(), 1);
    }
}

#[test]
fn an_unknown_compression_and_a_wrong_count_are_named() {
    let good = stock_bytes(&vec![(None, b"value".to_vec())], Compression::Zstd, 4, 1);
    let says = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        let batch = batches(&bad).next().unwrap();
        assert!(!batch.is_intact());
        batch.records(&mut Vec::new()).map(|_| ()).unwrap_err().chain()
    };
    assert!(says(22, 6).starts_with("cannot read the batch at offset 4: its compression 6 is unknown"));
    assert!(says(22, 1).starts_with("cannot read the batch at offset 4: it cannot be decompressed: "));
    assert_eq!(says(26, 4), "cannot read the batch at offset 4: it holds 1 records where its header says 5");
}

/// Whatever the bytes: no panic, and never more records or bytes than there are.
#[test]
fn mutations_are_harmless() {
    let seed = 4;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..3_000 {
        let pairs = some_pairs(&mut random, 1 + round % 7, 60);
        let mut bytes = stock_bytes(&pairs, COMPRESSIONS[round % 5], 9, 5);
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        bytes.truncate(random.random_range(bytes.len() / 2..=bytes.len()));
        let mut scratch = Vec::new();
        for batch in batches(&bytes) {
            let _ = batch.is_intact();
            if let Ok(records) = batch.records_within(&mut scratch, 1 << 16) {
                let payload: usize = records.map_while(Result::ok).map(|record| record.value.len()).sum();
                assert!(payload <= 1 << 16);
            }
            assert!(scratch.capacity() <= 1 << 18);
        }
    }
}

#[test]
fn keys_go_where_the_stock_client_sends_them() {
    // SipHash-2-4 with a zero key over the length (8 bytes, little-endian) and the bytes.
    assert_eq!(partition_of(b"a", 1), 0);
    let spread: Vec<u32> = (0..8u8).map(|key| partition_of(&[key], 3)).collect();
    assert!((0..3).all(|partition| spread.contains(&partition)), "{spread:?}");
    let mut reference = SipHasher::new();
    reference.write(&3u64.to_le_bytes());
    reference.write(b"key");
    assert_eq!(u64::from(partition_of(b"key", u32::MAX)), reference.finish() % u64::from(u32::MAX));
}

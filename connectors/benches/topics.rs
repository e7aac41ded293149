//! Decoding of a topic's records, in ns a record, beside a ceiling over the same batches: sonic-rs with a borrowed struct of
//! the same fields, which makes no columns and refuses nothing.
//!
//! `CATCHMENT_BENCH=large` measures on 16 MB; without it one small batch checks that the bench works.

use std::hint::black_box;
use std::sync::Arc;

use catchment_connectors::fluvio::{TopicDecoder, TopicOptions};
use catchment_contract::arrow::array::AsArray;
use catchment_contract::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use catchment_contract::{Declaration, Decoder, Options, Payload, Position};
use catchment_topics::batch::{BatchBuilder, Producer, batches, set_base_offset};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;

/// Length of a payload, and of the batches in it: what the reader yields, and what our sink writes.
const PAYLOAD_BYTES: usize = 1 << 20;
const BATCH_BYTES: usize = 128 << 10;

/// The fields as somebody would write them down by hand.
#[derive(Deserialize)]
#[allow(dead_code, reason = "the fields are there to be parsed")]
struct Row<'a> {
    id: i64,
    video_id: &'a str,
    #[serde(borrow)]
    subreddit: std::borrow::Cow<'a, str>,
    mentions: i64,
    score: f64,
    spam: bool,
    #[serde(borrow)]
    body: std::borrow::Cow<'a, str>,
}

/// A change of such rows.
#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    before: Option<Row<'a>>,
    #[serde(borrow)]
    after: Option<Row<'a>>,
    op: &'a str,
}

fn row(rng: &mut StdRng, id: i64, bytes: usize) -> String {
    let (mentions, score, sub) = (rng.random_range(0..9_000), rng.random_range(-50..900), rng.random_range(0..500));
    let video: String = (0..11).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
    let head = format!(
        "{{\"id\":{id},\"video_id\":\"{video}\",\"subreddit\":\"subreddit_{sub}\",\"mentions\":{mentions},\
         \"score\":{score}.25,\"spam\":false,\"lang\":\"en\",\"body\":\""
    );
    let words = ["quick ", "video ", "caf\u{e9} ", "and ", "the ", "\\\"stream\\\" "];
    let mut body = String::new();
    while head.len() + body.len() + 2 < bytes {
        let kinds = if rng.random_bool(0.02) { 6 } else { 5 };
        body.push_str(words[rng.random_range(0..kinds)]);
    }
    format!("{head}{body}\"}}")
}

/// Payloads of batches of the records that `value` makes.
fn payloads(bytes: usize, value: impl Fn(&mut StdRng, i64) -> String) -> (Vec<Payload>, u64) {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut made, mut payload, mut builder) = (Vec::new(), Vec::new(), BatchBuilder::new());
    let (mut first, mut id, mut total) = (0, 0, 0);
    while total < bytes {
        while builder.bytes() < BATCH_BYTES.min(bytes) {
            builder.push(Some(format!("{id}").as_bytes()), value(&mut rng, id).as_bytes());
            id += 1;
        }
        let count = i64::from(builder.records());
        let mut batch = builder.finish(Producer::NONE, -1, 1_704_067_200_000);
        set_base_offset(&mut batch, id - count);
        payload.extend_from_slice(&batch);
        total += batch.len();
        if payload.len() >= PAYLOAD_BYTES || total >= bytes {
            made.push(Payload {
                partition: Arc::from("0"),
                bytes: std::mem::take(&mut payload),
                first_record: first as u64 + 1,
                bytes_read: 0,
                position: Position(String::new()),
                rejects: Vec::new(),
            });
            first = id;
        }
    }
    (made, id as u64)
}

fn decoder(format: &str) -> TopicDecoder {
    let columns = [
        ("id", DataType::Int64),
        ("video_id", DataType::Utf8View),
        ("subreddit", DataType::Utf8View),
        ("mentions", DataType::Int64),
        ("score", DataType::Float64),
        ("spam", DataType::Boolean),
        ("body", DataType::Utf8View),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect();
    let declared = Declaration { columns: Some(Arc::new(Schema::new(fields))), primary_key: vec!["id".to_owned()] };
    let mut options = Options::new("source \"bench\"");
    options.insert("topic", "bench", Default::default());
    options.insert("format", format, Default::default());
    let options = TopicOptions::take(&declared, &mut options).expect("the options are right");
    TopicDecoder::new(&options, &[0, 1, 2, 3, 4, 5, 6])
}

/// Rows, sum of mentions and length of bodies.
type Digest = (u64, i64, u64);

fn by_decoder(decoder: &TopicDecoder, payloads: &[Payload]) -> Digest {
    payloads.iter().fold((0, 0, 0), |(rows, mentions, body), payload| {
        let decoded = decoder.decode(payload);
        assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects.first());
        let sums = decoded.rows.column(3).as_primitive::<Int64Type>().values().iter().sum::<i64>();
        let bodies = decoded.rows.column(6).as_string_view();
        let body_bytes: u64 = bodies.iter().flatten().map(|body| body.len() as u64).sum();
        (rows + decoded.records, mentions + sums, body + body_bytes)
    })
}

fn by_struct(payloads: &[Payload], change: bool) -> Digest {
    let mut scratch = Vec::new();
    let mut digest = (0, 0, 0);
    for batch in payloads.iter().flat_map(|payload| batches(&payload.bytes)) {
        for record in batch.records(&mut scratch).expect("a batch") {
            let text = std::str::from_utf8(record.expect("a record").value).expect("made of characters");
            let mut add = |row: &Row<'_>| {
                let row = black_box(row);
                digest = (digest.0 + 1, digest.1 + row.mentions, digest.2 + row.body.len() as u64);
            };
            if change {
                let change: Change<'_> = sonic_rs::from_str(text).expect("a change");
                assert!(change.before.is_some() && change.op == "u");
                add(&change.after.expect("an update"));
            } else {
                add(&sonic_rs::from_str(text).expect("a row"));
            }
        }
    }
    digest
}

fn topics(c: &mut Criterion) {
    let large = std::env::var("CATCHMENT_BENCH").is_ok_and(|size| size == "large");
    let bytes = if large { 16 << 20 } else { 1 << 14 };
    let mut group = c.benchmark_group("decode topics");
    group.sample_size(10);
    let mut measure = |name: &str, format: &str, value: &dyn Fn(&mut StdRng, i64) -> String| {
        let (payloads, records) = payloads(bytes, value);
        let (decoder, change) = (decoder(format), format == "debezium");
        let expect = by_struct(&payloads, change);
        assert_eq!((by_decoder(&decoder, &payloads), expect.0), (expect, records), "both read the same");
        group.throughput(Throughput::Elements(records));
        group.bench_function(format!("{name}: decoder"), |b| {
            b.iter(|| assert_eq!(by_decoder(&decoder, &payloads), expect));
        });
        group.bench_function(format!("{name}: derived struct"), |b| {
            b.iter(|| assert_eq!(by_struct(&payloads, change), expect));
        });
    };
    measure("json of 200 B", "json", &|rng, id| row(rng, id, 200));
    measure("json of 1 KiB", "json", &|rng, id| row(rng, id, 1024));
    measure("debezium of 1 KiB", "debezium", &|rng, id| {
        let (before, after) = (row(rng, id, 490), row(rng, id, 490));
        format!("{{\"before\":{before},\"after\":{after},\"op\":\"u\",\"epoch\":7,\"ts_ms\":1704067200000}}")
    });
    group.finish();
}

criterion_group!(benches, topics);
criterion_main!(benches);

//! Decoding of comments, in MB/s of JSON, beside two ceilings over the same bytes: sonic-rs with a borrowed struct of the
//! same fields, and a bare skip over every line.
//!
//! `CATCHMENT_BENCH=large` measures on 64 MB; without it one payload checks that the bench works.

use std::hint::black_box;
use std::sync::Arc;

use catchment_connectors::reddit::{Decoder, Kind};
use catchment_contract::arrow::array::AsArray;
use catchment_contract::{Decoder as _, Payload, Position};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Length of a payload: what the reader of lines yields.
const PAYLOAD_BYTES: usize = 1 << 20;

/// The columns of the comments table of the main job.
const WANTED: [&str; 9] =
    ["id", "subreddit", "author", "created_utc", "score", "body", "link_id", "parent_id", "edited_at"];

/// The same fields as somebody would write them down by hand.
#[derive(Deserialize)]
#[allow(dead_code, reason = "the fields are there to be parsed")]
struct Comment<'a> {
    id: &'a str,
    #[serde(borrow)]
    subreddit: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    author: std::borrow::Cow<'a, str>,
    created_utc: i64,
    score: i64,
    #[serde(borrow)]
    body: std::borrow::Cow<'a, str>,
    link_id: &'a str,
    parent_id: &'a str,
    edited: Edited,
}

#[derive(Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "the fields are there to be parsed")]
enum Edited {
    Flag(bool),
    Time(i64),
}

/// Comments as Arctic Shift publishes them: 44 fields, about 1.2 KB a line, ascending in time.
fn comments(bytes: usize) -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut payloads, mut payload) = (Vec::new(), Vec::with_capacity(PAYLOAD_BYTES + 4096));
    let mut made = 0;
    for n in 0_u64.. {
        let line = comment(&mut rng, n);
        payload.extend_from_slice(line.as_bytes());
        made += line.len();
        if payload.len() >= PAYLOAD_BYTES || made >= bytes {
            payloads.push(std::mem::take(&mut payload));
        }
        if made >= bytes {
            break;
        }
    }
    payloads
}

fn comment(rng: &mut StdRng, n: u64) -> String {
    let words =
        ["quick", "video", "https:\\/\\/youtu.be\\/dQw4w9WgXcQ", "\\\"really\\\"", "café", "and", "the", "stream"];
    let body =
        (0..rng.random_range(4..45)).map(|_| words[rng.random_range(0..words.len())]).collect::<Vec<_>>().join(" ");
    let body = if rng.random_bool(0.4) { body.replace(['\\', '"'], "") } else { body };
    let (time, sub, author) = (1_704_067_200 + n / 3, rng.random_range(0..500), rng.random_range(0..90_000));
    let edited = if rng.random_bool(0.03) { (time + 99).to_string() } else { "false".to_owned() };
    let (id, link, score) = (format!("k{n:06x}"), format!("18{:05x}", n / 20), rng.random_range(-5..300));
    format!(
        "{{\"all_awardings\":[],\"archived\":false,\"associated_award\":null,\"author\":\"user_{author}\",\
         \"author_created_utc\":1500000000,\"author_flair_background_color\":null,\"author_flair_css_class\":null,\
         \"author_flair_richtext\":[],\"author_flair_template_id\":null,\"author_flair_text\":null,\
         \"author_flair_text_color\":null,\"author_flair_type\":\"text\",\"author_fullname\":\"t2_{author:x}\",\
         \"author_patreon_flair\":false,\"author_premium\":false,\"body\":\"{body}\",\"can_gild\":true,\"collapsed\":false,\
         \"collapsed_because_crowd_control\":null,\"collapsed_reason\":null,\"comment_type\":null,\
         \"controversiality\":0,\"created_utc\":{time},\"distinguished\":null,\"edited\":{edited},\"gilded\":0,\
         \"gildings\":{{}},\"id\":\"{id}\",\"is_submitter\":false,\"link_id\":\"t3_{link}\",\"locked\":false,\
         \"no_follow\":true,\"parent_id\":\"t3_{link}\",\"permalink\":\"/r/sub{sub}/comments/{link}/_/{id}/\",\
         \"retrieved_on\":{},\"score\":{score},\"score_hidden\":false,\"send_replies\":true,\"stickied\":false,\
         \"subreddit\":\"subreddit_{sub}\",\"subreddit_id\":\"t5_{sub:x}\",\
         \"subreddit_name_prefixed\":\"r/subreddit_{sub}\",\"subreddit_type\":\"public\",\
         \"total_awards_received\":0,\"treatment_tags\":[]}}\n",
        time + 90_000
    )
}

fn lines(payload: &[u8]) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(payload).expect("made of characters");
    text.split_terminator('\n')
}

fn decode(c: &mut Criterion) {
    let large = std::env::var("CATCHMENT_BENCH").is_ok_and(|size| size == "large");
    let made = comments(if large { 64 << 20 } else { 1 << 16 });
    let bytes: usize = made.iter().map(Vec::len).sum();
    let schema = Kind::Comments.schema();
    let projection = WANTED.map(|name| schema.index_of(name).expect("a column of comments"));
    let decoder = Decoder::new(Kind::Comments, &projection);
    let everything = Decoder::new(Kind::Comments, &(0..schema.fields().len()).collect::<Vec<_>>());
    let payload = |bytes: &Vec<u8>| Payload {
        partition: Arc::from("bench"),
        bytes: bytes.clone(),
        first_record: 1,
        bytes_read: 0,
        position: Position("{\"lines\":{}}".to_owned()),
        rejects: Vec::new(),
    };
    let payloads: Vec<Payload> = made.iter().map(payload).collect();
    let expect = digest_by_struct(&made);
    assert_eq!(digest(&decoder, &payloads), expect, "both read the same");

    let mut group = c.benchmark_group("decode comments");
    group.throughput(Throughput::BytesDecimal(bytes as u64)).sample_size(10);
    group.bench_function("decoder, 9 columns", |b| b.iter(|| assert_eq!(digest(&decoder, &payloads), expect)));
    group.bench_function("decoder, all columns", |b| {
        b.iter(|| payloads.iter().for_each(|payload| drop(black_box(everything.decode(payload)))));
    });
    group.bench_function("ceiling: derived struct, 9 fields", |b| {
        b.iter(|| assert_eq!(digest_by_struct(&made), expect))
    });
    group.bench_function("ceiling: bare skip", |b| {
        let skip = |line| u64::from(sonic_rs::from_str::<IgnoredAny>(line).is_ok());
        b.iter(|| made.iter().flat_map(|payload| lines(payload)).map(skip).sum::<u64>());
    });
    group.finish();
}

/// Rows, sum of scores and length of bodies.
fn digest(decoder: &Decoder, payloads: &[Payload]) -> (u64, i64, u64) {
    payloads.iter().fold((0, 0, 0), |(rows, score, body), payload| {
        let decoded = decoder.decode(payload);
        assert!(decoded.rejects.is_empty());
        let scores = decoded.rows.column(4).as_primitive::<catchment_contract::arrow::datatypes::Int64Type>();
        let bodies = decoded.rows.column(5).as_string_view();
        let body_bytes: u64 = bodies.iter().flatten().map(|body| body.len() as u64).sum();
        (rows + decoded.records, score + scores.values().iter().sum::<i64>(), body + body_bytes)
    })
}

fn digest_by_struct(payloads: &[Vec<u8>]) -> (u64, i64, u64) {
    payloads.iter().flat_map(|payload| lines(payload)).fold((0, 0, 0), |(rows, score, body), line| {
        let comment: Comment<'_> = sonic_rs::from_str(line).expect("a comment");
        let read = black_box(&comment);
        (rows + 1, score + read.score, body + read.body.len() as u64)
    })
}

criterion_group!(benches, decode);
criterion_main!(benches);

//! The function library: `words` in nanoseconds a token beside a ceiling that only finds token boundaries, and
//! `youtube_video_ids` in bytes a second beside a bare search for `youtu`.
//!
//! Texts follow comments: a median of 110 bytes, words drawn by Zipf's law from 50,000, one comment in fifty with a link.
//! Under `cargo test` the texts are few.

use std::hint::black_box;

use catchment_contract::arrow::array::{Array, AsArray, StringViewArray, StringViewBuilder};
use catchment_contract::arrow::datatypes::UInt32Type;
use catchment_operators::functions::{words_encoded, youtube_video_ids};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Rows of a batch: what a payload of 1 MiB of comments gives.
const BATCH_ROWS: usize = 1_000;
const VOCABULARY: usize = 50_000;

fn batches() -> usize {
    if std::env::args().any(|argument| argument == "--bench") { 300 } else { 3 }
}

fn vocabulary(random: &mut SmallRng) -> Vec<String> {
    let (consonants, vowels) = (b"bcdfghjklmnprstvwz", b"aeiou");
    let mut syllable = |word: &mut String| {
        word.push(char::from(consonants[random.random_range(0..consonants.len())]));
        word.push(char::from(vowels[random.random_range(0..vowels.len())]));
        if random.random_range(0..3) == 0 {
            word.push(char::from(consonants[random.random_range(0..consonants.len())]));
        }
    };
    (0..VOCABULARY)
        .map(|rank| {
            let mut word = String::new();
            (0..1 + rank % 4).for_each(|_| syllable(&mut word));
            if rank % 50 == 7 {
                word.push('\u{e9}');
            }
            word
        })
        .collect()
}

/// Batches of texts; with `links`, one in fifty ends with a link.
fn texts(links: bool) -> Vec<StringViewArray> {
    let mut random = SmallRng::seed_from_u64(7);
    let vocabulary = vocabulary(&mut random);
    let separators = [" ", " ", " ", " ", " ", " ", ", ", ". ", "! ", "\n\n", " ("];
    let mut text = String::new();
    let mut batch = || {
        let mut builder = StringViewBuilder::new().with_fixed_block_size(1 << 18);
        for _ in 0..BATCH_ROWS {
            text.clear();
            let bytes = (110.0 * (random.random_range(-2.0..2.0f64) * 0.8).exp()).clamp(20.0, 400.0) as usize;
            while text.len() < bytes {
                let rank = (VOCABULARY as f64).powf(random.random::<f64>()) as usize - 1;
                text.push_str(&vocabulary[rank.min(VOCABULARY - 1)]);
                text.push_str(separators[random.random_range(0..separators.len())]);
            }
            if links && random.random_range(0..50) == 0 {
                text.push_str("https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=3s");
            }
            builder.append_value(&text);
        }
        builder.finish()
    };
    (0..batches()).map(|_| batch()).collect()
}

fn bytes(batches: &[StringViewArray]) -> u64 {
    batches.iter().map(|batch| batch.iter().flatten().map(|text| text.len() as u64).sum::<u64>()).sum()
}

/// Runs of at least three letters, counted and nothing else.
fn boundaries(text: &[u8]) -> u64 {
    let (mut count, mut last, mut last_third) = (0, 0u64, 0u64);
    for chunk in text.chunks(64) {
        let mut bits = 0u64;
        for (index, byte) in chunk.iter().enumerate() {
            bits |= u64::from((byte | 0x20).wrapping_sub(b'a') < 26) << index;
        }
        let third = bits & (bits << 1 | last >> 63) & (bits << 2 | last >> 62);
        count += u64::from((third & !(third << 1 | last_third >> 63)).count_ones());
        (last, last_third) = (bits, third);
    }
    count
}

fn words(criterion: &mut Criterion) {
    let batches = texts(false);
    let ceiling =
        || batches.iter().flat_map(|batch| batch.iter().flatten()).map(|text| boundaries(text.as_bytes())).sum();
    let tokens: u64 = ceiling();
    let encode = |batch: &StringViewArray| words_encoded(batch).expect("few words");
    let found = batches.iter().map(|batch| encode(batch).values().len() as u64).sum::<u64>();
    assert_eq!(found, tokens, "both count the same words");
    let list = encode(&batches[0]);
    assert!(list.values().as_dictionary::<UInt32Type>().values().len() < list.values().len());

    let mut group = criterion.benchmark_group("words");
    group.throughput(Throughput::Elements(tokens)).sample_size(10);
    group.bench_function("ceiling: boundaries", |bencher| bencher.iter(|| black_box(ceiling())));
    group.bench_function("words_encoded", |bencher| {
        bencher.iter(|| batches.iter().map(|batch| black_box(encode(batch)).len()).sum::<usize>());
    });
    group.finish();
}

fn youtube(criterion: &mut Criterion) {
    for (name, links) in [("without links", false), ("links in 2 %", true)] {
        let batches = texts(links);
        let find = |batch: &StringViewArray| youtube_video_ids(batch).expect("few links").values().len();
        let found = batches.iter().map(find).sum::<usize>();
        assert_eq!(found > 0, links, "{found} links");
        let finder = memchr::memmem::Finder::new("youtu");
        let search = |batch: &StringViewArray| {
            batch.data_buffers().iter().map(|buffer| finder.find_iter(buffer).count()).sum::<usize>()
        };

        let mut group = criterion.benchmark_group(format!("youtube_video_ids, {name}"));
        group.throughput(Throughput::Bytes(bytes(&batches))).sample_size(10);
        group.bench_function("ceiling: one search", |bencher| {
            bencher.iter(|| batches.iter().map(|batch| black_box(search(batch))).sum::<usize>());
        });
        group.bench_function("youtube_video_ids", |bencher| {
            bencher.iter(|| batches.iter().map(|batch| black_box(find(batch))).sum::<usize>());
        });
        group.finish();
    }
}

criterion_group!(benches, words, youtube);
criterion_main!(benches);

//! What an arrangement costs a row: hash, sort and consolidate into chunks; merge two batches; split for two workers.
//! Each stands beside a ceiling: a sort of bare 128-bit integers, a copy of the bytes.
//!
//! Two kinds of rows: narrow (a key of ten letters and a number) and wide (seven columns, one a text of 120 bytes).
//! Under `cargo test` there are few rows. Times are the thread's CPU time where the system tells it.

#![allow(clippy::disallowed_methods, reason = "a bench measures with the system's clock")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::Run;
use catchment_contract::arrow::array::{ArrayRef, Int64Array, StringViewArray};
use catchment_engine::arrangement::{RowChunk, sort};
use catchment_engine::{Updates, by_key};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use differential_dataflow::trace::chunk::{Chunk, merge_chains};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use timely::communication::Push;
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pushers::exchange::Distributor;

/// Rows of an input container.
const CONTAINER_ROWS: usize = 8 * 1024;

fn rows() -> usize {
    if std::env::args().any(|argument| argument == "--bench") { 512 * 1024 } else { 4 * 1024 }
}

/// CPU time of this thread, or time since the first call where the system does not tell.
fn cpu_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// CPU time of `iterations` runs of `work`, each over input made by `input`, which is not counted.
fn measured<I, O>(iterations: u64, mut input: impl FnMut() -> I, mut work: impl FnMut(I) -> O) -> Duration {
    (0..iterations)
        .map(|_| {
            let input = black_box(input());
            let start = cpu_time();
            let output = black_box(work(input));
            let elapsed = cpu_time() - start;
            drop(output);
            elapsed
        })
        .sum()
}

fn texts(random: &mut SmallRng, rows: usize, choices: usize, len: usize) -> ArrayRef {
    let text = |value: usize| {
        let mut text = format!("t3_{value:07}");
        while text.len() < len {
            text.push_str(" lorem ipsum");
        }
        text
    };
    Arc::new((0..rows).map(|_| Some(text(random.random_range(0..choices)))).collect::<StringViewArray>())
}

fn updates(seed: u64, rows: usize, wide: bool) -> Vec<Updates> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut container = |len: usize| {
        let mut columns = vec![texts(&mut random, len, rows / 4, 0)];
        let numbers = |random: &mut SmallRng| -> ArrayRef {
            Arc::new((0..len).map(|_| random.random_range(0..1_000_000i64)).collect::<Int64Array>())
        };
        columns.push(numbers(&mut random));
        if wide {
            columns.extend([
                numbers(&mut random),
                texts(&mut random, len, 5_000, 12),
                texts(&mut random, len, 50_000, 14),
            ]);
            columns.extend([texts(&mut random, len, rows, 12), texts(&mut random, len, rows, 120)]);
        }
        Updates::new(len, columns, Run::One(1), Run::One(1))
    };
    (0..rows.div_ceil(CONTAINER_ROWS)).map(|at| container(CONTAINER_ROWS.min(rows - at * CONTAINER_ROWS))).collect()
}

fn bytes(updates: &[Updates]) -> usize {
    updates.iter().map(Updates::memory_bytes).sum()
}

fn bench(criterion: &mut Criterion) {
    let rows = rows();
    for (kind, wide) in [("narrow", false), ("wide", true)] {
        let left = updates(1, rows, wide);
        sorting(criterion, kind, &left, rows);
        merging(criterion, kind, &left, &updates(2, rows, wide), rows);
        splitting(criterion, kind, &left, rows);
    }
}

fn sorting(criterion: &mut Criterion, kind: &str, input: &[Updates], rows: usize) {
    let mut group = criterion.benchmark_group("sort");
    group.sample_size(10).throughput(Throughput::Elements(rows as u64));
    group.bench_function(BenchmarkId::new("chunks", kind), |bencher| {
        bencher.iter_custom(|iterations| {
            measured(
                iterations,
                || input.to_vec(),
                |updates| {
                    let chunks = sort(updates, &[0]);
                    assert!(chunks.iter().map(Chunk::len).sum::<usize>() > rows * 99 / 100);
                    chunks
                },
            )
        });
    });
    group.bench_function(BenchmarkId::new("ceiling: bare u128", kind), |bencher| {
        let mut random = SmallRng::seed_from_u64(3);
        let values: Vec<u128> = (0..rows).map(|_| random.random()).collect();
        bencher.iter_custom(|iterations| {
            measured(
                iterations,
                || values.clone(),
                |mut values| {
                    values.sort_unstable();
                    values
                },
            )
        });
    });
    group.finish();
}

fn merging(criterion: &mut Criterion, kind: &str, left: &[Updates], right: &[Updates], rows: usize) {
    let chains = (sort(left.to_vec(), &[0]), sort(right.to_vec(), &[0]));
    let mut group = criterion.benchmark_group("merge");
    group.sample_size(10).throughput(Throughput::Elements(2 * rows as u64));
    group.bench_function(BenchmarkId::new("chunks", kind), |bencher| {
        bencher.iter_custom(|iterations| {
            measured(
                iterations,
                || chains.clone(),
                |(left, right)| {
                    // Eight chunks of each side at a time, as the spine does.
                    let (mut left, mut right) = (left.into_iter(), right.into_iter());
                    let (mut a, mut b) = (VecDeque::new(), VecDeque::new());
                    let mut out: VecDeque<RowChunk> = VecDeque::new();
                    loop {
                        let missing = |queue: &VecDeque<RowChunk>| 8usize.saturating_sub(queue.len());
                        a.extend(left.by_ref().take(missing(&a)));
                        b.extend(right.by_ref().take(missing(&b)));
                        if a.is_empty() || b.is_empty() {
                            break;
                        }
                        RowChunk::merge(&mut a, &mut b, &mut out);
                    }
                    merge_chains(a.into(), b.into(), &mut out);
                    assert!(out.iter().map(Chunk::len).sum::<usize>() > rows * 9 / 5);
                    out
                },
            )
        });
    });
    copying(&mut group, kind, bytes(left) + bytes(right));
    group.finish();
}

/// Takes what is routed to one worker.
struct Target(Vec<Updates>);

impl Push<Message<u64, Updates>> for Target {
    fn push(&mut self, element: &mut Option<Message<u64, Updates>>) {
        self.0.extend(element.take().map(|message| message.data));
    }
}

fn splitting(criterion: &mut Criterion, kind: &str, input: &[Updates], rows: usize) {
    let mut group = criterion.benchmark_group("split for two workers");
    group.sample_size(10).throughput(Throughput::Elements(rows as u64));
    group.bench_function(BenchmarkId::new("exchange", kind), |bencher| {
        bencher.iter_custom(|iterations| {
            measured(
                iterations,
                || input.to_vec(),
                |updates| {
                    let mut distributor = (by_key(vec![0]).0)(2);
                    let mut targets = [Target(Vec::new()), Target(Vec::new())];
                    for mut container in updates {
                        distributor.partition(&mut container, &1, &mut targets);
                    }
                    assert_eq!(targets.iter().flat_map(|target| &target.0).map(Updates::len).sum::<usize>(), rows);
                    targets
                },
            )
        });
    });
    copying(&mut group, kind, bytes(input));
    group.finish();
}

fn copying(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>, kind: &str, bytes: usize) {
    group.bench_function(BenchmarkId::new("ceiling: copy", kind), |bencher| {
        let from = vec![7u8; bytes];
        let mut to = vec![1u8; bytes];
        bencher.iter_custom(|iterations| {
            measured(
                iterations,
                || (),
                |()| {
                    to.copy_from_slice(&from);
                    to[to.len() / 2]
                },
            )
        });
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);

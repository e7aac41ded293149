//! The operators with state, each beside a ceiling: what typed Rust structs in a hash map take for the same work, without
//! columns, epochs, retractions or other types.
//!
//! Times are CPU times of the thread, where the system tells them: the figure to trust on a machine with other work.
//!
//! `cargo bench -p catchment-operators --bench operators` measures; run as a test, the sizes are small. Every run checks
//! a digest of the output against the ceiling's.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::arrow::array::*;
use catchment_contract::arrow::datatypes::{DataType, TimeUnit, UInt32Type};
use catchment_contract::{Epoch, Run};
use catchment_engine::{UpdateStream, Updates};
use catchment_operators::{
    Aggregate, AggregateSpec, Function, Memory, Order, Ranking, TopGroupsSpec, TopKSpec, UpsertSpec, aggregate,
    top_groups, upsert,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashMap;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use timely::container::NoopBuilder;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::inspect::InspectCore;
use timely::dataflow::{InputHandle, ProbeHandle};

/// The large value to measure, the small one under test.
fn size(large: usize, small: usize) -> usize {
    if std::env::args().any(|arg| arg == "--bench") { large } else { small }
}

/// A number below `n`, small ones more often: log-uniform, which is Zipf's law with exponent 1.
fn zipf(n: usize, random: &mut SmallRng) -> usize {
    ((n as f64).powf(random.random::<f64>()) as usize - 1).min(n - 1)
}

/// The CPU time of this thread, else the wall time since the first call.
fn clock() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = statistics.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// Times `build` over epochs of containers: the time of each epoch, and the sum of all diffs of the output.
fn run(
    epochs: &[Vec<Updates>],
    build: impl for<'s> Fn(UpdateStream<'s>) -> UpdateStream<'s> + Send + Sync + 'static,
) -> (Vec<Duration>, i64) {
    let epochs: VecDeque<Vec<Updates>> = epochs.iter().cloned().collect();
    timely::execute_directly(move |worker| {
        let mut input = InputHandle::<Epoch, NoopBuilder<Updates>>::new_with_builder();
        let probe = ProbeHandle::new();
        let sum = std::rc::Rc::new(std::cell::Cell::new(0));
        let total = sum.clone();
        worker.dataflow(|scope| {
            let output = build(scope.input_from(&mut input));
            let counted = output.inspect_container(move |event| {
                if let Ok((_, updates)) = event {
                    let diffs: i64 = (0..updates.len()).map(|row| updates.diffs().at(row)).sum();
                    total.set(total.get() + diffs);
                }
            });
            counted.probe_with(&probe);
        });
        let mut times = Vec::new();
        for (index, containers) in epochs.into_iter().enumerate() {
            let epoch = index as Epoch + 1;
            input.advance_to(epoch);
            let start = clock();
            for updates in containers {
                let updates =
                    Updates::new(updates.len(), updates.columns().to_vec(), Run::One(epoch), updates.diffs().clone());
                input.send_batch(&mut { updates });
            }
            input.advance_to(epoch + 1);
            while probe.less_than(&(epoch + 1)) {
                worker.step();
            }
            times.push(clock() - start);
        }
        (times, sum.get())
    })
}

/// A bench of what `once` measures.
fn bench(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    mut once: impl FnMut() -> Duration,
) {
    group.bench_function(name, |bencher| bencher.iter_custom(|times| (0..times).map(|_| once()).sum()));
}

fn group<'c>(
    criterion: &'c mut Criterion,
    name: &str,
    elements: usize,
) -> criterion::BenchmarkGroup<'c, criterion::measurement::WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    group.throughput(Throughput::Elements(elements as u64));
    group
}

fn names(n: usize) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values((0..n).map(|name| format!("name{name}"))))
}

fn dictionary(keys: Vec<u32>, values: &ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::<UInt32Type>::new(UInt32Array::from(keys), values.clone()))
}

fn counted(function: Function, input: Option<usize>) -> Aggregate {
    Aggregate { function, input, distinct: false, filter: None, output: DataType::Int64 }
}

/// `count(*)`, `sum(score)` by (subreddit, hour).
fn hourly(criterion: &mut Criterion) {
    let rows = size(1_000_000, 5_000);
    let mut random = SmallRng::seed_from_u64(1);
    let comments: Vec<(u32, i64, i64)> = (0..rows)
        .map(|row| (zipf(5_000, &mut random) as u32, row as i64 * 720 / rows as i64, random.random_range(-10..100)))
        .collect();
    let subreddits = names(5_000);
    let batch = |comments: &[(u32, i64, i64)]| {
        let hours = comments.iter().map(|comment| comment.1 * 3_600_000_000);
        let hours = hours.collect::<Vec<_>>().into_iter().map(Some).collect::<TimestampMicrosecondArray>();
        let scores: Int64Array = comments.iter().map(|comment| Some(comment.2)).collect();
        let columns: Vec<ArrayRef> = vec![
            dictionary(comments.iter().map(|comment| comment.0).collect(), &subreddits),
            Arc::new(hours.with_timezone("UTC")),
            Arc::new(scores),
        ];
        Updates::new(comments.len(), columns, Run::One(1), Run::One(1))
    };
    let epochs: Vec<Vec<Updates>> =
        comments.chunks(32_768).map(|epoch| epoch.chunks(8_192).map(batch).collect()).collect();
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let spec = AggregateSpec {
        keys: vec![0, 1],
        aggregates: vec![counted(Function::CountRows, None), counted(Function::Sum, Some(2))],
        input_types: vec![DataType::Utf8View, time, DataType::Int64],
    };
    let typed = || {
        let mut groups: HashMap<(u32, i64), (i64, i64)> = HashMap::new();
        for (subreddit, hour, score) in &comments {
            let (count, sum) = groups.entry((*subreddit, *hour)).or_default();
            *count += 1;
            *sum += score;
        }
        groups.len() as i64
    };
    let expected = typed();
    let mut group = group(criterion, "aggregate", rows);
    bench(&mut group, "catchment", || {
        let spec = spec.clone();
        let (times, sum) = run(&epochs, move |input| aggregate(input, "Aggregate", spec.clone(), &Memory::unlimited()));
        assert_eq!(sum, expected);
        times.iter().sum()
    });
    bench(&mut group, "ceiling", || {
        let start = clock();
        assert_eq!(typed(), expected);
        clock() - start
    });
}

/// One comment's words.
struct Words {
    subreddit: u32,
    day: i32,
    terms: Vec<u32>,
}

const VOCABULARY: usize = 200_000;
const DAYS: usize = 6;

fn comments(n: usize, seed: u64) -> Vec<Words> {
    let mut random = SmallRng::seed_from_u64(seed);
    let words = |row: usize, random: &mut SmallRng| Words {
        subreddit: zipf(5_000, random) as u32,
        // As many comments a day as in a month of a million.
        day: (row * DAYS / n) as i32,
        terms: (0..23).map(|_| zipf(VOCABULARY, random) as u32).collect(),
    };
    (0..n).map(|row| words(row, &mut random)).collect()
}

/// One container of words, as `unnest` makes it.
fn word_batch(comments: &[&Words], subreddits: &ArrayRef, diffs: Run<i64>) -> Updates {
    let mut places: HashMap<u32, u32> = HashMap::new();
    let mut distinct = Vec::new();
    let (mut sources, mut days, mut terms) = (Vec::new(), Vec::new(), Vec::new());
    for comment in comments {
        for term in &comment.terms {
            sources.push(comment.subreddit);
            days.push(comment.day);
            terms.push(*places.entry(*term).or_insert_with(|| {
                distinct.push(*term);
                distinct.len() as u32 - 1
            }));
        }
    }
    let values: ArrayRef =
        Arc::new(StringViewArray::from_iter_values(distinct.iter().map(|term| format!("w{:x}", term * 7919))));
    let days: ArrayRef = Arc::new(Date32Array::from(days));
    let columns = vec![dictionary(sources, subreddits), days, dictionary(terms, &values)];
    Updates::new(columns[0].len(), columns, Run::One(1), diffs)
}

fn trending() -> TopGroupsSpec {
    let keys = vec![DataType::Utf8View, DataType::Date32, DataType::Utf8View];
    let mut types = keys.clone();
    types.push(DataType::Int64);
    TopGroupsSpec {
        aggregate: AggregateSpec {
            keys: vec![0, 1, 2],
            aggregates: vec![counted(Function::CountRows, None)],
            input_types: keys,
        },
        top: TopKSpec {
            partition: vec![0, 1],
            order: vec![
                Order { column: 3, descending: true, nulls_first: true },
                Order { column: 2, descending: false, nulls_first: false },
            ],
            offset: 0,
            limit: 20,
            ranking: Ranking::RowNumber,
            types,
        },
    }
}

/// The 20 most frequent words of each (subreddit, day): loading, and then epochs of 1,000 changed comments.
fn words(criterion: &mut Criterion) {
    let n = size(200_000, 500);
    let (all, subreddits) = (comments(n, 2), names(5_000));
    let loaded: Vec<&Words> = all.iter().collect();
    let mut epochs: Vec<Vec<Updates>> = loaded
        .chunks(30_000)
        .map(|epoch| epoch.chunks(8_192).map(|part| word_batch(part, &subreddits, Run::One(1))).collect())
        .collect();
    let loading = epochs.len();
    let typed = || {
        let mut groups: HashMap<(u32, i32, u32), i64> = HashMap::new();
        for comment in &all {
            for term in &comment.terms {
                *groups.entry((comment.subreddit, comment.day, *term)).or_default() += 1;
            }
        }
        let mut partitions: HashMap<(u32, i32), i64> = HashMap::new();
        groups.keys().for_each(|(subreddit, day, _)| *partitions.entry((*subreddit, *day)).or_default() += 1);
        partitions.values().map(|groups| (*groups).min(20)).sum::<i64>()
    };
    let expected = typed();
    // Each later epoch takes comments out and puts as many others in.
    let mut random = SmallRng::seed_from_u64(3);
    let changes = size(20, 3);
    for index in 0..changes as u64 {
        let gone: Vec<&Words> = (0..n.min(1_000)).map(|_| &all[random.random_range(0..n)]).collect();
        let came = comments(gone.len(), 100 + index);
        let came: Vec<&Words> = came.iter().collect();
        epochs.push(vec![word_batch(&gone, &subreddits, Run::One(-1)), word_batch(&came, &subreddits, Run::One(1))]);
    }
    let load = epochs[..loading].to_vec();
    let mut group = group(criterion, "top_groups", n * 23);
    let spec = trending();
    assert!(spec.fits());
    let built = spec.clone();
    bench(&mut group, "catchment", || {
        let spec = built.clone();
        let (times, sum) = run(&load, move |input| top_groups(input, "TopGroups", spec.clone(), &Memory::unlimited()));
        assert_eq!(sum, expected);
        times.iter().sum()
    });
    bench(&mut group, "ceiling", || {
        let start = clock();
        assert_eq!(typed(), expected);
        clock() - start
    });
    group.throughput(Throughput::Elements(46_000));
    bench(&mut group, "an epoch of 1,000 changed comments", || {
        let spec = spec.clone();
        let (times, sum) =
            run(&epochs, move |input| top_groups(input, "TopGroups", spec.clone(), &Memory::unlimited()));
        assert!(sum > 0);
        times[loading..].iter().sum::<Duration>() / changes as u32
    });
}

/// A comment as a struct.
struct Comment {
    _texts: [String; 5],
    _numbers: [i64; 3],
}

/// Nine columns keyed by the first, each key once.
fn table(criterion: &mut Criterion) {
    let rows = size(500_000, 2_000);
    let batch = |first: usize, len: usize| {
        let texts = |name: &str, tail: &str| -> ArrayRef {
            Arc::new(StringViewArray::from_iter_values(
                (first..first + len).map(|row| format!("{name}{row:07x}{tail}")),
            ))
        };
        let numbers = |by: i64| -> ArrayRef {
            Arc::new((first..first + len).map(|row| Some(row as i64 % by)).collect::<Int64Array>())
        };
        let body =
            "a body of some hundred and twenty bytes, as comments have them, which is what most of memory goes into";
        let columns: Vec<ArrayRef> = vec![
            texts("", ""),
            texts("subreddit", ""),
            texts("author", ""),
            numbers(1_000_000),
            numbers(100),
            texts(body, "of text"),
            texts("t3_", ""),
            texts("t1_", ""),
            numbers(7),
            Arc::new((first..first + len).map(|row| Some(row as u64)).collect::<UInt64Array>()),
        ];
        Updates::new(len, columns, Run::One(1), Run::One(1))
    };
    let epochs: Vec<Vec<Updates>> = (0..rows)
        .step_by(32_768)
        .map(|first| {
            let len = 32_768.min(rows - first);
            (first..first + len).step_by(8_192).map(|from| batch(from, 8_192.min(first + len - from))).collect()
        })
        .collect();
    let spec =
        UpsertSpec { key: vec![0], columns: 9, version: None, arrival: 9, tombstone: None, whole_payload: false };
    let mut group = group(criterion, "upsert", rows);
    bench(&mut group, "catchment", || {
        let spec = spec.clone();
        let (times, sum) = run(&epochs, move |input| upsert(input, "Upsert", spec.clone(), &Memory::unlimited()));
        assert_eq!(sum, rows as i64);
        times.iter().sum()
    });
    bench(&mut group, "ceiling", || {
        let start = clock();
        let mut rows_by_id: HashMap<String, Comment> = HashMap::new();
        for updates in epochs.iter().flatten() {
            let text = |column: usize, row: usize| updates.column(column).as_string_view().value(row).to_string();
            let number = |column: usize, row: usize| {
                updates.column(column).as_primitive::<catchment_contract::arrow::datatypes::Int64Type>().value(row)
            };
            for row in 0..updates.len() {
                let comment = Comment {
                    _texts: [1, 2, 5, 6, 7].map(|column| text(column, row)),
                    _numbers: [3, 4, 8].map(|column| number(column, row)),
                };
                rows_by_id.insert(text(0, row), comment);
            }
        }
        assert_eq!(rows_by_id.len(), rows);
        clock() - start
    });
}

criterion_group!(benches, hourly, words, table);
criterion_main!(benches);

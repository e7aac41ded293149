//! Window aggregates against a *ceiling*: structs and sorted vectors in plain Rust, without containers, exchange,
//! retractions or other types.
//!
//! Hourly counts of 50 subreddits over a month, each compared with its trailing week by count, median and median absolute
//! deviation: loading them in epochs, and then epochs in which 1,000 of the 36,000 counts change, or the last hour's alone.
//!
//! Times are CPU times of the thread, where the system tells them. `cargo bench -p catchment-operators --bench window`
//! measures; run as a test, the sizes are small. Every run checks a digest of the output against the ceiling's.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::arrow::array::*;
use catchment_contract::arrow::datatypes::{DataType, Float64Type, TimeUnit, UInt32Type};
use catchment_contract::{Epoch, Run};
use catchment_engine::{UpdateStream, Updates};
use catchment_operators::window::{Bound, Frame};
use catchment_operators::{Function, Order, WindowFunction, WindowSpec, window};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use timely::container::NoopBuilder;
use timely::dataflow::operators::inspect::InspectCore;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};

const SUBREDDITS: usize = 50;
const HOUR_US: i64 = 3_600_000_000;
/// The hours before an hour that it is compared with.
const WEEK: usize = 168;

/// The large value to measure, the small one under test.
fn size(large: usize, small: usize) -> usize {
    if std::env::args().any(|arg| arg == "--bench") { large } else { small }
}

/// The CPU time of this thread, else the wall time since the first call.
fn clock() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = statistics.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// The time of each epoch, and the sum of all medians that are left: one of each row that has one.
fn run(
    epochs: &[Vec<Updates>],
    build: impl for<'s> Fn(UpdateStream<'s>) -> UpdateStream<'s> + Send + Sync + 'static,
) -> (Vec<Duration>, f64) {
    let epochs: VecDeque<Vec<Updates>> = epochs.iter().cloned().collect();
    timely::execute_directly(move |worker| {
        let mut input = InputHandle::<Epoch, NoopBuilder<Updates>>::new_with_builder();
        let probe = ProbeHandle::new();
        let sum = std::rc::Rc::new(std::cell::Cell::new(0.0));
        let total = sum.clone();
        worker.dataflow(|scope| {
            let output = build(scope.input_from(&mut input));
            let digested = output.inspect_container(move |event| {
                if let Ok((_, updates)) = event {
                    let medians = updates.column(4).as_primitive::<Float64Type>();
                    let rows = medians.iter().enumerate();
                    let changed: f64 =
                        rows.map(|(row, median)| median.unwrap_or(0.0) * updates.diffs().at(row) as f64).sum();
                    total.set(total.get() + changed);
                }
            });
            digested.probe_with(&probe);
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

/// Counts of comments, by subreddit and hour.
#[derive(Clone)]
struct Counts {
    hours: usize,
    comments: Vec<f64>,
}

impl Counts {
    fn random(hours: usize, random: &mut SmallRng) -> Self {
        let typical = |subreddit: usize| 2.0 + (subreddit * subreddit) as f64 / 4.0;
        let comments = (0..SUBREDDITS * hours).map(|at| {
            let level = typical(at / hours);
            (level * random.random_range(0.3..1.7)).round()
        });
        Counts { hours, comments: comments.collect() }
    }

    /// The rows at `places` with their diffs, as the aggregate below puts them out.
    fn rows(&self, places: &[usize], diff: i64) -> Updates {
        let names = StringViewArray::from_iter_values((0..SUBREDDITS).map(|name| format!("subreddit{name}")));
        let keys = places.iter().map(|place| (place / self.hours) as u32).collect::<UInt32Array>();
        let hours = places.iter().map(|place| (place % self.hours) as i64 * HOUR_US);
        let hours = TimestampMicrosecondArray::from_iter_values(hours).with_timezone("UTC");
        let counts = Float64Array::from_iter_values(places.iter().map(|place| self.comments[*place]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(DictionaryArray::<UInt32Type>::new(keys, Arc::new(names))),
            Arc::new(hours),
            Arc::new(counts),
        ];
        Updates::new(places.len(), columns, Run::One(1), Run::One(diff))
    }

    /// The sum of all medians of trailing weeks; deviations are worked out beside them.
    fn typed(&self) -> f64 {
        let (mut sum, mut deviations) = (0.0, 0.0);
        for counts in self.comments.chunks(self.hours) {
            let mut sorted: Vec<f64> = Vec::with_capacity(WEEK);
            for hour in 0..counts.len() {
                if hour > WEEK {
                    let gone = sorted.partition_point(|known| *known < counts[hour - WEEK - 1]);
                    sorted.remove(gone);
                }
                if hour > 0 {
                    let came = sorted.partition_point(|known| *known < counts[hour - 1]);
                    sorted.insert(came, counts[hour - 1]);
                }
                if let Some(median) = middle(&sorted) {
                    sum += median;
                    let mut distances: Vec<f64> = sorted.iter().map(|count| (count - median).abs()).collect();
                    distances.sort_unstable_by(f64::total_cmp);
                    deviations += middle(&distances).unwrap_or(0.0);
                }
            }
        }
        assert!(deviations > 0.0);
        sum
    }
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => None,
        1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

fn spec() -> WindowSpec {
    let frame = Frame { start: Bound::Offset(-(WEEK as i64) * HOUR_US), end: Bound::Offset(-HOUR_US) };
    let function = |function, input, output| WindowFunction { function, input, filter: None, frame, output };
    WindowSpec {
        partition: vec![0],
        order: Some(Order { column: 1, descending: false, nulls_first: false }),
        functions: vec![
            function(Function::CountRows, None, DataType::Int64),
            function(Function::Median, Some(2), DataType::Float64),
            function(Function::Mad, Some(2), DataType::Float64),
        ],
        types: vec![
            DataType::Utf8View,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Float64,
        ],
    }
}

/// An epoch in which the counts at `places` become others: what leaves, then what comes.
fn changed(counts: &mut Counts, places: &[usize], random: &mut SmallRng) -> Vec<Updates> {
    let gone = counts.rows(places, -1);
    for place in places {
        counts.comments[*place] += f64::from(random.random_range(1..4));
    }
    vec![gone, counts.rows(places, 1)]
}

fn trailing_week(criterion: &mut Criterion) {
    let hours = size(720, 30);
    let mut random = SmallRng::seed_from_u64(1);
    let counts = Counts::random(hours, &mut random);
    let rows = SUBREDDITS * hours;
    let all: Vec<usize> = (0..rows).collect();
    let load: Vec<Vec<Updates>> = all.chunks(16_384).map(|places| vec![counts.rows(places, 1)]).collect();
    let (loading, loaded) = (load.len(), counts.typed());
    let mut group = criterion.benchmark_group("window");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    let same = |one: f64, other: f64| assert!((one - other).abs() < 1e-3, "{one} is not {other}");
    group.throughput(Throughput::Elements(rows as u64));
    group.bench_function("catchment", |bencher| {
        bencher.iter_custom(|times| {
            let once = || {
                let (times, sum) = run(&load, |input| window(input, "Window", spec()));
                same(sum, loaded);
                times.iter().sum::<Duration>()
            };
            (0..times).map(|_| once()).sum()
        });
    });
    group.bench_function("ceiling", |bencher| {
        bencher.iter_custom(|times| {
            let start = clock();
            (0..times).for_each(|_| same(counts.typed(), loaded));
            clock() - start
        });
    });
    let epochs = size(20, 3);
    for (name, anywhere) in [("an epoch of 1,000 changed hours", true), ("an epoch of the 50 last hours", false)] {
        let mut history = load.clone();
        let mut counts = counts.clone();
        for _ in 0..epochs {
            let mut places: Vec<usize> = match anywhere {
                true => (0..1_000.min(rows / 4)).map(|_| random.random_range(0..rows)).collect(),
                false => (0..SUBREDDITS).map(|subreddit| (subreddit + 1) * hours - 1).collect(),
            };
            places.sort_unstable();
            places.dedup();
            history.push(changed(&mut counts, &places, &mut random));
        }
        let expected = counts.typed();
        group.throughput(Throughput::Elements(if anywhere { 1_000 } else { SUBREDDITS as u64 }));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let once = || {
                    let (times, sum) = run(&history, |input| window(input, "Window", spec()));
                    same(sum, expected);
                    times[loading..].iter().sum::<Duration>() / epochs as u32
                };
                (0..times).map(|_| once()).sum()
            });
        });
    }
}

criterion_group!(benches, trailing_week);
criterion_main!(benches);

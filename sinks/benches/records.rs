//! What records cost: from updates to a topic of the embedded broker.
//!
//! - `topic/<format>/<bytes>/stage`: net changes, JSON, chunks and the outbox (in memory): the sink's own work.
//! - `topic/<format>/<bytes>/publish`: the same, published and acknowledged.
//! - `topic/<format>/<bytes>/at_least_once`: published without an outbox, an epoch at a time.
//!
//! `append` rows are new; `debezium` rows replace others, so that each record is made of two rows. Throughput is in
//! records; a record's value has about the bytes that the name says. Under test each runs once with few rows.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a bench stops when something fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use catchment_contract::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use catchment_contract::{Environment, Options, Place, Run, Sink, SinkContext, UpdateBatch, ViewFacts};
use catchment_sinks::fluvio::{FluvioSink, FluvioSpec};
use catchment_store::{Lake, LakeStore};
use catchment_topics::{Broker, Embedded, EmbeddedOptions, Topics};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use object_store::memory::InMemory;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const BATCH_ROWS: usize = 4096;
const PARTITIONS: u32 = 2;

/// Many rows when measuring, few when `cargo test` looks whether the bench still runs.
fn scale(measured: usize, tested: usize) -> usize {
    if std::env::args().any(|argument| argument == "--bench") { measured } else { tested }
}

/// Rows whose JSON is about `bytes` long; `round` tells a row from the one that it replaces.
fn rows(rows: usize, bytes: usize, round: i64) -> Vec<RecordBatch> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8View, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("score", DataType::Int64, true),
        Field::new("body", DataType::Utf8View, true),
    ]));
    let mut random = SmallRng::seed_from_u64(3);
    let body_bytes = bytes.saturating_sub(120);
    let body = |random: &mut SmallRng| {
        let letters =
            (0..body_bytes).map(|_| if random.random_range(0..60) == 0 { '"' } else { random.random_range('a'..='z') });
        letters.collect::<String>()
    };
    (0..rows.div_ceil(BATCH_ROWS))
        .map(|batch| {
            let numbers = batch * BATCH_ROWS..((batch + 1) * BATCH_ROWS).min(rows);
            let times = numbers
                .clone()
                .map(|n| Some(1_767_225_600_000_000 + n as i64 * 1_001))
                .collect::<TimestampMicrosecondArray>();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(numbers.clone().map(|n| Some(format!("t1_k{n:07x}"))).collect::<StringViewArray>()),
                Arc::new(times.with_timezone("UTC")),
                Arc::new(numbers.clone().map(|n| Some(n as i64 % 977 + round)).collect::<Int64Array>()),
                Arc::new(numbers.clone().map(|_| Some(body(&mut random))).collect::<StringViewArray>()),
            ];
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
        })
        .collect()
}

/// Updates of one epoch: new rows, or rows that replace others.
fn updates(count: usize, bytes: usize, replace: bool) -> Vec<UpdateBatch> {
    let with = |diff| move |rows| UpdateBatch { rows, epochs: Run::One(1), diffs: Run::One(diff) };
    let new = rows(count, bytes, 1).into_iter().map(with(1));
    let old = rows(if replace { count } else { 0 }, bytes, 0).into_iter().map(with(-1));
    old.chain(new).collect()
}

struct Bench {
    broker: Arc<Embedded>,
    _folder: tempfile::TempDir,
    topics: AtomicU32,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
        Bench {
            broker: Embedded::start(options, &Environment::system()).unwrap(),
            _folder: folder,
            topics: AtomicU32::new(0),
        }
    }

    /// A sink for a topic of its own.
    fn open(&self, format: &str, delivery: &str, updates: &[UpdateBatch]) -> (String, FluvioSink) {
        let topic = format!("bench-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        let schema = updates[0].rows.schema();
        let facts = ViewFacts { name: "bench".into(), schema, key: Some(vec![0]), append_only: format == "append" };
        let mut options = Options::new("sink \"bench\"");
        let partitions = PARTITIONS.to_string();
        for (name, value) in [
            ("topic", topic.as_str()),
            ("format", format),
            ("delivery", delivery),
            ("key", "id"),
            ("partitions", &partitions),
        ] {
            options.insert(name, value, Place::default());
        }
        let spec = FluvioSpec::check("bench", &facts, &mut options, &Topics::default(), &Lake::default()).unwrap();
        let lake =
            LakeStore::with_store(Arc::new(InMemory::new()), "memory:///lake/".parse().unwrap(), Environment::system())
                .unwrap();
        (topic, FluvioSink::open(spec, lake, self.broker.clone(), &SinkContext::alone("bench"), None).unwrap())
    }

    /// Writes `updates`, and takes and publishes a checkpoint as far as `until` says.
    fn run(&self, (topic, mut sink): (String, FluvioSink), updates: &[UpdateBatch], until: Until, records: u64) {
        sink.write(updates.to_vec(), 1).unwrap();
        if until != Until::Written {
            let staged = sink.stage(1, 1).unwrap().unwrap();
            if until == Until::Published {
                sink.publish(1, &staged).unwrap();
            }
        }
        let figures = sink.figures();
        let (published, behind) = (figures.rows, figures.partitions.iter().map(|it| it.behind).sum::<u64>());
        assert_eq!(if until == Until::Staged { behind } else { published }, records);
        drop(sink);
        self.broker.delete(&topic).unwrap();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Written,
    Staged,
    Published,
}

fn topic(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("topic");
    group.sample_size(10);
    for (format, replace) in [("append", false), ("debezium", true)] {
        for bytes in [200, 1024] {
            let count = scale(200_000 * 200 / bytes, 1_000);
            let updates = updates(count, bytes, replace);
            let records = count as u64;
            group.throughput(Throughput::Elements(records));
            for (name, delivery, until) in [
                ("stage", "exactly_once", Until::Staged),
                ("publish", "exactly_once", Until::Published),
                ("at_least_once", "at_least_once", Until::Written),
            ] {
                group.bench_function(format!("{format}/{bytes}/{name}"), |bencher| {
                    bencher.iter_batched(
                        || bench.open(format, delivery, &updates),
                        |sink| bench.run(sink, &updates, until, records),
                        BatchSize::PerIteration,
                    );
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, topic);
criterion_main!(benches);

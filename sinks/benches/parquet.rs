//! What writing a table costs, beside the ceiling.
//!
//! - `parquet/…`: comment-like rows to Parquet. `bare` is `ArrowWriter` over sorted batches with the writer's own
//!   settings: the speed we could have. `sink` is the whole path: identities, partitions, order, statistics, files in a
//!   folder, one commit. Throughput is in rows; the bytes a second are in the line that the bench prints first.
//! - `commit/…`: a checkpoint of a thousand changed rows to a loaded table: write, stage, publish.
//! - `index/…`: row identities into the row index, and out of it again.
//!
//! Under test each runs once with few rows.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a bench stops when something fails")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use catchment_contract::arrow::compute::{concat_batches, interleave};
use catchment_contract::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use catchment_contract::{Environment, Options, Place, Run, Sink, SinkContext, UpdateBatch, ViewFacts};
use catchment_sinks::lake::{Identities, LakeSink, LakeSpec, Location, RowIndex, Rows, parquet_file};
use catchment_store::{Lake, LakeStore};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const BATCH_ROWS: usize = 4096;

/// Many rows when measuring, few when `cargo test` looks whether the bench still runs.
fn scale(measured: usize, tested: usize) -> usize {
    if std::env::args().any(|argument| argument == "--bench") { measured } else { tested }
}

fn lake_at(folder: &std::path::Path) -> LakeStore {
    Lake::new(folder.to_str().unwrap(), Environment::system()).unwrap().open().unwrap()
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8View, true),
        Field::new("subreddit", DataType::Utf8View, true),
        Field::new("author", DataType::Utf8View, true),
        Field::new("created_utc", time.clone(), true),
        Field::new("score", DataType::Int64, true),
        Field::new("body", DataType::Utf8View, true),
        Field::new("link_id", DataType::Utf8View, true),
        Field::new("parent_id", DataType::Utf8View, true),
        Field::new("edited_at", time, true),
    ]))
}

/// Comments in the order of their ids, over thirty days.
fn comments(rows: usize) -> Vec<RecordBatch> {
    let mut random = SmallRng::seed_from_u64(1);
    let words =
        ["the", "stream", "of", "lake", "frontier", "and", "checkpoint", "window", "to", "is", "that", "ratchet"];
    (0..rows.div_ceil(BATCH_ROWS))
        .map(|batch| {
            let numbers = batch * BATCH_ROWS..((batch + 1) * BATCH_ROWS).min(rows);
            let body = |random: &mut SmallRng| {
                let mut text = String::new();
                for _ in 0..random.random_range(5..50) {
                    text.push_str(words[random.random_range(0..words.len())]);
                    text.push_str([" ", ", ", "s ", ". "][random.random_range(0..4)]);
                    if random.random_range(0..4) == 0 {
                        text.push_str(&random.random_range(0..9999_u32).to_string());
                    }
                }
                text
            };
            let zipf = |random: &mut SmallRng, many: f64| many.powf(random.random::<f64>()) as u64;
            let texts = |text: &mut dyn FnMut(usize) -> String| -> ArrayRef {
                Arc::new(numbers.clone().map(|number| Some(text(number))).collect::<StringViewArray>())
            };
            let time = |number: usize| 1_767_225_600_000_000 + (number as i64 * 30 * 86_400_000_000) / rows as i64;
            let columns: Vec<ArrayRef> = vec![
                texts(&mut |number| format!("k{number:08x}")),
                texts(&mut |_| format!("subreddit{}", zipf(&mut random, 5_000.0))),
                texts(&mut |_| format!("author_{}", zipf(&mut random, 500_000.0))),
                Arc::new(
                    numbers
                        .clone()
                        .map(|number| Some(time(number)))
                        .collect::<TimestampMicrosecondArray>()
                        .with_timezone("UTC"),
                ),
                Arc::new(numbers.clone().map(|_| Some(zipf(&mut random, 3_000.0) as i64)).collect::<Int64Array>()),
                texts(&mut |_| body(&mut random)),
                texts(&mut |number| format!("t3_{:07x}", number / 40)),
                texts(&mut |number| format!("t1_k{:08x}", number.saturating_sub(7))),
                Arc::new(
                    numbers
                        .clone()
                        .map(|number| (number % 20 == 0).then(|| time(number) + 9))
                        .collect::<TimestampMicrosecondArray>()
                        .with_timezone("UTC"),
                ),
            ];
            RecordBatch::try_new(schema(), columns).unwrap()
        })
        .collect()
}

/// Small rows as of a table of terms: subreddit, day, rank, term, uses.
fn terms(rows: usize) -> Vec<RecordBatch> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("subreddit", DataType::Utf8View, true),
        Field::new("day", DataType::Date32, true),
        Field::new("rank", DataType::Int64, true),
        Field::new("term", DataType::Utf8View, true),
        Field::new("uses", DataType::Int64, true),
    ]));
    let mut random = SmallRng::seed_from_u64(2);
    (0..rows.div_ceil(BATCH_ROWS))
        .map(|batch| {
            let numbers = batch * BATCH_ROWS..((batch + 1) * BATCH_ROWS).min(rows);
            let columns: Vec<ArrayRef> = vec![
                Arc::new(
                    numbers
                        .clone()
                        .map(|number| Some(format!("subreddit{}", number / 20 % 5000)))
                        .collect::<StringViewArray>(),
                ),
                Arc::new(
                    numbers
                        .clone()
                        .map(|number| Some(20_454 + (number / 100_000 % 30) as i32))
                        .collect::<Date32Array>(),
                ),
                Arc::new(numbers.clone().map(|number| Some(number as i64 % 20 + 1)).collect::<Int64Array>()),
                Arc::new(
                    numbers
                        .clone()
                        .map(|_| Some(format!("term{}", random.random_range(0..60_000))))
                        .collect::<StringViewArray>(),
                ),
                Arc::new(numbers.clone().map(|_| Some(random.random_range(1..200))).collect::<Int64Array>()),
            ];
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
        })
        .collect()
}

fn spec(schema: &SchemaRef, key: Vec<usize>, partition: Option<&str>) -> LakeSpec {
    let facts = ViewFacts { name: "bench".into(), schema: Arc::clone(schema), key: Some(key), append_only: false };
    let mut options = Options::new("sink \"bench\"");
    if let Some(columns) = partition {
        options.insert("partition_by", columns, Place::default());
    }
    LakeSpec::check("bench", &facts, &mut options, &Lake::default()).unwrap()
}

/// Loads `batches` into a new table and commits once; returns the rows that readers see.
fn load(spec: &LakeSpec, batches: &[RecordBatch]) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_at(folder.path());
    let mut sink = spec.open_in(lake, &SinkContext::alone("job"), None).unwrap();
    for (epoch, rows) in (1..).zip(batches) {
        let updates = UpdateBatch { rows: rows.clone(), epochs: Run::One(epoch), diffs: Run::One(1) };
        sink.write(vec![updates], epoch).unwrap();
    }
    let staged = sink.stage(1, batches.len() as u64).unwrap().unwrap();
    sink.publish(1, &staged).unwrap();
    sink.figures().rows
}

/// The same rows through `parquet_file` alone, one file for every 64 batches.
fn bare(batches: &[RecordBatch]) -> usize {
    let mut bytes = 0;
    for some in batches.chunks(64) {
        let batch = concat_batches(some[0].schema_ref(), some).unwrap();
        let rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
        let rows = Rows { columns: batch.columns(), rows: &rows };
        bytes += parquet_file(batch.schema_ref(), Some(0), rows, |_| Ok(())).unwrap().len();
    }
    bytes
}

fn parquet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parquet");
    group.sample_size(10);
    let comments = comments(scale(1_000_000, 5_000));
    let terms = terms(scale(2_000_000, 5_000));
    let cases = [
        ("comments", &comments, spec(comments[0].schema_ref(), vec![0], Some("day(created_utc)"))),
        ("terms", &terms, spec(terms[0].schema_ref(), vec![0, 1, 2], None)),
    ];
    for (name, batches, spec) in cases {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let raw: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        println!("{name}: {rows} rows, {} MB of Arrow, {} MB of Parquet", raw / 1_000_000, bare(batches) / 1_000_000);
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("{name}/bare"), |bencher| bencher.iter(|| black_box(bare(batches))));
        group.bench_function(format!("{name}/sink"), |bencher| {
            bencher.iter(|| assert_eq!(load(&spec, batches), rows as u64));
        });
    }
    group.finish();
}

/// A loaded table whose comments get other scores.
struct Loaded {
    batches: Vec<RecordBatch>,
    scores: Vec<i64>,
    sink: LakeSink,
    random: SmallRng,
    checkpoint: u64,
    _folder: tempfile::TempDir,
}

impl Loaded {
    fn new(batches: Vec<RecordBatch>) -> Self {
        let spec = spec(batches[0].schema_ref(), vec![0], Some("day(created_utc)"));
        let folder = tempfile::tempdir().unwrap();
        let lake = lake_at(folder.path());
        let mut sink = spec.open_in(lake, &SinkContext::alone("job"), None).unwrap();
        for rows in &batches {
            sink.write(vec![UpdateBatch { rows: rows.clone(), epochs: Run::One(1), diffs: Run::One(1) }], 1).unwrap();
        }
        let staged = sink.stage(1, 1).unwrap().unwrap();
        sink.publish(1, &staged).unwrap();
        let scores =
            batches.iter().flat_map(|rows| rows.column(4).as_primitive::<Int64Type>().values().to_vec()).collect();
        Loaded { batches, scores, sink, random: SmallRng::seed_from_u64(4), checkpoint: 1, _folder: folder }
    }

    /// The comments at `rows` with their scores as they are now.
    fn rows(&self, rows: &[usize]) -> RecordBatch {
        let places: Vec<(usize, usize)> = rows.iter().map(|row| (row / BATCH_ROWS, row % BATCH_ROWS)).collect();
        let column = |index: usize| -> ArrayRef {
            if index == 4 {
                return Arc::new(rows.iter().map(|row| Some(self.scores[*row])).collect::<Int64Array>());
            }
            let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(index).as_ref()).collect();
            interleave(&parts, &places).unwrap()
        };
        RecordBatch::try_new(schema(), (0..9).map(column).collect()).unwrap()
    }

    /// The updates that change `count` random comments.
    fn edits(&mut self, count: usize) -> Vec<UpdateBatch> {
        let mut rows: Vec<usize> = (0..count).map(|_| self.random.random_range(0..self.scores.len())).collect();
        rows.sort_unstable();
        rows.dedup();
        let old = self.rows(&rows);
        rows.iter().for_each(|row| self.scores[*row] += 1);
        let update = |rows, diff| UpdateBatch { rows, epochs: Run::One(2), diffs: Run::One(diff) };
        vec![update(old, -1), update(self.rows(&rows), 1)]
    }

    fn commit(&mut self, updates: Vec<UpdateBatch>) {
        self.checkpoint += 1;
        self.sink.write(updates, self.checkpoint).unwrap();
        let staged = self.sink.stage(self.checkpoint, self.checkpoint).unwrap().unwrap();
        self.sink.publish(self.checkpoint, &staged).unwrap();
    }
}

fn commit(criterion: &mut Criterion) {
    let mut loaded = Loaded::new(comments(scale(1_000_000, 20_000)));
    let rows = loaded.sink.figures().rows;
    // The first builds the row index.
    let first = loaded.edits(10);
    loaded.commit(first);
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(10);
    group.bench_function("1000 changed comments", |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                let edits = loaded.edits(1000);
                let start = Instant::now();
                loaded.commit(edits);
                took += start.elapsed();
            }
            took
        });
    });
    group.finish();
    assert_eq!(loaded.sink.figures().rows, rows);
}

struct OneFile(Vec<u128>);

impl Identities for OneFile {
    fn identity(&self, location: Location) -> u128 {
        self.0[location.row() as usize]
    }
}

fn index(criterion: &mut Criterion) {
    let mut random = SmallRng::seed_from_u64(3);
    let rows = scale(1_000_000, 20_000);
    let file = OneFile((0..rows).map(|_| random.random()).collect());
    let fill = || {
        let mut index = RowIndex::default();
        index.insert_file(0, &file.0, |_| false, &file);
        index
    };
    let mut group = criterion.benchmark_group("index");
    group.sample_size(10).throughput(Throughput::Elements(rows as u64));
    group.bench_function("insert", |bencher| bencher.iter(|| black_box(fill())));
    group.bench_function("take", |bencher| {
        bencher.iter_batched(
            fill,
            |mut index| {
                // Every row, in an order far from that of its insertion.
                let found = (0..rows).filter(|at| index.take(file.0[at * 7919 % rows], &file).is_some()).count();
                assert!(found > rows / 2);
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, parquet, commit, index);
criterion_main!(benches);

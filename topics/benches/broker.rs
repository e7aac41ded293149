//! The embedded broker's own speed, for callers in its process: appending and fetching batches of about 256 KiB with
//! records of 200 B and 1 KiB, the time from an append to a reader that waits for it, and recovery.
//!
//! `append/copy` is the ceiling: the same bytes written to a file and nothing else. Every fetch counts its records, so
//! that no work can vanish. Under `cargo test` each runs once with little.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a bench stops when something fails")]
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use catchment_contract::Environment;
use catchment_topics::batch::{BatchBuilder, Producer, batches};
use catchment_topics::{Broker, Embedded, EmbeddedOptions, Fetched, PartitionClient, TopicSpec};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

/// Sizes of a record's value.
const VALUE_BYTES: [usize; 2] = [200, 1024];

/// Read at a time.
const FETCH_BYTES: usize = 4 << 20;

/// Much when measuring, little when `cargo test` looks whether the bench still runs.
fn scale(measured: usize, tested: usize) -> usize {
    if std::env::args().any(|argument| argument == "--bench") { measured } else { tested }
}

fn started(folder: &Path) -> Arc<Embedded> {
    let options = EmbeddedOptions { folder: folder.to_owned(), ..EmbeddedOptions::default() };
    let broker = Embedded::start(options, &Environment::system()).unwrap();
    if broker.topic("bench").unwrap().is_none() {
        broker.create("bench", &TopicSpec::default()).unwrap();
    }
    broker
}

/// A batch of about 256 KiB, and its records.
fn batch(value_bytes: usize) -> (Vec<u8>, u64) {
    let records = scale(256 << 10, 4 << 10) / value_bytes;
    let mut builder = BatchBuilder::new();
    for index in 0..records {
        builder.push(Some(format!("t1_{index:07}").as_bytes()), &vec![b'v'; value_bytes]);
    }
    (builder.finish(Producer { id: -1, epoch: -1 }, -1, 1_700_000_000_000), records as u64)
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for size in VALUE_BYTES {
        let (set, records) = batch(size);
        group.throughput(Throughput::Elements(records));
        let folder = TempDir::new().unwrap();
        let mut file = File::create(folder.path().join("copy")).unwrap();
        let mut written = 0;
        group.bench_function(BenchmarkId::new("copy", size), |bencher| {
            bencher.iter(|| {
                file.write_all(&set).unwrap();
                written += set.len();
                // As much on disk as a log's segment.
                if written > 64 << 20 {
                    file.rewind().unwrap();
                    written = 0;
                }
            });
        });
        let broker = started(folder.path());
        let mut client = broker.partition("bench", 0).unwrap();
        group.bench_function(BenchmarkId::new("log", size), |bencher| {
            bencher.iter(|| client.produce(&set).unwrap());
        });
    }
}

fn filled(broker: &Embedded, value_bytes: usize, batches: usize) -> (Box<dyn PartitionClient>, u64) {
    let (set, records) = batch(value_bytes);
    let mut client = broker.partition("bench", 0).unwrap();
    for _ in 0..batches {
        client.produce(&set).unwrap();
    }
    (client, records * batches as u64)
}

fn fetch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fetch");
    for size in VALUE_BYTES {
        let folder = TempDir::new().unwrap();
        let broker = started(folder.path());
        let (mut client, records) = filled(&broker, size, scale(400, 4));
        group.throughput(Throughput::Elements(records));
        group.bench_function(BenchmarkId::new("log", size), |bencher| {
            bencher.iter(|| {
                let (mut from, mut seen) = (0, 0);
                while let Fetched::Batches { bytes, next } = client.fetch(from, FETCH_BYTES).unwrap()
                    && !bytes.is_empty()
                {
                    seen += batches(&bytes).map(|batch| u64::from(batch.header.records)).sum::<u64>();
                    from = next;
                }
                assert_eq!(seen, records);
            });
        });
    }
}

/// From the call that appends to the return of a wait in another thread.
fn wake(criterion: &mut Criterion) {
    let folder = TempDir::new().unwrap();
    let broker = started(folder.path());
    let mut reader = broker.partition("bench", 0).unwrap();
    let mut writer = broker.partition("bench", 0).unwrap();
    let mut builder = BatchBuilder::new();
    builder.push(None, b"wake");
    let set = builder.finish(Producer { id: -1, epoch: -1 }, -1, 1_700_000_000_000);
    let (woken, wakes) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let mut end = 0;
        while reader.wait(end, Duration::from_secs(10)).is_ok_and(|grew| grew) {
            end += 1;
            if woken.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    criterion.bench_function("wake", |bencher| {
        bencher.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let start = Instant::now();
                writer.produce(&set).unwrap();
                total += wakes.recv().unwrap().saturating_duration_since(start);
            }
            total
        });
    });
    drop(wakes);
    writer.produce(&set).unwrap();
    waiting.join().unwrap();
}

/// Opening a folder with an active segment of 50 MiB behind three sealed ones.
fn recover(criterion: &mut Criterion) {
    let folder = TempDir::new().unwrap();
    filled(&started(folder.path()), 1024, scale(950, 4));
    criterion.bench_function("recover", |bencher| bencher.iter(|| started(folder.path())));
}

criterion_group!(benches, append, fetch, wake, recover);
criterion_main!(benches);

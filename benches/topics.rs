//! What a record costs on its way into a topic and out of it, beside the stock client, in one run.
//!
//! - *sink*: updates to acknowledged records: JSON, batches, outbox (in a folder), publishing, exactly once;
//! - *sink, at least once*: the same without an outbox;
//! - *source*: the topic to Arrow columns, by way of JSON;
//! - *client*: encoding, appending, fetching and walking records that are bytes already;
//! - *stock*: the same by the stock client, keyed, in batches of the same size.
//!
//! On the embedded broker (ours reach it directly, the stock client over TCP; its CPU time is in every figure) and, when
//! `FLUVIO_ENDPOINT` names one, on a cluster, whose CPU time is in none. Medians of five rounds, after one that touches the
//! memory first.
//!
//! ```text
//! cargo bench --bench topics                            400,000 records of 200 B, 100,000 of 1 KiB
//! ```

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use catchment::{Environment, Lake, TopicsLocation};
use catchment_contract::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use catchment_contract::{Declaration, Options, Place, Run, SinkContext, Unfinished, UpdateBatch, ViewFacts};
use catchment_topics::batch::{BatchBuilder, Producer, batches};
use catchment_topics::{Broker, Fetched, TopicSpec, Topics};
use fluvio::consumer::ConsumerConfigExtBuilder;
use fluvio::{Fluvio, FluvioClusterConfig, Offset, TopicProducerConfigBuilder};
use futures::StreamExt;

/// Size of batches, ours and the stock client's.
const BATCH_BYTES: usize = 128 << 10;

/// Rows of one update batch.
const ROWS: usize = 4096;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds that are measured.
const ROUNDS: usize = 5;

/// Seconds and CPU seconds of each round of one kind of work.
type Timings = Vec<(f64, f64)>;

struct Case {
    broker: Arc<dyn Broker>,
    records: usize,
    bytes: usize,
}

fn main() -> Result<()> {
    let test = !std::env::args().any(|argument| argument == "--bench");
    let folder = tempfile::tempdir()?;
    let mut brokers = vec![TopicsLocation::default()];
    if let Ok(endpoint) = std::env::var("FLUVIO_ENDPOINT") {
        brokers.push(TopicsLocation::Cluster { endpoint, connect_timeout: Duration::from_secs(30) });
    }
    for location in brokers {
        let broker = location.reach(Some(folder.path().to_path_buf()), &Environment::system()).map_err(fail)?;
        println!("{}", broker.describe());
        for (bytes, records) in [(200, 400_000), (1024, 100_000)] {
            let records = if test { 2_000 } else { records };
            let case = Case { broker: broker.clone(), records, bytes };
            let mut timings = Vec::new();
            case.round(folder.path(), "warm", &mut timings)?;
            timings.clear();
            for round in 0..if test { 1 } else { ROUNDS } {
                case.round(folder.path(), &round.to_string(), &mut timings)?;
            }
            case.print(timings);
        }
    }
    Ok(())
}

fn fail(error: catchment::Error) -> anyhow::Error {
    anyhow!(error.chain())
}

/// CPU seconds of this process so far, in hundredths.
fn cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').context("a process has a name")?.1;
    let ticks = |index: usize| fields.split_whitespace().nth(index).and_then(|ticks| ticks.parse::<f64>().ok());
    Ok((ticks(11).context("utime")? + ticks(12).context("stime")?) / 100.0)
}

impl Case {
    /// Does every kind of work once and notes what each took.
    fn round(&self, folder: &Path, round: &str, timings: &mut Vec<(&'static str, Timings)>) -> Result<()> {
        let name = |kind: &str| format!("bench-{kind}-{}-{}-{round}", self.bytes, std::process::id());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let [exactly, loose, raw, stock] = ["sink", "loose", "raw", "stock"].map(name);
        for topic in [&exactly, &loose, &raw, &stock] {
            self.broker.create(topic, &TopicSpec::default()).map_err(fail)?;
        }
        let rows = self.rows()?;
        let mut timed = |what: &'static str, work: &mut dyn FnMut() -> Result<()>| {
            let (started, before) = (Instant::now(), cpu()?);
            work().with_context(|| what.to_string())?;
            let figures = (started.elapsed().as_secs_f64(), cpu()? - before);
            match timings.iter_mut().find(|(known, _)| *known == what) {
                Some((_, rounds)) => rounds.push(figures),
                None => timings.push((what, vec![figures])),
            }
            anyhow::Ok(())
        };
        timed("sink", &mut || self.sink(folder, &exactly, "exactly_once", rows.clone()))?;
        timed("sink, at least once", &mut || self.sink(folder, &loose, "at_least_once", rows.clone()))?;
        timed("source", &mut || self.source(&exactly))?;
        timed("client, produce", &mut || self.produce(&raw))?;
        timed("client, consume", &mut || self.consume(&raw))?;
        timed("stock, produce", &mut || runtime.block_on(self.stock_produce(&stock)))?;
        timed("stock, consume", &mut || runtime.block_on(self.stock_consume(&stock)))?;
        for topic in [exactly, loose, raw, stock] {
            self.broker.delete(&topic).map_err(fail)?;
        }
        Ok(())
    }

    fn print(&self, timings: Vec<(&'static str, Timings)>) {
        for (what, rounds) in timings {
            let median = |pick: fn(&(f64, f64)) -> f64| {
                let mut values: Vec<f64> = rounds.iter().map(pick).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            println!(
                "  {:>5} B  {what:<20} {:>9.0} records/s {:>7.2} CPU µs a record",
                self.bytes,
                self.records as f64 / median(|round| round.0),
                median(|round| round.1) * 1e6 / self.records as f64
            );
        }
    }

    fn schema() -> SchemaRef {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        Arc::new(Schema::new(vec![
            field("id", DataType::Utf8View),
            field("score", DataType::Int64),
            field("body", DataType::Utf8View),
        ]))
    }

    /// Rows whose records are about as long as the case says.
    fn rows(&self) -> Result<Vec<UpdateBatch>> {
        let body = "x".repeat(self.bytes.saturating_sub(90));
        let batch = |start: usize| {
            let numbers = start..(start + ROWS).min(self.records);
            let columns: Vec<ArrayRef> = vec![
                Arc::new(numbers.clone().map(|number| Some(format!("t1_{number:08}"))).collect::<StringViewArray>()),
                Arc::new(numbers.clone().map(|number| number as i64 % 977).collect::<Int64Array>()),
                Arc::new(numbers.map(|_| Some(body.as_str())).collect::<StringViewArray>()),
            ];
            let rows = RecordBatch::try_new(Case::schema(), columns)?;
            Ok(UpdateBatch { rows, epochs: Run::One(1), diffs: Run::One(1) })
        };
        (0..self.records).step_by(ROWS).map(batch).collect()
    }

    fn topics(&self) -> Topics {
        Topics::of(self.broker.clone())
    }

    fn sink(&self, folder: &Path, topic: &str, delivery: &str, rows: Vec<UpdateBatch>) -> Result<()> {
        let facts = ViewFacts { name: "rows".into(), schema: Case::schema(), key: Some(vec![0]), append_only: true };
        let mut options = Options::new("sink \"bench\"");
        for (name, value) in [("topic", topic), ("format", "append"), ("key", "id"), ("delivery", delivery)] {
            options.insert(name, value, Place::default());
        }
        let lake = Lake::new(&folder.join(topic).display().to_string(), Environment::system()).map_err(fail)?;
        let known = catchment_sinks::all(&self.topics(), &lake).into_iter().find(|known| known.name() == "fluvio");
        let spec = known.context("a sink for topics")?.check("bench", &facts, &mut options).map_err(fail)?;
        let context = SinkContext { scratch: folder.to_path_buf(), ..SinkContext::alone("bench") };
        let mut sink = spec.open(&context, None).map_err(fail)?;
        sink.write(rows, 1).map_err(fail)?;
        if let Some(staged) = sink.stage(1, 1).map_err(fail)? {
            sink.publish(1, &staged).map_err(fail)?;
        }
        ensure!(sink.figures().rows == self.records as u64, "{} records were published", sink.figures().rows);
        Ok(())
    }

    fn source(&self, topic: &str) -> Result<()> {
        let mut options = Options::new("source \"bench\"");
        options.insert("topic", topic, Place::default());
        options.insert("format", "json", Place::default());
        let known = catchment_connectors::all(&self.topics(), &Environment::system())
            .into_iter()
            .find(|known| known.name() == "fluvio");
        let declared = Declaration { columns: Some(Case::schema()), primary_key: vec![] };
        let source = known.context("a source of topics")?.check("bench", &declared, &mut options).map_err(fail)?;
        let decoder = source.decoder(&[0, 1, 2]);
        let mut rows = 0;
        for partition in source.discover(&BTreeMap::new()).map_err(fail)? {
            let mut reader = source.open(&partition, Unfinished::Take).map_err(fail)?;
            while let Some(payload) = reader.next().map_err(fail)? {
                rows += decoder.decode(&payload).rows.num_rows();
            }
        }
        ensure!(rows == self.records, "{rows} rows were read");
        Ok(())
    }

    fn produce(&self, topic: &str) -> Result<()> {
        let value = vec![b'y'; self.bytes];
        let mut client = self.broker.partition(topic, 0).map_err(fail)?;
        let mut builder = BatchBuilder::new();
        for number in 0..self.records {
            builder.push(Some(format!("k{number}").as_bytes()), &value);
            if builder.bytes() >= BATCH_BYTES || number + 1 == self.records {
                let batch = builder.finish(Producer { id: -1, epoch: -1 }, -1, 1_770_000_000_000);
                client.produce(&batch).map_err(fail)?;
            }
        }
        Ok(())
    }

    fn consume(&self, topic: &str) -> Result<()> {
        let mut client = self.broker.partition(topic, 0).map_err(fail)?;
        let (mut offset, mut bytes_seen, mut scratch) = (0, 0, Vec::new());
        while (offset as usize) < self.records {
            let Fetched::Batches { bytes, next } = client.fetch(offset, 8 << 20).map_err(fail)? else {
                return Err(anyhow!("records were evicted"));
            };
            for batch in batches(&bytes) {
                for record in batch.records(&mut scratch).map_err(fail)? {
                    bytes_seen += record.map_err(fail)?.value.len();
                }
            }
            offset = next;
        }
        ensure!(bytes_seen == self.records * self.bytes, "{bytes_seen} bytes were read");
        Ok(())
    }

    async fn stock(&self) -> Result<Fluvio> {
        Fluvio::connect_with_config(&FluvioClusterConfig::new(self.broker.address())).await
    }

    async fn stock_produce(&self, topic: &str) -> Result<()> {
        let config = TopicProducerConfigBuilder::default().batch_size(BATCH_BYTES).linger(Duration::ZERO).build()?;
        let client = self.stock().await?;
        let producer = loop {
            // It learns of topics by and by.
            match client.topic_producer_with_config(topic, config.clone()).await {
                Ok(producer) => break producer,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let value = vec![b'y'; self.bytes];
        for number in 0..self.records {
            drop(producer.send(format!("k{number}"), value.clone()).await?);
        }
        producer.flush().await?;
        Ok(())
    }

    async fn stock_consume(&self, topic: &str) -> Result<()> {
        // Small fetches: it loses records where a cluster cuts one in the middle of a batch.
        let config = ConsumerConfigExtBuilder::default().topic(topic).offset_start(Offset::beginning()).build()?;
        let mut stream = self.stock().await?.consumer_with_config(config).await?;
        let (mut seen, mut last) = (0, -1);
        while last + 1 < self.records as i64 {
            let next = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
            let Ok(Some(record)) = next else { break };
            last = record.map_err(|error| anyhow!("{error:?}"))?.offset();
            seen += 1;
        }
        if seen < self.records {
            println!("  the stock client lost {} of {} records", self.records - seen, self.records);
        }
        Ok(())
    }
}

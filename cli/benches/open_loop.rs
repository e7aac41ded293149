//! How long a comment takes to reach a reader of the main job's topic `video-buzz`, published at least once.
//!
//! Open loop: comments are written at their due times whether or not anything answers, and each latency counts from the
//! due time, so that a stall is felt by everything that was due while it lasted. A comment mentions one video; the record
//! whose `mentions` has grown past it is the first that contains it.
//!
//! Two ways in: the comments as a growing file, and as a topic. The job is the real binary in a process of its own, the
//! reader a Fluvio client over TCP.
//!
//! ```text
//! cargo bench --bench open_loop                                  1,000 comments a second for 10 s
//! RECORDS=100000 SECONDS=60 EPOCH=5ms cargo bench --bench open_loop
//! ```
//!
//! Under `cargo test` it runs for a second, so that it cannot rot.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail, ensure};
use catchment::TopicsLocation;
use catchment_contract::Environment;
use catchment_generate::{RedditOptions, reddit};
use catchment_topics::batch::{BatchBuilder, Producer, batches};
use catchment_topics::{Broker, Fetched, PartitionClient, TopicSpec};

/// Videos that the written comments mention.
const VIDEOS: usize = 20;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(120);

struct Load {
    rate: u64,
    seconds: u64,
    epoch: String,
    records: u64,
}

/// Where comments are written.
enum Way {
    File(File),
    Topic(Box<dyn PartitionClient>),
}

/// A process that is ended with us.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() -> Result<()> {
    let test = !std::env::args().any(|argument| argument == "--bench");
    let (rate, seconds, records) = if test { (100, 1, 200) } else { (1_000, 10, 10_000) };
    let load = Load {
        rate: setting("RATE", rate),
        seconds: setting("SECONDS", seconds),
        epoch: setting("EPOCH", "100ms".to_string()),
        records: setting("RECORDS", records),
    };
    for topic in [false, true] {
        measure(&load, topic)?;
    }
    Ok(())
}

fn measure(load: &Load, topic: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let month = folder.path().join("month");
    reddit(&RedditOptions::new(load.records, 7, month.clone()))?;
    let videos = videos(&month)?;
    let (broker, serve) = serve(folder.path())?;
    let mut way = match topic {
        false => Way::File(File::options().create(true).append(true).open(month.join("reddit/RC_live"))?),
        true => {
            broker.create("comments", &TopicSpec::default()).map_err(fail)?;
            Way::Topic(broker.partition("comments", 0).map_err(fail)?)
        }
    };
    let job = start_job(folder.path(), &month, &broker.address(), load, topic)?;
    let mut reader = Reader::open(&broker)?;
    warm(&mut way, &videos, &mut reader)?;

    let total = load.rate * load.seconds;
    let base = reader.mentions.clone();
    let start = Instant::now() + Duration::from_millis(50);
    let due = |number: u64| start + Duration::from_nanos(number * 1_000_000_000 / load.rate);
    let writer = {
        let (videos, rate) = (videos.clone(), load.rate);
        std::thread::spawn(move || write_all(&mut way, &videos, total, rate, start))
    };
    let mut latencies = Vec::with_capacity(total as usize);
    while (latencies.len() as u64) < total {
        ensure!(start.elapsed() < PATIENCE + Duration::from_secs(load.seconds), "{} of {total} came", latencies.len());
        let (now, grown) = reader.next()?;
        for (video, from, to) in grown {
            let Some(place) = videos.iter().position(|known| *known == video) else { continue };
            let base = base.get(&video).copied().unwrap_or(0);
            for count in from.max(base)..to {
                // The n-th mention of the v-th video is comment n * VIDEOS + v.
                let number = (count - base) * VIDEOS as u64 + place as u64;
                latencies.push(now.saturating_duration_since(due(number)));
            }
        }
    }
    writer.join().map_err(|_| anyhow!("the writer panicked"))??;
    drop((job, serve));
    report(if topic { "topic" } else { "file" }, load, &mut latencies);
    Ok(())
}

/// Videos of which there is a transcript.
fn videos(month: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(month.join("transcripts"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.get(..11).map(str::to_string))
        .collect();
    names.sort();
    names.dedup();
    names.truncate(VIDEOS);
    ensure!(names.len() == VIDEOS, "the generator made {} transcripts", names.len());
    Ok(names)
}

fn serve(folder: &Path) -> Result<(Arc<dyn Broker>, Process)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catchment"));
    command.args(["topics", "serve", "--topics-listen", "127.0.0.1:0", "--topics-dir"]).arg(folder.join("topics"));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start the broker")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("it is piped")?).read_line(&mut line)?;
    let endpoint = line.strip_prefix("topics at ").and_then(|rest| rest.split(',').next()).context("an address")?;
    let location = TopicsLocation::Cluster { endpoint: endpoint.to_string(), connect_timeout: PATIENCE };
    Ok((location.reach(None, &Environment::system()).map_err(fail)?, Process(child)))
}

fn start_job(folder: &Path, month: &Path, topics: &str, load: &Load, topic: bool) -> Result<Process> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/pulse.sql"))?;
    let file =
        text.lines().find(|line| line.starts_with("CREATE SOURCE comments")).context("the job reads comments")?;
    let source = "CREATE SOURCE comments (id TEXT, subreddit TEXT, author TEXT, created_utc TIMESTAMP, score BIGINT,
        body TEXT, link_id TEXT, parent_id TEXT, edited_at TIMESTAMP, PRIMARY KEY (id))
        WITH (connector = 'fluvio', topic = 'comments', format = 'json');";
    let job = folder.join("pulse.sql");
    std::fs::write(&job, if topic { text.replace(file, source) } else { text.clone() })?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_catchment"));
    command.arg("run").arg(job).arg("--lake").arg(folder.join("lake"));
    command.args(["--topics", topics, "--epoch-interval", &load.epoch, "--set", "delivery=at_least_once"]);
    for name in ["reddit", "transcripts"] {
        command.arg("--set").arg(format!("{name}={}", month.join(name).display()));
    }
    Ok(Process(command.stdout(Stdio::null()).spawn().context("cannot start the job")?))
}

fn fail(error: catchment::Error) -> anyhow::Error {
    anyhow!(error.chain())
}

/// One comment as a line, with its newline.
fn comment(id: &str, video: &str, created: &str) -> String {
    format!(
        "{{\"id\":\"{id}\",\"subreddit\":\"live\",\"author\":\"a\",\"created_utc\":{created},\"score\":1,\
         \"body\":\"https://youtu.be/{video}\"}}\n"
    )
}

impl Way {
    fn write(&mut self, lines: &[String]) -> Result<()> {
        match self {
            Way::File(file) => file.write_all(lines.concat().as_bytes())?,
            Way::Topic(client) => {
                let mut batch = BatchBuilder::new();
                lines.iter().for_each(|line| batch.push(None, line.as_bytes()));
                let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
                client.produce(&batch.finish(Producer { id: -1, epoch: -1 }, -1, time)).map_err(fail)?;
            }
        }
        Ok(())
    }

    /// The time of a comment as its source takes it: seconds in files, text in topics.
    fn created(&self, second: u64) -> String {
        match self {
            Way::File(_) => (1_770_000_000 + second).to_string(),
            Way::Topic(_) => format!("\"2026-02-02T02:{:02}:{:02}Z\"", second / 60 % 60, second % 60),
        }
    }
}

/// One comment a video, until each was seen: then the job has loaded what there was.
fn warm(way: &mut Way, videos: &[String], reader: &mut Reader) -> Result<()> {
    let created = way.created(0);
    let lines: Vec<String> = videos.iter().map(|video| comment(&format!("w{video}"), video, &created)).collect();
    let started = Instant::now();
    // Not before the job looks: its source begins with what is there.
    reader.topic_exists(started)?;
    way.write(&lines)?;
    let mut seen = BTreeMap::new();
    while seen.len() < videos.len() {
        ensure!(started.elapsed() < PATIENCE, "the job has not loaded in {PATIENCE:?}");
        for (video, ..) in reader.next()?.1 {
            if videos.contains(&video) {
                seen.insert(video, ());
            }
        }
    }
    // Whatever was still on its way.
    while !reader.next()?.1.is_empty() {}
    Ok(())
}

/// Writes each comment when it is due, those that are due together at once.
fn write_all(way: &mut Way, videos: &[String], total: u64, rate: u64, start: Instant) -> Result<()> {
    let mut number = 0;
    while number < total {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let ready = ((start.elapsed().as_nanos() as u64 * rate / 1_000_000_000) + 1).min(total);
        let line = |number: u64| {
            let video = &videos[number as usize % VIDEOS];
            comment(&format!("n{number}"), video, &way.created(number / rate))
        };
        let lines: Vec<String> = (number..ready).map(line).collect();
        way.write(&lines)?;
        number = ready;
    }
    Ok(())
}

/// Reads `video-buzz`.
struct Reader {
    broker: Arc<dyn Broker>,
    client: Option<Box<dyn PartitionClient>>,
    next: i64,
    mentions: BTreeMap<String, u64>,
}

/// A video, its mentions before, its mentions now.
type Grown = (String, u64, u64);

impl Reader {
    fn open(broker: &Arc<dyn Broker>) -> Result<Self> {
        Ok(Reader { broker: broker.clone(), client: None, next: 0, mentions: BTreeMap::new() })
    }

    fn topic_exists(&mut self, since: Instant) -> Result<()> {
        while self.client.is_none() {
            ensure!(since.elapsed() < PATIENCE, "the job has made no topic");
            match self.broker.topic("video-buzz").map_err(fail)? {
                Some(_) => self.client = Some(self.broker.partition("video-buzz", 0).map_err(fail)?),
                None => std::thread::yield_now(),
            }
        }
        Ok(())
    }

    /// The next changes, and when they were here; none if nothing comes for a while.
    fn next(&mut self) -> Result<(Instant, Vec<Grown>)> {
        let client = self.client.as_mut().context("the topic exists")?;
        if !client.wait(self.next, Duration::from_millis(500)).map_err(fail)? {
            return Ok((Instant::now(), Vec::new()));
        }
        let Fetched::Batches { bytes, next } = client.fetch(self.next, 4 << 20).map_err(fail)? else {
            bail!("records were evicted");
        };
        let now = Instant::now();
        self.next = next;
        let (mut grown, mut scratch) = (Vec::new(), Vec::new());
        for batch in batches(&bytes) {
            for record in batch.records(&mut scratch).map_err(fail)? {
                let value: serde_json::Value = serde_json::from_slice(record.map_err(fail)?.value)?;
                let Some(video) = value["after"]["video_id"].as_str() else { continue };
                let to = value["after"]["mentions"].as_u64().context("mentions")?;
                let from = self.mentions.insert(video.to_string(), to).unwrap_or(0);
                grown.push((video.to_string(), from, to));
            }
        }
        Ok((now, grown))
    }
}

fn report(way: &str, load: &Load, latencies: &mut [Duration]) {
    latencies.sort();
    let at = |share: f64| latencies[((latencies.len() as f64 * share) as usize).min(latencies.len() - 1)];
    let ms = |latency: Duration| latency.as_secs_f64() * 1e3;
    println!(
        "as a {way}: {} comments at {}/s, epochs of {}: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
        latencies.len(),
        load.rate,
        load.epoch,
        ms(at(0.5)),
        ms(at(0.9)),
        ms(at(0.99)),
        ms(at(1.0)),
    );
}

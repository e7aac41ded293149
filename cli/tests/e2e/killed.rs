//! The main job killed at any moment, again and again: after the last restart its topics, read from the start and
//! applied, are the lake's tables, with no record twice and none missing.
//!
//! The job stays up while files come and grow (some cut in the middle of a line), with short epochs and checkpoints, so
//! that kills hit loading, staging, commits, publishing and recovery. Three places for the topics: the broker inside the
//! job's process; `catchment topics serve` in a process of its own, which is killed too; a cluster.
//!
//! ```text
//! cargo test --test e2e killed                                a few kills each
//! KILLS=100 cargo test --test e2e killed -- --nocapture       a hundred each
//! FLUVIO_ENDPOINT=127.0.0.1:9003 …                            also against that cluster; topics are made and deleted
//! CATCHMENT=target/release/catchment …                        another binary than the one just built
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::support::Place;
use catchment_tests::{DuckDb, repository};

/// Longest wait for a checkpoint of a job that has something to commit; one that has nothing takes none.
const PROGRESS: Duration = Duration::from_secs(10);

/// Where the topics are.
enum Topics {
    /// In the job's process.
    Inside,
    /// In a process of its own, at this address once it runs.
    Apart { serving: Option<Child>, address: String },
    /// On a cluster.
    Cluster(String),
}

struct Rig {
    place: Place,
    rng: StdRng,
    topics: Topics,
    /// What the topics' names begin with.
    prefix: String,
    /// Lines that have not been given to the job yet.
    lines: Vec<String>,
    errors: Vec<std::thread::JoinHandle<()>>,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

impl Rig {
    fn new(topics: Topics, seed: u64, kills: u64) -> Rig {
        println!("seed {seed}");
        let place = Place::new();
        let out = place.path("month").display().to_string();
        let seed_text = seed.to_string();
        let arguments = ["generate", "reddit", "--records", "1500", "--seed", &seed_text, "--change-batch-lines", "40"];
        let ran = place.catchment(&[&arguments[..], &["--out", &out]].concat());
        assert_eq!(ran.status, 0, "{}", ran.err);
        let prefix = match topics {
            Topics::Cluster(_) => format!("killed-{seed}-{}-", std::process::id()),
            Topics::Inside | Topics::Apart { .. } => String::new(),
        };
        let job = std::fs::read_to_string(repository("examples/pulse.sql")).expect("the example is there");
        place.write("pulse.sql", job.replace("topic = '", &format!("topic = '{prefix}")));
        let mut rig =
            Rig { place, rng: StdRng::seed_from_u64(seed), topics, prefix, lines: Vec::new(), errors: Vec::new() };
        let mut lines = rig.later_lines();
        lines.extend(rig.mentions(300.max(kills * 12)));
        lines.shuffle(&mut rig.rng);
        rig.lines = lines;
        rig
    }

    /// Comments that come and go again, with and without links to videos of which there is a transcript.
    fn mentions(&mut self, count: u64) -> Vec<String> {
        let transcripts = std::fs::read_dir(self.place.path("month/transcripts")).expect("the generator wrote some");
        let names =
            transcripts.map(|entry| entry.expect("a listable folder").file_name().into_string().expect("UTF-8"));
        let mut videos: Vec<String> = names.filter_map(|name| name.get(..11).map(str::to_string)).collect();
        videos.sort();
        let line = |version| {
            let (id, score) = (self.rng.random_range(0..80), self.rng.random_range(-5..50));
            let video = &videos[self.rng.random_range(0..videos.len().min(12))];
            let body = match self.rng.random_bool(0.7) {
                true => format!("see https://youtu.be/{video} \u{1f600}"),
                false => "[deleted]".into(),
            };
            let created = 1_770_000_000 + id * 100;
            format!(
                r#"{{"id":"m{id}","subreddit":"s{}","author":"a","created_utc":{created},"retrieved_on":{},"score":{score},"body":"{body}"}}"#,
                id % 5,
                created + version as i64 * 60
            )
        };
        (0..count).map(line).collect()
    }

    /// Changed comments, and a subreddit that is quiet for two days and then bursts.
    fn later_lines(&self) -> Vec<String> {
        let mut batches: Vec<_> = std::fs::read_dir(self.place.path("month/changes/batches"))
            .expect("the generator wrote batches")
            .map(|entry| entry.expect("a listable folder").path())
            .collect();
        batches.sort();
        let text = |path| std::fs::read_to_string(path).expect("the generator wrote text");
        let mut lines: Vec<String> =
            batches.into_iter().flat_map(|path| text(path).lines().map(str::to_string).collect::<Vec<_>>()).collect();
        let quiet = (0..48).flat_map(|hour| [hour * 3600, hour * 3600 + 60]);
        let burst = (0..90).map(|second| 48 * 3600 + second);
        for (number, second) in quiet.chain(burst).enumerate() {
            let created = 1_770_000_000 - 1_770_000_000 % 3600 + second;
            lines.push(format!(
                r#"{{"id":"burst{number}","subreddit":"quiet","author":"a{}","created_utc":{created},"score":1,"body":"word{number}"}}"#,
                number % 7
            ));
        }
        lines
    }

    fn job(&mut self, until_idle: bool) -> Child {
        let mut command = self.place.command();
        let set = |name: &str| format!("{name}={}", self.place.path("month").join(name).display());
        let (reddit, transcripts) = (set("reddit"), set("transcripts"));
        let interval = format!("{}ms", self.rng.random_range(1..400));
        command.args(["run", "pulse.sql", "--json", "--workers", "2", "--epoch-interval", "5ms"]);
        command.args(["--set", &reddit, "--set", &transcripts, "--checkpoint-interval", &interval]);
        if until_idle {
            command.args(["--until", "idle"]);
        }
        match &self.topics {
            Topics::Inside => {}
            Topics::Apart { address, .. } | Topics::Cluster(address) => {
                command.args(["--topics", address, "--connect-timeout", "60s"]);
            }
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary was built");
        let errors = child.stderr.take().expect("it is piped");
        self.errors.push(std::thread::spawn(move || print_errors(errors)));
        child
    }

    /// Starts the broker's process, at the address that it had before, and waits until it accepts connections.
    fn serve(&mut self) {
        let Topics::Apart { serving, address } = &mut self.topics else { return };
        if serving.is_some() {
            return;
        }
        let listen = if address.is_empty() { "127.0.0.1:0" } else { address.as_str() };
        let mut command = self.place.command();
        command.args(["topics", "serve", "--topics-dir", "topics", "--topics-listen", listen]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary was built");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it prints a line");
        *address = line.strip_prefix("topics at ").and_then(|rest| rest.split(',').next()).expect(&line).to_string();
        *serving = Some(child);
    }

    /// Gives the job some more lines, now and then only half of the last one.
    fn feed(&mut self) {
        let count = self.rng.random_range(1..20).min(self.lines.len());
        let mut text: String = self.lines.drain(..count).map(|line| line + "\n").collect();
        if text.is_empty() {
            return;
        }
        let new_file = self.rng.random_bool(0.2);
        let name = if new_file { format!("RC_{:06}", self.rng.random_range(0..1_000_000)) } else { "RC_live".into() };
        let path = self.place.path("month/reddit").join(name);
        let mut file = std::fs::File::options().create(true).append(true).open(path).expect("files can be written");
        let cut = if self.rng.random_bool(0.5) { self.rng.random_range(0..text.len()) } else { 0 };
        let cut = (0..=cut).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let rest = text.split_off(cut);
        file.write_all(text.as_bytes()).expect("files can be written");
        self.pause(20);
        file.write_all(rest.as_bytes()).expect("files can be written");
    }

    /// Number of the newest checkpoint.
    fn checkpoint(&self) -> u64 {
        let files = std::fs::read_dir(self.place.path("lake/_catchment/pulse/checkpoints")).into_iter().flatten();
        let number = |file: std::io::Result<std::fs::DirEntry>| file.ok()?.path().file_stem()?.to_str()?.parse().ok();
        files.filter_map(number).max().unwrap_or(0)
    }

    /// Lets time pass: when a kill comes is what is tried.
    fn pause(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(self.rng.random_range(0..=most)));
    }

    /// One life of the job, and its end.
    fn live(&mut self) {
        self.serve();
        let before = self.checkpoint();
        let mut job = self.job(false);
        let most = if self.rng.random_bool(0.3) { 200 } else { 1500 };
        for _ in 0..self.rng.random_range(0..4) {
            self.feed();
            self.pause(most / 3);
        }
        if self.rng.random_bool(0.5) {
            // It gets as far as a checkpoint (after the one that fences), and is killed about when that is published.
            let started = Instant::now();
            while self.checkpoint() < before + 2 && started.elapsed() < PROGRESS {
                std::thread::sleep(Duration::from_millis(2));
            }
            self.pause(60);
        } else {
            self.pause(most);
        }
        let also_broker = self.rng.random_bool(0.5);
        if let Topics::Apart { serving, .. } = &mut self.topics
            && also_broker
            && let Some(mut broker) = serving.take()
        {
            broker.kill().expect("a child of ours");
            broker.wait().expect("a child of ours");
            if self.rng.random_bool(0.5) {
                // The job meets a broker that is gone and comes back.
                self.serve();
                self.pause(500);
            }
        }
        job.kill().expect("a child of ours");
        job.wait().expect("a child of ours");
    }

    fn read(&self, topic: &str) -> Vec<Value> {
        let topic = format!("{}{topic}", self.prefix);
        let folder = self.place.path("lake/_catchment/topics").display().to_string();
        let place = match &self.topics {
            Topics::Inside => ["--topics-dir", &folder],
            Topics::Apart { address, .. } | Topics::Cluster(address) => ["--topics", address],
        };
        let ran = self.place.catchment(&[&["topics", "read", &topic, "--json"], &place[..]].concat());
        assert_eq!(ran.status, 0, "{}", ran.err);
        ran.out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
    }
}

fn print_errors(errors: ChildStderr) {
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        println!("  job: {line}");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Topics::Apart { serving: Some(broker), .. } = &mut self.topics {
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }
}

fn parsed(record: &Value, field: &str) -> Value {
    serde_json::from_str(record[field].as_str().expect("text")).expect("JSON")
}

/// Applies change records: each must fit what the ones before it left.
fn apply_debezium(records: &[Value]) -> Vec<Value> {
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    for record in records {
        let key = record["key"].as_str().expect("a key").to_string();
        let value = parsed(record, "value");
        let before = rows.get(&key).cloned().unwrap_or(Value::Null);
        assert_eq!(value["before"], before, "a record is missing or repeated: {record}");
        let op = if before.is_null() {
            "c"
        } else if value["after"].is_null() {
            "d"
        } else {
            "u"
        };
        assert_eq!(value["op"], op, "{record}");
        match &value["after"] {
            Value::Null => rows.remove(&key),
            after => rows.insert(key, after.clone()),
        };
    }
    rows.into_values().collect()
}

/// Applies whole rows by key; no key has two records of one epoch.
fn apply_upsert(records: &[Value]) -> Vec<Value> {
    let (mut rows, mut last): (BTreeMap<String, Value>, BTreeMap<String, u64>) = Default::default();
    for record in records {
        let key = record["key"].as_str().expect("a key").to_string();
        let value = parsed(record, "value");
        if value.is_null() {
            assert!(rows.remove(&key).is_some(), "a removal of nothing: {record}");
            continue;
        }
        let epoch = value["_epoch"].as_u64().expect("an epoch");
        assert!(last.insert(key.clone(), epoch).is_none_or(|last| last < epoch), "repeated: {record}");
        rows.insert(key, value);
    }
    rows.into_values().collect()
}

/// Rows that only one of a table and a file of JSON rows has must be none.
fn assert_same(rig: &Rig, duckdb: &DuckDb, table: &str, columns: &str, rows: &[Value]) {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let file = rig.place.write(&format!("{table}.ndjson"), text).display().to_string();
    let lake = rig.place.path("lake").join(table).display().to_string();
    let types: Vec<String> = columns.split(", ").map(|column| column.replace(' ', ": '") + "'").collect();
    let names: Vec<&str> = columns.split(", ").filter_map(|column| column.split(' ').next()).collect();
    let (types, names) = (types.join(", "), names.join(", "));
    let sql = format!(
        "CREATE TABLE lake AS SELECT {names} FROM delta_scan(getvariable('lake'));
         CREATE TABLE topic AS SELECT {names} FROM read_json(getvariable('file'), format = 'newline_delimited',
                                                           columns = {{{types}}});
         SELECT (SELECT count(*) FROM lake), (SELECT count(*) FROM topic),
                (SELECT count(*) FROM (FROM lake EXCEPT ALL FROM topic)),
                (SELECT count(*) FROM (FROM topic EXCEPT ALL FROM lake))"
    );
    let counts = duckdb.query(&sql, &[("lake", &lake), ("file", &file)]).expect("DuckDB reads both");
    let count = |index: usize| counts[0][index].clone().unwrap_or_default();
    println!("{table}: {} rows in the lake, {} from the topic", count(0), count(1));
    assert_ne!(count(0), "0", "{table} is empty");
    assert_eq!((count(2), count(3)), ("0".into(), "0".into()), "{table}: rows in the lake alone, in the topic alone");
}

fn survive(topics: Topics, seed: u64) {
    let duckdb = DuckDb::find();
    let kills = setting("KILLS", 4);
    let mut rig = Rig::new(topics, seed, kills);
    for _ in 0..kills {
        rig.live();
    }
    while !rig.lines.is_empty() {
        rig.feed();
    }
    rig.serve();
    let status = rig.job(true).wait().expect("a child of ours");
    assert!(status.success(), "the last run failed");

    let buzz = rig.read("video-buzz");
    println!("{} changes of video-buzz, after {kills} kills", buzz.len());
    let columns = "video_id VARCHAR, mentions BIGINT, score BIGINT, subreddits BIGINT, last_mention TIMESTAMPTZ";
    assert_same(&rig, &duckdb, "video_buzz", columns, &apply_debezium(&buzz));
    let columns = "subreddit VARCHAR, hour TIMESTAMPTZ, comments BIGINT, score BIGINT, authors BIGINT";
    assert_same(&rig, &duckdb, "activity_hourly", columns, &apply_upsert(&rig.read("activity")));
    let alerts = rig.read("alerts");
    let keys: BTreeSet<&str> = alerts.iter().map(|record| record["key"].as_str().expect("a key")).collect();
    assert_eq!(keys.len(), alerts.len(), "an alert was published twice");
    assert!(keys.iter().any(|key| key.contains("quiet")), "the burst is an alert: {keys:?}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn killed_with_the_broker_inside() {
    survive(Topics::Inside, setting("SEED", 21));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn killed_beside_a_broker_that_is_killed_too() {
    survive(Topics::Apart { serving: None, address: String::new() }, setting("SEED", 22));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn killed_beside_a_cluster() {
    let Ok(endpoint) = std::env::var("FLUVIO_ENDPOINT") else {
        println!("skipped: FLUVIO_ENDPOINT names no cluster");
        return;
    };
    survive(Topics::Cluster(endpoint), setting("SEED", 23));
}

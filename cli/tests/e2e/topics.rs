//! Topics as people meet them: published by the main job, listed, read, served, read back by a second job; and what is
//! said when the broker is not there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::Duration;

use catchment::TopicsLocation;
use catchment_contract::Environment;
use catchment_topics::TopicSpec;
use catchment_topics::batch::{BatchBuilder, Producer};
use serde_json::Value;

use crate::support::{Place, Ran};
use catchment_tests::{DuckDb, repository};

fn sample(place: &Place, more: &[&str]) -> Value {
    let job = repository("examples/pulse.sql").display().to_string();
    let set = |name: &str| format!("{name}={}", repository("examples/data").join(name).display());
    let (reddit, transcripts) = (set("reddit"), set("transcripts"));
    place.run(&[&[job.as_str(), "--set", &reddit, "--set", &transcripts], more].concat())
}

fn read(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let ran = place.catchment(&[&["topics", "read"], arguments, &["--json"]].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

/// `catchment topics serve` on a free port, and its address.
pub struct Served {
    child: Child,
    /// `HOST:PORT`.
    pub address: String,
}

impl Served {
    /// Serves the folder `topics`; killed when dropped.
    pub fn start(place: &Place) -> Served {
        let mut command = place.command();
        command.args(["topics", "serve", "--topics-dir", "topics", "--topics-listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary was built");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it prints a line");
        let address = line.strip_prefix("topics at ").and_then(|rest| rest.split(',').next()).expect("an address");
        Served { address: address.to_string(), child }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_main_jobs_topics_are_listed_and_read() {
    let place = Place::new();
    let summary = sample(&place, &[]);
    assert!(
        summary["topics"].as_str().is_some_and(|text| text.starts_with("embedded broker at 127.0.0.1:")),
        "{summary}"
    );
    let sinks = summary["sinks"].as_array().expect("a list");
    let activity = sinks.iter().find(|sink| sink["name"] == "activity_topic").expect("the sink is there");
    assert_eq!(activity["rows"], 164, "records published");
    assert_eq!(activity["partitions"][0]["offset"], 164);
    assert_eq!(activity["partitions"][0]["behind"], 0);

    let folder = ["--topics-dir", "lake/_catchment/topics"];
    let ran = place.catchment(&[&["topics", "list"], &folder[..]].concat());
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["topic", "partitions", "records", "end", "retention"]);
    assert_eq!(lines[1], ["activity", "1", "164", "164", "168h"]);
    assert_eq!(lines[2][..3], ["alerts", "1", "1"]);
    assert_eq!(lines[3][..3], ["video-buzz", "1", "8"]);

    let all = read(&place, &[&["activity"], &folder[..]].concat());
    assert_eq!(all.len(), 164);
    assert_eq!((&all[3]["offset"], &all[3]["partition"]), (&3.into(), &0.into()));
    let value: Value = serde_json::from_str(all[3]["value"].as_str().expect("text")).expect("JSON");
    let key: Value = serde_json::from_str(all[3]["key"].as_str().expect("text")).expect("JSON");
    assert_eq!(key, serde_json::json!([value["subreddit"], value["hour"]]));
    assert!(value["_epoch"].is_u64() && value["_ts_ms"].is_u64(), "{value}");

    assert_eq!(read(&place, &[&["activity", "--from", "160"], &folder[..]].concat()).len(), 4);
    assert_eq!(read(&place, &[&["activity", "--from", "latest"], &folder[..]].concat()).len(), 0);
    let time = all[0]["time"].as_str().expect("a time");
    assert_eq!(read(&place, &[&["activity", "--from", time], &folder[..]].concat()).len(), 164);
    assert_eq!(read(&place, &[&["activity", "--from", "2999-01-01T00:00:00Z"], &folder[..]].concat()).len(), 0);

    let plain = place.catchment(&[&["topics", "read", "video-buzz"], &folder[..]].concat()).out;
    assert_eq!(plain.lines().count(), 8);
    let (key, value) = plain.lines().next().and_then(|line| line.split_once('\t')).expect("key, tab, value");
    assert_eq!(serde_json::from_str::<Value>(value).expect("JSON")["after"]["video_id"], key);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_second_job_reads_the_first_ones_topic() {
    let place = Place::new();
    sample(&place, &[]);
    let job = repository("examples/leaderboard.sql").display().to_string();
    let summary = place.run(&[&job]);
    assert_eq!(summary["sources"][0]["records"], 8, "{summary}");
    assert_eq!(summary["sources"][0]["partitions_read"][0]["behind"], 0, "{summary}");
    assert_eq!(place.run(&[&job])["sources"][0]["records"], 0, "nothing is read twice");
    let duckdb = DuckDb::find();
    let table = |name: &str| place.path("lake").join(name).display().to_string();
    let sql = "CREATE TABLE board AS FROM delta_scan(getvariable('board'));
               CREATE TABLE buzz AS SELECT row_number() OVER (ORDER BY mentions DESC, score DESC, video_id) AS rank,
                    video_id, mentions, score, subreddits, last_mention FROM delta_scan(getvariable('buzz'));
               SELECT (SELECT count(*) FROM board), (SELECT count(*) FROM (FROM board EXCEPT ALL FROM buzz)),
                      (SELECT count(*) FROM (FROM buzz EXCEPT ALL FROM board))";
    let rows = duckdb.query(sql, &[("board", &table("leaderboard")), ("buzz", &table("video_buzz"))]);
    let text = |count: &str| Some(count.to_string());
    assert_eq!(rows.expect("DuckDB reads both"), [[text("8"), text("0"), text("0")]]);
}

#[test]
fn two_jobs_use_a_broker_of_its_own_at_once() {
    let place = Place::new();
    let served = Served::start(&place);
    let topics = ["--topics", &served.address];
    sample(&place, &topics);
    let job = repository("examples/leaderboard.sql").display().to_string();
    let mut command = place.command();
    command.args(["run", &job, "--checkpoint-interval", "20ms"]).args(topics);
    let mut staying = command.stdout(Stdio::null()).spawn().expect("the binary was built");
    assert_eq!(read(&place, &[&["video-buzz"], &topics[..]].concat()).len(), 8);
    // The folder is in use, and its broker answers for it.
    assert_eq!(read(&place, &["video-buzz", "--topics-dir", "topics"]).len(), 8);
    let second = place.catchment(&["topics", "serve", "--topics-dir", "topics", "--topics-listen", "127.0.0.1:0"]);
    refused(&second, 2, "topics folder \"topics\" is in use by another broker at", "--topics-dir");
    staying.kill().expect("a child of ours");
    staying.wait().expect("a child of ours");
}

/// Records that come while the older ones are still being printed are printed as well.
#[test]
fn following_leaves_nothing_out() {
    let place = Place::new();
    let served = Served::start(&place);
    let location =
        TopicsLocation::Cluster { endpoint: served.address.clone(), connect_timeout: Duration::from_secs(30) };
    let broker = location.reach(None, &Environment::system()).expect("it is served");
    broker.create("t", &TopicSpec { partitions: 2, ..TopicSpec::default() }).expect("a topic");
    let append = |partition: u32, values: &[&str]| {
        let mut builder = BatchBuilder::new();
        values.iter().for_each(|value| builder.push(None, value.as_bytes()));
        let batch = builder.finish(Producer { id: -1, epoch: -1 }, -1, 1_770_000_000_000);
        broker.partition("t", partition).expect("a partition").produce(&batch).expect("appended");
    };
    // More than a pipe holds.
    let large = "x".repeat(100_000);
    (0..5).for_each(|_| append(0, &[&large]));
    append(1, &["early"]);
    let mut command = place.command();
    command.args(["topics", "read", "t", "--follow", "--topics", &served.address]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("it goes on").expect("text");
    assert_eq!(next().len(), large.len(), "it has begun, and waits for us");
    append(1, &["middle"]);
    (0..4).for_each(|_| assert_eq!(next().len(), large.len()));
    assert_eq!(next(), "early");
    assert_eq!(next(), "middle");
    append(1, &["late"]);
    assert_eq!(next(), "late");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

/// Lost before: a batch that nobody can unpack ended the reading of its topic, and what came behind it could not be seen.
#[test]
fn a_batch_that_cannot_be_read_is_passed_over_and_said() {
    let place = Place::new();
    let served = Served::start(&place);
    let location =
        TopicsLocation::Cluster { endpoint: served.address.clone(), connect_timeout: Duration::from_secs(30) };
    let broker = location.reach(None, &Environment::system()).expect("it is served");
    broker.create("t", &TopicSpec::default()).expect("a topic");
    for (value, compression) in [("first", 0), ("poison", 7), ("poison", 1), ("last", 0)] {
        let mut builder = BatchBuilder::new();
        (0..2).for_each(|_| builder.push(None, value.as_bytes()));
        let mut batch = builder.finish(Producer { id: -1, epoch: -1 }, -1, 1_770_000_000_000);
        batch[22] = compression;
        let checksum = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&checksum.to_be_bytes());
        broker.partition("t", 0).expect("a partition").produce(&batch).expect("appended");
    }
    let ran = place.catchment(&["topics", "read", "t", "--topics", &served.address]);
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), ["first", "first", "last", "last"]);
    refused(&ran, 1, "2 batches of topic \"t\" could not be read", "");
    assert!(ran.err.contains("partition 0, offsets 2 to 3 are passed over"), "{}", ran.err);
    assert!(ran.err.contains("its compression 7 is unknown"), "{}", ran.err);
    assert!(ran.err.contains("partition 0, offsets 4 to 5 are passed over"), "{}", ran.err);
}

fn refused(ran: &Ran, status: i32, says: &str, way_out: &str) {
    println!("{}", ran.err);
    let last = ran.err.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(
        ran.status == status && last.contains(says) && last.contains(way_out),
        "status {}: {}",
        ran.status,
        ran.err
    );
}

const READS: &str = "
CREATE SOURCE t (id BIGINT, v TEXT, PRIMARY KEY (id)) WITH (connector = 'fluvio', topic = 'video-buz', format = 'upsert');
CREATE SINK o FROM t WITH (connector = 'lake');
";

#[test]
fn a_topic_that_is_not_there() {
    let place = Place::new();
    sample(&place, &[]);
    place.write("job.sql", READS);
    let ran = place.catchment(&["run", "job.sql", "--until", "idle"]);
    refused(&ran, 2, "there is no topic \"video-buz\" at the embedded broker", "did you mean \"video-buzz\"?");
    let folder = ["--topics-dir", "lake/_catchment/topics"];
    let ran = place.catchment(&[&["topics", "read", "video-buz"], &folder[..]].concat());
    refused(&ran, 2, "there is no topic \"video-buz\" at the embedded broker", "did you mean \"video-buzz\"?");
    let ran = place.catchment(&["topics", "list", "--topics-dir", "nowhere"]);
    refused(&ran, 2, "there is no folder of topics at \"nowhere\"", "LAKE/_catchment/topics");
    let ran = place.catchment(&["topics", "list", "--topics-dir", "lake"]);
    refused(&ran, 2, "no broker has kept topics in \"lake\"", "did you mean \"lake/_catchment/topics\"?");
    assert!(!place.path("lake/lock").exists(), "a look leaves nothing behind");
}

#[test]
fn a_broker_that_is_not_there() {
    let place = Place::new();
    place.write("job.sql", READS);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let address = free.to_string();
    let run = |address: &str| {
        let arguments = ["run", "job.sql", "--until", "idle", "--topics", address, "--connect-timeout", "1s"];
        place.catchment(&arguments)
    };
    let ran = run(&address);
    assert!(ran.err.contains("trying again"), "it says that it tries again: {}", ran.err);
    refused(&ran, 1, &format!("the controller at {address}"), "check that the servers run");
}

/// A port of something else: a web server, and one that says nothing.
#[test]
fn a_port_that_is_something_elses() {
    let place = Place::new();
    place.write("job.sql", READS);
    for answer in ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", ""] {
        let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = server.local_addr().expect("it is bound").to_string();
        std::thread::spawn(move || {
            for mut peer in server.incoming().flatten() {
                let mut some = [0; 64];
                let _ = peer.read(&mut some);
                if !answer.is_empty() {
                    let _ = peer.write_all(answer.as_bytes());
                    continue;
                }
                // Says nothing, and keeps the connection.
                std::mem::forget(peer);
            }
        });
        let arguments = ["run", "job.sql", "--until", "idle", "--topics", &address, "--connect-timeout", "1s"];
        // Another server is a wrong address; silence may pass.
        let status = if answer.is_empty() { 1 } else { 2 };
        refused(&place.catchment(&arguments), status, &format!("the controller at {address}"), "check");
    }
}

#[test]
fn flags_that_do_not_fit() {
    let place = Place::new();
    place.write("job.sql", READS);
    let run = |more: &[&str]| place.catchment(&[&["run", "job.sql"], more].concat());
    refused(&run(&["--topics", "nonsense"]), 2, "--topics: write HOST:PORT", "127.0.0.1:9003");
    refused(&run(&["--topics", "http://127.0.0.1:9003"]), 2, "--topics: write HOST:PORT", "127.0.0.1:9003");
    let unused = run(&["--set", "ids=7"]);
    refused(&unused, 2, "--set ids: there is no ${ids} in \"job.sql\"", "leave it out");
    let both = run(&["--topics", "127.0.0.1:9003", "--topics-dir", "t"]);
    refused(&both, 2, "--topics-listen and --topics-insecure are the embedded broker's", "leave out --topics");
    let open = run(&["--topics-listen", "0.0.0.0:0"]);
    refused(&open, 2, "cannot listen on 0.0.0.0:0: other machines reach this address", "add --topics-insecure");
    let served = place.catchment(&["topics", "serve", "--topics-listen", "0.0.0.0:0"]);
    refused(&served, 2, "cannot listen on 0.0.0.0:0: other machines reach this address", "add --topics-insecure");
    refused(&run(&["--lake", "s3://bucket/lake"]), 2, "the embedded broker needs a local folder", "--topics-dir DIR");
    place.write("topics.sql", READS);
    refused(&place.catchment(&["check", "topics.sql"]), 2, "a job cannot be named \"topics\"", "and not \"topics\"");
}

#[test]
fn a_key_that_is_no_column() {
    let place = Place::new();
    place.write(
        "job.sql",
        "CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = 'in');
         CREATE SINK o FROM comments WITH (connector = 'fluvio', topic = 'bodies', key = 'idd', format = 'upsert');",
    );
    let ran = place.catchment(&["check", "job.sql"]);
    refused(&ran, 2, "key of sink \"o\": \"comments\" has no column \"idd\"", "did you mean \"id\"?");
}

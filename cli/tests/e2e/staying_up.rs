//! A job that stays up: it takes in new files by itself, and ends with a checkpoint when it is told to.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Place;
use crate::topics::Served;

/// Longest wait for the running job, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(120);

const JOB: &str = "
CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = 'in');
CREATE VIEW ids AS SELECT id FROM comments;
CREATE SINK ids FROM ids WITH (connector = 'lake');
";

/// The newest manifest once it says of the source that it has seen `records` records.
fn await_records(place: &Place, child: &mut Child, records: u64) {
    let started = Instant::now();
    while seen(&place.path("lake/_catchment/job/checkpoints")).is_none_or(|seen| seen < records) {
        assert!(child.try_wait().expect("a child of ours").is_none(), "the job ended by itself");
        assert!(started.elapsed() < PATIENCE, "no checkpoint with {records} records");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn seen(checkpoints: &Path) -> Option<u64> {
    let files = std::fs::read_dir(checkpoints).ok()?.flatten().map(|entry| entry.path());
    let newest = files.filter(|path| path.extension().is_some_and(|ending| ending == "json")).max()?;
    // It may be pruned, or not be whole, at this moment: look again.
    let text = std::fs::read_to_string(newest).ok()?;
    // Its first line is a seal over the rest.
    let (_, rest) = text.split_once('\n')?;
    let manifest: Value = serde_json::from_str(rest).ok()?;
    manifest["sources"]["comments"]["ledger"]["records"].as_u64()
}

/// Tells a child to stop.
fn tell(child: &Child) {
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("there is a kill");
    assert!(told.success());
}

#[test]
fn a_job_that_stays_up_takes_in_new_files_and_ends_when_told() {
    let place = Place::new();
    place.write("job.sql", JOB);
    let line = |id: &str| format!("{{\"id\":\"{id}\",\"body\":\"b\"}}\n");
    // There is nothing yet, and that is no error of a job that stays.
    std::fs::create_dir(place.path("in")).expect("a new folder");
    let mut command = place.command();
    command.args(["run", "job.sql", "--json", "--checkpoint-interval", "50ms", "--workers", "2"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary was built");
    await_records(&place, &mut child, 0);
    place.write("in/RC_1", line("a"));
    await_records(&place, &mut child, 1);
    place.write("in/RC_2", line("b") + &line("c"));
    await_records(&place, &mut child, 3);
    tell(&child);
    let output = child.wait_with_output().expect("a child of ours");
    assert_eq!(output.status.code(), Some(0));
    let summary: Value = serde_json::from_slice(&output.stdout).expect("the summary is one JSON object");
    assert_eq!(summary["sinks"][0]["rows"], 3, "{summary}");
    assert_eq!(place.run(&["job.sql"])["sources"][0]["partitions"], 0, "nothing is read twice");
}

/// The broker is gone and records wait for it: told to stop, the job waits for it; told again, it ends.
#[test]
fn told_twice_a_job_ends_at_once_and_loses_nothing() {
    let place = Place::new();
    let served = Served::start(&place);
    let sink = "CREATE SINK t FROM ids WITH (connector = 'fluvio', topic = 'ids', key = 'id', format = 'upsert');\n";
    place.write("job.sql", format!("{JOB}{sink}"));
    place.write("in/RC_1", "{\"id\":\"a\",\"body\":\"b\"}\n");
    let mut command = place.command();
    command.args(["run", "job.sql", "--checkpoint-interval", "50ms", "--topics", &served.address]);
    command.env("RUST_LOG", "warn,catchment_sinks::fluvio::publish=debug");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary was built");
    await_records(&place, &mut child, 1);
    drop(served);
    place.write("in/RC_2", "{\"id\":\"b\",\"body\":\"b\"}\n");
    let mut said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let waits = said.by_ref().map_while(Result::ok).any(|line| line.contains("trying again"));
    assert!(waits, "the job ended by itself");
    let started = Instant::now();
    let status = loop {
        tell(&child);
        if let Some(status) = child.try_wait().expect("a child of ours") {
            break status;
        }
        assert!(started.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
    place.run(&["job.sql", "--topics-dir", "topics"]);
    let ran = place.catchment(&["topics", "read", "ids", "--topics-dir", "topics"]);
    assert_eq!(ran.out.lines().filter_map(|line| line.split('\t').next()).collect::<Vec<_>>(), ["a", "b"]);
}

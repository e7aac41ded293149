//! The main job, by the real binary, read by real DuckDB, against a reference that decodes the files on its own.

use std::path::Path;
use std::process::Command;

use crate::support::Place;
use catchment_tests::{DuckDb, repository, shared};
use serde_json::Value;

const JOB: &str = "examples/pulse.sql";

/// Sinks that bring what was decoded into the lake, beside the main job's tables.
const DECODED: &str = "
CREATE VIEW decoded_submissions AS SELECT id, subreddit, score, title, selftext, url, created_utc FROM submissions;
CREATE VIEW decoded_transcripts AS SELECT video_id, language_code, segment, start, text FROM transcripts;
CREATE SINK decoded_submissions FROM decoded_submissions WITH (connector = 'lake', table = 'submissions');
CREATE SINK decoded_transcripts FROM decoded_transcripts WITH (connector = 'lake', table = 'transcripts');
";

/// Runs the reference.
fn reference(place: &Place, arguments: &[&str]) -> String {
    let duckdb = DuckDb::find();
    let mut command = Command::new(duckdb.python());
    command.current_dir(place.path(".")).arg(repository("tests/reference/pulse.py")).args(arguments);
    let output = command.output().expect("the interpreter runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pulse.py {arguments:?}:\n{text}{errors}");
    text
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs the job `job` in `place` over `reddit` and `transcripts`, into the folder `lake`.
fn run(place: &Place, job: &Path, reddit: &Path, transcripts: &Path, lake: &str) -> Value {
    let (reddit, transcripts) = (format!("reddit={}", text(reddit)), format!("transcripts={}", text(transcripts)));
    place.run(&[&text(job), "--workers", "2", "--lake", lake, "--set", &reddit, "--set", &transcripts])
}

fn relation(summary: &Value, name: &str) -> i64 {
    let relations = summary["relations"].as_array().expect("a list");
    let found = relations.iter().find(|relation| relation["name"] == name);
    found.and_then(|relation| relation["rows"].as_i64()).unwrap_or_else(|| panic!("no {name} in {summary}"))
}

fn commits(summary: &Value) -> u64 {
    let sinks = summary["sinks"].as_array().expect("a list");
    sinks.iter().map(|sink| sink["commits"].as_u64().expect("a number")).sum()
}

/// Every data file of the lake's tables. A run that opens a table seals it with an entry in its log, also where it has nothing to
/// add.
fn table_files(lake: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![lake.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the lake can be listed") {
            let path = entry.expect("the lake can be listed").path();
            match path.is_dir() {
                true if path.ends_with("_catchment") || path.ends_with("_delta_log") => {}
                true => folders.push(path),
                false => files.push(text(&path)),
            }
        }
    }
    files.sort();
    files
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn the_sample_ends_with_right_tables() {
    let place = Place::new();
    let (reddit, transcripts) = (repository("examples/data/reddit"), repository("examples/data/transcripts"));
    let summary = run(&place, &repository(JOB), &reddit, &transcripts, "lake");
    for (name, rows) in [
        ("comment_rows", 300),
        ("activity_hourly", 164),
        ("mentions", 52),
        ("video_buzz", 8),
        ("trending_terms", 298),
        ("alerts", 1),
        ("rejects", 1),
    ] {
        assert_eq!(relation(&summary, name), rows, "{name}");
    }
    let (reddit, transcripts) = (text(&reddit), text(&transcripts));
    reference(&place, &["compare", "lake", "--reddit", &reddit, "--transcripts", &transcripts]);
}

/// The sample again without paths: what the README's first command does, in the repository's folder.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn the_sample_is_the_default() {
    let place = Place::new();
    let lake = text(&place.path("lake"));
    let mut command = place.command();
    command.current_dir(repository(".")).args(["run", JOB, "--until", "idle", "--lake", &lake]);
    let output = command.output().expect("the binary was built");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("trending_terms"), "{printed}");
    let duckdb = DuckDb::find();
    let query = "SELECT count(*) FROM delta_scan(getvariable('lake') || '/rejects')";
    let rows = duckdb.query(query, &[("lake", &lake)]).expect("DuckDB reads the lake");
    assert_eq!(rows, [[Some("1".to_string())]]);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn later_changes_give_what_one_run_over_everything_gives() {
    let place = Place::new();
    let out = text(&place.path("month"));
    let ran = place.catchment(&["generate", "reddit", "--records", "3000", "--seed", "11", "--out", &out]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let (reddit, transcripts) = (place.path("month/reddit"), place.path("month/transcripts"));
    let job = repository(JOB);
    run(&place, &job, &reddit, &transcripts, "lake");
    let changes = place.path("month/changes/RC_2026-01_changes.zst");
    std::fs::rename(changes, reddit.join("RC_2026-01_changes.zst")).expect("the generator wrote it");

    let second = run(&place, &job, &reddit, &transcripts, "lake");
    assert!(commits(&second) > 0, "{second}");
    assert_eq!(second["sources"][0]["partitions"], 1, "only the new file is read");
    let at_once = run(&place, &job, &reddit, &transcripts, "at-once");
    for name in ["comment_rows", "activity_hourly", "mentions", "video_buzz", "trending_terms", "rejects"] {
        assert_eq!(relation(&second, name), relation(&at_once, name), "{name}");
    }

    let before = table_files(&place.path("lake"));
    let third = run(&place, &job, &reddit, &transcripts, "lake");
    assert_eq!(commits(&third), 0);
    assert_eq!(third["sources"][0]["partitions"], 0);
    assert_eq!(relation(&third, "trending_terms"), relation(&second, "trending_terms"));
    assert_eq!(table_files(&place.path("lake")), before);

    let (reddit, transcripts) = (text(&reddit), text(&transcripts));
    for lake in ["lake", "at-once"] {
        reference(&place, &["compare", lake, "--reddit", &reddit, "--transcripts", &transcripts]);
    }
}

/// Links every file below `folder` into `into`, with `prefix` before its name, so that the main job's globs match.
fn link(place: &Place, folder: &Path, into: &str, prefix: &str) {
    std::fs::create_dir_all(place.path(into)).expect("a folder can be made");
    for entry in std::fs::read_dir(folder).expect("the shared data can be listed") {
        let path = entry.expect("the shared data can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_string();
        let link = place.path(into).join(format!("{prefix}{name}"));
        std::os::unix::fs::symlink(path, link).expect("a link can be made");
    }
}

#[test]
#[cfg_attr(not(all(has_python, has_shared)), ignore = "needs python3 and the real inputs in ../shared")]
fn real_dumps_snapshots_and_transcripts_give_right_tables() {
    let (reddit, youtube) = (shared("data/reddit"), shared("data/youtube"));
    let place = Place::new();
    let job = place.write("real.sql", std::fs::read_to_string(repository(JOB)).expect("the job is there") + DECODED);
    // Each file holds comments, submissions or both: both sources read all, and take what is theirs.
    for prefix in ["RC_", "RS_"] {
        for folder in ["pushshift", "election2016", "listing_snapshots", "api_objects"] {
            link(&place, &reddit.join(folder), "in", prefix);
        }
    }
    let summary = run(&place, &job, &place.path("in"), &youtube, "lake");
    for source in summary["sources"].as_array().expect("a list") {
        assert!(source["rows"].as_u64().expect("a number") > 50_000, "{source}");
    }
    reference(&place, &["compare", "lake", "--job", "real.sql"]);

    // The same count by a reader of its own: comments and submissions apart, and what is neither.
    link(&place, &place.path("in"), "all", "");
    std::fs::read_dir(place.path("all")).expect("just made").flatten().for_each(|entry| {
        if entry.file_name().to_string_lossy().starts_with("RS_") {
            std::fs::remove_file(entry.path()).expect("ours to remove");
        }
    });
    let counted = reference(&place, &["count", "all"]);
    let counted: Value = serde_json::from_str(&counted).expect("JSON");
    let total = &counted["total"];
    let (comments, submissions) = (&summary["sources"][0], &summary["sources"][1]);
    assert_eq!(comments["rows"], total["comment"], "{total}");
    assert_eq!(submissions["rows"], total["submission"], "{total}");
    assert_eq!(comments["rejects"], total["bad"], "{total}");
    assert_eq!(submissions["rejects"], total["bad"], "{total}");
}

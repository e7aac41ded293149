//! What a new user does wrong, and what they are told.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::support::{Place, Ran};

const COMMENTS: &str = "CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = 'in/*');\n";
const SINK: &str = "CREATE SINK c FROM v WITH (connector = 'lake');\n";

fn job(view: &str) -> String {
    format!("{COMMENTS}CREATE VIEW v AS {view};\n{SINK}")
}

fn line(id: &str) -> String {
    format!(r#"{{"id":"{id}","subreddit":"s","author":"a","created_utc":1,"score":1,"body":"b","link_id":"t3_x"}}"#)
}

/// Checks a job that is wrong: status 2, and a message with all of `parts`.
fn wrong(text: &str, parts: &[&str]) {
    let place = Place::new();
    place.write("job.sql", text);
    let ran = place.catchment(&["check", "job.sql"]);
    assert_eq!(ran.status, 2, "{}{}", ran.out, ran.err);
    said(&ran, parts);
}

fn said(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.err.contains(part), "{part:?} is not in:\n{}", ran.err);
    }
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

fn run(place: &Place) -> Ran {
    place.catchment(&["run", "job.sql", "--until", "idle", "--json"])
}

/// Runs a good job over `files` in `in/` and returns the rejects of its summary, and the rows of its view.
fn rejected(files: &[(&str, &[u8])]) -> (u64, i64, Vec<String>) {
    let place = Place::new();
    let text = format!(
        "{}CREATE SINK r FROM rejects WITH (connector = 'lake', table = 'rejects', mode = 'append');",
        job("SELECT id, body FROM comments")
    );
    place.write("job.sql", text);
    for (name, bytes) in files {
        place.write(&format!("in/{name}"), bytes);
    }
    let ran = run(&place);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let summary: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    let rejects = summary["sources"][0]["rejects"].as_u64().expect("a number");
    let relations = summary["relations"].as_array().expect("a list");
    let rows = relations.iter().find(|relation| relation["name"] == "v").and_then(|v| v["rows"].as_i64());
    let names = relations.iter().filter_map(|relation| relation["name"].as_str().map(String::from)).collect();
    (rejects, rows.expect("the view is in the summary"), names)
}

/// `catchment run … | head -0`.
#[test]
fn whoever_reads_the_summary_may_have_enough() {
    let place = Place::new();
    place.write("in/RC_1", line("a"));
    place.write("job.sql", job("SELECT id FROM comments"));
    for arguments in [["run", "job.sql", "--until=idle"].as_slice(), &["check", "job.sql"], &["explain", "job.sql"]] {
        let (reader, writer) = std::io::pipe().expect("the system has pipes");
        drop(reader);
        let output = place.command().args(arguments).stdout(writer).output().expect("the binary was built");
        let ran = Ran::from(output);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_syntax_error_has_its_place() {
    wrong(&job("SELEC id FROM comments"), &["line 2, column 18", "SELEC"]);
    wrong("CREATE SOURCE comments WITH (connector 'reddit');", &["line 1, column 40"]);
}

#[test]
fn an_unknown_column_has_a_neighbour() {
    wrong(&job("SELECT autor FROM comments"), &["line 2, column 25", "autor", "author"]);
}

#[test]
fn an_unknown_relation_has_a_neighbour() {
    wrong(&job("SELECT id FROM coments"), &["line 2, column 33", "coments", "\"comments\""]);
}

#[test]
fn an_unknown_connector_has_a_neighbour() {
    wrong("CREATE SOURCE c WITH (connector = 'redit', path = 'x');", &["line 1", "redit", "reddit"]);
}

#[test]
fn an_unknown_option_has_a_neighbour() {
    wrong(
        "CREATE SOURCE c WITH (connector = 'reddit', kind = 'comments', paht = 'x', path = 'y');",
        &["line 1, column 71", "paht", "\"path\""],
    );
}

#[test]
fn a_flag_that_is_wrong_ends_with_2() {
    let place = Place::new();
    assert_eq!(place.catchment(&["run"]).status, 2);
    let ran = place.catchment(&["run", "job.sql", "--checkpoint-interval", "soon"]);
    assert_eq!(ran.status, 2);
    said(&ran, &["10s"]);
    let ran = place.catchment(&["run", "no.sql"]);
    assert_eq!(ran.status, 2);
    said(&ran, &["cannot read the job file \"no.sql\"", "no such file"]);
}

#[test]
fn a_missing_path_is_named() {
    let place = Place::new();
    place.write("job.sql", job("SELECT id FROM comments").replace("in/*", "in/RC_1"));
    let ran = run(&place);
    assert_eq!(ran.status, 2);
    said(&ran, &["in/RC_1", "no such file"]);
}

#[test]
fn an_empty_folder_is_named() {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).expect("a folder can be made");
    for pattern in ["in/*", "in"] {
        place.write("job.sql", job("SELECT id FROM comments").replace("in/*", pattern));
        let ran = run(&place);
        assert_eq!(ran.status, 2, "{}", ran.out);
        said(&ran, &[pattern]);
    }
}

#[test]
fn a_folder_without_permission_is_named() {
    let place = Place::new();
    place.write("job.sql", job("SELECT id FROM comments").replace("in/*", "in"));
    place.write("in/RC_1", line("a"));
    std::fs::set_permissions(place.path("in"), PermissionsExt::from_mode(0o000)).expect("ours to change");
    std::fs::set_permissions(place.path("."), PermissionsExt::from_mode(0o777)).expect("ours to change");
    // The permission binds everybody but root: as root, run as nobody.
    let mut command = place.command();
    command.args(["run", "job.sql", "--until", "idle"]);
    if std::fs::read_dir(place.path("in")).is_ok() {
        let binary = std::fs::metadata(env!("CARGO_BIN_EXE_catchment")).expect("the binary was built");
        assert_ne!(binary.permissions().mode() & 0o001, 0);
        command.uid(65534).gid(65534);
    }
    let ran = match command.output() {
        Ok(output) => Ran::from(output),
        Err(error) => {
            println!("skipped: the binary's folder is closed to nobody: {error}");
            return;
        }
    };
    assert_eq!(ran.status, 2, "{}", ran.err);
    said(&ran, &["\"in\"", "permission denied"]);
    std::fs::set_permissions(place.path("in"), PermissionsExt::from_mode(0o755)).expect("ours to change");
}

#[test]
fn damaged_files_are_rejects() {
    let lines: String = (0..2000).map(|n| line(&format!("a{n}")) + "\n").collect();
    let whole = zstd::encode_all(lines.as_bytes(), 3).expect("it compresses");
    let (rejects, rows, _) = rejected(&[("RC_cut.zst", &whole[..whole.len() - 40]), ("RC_ok", line("ok").as_bytes())]);
    assert!(rejects >= 1);
    assert!((1..=2001).contains(&rows), "{rows}");

    assert_eq!(rejected(&[("RC_empty", b""), ("RC_ok", line("ok").as_bytes())]).0, 1);

    let bom = ["\u{feff}".as_bytes(), line("bom").as_bytes(), b"\n"].concat();
    let (rejects, rows, _) = rejected(&[("RC_bom", &bom)]);
    assert_eq!((rejects, rows), (0, 1));

    let page = b"<!DOCTYPE html>\n<html><body>Too Many Requests</body></html>\n";
    let (rejects, rows, names) = rejected(&[("RC_page.json", page), ("RC_ok", line("ok").as_bytes())]);
    assert!(rejects >= 1);
    assert_eq!(rows, 1);
    assert_eq!(names, ["rejects", "v"]);
}

#[test]
fn a_lake_that_cannot_be_written_is_named() {
    let place = Place::new();
    place.write("job.sql", job("SELECT id FROM comments"));
    place.write("in/RC_1", line("a"));
    place.write("file", "not a folder");
    let ran = place.catchment(&["run", "job.sql", "--until", "idle", "--lake", "file/lake"]);
    assert_eq!(ran.status, 1);
    said(&ran, &["file/lake"]);
    let ran = place.catchment(&["run", "job.sql", "--until", "idle", "--lake", "ftp://host/lake"]);
    assert_eq!(ran.status, 2);
    said(&ran, &["ftp://host/lake", "s3://"]);
}

#[test]
fn a_table_of_another_job_is_refused() {
    let place = Place::new();
    place.write("in/RC_1", line("a"));
    place.write("job.sql", job("SELECT id FROM comments"));
    place.write("other.sql", job("SELECT id FROM comments"));
    assert_eq!(run(&place).status, 0);
    let ran = place.catchment(&["run", "other.sql", "--until", "idle"]);
    assert_eq!(ran.status, 2, "{}", ran.out);
    said(&ran, &["table \"v\"", "\"job\""]);
}

#[test]
fn a_job_whose_view_changed_is_refused() {
    let place = Place::new();
    place.write("in/RC_1", line("a"));
    place.write("job.sql", job("SELECT id, score FROM comments"));
    assert_eq!(run(&place).status, 0);
    place.write("job.sql", job("SELECT id, score + 1 AS score FROM comments"));
    let ran = run(&place);
    assert_eq!(ran.status, 2, "{}", ran.out);
    said(&ran, &["relation \"v\" of sink \"c\"", "add --reset once"]);
}

/// A view that is added, be it over the same view, must not make an old table look like a stranger's.
#[test]
fn a_job_may_gain_a_view() {
    let place = Place::new();
    place.write("in/RC_1", line("a"));
    place.write("job.sql", job("SELECT id, score FROM comments"));
    assert_eq!(run(&place).status, 0);
    let first = "CREATE VIEW u AS SELECT id, score * 2 AS twice FROM v;\n";
    let sink = "CREATE SINK s FROM u WITH (connector = 'lake');\n";
    place.write("job.sql", format!("{}{first}{sink}", job("SELECT id, score FROM comments")));
    let ran = run(&place);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let summary: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    let rows = |sink: usize| summary["sinks"][sink]["rows"].as_u64();
    assert_eq!((rows(0), rows(1)), (Some(1), Some(1)), "the new table has what was loaded before: {summary}");
}

/// The change lies in a view below the one that the sink takes.
#[test]
fn a_job_whose_lower_view_changed_is_refused() {
    let place = Place::new();
    place.write("in/RC_1", line("a"));
    let two = |condition: &str| {
        let lower = format!("CREATE VIEW lower AS SELECT id, subreddit FROM comments WHERE {condition};\n");
        let views = format!("{lower}CREATE VIEW v AS SELECT subreddit, count(*) AS n FROM lower GROUP BY subreddit;\n");
        format!("{COMMENTS}{views}{SINK}CREATE SINK l FROM lower WITH (connector = 'lake');\n")
    };
    place.write("job.sql", two("id <> 'x'"));
    assert_eq!(run(&place).status, 0);
    place.write("job.sql", two("id <> 'y'"));
    let ran = run(&place);
    assert_eq!(ran.status, 2, "{}", ran.out);
    said(&ran, &["relation \"v\""]);
}

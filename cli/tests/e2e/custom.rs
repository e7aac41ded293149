//! `examples/custom_operator.rs`, as a person runs it: its tables against the same computed by DuckDB from the comments that
//! another job brought into the lake, with all files at once and file by file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Place;
use catchment_tests::{DuckDb, repository};

/// The example beside the binary: `cargo test` builds both.
fn example() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_catchment"));
    binary.parent().expect("it lies in a folder").join("examples/custom_operator")
}

fn run_example(lake: &Path, reddit: &Path) -> String {
    let output = Command::new(example()).arg(lake).arg(reddit).env_remove("RUST_LOG").output();
    let output = output.expect("cargo test builds the examples");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Brings the comments as they stand into the lake.
const COMMENTS: &str = "
CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = '${reddit}/RC_*');
CREATE VIEW rows AS SELECT id, author, created_utc, body FROM comments;
CREATE SINK rows FROM rows WITH (connector = 'lake', mode = 'current');
";

/// What the example's tables must be.
const SAME: &str = "
WITH known AS (SELECT author, body, epoch_us(created_utc) AS moment
               FROM delta_scan(getvariable('decoded') || '/rows') WHERE author IS NOT NULL),
     steps AS (SELECT author, moment AS since, lead(moment) OVER (PARTITION BY author ORDER BY moment) - moment AS silence
               FROM (SELECT DISTINCT author, moment FROM known WHERE moment IS NOT NULL)),
     longest AS (SELECT author, max(silence) AS longest, arg_min(since, (-silence, since)) FILTER (silence IS NOT NULL) AS since
                 FROM steps GROUP BY author),
     counted AS (SELECT author, count(*) AS comments,
                        sum(len(regexp_extract_all(body, '\\S+')) / 230.0::DOUBLE) AS minutes
                 FROM known GROUP BY author),
     expected AS (SELECT author, comments, longest, since FROM counted LEFT JOIN longest USING (author)),
     silences AS (SELECT author, comments, longest_us AS longest, epoch_us(since) AS since
                  FROM delta_scan(getvariable('lake') || '/silences')),
     regulars AS (SELECT author, round(silence_hours * 3600000000.0) AS longest, round(minutes, 6) AS minutes
                  FROM delta_scan(getvariable('lake') || '/regulars')),
     expected_regulars AS (SELECT author, longest::DOUBLE AS longest, round(minutes, 6) AS minutes
                           FROM expected JOIN counted USING (author, comments) WHERE comments >= 3)
SELECT (SELECT count(*) FROM (FROM silences EXCEPT ALL FROM expected)) AS too_many,
       (SELECT count(*) FROM (FROM expected EXCEPT ALL FROM silences)) AS missing,
       (SELECT count(*) FROM (FROM regulars EXCEPT ALL FROM expected_regulars)) AS regulars_too_many,
       (SELECT count(*) FROM (FROM expected_regulars EXCEPT ALL FROM regulars)) AS regulars_missing,
       (SELECT count(*) FROM silences) AS silences,
       (SELECT count(*) FROM regulars) AS regulars
";

/// The number of the example's rows, all of which are right.
fn checked(place: &Place, duckdb: &DuckDb, lake: &Path, reddit: &Path) -> (u64, u64) {
    let decoded = format!("decoded-{}", lake.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8"));
    let job = place.write("rows.sql", COMMENTS);
    let set = format!("reddit={}", reddit.display());
    place.run(&[&job.display().to_string(), "--lake", &decoded, "--set", &set]);
    let (decoded, lake) = (place.path(&decoded).display().to_string(), lake.display().to_string());
    let rows = duckdb.query(SAME, &[("decoded", &decoded), ("lake", &lake)]).expect("DuckDB reads both lakes");
    let figures: Vec<u64> = rows[0].iter().flatten().map(|figure| figure.parse().expect("a number")).collect();
    assert_eq!(figures[..4], [0; 4], "rows too many and missing in silences, then in regulars");
    (figures[4], figures[5])
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn the_sample_has_right_silences() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let (lake, reddit) = (place.path("lake"), repository("examples/data/reddit"));
    let printed = run_example(&lake, &reddit);
    assert!(printed.contains("operator silences (author, comments, longest_us, since): key (author)"), "{printed}");
    assert_eq!(checked(&place, &duckdb, &lake, &reddit), (25, 25));
}

/// A month, and then comments that are edited, deleted and late: the second run changes what the first one said.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn later_files_change_what_was_said() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let out = place.path("month").display().to_string();
    let ran = place.catchment(&["generate", "reddit", "--records", "1000", "--seed", "3", "--out", &out]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let (lake, reddit) = (place.path("lake"), place.path("month/reddit"));
    run_example(&lake, &reddit);
    let before = checked(&place, &duckdb, &lake, &reddit);
    std::fs::rename(place.path("month/changes/RC_2026-01_changes.zst"), reddit.join("RC_2026-01_changes.zst"))
        .expect("the generator wrote it");
    run_example(&lake, &reddit);
    let after = checked(&place, &duckdb, &lake, &reddit);
    assert!(before.0 > 100 && after != before, "{before:?} {after:?}");
}

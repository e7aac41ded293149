//! Lake tables as their users read them: with DuckDB.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]
#![allow(clippy::unwrap_used, reason = "this is a test's code")]

#[allow(dead_code, reason = "readers use a part of it")]
#[path = "../../sinks/tests/it/common/mod.rs"]
mod common;

use std::time::Duration;

use catchment_contract::{Environment, Sink, SinkContext, Staged};
use catchment_sinks::lake::LakeSink;
use catchment_store::LakeStore;
use catchment_tests::DuckDb;
use common::{Row, spec, updates, view};

fn row(number: i64) -> Row {
    Row {
        id: Some(format!("t1_{number:07}")),
        subreddit: ["rust", "news", "a b/c%=d"][number as usize % 3].into(),
        day: number % 4,
        score: (number % 5 != 0).then_some(number % 11),
        good: number % 2 == 0,
        body: format!("comment {number}"),
    }
}

fn rows(numbers: std::ops::Range<i64>, diff: i64) -> Vec<(Row, i64)> {
    numbers.map(|number| (row(number), diff)).collect()
}

fn checkpoint(sink: &mut LakeSink, n: u64) -> Staged {
    let staged = sink.stage(n, n).unwrap().unwrap();
    sink.publish(n, &staged).unwrap();
    staged
}

fn lake() -> (tempfile::TempDir, LakeStore) {
    let folder = tempfile::tempdir().unwrap();
    let lake = common::lake_at(folder.path());
    (folder, lake)
}

/// `id|subreddit|microseconds|score|good|body` of each row, as DuckDB reads them with `from`.
fn texts(duckdb: &DuckDb, from: &str, folder: &tempfile::TempDir) -> Vec<String> {
    let sql = format!(
        "SELECT id, subreddit, epoch_us(created_utc), score, good, body FROM {from} ORDER BY id, subreddit, body"
    );
    let path = folder.path().join("comments");
    let rows = duckdb.query(&sql, &[("t", path.to_str().unwrap())]).unwrap();
    let cells = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|");
    rows.into_iter().map(cells).collect()
}

fn expected(numbers: impl Iterator<Item = i64>) -> Vec<String> {
    let text = |row: Row| {
        let time = 1_767_225_600_000_000 + row.day * 86_400_000_000 + 1_234_567;
        let score = row.score.map(|score| score.to_string()).unwrap_or_default();
        let good = if row.good { "True" } else { "False" };
        format!("{}|{}|{time}|{score}|{good}|{}", row.id.unwrap(), row.subreddit, row.body)
    };
    let mut all: Vec<String> = numbers.map(|number| text(row(number))).collect();
    all.sort();
    all
}

const SCAN: &str = "delta_scan(getvariable('t'))";

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn duckdb_reads_a_current_table_with_deletion_vectors() {
    let duckdb = DuckDb::find();
    for partition in ["day(created_utc)", "subreddit"] {
        let (folder, lake) = lake();
        let spec = spec(&view(false), &[("partition_by", partition)]);
        let mut sink = spec.open_in(lake.clone(), &SinkContext::alone("job"), None).unwrap();
        sink.write(vec![updates(1, &rows(0..400, 1))], 1).unwrap();
        checkpoint(&mut sink, 1);
        sink.write(vec![updates(2, &rows(10..40, -1)), updates(2, &rows(400..420, 1))], 2).unwrap();
        checkpoint(&mut sink, 2);
        let log = String::from_utf8(lake.get("comments/_delta_log/00000000000000000002.json").unwrap().unwrap().into())
            .unwrap();
        assert!(log.contains("deletionVector") && log.contains(r#""txn":{"appId":"job/lake","version":2"#), "{log}");
        assert_eq!(texts(&duckdb, SCAN, &folder), expected((0..10).chain(40..420)), "{partition}");
        // A third of each file goes: what is left of them is written anew.
        sink.write(vec![updates(3, &rows(40..300, -1))], 3).unwrap();
        let last = checkpoint(&mut sink, 3);
        assert_eq!(texts(&duckdb, SCAN, &folder), expected((0..10).chain(300..420)), "{partition}");
        let mut sink = spec.open_in(lake.clone(), &SinkContext::alone("job"), Some((3, &last))).unwrap();
        sink.write(vec![updates(4, &rows(0..5, -1))], 4).unwrap();
        checkpoint(&mut sink, 4);
        assert_eq!(texts(&duckdb, SCAN, &folder), expected((5..10).chain(300..420)), "{partition}");
        let old = "delta_scan(getvariable('t'), version => 2)";
        assert_eq!(texts(&duckdb, old, &folder), expected((0..10).chain(40..420)), "version 2 of {partition}");
    }
}

/// Times that a view has computed: no calendar that Delta's log knows has them.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn duckdb_reads_times_before_the_year_1_and_after_9999() {
    let duckdb = DuckDb::find();
    for options in [[].as_slice(), &[("partition_by", "subreddit")], &[("partition_by", "day(created_utc)")]] {
        let (folder, lake) = lake();
        let spec = spec(&view(false), options);
        let mut sink = spec.open_in(lake.clone(), &SinkContext::alone("job"), None).unwrap();
        let strange = |number: i64, day: i64| (Row { day, ..row(number) }, 1);
        let rows = [strange(0, -1_200_000), strange(1, 0), strange(2, 3_000_000)];
        sink.write(vec![updates(1, &rows)], 1).unwrap();
        let last = checkpoint(&mut sink, 1);
        let mut sink = spec.open_in(lake, &SinkContext::alone("job"), Some((1, &last))).unwrap();
        sink.write(vec![updates(2, &[(rows[0].0.clone(), -1), (row(3), 1)])], 2).unwrap();
        checkpoint(&mut sink, 2);
        let sql = "SELECT id, epoch_us(created_utc) FROM delta_scan(getvariable('t')) ORDER BY id";
        let found = duckdb.query(sql, &[("t", folder.path().join("comments").to_str().unwrap())]).unwrap();
        let time = |day: i64| Some((1_767_225_600_000_000 + day * 86_400_000_000 + 1_234_567).to_string());
        let ids = [1, 2, 3].map(|number| Some(format!("t1_{number:07}")));
        let [one, two, three] = ids;
        assert_eq!(found, [vec![one, time(0)], vec![two, time(3_000_000)], vec![three, time(3)]], "{options:?}");
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn duckdb_prunes_by_partition_and_statistics() {
    let duckdb = DuckDb::find();
    let (folder, lake) = lake();
    let spec = spec(&view(false), &[("partition_by", "day(created_utc)")]);
    let mut sink = spec.open_in(lake, &SinkContext::alone("job"), None).unwrap();
    sink.write(vec![updates(1, &rows(0..400, 1))], 1).unwrap();
    checkpoint(&mut sink, 1);
    let path = folder.path().join("comments");
    let count = |filter: &str| {
        let sql = format!("SELECT count(*), min(day), max(day) FROM delta_scan(getvariable('t')) WHERE {filter}");
        duckdb.query(&sql, &[("t", path.to_str().unwrap())]).unwrap().remove(0)
    };
    let some = |texts: [&str; 3]| texts.map(|text| Some(text.to_owned())).to_vec();
    assert_eq!(count("day = DATE '2026-01-02'"), some(["100", "2026-01-02", "2026-01-02"]));
    assert_eq!(count("id = 't1_0000007'"), some(["1", "2026-01-04", "2026-01-04"]));
    assert_eq!(count("score > 9"), some(["28", "2026-01-01", "2026-01-04"]));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_plain_reader_of_an_append_table_lags_and_never_doubles() {
    let duckdb = DuckDb::find();
    let folder = tempfile::tempdir().unwrap();
    let (environment, clock) = Environment::simulated(1);
    let lake = common::lake_with(folder.path(), environment);
    let spec = spec(&view(true), &[("mode", "append")]);
    let mut sink = spec.open_in(lake.clone(), &SinkContext::alone("job"), None).unwrap();
    for n in 1..=20 {
        sink.write(vec![updates(n, &rows(n as i64 * 10..n as i64 * 10 + 10, 1))], n).unwrap();
        checkpoint(&mut sink, n);
    }
    assert_eq!(texts(&duckdb, SCAN, &folder), expected(10..210));
    let files = lake.list("comments/data").unwrap().len();
    assert_eq!(files, 0, "nothing waited an hour");
    // The same, an hour later.
    clock.advance(Duration::from_secs(3_700));
    sink.write(vec![updates(21, &rows(210..220, 1))], 21).unwrap();
    checkpoint(&mut sink, 21);
    let plain = "read_parquet(getvariable('t') || '/data/**/*.parquet')";
    assert_eq!(texts(&duckdb, plain, &folder), expected(10..220));
    assert_eq!(texts(&duckdb, SCAN, &folder), expected(10..220));
    sink.write(vec![updates(22, &rows(220..230, 1))], 22).unwrap();
    checkpoint(&mut sink, 22);
    let lagging = texts(&duckdb, plain, &folder);
    assert!(lagging == expected(10..220) || lagging == expected(10..230), "{} rows", lagging.len());
    assert_eq!(texts(&duckdb, SCAN, &folder), expected(10..230));
}

/// A table's folders are named after its partitions as far as names can be; readers go by the log.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn duckdb_reads_partitions_of_any_text() {
    let duckdb = DuckDb::find();
    let (folder, lake) = lake();
    let spec = spec(&view(false), &[("partition_by", "subreddit")]);
    let long = ["x".repeat(260), "日本".repeat(400), "/%".repeat(300)];
    let odd = [
        ".",
        "..",
        " ",
        "a\\b",
        "%41",
        "~",
        "\n",
        "\u{7f}",
        "\u{85}",
        "🦀",
        "__HIVE_DEFAULT_PARTITION__",
        "*?\"'#{}[]^",
    ];
    let values: Vec<&str> = odd.into_iter().chain(long.iter().map(String::as_str)).collect();
    let mut sink = spec.open_in(lake, &SinkContext::alone("job"), None).unwrap();
    let changes: Vec<(Row, i64)> =
        (0..).zip(&values).map(|(n, value)| (Row { subreddit: (*value).into(), ..row(n) }, 1)).collect();
    sink.write(vec![updates(1, &changes)], 1).unwrap();
    checkpoint(&mut sink, 1);
    let sql = format!("SELECT subreddit FROM {SCAN} ORDER BY id");
    let path = folder.path().join("comments");
    let found = duckdb.query(&sql, &[("t", path.to_str().unwrap())]).unwrap();
    let found: Vec<String> = found.into_iter().map(|row| row[0].clone().unwrap()).collect();
    assert_eq!(found, values);
}

/// Each mode, read after each commit of several lives with compaction, checkpoints of the log, its cleaning and vacuum.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn duckdb_reads_every_mode_after_each_commit() {
    let duckdb = DuckDb::find();
    for mode in ["current", "append", "changes"] {
        let folder = tempfile::tempdir().unwrap();
        let (environment, clock) = Environment::simulated(1);
        let lake = common::lake_with(folder.path(), environment);
        let spec = spec(&view(mode == "append"), &[("mode", mode), ("retention", "1 minute")]);
        let mut last = None;
        let mut n = 0;
        for life in 0..3 {
            let opened = last.as_ref().map(|staged| (n, staged));
            let sink = spec.open_in(lake.clone(), &SinkContext::alone("job"), opened).unwrap();
            let mut sink = sink.with_log_checkpoint_versions(4);
            for step in 0..6 {
                n += 1;
                let first = n as i64 * 3;
                let mut changes = rows(first..first + 3, 1);
                if mode != "append" && n > 2 {
                    changes.extend(rows(first - 6..first - 5, -1));
                }
                sink.write(vec![updates(n, &changes)], n).unwrap();
                last = Some(checkpoint(&mut sink, n));
                clock.advance(Duration::from_secs(30));
                if step % 2 == 1 {
                    let live = (3..first + 3).filter(|number| {
                        mode == "append" || n < 3 || number % 3 != 0 || *number > first - 6 || *number < 3
                    });
                    let counted = "(SELECT id, subreddit, created_utc, score, good, body FROM delta_scan(getvariable('t')) \
                                   GROUP BY ALL HAVING sum(_diff) > 0)";
                    let from = if mode == "changes" { counted } else { SCAN };
                    assert_eq!(texts(&duckdb, from, &folder), expected(live), "{mode}, life {life}, checkpoint {n}");
                }
            }
        }
    }
}

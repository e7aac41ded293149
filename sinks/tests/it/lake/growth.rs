//! A table that is written to for ever does not grow for ever: files, log and what an open has to read level off.

use std::collections::BTreeMap;
use std::time::Duration;

use catchment_contract::{Environment, SimulatedClock, Sink, SinkContext, Staged};
use catchment_sinks::lake::LakeSink;
use catchment_store::LakeStore;

use crate::common::{Row, batch, lake_with, names, read, read_version, spec, texts, updates, view};

fn row(number: u64) -> Row {
    Row {
        id: Some(format!("t1_{number:07}")),
        subreddit: "rust".into(),
        day: 0,
        score: Some(number as i64),
        good: number.is_multiple_of(2),
        body: format!("comment {number} ") + &"word ".repeat(20),
    }
}

/// Rows that the table holds at a time.
pub const ROWS: u64 = 60;
/// Versions from one checkpoint of the log to the next.
pub const LOG_CHECKPOINT_VERSIONS: u64 = 10;

/// Adds three rows and takes the three oldest back, as a window over a stream does.
pub fn step(sink: &mut LakeSink, n: u64) -> Option<Staged> {
    let mut changes: Vec<(Row, i64)> = (n * 3..n * 3 + 3).map(|number| (row(number), 1)).collect();
    changes.extend((n * 3..n * 3 + 3).filter(|number| *number >= ROWS).map(|number| (row(number - ROWS), -1)));
    sink.write(vec![updates(n, &changes)], n).unwrap();
    let staged = sink.stage(n, n).unwrap();
    sink.publish(n, staged.as_ref().unwrap()).unwrap();
    staged
}

/// Objects by the folder they lie in, and bytes of the log.
fn measure(lake: &LakeStore) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for object in lake.list("comments").unwrap() {
        let folder = object.path.split('/').nth(1).unwrap().to_owned();
        if folder == "_delta_log" {
            *found.entry("bytes of the log".to_owned()).or_default() += object.bytes;
        }
        *found.entry(folder).or_default() += 1;
    }
    found
}

/// The most of each over the measures that `of` picks.
fn most<'a>(measures: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut most: BTreeMap<String, u64> = BTreeMap::new();
    for measure in measures {
        for (what, count) in measure {
            let so_far = most.entry(what.clone()).or_default();
            *so_far = (*so_far).max(*count);
        }
    }
    most
}

/// A life of `steps` checkpoints ten seconds apart, which begins anew after each `life` of them.
fn grow(steps: u64, life: u64) -> (LakeStore, SharedClock, Vec<BTreeMap<String, u64>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (environment, clock) = Environment::simulated(1);
    let lake = lake_with(folder.path(), environment);
    let spec = spec(&view(false), &[("retention", "3 minutes")]);
    let open = |last: Option<(u64, &Staged)>| {
        let sink = spec.open_in(lake.clone(), &SinkContext::alone("job"), last).unwrap();
        sink.with_log_checkpoint_versions(LOG_CHECKPOINT_VERSIONS)
    };
    let (mut sink, mut last, mut measures) = (open(None), None, Vec::new());
    for n in 0..steps {
        if n > 0 && n % life == 0 {
            drop(sink);
            sink = open(last.as_ref().map(|staged| (n - 1, staged)));
        }
        last = step(&mut sink, n).or(last);
        clock.advance(Duration::from_secs(10));
        measures.push(measure(&lake));
    }
    (lake, clock, measures, folder)
}

type SharedClock = std::sync::Arc<SimulatedClock>;

fn levels_off(steps: u64, life: u64) {
    let (lake, _, measures, _folder) = grow(steps, life);
    let third = measures.len() / 3;
    let (early, late) = (most(measures[third..2 * third].iter()), most(measures[2 * third..].iter()));
    println!("{steps} checkpoints in lives of {life}: {early:?}, then {late:?}");
    assert_eq!(early.keys().collect::<Vec<_>>(), late.keys().collect::<Vec<_>>());
    for (what, count) in &late {
        assert!(*count * 10 <= early[what] * 12, "{what} went from {} to {count}", early[what]);
    }
    let rows: Vec<Row> = (steps * 3 - ROWS..steps * 3).map(row).collect();
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(texts(&read(&lake, "comments"), &names), texts(&[batch(&rows)], &names));
}

#[test]
fn a_long_life_levels_off() {
    levels_off(180, u64::MAX);
}

/// As a job does that is started every minute.
#[test]
fn many_short_lives_level_off() {
    levels_off(180, 6);
}

/// Version of the newest entry of the log.
pub fn newest_version(lake: &LakeStore) -> u64 {
    let log = lake.list("comments/_delta_log").unwrap();
    let newest = log.iter().rfind(|object| object.path.ends_with(".json")).unwrap();
    newest.path.rsplit('/').next().unwrap().trim_end_matches(".json").parse().unwrap()
}

/// Reads each of the last `versions`.
pub fn read_back(lake: &LakeStore, versions: u64) {
    let newest = newest_version(lake);
    for version in newest + 1 - versions..=newest {
        let rows: usize = read_version(lake, "comments", version).iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(rows as u64, ROWS, "version {version} of {newest}");
    }
}

/// Who has begun to read a version can read its files for the table's retention.
#[test]
fn versions_can_be_read_for_the_retention() {
    let (lake, _, _, _folder) = grow(60, u64::MAX);
    // Three minutes are eighteen checkpoints ago, and at least as many versions.
    read_back(&lake, 16);
}

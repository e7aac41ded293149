//! What a start of an old table asks of its store, and what it removes: no more than what came since the log's checkpoint, and
//! nothing but what no version of the retention needs.

use std::sync::Arc;
use std::time::Duration;

use catchment_contract::{Environment, SimulatedClock, SinkContext, Staged};
use catchment_sinks::lake::{LakeSink, LakeSpec};
use catchment_store::LakeStore;

use super::growth::{LOG_CHECKPOINT_VERSIONS, newest_version, read_back, step};
use crate::common::counted::{Counted, Counts};
use crate::common::{lake_with, spec, view};

const RECORD: &str = "comments/_delta_log/_removed";

/// A table with a past.
struct Aged {
    lake: LakeStore,
    clock: Arc<SimulatedClock>,
    spec: LakeSpec,
    last: (u64, Staged),
    _folder: tempfile::TempDir,
}

impl Aged {
    /// After `steps` checkpoints ten seconds apart in one run.
    fn new(retention: &str, steps: u64) -> Aged {
        Aged::with_options(&[("retention", retention)], LOG_CHECKPOINT_VERSIONS, steps)
    }

    fn with_options(options: &[(&str, &str)], log_checkpoint_versions: u64, steps: u64) -> Aged {
        let folder = tempfile::tempdir().unwrap();
        let (environment, clock) = Environment::simulated(1);
        let lake = lake_with(folder.path(), environment);
        let spec = spec(&view(false), options);
        let sink = spec.open_in(lake.clone(), &SinkContext::alone("job"), None).unwrap();
        let mut sink = sink.with_log_checkpoint_versions(log_checkpoint_versions);
        let mut aged = Aged { lake, clock, spec, last: (0, Staged(serde_json::Value::Null)), _folder: folder };
        aged.go_on(&mut sink, 0..steps);
        aged
    }

    fn go_on(&mut self, sink: &mut LakeSink, steps: std::ops::Range<u64>) {
        for n in steps {
            self.last = (n, step(sink, n).unwrap());
            self.clock.advance(Duration::from_secs(10));
        }
    }

    fn open(&self) -> LakeSink {
        self.open_in(self.lake.clone())
    }

    fn open_in(&self, lake: LakeStore) -> LakeSink {
        let sink = self.spec.open_in(lake, &SinkContext::alone("job"), Some((self.last.0, &self.last.1))).unwrap();
        sink.with_log_checkpoint_versions(LOG_CHECKPOINT_VERSIONS)
    }

    /// What a start asks of the store.
    fn cost(&self) -> Counts {
        let mut counted = None;
        let lake = self.lake.clone().map_store(|store| Arc::new(counted.insert(Counted::new(store)).clone()) as _);
        drop(self.open_in(lake));
        counted.unwrap().take()
    }

    /// Files in the folders of the table, without its log.
    fn files(&self) -> Vec<String> {
        let all = self.lake.list("comments").unwrap().into_iter().map(|object| object.path);
        all.filter(|path| !path.contains("_delta_log")).collect()
    }
}

#[test]
fn a_start_reads_no_more_of_an_old_log_than_of_a_young_one() {
    let (young, old) = (Aged::new("1 day", 40), Aged::new("1 day", 130));
    let (files, versions) = (old.files().len(), newest_version(&old.lake) as usize);
    let costs = [young.cost(), old.cost()];
    println!("{costs:?}, the old table has {files} files and {versions} versions");
    let [young, cost] = costs;
    assert_eq!(cost.lists, young.lists);
    // Each data file and deletion vector is listed once, of the log what came since its checkpoint.
    assert!(cost.listed <= files + 3 * LOG_CHECKPOINT_VERSIONS as usize, "{} are listed", cost.listed);
    assert!(cost.reads <= young.reads + 5 * LOG_CHECKPOINT_VERSIONS as usize, "{} are read", cost.reads);
    assert!(cost.reads < versions / 2, "{} are read", cost.reads);
    // The canary: without the record all entries are read.
    old.lake.delete(RECORD).unwrap();
    assert!(old.cost().reads > versions);
}

#[test]
fn a_table_that_is_only_started_keeps_a_short_log() {
    let aged = Aged::new("3 minutes", 1);
    (0..105).for_each(|_| drop(aged.open()));
    let first = aged.cost();
    let log = aged.lake.list("comments/_delta_log").unwrap();
    assert!(log.iter().any(|object| object.path.ends_with(".checkpoint.parquet")), "{log:?}");
    assert!(first.reads < 60, "{} are read", first.reads);
}

/// A start leaves exactly what versions of the retention need, whatever the record of removed files says.
#[test]
fn a_start_removes_what_is_left_over_and_nothing_else() {
    let mut aged = Aged::new("3 minutes", 40);
    let early = aged.lake.get(RECORD).unwrap().unwrap();
    let mut sink = aged.open();
    aged.go_on(&mut sink, 40..45);
    let between = aged.lake.get(RECORD).unwrap().unwrap();
    let mut sink = aged.open();
    aged.go_on(&mut sink, 45..72);
    let good = aged.lake.get(RECORD).unwrap().unwrap();
    let text = String::from_utf8(good.to_vec()).unwrap();
    assert!(early != between && between != good, "there is a record of each time");
    let run = text.split("\"run\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let other_run = text.replace(&run, &"0".repeat(32));
    let later = serde_json::from_str::<serde_json::Value>(&text).map(|mut record| {
        record["version"] = (newest_version(&aged.lake) + 1000).into();
        record.to_string()
    });
    let records: [(&str, Option<Vec<u8>>); 7] = [
        ("its own", Some(good.to_vec())),
        ("of an older run, whose entry is gone", Some(early.to_vec())),
        ("of an older run", Some(between.to_vec())),
        ("of another run", Some(other_run.into_bytes())),
        ("of a version to come", Some(later.unwrap().into_bytes())),
        ("half", Some(good[..good.len() / 2].to_vec())),
        ("none", None),
    ];
    let mut expected = None;
    for (what, record) in records {
        match record {
            Some(bytes) => aged.lake.put(RECORD, bytes).unwrap(),
            None => aged.lake.delete(RECORD).unwrap(),
        }
        let left_over = ["comments/hot/left-by-a-crash.parquet", "comments/dv/deletion_vector_left-by-a-crash.bin"];
        left_over.iter().for_each(|path| aged.lake.put(path, "x").unwrap());
        drop(aged.open());
        let files = aged.files();
        assert!(left_over.iter().all(|path| !files.iter().any(|file| file == path)), "record {what}: {files:?}");
        assert_eq!(*expected.get_or_insert_with(|| files.clone()), files, "record {what}");
        read_back(&aged.lake, 14);
    }
}

/// A start does not wait until all that a long run removed is deleted; what is left over goes at once all the same.
#[test]
fn a_start_deletes_a_part_of_what_was_removed_long_ago() {
    let aged = Aged::with_options(&[("retention", "3 minutes"), ("partition_by", "good")], u64::MAX, 90);
    aged.clock.advance(Duration::from_secs(3600));
    let left_over = "comments/hot/left-by-a-crash.parquet";
    aged.lake.put(left_over, "x").unwrap();
    let mut counts = vec![aged.files().len()];
    for _ in 0..6 {
        drop(aged.open());
        assert!(!aged.files().iter().any(|path| path == left_over));
        counts.push(aged.files().len());
    }
    println!("{counts:?}");
    assert_eq!(counts[1], counts[0] - 1 - 128, "the first deletes a part");
    assert!(counts[2] < counts[1] && counts[5] == counts[6], "those after it the rest: {counts:?}");
    assert!(counts[6] < 30, "{counts:?}");
    read_back(&aged.lake, 1);
}

/// A start took the time when a file was written for that when it was removed, so that readers lost it too early.
#[test]
fn what_was_removed_before_a_start_can_be_read_for_the_retention() {
    let mut aged = Aged::new("3 minutes", 40);
    let mut sink = aged.open();
    for n in 40..52 {
        aged.go_on(&mut sink, n..n + 1);
        // Eighteen steps, of which each is a version and some are two.
        read_back(&aged.lake, 18);
    }
}

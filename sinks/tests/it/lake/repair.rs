//! A damaged table is read again after a repair, as far as it can be, and the job writes it anew where it lost something.

use std::fs;
use std::path::PathBuf;

use catchment_contract::{Result, Sink, SinkContext, Staged};
use catchment_sinks::lake::LakeSpec;
use catchment_sinks::lake::repair::{Finding, examine, mend};
use catchment_store::LakeStore;

use crate::common::{Row, batch, lake_at, names, read, spec, texts, updates, view};

fn row(number: u64) -> Row {
    Row {
        id: Some(format!("t1_{number:05}")),
        subreddit: "rust".into(),
        day: 0,
        score: Some(number as i64),
        good: number.is_multiple_of(2),
        body: format!("comment {number}"),
    }
}

struct Job {
    folder: tempfile::TempDir,
    lake: LakeStore,
    spec: LakeSpec,
    last: Option<(u64, Staged)>,
    /// Rows that the table held after each checkpoint.
    history: Vec<Vec<u64>>,
}

impl Job {
    fn new() -> Job {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake_at(folder.path());
        Job { lake, folder, spec: spec(&view(false), &[]), last: None, history: vec![Vec::new()] }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("comments/_delta_log")
    }

    fn entries(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.log()).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        all.sort();
        all
    }

    fn run(&mut self, checkpoints: u64) -> Result<()> {
        let last = self.last.clone();
        let sink = self.spec.open_in(
            self.lake.clone(),
            &SinkContext::alone("job"),
            last.as_ref().map(|(n, staged)| (*n, staged)),
        )?;
        let mut sink = sink.with_log_checkpoint_versions(6);
        for _ in 0..checkpoints {
            let n = self.history.len() as u64;
            let mut changes: Vec<(Row, i64)> = (n * 10..n * 10 + 4).map(|number| (row(number), 1)).collect();
            let mut rows = self.history.last().unwrap().clone();
            rows.extend(n * 10..n * 10 + 4);
            if rows.contains(&(n * 10 - 10)) {
                changes.push((row(n * 10 - 10), -1));
                rows.retain(|number| *number != n * 10 - 10);
            }
            sink.write(vec![updates(n, &changes)], n)?;
            let staged = sink.stage(n, n)?.unwrap();
            sink.publish(n, &staged)?;
            self.last = Some((n, staged));
            self.history.push(rows);
        }
        Ok(())
    }

    fn found(&self) -> Vec<String> {
        let names = names();
        texts(&read(&self.lake, "comments"), &names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn expected(rows: &[u64]) -> Vec<String> {
        let names = names();
        let rows: Vec<Row> = rows.iter().map(|number| row(*number)).collect();
        texts(&[batch(&rows)], &names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn examine(&self) -> Finding {
        examine(&self.lake, "comments", self.last.as_ref().map(|(_, staged)| staged)).unwrap()
    }

    /// Repairs, and checks that a second look finds nothing that could not be read.
    fn repair(&self) -> Finding {
        let finding = self.examine();
        mend(&self.lake, &finding).unwrap();
        assert!(!self.examine().is_damaged(), "{}", self.examine());
        finding
    }

    /// Repairs a table of which no version can be read.
    fn repair_of_nothing(&self) -> Finding {
        let finding = self.examine();
        mend(&self.lake, &finding).unwrap();
        finding
    }

    /// The job writes the table anew, as it does when its checkpoint does not know it any more.
    fn write_anew(&mut self) {
        let rows = self.history.last().unwrap().clone();
        let spec = self.spec.open_in(self.lake.clone(), &SinkContext::alone("job"), None);
        let mut sink = spec.unwrap();
        let changes: Vec<(Row, i64)> = rows.iter().map(|number| (row(*number), 1)).collect();
        let n = self.history.len() as u64;
        sink.write(vec![updates(n, &changes)], n).unwrap();
        let staged = sink.stage(n, n).unwrap().unwrap();
        sink.publish(n, &staged).unwrap();
        drop(sink);
        self.last = Some((n, staged));
        self.history.push(rows);
        self.run(2).unwrap();
        assert_eq!(self.found(), Job::expected(self.history.last().unwrap()));
    }
}

#[test]
fn a_table_that_can_be_read_is_left_alone() {
    let mut job = Job::new();
    job.run(15).unwrap();
    let finding = job.repair();
    assert!(!finding.is_damaged() && !finding.is_behind(), "{finding}");
    assert!(finding.to_string().starts_with("table \"comments\" can be read: version "), "{finding}");
    assert!(!job.folder.path().join("comments/_lost").exists());
    job.run(1).unwrap();
}

#[test]
fn an_entry_that_is_emptied_flipped_or_gone() {
    for (what, back) in [("emptied", 1), ("flipped", 0), ("gone", 1), ("emptied", 2), ("cut", 1)] {
        let mut job = Job::new();
        job.run(15).unwrap();
        let entries = job.entries();
        let entry = &entries[entries.len() - 1 - back];
        let bytes = fs::read(entry).unwrap();
        match what {
            "emptied" => fs::write(entry, "").unwrap(),
            "cut" => fs::write(entry, &bytes[..bytes.len() / 2]).unwrap(),
            "flipped" => {
                let text = String::from_utf8(bytes).unwrap().replacen("\"numRecords\\\":", "\"numRecords\\\":1", 1);
                fs::write(entry, text).unwrap();
            }
            _ => fs::remove_file(entry).unwrap(),
        }
        assert!(job.run(1).is_err(), "{what}");
        let finding = job.repair();
        assert!(finding.is_damaged() && finding.good.is_some(), "{what}: {finding}");
        let checkpoint = finding.good.as_ref().unwrap().checkpoint.unwrap();
        assert!(checkpoint >= 12, "{what}: {finding}");
        assert_eq!(job.found(), Job::expected(&job.history[checkpoint as usize]), "{what}");
        assert!(job.folder.path().join("comments/_lost").exists());
        if finding.is_behind() {
            assert!(job.run(1).is_err(), "{what}: the job says that commits are missing");
            job.write_anew();
        } else {
            job.run(1).unwrap();
            assert_eq!(job.found(), Job::expected(job.history.last().unwrap()));
        }
    }
}

#[test]
fn a_checkpoint_of_the_log_that_is_damaged() {
    let mut job = Job::new();
    job.run(15).unwrap();
    let checkpoints = fs::read_dir(job.log()).unwrap().map(|entry| entry.unwrap().path());
    let newest = checkpoints.filter(|path| path.to_string_lossy().ends_with(".checkpoint.parquet")).max().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 3]).unwrap();
    assert!(job.run(1).is_err());
    // All entries are there: nothing is lost.
    let finding = job.repair();
    assert!(!finding.is_behind(), "{finding}");
    assert_eq!(job.found(), Job::expected(job.history.last().unwrap()));
    job.run(3).unwrap();
    assert_eq!(job.found(), Job::expected(job.history.last().unwrap()));
}

#[test]
fn data_files_and_deletion_vectors_that_are_gone() {
    for folder in ["hot", "dv"] {
        let mut job = Job::new();
        job.run(13).unwrap();
        let all = job.found().len();
        fs::remove_dir_all(job.folder.path().join("comments").join(folder)).unwrap();
        assert!(job.run(1).is_err(), "{folder}");
        let finding = job.repair();
        assert!(finding.is_behind() && !finding.missing.is_empty(), "{folder}: {finding}");
        let lost: u64 = finding.missing.iter().map(|entry| entry.rows).sum();
        assert!(lost > 0 && finding.to_string().contains("is gone, with"), "{finding}");
        assert!(job.found().len() < all, "{folder}");
        job.write_anew();
    }
}

#[test]
fn a_log_that_is_gone() {
    let mut job = Job::new();
    job.run(13).unwrap();
    fs::remove_dir_all(job.log()).unwrap();
    assert!(job.run(1).is_err());
    let finding = job.repair_of_nothing();
    assert!(finding.is_behind() && finding.good.is_none() && !finding.unnamed.is_empty(), "{finding}");
    job.write_anew();
}

#[test]
fn a_log_of_which_nothing_can_be_read() {
    let mut job = Job::new();
    job.run(15).unwrap();
    for entry in fs::read_dir(job.log()).unwrap() {
        fs::write(entry.unwrap().path(), "no log").unwrap();
    }
    assert!(job.run(1).is_err());
    let finding = job.repair_of_nothing();
    assert!(finding.is_behind() && finding.good.is_none() && finding.newest.is_some(), "{finding}");
    job.write_anew();
}

//! A table that lost something, whatever it is, is read right or refused by name, never added to in silence.

use std::fs;
use std::path::{Path, PathBuf};

use catchment_contract::{Fault, Result, Sink, SinkContext, Staged};
use catchment_sinks::lake::{LakeSink, LakeSpec};
use catchment_store::LakeStore;

use crate::common::{Row, batch, lake_at, names, read, spec, texts, updates, view};

fn row(number: i64) -> Row {
    Row {
        id: Some(format!("t1_{number:05}")),
        subreddit: "rust".into(),
        day: number % 2,
        score: Some(number),
        good: number % 3 == 0,
        body: format!("comment {number}"),
    }
}

/// A job with one table, and what its last checkpoint holds.
struct Job {
    _folder: tempfile::TempDir,
    root: PathBuf,
    lake: LakeStore,
    spec: LakeSpec,
    number: u64,
    staged: Option<Staged>,
    rows: Vec<i64>,
}

impl Job {
    fn new() -> Job {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lake");
        let lake = lake_at(&root);
        let spec = spec(&view(false), &[("partition_by", "good")]);
        Job { _folder: folder, root, lake, spec, number: 0, staged: None, rows: Vec::new() }
    }

    fn table(&self) -> PathBuf {
        self.root.join("comments")
    }

    fn log(&self) -> PathBuf {
        self.table().join("_delta_log")
    }

    fn open(&self) -> Result<LakeSink> {
        let last = self.staged.as_ref().map(|staged| (self.number, staged));
        let sink = self.spec.open_in(self.lake.clone(), &SinkContext::alone("job"), last)?;
        Ok(sink.with_log_checkpoint_versions(7))
    }

    /// Opens, takes `checkpoints` checkpoints and ends.
    fn run(&mut self, checkpoints: i64) -> Result<()> {
        let mut sink = self.open()?;
        for _ in 0..checkpoints {
            self.stage_and(&mut sink, true)?;
        }
        Ok(())
    }

    fn stage_and(&mut self, sink: &mut LakeSink, publish: bool) -> Result<()> {
        self.number += 1;
        let first = self.number as i64 * 10;
        let mut changes: Vec<(Row, i64)> = (first..first + 6).map(|number| (row(number), 1)).collect();
        changes.extend((self.number > 1).then(|| (row(first - 10), -1)));
        self.rows.retain(|number| *number != first - 10);
        self.rows.extend(first..first + 6);
        sink.write(vec![updates(self.number, &changes)], self.number)?;
        self.staged = sink.stage(self.number, self.number)?;
        if publish { sink.publish(self.number, self.staged.as_ref().unwrap()) } else { Ok(()) }
    }

    fn is_right(&self) -> bool {
        let names = names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows: Vec<Row> = self.rows.iter().map(|number| row(*number)).collect();
        texts(&read(&self.lake, "comments"), &names) == texts(&[batch(&rows)], &names)
    }

    /// The error of the next open, which must be one that names the table and the way out, and changes nothing.
    fn refusal(&self) -> String {
        let before = files(&self.table());
        let error = self.open().map(|_| ()).unwrap_err();
        assert_eq!(error.fault(), Fault::Data, "{error:?}");
        assert_eq!(files(&self.table()), before, "nothing was written");
        let text = error.chain();
        assert!(text.contains("table \"comments\"") && text.contains("catchment lake repair"), "{text}");
        assert!(!text.contains("kernel") && !text.contains("bug"), "{text}");
        text
    }
}

/// All files below `folder` with their bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
    }
    found.sort();
    found
}

fn put_back(folder: &Path, all: &[(PathBuf, Vec<u8>)]) {
    let _ = fs::remove_dir_all(folder);
    for (path, bytes) in all {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The entries of the log, oldest first.
fn entries(job: &Job) -> Vec<PathBuf> {
    let all = files(&job.log()).into_iter().map(|(path, _)| path);
    all.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}

#[test]
fn a_folder_that_is_gone_or_older() {
    let mut job = Job::new();
    job.run(3).unwrap();
    let older = files(&job.table());
    job.run(2).unwrap();
    let now = files(&job.table());

    fs::remove_dir_all(job.table()).unwrap();
    let text = job.refusal();
    assert!(text.starts_with("table \"comments\" is gone: the job's checkpoint 5 left 26 rows in "), "{text}");

    put_back(&job.table(), &older);
    let text = job.refusal();
    assert!(
        text.contains("commits are missing; there is checkpoint 3 at version 3 with 16 rows")
            && text.contains("and the job's checkpoint 5 left 26 rows in "),
        "{text}"
    );

    // Another table at the same place, with as many commits.
    put_back(&job.table(), &[]);
    let other = Job { staged: None, number: 0, rows: Vec::new(), ..Job::new() };
    let (mut other, own) = (other, (job.number, job.staged.clone()));
    other.run(3).unwrap();
    other.run(2).unwrap();
    let moved: Vec<_> = files(&other.table())
        .into_iter()
        .map(|(path, bytes)| (job.root.join(path.strip_prefix(&other.root).unwrap()), bytes))
        .collect();
    put_back(&job.table(), &moved);
    assert_eq!((job.number, job.staged.clone()), own);
    let text = job.refusal();
    assert!(text.contains("another table lies there"), "{text}");

    put_back(&job.table(), &now);
    job.run(2).unwrap();
    assert!(job.is_right());
}

#[test]
fn the_newest_entries_of_the_log_are_lost() {
    for lost in 1..6 {
        let mut job = Job::new();
        job.run(6).unwrap();
        let now = files(&job.table());
        for entry in entries(&job).iter().rev().take(lost) {
            fs::remove_file(entry).unwrap();
        }
        match job.open() {
            // What the last checkpoint staged is published again.
            Ok(_) => assert!(lost == 1 && job.is_right(), "{lost} lost"),
            Err(_) => drop(job.refusal()),
        }
        put_back(&job.table(), &now);
        job.run(1).unwrap();
        assert!(job.is_right());
    }
}

/// Each file of the table in turn is removed, emptied, cut, flipped in a byte, or put back from before the last life.
#[test]
fn a_file_of_the_table_is_not_what_it_was() {
    let mut job = Job::new();
    job.run(9).unwrap();
    let older = files(&job.table());
    job.run(3).unwrap();
    let now = files(&job.table());
    let (mut right, mut refused) = (0, 0);
    for (path, bytes) in &now {
        let is_log = path.starts_with(job.log());
        let mut damages: Vec<(String, Option<Vec<u8>>)> =
            vec![("removed".into(), None), ("emptied".into(), Some(Vec::new()))];
        damages.push(("cut".into(), Some(bytes[..bytes.len() / 2].to_vec())));
        if let Some((_, old)) = older.iter().find(|(old, before)| old == path && before != bytes) {
            damages.push(("put back".into(), Some(old.clone())));
        }
        // Bytes of data files are their readers' to judge; those of deletion vectors carry a checksum.
        let flips = if is_log || path.to_string_lossy().contains("/dv/") { 7 } else { 0 };
        for flip in 0..flips.min(bytes.len()) {
            let at = flip * bytes.len() / flips;
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (flip % 8);
            damages.push((format!("flipped at {at}"), Some(flipped)));
        }
        for (what, damage) in damages {
            match damage {
                None => fs::remove_file(path).unwrap(),
                Some(bytes) => fs::write(path, bytes).unwrap(),
            }
            let what = format!("{} {what}", path.strip_prefix(job.table()).unwrap().display());
            match job.open() {
                Ok(sink) => {
                    assert_eq!(sink.figures().rows, job.rows.len() as u64, "{what}");
                    drop(sink);
                    assert!(job.is_right(), "{what}");
                    right += 1;
                }
                Err(error) => {
                    assert!(error.fault() != Fault::Bug, "{what}: {error:?}");
                    let text = error.chain();
                    assert!(text.contains("table \"comments\"") && !text.contains("kernel"), "{what}: {text}");
                    refused += 1;
                }
            }
            put_back(&job.table(), &now);
        }
    }
    println!("{right} opens were right, {refused} refused");
    assert!(right > 20 && refused > 50, "{right} right, {refused} refused");
    job.run(1).unwrap();
    assert!(job.is_right());
}

/// A commit that is staged and not published is no loss.
#[test]
fn a_staged_commit_is_published_by_the_next_open() {
    let mut job = Job::new();
    job.run(2).unwrap();
    let mut sink = job.open().unwrap();
    job.stage_and(&mut sink, false).unwrap();
    drop(sink);
    let (staged, now) = (job.staged.clone(), files(&job.table()));
    job.run(2).unwrap();
    assert!(job.is_right());
    // Without one of its files it cannot be.
    put_back(&job.table(), &now);
    (job.staged, job.number) = (staged, 3);
    let newest = files(&job.table().join("hot")).into_iter().find(|(path, _)| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        job.staged.as_ref().unwrap().0["adds"].to_string().contains(&name)
    });
    fs::remove_file(newest.unwrap().0).unwrap();
    let text = job.refusal();
    assert!(text.contains("is gone, with"), "{text}");
}

//! A run that stood still and goes on after a newer one took over harms nothing.
//!
//! Run A is stopped before each put and delete of its life in turn (its open, data files, deletion vectors, commits,
//! compaction, checkpoints of the log, cleaning, vacuum). Run B takes over, writes, compacts and ends. Then A goes on. It
//! must end with an error that says that it was taken over, or not have noticed; the table must be readable all along,
//! hold exactly what B committed, and the runs after must find it so.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catchment_contract::{Environment, Error, ErrorKind, Lease, Result, SimulatedClock, Sink, SinkContext, Staged};
use catchment_sinks::lake::LakeSink;
use catchment_store::LakeStore;

use crate::common::paused::{Gate, Paused};
use crate::common::{Row, batch, lake_with, names, read, spec, texts, updates, view};
use catchment_store::testing::S3Server;

/// What the job's checkpoints hold: the newest manifest, and the run that may put the next.
#[derive(Debug, Default)]
struct Checkpoints {
    run: u64,
    number: u64,
    staged: Option<Staged>,
    rows: BTreeSet<i64>,
}

/// One run's view of them.
#[derive(Clone, Debug)]
struct Run {
    number: u64,
    checkpoints: Arc<Mutex<Checkpoints>>,
}

impl Lease for Run {
    fn is_held(&self) -> Result<bool> {
        Ok(self.checkpoints.lock().unwrap().run == self.number)
    }
}

impl Run {
    fn start(checkpoints: &Arc<Mutex<Checkpoints>>) -> Run {
        let mut all = checkpoints.lock().unwrap();
        all.run += 1;
        Run { number: all.run, checkpoints: Arc::clone(checkpoints) }
    }

    /// Puts the next manifest, as the engine does: if absent.
    fn commit(&self, number: u64, staged: Option<Staged>, rows: &BTreeSet<i64>) -> Result<()> {
        let mut all = self.checkpoints.lock().unwrap();
        if all.run != self.number {
            return Err(Error::user("another run has taken over").with_kind(ErrorKind::Taken));
        }
        all.number = number;
        all.staged = staged.or(all.staged.take());
        all.rows = rows.clone();
        Ok(())
    }
}

fn row(number: i64) -> Row {
    Row {
        id: Some(format!("t1_{number:05}")),
        subreddit: if number % 2 == 0 { "rust".into() } else { "a/b".into() },
        day: number % 2,
        score: Some(number),
        good: number % 3 == 0,
        body: format!("comment {number}"),
    }
}

/// One life of the job: opens at the last checkpoint, takes `checkpoints` more with rows from `first` on, taking back one
/// row in five, and ends.
struct Life {
    first: i64,
    checkpoints: u64,
    clock: Arc<SimulatedClock>,
}

impl Life {
    fn live(&self, lake: &LakeStore, run: &Run) -> Result<()> {
        let (last, mut n, mut rows) = {
            let all = run.checkpoints.lock().unwrap();
            (all.staged.clone(), all.number, all.rows.clone())
        };
        let spec = spec(&view(false), &[("partition_by", "good")]);
        let context = SinkContext { lease: Arc::new(run.clone()), ..SinkContext::alone("job") };
        let mut sink: LakeSink = spec
            .open_in(lake.clone(), &context, last.as_ref().map(|staged| (n, staged)))?
            .with_log_checkpoint_versions(5);
        for step in 0..self.checkpoints as i64 {
            n += 1;
            let new = self.first + step * 5..self.first + step * 5 + 5;
            let mut changes: Vec<(Row, i64)> = new.clone().map(|number| (row(number), 1)).collect();
            let old = rows.iter().copied().find(|number| number % 5 == step % 5);
            changes.extend(old.map(|number| (row(number), -1)));
            rows.extend(new);
            rows.retain(|number| Some(*number) != old);
            sink.write(vec![updates(n, &changes)], n)?;
            let staged = sink.stage(n, n)?;
            run.commit(n, staged.clone(), &rows)?;
            if let Some(staged) = staged {
                sink.publish(n, &staged)?;
            }
            // Long enough for what was removed before to be old.
            self.clock.advance(Duration::from_secs(400));
        }
        Ok(())
    }
}

fn found(lake: &LakeStore) -> Vec<String> {
    let names = names();
    texts(&read(lake, "comments"), &names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn expected(rows: &BTreeSet<i64>) -> Vec<String> {
    let names = names();
    let rows: Vec<Row> = rows.iter().map(|number| row(*number)).collect();
    texts(&[batch(&rows)], &names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Stops run A before change `stop_at`; returns A's changes, and whether it came to that one.
fn paused_life(place: &str, stop_at: Option<usize>, seed: u64) -> (Vec<String>, bool) {
    let (environment, clock) = Environment::simulated(seed);
    let lake = &lake_with(place, environment);
    let life = |first, checkpoints| Life { first, checkpoints, clock: clock.clone() };
    let checkpoints = Arc::new(Mutex::new(Checkpoints::default()));
    // What was before: enough for A to merge, to checkpoint the log and to vacuum in its life.
    life(0, 6).live(lake, &Run::start(&checkpoints)).unwrap();

    let gate = Gate::new(stop_at);
    let (ended, a) = (Arc::new(AtomicBool::new(false)), Run::start(&checkpoints));
    let thread = {
        let (gate, ended, a, life) = (Arc::clone(&gate), Arc::clone(&ended), a.clone(), life(1000, 6));
        let lake = lake.clone().map_store(|store| Arc::new(Paused::new(store, gate)) as _);
        std::thread::spawn(move || {
            let outcome = life.live(&lake, &a);
            ended.store(true, Ordering::SeqCst);
            outcome
        })
    };
    let stopped = gate.wait(|| ended.load(Ordering::SeqCst));
    let change = gate.changes().last().cloned().unwrap_or_default();
    let what = format!("seed {seed}, A stood still before change {stop_at:?}, {change}");
    if stopped {
        life(2000, 9).live(lake, &Run::start(&checkpoints)).unwrap_or_else(|error| panic!("{what}: B: {error:?}"));
    }
    let rows = checkpoints.lock().unwrap().rows.clone();
    assert_eq!(found(lake), expected(&rows), "{what}: before A goes on");
    gate.release();
    match thread.join().unwrap() {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Taken, "{what}: A ended with {error:?}"),
        Ok(()) => assert!(!stopped || !a.is_held().unwrap(), "{what}"),
    }
    let rows = checkpoints.lock().unwrap().rows.clone();
    assert_eq!(found(lake), expected(&rows), "{what}: after A went on");
    life(3000, 7).live(lake, &Run::start(&checkpoints)).unwrap_or_else(|error| panic!("{what}: C: {error:?}"));
    let rows = checkpoints.lock().unwrap().rows.clone();
    assert_eq!(found(lake), expected(&rows), "{what}: after C");
    (gate.changes(), stopped)
}

/// A change without the names and numbers in it.
fn kind(change: &str) -> String {
    let (call, path) = change.split_once(' ').unwrap();
    let folders = ["_delta_log", "/hot/", "/data/", "/dv/", "_catchment"];
    let folder = folders.iter().find(|folder| path.contains(**folder)).unwrap_or(&"");
    let name = path.rsplit('/').next().unwrap();
    let ending = name.split_once('.').map_or(name, |(_, ending)| ending);
    format!("{call} {folder} {ending}")
}

/// Runs A's life once whole, and then once for the first and the last change of each kind, or with
/// `CATCHMENT_TEST_LONG` in the environment for each of its changes.
fn suite(root: &str) {
    let (whole, stopped) = paused_life(&format!("{root}/whole"), None, 1);
    assert!(!stopped);
    let kinds: Vec<String> = whole.iter().map(|change| kind(change)).collect();
    for wanted in ["put _delta_log json", "put _delta_log checkpoint.parquet", "put _delta_log _last_checkpoint"] {
        assert!(kinds.iter().any(|kind| kind == wanted), "A's life has no {wanted}: {kinds:?}");
    }
    for wanted in ["put /hot/", "put /dv/", "delete _delta_log json", "delete /hot/", "delete /dv/"] {
        assert!(kinds.iter().any(|kind| kind.starts_with(wanted)), "A's life has no {wanted}: {kinds:?}");
    }
    let is_edge = |at: usize| !kinds[..at].contains(&kinds[at]) || !kinds[at + 1..].contains(&kinds[at]);
    let all = std::env::var_os("CATCHMENT_TEST_LONG").is_some();
    let picked: Vec<usize> = (0..kinds.len()).filter(|at| all || is_edge(*at)).collect();
    for at in &picked {
        let (_, stopped) = paused_life(&format!("{root}/{at}"), Some(at + 1), 1);
        assert!(stopped, "A's life has a change {at}");
    }
    println!("A stood still before {} of {} changes", picked.len(), whole.len());
}

#[test]
fn a_run_that_wakes_up_harms_nothing_on_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    suite(folder.path().to_str().unwrap());
}

/// The server's address and keys come from the environment, as a user gives them: hence a process of its own.
#[test]
fn a_run_that_wakes_up_harms_nothing_on_s3() {
    S3Server::start().run_test("lake::fenced::woken_on_s3_of_the_environment");
}

#[test]
fn woken_on_s3_of_the_environment() {
    if std::env::var_os("CATCHMENT_TEST_S3").is_none() {
        println!("nothing to do: a_run_that_wakes_up_harms_nothing_on_s3 calls this with a server");
        return;
    }
    suite("s3://bucket/woken");
}

//! The table equals the view at every commit, whatever fails in between.
//!
//! Random histories (inserts, retractions, equal rows, rows that come back) are cut into checkpoints at random; puts are
//! lost or done-but-reported-as-lost; the process dies before and after each durable step and opens again at the
//! checkpoint that its manifest holds. After each publish the table, read through the kernel's scan, is the multiset of
//! the history up to that checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::faults::{Faulty, Weather};
use crate::common::{Row, batch, lake_at, names, read, spec, texts, updates, view};
use catchment_contract::{Sink, SinkContext, Staged};
use catchment_sinks::lake::{LakeSink, LakeSpec};
use catchment_store::LakeStore;
use catchment_store::testing::S3Server;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The view, and all that its updates add up to.
#[derive(Clone, Debug, Default)]
struct Model {
    rows: BTreeMap<Row, i64>,
    changes: BTreeMap<(Row, u64), i64>,
}

impl Model {
    fn apply(&mut self, epoch: u64, changes: &[(Row, i64)]) {
        for (row, diff) in changes {
            *self.rows.entry(row.clone()).or_default() += diff;
            *self.changes.entry((row.clone(), epoch)).or_default() += diff;
        }
        self.rows.retain(|_, count| *count != 0);
        self.changes.retain(|_, diff| *diff != 0);
    }

    /// What the table should hold in `mode`.
    fn texts(&self, mode: &str) -> Vec<String> {
        let (rows, ends): (Vec<Row>, Vec<String>) = if mode == "changes" {
            self.changes.iter().map(|((row, epoch), diff)| (row.clone(), format!("|{epoch}|{diff}"))).unzip()
        } else {
            let each = self.rows.iter().flat_map(|(row, count)| std::iter::repeat_n(row.clone(), *count as usize));
            each.map(|row| (row, String::new())).unzip()
        };
        let mut found = Vec::new();
        for (row, end) in rows.into_iter().zip(ends) {
            found.push(texts(&[batch(&[row])], &columns("current"))[0].clone() + &end);
        }
        found.sort();
        found
    }
}

fn columns(mode: &str) -> Vec<&'static str> {
    let mut columns = vec!["id", "subreddit", "created_utc", "score", "ratio", "good", "body"];
    assert_eq!(columns, names(), "the columns of the view");
    if mode == "changes" {
        columns.extend(["_epoch", "_diff"]);
    }
    columns
}

/// One run: the world outside, and what the engine knows.
struct World {
    random: SmallRng,
    mode: &'static str,
    spec: LakeSpec,
    fair: LakeStore,
    faulty: Arc<Faulty>,
    lake: LakeStore,
    held_bytes_max: usize,
    /// The last manifest: checkpoint, staged output, and the view as of it.
    manifest: Option<(u64, Option<Staged>, Model)>,
    view: Model,
    epoch: u64,
    crashes: u32,
    /// Whether the table is partitioned by a column that holds empty strings.
    by_text: bool,
}

impl World {
    fn new(lake: LakeStore, seed: u64) -> World {
        let mut random = SmallRng::seed_from_u64(seed);
        let mode = ["current", "current", "append", "changes"][random.random_range(0..4)];
        let partition = [None, Some("day(created_utc)"), Some("subreddit"), Some("good, day(created_utc)")];
        let partition = partition[random.random_range(0..4)];
        let mut given = vec![("mode", mode), ("table", "oracle/table")];
        given.extend(partition.map(|columns| ("partition_by", columns)));
        let faulty = Arc::new(Faulty::new(Arc::clone(lake.object_store()), seed ^ 0xFA));
        let wrapped = lake.clone().map_store(|_| Arc::clone(&faulty) as _);
        // Some runs spill all the time, some never.
        let held_bytes_max = [1_500, 20_000, 1 << 20][random.random_range(0..3)];
        let spec = spec(&view(mode == "append"), &given);
        World {
            random,
            mode,
            spec,
            fair: lake,
            faulty,
            lake: wrapped,
            held_bytes_max,
            manifest: None,
            view: Model::default(),
            epoch: 0,
            crashes: 0,
            by_text: partition == Some("subreddit"),
        }
    }

    /// Opens the sink at the last manifest, in fair weather if need be, and checks what readers see.
    fn open(&mut self) -> LakeSink {
        let rough = self.random.random_bool(0.3);
        self.faulty.set(if rough { Weather::Rough } else { Weather::Fair });
        let sink = match self.try_open() {
            Some(sink) => sink,
            None => {
                self.faulty.set(Weather::Fair);
                self.try_open().unwrap()
            }
        };
        self.faulty.set(Weather::Fair);
        self.view = self.manifest.as_ref().map(|(_, _, view)| view.clone()).unwrap_or_default();
        self.check(&sink);
        sink
    }

    fn try_open(&self) -> Option<LakeSink> {
        let last = self.manifest.as_ref().and_then(|(n, staged, _)| Some((*n, staged.as_ref()?)));
        let context = SinkContext { held_bytes: self.held_bytes_max, ..SinkContext::alone("job") };
        match self.spec.open_in(self.lake.clone(), &context, last) {
            Ok(sink) => Some(sink),
            Err(error) if self.faulty.is_fair() => panic!("{}", error.chain()),
            Err(_) => None,
        }
    }

    fn check(&self, sink: &LakeSink) {
        let found = texts(&read(&self.fair, "oracle/table"), &columns(self.mode));
        let mut expected = self.view.texts(self.mode);
        if self.by_text {
            // Delta cannot tell an empty string from null in a partition column.
            for text in &mut expected {
                let (id, rest) = text.split_once('|').unwrap();
                if rest.starts_with('|') {
                    *text = format!("{id}|∅{rest}");
                }
            }
            expected.sort();
        }
        let missing: Vec<_> = expected.iter().filter(|row| !found.contains(row)).collect();
        let surplus: Vec<_> = found.iter().filter(|row| !expected.contains(row)).collect();
        assert!(
            found == expected,
            "epoch {}, {} of {} rows: {missing:?} {surplus:?}",
            self.epoch,
            found.len(),
            expected.len()
        );
        assert_eq!(sink.figures().rows, expected.len() as u64);
    }

    fn random_row(&mut self) -> Row {
        let number: i64 = self.random.random_range(0..60);
        Row {
            id: (number % 13 != 0).then(|| format!("t1_{number:04}")),
            subreddit: ["rust", "a b/c%=d", "", "日本"][self.random.random_range(0..4)].into(),
            day: number % 3,
            score: (number % 7 != 0).then_some(number % 4),
            good: self.random.random_bool(0.5),
            body: if number % 5 == 0 { "long text ".repeat(number as usize) } else { number.to_string() },
        }
    }

    /// Random changes that keep every count at zero or above at the end of the epoch.
    fn random_changes(&mut self) -> Vec<(Row, i64)> {
        let mut changes = Vec::new();
        let mut now = self.view.rows.clone();
        let shrink = self.random.random_bool(0.3);
        for _ in 0..self.random.random_range(1..60) {
            let retract =
                self.mode != "append" && !now.is_empty() && self.random.random_bool(if shrink { 0.8 } else { 0.4 });
            if retract {
                let at = self.random.random_range(0..now.len());
                let row = now.keys().nth(at).unwrap().clone();
                let count = now.get_mut(&row).unwrap();
                let taken = if *count > 1 && self.random.random_bool(0.3) { 2 } else { 1 };
                *count -= taken;
                if *count == 0 {
                    now.remove(&row);
                }
                changes.push((row.clone(), -taken));
                if self.random.random_bool(0.2) {
                    *now.entry(row.clone()).or_default() += 1;
                    changes.push((row, 1));
                }
            } else {
                let (row, times) = (self.random_row(), if self.random.random_bool(0.1) { 3 } else { 1 });
                *now.entry(row.clone()).or_default() += times;
                changes.push((row, times));
            }
        }
        // Updates of one epoch come in any order.
        for at in (1..changes.len()).rev() {
            changes.swap(at, self.random.random_range(0..=at));
        }
        changes
    }

    fn weather(&mut self) {
        let weather = match self.random.random_range(0..10) {
            0..4 => Weather::Fair,
            4..8 => Weather::Rough,
            _ => Weather::Crash(self.random.random_range(0..8)),
        };
        self.faulty.set(weather);
    }

    /// Writes some epochs, stages, commits the manifest, publishes; an error anywhere is the end of the process.
    fn checkpoint(&mut self, sink: &mut LakeSink, n: u64) -> catchment_contract::Result<()> {
        self.weather();
        for _ in 0..self.random.random_range(0..4) {
            self.epoch += 1;
            let changes = self.random_changes();
            self.view.apply(self.epoch, &changes);
            let cut = self.random.random_range(0..=changes.len());
            let parts = [&changes[..cut], &changes[cut..]];
            let parts =
                parts.into_iter().filter(|part| !part.is_empty()).map(|part| updates(self.epoch, part)).collect();
            sink.write(parts, self.epoch)?;
        }
        let staged = sink.stage(n, self.epoch)?;
        if self.random.random_bool(0.1) {
            return Err(catchment_contract::Error::remote("died before the manifest"));
        }
        let before = self.manifest.take().and_then(|(_, staged, _)| staged);
        self.manifest = Some((n, staged.clone().or(before), self.view.clone()));
        if self.random.random_bool(0.1) {
            return Err(catchment_contract::Error::remote("died before publishing"));
        }
        if let Some(staged) = &staged {
            sink.publish(n, staged)?;
            if self.random.random_bool(0.2) {
                sink.publish(n, staged)?;
            }
        }
        self.faulty.set(Weather::Fair);
        self.check(sink);
        Ok(())
    }

    fn run(&mut self, checkpoints: u64) {
        let mut sink = self.open();
        for n in 1..=checkpoints {
            if self.checkpoint(&mut sink, n).is_err() {
                self.crashes += 1;
                sink = self.open();
            }
        }
        self.faulty.set(Weather::Fair);
        drop(sink);
        let sink = self.open();
        self.check(&sink);
        self.no_orphans();
    }

    /// Every data file that an open leaves is one that the log names.
    fn no_orphans(&self) {
        let objects = self.fair.list("oracle/table").unwrap();
        let log: String = objects
            .iter()
            .filter(|object| object.path.ends_with(".json"))
            .map(|object| String::from_utf8_lossy(&self.fair.get(&object.path).unwrap().unwrap()).into_owned())
            .collect();
        for object in
            objects.iter().filter(|object| object.path.ends_with(".parquet") && !object.path.contains("_delta_log"))
        {
            let name = object.path.rsplit('/').next().unwrap();
            assert!(log.contains(name), "{} is an orphan", object.path);
        }
    }
}

/// Runs `seeds`, one after another, each in a lake that `make` gives.
fn suite(seeds: std::ops::Range<u64>, checkpoints: u64, mut make: impl FnMut(u64) -> LakeStore) {
    let mut crashes = 0;
    for seed in seeds {
        println!("seed {seed}");
        let mut world = World::new(make(seed), seed);
        world.run(checkpoints);
        crashes += world.crashes;
    }
    println!("{crashes} crashes");
    assert!(crashes > 0, "the tester is asleep");
}

#[test]
fn tables_equal_their_views_on_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    suite(0..10, 12, |seed| lake_at(folder.path().join(seed.to_string())));
}

/// The server's address and keys come from the environment, as a user gives them: hence a process of its own.
#[test]
fn tables_equal_their_views_on_s3() {
    let server = S3Server::start();
    server.run_test("lake::oracle::suite_on_s3_of_the_environment");
    assert!(server.keys().iter().any(|key| key.starts_with("bucket/some/prefix/100/oracle/table/_delta_log/")));
}

#[test]
fn suite_on_s3_of_the_environment() {
    if std::env::var_os("CATCHMENT_TEST_S3").is_none() {
        println!("nothing to do: tables_equal_their_views_on_s3 calls this with a server");
        return;
    }
    suite(100..106, 10, |seed| lake_at(format!("s3://bucket/some/prefix/{seed}")));
}

/// The canary: a tester that does not see a missing row is no tester.
#[test]
#[should_panic(expected = "rows: [")]
fn the_tester_sees_a_lost_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(lake_at(folder.path()), 0);
    let mut sink = world.open();
    for n in 1..=2 {
        world.faulty.set(Weather::Fair);
        world.epoch += 1;
        let changes = vec![(world.random_row(), 1), (world.random_row(), 1)];
        world.view.apply(world.epoch, &changes);
        sink.write(vec![updates(world.epoch, &changes)], world.epoch).unwrap();
        let staged = sink.stage(n, world.epoch).unwrap().unwrap();
        sink.publish(n, &staged).unwrap();
        world.check(&sink);
    }
    let extra = world.random_row();
    world.view.apply(9, &[(extra, 1)]);
    world.check(&sink);
}

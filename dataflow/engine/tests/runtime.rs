//! The runtime against a source, a sink and a store in memory: restarts, crashes at any store call, both kinds of fault.
//!
//! The published table must equal the input after every run, however many runs failed on the way, and every input record
//! must be counted once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catchment_contract::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use catchment_contract::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use catchment_contract::{
    Decoded, Decoder, Epoch, Error, Outcome, Partition, PartitionReader, Payload, Position, PutOutcome, Reject,
    Relation, Replace, Result, Sink, SinkContext, SinkFigures, SinkSpec, Source, Staged, Store, Unfinished,
    UpdateBatch, Wake,
};
use catchment_engine::UpdateStream;
use catchment_engine::runtime::{Dataflow, JobSink, JobSource, JobSpec, RunOptions, RunReport, Runtime};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use timely::dataflow::Scope;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

/// Files of lines by name; a line that is no number is a reject.
type Files = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

struct Lines {
    files: Files,
    wakes: Arc<Mutex<Vec<Wake>>>,
    relation: Relation,
    definition: String,
}

impl Source for Lines {
    fn relation(&self) -> &Relation {
        &self.relation
    }

    fn definition(&self) -> String {
        self.definition.clone()
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let files = self.files.lock().unwrap();
        let at = |id: &str| known.get(id).map_or(0, |position| position.0.parse::<usize>().unwrap());
        let new = files.iter().filter(|(id, lines)| at(id) < lines.len());
        Ok(new.map(|(id, _)| Partition { id: id.clone(), bytes: None, from: known.get(id).cloned() }).collect())
    }

    fn open(&self, partition: &Partition, _unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        let at = partition.from.as_ref().map_or(0, |position| position.0.parse().unwrap());
        let lines = self.files.lock().unwrap()[&partition.id].clone();
        Ok(Box::new(LineReader { partition: partition.id.as_str().into(), lines, at }))
    }

    fn decoder(&self, _projection: &[usize]) -> Arc<dyn Decoder> {
        Arc::new(LineDecoder)
    }

    fn watch(&self, wake: Wake) -> Result<Option<Box<dyn Send>>> {
        self.wakes.lock().unwrap().push(wake);
        Ok(Some(Box::new(())))
    }
}

struct LineReader {
    partition: Arc<str>,
    lines: Vec<String>,
    at: usize,
}

impl PartitionReader for LineReader {
    fn next(&mut self) -> Result<Option<Payload>> {
        let lines = &self.lines[self.at..self.lines.len().min(self.at + 3)];
        if lines.is_empty() {
            return Ok(None);
        }
        let first_record = self.at as u64 + 1;
        self.at += lines.len();
        Ok(Some(Payload {
            partition: self.partition.clone(),
            bytes: lines.join("\n").into_bytes(),
            first_record,
            bytes_read: 1,
            position: Position(self.at.to_string()),
            rejects: vec![],
        }))
    }
}

struct LineDecoder;

impl Decoder for LineDecoder {
    fn decode(&self, payload: &Payload) -> Decoded {
        let text = std::str::from_utf8(&payload.bytes).unwrap();
        let (mut numbers, mut rejects) = (Vec::new(), Vec::new());
        for line in text.split('\n') {
            match line.parse::<i64>() {
                Ok(number) => numbers.push(number),
                Err(_) => rejects.push(Reject::new("line", Some(line.as_bytes()), "not a number")),
            }
        }
        let records = (numbers.len() + rejects.len()) as u64;
        let rows = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(numbers)) as ArrayRef]).unwrap();
        Decoded { rows, versions: None, tombstones: None, rejects, records, passed_over: 0 }
    }
}

/// Drops the arrival columns of an append-only source.
struct Identity;

impl Dataflow for Identity {
    fn build<'s>(
        &self,
        _scope: Scope<'s, Epoch>,
        inputs: BTreeMap<String, UpdateStream<'s>>,
        rejects: UpdateStream<'s>,
    ) -> BTreeMap<String, UpdateStream<'s>> {
        use catchment_engine::Updates;
        use timely::container::NoopBuilder;
        use timely::dataflow::channels::pact::Pipeline;
        use timely::dataflow::operators::generic::Operator;
        let numbers = inputs["numbers"].clone().unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "Values", |_, _| {
            |input, output| {
                input.for_each(|capability, updates| {
                    let columns = updates.columns()[..1].to_vec();
                    let mut updates = std::mem::take(updates).with_columns(columns);
                    output.session_with_builder(&capability).give_container(&mut updates);
                });
            }
        });
        BTreeMap::from([("numbers".to_string(), numbers), ("rejects".to_string(), rejects)])
    }
}

/// A store in memory whose calls fail at random, before or after they took effect.
#[derive(Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    faults: Mutex<Option<SmallRng>>,
    /// What happens, once, just before the state files are listed.
    before_state: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Memory {
    fn faulty<T>(&self, effect: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> Result<T> {
        let draw = self.faults.lock().unwrap().as_mut().map_or(100, |rng| rng.random_range(0..100));
        if draw < 2 {
            return Err(Error::remote("the store failed before"));
        }
        let answer = effect(&mut self.objects.lock().unwrap());
        if draw < 4 {
            return Err(Error::remote("the store failed after").with_outcome(Outcome::Unknown));
        }
        Ok(answer)
    }
}

impl Store for Memory {
    fn describe(&self) -> String {
        "memory".into()
    }

    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.faulty(|objects| drop(objects.insert(path.into(), bytes)))
    }

    fn put_if_absent(&self, path: &str, bytes: Vec<u8>) -> Result<PutOutcome> {
        self.faulty(|objects| {
            if objects.contains_key(path) {
                return PutOutcome::Exists;
            }
            objects.insert(path.into(), bytes);
            PutOutcome::Created
        })
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.faulty(|objects| objects.get(path).cloned())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let happens = prefix.ends_with("/state").then(|| self.before_state.lock().unwrap().take()).flatten();
        happens.into_iter().for_each(|happens| happens());
        self.faulty(|objects| objects.keys().filter(|path| path.starts_with(prefix)).cloned().collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.faulty(|objects| drop(objects.remove(path)))
    }
}

/// A published multiset of numbers, with the number of the last checkpoint in it.
#[derive(Clone, Default)]
struct Table {
    rows: BTreeMap<i64, i64>,
    version: u64,
    publishes: u64,
}

#[derive(Clone, Default)]
struct TableSpec {
    table: Arc<Mutex<Table>>,
    faults: Arc<Mutex<Option<SmallRng>>>,
}

struct TableSink {
    spec: TableSpec,
    /// Whether what the table holds is replaced by the next publish.
    anew: bool,
    pending: BTreeMap<i64, i64>,
    refused: Vec<Reject>,
}

/// The one number that the tables' system does not take.
const UNLUCKY: i64 = -13;

fn chance(faults: &Arc<Mutex<Option<SmallRng>>>) -> Result<()> {
    let fails = faults.lock().unwrap().as_mut().is_some_and(|rng| rng.random_bool(0.05));
    if fails { Err(Error::remote("the sink failed")) } else { Ok(()) }
}

impl SinkSpec for TableSpec {
    fn describe(&self) -> String {
        self.target()
    }

    fn target(&self) -> String {
        "table".into()
    }

    fn open(&self, _context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>> {
        let mut sink =
            TableSink { spec: self.clone(), anew: last.is_none(), pending: BTreeMap::new(), refused: vec![] };
        if let Some((number, staged)) = last {
            sink.publish(number, staged)?;
        }
        Ok(Box::new(sink))
    }

    fn can_begin_anew(&self) -> bool {
        true
    }
}

impl Sink for TableSink {
    fn write(&mut self, updates: Vec<UpdateBatch>, upto: Epoch) -> Result<()> {
        for batch in updates {
            let column = batch.rows.column(0);
            for row in 0..batch.len() {
                assert!(batch.epochs.at(row) <= upto);
                let key = match column.data_type() {
                    DataType::Int64 => column.as_primitive::<Int64Type>().value(row),
                    _ => -1,
                };
                if key == UNLUCKY {
                    let reject = Reject::new("key -13", None, "an unlucky number");
                    self.refused.extend(std::iter::repeat_n(reject, batch.diffs.at(row) as usize));
                    continue;
                }
                *self.pending.entry(key).or_default() += batch.diffs.at(row);
            }
        }
        Ok(())
    }

    fn stage(&mut self, _n: u64, _epoch: Epoch) -> Result<Option<Staged>> {
        chance(&self.spec.faults)?;
        if self.pending.is_empty() && !self.anew {
            return Ok(None);
        }
        let pairs: Vec<(i64, i64)> = std::mem::take(&mut self.pending).into_iter().collect();
        Ok(Some(Staged(serde_json::to_value((std::mem::take(&mut self.anew), pairs)).unwrap())))
    }

    fn publish(&mut self, n: u64, staged: &Staged) -> Result<()> {
        chance(&self.spec.faults)?;
        let mut table = self.spec.table.lock().unwrap();
        if table.version < n {
            let (anew, pairs): (bool, Vec<(i64, i64)>) = serde_json::from_value(staged.0.clone()).unwrap();
            if anew {
                table.rows.clear();
            }
            pairs.into_iter().for_each(|(key, diff)| *table.rows.entry(key).or_default() += diff);
            table.version = n;
            table.publishes += 1;
        }
        drop(table);
        chance(&self.spec.faults)
    }

    fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.refused)
    }

    fn figures(&self) -> SinkFigures {
        let rows = self.spec.table.lock().unwrap().rows.values().sum::<i64>() as u64;
        SinkFigures { rows, ..SinkFigures::default() }
    }
}

struct World {
    files: Files,
    wakes: Arc<Mutex<Vec<Wake>>>,
    store: Arc<Memory>,
    numbers: TableSpec,
    rejects: TableSpec,
    /// The sinks that the job has, with the fingerprints of their relations.
    sinks: BTreeMap<&'static str, &'static str>,
    definition: String,
}

impl World {
    fn new() -> Self {
        World {
            files: Files::default(),
            wakes: Arc::default(),
            store: Arc::default(),
            numbers: TableSpec::default(),
            rejects: TableSpec::default(),
            sinks: BTreeMap::from([("numbers", "v1"), ("rejects", "v1")]),
            definition: "lines in memory".into(),
        }
    }

    fn spec(&self) -> JobSpec {
        let relation = Relation { schema: schema(), key: vec![], replace: Replace::Never };
        let source = Arc::new(Lines {
            files: self.files.clone(),
            wakes: self.wakes.clone(),
            relation,
            definition: self.definition.clone(),
        });
        let sink = |(name, fingerprint): (&&str, &&str)| {
            let (table, schema) = match *name {
                "numbers" => (&self.numbers, schema()),
                _ => (&self.rejects, catchment_engine::runtime::job::rejects_schema()),
            };
            JobSink {
                name: format!("{name}_sink"),
                from: name.to_string(),
                spec: Arc::new(table.clone()),
                schema,
                fingerprint: fingerprint.to_string(),
            }
        };
        JobSpec {
            name: "job".into(),
            sources: vec![JobSource { name: "numbers".into(), source, projection: vec![0] }],
            sinks: self.sinks.iter().map(sink).collect(),
            dataflow: Arc::new(Identity),
        }
    }

    fn open(&self, workers: usize, checkpoint_interval: Duration) -> Result<Runtime> {
        let options =
            RunOptions { workers, epoch_interval: Duration::ZERO, checkpoint_interval, ..RunOptions::default() };
        Runtime::open(self.spec(), self.store.clone(), options, Arc::new(AtomicBool::new(false)))
    }

    fn run(&self, workers: usize) -> Result<RunReport> {
        let mut runtime = self.open(workers, Duration::ZERO)?;
        runtime.drain()?;
        runtime.finish()
    }

    fn expected(&self) -> (BTreeMap<i64, i64>, i64) {
        let (mut rows, mut rejects) = (BTreeMap::new(), 0);
        for line in self.files.lock().unwrap().values().flatten() {
            match line.parse::<i64>() {
                Ok(number) if number != UNLUCKY => *rows.entry(number).or_default() += 1,
                _ => rejects += 1,
            }
        }
        (rows, rejects)
    }

    fn assert_published(&self, context: &str) {
        let (rows, rejects) = self.expected();
        assert_eq!(self.numbers.table.lock().unwrap().rows, rows, "{context}");
        assert_eq!(self.rejects.table.lock().unwrap().rows.values().sum::<i64>(), rejects, "{context}");
    }

    fn grow(&self, rng: &mut SmallRng) {
        let mut files = self.files.lock().unwrap();
        for _ in 0..rng.random_range(1..4) {
            let file = files.entry(format!("f{}", rng.random_range(0..4))).or_default();
            for _ in 0..rng.random_range(1..20) {
                file.push(if rng.random_bool(0.1) { "bad".into() } else { rng.random_range(0..30).to_string() });
            }
        }
    }

    fn set_faults(&self, seed: Option<u64>) {
        *self.store.faults.lock().unwrap() = seed.map(SmallRng::seed_from_u64);
        for (table, salt) in [(&self.numbers, 1), (&self.rejects, 2)] {
            *table.faults.lock().unwrap() = seed.map(|seed| SmallRng::seed_from_u64(seed ^ salt));
        }
    }
}

#[test]
fn runs_go_on_where_the_last_one_ended() {
    let world = World::new();
    let mut rng = SmallRng::seed_from_u64(1);
    for round in 0..6 {
        world.grow(&mut rng);
        let report = world.run(1 + round % 2).unwrap();
        world.assert_published(&format!("round {round}"));
        let (rows, rejects) = world.expected();
        assert_eq!(report.sources[0].records_total as i64, rows.values().sum::<i64>() + rejects);
        assert_eq!(report.relations[0].rows, rows.values().sum::<i64>());
    }
}

#[test]
fn a_run_with_nothing_new_publishes_nothing_and_reports_the_rows() {
    let world = World::new();
    world.grow(&mut SmallRng::seed_from_u64(2));
    let first = world.run(2).unwrap();
    let publishes = world.numbers.table.lock().unwrap().publishes;
    let second = world.run(2).unwrap();
    assert_eq!(world.numbers.table.lock().unwrap().publishes, publishes);
    assert_eq!(second.epochs, 0);
    assert_eq!(first.relations[0].rows, second.relations[0].rows);
}

/// Every run may fail at any call of the store or a sink, before or after the call took effect. The next run is what a
/// restarted process would be. What the sink refused is a reject once, too, wherever a run ended after that.
#[test]
fn crashes_at_any_step_lose_and_repeat_nothing() {
    for seed in 0..60 {
        let world = World::new();
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut failures = 0;
        for round in 0..4 {
            world.grow(&mut rng);
            if rng.random_bool(0.5) {
                world.files.lock().unwrap().entry("f0".into()).or_default().push(UNLUCKY.to_string());
            }
            world.set_faults(Some(rng.random()));
            while world.run(1 + (seed % 2) as usize).is_err() {
                failures += 1;
                assert!(failures < 500, "seed {seed}: no run gets through");
            }
            world.set_faults(None);
            // The run that got through published everything it had seen.
            world.assert_published(&format!("seed {seed}, round {round}, after {failures} failures"));
        }
    }
}

#[test]
fn an_older_run_that_is_still_alive_cannot_commit() {
    let world = World::new();
    world.grow(&mut SmallRng::seed_from_u64(3));
    let mut zombie = world.open(1, Duration::from_secs(3600)).unwrap();
    zombie.drain().unwrap();
    world.run(1).unwrap();
    let error = zombie.finish().err().or_else(|| Some(Error::bug("the zombie committed"))).unwrap();
    assert_eq!(error.kind(), catchment_contract::ErrorKind::Taken, "{}", error.chain());
    world.assert_published("after the zombie");
}

/// A run that is slow to open removes files of earlier runs, and none of the newer one that has fenced it off meanwhile.
#[test]
fn a_slow_start_removes_nothing_of_its_successor() {
    let world = Arc::new(World::new());
    let mut rng = SmallRng::seed_from_u64(7);
    world.grow(&mut rng);
    world.run(1).unwrap();
    world.grow(&mut rng);
    let newer = world.clone();
    *world.store.before_state.lock().unwrap() = Some(Box::new(move || drop(newer.run(1).unwrap())));
    let error = world.open(1, Duration::from_secs(3600)).map(drop).unwrap_err();
    assert_eq!(error.kind(), catchment_contract::ErrorKind::Taken, "{}", error.chain());
    world.grow(&mut rng);
    world.run(1).unwrap();
    world.assert_published("after the slow run");
}

#[test]
fn a_changed_definition_is_refused() {
    let mut world = World::new();
    world.grow(&mut SmallRng::seed_from_u64(4));
    world.run(1).unwrap();
    world.sinks.insert("numbers", "v2");
    let error = world.run(1).expect_err("the fingerprint changed");
    assert!(
        error.chain().starts_with("relation \"numbers\" of sink \"numbers_sink\" is not the one"),
        "{}",
        error.chain()
    );
    world.sinks.insert("numbers", "v1");
    let mut running = world.open(1, Duration::from_secs(3600)).unwrap();
    world.grow(&mut SmallRng::seed_from_u64(9));
    running.drain().unwrap();
    world.definition = "lines elsewhere".into();
    let error = world.run(1).expect_err("the source is another one");
    assert_eq!(
        error.chain(),
        "source \"numbers\" is lines elsewhere, and was lines in memory when the lake was last written; write it as it \
         was, or add --reset once to load everything anew"
    );
    running.finish().expect("a job that does not fit does not end one that runs");
    world.assert_published("after all");
}

/// A sink that was away has missed what came meanwhile, and epochs that are restored are not told apart: it begins anew.
#[test]
fn sinks_come_and_go() {
    for seed in 0..8 {
        let mut world = World::new();
        let mut rng = SmallRng::seed_from_u64(seed);
        for round in 0..8 {
            world.grow(&mut rng);
            for (name, fingerprint) in [("numbers", "v1"), ("rejects", "v1")] {
                match rng.random_bool(0.6) {
                    true => world.sinks.insert(name, fingerprint),
                    false => world.sinks.remove(name),
                };
            }
            world.run(1 + round % 2).unwrap();
            let (rows, rejects) = world.expected();
            if world.sinks.contains_key("numbers") {
                assert_eq!(world.numbers.table.lock().unwrap().rows, rows, "seed {seed}, round {round}");
            }
            if world.sinks.contains_key("rejects") {
                let found = world.rejects.table.lock().unwrap().rows.values().sum::<i64>();
                assert_eq!(found, rejects, "seed {seed}, round {round}");
            }
        }
    }
}

/// The runtime's part of it: the table is made anew once, and goes on from there.
#[test]
fn rejects_are_written_anew_when_views_come_or_go() {
    let mut world = World::new();
    let mut rng = SmallRng::seed_from_u64(6);
    for (round, fingerprint) in ["v1", "v2", "v2", "v1"].into_iter().enumerate() {
        world.grow(&mut rng);
        world.sinks.insert("rejects", fingerprint);
        world.run(1).unwrap();
        world.assert_published(&format!("round {round}"));
    }
}

#[test]
fn a_stopped_run_leaves_no_gap() {
    let world = World::new();
    world.grow(&mut SmallRng::seed_from_u64(5));
    let stop = Arc::new(AtomicBool::new(true));
    let mut runtime = Runtime::open(world.spec(), world.store.clone(), RunOptions::default(), stop).unwrap();
    runtime.drain().unwrap();
    runtime.finish().unwrap();
    world.run(1).unwrap();
    world.assert_published("after a stopped run");
}

/// Waits until `reached`, and panics if that takes unreasonably long.
fn await_that(what: &str, reached: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !reached() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited too long for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_job_that_stays_up_follows_its_sources_and_publishes_on_the_way() {
    let world = World::new();
    let stop = Arc::new(AtomicBool::new(false));
    let options = RunOptions {
        workers: 2,
        epoch_interval: Duration::from_millis(1),
        checkpoint_interval: Duration::from_millis(5),
        ..RunOptions::default()
    };
    let mut runtime = Runtime::open(world.spec(), world.store.clone(), options, stop.clone()).unwrap();
    let job = std::thread::spawn(move || {
        runtime.stay()?;
        runtime.finish()
    });
    await_that("the job to watch its source", || !world.wakes.lock().unwrap().is_empty());
    let mut rng = SmallRng::seed_from_u64(6);
    for round in 0..30 {
        world.grow(&mut rng);
        world.wakes.lock().unwrap().iter().for_each(|wake| wake());
        if round % 3 == 0 {
            let (rows, _) = world.expected();
            await_that("the rows to be published", || world.numbers.table.lock().unwrap().rows == rows);
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let report = job.join().unwrap().unwrap();
    assert!(report.checkpoint > 3, "checkpoints were taken on the way: {report}");
    world.run(1).unwrap();
    world.assert_published("after a job that stayed up");
}

#[test]
fn a_new_sink_of_a_job_that_stays_up_is_published_though_nothing_comes() {
    let mut world = World::new();
    world.grow(&mut SmallRng::seed_from_u64(8));
    world.sinks.remove("numbers");
    world.run(1).unwrap();
    world.sinks.insert("numbers", "v1");
    let stop = Arc::new(AtomicBool::new(false));
    let options = RunOptions { checkpoint_interval: Duration::from_millis(5), ..RunOptions::default() };
    let mut runtime = Runtime::open(world.spec(), world.store.clone(), options, stop.clone()).unwrap();
    let job = std::thread::spawn(move || {
        runtime.stay()?;
        runtime.finish()
    });
    let (rows, _) = world.expected();
    await_that("the history to be published", || world.numbers.table.lock().unwrap().rows == rows);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    job.join().unwrap().unwrap();
}

#[test]
fn what_a_sink_refuses_becomes_a_reject_that_lasts() {
    let world = World::new();
    world.files.lock().unwrap().insert("a".into(), vec!["1".into(), UNLUCKY.to_string(), "2".into()]);
    world.run(1).unwrap();
    let table = |spec: &TableSpec| spec.table.lock().unwrap().rows.clone();
    assert_eq!(table(&world.numbers), BTreeMap::from([(1, 1), (2, 1)]));
    assert_eq!(table(&world.rejects).values().sum::<i64>(), 1, "the refused row");
    world.files.lock().unwrap().insert("b".into(), vec!["3".into()]);
    world.run(1).unwrap();
    assert_eq!(table(&world.rejects).values().sum::<i64>(), 1, "it is refused once");
    assert_eq!(table(&world.numbers), BTreeMap::from([(1, 1), (2, 1), (3, 1)]));
}

/// Nothing new comes after it, and nobody tells the job to look again.
#[test]
fn what_a_sink_refuses_is_a_reject_before_anything_new_comes() {
    let world = World::new();
    let stop = Arc::new(AtomicBool::new(false));
    let options = RunOptions {
        epoch_interval: Duration::from_millis(1),
        checkpoint_interval: Duration::from_millis(5),
        ..RunOptions::default()
    };
    world.files.lock().unwrap().insert("a".into(), vec!["1".into(), UNLUCKY.to_string(), "2".into()]);
    let mut runtime = Runtime::open(world.spec(), world.store.clone(), options, stop.clone()).unwrap();
    let job = std::thread::spawn(move || {
        runtime.stay()?;
        runtime.finish()
    });
    await_that("the refused row to be published", || {
        world.rejects.table.lock().unwrap().rows.values().sum::<i64>() == 1
    });
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    job.join().unwrap().unwrap();
}

//! A topic read from the start is the view, whatever fails in between.
//!
//! Random histories (inserts, updates, deletes, changes that cancel out) are cut into epochs and checkpoints at random.
//! The process is killed before and after any call to the broker or the store, requests and replies get lost, strangers
//! write into the topic; each time the sink opens again at the last committed checkpoint. With `exactly_once` the topic's
//! records of each key must be, one for one and in order, the net changes of the committed checkpoints, computed from the
//! views alone. With `at_least_once` they may repeat, and what they leave must be the view.

use crate::common;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::common::broker::{
    Fate, FatefulBroker, FatefulStore, Lie, MemoryBroker, TopicRecord, records, write_stranger,
};
use crate::common::options;
use catchment_contract::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use catchment_contract::{Environment, Epoch, Run, Sink, SinkContext, Staged, UpdateBatch, ViewFacts};
use catchment_sinks::fluvio::{FluvioSink, FluvioSpec};
use catchment_store::{Lake, LakeStore};
use catchment_topics::{Broker, Embedded, EmbeddedOptions, Topics};
use object_store::memory::InMemory;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const TOPIC: &str = "view";

/// The view: a row a key (several keys are null or hard to write).
type View = BTreeMap<Option<String>, (Option<i64>, String)>;
/// Updates of one epoch: key, value, text, diff.
type Updates = Vec<(Option<String>, (Option<i64>, String), i64)>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8View, true),
        Field::new("n", DataType::Int64, true),
        Field::new("text", DataType::Utf8View, true),
    ]))
}

fn batch(updates: &Updates, epoch: Epoch) -> UpdateBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(updates.iter().map(|it| it.0.clone()).collect::<StringViewArray>()),
        Arc::new(updates.iter().map(|it| it.1.0).collect::<Int64Array>()),
        Arc::new(updates.iter().map(|it| Some(it.1.1.clone())).collect::<StringViewArray>()),
    ];
    UpdateBatch {
        rows: RecordBatch::try_new(schema(), columns).unwrap(),
        epochs: Run::One(epoch),
        diffs: Run::Each(updates.iter().map(|it| it.2).collect()),
    }
}

fn row(key: &Option<String>, (n, text): &(Option<i64>, String)) -> Value {
    json!({"id": key, "n": n, "text": text})
}

/// A committed checkpoint.
#[derive(Clone, Default)]
struct Manifest {
    number: u64,
    staged: Option<(u64, Staged)>,
    epoch: Epoch,
    view: View,
    /// Records that the topic must hold by now: key, then values in order, without times.
    expect: BTreeMap<Option<String>, Vec<Value>>,
    /// Keys that ever were there at a checkpoint.
    seen: BTreeSet<Option<String>>,
}

struct World {
    random: SmallRng,
    fate: Arc<Fate>,
    spec: FluvioSpec,
    format: &'static str,
    is_exact: bool,
    /// The broker without faults.
    fair: Arc<dyn Broker>,
    broker: Arc<dyn Broker>,
    store: Arc<InMemory>,
    manifest: Manifest,
    /// Epochs since the manifest, which a restart goes through again.
    history: Vec<Updates>,
    kills: u32,
    strangers: usize,
    /// A broker whose machine loses power between some lives.
    mortal: Option<Arc<MemoryBroker>>,
}

/// Options of each kind of topic.
fn given(format: &str) -> Vec<(&'static str, &'static str)> {
    match format {
        "debezium" => vec![("format", "debezium"), ("key", "id")],
        "upsert" => vec![("format", "upsert"), ("key", "id")],
        "first" => vec![("format", "append"), ("emit", "first"), ("key", "id")],
        _ => vec![("format", "append")],
    }
}

impl World {
    fn new(seed: u64, format: &'static str, is_exact: bool, broker: Arc<dyn Broker>) -> World {
        let mut random = SmallRng::seed_from_u64(seed);
        let append_only = format == "append";
        let facts = ViewFacts { name: "view".into(), schema: schema(), key: Some(vec![0]), append_only };
        let mut options = options(&given(format));
        let topics = Topics::new(Environment::simulated(seed).0).with_patience(Duration::from_secs(20));
        let mut spec = FluvioSpec::check("sink", &facts, &mut options, &topics, &Lake::default()).unwrap();
        options.finish().unwrap();
        spec.topic_spec.partitions = random.random_range(1..=3);
        // Far below what a person may write: checkpoints of a few rows are several chunks.
        spec.batch_bytes = random.random_range(100..600);
        if !is_exact {
            spec.delivery = catchment_sinks::fluvio::Delivery::AtLeastOnce;
        }
        let fate = Fate::new(seed);
        let fair = Arc::clone(&broker);
        let broker: Arc<dyn Broker> = Arc::new(FatefulBroker { inner: broker, fate: Arc::clone(&fate) });
        World {
            random,
            fate,
            spec,
            format,
            is_exact,
            fair,
            broker,
            store: Arc::new(InMemory::new()),
            manifest: Manifest::default(),
            history: Vec::new(),
            kills: 0,
            strangers: 0,
            mortal: None,
        }
    }

    fn lake(&self) -> LakeStore {
        let store = FatefulStore { inner: self.store.clone(), fate: Arc::clone(&self.fate) };
        LakeStore::with_store(Arc::new(store), "memory:///lake/".parse().unwrap(), common::environment()).unwrap()
    }

    fn open(&self) -> catchment_contract::Result<FluvioSink> {
        let last = self.manifest.staged.as_ref().map(|(n, staged)| (*n, staged));
        FluvioSink::open(self.spec.clone(), self.lake(), Arc::clone(&self.broker), &SinkContext::alone("job"), last)
    }

    /// Updates of an epoch that take `view` on.
    fn updates(&mut self, view: &mut View) -> Updates {
        let mut updates = Updates::new();
        for _ in 0..self.random.random_range(0..8) {
            let number = self.random.random_range(0..12_u32);
            let mut key = (number > 0).then(|| format!("k\"{number}"));
            if self.format == "append" {
                key = Some(format!("{}", self.random.random::<u64>()));
            }
            let text = "x€\n".repeat(self.random.random_range(0..30));
            let new = (self.random.random_bool(0.9).then(|| self.random.random_range(0..4)), text);
            if let Some(old) = view.remove(&key) {
                updates.push((key.clone(), old, -1));
                if self.random.random_bool(0.3) {
                    continue;
                }
            }
            view.insert(key.clone(), new.clone());
            updates.push((key, new, 1));
        }
        updates
    }

    /// What a checkpoint at `epoch` that leads to `view` must add to the topic.
    fn expected(&self, epoch: Epoch, view: &View) -> Manifest {
        let mut next = self.manifest.clone();
        next.epoch = epoch;
        let keys: BTreeSet<_> = next.view.keys().chain(view.keys()).cloned().collect();
        for key in keys {
            let (before, after) = (next.view.get(&key).cloned(), view.get(&key).cloned());
            let value = match self.format {
                _ if before == after => continue,
                "debezium" => {
                    let op = if before.is_none() {
                        "c"
                    } else if after.is_none() {
                        "d"
                    } else {
                        "u"
                    };
                    let side = |side: &Option<_>| side.as_ref().map(|it| row(&key, it));
                    json!({"before": side(&before), "after": side(&after), "op": op, "epoch": epoch})
                }
                "first" if after.is_none() || !next.seen.insert(key.clone()) => continue,
                _ => match &after {
                    None => Value::Null,
                    Some(after) => {
                        let mut value = row(&key, after);
                        value["_epoch"] = json!(epoch);
                        value
                    }
                },
            };
            next.expect.entry(key).or_default().push(value);
        }
        next.view = view.clone();
        next
    }

    /// One life of the process: opens, goes through the history again, then further; until it is killed, fails or ends.
    fn live(&mut self, checkpoints: u32) -> catchment_contract::Result<()> {
        let mut sink = self.open()?;
        let (mut view, mut epoch) = (self.manifest.view.clone(), self.manifest.epoch);
        // With exactly_once nobody has seen what is lost, and another future will do as well.
        if self.is_exact && self.random.random_bool(0.3) {
            self.history.clear();
        }
        for updates in self.history.clone() {
            epoch += 1;
            for (key, value, diff) in &updates {
                if *diff > 0 {
                    view.insert(key.clone(), value.clone())
                } else {
                    view.remove(key)
                };
            }
            sink.write(vec![batch(&updates, epoch)], epoch)?;
        }
        for _ in 0..checkpoints {
            for _ in 0..self.random.random_range(0..4) {
                epoch += 1;
                let updates = self.updates(&mut view);
                self.history.push(updates.clone());
                let at = self.random.random_range(0..=updates.len());
                let (left, right) = (updates[..at].to_vec(), updates[at..].to_vec());
                sink.write(vec![batch(&left, epoch), batch(&right, epoch)], epoch)?;
            }
            self.checkpoint(&mut sink, epoch, &view)?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, sink: &mut FluvioSink, epoch: Epoch, view: &View) -> catchment_contract::Result<()> {
        let number = self.manifest.number + 1;
        let staged = sink.stage(number, epoch)?;
        if self.is_exact {
            self.check("before it is committed");
        }
        let mut manifest = self.expected(epoch, view);
        manifest.number = number;
        if let Some(staged) = staged.clone() {
            manifest.staged = Some((number, staged));
        }
        self.manifest = manifest;
        self.history.clear();
        if self.random.random_bool(0.1) {
            let partition = self.random.random_range(0..self.spec.topic_spec.partitions);
            write_stranger(&*self.fair, TOPIC, partition, "null");
            self.strangers += 1;
        }
        if let Some(staged) = staged {
            sink.publish(number, &staged)?;
            if self.random.random_bool(0.2) {
                sink.publish(number, &staged)?;
            }
        }
        self.check("after it is published");
        let behind: u64 = sink.figures().partitions.iter().map(|it| it.behind).sum();
        assert_eq!(behind, 0);
        Ok(())
    }

    /// Compares the topic with what is expected of it by the manifest.
    fn check(&self, when: &str) {
        let found = records(&*self.fair, TOPIC);
        let mut by_key: BTreeMap<Option<String>, Vec<Value>> = BTreeMap::new();
        let mut strangers = 0;
        let mut places: BTreeSet<(u32, i64, i32, i64)> = BTreeSet::new();
        for TopicRecord { partition, offset, producer, sequence, key, value } in found {
            if key.as_deref() == Some("stranger") {
                strangers += 1;
                continue;
            }
            assert!(producer > 0 && sequence >= 0, "{partition} {offset}");
            places.insert((partition, producer, sequence, offset));
            let mut value: Value = serde_json::from_str(&value).unwrap();
            if let Some(members) = value.as_object_mut() {
                let time = members.remove("ts_ms").or_else(|| members.remove("_ts_ms")).unwrap();
                assert!(time.as_i64().unwrap() > 1_700_000_000_000);
            }
            let key = if self.format == "append" { value["id"].as_str().map(str::to_owned) } else { key };
            by_key.entry(key).or_default().push(value);
        }
        assert_eq!(strangers, self.strangers);
        self.check_sequences(&places);
        if self.is_exact {
            assert_eq!(by_key, self.manifest.expect, "{when}");
            return;
        }
        // Times repeat with at_least_once; what is left must be the view.
        if self.history.is_empty() {
            self.check_left(by_key, when);
        }
    }

    /// A producer's sequence is in one place of a partition, and sequences go up from place to place.
    fn check_sequences(&self, places: &BTreeSet<(u32, i64, i32, i64)>) {
        let mut last: BTreeMap<(u32, i64), (i32, i64)> = BTreeMap::new();
        for (partition, producer, sequence, offset) in places {
            if let Some((before, at)) = last.insert((*partition, *producer), (*sequence, *offset)) {
                assert!(*offset > at, "sequence {sequence} lies before {before}");
                assert!(before != *sequence || *offset == at + 1, "sequence {sequence} is there twice");
            }
        }
    }

    fn check_left(&self, by_key: BTreeMap<Option<String>, Vec<Value>>, when: &str) {
        let mut left: BTreeMap<Option<String>, Value> = BTreeMap::new();
        for (key, values) in by_key {
            let mut value = values.last().unwrap().clone();
            if self.format == "debezium" {
                value = value["after"].take();
            }
            if let Some(members) = value.as_object_mut() {
                members.remove("_epoch").or_else(|| members.remove("epoch"));
                left.insert(key, value);
            }
        }
        let view: BTreeMap<_, _> = self.manifest.view.iter().map(|(key, it)| (key.clone(), row(key, it))).collect();
        assert_eq!(left, view, "{when}");
    }

    /// Lives until the process has been killed some times and has then ended well.
    fn run(&mut self, lives: u32) {
        for life in 0..lives {
            if let Some(broker) = self.mortal.as_ref().filter(|_| self.random.random_bool(0.5)) {
                broker.lose_power();
            }
            let places = if life + 1 == lives { -1 } else { self.random.random_range(0..80) };
            let checkpoints = self.random.random_range(1..5);
            let rough = if self.random.random_bool(0.5) { self.random.random_range(1..8) } else { 0 };
            let fate = Arc::clone(&self.fate);
            fate.set_rough(if life + 1 == lives { 0 } else { rough });
            match fate.run(places, || self.live(checkpoints)) {
                None => self.kills += 1,
                Some(Ok(())) => {}
                // A call that could not be repeated for ever: as good as a crash, and it must name the cause.
                Some(Err(error)) => {
                    assert!(error.chain().contains("lost") || error.chain().contains("never sent"), "{error:?}")
                }
            }
        }
    }
}

fn run(seed: u64, format: &'static str, is_exact: bool, broker: Arc<dyn Broker>) -> u32 {
    println!("seed {seed}, {format}, exactly once: {is_exact}");
    lived(seed, format, is_exact, broker).kills
}

/// A world after all its lives.
fn lived(seed: u64, format: &'static str, is_exact: bool, broker: Arc<dyn Broker>) -> World {
    lives(World::new(seed, format, is_exact, broker))
}

fn lives(mut world: World) -> World {
    world.run(8);
    assert!(world.manifest.number > 0, "nothing was committed");
    let objects = futures::executor::block_on(async {
        use futures::TryStreamExt;
        use object_store::ObjectStore;
        world.store.list(None).map_ok(|object| object.location.to_string()).try_collect::<Vec<_>>().await.unwrap()
    });
    let staged = world.manifest.staged.as_ref().map(|(_, staged)| staged.0.to_string()).unwrap_or_default();
    for object in objects {
        let name = object.rsplit('/').next().unwrap();
        assert!(staged.contains(name), "{object} was left behind");
    }
    world
}

/// Everything of a run follows from its seed: what the topic holds to the byte (producer ids, times), what the checkpoint's
/// note says (names of objects), and where processes were killed.
#[test]
fn one_seed_is_one_run() {
    let trace = |seed: u64, format| {
        let broker = Arc::new(MemoryBroker::new(seed.is_multiple_of(2)));
        let world = lived(seed, format, true, broker.clone());
        let staged = world.manifest.staged.map(|(n, staged)| (n, staged.0.to_string()));
        (world.kills, staged, broker.bytes("view"))
    };
    for seed in 0..8 {
        for format in ["debezium", "first"] {
            assert_eq!(trace(seed, format), trace(seed, format), "seed {seed}, {format}");
        }
    }
    assert_ne!(trace(1, "debezium"), trace(2, "debezium"));
}

/// `count` seeds from `first` on, or as many as `SEEDS` says.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let count = std::env::var("SEEDS").map_or(count, |text| text.parse().unwrap());
    first..first + count
}

#[test]
fn exactly_once_on_a_broker_that_refuses_repeats_and_one_that_does_not() {
    let mut kills = 0;
    for seed in seeds(0, 400) {
        let format = ["debezium", "upsert", "first", "append"][seed as usize % 4];
        kills += run(seed, format, true, Arc::new(MemoryBroker::new(seed % 8 < 4)));
    }
    println!("{kills} processes were killed");
    assert!(kills > 2 * seeds(0, 400).count() as u32, "only {kills} processes were killed");
}

/// Lost before: a broker whose machine lost power came back with a topic that ended before the checkpoint's end, and every
/// later run failed.
#[test]
fn exactly_once_on_a_broker_that_loses_power() {
    for seed in seeds(3_000_000, 200) {
        let format = ["debezium", "upsert", "first", "append"][seed as usize % 4];
        println!("seed {seed}, {format}");
        let broker = Arc::new(MemoryBroker::new(seed % 8 < 4));
        let mut world = World::new(seed, format, true, broker.clone());
        world.mortal = Some(broker);
        lives(world);
    }
}

#[test]
fn a_broker_that_lies_is_found_out() {
    for lie in [Lie::Forgets, Lie::Doubles] {
        let found = (0..10).filter(|seed| {
            let mut broker = MemoryBroker::new(false);
            broker.lie = Some(lie);
            let format = ["debezium", "upsert"][*seed as usize % 2];
            std::panic::catch_unwind(|| run(*seed, format, true, Arc::new(broker))).is_err()
        });
        assert!(found.count() >= 8, "{lie:?}");
    }
}

#[test]
fn at_least_once_leaves_the_view() {
    for seed in seeds(1_000_000, 100) {
        let format = ["debezium", "upsert"][seed as usize % 2];
        run(seed, format, false, Arc::new(MemoryBroker::new(seed % 4 < 2)));
    }
}

#[test]
fn exactly_once_on_the_embedded_broker() {
    for seed in seeds(2_000_000, 40) {
        let folder = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
        let broker = Embedded::start(options, &Environment::simulated(seed).0).unwrap();
        let format = ["debezium", "upsert", "first", "append"][seed as usize % 4];
        run(seed, format, true, broker);
    }
}

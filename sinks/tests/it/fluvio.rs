//! What a topic's sink writes, and what a person reads when it cannot be.

use crate::common;
use std::sync::Arc;
use std::time::Duration;

use crate::common::broker::{MemoryBroker, records, write_stranger};
use crate::common::options;
use catchment_contract::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use catchment_contract::{Environment, Fault, Lease, Run, Sink, SinkContext, SinkSpec, Staged, UpdateBatch, ViewFacts};
use catchment_sinks::fluvio::{FluvioSink, FluvioSpec};
use catchment_store::{Lake, LakeStore};
use catchment_topics::{Broker, TopicSpec, Topics};
use object_store::memory::InMemory;
use serde_json::{Value, json};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("subreddit", DataType::Utf8View, true),
        Field::new("hour", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("comments", DataType::Int64, true),
    ]))
}

fn view() -> ViewFacts {
    ViewFacts { name: "Sub_Hours".into(), schema: schema(), key: Some(vec![0, 1]), append_only: false }
}

/// The way out that every message names when topic, outbox and checkpoint no longer fit together.
const RESET: &str =
    "add --reset-sink sink once: the topic gets everything again behind what it holds, and all else goes on";

/// Updates of `(subreddit, hour, comments, diff)`.
fn updates(epoch: u64, given: &[(Option<&str>, i64, i64, i64)]) -> Vec<UpdateBatch> {
    let hours = given.iter().map(|it| Some(it.1 * 3_600_000_000)).collect::<TimestampMicrosecondArray>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(given.iter().map(|it| it.0).collect::<StringViewArray>()),
        Arc::new(hours.with_timezone("UTC")),
        Arc::new(given.iter().map(|it| Some(it.2)).collect::<Int64Array>()),
    ];
    vec![UpdateBatch {
        rows: RecordBatch::try_new(schema(), columns).unwrap(),
        epochs: Run::One(epoch),
        diffs: Run::Each(given.iter().map(|it| it.3).collect()),
    }]
}

fn checked(view: &ViewFacts, given: &[(&str, &str)]) -> FluvioSpec {
    let mut options = options(given);
    // Pauses take no time, and a failing broker is borne with for two of them.
    let topics = Topics::new(Environment::simulated(1).0).with_patience(Duration::from_millis(50));
    let spec = FluvioSpec::check("sink", view, &mut options, &topics, &Lake::default()).unwrap();
    options.finish().unwrap();
    spec
}

/// A lake, a broker and what the job's last manifest says of the sink.
struct World {
    store: Arc<InMemory>,
    broker: Arc<MemoryBroker>,
    last: Option<(u64, Staged)>,
}

impl World {
    fn new(broker: MemoryBroker) -> World {
        World { store: Arc::new(InMemory::new()), broker: Arc::new(broker), last: None }
    }

    fn lake(&self) -> LakeStore {
        LakeStore::with_store(self.store.clone(), "memory:///lake/".parse().unwrap(), common::environment()).unwrap()
    }

    /// How many outboxes are in the lake.
    fn outboxes(&self) -> usize {
        self.lake().list("_catchment/job/outbox").unwrap().len()
    }

    fn open(&self, spec: &FluvioSpec) -> catchment_contract::Result<FluvioSink> {
        let last = self.last.as_ref().map(|(n, staged)| (*n, staged));
        FluvioSink::open(spec.clone(), self.lake(), self.broker.clone(), &SinkContext::alone("job"), last)
    }

    fn commit(&mut self, sink: &mut FluvioSink, n: u64) -> bool {
        let staged = sink.stage(n, n * 10).unwrap();
        if let Some(staged) = staged {
            self.last = Some((n, staged));
            return true;
        }
        false
    }

    fn checkpoint(&mut self, sink: &mut FluvioSink, n: u64) {
        if self.commit(sink, n) {
            sink.publish(n, &self.last.as_ref().unwrap().1).unwrap();
        }
    }

    /// Keys and values, without the times of publishing.
    fn records(&self, topic: &str) -> Vec<(Option<String>, Value)> {
        let read = |record: common::broker::TopicRecord| {
            let mut value: Value = serde_json::from_str(&record.value).unwrap();
            if let Some(members) = value.as_object_mut() {
                members.remove("ts_ms").or_else(|| members.remove("_ts_ms"));
            }
            (record.key, value)
        };
        records(&*self.broker, topic).into_iter().map(read).collect()
    }
}

fn row(subreddit: Option<&str>, hour: i64, comments: i64) -> Value {
    json!({"subreddit": subreddit, "hour": format!("1970-01-01T{hour:02}:00:00.000000Z"), "comments": comments})
}

fn with_epoch(mut row: Value, epoch: u64) -> Value {
    row["_epoch"] = json!(epoch);
    row
}

#[test]
fn debezium_tells_what_was_and_what_is() {
    let mut world = World::new(MemoryBroker::new(true));
    let spec = checked(&view(), &[]);
    assert_eq!(spec.describe(), "topic \"sub-hours\", debezium keyed by subreddit, hour, exactly once");
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(1, &[(Some("rust"), 1, 5, 1), (None, 2, 1, 1), (Some("gone"), 3, 1, 1)]), 1).unwrap();
    sink.write(updates(2, &[(Some("gone"), 3, 1, -1)]), 2).unwrap();
    world.checkpoint(&mut sink, 1);
    sink.write(updates(11, &[(Some("rust"), 1, 5, -1), (Some("rust"), 1, 6, 1), (None, 2, 1, -1)]), 11).unwrap();
    world.checkpoint(&mut sink, 2);
    sink.write(Vec::new(), 21).unwrap();
    world.checkpoint(&mut sink, 3);
    assert!(!world.commit(&mut sink, 4), "nothing changed");
    let rust = Some("[\"rust\",\"1970-01-01T01:00:00.000000Z\"]".to_owned());
    let none = Some("[null,\"1970-01-01T02:00:00.000000Z\"]".to_owned());
    let change = |before: Value, after: Value, op: &str, epoch: u64| json!({"before": before, "after": after, "op": op, "epoch": epoch});
    assert_eq!(
        world.records("sub-hours"),
        [
            (rust.clone(), change(Value::Null, row(Some("rust"), 1, 5), "c", 10)),
            (none.clone(), change(Value::Null, row(None, 2, 1), "c", 10)),
            (rust, change(row(Some("rust"), 1, 5), row(Some("rust"), 1, 6), "u", 20)),
            (none, change(row(None, 2, 1), Value::Null, "d", 20)),
        ]
    );
    let figures = sink.figures();
    assert_eq!((figures.rows, figures.partitions[0].offset, figures.partitions[0].behind), (4, 4, 0));
}

#[test]
fn upsert_is_rows_and_tombstones() {
    let mut world = World::new(MemoryBroker::new(true));
    let facts = ViewFacts { key: Some(vec![0]), ..view() };
    let spec = checked(&facts, &[("format", "upsert"), ("topic", "t"), ("key", "Subreddit")]);
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(1, &[(Some("a \"b\""), 1, 5, 1), (None, 2, 1, 1)]), 1).unwrap();
    world.checkpoint(&mut sink, 1);
    sink.write(updates(2, &[(Some("a \"b\""), 1, 5, -1), (None, 2, 1, -1), (None, 3, 1, 1)]), 2).unwrap();
    world.checkpoint(&mut sink, 2);
    let key = || Some("a \"b\"".to_owned());
    assert_eq!(
        world.records("t"),
        [
            (key(), with_epoch(row(key().as_deref(), 1, 5), 10)),
            (None, with_epoch(row(None, 2, 1), 10)),
            (key(), Value::Null),
            (None, with_epoch(row(None, 3, 1), 20)),
        ]
    );
}

#[test]
fn append_takes_partitions_in_turns_a_chunk_at_a_time() {
    let mut world = World::new(MemoryBroker::new(true));
    let facts = ViewFacts { append_only: true, key: None, ..view() };
    let mut spec = checked(&facts, &[("format", "append"), ("partitions", "3")]);
    spec.batch_bytes = 300;
    let mut ends = Vec::new();
    for n in 1..5 {
        let mut sink = world.open(&spec).unwrap();
        let rows: Vec<_> = (0..4).map(|hour| (Some("a"), hour, n as i64, 1)).collect();
        sink.write(updates(n, &rows), n).unwrap();
        world.checkpoint(&mut sink, n);
        ends = sink.figures().partitions.iter().map(|it| it.offset).collect();
    }
    let found = world.records("sub-hours");
    assert_eq!(found.len(), 16);
    // Two chunks of two rows a checkpoint: the turn goes on where the last life left it.
    assert_eq!(ends, [6, 6, 4]);
    assert!(found.iter().all(|(key, value)| key.is_none() && value["subreddit"] == "a"));
}

#[test]
fn each_key_once_and_as_it_first_appeared() {
    let mut world = World::new(MemoryBroker::new(true));
    let given = [("format", "append"), ("emit", "first"), ("key", "subreddit")];
    for delivery in ["exactly_once", "at_least_once"] {
        world.last = None;
        let mut given = given.to_vec();
        given.extend([("delivery", delivery), ("topic", if delivery == "exactly_once" { "e" } else { "a" })]);
        let spec = checked(&view(), &given);
        let mut sink = world.open(&spec).unwrap();
        sink.write(updates(1, &[(Some("a"), 1, 5, 1), (Some("b"), 1, 1, 1)]), 1).unwrap();
        sink.write(updates(2, &[(Some("a"), 1, 5, -1), (Some("a"), 1, 6, 1), (Some("b"), 1, 1, -1)]), 2).unwrap();
        world.checkpoint(&mut sink, 1);
        let mut sink = world.open(&spec).unwrap();
        sink.write(updates(11, &[(Some("a"), 1, 6, -1), (Some("c"), 2, 2, 1)]), 11).unwrap();
        world.checkpoint(&mut sink, 2);
        let mut sink = world.open(&spec).unwrap();
        sink.write(updates(21, &[(Some("a"), 1, 7, 1), (Some("c"), 3, 3, 1)]), 21).unwrap();
        world.checkpoint(&mut sink, 3);
        let found = world.records(&spec.topic);
        let key = |key: &str| Some(key.to_owned());
        let expect = if delivery == "exactly_once" {
            vec![(key("a"), with_epoch(row(Some("a"), 1, 6), 10)), (key("c"), with_epoch(row(Some("c"), 2, 2), 20))]
        } else {
            vec![
                (key("a"), with_epoch(row(Some("a"), 1, 5), 1)),
                (key("b"), with_epoch(row(Some("b"), 1, 1), 1)),
                (key("c"), with_epoch(row(Some("c"), 2, 2), 11)),
            ]
        };
        assert_eq!(found, expect, "{delivery}");
    }
}

#[test]
fn at_least_once_publishes_as_epochs_close() {
    let mut world = World::new(MemoryBroker::new(true));
    let spec = checked(&view(), &[("delivery", "at_least_once"), ("format", "upsert"), ("key", "subreddit, hour")]);
    let mut sink = world.open(&spec).unwrap();
    let mut both = updates(1, &[(Some("a"), 1, 5, 1)]);
    both.extend(updates(2, &[(Some("a"), 1, 5, -1), (Some("a"), 1, 6, 1)]));
    sink.write(both, 2).unwrap();
    let epochs = |world: &World| -> Vec<Value> {
        world.records("sub-hours").iter().map(|(_, value)| value["_epoch"].clone()).collect()
    };
    assert_eq!(epochs(&world), [json!(1), json!(2)], "before any checkpoint");
    world.checkpoint(&mut sink, 1);
    sink.write(updates(3, &[(Some("a"), 1, 6, -1)]), 3).unwrap();
    drop(sink);
    // What came after the checkpoint comes again, and is not refused as a repetition.
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(3, &[(Some("a"), 1, 6, -1)]), 3).unwrap();
    assert_eq!(world.records("sub-hours").len(), 4);
    // The same sink may go on exactly once, though its last sequences are in no checkpoint.
    world.checkpoint(&mut sink, 2);
    sink.write(updates(4, &[(Some("b"), 1, 6, 1)]), 4).unwrap();
    let spec = checked(&view(), &[("format", "upsert")]);
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(4, &[(Some("c"), 1, 6, 1)]), 4).unwrap();
    world.checkpoint(&mut sink, 3);
    assert_eq!(world.records("sub-hours").last().unwrap().1, with_epoch(row(Some("c"), 1, 6), 30));
}

#[test]
fn records_over_the_limit_are_rejects_with_their_keys() {
    let large = "x".repeat(200_000);
    // The second broker does not say its limit, and refuses.
    for says_bytes_max in [100_000, 16 << 20] {
        let mut broker = MemoryBroker::new(true);
        (broker.says_bytes_max, broker.bytes_max) = (says_bytes_max, 100_000);
        let mut world = World::new(broker);
        let spec = checked(&ViewFacts { key: Some(vec![1]), ..view() }, &[("key", "hour"), ("format", "upsert")]);
        for delivery in ["exactly_once", "at_least_once"] {
            let mut spec = spec.clone();
            spec.topic = delivery.replace('_', "-");
            if delivery == "at_least_once" {
                spec.delivery = catchment_sinks::fluvio::Delivery::AtLeastOnce;
            }
            world.last = None;
            let mut sink = world.open(&spec).unwrap();
            let rows = [(Some("a"), 1, 1, 1), (Some(large.as_str()), 2, 1, 1), (Some("c"), 3, 1, 1)];
            sink.write(updates(1, &rows), 1).unwrap();
            world.checkpoint(&mut sink, 1);
            let rejects = sink.take_rejects();
            assert_eq!(rejects.len(), 1, "{delivery} {says_bytes_max}");
            let place = format!("topic {}, key 1970-01-01T02:00:00.000000Z", spec.topic);
            assert_eq!(rejects[0].position, place);
            assert!(rejects[0].reason.starts_with("a record "), "{}", rejects[0].reason);
            assert!(rejects[0].raw.as_ref().unwrap().starts_with("{\"subreddit\":\"xxx"));
            assert!(sink.take_rejects().is_empty());
            let keys: Vec<_> = world.records(&spec.topic).into_iter().map(|(key, _)| key.unwrap()).collect();
            assert_eq!(keys, ["1970-01-01T01:00:00.000000Z", "1970-01-01T03:00:00.000000Z"]);
            assert_eq!(sink.figures().rows, 2);
            // The sink goes on.
            sink.write(updates(2, &[(Some("d"), 4, 1, 1)]), 2).unwrap();
            world.checkpoint(&mut sink, 2);
            assert_eq!(world.records(&spec.topic).len(), 3);
        }
    }
}

#[test]
fn a_large_record_waits_when_it_is_not_its_size_that_is_refused() {
    let mut world = World::new(MemoryBroker::new(true));
    let spec = checked(&view(), &[]);
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(1, &[(Some("x".repeat(200_000).as_str()), 1, 1, 1)]), 1).unwrap();
    assert!(world.commit(&mut sink, 1));
    world.broker.be_away_once("sub-hours");
    let staged = &world.last.as_ref().unwrap().1;
    assert_eq!(sink.publish(1, staged).unwrap_err().to_string(), "what answers is no broker");
    assert!(sink.take_rejects().is_empty());
    world.open(&spec).unwrap();
    assert_eq!(world.records("sub-hours").len(), 1);
}

#[test]
fn sequences_begin_anew_under_another_producer() {
    let mut world = World::new(MemoryBroker::new(true));
    let spec = checked(&view(), &[]);
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(1, &[(Some("a"), 1, 1, 1)]), 1).unwrap();
    world.checkpoint(&mut sink, 1);
    // As if two thousand million checkpoints had passed.
    let (_, Staged(note)) = world.last.as_mut().unwrap();
    note["outbox"] = Value::Null;
    note["partitions"][0] = json!({"offset": 1, "sequence": i32::MAX - 10, "chunks": 0, "records": 0, "bytes": 0});
    let mut sink = world.open(&spec).unwrap();
    for n in 2..5 {
        sink.write(updates(n, &[(Some("a"), n as i64, 1, 1)]), n).unwrap();
        world.checkpoint(&mut sink, n);
    }
    let found = records(&*world.broker, "sub-hours");
    assert_eq!(found.iter().map(|record| record.sequence).collect::<Vec<_>>(), [0, 0, 1, 2]);
    assert_ne!(found[0].producer, found[1].producer);
    assert_eq!(found[1].producer, found[3].producer);
}

#[test]
fn a_topic_is_made_as_the_sink_says() {
    let world = World::new(MemoryBroker::new(true));
    world.open(&checked(&view(), &[("partitions", "4"), ("retention", "36h"), ("replication", "1")])).unwrap();
    let facts = world.broker.topic("sub-hours").unwrap().unwrap();
    assert_eq!((facts.partitions, facts.retention), (4, Some(Duration::from_secs(36 * 3600))));
}

#[test]
fn more_partitions_change_nothing_for_the_keys() {
    let mut world = World::new(MemoryBroker::new(true));
    let spec = checked(&view(), &[("partitions", "2")]);
    let mut sink = world.open(&spec).unwrap();
    let rows: Vec<_> = (0..20).map(|hour| (Some("a"), hour, 1, 1)).collect();
    sink.write(updates(1, &rows), 1).unwrap();
    world.checkpoint(&mut sink, 1);
    world.broker.widen("sub-hours", 5);
    let mut sink = world.open(&spec).unwrap();
    let rows: Vec<_> = rows.iter().flat_map(|it| [(it.0, it.1, 1, -1), (it.0, it.1, 2, 1)]).collect();
    sink.write(updates(2, &rows), 2).unwrap();
    world.checkpoint(&mut sink, 2);
    let mut places = std::collections::BTreeMap::new();
    for record in records(&*world.broker, "sub-hours") {
        let first = *places.entry(record.key).or_insert(record.partition);
        assert_eq!(first, record.partition);
    }
    assert_eq!(places.len(), 20);
}

/// The message of an open that must fail.
fn refused(world: &World, spec: &FluvioSpec) -> (Fault, String) {
    let error = world.open(spec).map(|_| ()).unwrap_err();
    (error.fault(), error.chain())
}

#[test]
fn topics_that_cannot_be_written() {
    let mut world = World::new(MemoryBroker::new(true));
    let spec = checked(&view(), &[]);
    world.broker.create("sub-hours", &TopicSpec::default()).unwrap();
    world.broker.set_rebuilt("sub-hours");
    assert_eq!(
        refused(&world, &spec),
        (
            Fault::User,
            "topic \"sub-hours\" has transforms or deduplication: the server rewrites our batches and drops the headers \
             by which each record is published once; make the topic without them, and transform in the view or \
             in what reads the topic"
                .into()
        )
    );
    world.broker.delete("sub-hours").unwrap();
    let mut sink = world.open(&spec).unwrap();
    for n in 1..4 {
        sink.write(updates(n, &[(Some("a"), n as i64, 1, 1)]), n).unwrap();
        world.checkpoint(&mut sink, n);
    }
    let mut other = spec.clone();
    other.topic = "elsewhere".into();
    assert_eq!(
        refused(&world, &other).1,
        format!("the sink wrote to topic \"sub-hours\" until its last checkpoint; keep that name, or {RESET}")
    );
    world.broker.delete("sub-hours").unwrap();
    assert_eq!(
        refused(&world, &spec),
        (Fault::Data, format!("topic \"sub-hours\" is gone, and the last checkpoint had published to it; {RESET}"))
    );
    world.broker.create("sub-hours", &TopicSpec::default()).unwrap();
    write_stranger(&*world.broker, "sub-hours", 0, "null");
    assert_eq!(
        refused(&world, &spec),
        (
            Fault::Data,
            format!(
                "partition 0 of topic \"sub-hours\" ends at offset 1, but ended at 2 before: it was deleted \
                 and made anew, or its broker lost records; {RESET}"
            )
        )
    );
}

#[test]
fn a_job_that_slept_for_longer_than_records_are_kept() {
    for strangers in [false, true] {
        for published in [false, true] {
            let mut world = World::new(MemoryBroker::new(false));
            let spec = checked(&view(), &[]);
            let mut sink = world.open(&spec).unwrap();
            sink.write(updates(1, &[(Some("a"), 1, 1, 1), (Some("b"), 1, 1, 1)]), 1).unwrap();
            assert!(world.commit(&mut sink, 1));
            if published {
                sink.publish(1, &world.last.as_ref().unwrap().1).unwrap();
            }
            if strangers {
                write_stranger(&*world.broker, "sub-hours", 0, "null");
            }
            world.broker.evict_all("sub-hours");
            let opened = world.open(&spec);
            let end = world.broker.partition("sub-hours", 0).unwrap().bounds().unwrap().end;
            if strangers {
                let message = opened.map(|_| ()).unwrap_err().chain();
                let expect = "partition 0 of topic \"sub-hours\" no longer keeps its records from offset 0, so that nobody \
                              can tell which of the last checkpoint's are in it";
                assert!(message.starts_with(expect) && message.ends_with(RESET), "{message}");
            } else {
                opened.unwrap();
                assert_eq!(end, 2, "published once, whenever: {published}");
            }
        }
    }
}

#[test]
fn a_sink_that_rests_while_its_job_goes_on() {
    let mut world = World::new(MemoryBroker::new(false));
    let spec = checked(&view(), &[]);
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(1, &[(Some("a"), 1, 1, 1)]), 1).unwrap();
    world.checkpoint(&mut sink, 1);
    assert_eq!(world.outboxes(), 1);
    world.checkpoint(&mut sink, 2);
    assert_eq!(world.last.as_ref().unwrap().0, 2, "the note says that checkpoint 1 is published");
    assert_eq!(world.outboxes(), 0);
    world.checkpoint(&mut sink, 3);
    assert_eq!(world.last.as_ref().unwrap().0, 2, "once");
    write_stranger(&*world.broker, "sub-hours", 0, "null");
    world.broker.evict_all("sub-hours");
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(4, &[(Some("b"), 1, 1, 1)]), 4).unwrap();
    world.checkpoint(&mut sink, 4);
    assert_eq!(world.broker.partition("sub-hours", 0).unwrap().bounds().unwrap().end, 3);
}

#[test]
fn a_lake_that_was_put_back_from_an_older_copy() {
    for refuses in [false, true] {
        let mut world = World::new(MemoryBroker::new(refuses));
        let spec = checked(&view(), &[]);
        let mut sink = world.open(&spec).unwrap();
        sink.write(updates(1, &[(Some("a"), 1, 1, 1)]), 1).unwrap();
        world.checkpoint(&mut sink, 1);
        world.checkpoint(&mut sink, 2);
        let older = world.last.clone();
        sink.write(updates(3, &[(Some("b"), 1, 1, 1)]), 3).unwrap();
        world.checkpoint(&mut sink, 3);
        world.last = older;
        let (fault, message) = refused(&world, &spec);
        assert_eq!(fault, Fault::Data);
        let expect =
            "partition 0 of topic \"sub-hours\" holds records at offset 1 that the sink published after its last";
        assert!(message.starts_with(expect), "{message}");
    }
}

#[test]
fn a_sink_whose_records_are_others_now() {
    let mut world = World::new(MemoryBroker::new(true));
    let mut sink = world.open(&checked(&view(), &[])).unwrap();
    sink.write(updates(1, &[(Some("a"), 1, 1, 1)]), 1).unwrap();
    world.checkpoint(&mut sink, 1);
    assert_eq!(
        refused(&world, &checked(&view(), &[("format", "upsert")])),
        (
            Fault::User,
            format!(
                "the records of topic \"sub-hours\" were debezium keyed by subreddit, hour until the sink's last \
                 checkpoint, and are upsert keyed by subreddit, hour now; write format, key and emit as they were, or {RESET}"
            )
        )
    );
}

#[test]
fn what_a_newer_run_left_is_not_removed() {
    struct Lost;
    impl Lease for Lost {
        fn is_held(&self) -> catchment_contract::Result<bool> {
            Ok(false)
        }
    }
    let mut world = World::new(MemoryBroker::new(true));
    let spec = checked(&view(), &[]);
    let mut sink = world.open(&spec).unwrap();
    sink.write(updates(1, &[(Some("a"), 1, 1, 1)]), 1).unwrap();
    assert!(world.commit(&mut sink, 1));
    world.last = None;
    let context = SinkContext { lease: Arc::new(Lost), ..SinkContext::alone("job") };
    FluvioSink::open(spec.clone(), world.lake(), world.broker.clone(), &context, None).unwrap();
    assert_eq!(world.outboxes(), 1);
    world.open(&spec).unwrap();
    assert_eq!(world.outboxes(), 0);
}

#[test]
fn a_partition_that_lost_records_while_the_sink_writes() {
    for refuses in [false, true] {
        let mut world = World::new(MemoryBroker::new(refuses));
        let mut sink = world.open(&checked(&view(), &[])).unwrap();
        sink.write(updates(1, &[(Some("a"), 1, 1, 1)]), 1).unwrap();
        world.checkpoint(&mut sink, 1);
        match refuses {
            false => world.broker.lose_all("sub-hours"),
            true => world.broker.remember_too_much("sub-hours"),
        }
        sink.write(updates(2, &[(Some("b"), 1, 1, 1)]), 2).unwrap();
        assert!(world.commit(&mut sink, 2));
        let error = sink.publish(2, &world.last.as_ref().unwrap().1).unwrap_err();
        let expect = match refuses {
            false => "partition 0 of topic \"sub-hours\" ends at offset 0, but ended at 1 before",
            true => "partition 0 of topic \"sub-hours\" refuses a batch as repeated, and does not hold it",
        };
        assert!(error.chain().starts_with(expect), "{}", error.chain());
        assert_eq!(error.fault(), Fault::Data);
    }
}

/// Every byte flipped, emptied, cut, removed: refused by the object's name, with the way out.
#[test]
fn an_outbox_or_keys_that_are_gone_or_damaged() {
    let given = [("format", "append"), ("emit", "first"), ("key", "subreddit")];
    for (object, given) in [("outbox", &[][..]), ("outbox", &given), ("keys", &given)] {
        let mut world = World::new(MemoryBroker::new(true));
        let spec = checked(&view(), given);
        let mut sink = world.open(&spec).unwrap();
        sink.write(updates(1, &[(Some("a"), 1, 1, 1)]), 1).unwrap();
        assert!(world.commit(&mut sink, 1));
        let path = world.last.as_ref().unwrap().1.0[object]["path"].as_str().unwrap().to_owned();
        let memory = "memory:///lake/".parse().unwrap();
        let lake = LakeStore::with_store(world.store.clone(), memory, common::environment()).unwrap();
        let bytes = lake.get(&path).unwrap().unwrap();
        let flipped = (0..bytes.len()).map(|at| [&bytes[..at], &[bytes[at] ^ 1], &bytes[at + 1..]].concat());
        let cut = [0, 1, bytes.len() / 2, bytes.len() - 1].map(|end| bytes[..end].to_vec());
        for damaged in flipped.chain(cut).chain([[&bytes[..], &[0]].concat()]) {
            lake.put(&path, damaged).unwrap();
            let (fault, message) = refused(&world, &spec);
            assert_eq!(fault, Fault::Data);
            let expect =
                format!("\"{path}\" is not what the last checkpoint wrote; restore it from a copy, or {RESET}");
            assert_eq!(message, expect);
        }
        lake.delete(&path).unwrap();
        let (_, message) = refused(&world, &spec);
        let expect = format!("\"{path}\" is gone, and the last checkpoint needs it; put it back, or {RESET}");
        assert_eq!(message, expect);
        lake.put(&path, bytes).unwrap();
        world.open(&spec).unwrap();
        assert_eq!(world.records("sub-hours").len(), 1);
        if object == "outbox" {
            // Once all of it is in the topic it is not needed.
            lake.delete(&path).unwrap();
            world.open(&spec).unwrap();
        }
    }
}

/// The message of a check that must fail.
fn wrong(facts: &ViewFacts, given: &[(&str, &str)]) -> String {
    let mut options = options(given);
    let checked = FluvioSpec::check("sink", facts, &mut options, &Topics::default(), &Lake::default());
    let error = checked.map(|_| ()).and_then(|()| options.finish()).unwrap_err();
    assert_eq!(error.fault(), Fault::User);
    error.chain()
}

#[test]
fn options_that_do_not_fit() {
    let facts = view();
    let at = "line 3, column 10: ";
    for (given, expect) in [
        (
            ("key", "subredit"),
            "key of sink \"lake\": \"Sub_Hours\" has no column \"subredit\"; did you mean \"subreddit\"?",
        ),
        (
            ("key", "subreddit, x"),
            "key of sink \"lake\": \"Sub_Hours\" has no column \"x\"; its columns are subreddit, hour, comments",
        ),
        (("key", "hour, Hour"), "key of sink \"lake\" names \"hour\" twice"),
        (
            ("key", "subreddit"),
            "sink \"lake\" cannot be keyed by subreddit: several rows of \"Sub_Hours\" may share it; write key = 'subreddit, hour', \
             which is unique in it",
        ),
        (
            ("format", "avro"),
            "option \"format\" of sink \"lake\" cannot be 'avro'; write one of 'debezium', 'upsert', 'append'",
        ),
        (
            ("format", "append"),
            "sink \"lake\" cannot append: \"Sub_Hours\" can take rows back; write format = 'debezium' or 'upsert' to publish \
             changes, or emit = 'first' to publish each key once, as it first appears",
        ),
        (
            ("delivery", "at_most_once"),
            "option \"delivery\" of sink \"lake\" cannot be 'at_most_once'; write one of 'exactly_once', 'at_least_once'",
        ),
        (
            ("emit", "first"),
            "sink \"lake\" has emit = 'first', which goes with format = 'append' only; write format = 'append', or leave emit \
             out",
        ),
        (("emit", "final"), "option \"emit\" of sink \"lake\" cannot be 'final'; write one of 'all', 'first'"),
        (
            ("topic", "Video_Buzz"),
            "sink \"lake\" cannot use \"Video_Buzz\" as the name of a topic; write topic = '…' with lower-case letters, digits \
             and '-' between them, at most 63",
        ),
        (
            ("topic", "-a"),
            "sink \"lake\" cannot use \"-a\" as the name of a topic; write topic = '…' with lower-case letters, digits and '-' \
             between them, at most 63",
        ),
        (("partitions", "0"), "option \"partitions\" of sink \"lake\" cannot be '0'; write a number from 1 to 1024"),
        (
            ("replication", "two"),
            "option \"replication\" of sink \"lake\" cannot be 'two'; write a number from 1 to 16",
        ),
        (
            ("retention", "7 days"),
            "option \"retention\" of sink \"lake\" cannot be '7 days'; write a whole number with s, m, h, d or w: '7d', '36h'",
        ),
        (
            ("retention", "99999999999999999w"),
            "option \"retention\" of sink \"lake\" cannot be '99999999999999999w'; write a whole number with s, m, h, d or w: \
             '7d', '36h'",
        ),
        (
            ("batch_bytes", "1000000"),
            "option \"batch_bytes\" of sink \"lake\" cannot be '1000000'; write a number from 65536 to 262144",
        ),
        (("partition", "2"), "sink \"lake\" has no option \"partition\"; did you mean \"partitions\"?"),
    ] {
        assert_eq!(wrong(&facts, &[given]), format!("{at}{expect}"));
    }
}

#[test]
fn relations_without_a_key() {
    let facts = ViewFacts { key: None, ..view() };
    assert_eq!(
        wrong(&facts, &[]),
        "sink \"lake\" needs the option \"key\"; write key = '…' with the columns that name a row of \"Sub_Hours\""
    );
    assert_eq!(
        wrong(&facts, &[("key", "hour")]),
        "line 3, column 10: sink \"lake\" cannot be keyed by hour: several rows of \"Sub_Hours\" may share it; GROUP BY these \
         columns in the view, so that a row is the only one of its key, or write format = 'append' with emit = 'first' to \
         publish each key once"
    );
    // More columns than the key are as unique; a relation of one row has any key.
    assert_eq!(checked(&view(), &[("key", "comments,hour,subreddit")]).key, [2, 1, 0]);
    assert_eq!(checked(&ViewFacts { key: Some(vec![]), ..view() }, &[("key", "hour")]).key, [1]);
    let fields = vec![Field::new("_epoch", DataType::Int64, true)];
    let facts = ViewFacts { schema: Arc::new(Schema::new(fields)), key: Some(vec![0]), ..view() };
    assert_eq!(
        wrong(&facts, &[("format", "upsert")]),
        "records of sink \"lake\" would have two fields named \"_epoch\"; give the view's column another name: … AS name"
    );
    assert_eq!(checked(&facts, &[]).key, [0]);
}

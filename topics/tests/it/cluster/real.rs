//! The same client against a real cluster, where `FLUVIO_ENDPOINT` names one's controller; without it these tests say so
//! and do nothing. `FLUVIO_PROFILE` names a profile for its TLS settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use catchment_contract::{ErrorKind, Fault, Outcome};
use catchment_topics::batch::{BatchBuilder, Producer};
use catchment_topics::cluster::ClusterOptions;
use catchment_topics::scan::last_sequence;
use catchment_topics::{Bounds, Broker, Fetched, TopicSpec};

use super::{connect, numbered, options, read_to_end};

/// A topic of its own, deleted again.
struct Topic {
    broker: Arc<dyn Broker>,
    name: String,
}

impl Topic {
    fn create(purpose: &str, spec: &TopicSpec) -> Option<Topic> {
        let Ok(endpoint) = std::env::var("FLUVIO_ENDPOINT") else {
            println!("FLUVIO_ENDPOINT is not set: nothing is tested");
            return None;
        };
        let options = ClusterOptions { profile: std::env::var("FLUVIO_PROFILE").ok(), ..options(endpoint) };
        let broker = connect(options).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let name = format!("catchment-{purpose}-{}-{now}", std::process::id());
        let begun = Instant::now();
        broker.create(&name, spec).unwrap();
        println!("{}: topic {name} can be used after {:?}", broker.describe(), begun.elapsed());
        Some(Topic { broker, name })
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        if let Err(error) = self.broker.delete(&self.name) {
            println!("{}", error.chain());
        }
    }
}

const WRITER: Producer = Producer { id: 77, epoch: 1 };

#[test]
fn what_is_written_is_read_whatever_is_cut() {
    let Some(topic) = Topic::create("read", &TopicSpec::default()) else { return };
    let mut client = topic.broker.partition(&topic.name, 0).unwrap();
    assert_eq!(client.bounds().unwrap(), Bounds::default());
    let (mut sequence, mut end) = (0, 0);
    for records in [1, 3000, 2, 40_000, 1, 1, 500] {
        assert_eq!(client.produce(&numbered(end, records, WRITER, sequence)).unwrap(), end as i64);
        sequence += 1;
        end += records;
        assert_eq!(client.bounds().unwrap(), Bounds { start: 0, end: end as i64 });
    }
    for max_bytes in [64, 10_000, 1 << 20, 8 << 20] {
        let begun = Instant::now();
        let read = read_to_end(&mut *client, 0, max_bytes);
        println!("max_bytes {max_bytes}: {} records in {:?}", read.len(), begun.elapsed());
        assert_eq!(read.len() as u64, end);
        let expect = |index: usize| (index as i64, format!("value of record {index}").into_bytes());
        assert!(read.iter().enumerate().all(|(index, record)| *record == expect(index)));
    }
    // From the middle of a batch.
    assert_eq!(read_to_end(&mut *client, 1500, 64)[0].0, 1500);
    assert_eq!(last_sequence(&mut *client, 0, 77).unwrap(), Some((6, end as i64)));
    assert_eq!(last_sequence(&mut *client, 0, 78).unwrap(), None);
}

#[test]
fn the_ends_of_a_partition_are_told() {
    let Some(topic) = Topic::create("ends", &TopicSpec { partitions: 3, ..TopicSpec::default() }) else { return };
    let mut client = topic.broker.partition(&topic.name, 2).unwrap();
    client.produce(&numbered(0, 10, WRITER, 0)).unwrap();
    assert_eq!(client.fetch(10, 1000).unwrap(), Fetched::Batches { bytes: Default::default(), next: 10 });
    let error = client.fetch(12, 1000).unwrap_err();
    assert_eq!(error.fault(), Fault::Data, "{}", error.chain());
    assert!(error.chain().contains("offset 12 lies beyond the end, 10"), "{}", error.chain());
    assert!(!client.wait(10, Duration::from_millis(50)).unwrap());
    assert!(client.wait(9, Duration::ZERO).unwrap());
}

#[test]
fn a_batch_over_the_limit_is_refused_and_one_below_is_taken() {
    let Some(topic) = Topic::create("large", &TopicSpec::default()) else { return };
    let mut client = topic.broker.partition(&topic.name, 0).unwrap();
    let mut builder = BatchBuilder::new();
    let mut large = |bytes: usize| {
        builder.push(Some(b"key"), &vec![b'x'; bytes]);
        builder.finish(WRITER, 0, 1)
    };
    let error = client.produce(&large(33 << 20)).unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::TooLarge, Outcome::NotApplied));
    assert_eq!(client.produce(&large(30 << 20)).unwrap(), 0);
    assert_eq!(read_to_end(&mut *client, 0, 64)[0].1.len(), 30 << 20);
}

#[test]
fn topics_are_found_refused_and_gone() {
    let spec = TopicSpec { partitions: 2, retention: Some(Duration::from_secs(3600)), ..TopicSpec::default() };
    let Some(topic) = Topic::create("facts", &spec) else { return };
    let facts = topic.broker.topic(&topic.name).unwrap().unwrap();
    assert_eq!((facts.partitions, facts.system, facts.rebuilt), (2, false, false));
    assert_eq!(facts.retention, spec.retention);
    assert!(topic.broker.topics().unwrap().contains(&facts));
    assert_eq!(topic.broker.create(&topic.name, &spec).unwrap_err().kind(), ErrorKind::Taken);
    let error = topic.broker.create("No Topic", &spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{}", error.chain());
    assert_eq!(topic.broker.delete("catchment-absent").unwrap_err().kind(), ErrorKind::NotFound);
    let Err(error) = topic.broker.partition(&topic.name, 2) else { panic!("it is there") };
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn more_copies_than_storage_units_are_given_up_with_the_reason() {
    let Some(topic) = Topic::create("copies", &TopicSpec::default()) else { return };
    let options = ClusterOptions { connect_timeout: Duration::from_secs(3), ..options(topic.broker.address()) };
    let broker = connect(ClusterOptions { profile: std::env::var("FLUVIO_PROFILE").ok(), ..options }).unwrap();
    let many = Topic { broker, name: format!("{}-many", topic.name) };
    let error = many.broker.create(&many.name, &TopicSpec { replication: 99, ..TopicSpec::default() }).unwrap_err();
    assert!(error.chain().contains("there are fewer storage units than topic"), "{}", error.chain());
}

/// With `FLUVIO_RESTART` naming a program that kills the storage unit and starts it again: a writer goes on through
/// `RESTARTS` of them (3 by default), every outcome that was unknown settled by a scan.
#[test]
fn a_killed_storage_unit_loses_and_doubles_nothing() {
    let Ok(program) = std::env::var("FLUVIO_RESTART") else {
        println!("FLUVIO_RESTART is not set: nothing is tested");
        return;
    };
    let Some(topic) = Topic::create("kills", &TopicSpec::default()) else { return };
    let restarts = std::env::var("RESTARTS").map_or(3, |count| count.parse().unwrap());
    let done = AtomicBool::new(false);
    let (written, unknown) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut client = topic.broker.partition(&topic.name, 0).unwrap();
            let (mut end, mut sequence, mut unknown) = (0, 0, 0);
            while !done.load(Ordering::Relaxed) {
                let batch = numbered(end, 500, WRITER, sequence);
                match client.produce(&batch) {
                    Ok(offset) => assert_eq!(offset, end as i64),
                    Err(error) => {
                        unknown += 1;
                        assert_eq!(error.outcome(), Outcome::Unknown, "{}", error.chain());
                        if last_sequence(&mut *client, end as i64, WRITER.id).unwrap().is_none() {
                            continue;
                        }
                    }
                }
                (end, sequence) = (end + 500, sequence + 1);
            }
            (end, unknown)
        });
        for _ in 0..restarts {
            assert!(std::process::Command::new(&program).status().unwrap().success());
        }
        done.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    let mut client = topic.broker.partition(&topic.name, 0).unwrap();
    assert_eq!(client.bounds().unwrap(), Bounds { start: 0, end: written as i64 });
    let read = read_to_end(&mut *client, 0, 4 << 20);
    println!("{written} records through {restarts} kills, {unknown} writes of unknown outcome");
    assert_eq!(read.len() as u64, written);
    let expect = |index: usize| (index as i64, format!("value of record {index}").into_bytes());
    assert!(read.iter().enumerate().all(|(index, record)| *record == expect(index)));
}

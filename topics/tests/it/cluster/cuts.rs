//! The embedded broker behind a network that cuts connections anywhere, both ways: nothing is lost, nothing doubled.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use catchment_contract::Outcome;
use catchment_topics::batch::{Producer, batches};
use catchment_topics::cluster::ClusterOptions;
use catchment_topics::scan::last_sequence;
use catchment_topics::{Broker, Embedded, EmbeddedOptions, PartitionClient, TopicSpec};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::proxy::{Cuts, Proxy};
use super::stock::storage_of;
use super::{connect, fetched, numbered, options};

const TOPIC: &str = "numbers";
/// Not above 0: the broker remembers such writers' sequences and would refuse a repetition that a test must find.
const WRITER: Producer = Producer { id: -77, epoch: 0 };

fn records() -> u64 {
    std::env::var("RECORDS").map_or(100_000, |records| records.parse().unwrap())
}

/// A broker and the way to it.
struct Cut {
    broker: std::sync::Arc<Embedded>,
    controller: Proxy,
    storage: Proxy,
    _folder: tempfile::TempDir,
}

fn cut(seed: u64) -> Cut {
    let folder = tempfile::tempdir().unwrap();
    let broker = crate::start(EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() });
    broker.create(TOPIC, &TopicSpec::default()).unwrap();
    let unit: SocketAddr = storage_of(broker.controller());
    let storage = Proxy::start(unit, Cuts { seed, mean: 200_000 }, None);
    let rename = Some((unit.port(), storage.address.port()));
    let controller = Proxy::start(broker.controller(), Cuts { seed: seed + 1, mean: 3_000 }, rename);
    Cut { broker, controller, storage, _folder: folder }
}

fn client(cut: &Cut) -> Box<dyn PartitionClient> {
    let options = ClusterOptions { request_timeout: Duration::from_secs(10), ..options(cut.controller.address) };
    let broker = connect(ClusterOptions { connect_timeout: Duration::from_secs(60), ..options }).unwrap();
    broker.partition(TOPIC, 0).unwrap()
}

/// Writes numbered records in batches of 1 to 400, each again only if a scan says that it is not there; a blind writer
/// writes again without looking.
fn write(cut: &Cut, seed: u64, blind: bool) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let mut client = client(cut);
    let (mut first, mut sequence, mut unknown) = (0, 0, 0);
    while first < records() {
        let count = random.random_range(1..=400).min(records() - first);
        let batch = numbered(first, count, WRITER, sequence);
        loop {
            match client.produce(&batch) {
                Ok(offset) => {
                    assert!(blind || offset == first as i64, "one writer, so its own offsets");
                    break;
                }
                Err(error) if blind && error.outcome() == Outcome::Unknown => unknown += 1,
                Err(error) if error.outcome() == Outcome::Unknown => {
                    unknown += 1;
                    // From the last end that is known: more would not come through in one piece.
                    match last_sequence(&mut *client, first as i64, WRITER.id).unwrap() {
                        None => {}
                        Some(found) => {
                            assert_eq!(found, (sequence, (first + count) as i64));
                            break;
                        }
                    }
                }
                Err(error) => panic!("{}", error.chain()),
            }
        }
        first += count;
        sequence += 1;
    }
    unknown
}

/// Reads until all numbers have come, checking that each is the next one.
fn read(cut: &Cut, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut client = client(cut);
    let deadline = Instant::now() + Duration::from_secs(300);
    let (mut at, mut scratch) = (0, Vec::new());
    while at < records() as i64 {
        assert!(Instant::now() < deadline, "only {at} records came");
        let (bytes, next) = fetched(&mut *client, at, random.random_range(64..100_000));
        for batch in batches(&bytes) {
            for record in batch.records(&mut scratch).unwrap() {
                let record = record.unwrap();
                if record.offset >= at {
                    assert_eq!(record.offset, at);
                    assert_eq!(record.key, Some(at.to_string().as_bytes()));
                    at += 1;
                }
            }
        }
        assert_eq!(at, next);
        if bytes.is_empty() {
            client.wait(at, Duration::from_secs(1)).unwrap();
        }
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_connections_are_cut() {
    let seed = std::env::var("SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("SEED={seed} RECORDS={}", records());
    let cut = cut(seed);
    let unknown = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(&cut, seed + 10));
        let unknown = write(&cut, seed + 11, false);
        reading.join().unwrap();
        unknown
    });
    println!(
        "{unknown} writes of unknown outcome, {} connections cut to storage, {} to the controller",
        cut.storage.cut(),
        cut.controller.cut()
    );
    assert!(cut.storage.cut() > 10 && unknown > 0, "the network must cut for the test to say anything");
    // The end by the broker itself: as many records as were written, so none twice.
    assert_eq!(cut.broker.partition(TOPIC, 0).unwrap().bounds().unwrap().end, records() as i64);
}

/// The canary: a writer that repeats itself without looking is found out.
#[test]
fn a_blind_writer_doubles() {
    let seed = 7;
    println!("SEED={seed}");
    let cut = cut(seed);
    let unknown = write(&cut, seed, true);
    let end = cut.broker.partition(TOPIC, 0).unwrap().bounds().unwrap().end;
    assert!(end > records() as i64, "{unknown} writes of unknown outcome, none of which had been done");
}

/// Every use of the controller is a connection that is closed again.
#[test]
fn admin_calls_leave_no_connections() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        EmbeddedOptions { folder: folder.path().to_owned(), connections_max: 4, ..EmbeddedOptions::default() };
    let broker = crate::start(options);
    let cluster = super::connected(broker.controller());
    for _ in 0..20 {
        cluster.create("again", &TopicSpec { partitions: 2, ..TopicSpec::default() }).unwrap();
        assert_eq!(cluster.topic("again").unwrap().unwrap().partitions, 2);
        cluster.delete("again").unwrap();
        assert_eq!(cluster.topic("again").unwrap(), None);
    }
    drop(TcpStream::connect(broker.controller()).unwrap());
}

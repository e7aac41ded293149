//! What the embedded broker refuses over the wire, and what it survives: large requests, many connections, silent ones,
//! being killed while it appends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use catchment_contract::{Environment, ErrorKind};
use catchment_topics::batch::batches;
use catchment_topics::{Broker, Embedded, EmbeddedOptions, Fetched, TopicSpec};
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::record::{RawRecords, RecordSet};
use fluvio_spu_schema::fetch::FetchResponse;
use fluvio_spu_schema::produce::ProduceResponse;
use fluvio_spu_schema::server::consumer_offset::{FetchConsumerOffsetsResponse, UpdateConsumerOffsetResponse};
use fluvio_spu_schema::server::fetch_offset::{FetchOffsetsRequest, FetchOffsetsResponse};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::alone;
use crate::malformed::resident_bytes;
use crate::wire::{Wire, batch, encoded, fetch, produce, storage_of, storage_requests};

fn options(folder: &Path) -> EmbeddedOptions {
    EmbeddedOptions { folder: folder.to_owned(), ..EmbeddedOptions::default() }
}

fn answered(wire: &mut Wire, set: &[u8]) -> (ErrorCode, i64) {
    let reply: ProduceResponse = wire.ask(&produce("n", 0, set), 25).unwrap();
    assert_eq!(reply.responses[0].name, "n");
    let answer = &reply.responses[0].partitions[0];
    (answer.error_code.clone(), answer.base_offset)
}

#[test]
fn requests_over_the_limit_are_refused_and_the_connection_goes_on() {
    let folder = TempDir::new().unwrap();
    let broker = crate::start(EmbeddedOptions { request_bytes_max: 3 << 20, ..options(folder.path()) });
    broker.create("n", &TopicSpec::default()).unwrap();
    let mut wire = Wire::connect(storage_of(broker.controller())).unwrap();
    // Over the limit of a batch, over that of a request, and one of just the limit.
    for size in [(3 << 20) + 10, (3 << 20) + 200_000, 10 << 20] {
        assert_eq!(answered(&mut wire, &batch(1, size, -1, -1)).0, ErrorCode::MessageTooLarge, "{size}");
    }
    let overhead = batch(1, 3 << 20, -1, -1).len() - (3 << 20);
    let largest = batch(1, (3 << 20) - overhead, -1, -1);
    assert_eq!(largest.len(), 3 << 20);
    assert_eq!(answered(&mut wire, &largest), (ErrorCode::None, 0));
    let reply: FetchResponse<RecordSet<RawRecords>> = wire.ask(&fetch("n", 0, 0, 100), 25).unwrap();
    let found = reply.find_partition("n", 0).unwrap();
    assert_eq!(found.records.batches.len(), 1, "a batch larger than was asked for comes whole");
}

#[test]
fn batches_are_refused_over_the_wire_as_in_the_process() {
    let folder = TempDir::new().unwrap();
    let broker = crate::start(EmbeddedOptions { fsync: true, ..options(folder.path()) });
    broker.create("n", &TopicSpec::default()).unwrap();
    let mut wire = Wire::connect(storage_of(broker.controller())).unwrap();
    assert_eq!(answered(&mut wire, &batch(2, 10, 5, 1)), (ErrorCode::None, 0));
    let (code, base) = answered(&mut wire, &batch(2, 10, 5, 1));
    assert_eq!(base, -1);
    assert!(matches!(&code, ErrorCode::Other(why) if why.contains("sequence 1 of producer 5")), "{code:?}");
    let mut broken = batch(2, 10, 5, 2);
    *broken.last_mut().unwrap() ^= 1;
    assert!(matches!(answered(&mut wire, &broken).0, ErrorCode::Other(why) if why.contains("checksum")));
    // A set is taken whole or not at all.
    let set = [batch(1, 10, 5, 3), batch(1, 10, 5, 3)].concat();
    assert!(matches!(answered(&mut wire, &set).0, ErrorCode::Other(why) if why.contains("sequence 3")));
    let set = [batch(1, 10, 5, 3), batch(1, 10, 6, 3), batch(3, 10, 5, 4)].concat();
    assert_eq!(answered(&mut wire, &set), (ErrorCode::None, 2));
    let many = batch(1, 1, -1, -1).repeat(4097);
    assert!(matches!(answered(&mut wire, &many).0, ErrorCode::Other(why) if why.contains("4096 batches")));
    let bounds: FetchOffsetsResponse = wire.ask(&encoded(FetchOffsetsRequest::new("n".to_owned(), 0)), 25).unwrap();
    let bounds = &bounds.topics[0].partitions[0];
    assert_eq!((bounds.start_offset, bounds.last_stable_offset), (0, 7));
    for (offset, expected) in [(7, ErrorCode::None), (8, ErrorCode::OffsetOutOfRange)] {
        let reply: FetchResponse<RecordSet<RawRecords>> = wire.ask(&fetch("n", 0, offset, 100), 25).unwrap();
        let found = reply.find_partition("n", 0).unwrap();
        assert_eq!((found.error_code, found.records.batches.len()), (expected, 0));
    }
    let reply: FetchResponse<RecordSet<RawRecords>> = wire.ask(&fetch("other", 0, 0, 100), 25).unwrap();
    assert_eq!(reply.find_partition("other", 0).unwrap().error_code, ErrorCode::NotLeaderForPartition);
}

#[test]
fn a_flood_of_connections_is_turned_away_and_those_there_go_on() {
    let folder = TempDir::new().unwrap();
    let broker = crate::start(EmbeddedOptions { connections_max: 8, ..options(folder.path()) });
    broker.create("n", &TopicSpec::default()).unwrap();
    let storage = storage_of(broker.controller());
    let mut good = Wire::connect(storage).unwrap();
    assert_eq!(answered(&mut good, &batch(1, 10, -1, -1)), (ErrorCode::None, 0));
    let mut flood: Vec<Wire> = (0..100).filter_map(|_| Wire::connect(storage).ok()).collect();
    // Those beyond the limit are closed; the others wait for a request.
    let turned_away = flood.iter_mut().skip(20).all(|wire| matches!(wire.0.read(&mut [0]), Ok(0) | Err(_)));
    assert!(turned_away);
    assert_eq!(answered(&mut good, &batch(1, 10, -1, -1)), (ErrorCode::None, 1));
    drop(flood);
    // Places are free again once the broker has seen the others go.
    let again = (0..1000).any(|_| {
        let mut wire = Wire::connect(storage).unwrap();
        wire.send(&produce("n", 0, &batch(1, 10, -1, -1))).is_ok() && wire.receive().is_ok()
    });
    assert!(again);
}

/// Lost before: as many greeted connections that did nothing as there are places locked everybody out for good.
#[test]
fn quiet_connections_make_room_and_active_ones_keep_their_places() {
    let folder = TempDir::new().unwrap();
    let (environment, clock) = Environment::simulated(1);
    let options = EmbeddedOptions { connections_max: 8, ..options(folder.path()) };
    let broker = Embedded::start(options, &environment).unwrap();
    broker.create("n", &TopicSpec::default()).unwrap();
    let storage = storage_of(broker.controller());
    let mut good = Wire::connect(storage).unwrap();
    let mut next = 0;
    let mut write = |wire: &mut Wire| {
        assert_eq!(answered(wire, &batch(1, 10, -1, -1)), (ErrorCode::None, next));
        next += 1;
    };
    write(&mut good);
    // The one that asked for the storage unit's address may not be gone yet.
    let mut idle: Vec<Wire> = (0..100).filter_map(|_| greeted(storage)).take(7).collect();
    assert!(idle.len() >= 6, "{}", idle.len());
    // Round trips, in which the broker's thread gets on.
    (0..5).for_each(|_| write(&mut good));
    clock.advance(Duration::from_secs(11));
    write(&mut good);
    for _ in 0..6 {
        idle.push(greeted(storage).expect("a quiet connection makes room"));
    }
    write(&mut good);
    let closed = |wire: &mut Wire| matches!(wire.0.read(&mut [0]), Ok(0) | Err(_));
    assert!(idle[..5].iter_mut().all(closed));
}

/// A connection whose first request was answered.
fn greeted(storage: std::net::SocketAddr) -> Option<Wire> {
    let mut wire = Wire::connect(storage).ok()?;
    wire.send(&fetch("n", 0, 0, 100)).ok()?;
    wire.receive().ok().map(|_| wire)
}

/// Lost before: 320,000 streams took 585 MB, so that these would take three times as much. Those that there may be take some
/// 6 kB each in a build without optimisation.
#[test]
fn streams_take_bounded_memory_and_lock_nobody_out() {
    alone("limits::streams_take_bounded_memory_and_lock_nobody_out", || {
        let folder = TempDir::new().unwrap();
        let broker = crate::start(options(folder.path()));
        broker.create("n", &TopicSpec::default()).unwrap();
        let storage = storage_of(broker.controller());
        let stream = &storage_requests("n")[5];
        let before = resident_bytes();
        let mut greedy: Vec<Wire> = Vec::new();
        for _ in 0..32 {
            let mut wire = Wire::connect(storage).unwrap();
            // It may be closed while it sends.
            let _ = (0..30_000).try_for_each(|_| wire.send(stream));
            greedy.push(wire);
        }
        let mut good = greeted(storage).expect("a place is left");
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 256 << 20, "memory has grown by {grown} bytes");
        good.send(stream).unwrap();
        broker.partition("n", 0).unwrap().produce(&batch(1, 10, -1, -1)).unwrap();
        let reply = good.receive().unwrap();
        assert!(reply.len() > 10, "the stream has begun");
    });
}

/// Lost before: on 0.0.0.0 everybody could do everything, and nobody was told.
#[test]
fn an_address_beyond_loopback_must_be_asked_for() {
    let folder = TempDir::new().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9003"] {
        let listen = address.parse().unwrap();
        let error = crate::try_start(EmbeddedOptions { listen, ..options(folder.path()) }).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.to_string().starts_with(&format!("cannot listen on {address}: ")), "{error}");
        assert!(error.hint().unwrap().contains("--topics-insecure"), "{}", error.chain());
    }
    assert!(!folder.path().join("lock").exists(), "nothing was touched");
    let listen = "127.0.0.2:0".parse().unwrap();
    drop(crate::start(EmbeddedOptions { listen, ..options(folder.path()) }));
}

/// Lost before: the place of a peer that asks, half-closes and reads nothing was given away, again and again.
#[test]
fn a_half_closed_connection_keeps_its_place_until_its_replies_are_taken() {
    let folder = TempDir::new().unwrap();
    let broker = crate::start(EmbeddedOptions { connections_max: 1, ..options(folder.path()) });
    broker.create("n", &TopicSpec::default()).unwrap();
    let mut client = broker.partition("n", 0).unwrap();
    for _ in 0..8 {
        client.produce(&batch(1, 8 << 20, -1, -1)).unwrap();
    }
    let storage = storage_of(broker.controller());
    let served = || {
        let mut wire = Wire::connect(storage).unwrap();
        wire.send(&fetch("n", 0, 8, 100)).is_ok() && wire.receive().is_ok()
    };
    assert!((0..10_000).any(|_| served()), "the controller's connection gives its place back");
    // More than the sockets' buffers hold, and no more replies than wait without stopping the requests.
    let mut half = (0..10_000)
        .find_map(|_| {
            let mut wire = Wire::connect(storage).unwrap();
            wire.send(&fetch("n", 0, 0, 9 << 20)).ok()?;
            // The first byte says that this connection has the place.
            wire.0.read_exact(&mut [0]).ok().map(|()| wire)
        })
        .unwrap();
    for offset in 1..4 {
        half.send(&fetch("n", 0, offset, 9 << 20)).unwrap();
    }
    half.0.shutdown(Shutdown::Write).unwrap();
    assert!((0..200).all(|_| !served()));
    // All of them come, and then the place is free.
    let replies = half.0.read_to_end(&mut Vec::new()).unwrap();
    assert!(replies > 4 * (8 << 20), "{replies} bytes");
    assert!((0..10_000).any(|_| served()));
}

/// Lost before: a client's flush after the deletion was kept, and the next topic of the name was read from there.
#[test]
fn a_consumer_offset_is_not_kept_for_a_topic_that_was_deleted() {
    let folder = TempDir::new().unwrap();
    let broker = crate::start(options(folder.path()));
    broker.create("n", &TopicSpec::default()).unwrap();
    let mut wire = Wire::connect(storage_of(broker.controller())).unwrap();
    let requests = storage_requests("n");
    let (stream, keep, kept) = (&requests[5], &requests[7], &requests[8]);
    // Not answered before there are records.
    wire.send(stream).unwrap();
    let reply: UpdateConsumerOffsetResponse = wire.ask(keep, 25).unwrap();
    assert_eq!(reply.error_code, ErrorCode::None);
    let reply: FetchConsumerOffsetsResponse = wire.ask(kept, 25).unwrap();
    assert_eq!(reply.consumers.len(), 1);
    broker.delete("n").unwrap();
    // The stream's end.
    wire.receive().unwrap();
    broker.create("n", &TopicSpec::default()).unwrap();
    let reply: UpdateConsumerOffsetResponse = wire.ask(keep, 25).unwrap();
    assert_eq!(reply.error_code, ErrorCode::TopicDeleted);
    let reply: FetchConsumerOffsetsResponse = wire.ask(kept, 25).unwrap();
    assert!(reply.consumers.is_empty());
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let folder = TempDir::new().unwrap();
    let broker = crate::start(options(folder.path()));
    let silent = [&[][..], &[0, 0], &[0, 0, 0, 50, 0, 18]].map(|sent| {
        let mut wire = Wire::connect(broker.controller()).unwrap();
        wire.0.write_all(sent).unwrap();
        wire
    });
    for mut wire in silent {
        // The read's own deadline is a minute, the broker's 10 seconds.
        assert_eq!(wire.0.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn dropping_the_broker_ends_its_connections() {
    let folder = TempDir::new().unwrap();
    let broker = crate::start(options(folder.path()));
    broker.create("n", &TopicSpec::default()).unwrap();
    let storage = storage_of(broker.controller());
    let mut wire = Wire::connect(storage).unwrap();
    assert_eq!(answered(&mut wire, &batch(1, 10, -1, -1)), (ErrorCode::None, 0));
    drop(broker);
    assert!(matches!(wire.0.read(&mut [0]), Ok(0) | Err(_)));
    assert!(Wire::connect(storage).is_err());
    crate::start(options(folder.path()));
}

#[test]
fn an_address_in_use_is_named() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let broker = crate::start(options(one.path()));
    let listen = broker.controller();
    let error = crate::try_start(EmbeddedOptions { listen, ..options(other.path()) }).err().unwrap();
    let text = error.chain();
    assert!(text.contains(&format!("listen on {listen}")) && text.contains("--topics-listen"), "{text}");
}

/// Run by the test below in a process that may open 200 files.
#[test]
fn child_is_short_of_files() {
    let Ok(folder) = std::env::var("SHORT_FOLDER") else { return };
    let broker = crate::start(options(Path::new(&folder)));
    let error = broker.create("many", &TopicSpec { partitions: 150, ..TopicSpec::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("`ulimit -n`"), "{error}");
    broker.create("few", &TopicSpec { partitions: 50, ..TopicSpec::default() }).unwrap();
    assert!(broker.widen("few", 150).unwrap_err().to_string().contains("`ulimit -n`"));
}

#[test]
fn partitions_stay_within_the_files_that_may_be_open() {
    let folder = TempDir::new().unwrap();
    let run = "ulimit -n 200; exec \"$0\" --exact limits::child_is_short_of_files";
    let status = Command::new("sh")
        .args(["-c", run])
        .arg(std::env::current_exe().unwrap())
        .env("SHORT_FOLDER", folder.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(folder.path().join("topics/few").exists());
}

/// Run in a process of its own by the test below: appends batches of growing numbers, and says so after each.
#[test]
fn child_appends() {
    let Ok(folder) = std::env::var("CHILD_FOLDER") else { return };
    let options = EmbeddedOptions { segment_bytes: 100_000, ..options(Path::new(&folder)) };
    let broker = crate::start(options);
    let mut client = broker.partition("n", 0).unwrap();
    let mut sequence = i32::try_from(client.bounds().unwrap().end / 3).unwrap();
    let mut out = std::io::stdout().lock();
    loop {
        let base = client.produce(&batch(3, 1000, 1, sequence)).unwrap();
        assert_eq!(base, i64::from(sequence) * 3);
        writeln!(out, "acknowledged {sequence}").unwrap();
        sequence += 1;
    }
}

#[test]
fn a_killed_broker_loses_nothing_acknowledged() {
    let folder = TempDir::new().unwrap();
    crate::start(options(folder.path())).create("n", &TopicSpec::default()).unwrap();
    let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
    println!("SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let kills: usize = std::env::var("KILLS").map_or(5, |text| text.parse().unwrap());
    for _ in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "limits::child_appends", "--nocapture"])
            .env("CHILD_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let wanted = random.random_range(1..300);
        let lines = BufReader::new(child.stdout.take().unwrap());
        let reading = thread::spawn(move || {
            let mut numbers = lines.lines().map_while(Result::ok).filter_map(|line| {
                // The harness writes on the same output.
                line.split("acknowledged ").nth(1).and_then(|number| number.parse::<i64>().ok())
            });
            let seen = numbers.by_ref().take(wanted).last();
            (seen, numbers)
        });
        let (seen, rest) = reading.join().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said between the last line looked at and its end counts too.
        let acknowledged = rest.last().or(seen).unwrap();
        let broker = crate::start(options(folder.path()));
        let mut client = broker.partition("n", 0).unwrap();
        let end = client.bounds().unwrap().end;
        assert!(end >= (acknowledged + 1) * 3, "acknowledged {acknowledged}, and the end is {end}");
        let mut from = 0;
        while let Fetched::Batches { bytes, next } = client.fetch(from, 1 << 20).unwrap()
            && !bytes.is_empty()
        {
            for batch in batches(&bytes) {
                assert!(batch.is_intact());
                assert_eq!(batch.header.base_offset, i64::from(batch.header.first_sequence) * 3);
            }
            from = next;
        }
        assert_eq!(from, end);
    }
}

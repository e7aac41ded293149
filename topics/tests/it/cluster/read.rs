//! Reading from a server that cuts every fetch at its byte limit, that lags behind itself, and that moves.

use std::time::{Duration, Instant};

use catchment_contract::{ErrorKind, Fault as Whose};
use catchment_topics::batch::{BatchBuilder, Producer, batches};
use catchment_topics::cluster::{ClusterOptions, FETCH_BYTES_MAX};
use catchment_topics::{Bounds, Fetched};
use fluvio_protocol::link::ErrorCode;

use super::peer::{FETCH, Fault, LIST, Peer, TOPIC, VERSIONS};
use super::{connect, connected, fetched, numbered, options, read_to_end};

/// A log whose batches are of one record, of many, and of 4 MB.
fn uneven(peer: &Peer) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let mut append = |sizes: &[usize]| {
        let mut builder = BatchBuilder::new();
        for size in sizes {
            let mut value = format!("record {}:", values.len()).into_bytes();
            value.resize(value.len().max(*size), b'x');
            builder.push(None, &value);
            values.push(value);
        }
        peer.state().append(&builder.finish(Producer::NONE, -1, 1));
    };
    append(&[5]);
    append(&[200; 500]);
    append(&[1]);
    append(&[4 << 20]);
    append(&[20; 3000]);
    append(&[1 << 20, 10, 1 << 20]);
    append(&[7]);
    values
}

#[test]
fn whatever_the_byte_limit_no_record_is_lost() {
    let peer = Peer::start();
    let values = uneven(&peer);
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    for max_bytes in [0, 1, 64, 1000, 4 << 10, 64 << 10, 1 << 20, 8 << 20] {
        let read = read_to_end(&mut *client, 0, max_bytes);
        assert_eq!(read.len(), values.len(), "max_bytes {max_bytes}");
        for (index, ((offset, value), expect)) in read.iter().zip(&values).enumerate() {
            assert_eq!(*offset, index as i64, "max_bytes {max_bytes}");
            assert!(value == expect, "max_bytes {max_bytes}, record {index}");
        }
    }
    // In the middle of each batch as well.
    for from in [250, 501, 502, 2000, 3503, 3504, values.len() as i64 - 1] {
        let read = read_to_end(&mut *client, from, 64);
        assert_eq!(read.first().map(|record| record.0), Some(from));
        assert_eq!(read.len(), values.len() - from as usize);
    }
}

#[test]
fn a_cut_batch_costs_one_more_request() {
    let peer = Peer::start();
    uneven(&peer);
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    client.bounds().unwrap();
    peer.state().asked.clear();
    fetched(&mut *client, 502, 1 << 20);
    let whole = batches(&peer.state().log).nth(3).unwrap().header.bytes as i32;
    assert_eq!(peer.state().asked, [(FETCH, 1 << 20), (FETCH, whole)]);
}

#[test]
fn the_exact_end_is_found_behind_a_watermark_that_fell_back() {
    let peer = Peer::start();
    uneven(&peer);
    let end = peer.state().end();
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    for high in [Some(0), Some(1), Some(250), Some(502), Some(end - 1), Some(end), None] {
        peer.state().high = high;
        assert_eq!(client.bounds().unwrap(), Bounds { start: 0, end }, "watermark {high:?}");
    }
    // One copy: what the log holds is read, watermark or not.
    peer.state().high = Some(1);
    assert_eq!(read_to_end(&mut *client, 0, 1 << 20).len() as i64, end);
}

#[test]
fn with_copies_nothing_above_the_watermark_is_read_and_the_end_waits_for_it() {
    let peer = Peer::start();
    (0..5).for_each(|batch| {
        peer.state().append(&numbered(batch * 10, 10, Producer::NONE, -1));
    });
    peer.state().replicas = 2;
    peer.state().high = Some(20);
    peer.state().high_lags = 4;
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    assert_eq!(read_to_end(&mut *client, 0, 1 << 20).len(), 20);
    assert!(!client.wait(20, Duration::ZERO).unwrap());
    let dialled = peer.state().count(VERSIONS);
    assert_eq!(client.bounds().unwrap(), Bounds { start: 0, end: 50 });
    assert_eq!(peer.state().count(VERSIONS), dialled, "it waits on the same connection");
    assert_eq!(read_to_end(&mut *client, 0, 1 << 20).len(), 50);
}

#[test]
fn with_copies_the_end_is_found_while_the_log_keeps_growing() {
    let peer = Peer::start();
    let batch = numbered(0, 10, Producer::NONE, -1);
    (0..5).for_each(|_| {
        peer.state().append(&batch);
    });
    peer.state().replicas = 2;
    peer.state().high = Some(20);
    peer.state().busy = Some(batch);
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    let begun = Instant::now();
    // Each time the end was looked for, the log goes on beyond the watermark.
    assert_eq!(client.bounds().unwrap(), Bounds { start: 0, end: 50 });
    assert_eq!(client.bounds().unwrap(), Bounds { start: 0, end: 60 });
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn copies_that_never_come_up_are_reported() {
    let peer = Peer::start();
    peer.state().append(&numbered(0, 10, Producer::NONE, -1));
    peer.state().replicas = 2;
    peer.state().high = Some(0);
    peer.state().high_lags = u32::MAX;
    let limit = Duration::from_millis(500);
    let impatient = ClusterOptions { connect_timeout: limit, ..options(peer.controller) };
    let broker = connect(impatient).unwrap();
    let mut client = broker.partition(TOPIC, 0).unwrap();
    let chain = client.bounds().unwrap_err().chain();
    assert!(chain.contains("its copies are at offset 0 of 10"), "{chain}");
}

#[test]
fn offsets_outside_are_told_apart() {
    let peer = Peer::start();
    peer.state().start = 100;
    peer.state().append(&numbered(0, 10, Producer::NONE, -1));
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    assert_eq!(client.bounds().unwrap(), Bounds { start: 100, end: 110 });
    assert_eq!(client.fetch(3, 1000).unwrap(), Fetched::Evicted { start: 100 });
    assert_eq!(client.fetch(110, 1000).unwrap(), Fetched::Batches { bytes: Default::default(), next: 110 });
    let error = client.fetch(111, 1000).unwrap_err();
    assert_eq!(error.fault(), Whose::Data);
    assert_eq!(
        error.chain(),
        format!(
            "cannot read from partition 0 of topic \"orders\": its leader at {}: offset 111 lies beyond the end, 110; \
             the topic was made anew, or the server lost what it had acknowledged",
            peer.storage
        )
    );
    // A stock server says it in words only; and a refusal inside the bounds is asked again.
    peer.fault(FETCH, Fault::Refuse(ErrorCode::Other("start offset: 111 is greater than leo: 110".into())));
    let again = client.fetch(111, 1000).unwrap_err();
    assert_eq!(again.chain(), error.chain());
    peer.fault(FETCH, Fault::Refuse(ErrorCode::OffsetOutOfRange));
    assert_eq!(fetched(&mut *client, 100, 1000).1, 110);
}

#[test]
fn a_damaged_batch_is_reported_and_what_stands_before_it_is_read() {
    let peer = Peer::start();
    (0..3).for_each(|batch| {
        peer.state().append(&numbered(batch * 10, 10, Producer::NONE, -1));
    });
    let last = peer.state().log.len() - 5;
    peer.state().log[last] ^= 1;
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    assert_eq!(fetched(&mut *client, 0, 1 << 20).1, 20);
    let why = "a batch does not match its checksum".to_string();
    assert_eq!(client.fetch(20, 1 << 20).unwrap(), Fetched::Damaged { next: 30, why });
}

#[test]
fn a_batch_beyond_the_limit_is_refused_with_its_size() {
    let peer = Peer::start();
    peer.state().append(&numbered(0, 1, Producer::NONE, -1));
    let huge = FETCH_BYTES_MAX as i32;
    // Only the header says so: nothing that large is sent or made room for.
    peer.state().log[8..12].copy_from_slice(&huge.to_be_bytes());
    peer.state().log.truncate(60);
    let broker = connected(peer.controller);
    let chain = broker.partition(TOPIC, 0).unwrap().fetch(0, 1000).unwrap_err().chain();
    assert!(chain.contains("the batch at offset 0 takes 67108876 bytes, the limit is 67108864"), "{chain}");
}

#[test]
fn a_leader_that_moved_is_looked_up_anew() {
    let (old, new) = (Peer::start(), Peer::start());
    new.state().append(&numbered(0, 10, Producer::NONE, -1));
    let broker = connected(old.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    assert_eq!(fetched(&mut *client, 0, 1000).1, 0);
    let looked_up = old.state().count(LIST);
    old.state().elsewhere = Some(new.storage);
    old.fault(FETCH, Fault::Refuse(ErrorCode::NotLeaderForPartition));
    assert_eq!(fetched(&mut *client, 0, 1000).1, 10);
    assert!(old.state().count(LIST) > looked_up);
}

#[test]
fn broken_connections_are_made_again_and_broken_replies_asked_again() {
    let peer = Peer::start();
    peer.state().append(&numbered(0, 10, Producer::NONE, -1));
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    for fault in [Fault::Close, Fault::DoAndClose, Fault::DoAndMisnumber, Fault::Claim(-5), Fault::Claim(i32::MAX)] {
        peer.fault(FETCH, fault);
        assert_eq!(fetched(&mut *client, 0, 1000).1, 10);
    }
    assert!(peer.state().faults.is_empty());
}

#[test]
fn waiting_ends_with_records_or_with_the_time() {
    let peer = Peer::start();
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    assert!(!client.wait(0, Duration::from_millis(30)).unwrap());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.wait(0, Duration::from_secs(20)).unwrap());
        peer.state().append(&numbered(0, 1, Producer::NONE, -1));
        assert!(waiting.join().unwrap());
    });
    assert!(client.wait(0, Duration::ZERO).unwrap());
    assert!(!client.wait(1, Duration::ZERO).unwrap());
}

#[test]
fn what_does_not_exist_is_named() {
    let peer = Peer::start();
    let broker = connected(peer.controller);
    let Err(error) = broker.partition("absent", 0) else { panic!("it is there") };
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.chain(), "there is no topic \"absent\"; catchment topics list shows the topics that exist");
    let Err(error) = broker.partition(TOPIC, 3) else { panic!("it is there") };
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "there is no partition 3 of topic \"orders\": it has 1");
}

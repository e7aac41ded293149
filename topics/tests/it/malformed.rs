//! Hostile peers: random bytes, mutated requests and huge claimed lengths, over real sockets.
//!
//! No thread of the process may panic (release builds would abort), memory stays bounded, and a well-behaved connection
//! goes on all the while. `FUZZ_SECONDS` (default 2) says how long; the seed is printed, and `SEED` repeats it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use catchment_topics::batch::batches;
use catchment_topics::{Broker, EmbeddedOptions, Fetched, TopicSpec};
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::record::{RawRecords, RecordSet};
use fluvio_spu_schema::fetch::FetchResponse;
use fluvio_spu_schema::produce::ProduceResponse;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::alone;
use crate::wire::{Wire, batch, controller_requests, fetch, framed, produce, storage_of, storage_requests};

/// What peers may make the broker hold, with room for the test itself.
const GROWTH_BYTES_MAX: u64 = 400 * 1024 * 1024;

static PANICS: AtomicUsize = AtomicUsize::new(0);

fn seconds() -> Duration {
    Duration::from_secs(std::env::var("FUZZ_SECONDS").map_or(2, |text| text.parse().unwrap()))
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
    println!("SEED={seed}");
    seed
}

pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Changes a request a little, as a bug or an attacker would.
fn mutated(random: &mut SmallRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds.choose(random).unwrap().clone();
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..bytes.len().max(1));
        match random.random_range(0..8) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            3 => {
                let lengths = [i32::MAX, i32::MIN, -1, 0x00ff_ffff, 1 << 20, 0x7f7f_7f7f];
                splice(&mut bytes, at, &lengths.choose(random).unwrap().to_be_bytes());
            }
            4 => splice(&mut bytes, at, &i16::MAX.to_be_bytes()),
            5 => {
                let noise: Vec<u8> = (0..random.random_range(0..64)).map(|_| random.random()).collect();
                let at = at.min(bytes.len());
                bytes.splice(at..at, noise);
            }
            6 => {
                let other = seeds.choose(random).unwrap();
                let from = random.random_range(0..other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            // Another request number or version.
            _ => splice(&mut bytes, random.random_range(0..4), &[random.random()]),
        }
    }
    bytes
}

fn splice(bytes: &mut [u8], at: usize, over: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(over) {
        *byte = *new;
    }
}

/// A connection of one hostile peer: a few requests, then it goes, politely or not.
fn attack(random: &mut SmallRng, address: SocketAddr, seeds: &[Vec<u8>]) {
    // The broker may have closed the connection at any point of this: only its own health counts.
    let Ok(mut wire) = Wire::connect(address) else { return };
    for _ in 0..random.random_range(1..6) {
        let request = mutated(random, seeds);
        let mut frame = framed(&request);
        match random.random_range(0..10) {
            0 => splice(&mut frame, 0, &random.random::<u32>().to_be_bytes()),
            1 => splice(&mut frame, 0, &33_000_000_u32.to_be_bytes()),
            2 => frame = (0..random.random_range(1..200)).map(|_| random.random()).collect(),
            _ => {}
        }
        if wire.0.write_all(&frame).is_err() {
            break;
        }
    }
    match random.random_range(0..3) {
        0 => {}
        1 => drop(wire.0.shutdown(Shutdown::Both)),
        _ => {
            // Reads what comes until the broker is done, but does not wait for what it may wait for.
            let _ = wire.0.shutdown(Shutdown::Write);
            let _ = wire.0.set_read_timeout(Some(Duration::from_millis(200)));
            let _ = (&wire.0).take(1 << 20).read_to_end(&mut Vec::new());
        }
    }
}

/// Produces and fetches until told to stop; returns how often.
fn behave(address: SocketAddr, stop: &AtomicBool) -> i64 {
    let mut wire = Wire::connect(address).unwrap();
    let mut offset = 0;
    while !stop.load(Ordering::Relaxed) || offset < 10 {
        let set = batch(2, 100, 1, i32::try_from(offset).unwrap());
        let reply: ProduceResponse = wire.ask(&produce("good", 0, &set), 25).unwrap();
        let answer = &reply.responses[0].partitions[0];
        assert_eq!((&answer.error_code, answer.base_offset), (&ErrorCode::None, offset));
        let reply: FetchResponse<RecordSet<RawRecords>> = wire.ask(&fetch("good", 0, offset, 1 << 20), 25).unwrap();
        let found = reply.find_partition("good", 0).unwrap();
        assert_eq!((found.error_code, found.high_watermark), (ErrorCode::None, offset + 2));
        assert_eq!(found.records.batches[0].base_offset, offset);
        offset += 2;
    }
    offset
}

#[test]
fn hostile_bytes_end_their_connection_and_nothing_else() {
    alone("malformed::hostile_bytes_end_their_connection_and_nothing_else", || {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            usual(info);
        }));
        let folder = TempDir::new().unwrap();
        let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
        let broker = crate::start(options.clone());
        for topic in ["good", "bad"] {
            broker.create(topic, &TopicSpec::default()).unwrap();
        }
        let (controller, storage) = (broker.controller(), storage_of(broker.controller()));
        let stop = Arc::new(AtomicBool::new(false));
        let good = thread::spawn({
            let stop = Arc::clone(&stop);
            move || behave(storage, &stop)
        });
        let seed = seed();
        let (start, before) = (Instant::now(), resident_bytes());
        let attackers: Vec<_> = (0..2)
            .map(|number| {
                let mut random = SmallRng::seed_from_u64(seed ^ number);
                thread::spawn(move || {
                    let (controls, stores) = (controller_requests("bad"), storage_requests("bad"));
                    let mut connections = 0;
                    while start.elapsed() < seconds() {
                        if random.random_bool(0.4) {
                            attack(&mut random, controller, &controls);
                        } else {
                            attack(&mut random, storage, &stores);
                        }
                        let grown = resident_bytes().saturating_sub(before);
                        assert!(grown < GROWTH_BYTES_MAX, "memory has grown by {grown} bytes");
                        connections += 1;
                    }
                    connections
                })
            })
            .collect();
        let connections: usize = attackers.into_iter().map(|attacker| attacker.join().unwrap()).sum();
        stop.store(true, Ordering::Relaxed);
        let records = good.join().unwrap();
        println!("{connections} hostile connections, {records} good records");
        assert_eq!(PANICS.load(Ordering::Relaxed), 0);
        assert!(connections > 10);
        // What was written is whole, and is recovered.
        drop(broker);
        let broker = crate::start(options);
        for topic in ["good", "bad"] {
            let Ok(mut client) = broker.partition(topic, 0) else { continue };
            let mut from = client.bounds().unwrap().start;
            while let Fetched::Batches { bytes, next } = client.fetch(from, 1 << 20).unwrap()
                && !bytes.is_empty()
            {
                assert!(batches(&bytes).all(|batch| batch.is_intact()));
                from = next;
            }
            assert_eq!(from, client.bounds().unwrap().end);
            assert!(topic != "good" || from == records);
        }
    });
}

#[test]
fn a_claimed_length_is_not_believed() {
    alone("malformed::a_claimed_length_is_not_believed", || {
        let folder = TempDir::new().unwrap();
        let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
        let broker = crate::start(options);
        let storage = storage_of(broker.controller());
        let before = resident_bytes();
        let produce = produce("any", 0, &batch(1, 10, -1, -1));
        // Each claims 32 MB and sends little; none is answered, none is held in memory.
        let claimed: Vec<Wire> = (0..100)
            .map(|_| {
                let mut wire = Wire::connect(storage).unwrap();
                wire.0.write_all(&32_000_000_u32.to_be_bytes()).unwrap();
                wire.0.write_all(&produce).unwrap();
                wire
            })
            .collect();
        let mut wire = Wire::connect(storage).unwrap();
        let reply: ProduceResponse = wire.ask(&produce, 25).unwrap();
        assert_eq!(reply.responses[0].partitions[0].error_code, ErrorCode::NotLeaderForPartition);
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 64 * 1024 * 1024, "memory has grown by {grown} bytes");
        drop(claimed);
        // Negative, or large where no large request can be: closed at once.
        for (port, length) in [(storage, -1_i32), (storage, i32::MAX), (broker.controller(), 2_000_000)] {
            let mut wire = Wire::connect(port).unwrap();
            wire.0.write_all(&length.to_be_bytes()).unwrap();
            let _ = wire.0.write_all(&[0xff; 5000]);
            let read = wire.0.read_to_end(&mut Vec::new());
            assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        }
    });
}

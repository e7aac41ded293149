//! The request readers against arbitrary bytes: they return, whatever comes, and hold no more than came.
//!
//! `FUZZ_SECONDS` (default 1) says how long; the seed is printed, and `SEED` repeats it.

use std::time::Duration;

use bytes::Bytes;
use catchment_contract::Environment;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::frame::Request;
use super::input::Input;
use super::requests::{Fetch, Filter, Produce, Replica, Stream, read_acknowledged, read_bounds};
use super::specs;

/// Bytes with the lengths and counts that readers stumble over.
fn arbitrary(random: &mut SmallRng) -> Vec<u8> {
    let parts: [&[u8]; 12] = [
        &[0],
        &[1],
        &[0xff],
        &[0, 0, 0, 1],
        &[0, 0, 0, 2],
        &[0x7f, 0xff],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff],
        &[0x80, 0, 0, 0],
        &[0, 3, b'a', b'b', b'c'],
        &[0, 2, 0xc3, 0x28],
        &[0, 0, 0, 0, 0, 0, 0, 0],
    ];
    let mut bytes = Vec::new();
    for _ in 0..random.random_range(0..40) {
        match random.random_range(0..4) {
            0 => bytes.push(random.random()),
            _ => bytes.extend_from_slice(parts.choose(random).unwrap()),
        }
    }
    bytes
}

#[test]
fn no_reader_panics_on_arbitrary_bytes() {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(1, |text| text.parse().unwrap());
    let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
    println!("SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let (start, mut rounds, mut read) = (Environment::system().now(), 0_u64, 0_u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        let bytes = Bytes::from(arbitrary(&mut random));
        let input = || Input::new(bytes.clone());
        let version = random.random_range(15..26);
        let done = [
            Request::parse(bytes.clone()).is_ok(),
            Produce::read(&mut input()).is_ok(),
            Produce::read_first(&mut input()).is_ok(),
            Fetch::read(&mut input()).is_ok(),
            read_bounds(&mut input()).is_ok(),
            Stream::read(&mut input(), version).is_ok(),
            read_acknowledged(&mut input()).is_ok(),
            Replica::read(&mut input()).is_ok(),
            Filter::read(&mut input()).is_ok(),
            specs::read(&mut input()).is_ok(),
        ];
        read += done.iter().filter(|done| **done).count() as u64;
        rounds += 1;
    }
    println!("{rounds} rounds, {read} requests read");
    // Some must be readable, or nothing was tried.
    assert!(read > 0);
}

#[test]
fn a_list_is_as_long_as_its_bytes() {
    let mut input = Input::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3]));
    assert!(input.clone().list(1024, Input::u8).is_err());
    assert!(input.list(usize::MAX, Input::u8).is_err());
    let mut input = Input::new(Bytes::from_static(&[0, 0, 0, 3, 1, 2, 3]));
    assert_eq!(input.list(3, Input::u8).unwrap(), [1, 2, 3]);
    let mut input = Input::new(Bytes::from_static(&[0, 0, 0, 3, 1, 2]));
    assert!(input.list(3, Input::u8).is_err());
}

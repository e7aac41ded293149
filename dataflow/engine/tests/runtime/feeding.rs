//! Sources that are slow, silent, large, or in very many pieces, and what they must not do to the others.

use std::time::Duration;

use crate::world::{Trouble, World, simulate};

/// One source accepts and never answers, one has a great deal to read. What a third delivers meanwhile reaches its sink
/// within the length of two epochs.
#[test]
fn a_silent_source_and_a_dump_delay_nobody() {
    const LINES: usize = 20_000;
    // A simulated worker is not woken by another one: it looks, at longer and longer intervals.
    const LOOK: Duration = Duration::from_millis(16);
    for seed in 0..3 {
        simulate(seed, |_, host| {
            let mut world = World::new(host, &["silent", "dump", "topic"]);
            world.options.workers = 2;
            world.options.epoch_interval = Duration::from_millis(100);
            world.options.checkpoint_interval = Duration::from_millis(300);
            // A few payloads of the dump, which are read in as many milliseconds.
            world.options.epoch_bytes = 16 << 10;
            world.source("silent").append("a", &[1]);
            world.source("silent").set(Trouble::Silent);
            let numbers: Vec<usize> = (0..LINES).collect();
            world.source("dump").append("month", &numbers);
            world.source("dump").set(Trouble::Laborious(Duration::from_millis(1)));
            let running = world.follow().unwrap();
            let dumped = || world.table("dump").table.with(|table| table.written.len());
            world.table("dump").await_that(|table| table.written.len() > 100);
            for number in 0..8 {
                let (began, before) = (host.now(), dumped());
                world.source("topic").append("t", &[number]);
                world.source("topic").wake();
                world.table("topic").await_that(|table| table.written.contains_key(&number));
                let waited = host.since(began);
                assert!(waited <= 2 * world.options.epoch_interval + LOOK, "number {number} came after {waited:?}");
                // The dump goes on meanwhile.
                world.table("dump").await_that(|table| table.written.len() > before + 100);
                assert!(dumped() < LINES, "the dump is over: nothing was tested");
            }
            // Checkpoints, too, are taken meanwhile.
            world.table("topic").await_that(|table| table.rows.len() == 8);
            assert!(dumped() < LINES, "the dump is over: nothing was tested");
            world.stop(running).unwrap();
            world.source("silent").set(Trouble::None);
            world.source("dump").set(Trouble::None);
            world.run().unwrap();
            world.assert_published("after all");
        });
    }
}

/// The first signal ends a run whatever its sources do, with a checkpoint of what was read.
#[test]
fn a_run_stops_though_a_source_never_answers() {
    for follows in [false, true] {
        simulate(u64::from(follows), |simulation, host| {
            let mut world = World::new(host, &["silent", "numbers"]);
            world.options.epoch_interval = Duration::from_millis(100);
            world.options.checkpoint_interval = Duration::from_secs(3600);
            world.source("silent").append("a", &[1]);
            world.source("silent").set(Trouble::Silent);
            world.numbers().append("a", &[1, 2, 3]);
            let running = match follows {
                true => world.follow().unwrap(),
                false => world.drain_on_a_thread().unwrap(),
            };
            world.table("numbers").await_that(|table| table.written.len() == 3);
            let began = host.now();
            world.stop(running).unwrap();
            assert!(host.since(began) < Duration::from_secs(1));
            assert_eq!(world.table("numbers").rows().len(), 3, "what was read is committed");
            world.source("silent").set(Trouble::None);
            simulation.settle();
            world.run().unwrap();
            world.assert_published("after all");
        });
    }
}

/// A source that takes minutes to say what there is.
#[test]
fn a_slow_discover_delays_nobody() {
    simulate(1, |_, host| {
        let mut world = World::new(host, &["slow", "numbers"]);
        world.options.epoch_interval = Duration::from_millis(100);
        world.options.checkpoint_interval = Duration::from_secs(1);
        world.source("slow").append("a", &[7]);
        world.source("slow").set(Trouble::Slow(Duration::from_secs(600)));
        let began = host.now();
        let running = world.follow().unwrap();
        for number in 0..5 {
            world.numbers().append("a", &[number]);
            world.numbers().wake();
            world.table("numbers").await_that(|table| table.rows.contains_key(&number));
        }
        assert!(host.since(began) < Duration::from_secs(30), "five checkpoints took {:?}", host.since(began));
        world.table("slow").await_that(|table| table.rows.contains_key(&7));
        assert!(host.since(began) >= Duration::from_secs(600));
        world.stop(running).unwrap();
    });
}

/// A sink that does not write holds back what is read, in bytes, however many partitions that is.
#[test]
fn read_ahead_is_bounded_with_very_many_partitions_of_one_record() {
    const PARTITIONS: usize = 3000;
    for (seed, workers) in [(1, 1), (2, 2)] {
        simulate(seed, |simulation, host| {
            let mut world = World::new(host, &["numbers"]);
            world.options.workers = workers;
            world.options.read_ahead_bytes = 64 << 10;
            world.options.epoch_bytes = 4 << 10;
            world.options.epoch_interval = Duration::from_millis(100);
            for number in 0..PARTITIONS {
                world.numbers().append(&format!("p{number:05}"), &[number]);
            }
            world.table("numbers").table.update(|table| table.is_shut = true);
            let running = world.drain_on_a_thread().unwrap();
            // Everybody waits for the sink, or looks from time to time.
            for _ in 0..20 {
                simulation.settle();
                simulation.clock().advance(Duration::from_secs(1));
            }
            let opened = world.numbers().state.with(|state| state.opened);
            let ahead = world.ahead_bytes_most("numbers");
            let bound = (workers as u64 + 1) * (64 << 10) + workers as u64 * 4096;
            assert!(ahead <= bound, "{ahead} bytes were read ahead, {bound} are allowed");
            assert!(opened > 50 && opened < PARTITIONS as u64 / 2, "{opened} partitions were opened");
            world.table("numbers").table.update(|table| table.is_shut = false);
            running.wait().unwrap().unwrap();
            assert!(world.ahead_bytes_most("numbers") <= bound);
            world.assert_published("after all");
        });
    }
}

/// A large payload behind many small ones, and the head of the line is always read on.
#[test]
fn payloads_larger_than_the_bound_come_through() {
    simulate(3, |_, host| {
        let mut world = World::new(host, &["numbers"]);
        world.options.workers = 3;
        world.options.read_ahead_bytes = 1;
        for file in 0..20 {
            let numbers: Vec<usize> = (0..10).map(|number| file * 100 + number).collect();
            world.numbers().append(&format!("f{file:02}"), &numbers);
        }
        world.run().unwrap();
        world.assert_published("one byte may be read ahead");
    });
}

/// Arrival order is partition order, then position, however many readers there are and whatever fails.
#[test]
fn readers_that_fail_and_open_again_keep_the_order() {
    let arrivals = |seed: u64, workers: usize, fails: bool| {
        simulate(seed, |_, host| {
            let mut world = World::new(host, &["numbers"]);
            world.options.workers = workers;
            for file in 0..8 {
                let numbers: Vec<usize> = (0..40).map(|number| file * 100 + number).collect();
                world.numbers().append(&format!("f{file}"), &numbers);
            }
            world.numbers().set(if fails { Trouble::Flaky } else { Trouble::None });
            world.run().unwrap();
            world.assert_published("in order");
            let arrivals = world.arrivals.lock().unwrap().clone();
            arrivals.into_values().collect::<Vec<i64>>()
        })
    };
    let expected = arrivals(0, 1, false);
    assert!(expected.is_sorted() && expected.len() == 320);
    for seed in 1..12 {
        assert_eq!(arrivals(seed, 1 + seed as usize % 4, seed % 2 == 0), expected, "seed {seed}");
    }
}

//! Threads that panic or cannot be started: the run ends with an error that says which, and the next one goes on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use catchment_contract::Fault;

use crate::world::{Opening, PANIC, Trouble, World, simulate};

/// Runs until idle and following: both must end with an error that begins with `expected`.
fn check(expected: &str, break_it: impl Fn(&World), mend_it: impl Fn(&World)) {
    for (seed, workers, follows) in [(1, 1, false), (2, 2, false), (3, 1, true), (4, 2, true), (5, 3, true)] {
        simulate(seed, |_, host| {
            let mut world = World::new(host, &["numbers"]);
            world.options.workers = workers;
            world.options.checkpoint_interval = Duration::from_secs(1);
            world.grow("numbers");
            world.run().unwrap();
            world.grow("numbers");
            break_it(&world);
            let began = host.now();
            let error = match follows {
                true => world.follow().unwrap().wait().unwrap().expect_err("a run without one of its threads"),
                false => world.run().expect_err("a run without one of its threads"),
            };
            assert!(error.chain().starts_with(expected), "{}", error.chain());
            assert_eq!(error.fault(), Fault::Bug);
            assert!(host.since(began) < Duration::from_secs(5), "it takes {:?} to notice", host.since(began));
            mend_it(&world);
            world.run().unwrap();
            world.assert_published("after a panic");
        });
    }
}

#[test]
fn a_worker_that_panics_ends_the_run() {
    let mend = |world: &World| {
        world.numbers().state.update(|state| {
            state.files.values_mut().for_each(|lines| lines.retain(|line| *line != PANIC.to_string()));
        });
    };
    check("thread \"worker-", |world| world.numbers().append("z", &[PANIC]), mend);
}

#[test]
fn a_source_that_panics_ends_the_run() {
    let trouble = |trouble| move |world: &World| world.numbers().set(trouble);
    check(
        "thread \"feed-numbers\" panicked: the source has gone mad",
        trouble(Trouble::Panics),
        trouble(Trouble::None),
    );
}

#[test]
fn a_decoder_that_panics_ends_the_run() {
    let trouble = |trouble| move |world: &World| world.numbers().set(trouble);
    check("thread \"decode-", trouble(Trouble::DecoderPanics), trouble(Trouble::None));
}

#[test]
fn a_sink_that_panics_ends_the_run() {
    let set = |panics| move |world: &World| world.table("numbers").table.update(|table| table.panics = panics);
    check("thread \"sink-numbers_sink\" panicked: the sink has gone mad", set(true), set(false));
}

#[test]
fn a_sink_that_panics_when_it_is_opened_ends_the_run() {
    simulate(1, |_, host| {
        let world = World::new(host, &["numbers"]);
        world.grow("numbers");
        let set = |opening: Opening| world.table("numbers").table.update(|table| table.opening = opening);
        set(Opening::Panics);
        let error = world.run().expect_err("a run without one of its sinks");
        assert_eq!(error.to_string(), "thread \"sink-numbers_sink\" panicked: the sink cannot be opened");
        set(Opening::AtOnce);
        world.run().unwrap();
        world.assert_published("after a panic");
    });
}

/// A run with many tables, or with one on a slow system, starts as fast as its slowest.
#[test]
fn sinks_are_opened_side_by_side() {
    for seed in 0..10 {
        simulate(seed, |_, host| {
            let world = World::new(host, &["a", "b", "c"]);
            let names = ["a", "b", "c", "rejects"];
            for (name, other) in names.iter().zip(names.iter().cycle().skip(1)) {
                let other = world.table(other).clone();
                world.table(name).table.update(|table| table.opening = Opening::Beside(other));
            }
            world.source("a").append("x", &[1]);
            world.run().unwrap();
            world.assert_published("opened side by side");
        });
    }
}

#[test]
fn a_state_log_that_panics_ends_the_run() {
    let set = |panics| move |world: &World| world.store.state_panics.store(panics, Ordering::Relaxed);
    check("thread \"state-log\" panicked: the store has gone mad", set(true), set(false));
}

/// Whichever thread it is that the system has no room for.
#[test]
fn a_thread_that_cannot_be_started_is_an_error() {
    let mut names = std::collections::BTreeSet::new();
    for room in 0..30 {
        let failed = simulate(room, |simulation, host| {
            let world = World::new(host, &["numbers"]);
            world.numbers().append("a", &[1]);
            world.numbers().append("b", &[2]);
            simulation.allow_threads(room as usize);
            let outcome = world.run();
            simulation.allow_threads(usize::MAX);
            if let Err(error) = &outcome {
                let chain = error.chain();
                assert!(chain.starts_with("could not start thread \""), "{chain}");
                names.insert(chain.split('"').nth(1).unwrap().to_string());
            }
            world.run().unwrap();
            world.assert_published("with room");
            outcome.is_err()
        });
        if !failed {
            assert!(names.len() >= 6, "a run needs more kinds of threads than {names:?}");
            return;
        }
    }
    panic!("30 threads are not enough for a run");
}

//! The same on the operating system's threads and clock, where simulated runs differ: how workers sleep and end.

use std::time::Duration;

use catchment_engine::host::Host;

use crate::world::{PANIC, Trouble, World};

fn world(workers: usize, sources: &[&str]) -> World {
    let mut world = World::new(&Host::system(), sources);
    world.options.workers = workers;
    world.options.epoch_interval = Duration::from_millis(1);
    world.options.checkpoint_interval = Duration::from_millis(5);
    world
}

#[test]
fn runs_go_on_and_follow() {
    for workers in 1..=3 {
        let world = world(workers, &["numbers", "others"]);
        for _ in 0..3 {
            world.grow("numbers");
            world.run().unwrap();
            let running = world.follow().unwrap();
            for _ in 0..5 {
                world.grow("numbers");
                world.grow("others");
                world.sources.values().for_each(|source| source.wake());
                let (rows, _) = world.expected("others");
                world.table("others").await_that(|table| table.rows == rows);
            }
            world.stop(running).unwrap();
            world.run().unwrap();
            world.assert_published(&format!("{workers} workers"));
        }
    }
}

#[test]
fn a_worker_that_panics_ends_the_run() {
    for workers in 1..=3 {
        let world = world(workers, &["numbers"]);
        world.numbers().append("a", &[1, 2, PANIC, 3]);
        for _ in 0..3 {
            let error = world.run().expect_err("a worker panics");
            assert!(error.chain().starts_with("thread \"worker-"), "{}", error.chain());
        }
        let error = world.follow().unwrap().wait().unwrap().expect_err("a worker panics");
        assert!(error.chain().contains("panicked: the row -4"), "{}", error.chain());
    }
}

#[test]
fn a_run_stops_though_a_source_never_answers() {
    let world = world(2, &["numbers", "silent"]);
    world.numbers().append("a", &[1, 2, 3]);
    world.source("silent").append("a", &[4]);
    world.source("silent").set(Trouble::Silent);
    for _ in 0..2 {
        let running = world.follow().unwrap();
        world.table("numbers").await_that(|table| table.rows.len() == 3);
        world.stop(running).unwrap();
    }
    world.source("silent").set(Trouble::None);
    world.run().unwrap();
    world.assert_published("after all");
}

//! Runs that follow their sources.

use std::time::Duration;

use crate::world::{UNLUCKY, World, simulate};

fn following(host: &catchment_engine::host::Host, sources: &[&str]) -> World {
    let mut world = World::new(host, sources);
    world.options.epoch_interval = Duration::from_millis(100);
    world.options.checkpoint_interval = Duration::from_millis(500);
    world
}

#[test]
fn a_job_that_stays_up_follows_its_sources_and_publishes_on_the_way() {
    for seed in 0..4 {
        simulate(seed, |_, host| {
            let mut world = following(host, &["numbers"]);
            world.options.workers = 2;
            let running = world.follow().unwrap();
            for round in 0..15 {
                world.grow("numbers");
                world.numbers().wake();
                if round % 3 == 0 {
                    let (rows, _) = world.expected("numbers");
                    world.table("numbers").await_that(|table| table.rows == rows);
                }
            }
            let report = world.stop(running).unwrap();
            assert!(report.checkpoint > 3, "checkpoints were taken on the way: {report}");
            world.run().unwrap();
            world.assert_published("after a job that stayed up");
        });
    }
}

#[test]
fn a_new_sink_of_a_job_that_stays_up_is_published_though_nothing_comes() {
    simulate(8, |_, host| {
        let mut world = following(host, &["numbers"]);
        world.grow("numbers");
        world.sinks.remove("numbers");
        world.run().unwrap();
        world.sinks.insert("numbers".into(), "v1");
        let running = world.follow().unwrap();
        let (rows, _) = world.expected("numbers");
        world.table("numbers").await_that(|table| table.rows == rows);
        world.stop(running).unwrap();
    });
}

#[test]
fn what_a_sink_refuses_becomes_a_reject_that_lasts() {
    simulate(9, |_, host| {
        let world = World::new(host, &["numbers"]);
        world.numbers().append("a", &[1, UNLUCKY, 2]);
        world.run().unwrap();
        world.assert_published("the refused row");
        world.numbers().append("b", &[3]);
        world.run().unwrap();
        world.assert_published("it is refused once");
    });
}

/// Nothing new comes after it, and nobody tells the job to look again.
#[test]
fn what_a_sink_refuses_is_a_reject_before_anything_new_comes() {
    simulate(10, |_, host| {
        let world = following(host, &["numbers"]);
        world.numbers().append("a", &[1, UNLUCKY, 2]);
        let running = world.follow().unwrap();
        world.table("rejects").await_that(|table| table.rows.values().sum::<i64>() == 1);
        world.stop(running).unwrap();
    });
}

/// Nothing more is in hand: an epoch does not wait for its age then.
#[test]
fn a_single_record_is_not_kept_waiting() {
    simulate(11, |_, host| {
        let mut world = following(host, &["numbers"]);
        // A checkpoint closes an epoch, too.
        world.options.checkpoint_interval = Duration::from_secs(3600);
        let running = world.follow().unwrap();
        for number in 0..5 {
            // Longer than an epoch.
            let until = host.now() + Duration::from_millis(350);
            world.numbers().state.wait_until(Some(until), |_| None::<()>);
            let began = host.now();
            world.numbers().append("a", &[number]);
            world.numbers().wake();
            world.table("numbers").await_that(|table| table.written.contains_key(&number));
            assert!(host.since(began) < Duration::from_millis(20), "it took {:?}", host.since(began));
        }
        world.stop(running).unwrap();
    });
}

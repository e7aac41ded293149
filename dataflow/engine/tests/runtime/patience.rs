//! Sources that cannot be read for a while: who waits, for how long, and what is read meanwhile.

use std::time::Duration;

use catchment_contract::ErrorKind;

use crate::world::{Trouble, World, simulate};

fn following(host: &catchment_engine::host::Host) -> World {
    let mut world = World::new(host, &["numbers", "others"]);
    world.options.epoch_interval = Duration::from_millis(100);
    world.options.checkpoint_interval = Duration::from_secs(1);
    world
}

fn pause(world: &World, pause: Duration) {
    let until = world.host.now() + pause;
    world.numbers().state.wait_until(Some(until), |_| None::<()>);
}

/// A folder that is away for less than the run's patience.
#[test]
fn a_source_that_comes_back_was_waited_for() {
    for seconds in [4, 300] {
        simulate(seconds, |_, host| {
            let world = following(host);
            world.numbers().append("a", &[1]);
            let running = world.follow().unwrap();
            world.table("numbers").await_that(|table| table.rows.len() == 1);
            world.numbers().set(Trouble::Away);
            world.numbers().append("a", &[2]);
            world.numbers().wake();
            pause(&world, Duration::from_secs(seconds));
            world.source("others").append("a", &[5]);
            world.source("others").wake();
            world.table("others").await_that(|table| table.rows.len() == 1);
            assert_eq!(world.table("numbers").rows().len(), 1);
            world.numbers().set(Trouble::None);
            let back = host.now();
            world.table("numbers").await_that(|table| table.rows.len() == 2);
            assert!(host.since(back) < Duration::from_secs(10), "it was asked again after {:?}", host.since(back));
            // What watched has gone with the folder: it is watched anew.
            world.numbers().append("a", &[3]);
            world.numbers().wake();
            world.table("numbers").await_that(|table| table.rows.len() == 3);
            world.stop(running).unwrap();
        });
    }
}

/// Failures are counted since the last progress: ten outages of nine minutes each are waited for.
#[test]
fn patience_begins_anew_with_each_progress() {
    simulate(1, |_, host| {
        let world = following(host);
        world.numbers().append("a", &[0]);
        let running = world.follow().unwrap();
        for number in 1..=10 {
            world.table("numbers").await_that(|table| table.rows.len() == number);
            world.numbers().set(Trouble::Away);
            world.numbers().append("a", &[number]);
            world.numbers().wake();
            pause(&world, Duration::from_secs(540));
            world.numbers().set(Trouble::None);
        }
        world.table("numbers").await_that(|table| table.rows.len() == 11);
        world.stop(running).unwrap();
    });
}

#[test]
fn a_source_that_stays_away_ends_the_run_when_patience_ends() {
    simulate(2, |_, host| {
        let mut world = following(host);
        world.options.patience = Duration::from_secs(60);
        world.numbers().append("a", &[1]);
        let running = world.follow().unwrap();
        world.table("numbers").await_that(|table| table.rows.len() == 1);
        world.numbers().set(Trouble::Away);
        world.numbers().wake();
        let began = host.now();
        let error = running.wait().unwrap().expect_err("the folder is away for good");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let waited = host.since(began);
        assert!(waited >= Duration::from_secs(60) && waited < Duration::from_secs(90), "it waited for {waited:?}");
    });
}

/// What was never there is a mistake in the job.
#[test]
fn a_source_that_was_never_there_ends_the_run_at_once() {
    for follows in [false, true] {
        simulate(3, |_, host| {
            let world = following(host);
            world.numbers().set(Trouble::Away);
            let began = host.now();
            let outcome = if follows { world.follow().unwrap().wait().unwrap() } else { world.run() };
            assert_eq!(outcome.expect_err("there is no folder").kind(), ErrorKind::NotFound);
            assert!(host.since(began) < Duration::from_secs(1));
        });
    }
}

/// A run until idle reads what it can, commits it, and fails at its end; the next one reads the rest.
#[test]
fn what_cannot_be_read_fails_a_run_until_idle_at_its_end() {
    for locked in [vec!["b"], vec!["a", "c"]] {
        simulate(4, |_, host| {
            let world = following(host);
            for (number, file) in ["a", "b", "c", "d"].into_iter().enumerate() {
                world.numbers().append(file, &[number]);
            }
            world.source("others").append("a", &[9]);
            let files: Vec<String> = locked.iter().map(|file| file.to_string()).collect();
            world.numbers().state.update(|state| state.locked = files);
            let error = world.run().expect_err("something was not read");
            assert_eq!(error.kind(), ErrorKind::Denied);
            let many =
                error.chain().starts_with("could not read 2 partitions of the job's sources; the first failure: ");
            assert_eq!(many, locked.len() == 2, "{}", error.chain());
            assert_eq!(world.table("numbers").rows().len(), 4 - locked.len(), "the rest is committed");
            assert_eq!(world.table("others").rows().len(), 1, "so are other sources");
            world.numbers().state.update(|state| state.locked.clear());
            world.run().unwrap();
            world.assert_published("after all");
        });
    }
}

/// A file that nobody may read does not keep the others of its source out, and is read once it can be.
#[test]
fn a_run_that_stays_up_waits_for_one_partition() {
    simulate(5, |_, host| {
        let world = following(host);
        world.numbers().append("a", &[1]);
        world.numbers().append("b", &[2]);
        world.numbers().append("c", &[3]);
        world.numbers().state.update(|state| state.locked = vec!["b".into()]);
        let running = world.follow().unwrap();
        world.table("numbers").await_that(|table| table.rows.len() == 2);
        pause(&world, Duration::from_secs(120));
        world.numbers().append("c", &[4]);
        world.numbers().wake();
        world.table("numbers").await_that(|table| table.rows.len() == 3);
        let opened = world.numbers().state.with(|state| state.opened);
        assert!(opened < 100, "it was opened {opened} times in two minutes");
        world.numbers().state.update(|state| state.locked.clear());
        world.table("numbers").await_that(|table| table.rows.len() == 4);
        world.stop(running).unwrap();
    });
}

#[test]
fn one_partition_that_stays_unreadable_ends_the_run_when_patience_ends() {
    simulate(6, |_, host| {
        let mut world = following(host);
        world.options.patience = Duration::from_secs(60);
        world.numbers().append("a", &[1]);
        world.numbers().append("b", &[2]);
        world.numbers().state.update(|state| state.locked = vec!["b".into()]);
        let began = host.now();
        let running = world.follow().unwrap();
        let error = running.wait().unwrap().expect_err("the file stays locked");
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(host.since(began) >= Duration::from_secs(60));
        assert_eq!(world.table("numbers").rows().len(), 1, "the others are committed on the way");
    });
}

/// A file that vanishes between look and open, such as a writer's temporary file, is no fault.
#[test]
fn a_file_that_vanishes_is_no_fault() {
    for follows in [false, true] {
        simulate(7, |_, host| {
            let world = following(host);
            world.numbers().append("a", &[1]);
            world.numbers().append("b.tmp", &[2]);
            world.numbers().append("c", &[3]);
            world.numbers().state.update(|state| state.vanishing = vec!["b.tmp".into()]);
            if follows {
                let running = world.follow().unwrap();
                world.table("numbers").await_that(|table| table.rows.len() == 2);
                world.stop(running).unwrap();
            } else {
                world.run().unwrap();
            }
            world.assert_published("after all");
        });
    }
}

/// A place that is empty is waited for without an end, however long that is.
#[test]
fn an_empty_place_is_waited_for() {
    simulate(8, |_, host| {
        let world = following(host);
        world.numbers().set(Trouble::Empty);
        let running = world.follow().unwrap();
        pause(&world, Duration::from_secs(7200));
        world.numbers().append("a", &[1]);
        world.numbers().set(Trouble::None);
        world.table("numbers").await_that(|table| table.rows.len() == 1);
        world.stop(running).unwrap();
    });
}

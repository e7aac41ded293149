//! Runs one after another: each goes on where the last one ended.

use std::sync::Arc;

use catchment_contract::{Error, ErrorKind};

use crate::world::{World, simulate};

#[test]
fn runs_go_on_where_the_last_one_ended() {
    simulate(1, |_, host| {
        let mut world = World::new(host, &["numbers"]);
        for round in 0..6 {
            world.grow("numbers");
            world.options.workers = 1 + round % 2;
            let report = world.run().unwrap();
            world.assert_published(&format!("round {round}"));
            let (rows, rejects) = world.expected("numbers");
            assert_eq!(report.sources[0].records_total as i64, rows.values().sum::<i64>() + rejects);
            assert_eq!(report.relations[0].rows, rows.values().sum::<i64>());
        }
    });
}

#[test]
fn a_run_with_nothing_new_publishes_nothing_and_reports_the_rows() {
    simulate(2, |_, host| {
        let world = World::new(host, &["numbers"]);
        world.grow("numbers");
        let first = world.run().unwrap();
        let publishes = || world.table("numbers").table.with(|table| table.publishes);
        let before = publishes();
        let second = world.run().unwrap();
        assert_eq!(publishes(), before);
        assert_eq!(second.epochs, 0);
        assert_eq!(first.relations[0].rows, second.relations[0].rows);
    });
}

#[test]
fn an_older_run_that_is_still_alive_cannot_commit() {
    simulate(3, |_, host| {
        let mut world = World::new(host, &["numbers"]);
        world.options.checkpoint_interval = std::time::Duration::from_secs(3600);
        world.grow("numbers");
        let mut zombie = world.open().unwrap();
        zombie.drain().unwrap();
        world.run().unwrap();
        let error = zombie.finish().err().or_else(|| Some(Error::bug("the zombie committed"))).unwrap();
        assert_eq!(error.kind(), ErrorKind::Taken, "{}", error.chain());
        world.assert_published("after the zombie");
    });
}

/// A run that is slow to open removes files of earlier runs, and none of the newer one that has fenced it off meanwhile.
#[test]
fn a_slow_start_removes_nothing_of_its_successor() {
    simulate(7, |_, host| {
        let mut world = World::new(host, &["numbers"]);
        world.options.checkpoint_interval = std::time::Duration::from_secs(3600);
        let world = Arc::new(world);
        world.grow("numbers");
        world.run().unwrap();
        world.grow("numbers");
        let newer = world.clone();
        *world.store.before_state.lock().unwrap() = Some(Box::new(move || drop(newer.run().unwrap())));
        let error = world.open().map(drop).expect_err("the slow run has lost its lease");
        assert_eq!(error.kind(), ErrorKind::Taken, "{}", error.chain());
        world.grow("numbers");
        world.run().unwrap();
        world.assert_published("after the slow run");
    });
}

#[test]
fn a_changed_definition_is_refused() {
    simulate(4, |_, host| {
        let mut world = World::new(host, &["numbers"]);
        world.options.checkpoint_interval = std::time::Duration::from_secs(3600);
        world.grow("numbers");
        world.run().unwrap();
        world.sinks.insert("numbers".into(), "v2");
        let error = world.run().expect_err("the fingerprint changed");
        assert!(
            error.chain().starts_with("relation \"numbers\" of sink \"numbers_sink\" has changed"),
            "{}",
            error.chain()
        );
        world.sinks.insert("numbers".into(), "2:v1");
        let error = world.run().expect_err("the format of fingerprints changed").chain();
        assert!(error.contains("by a build that tells definitions in another way"), "{error}");
        world.sinks.insert("numbers".into(), "v1");
        let mut running = world.open().unwrap();
        world.grow("numbers");
        running.drain().unwrap();
        *world.numbers().definition.lock().unwrap() = "lines elsewhere".into();
        let error = world.run().expect_err("the source is another one");
        assert_eq!(
            error.chain(),
            "source \"numbers\" is lines elsewhere, and was lines in memory when the lake was last written; write it as \
             it was, or add --reset once to load everything anew"
        );
        running.finish().expect("a job that does not fit does not end one that runs");
        world.assert_published("after all");
    });
}

/// A sink that was away has missed what came meanwhile, and epochs that are restored are not told apart: it begins anew.
#[test]
fn sinks_come_and_go() {
    for seed in 0..8 {
        simulate(seed, |_, host| {
            let mut world = World::new(host, &["numbers"]);
            for round in 0..8 {
                world.grow("numbers");
                for name in ["numbers", "rejects"] {
                    match host.environment().random_in(1..=10) <= 6 {
                        true => world.sinks.insert(name.into(), "v1"),
                        false => world.sinks.remove(name),
                    };
                }
                world.options.workers = 1 + round % 2;
                world.run().unwrap();
                world.assert_published(&format!("round {round}"));
            }
        });
    }
}

/// The runtime's part of it: the table is made anew once, and goes on from there; so is that of a relation that reads them.
#[test]
fn rejects_are_written_anew_when_views_come_or_go() {
    simulate(6, |_, host| {
        let mut world = World::new(host, &["numbers"]);
        let fingerprints = [("1:all+a", "1:n+a"), ("1:all+b", "1:n+b"), ("1:all+b", "1:n+b"), ("1:all+a", "1:n+a")];
        for (round, (rejects, reader)) in fingerprints.into_iter().enumerate() {
            world.grow("numbers");
            world.sinks.insert("rejects".into(), rejects);
            world.sinks.insert("numbers".into(), reader);
            world.run().unwrap();
            world.assert_published(&format!("round {round}"));
        }
    });
}

#[test]
fn a_stopped_run_leaves_no_gap() {
    simulate(5, |_, host| {
        let world = World::new(host, &["numbers"]);
        world.grow("numbers");
        world.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        world.run().unwrap();
        world.stop.store(false, std::sync::atomic::Ordering::Relaxed);
        world.run().unwrap();
        world.assert_published("after a stopped run");
    });
}

//! Every run may fail at any call of the store, a source or a sink, before or after the call took effect. The next run is
//! what a restarted process would be; threads of the failed one may live on beside it. What a sink refused is a reject
//! once, too, wherever a run ended after that.

use std::time::Duration;

use crate::world::{UNLUCKY, World, simulate};

/// What a life of failing runs came to: equal for equal seeds.
#[derive(Debug, PartialEq)]
struct Life {
    failures: u32,
    switches: u64,
    passed: Duration,
    objects: Vec<(String, usize)>,
    publishes: u64,
}

/// Four rounds of a job whose every call may fail.
fn live(seed: u64) -> Life {
    simulate(seed, |simulation, host| {
        let mut world = World::new(host, &["numbers", "others"]);
        world.options.workers = 1 + (seed % 2) as usize;
        let mut failures = 0;
        for round in 0..4 {
            world.grow("numbers");
            world.grow("others");
            if host.environment().random_in(0..=1) == 0 {
                world.numbers().append("f0", &[UNLUCKY]);
            }
            world.faults.set(true);
            while world.run().is_err() {
                failures += 1;
                assert!(failures < 500, "no run gets through");
            }
            world.faults.set(false);
            // The run that got through published everything it had seen.
            world.assert_published(&format!("round {round}, after {failures} failures"));
        }
        simulation.settle();
        Life {
            failures,
            switches: simulation.switches(),
            passed: simulation.clock().passed(),
            objects: world.store.sizes().into_iter().collect(),
            publishes: world.table("numbers").table.with(|table| table.publishes),
        }
    })
}

#[test]
fn crashes_at_any_step_lose_and_repeat_nothing() {
    let failures: u32 = (0..60).map(|seed| live(seed).failures).sum();
    assert!(failures > 60, "{failures} runs failed: the faults are too rare to find anything");
}

#[test]
fn one_seed_is_one_run() {
    for seed in [3, 4, 17, 30] {
        assert_eq!(live(seed), live(seed), "seed {seed}");
    }
}

/// Runs that follow their sources fail and are begun again, with checkpoints on the way.
#[test]
fn crashes_of_runs_that_stay_up_lose_and_repeat_nothing() {
    for seed in 100..130 {
        simulate(seed, |_, host| {
            let mut world = World::new(host, &["numbers", "others"]);
            world.options.workers = 1 + (seed % 2) as usize;
            world.options.epoch_interval = Duration::from_millis(100);
            world.options.checkpoint_interval = Duration::from_millis(500);
            for _ in 0..4 {
                world.faults.set(true);
                let Ok(running) = world.follow() else { continue };
                for _ in 0..5 {
                    world.grow("numbers");
                    world.grow("others");
                    world.sources.values().for_each(|source| source.wake());
                    let until = host.now() + host.environment().jittered(Duration::from_secs(1));
                    world.numbers().state.wait_until(Some(until), |_| None::<()>);
                }
                // It may have failed before.
                let _ = world.stop(running);
            }
            world.faults.set(false);
            world.run().unwrap();
            world.assert_published("after all");
        });
    }
}

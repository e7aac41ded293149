//! Rejects that are alike: the first ones of a partition are kept, the others are counted, whatever the cuts.

use std::collections::BTreeMap;

use catchment_engine::runtime::rejects::ALIKE_MAX;

use crate::world::{World, simulate};

const BAD: usize = 3_000;

/// Reads files of bad lines in `parts` runs, each of several payloads; what the rejects' table got, sorted.
fn run(parts: usize, payload_lines: usize) -> Vec<String> {
    simulate(1, |_, host| {
        let mut world = World::new(host, &["numbers"]);
        world.options.workers = 2;
        world.numbers_mut().payload_lines = payload_lines;
        let mut total = 0;
        for part in 0..parts {
            // `bad 17` and `bad 18` are alike, and so are `"a"` and `"b"`.
            let lines: Vec<String> = (0..BAD / parts).map(|line| format!("bad {}", part * BAD + line)).collect();
            world.numbers().append("a", &lines);
            world.numbers().append("a", &["1"]);
            world.numbers().append("few", &["x"]);
            let report = world.run().unwrap();
            total += lines.len() as u64 + 1;
            assert_eq!(report.sources[0].rejects_total, total, "every reject is counted");
            assert_eq!(report.sources[0].records_total, total + part as u64 + 1);
        }
        let mut reasons = world.table("rejects").table.with(|table| table.reasons.clone());
        // What the parts had beside.
        reasons.retain(|reason| !reason.starts_with("\"x\""));
        reasons.sort();
        reasons
    })
}

#[test]
fn alike_rejects_are_kept_up_to_a_number_and_counted_beyond() {
    let reasons = run(1, 100);
    let (kept, counted): (Vec<&String>, Vec<&String>) = reasons.iter().partition(|reason| reason.starts_with("\"bad"));
    assert_eq!(kept.len() as u64, ALIKE_MAX);
    // 1, 2, 4, … and 1,024 more of 2,000.
    assert_eq!(counted.len(), 11, "{counted:?}");
    assert!(
        counted[0].starts_with("at least 1 more of this partition, counted and not kept, like: \"…\" is not a number"),
        "{}",
        counted[0]
    );
    assert!(counted.iter().any(|reason| reason.starts_with("at least 1024 more ")), "{counted:?}");
}

/// One run over everything and many runs over parts give the same, and so do other payloads.
#[test]
fn the_rejects_that_are_kept_do_not_depend_on_cuts() {
    let strip = |reasons: Vec<String>| -> BTreeMap<bool, usize> {
        let mut counts = BTreeMap::new();
        for reason in reasons {
            *counts.entry(reason.starts_with("\"bad")).or_default() += 1;
        }
        counts
    };
    let whole = run(1, 100);
    assert_eq!(run(1, 7), whole);
    assert_eq!(run(1, 2900), whole);
    for parts in [2, 5] {
        assert_eq!(strip(run(parts, 100)), strip(whole.clone()), "{parts} runs");
    }
}

/// What a restart keeps is bounded, too.
#[test]
fn very_many_rejects_leave_little_state() {
    simulate(2, |_, host| {
        let mut world = World::new(host, &["numbers"]);
        world.numbers_mut().payload_lines = 10_000;
        world.numbers().append("a", &vec!["bad"; 200_000]);
        let report = world.run().unwrap();
        assert_eq!(report.sources[0].rejects_total, 200_000);
        let bytes: usize = world.store.sizes().values().sum();
        assert!(bytes < 1 << 20, "{bytes} bytes are kept");
    });
}

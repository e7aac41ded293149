use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::*;
use crate::aggregate::{Aggregate, Function};
use crate::testing::{Accumulated, numbers, texts, updates};
use crate::top_k::Order;

fn spec(limit: usize, ranking: Ranking) -> TopGroupsSpec {
    let count = |function, input| Aggregate { function, input, distinct: false, filter: None, output: DataType::Int64 };
    let aggregate = AggregateSpec {
        keys: vec![0, 1],
        aggregates: vec![count(Function::CountRows, None)],
        input_types: vec![DataType::Int64, DataType::Utf8View],
    };
    let top = TopKSpec {
        partition: vec![0],
        order: vec![
            Order { column: 2, descending: true, nulls_first: true },
            Order { column: 1, descending: false, nulls_first: false },
        ],
        offset: 0,
        limit,
        ranking,
        types: vec![DataType::Int64, DataType::Utf8View, DataType::Int64],
    };
    TopGroupsSpec { aggregate, top }
}

/// The shown rows of counts by (partition, term).
fn expected(counts: &HashMap<(i64, String), i64>, limit: usize) -> Vec<String> {
    let mut groups: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).collect();
    groups.sort_by_key(|((partition, term), count)| (*partition, -**count, term.clone()));
    let mut shown: Vec<String> = groups
        .chunk_by(|one, other| one.0.0 == other.0.0)
        .flat_map(|partition| {
            let shown = partition.iter().take(limit).enumerate();
            shown.map(|(rank, ((id, term), count))| format!("{id} {term} {count} {}", rank + 1))
        })
        .collect();
    shown.sort();
    shown
}

/// Large partitions under small epochs, where most choices are made from what changed alone.
#[test]
fn choices_from_changes_equal_choices_from_everything() {
    for seed in 0..30 {
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let limit = [1, 3, 20][seed as usize % 3];
        let mut logic = TopGroupsLogic::new(&spec(limit, Ranking::RowNumber), &Memory::unlimited());
        if seed % 4 == 0 {
            logic = logic.with_hash_bits(3);
        }
        let (mut counts, mut shown) = (HashMap::new(), Accumulated::default());
        for epoch in 0..60 {
            let rows = if epoch == 0 { 3000 } else { random.random_range(0..30) };
            let mut changes: Vec<(i64, String, i64)> = Vec::new();
            for _ in 0..rows {
                let term = random.random_range(0u32..300).min(random.random_range(0..300));
                let (partition, term) = (random.random_range(0..3), format!("term{term}"));
                let count = counts.entry((partition, term.clone())).or_insert(0);
                let diff = if epoch > 0 && random.random_bool(0.6) { -random.random_range(0..=*count) } else { 1 };
                *count += diff;
                changes.push((partition, term.clone(), diff + 1));
                changes.push((partition, term, -1));
            }
            changes.shuffle(&mut random);
            let batch = updates(
                vec![numbers(changes.iter().map(|change| change.0)), texts(changes.iter().map(|change| &change.1))],
                changes.iter().map(|change| change.2).collect(),
            );
            shown.feed(&mut logic, vec![batch]);
            assert_eq!(shown.once(), expected(&counts, limit));
        }
    }
}

#[test]
fn state_of_what_left_is_given_back() {
    let mut logic = TopGroupsLogic::new(&spec(2, Ranking::None), &Memory::unlimited());
    let mut shown = Accumulated::default();
    for round in 0..50 {
        let terms: Vec<String> = (0..20).map(|term| format!("round {round} term {term}")).collect();
        let batch = |diff| updates(vec![numbers(vec![round; 20]), texts(&terms)], vec![diff; 20]);
        shown.feed(&mut logic, vec![batch(2)]);
        assert_eq!(shown.rows.len(), 2);
        shown.feed(&mut logic, vec![batch(-1), batch(-1)]);
        assert!(shown.rows.is_empty());
    }
    assert_eq!((logic.partition_keys.len(), logic.held.rest.len()), (0, 0));
    assert!(logic.partition_keys.bound() <= 2 && logic.held.rest.bound() <= 40);
}

#[test]
fn counts_widen_past_32_bits() {
    let mut logic = TopGroupsLogic::new(&spec(2, Ranking::None), &Memory::unlimited());
    let mut shown = Accumulated::default();
    let batch = |diffs: [i64; 2]| updates(vec![numbers([1, 1]), texts(["a", "b"])], diffs.to_vec());
    shown.feed(&mut logic, vec![batch([i64::from(i32::MAX), 5])]);
    shown.feed(&mut logic, vec![batch([i64::from(i32::MAX), 5])]);
    assert_eq!(shown.once(), ["1 a 4294967294", "1 b 10"]);
}

#[test]
fn only_what_it_can_keep_fits() {
    let fitting = spec(20, Ranking::RowNumber);
    assert!(fitting.fits());
    let changed = |change: fn(&mut TopGroupsSpec)| {
        let mut spec = fitting.clone();
        change(&mut spec);
        spec.fits()
    };
    assert!(!changed(|spec| spec.aggregate.aggregates[0].distinct = true));
    assert!(!changed(|spec| spec.aggregate.aggregates[0].function = Function::Max));
    assert!(!changed(|spec| spec.top.partition = vec![0, 1]));
    assert!(!changed(|spec| spec.top.partition = vec![2]));
    assert!(!changed(|spec| spec.top.limit = usize::MAX));
    assert!(changed(|spec| spec.top.partition = vec![]));
    // A key in front of the count decides everything: the count is not looked at.
    assert!(changed(|spec| spec.top.order.reverse()));
    // With a second key behind the count, the first key alone does not decide.
    assert!(!changed(|spec| {
        spec.aggregate.input_types.push(DataType::Int64);
        spec.aggregate.keys.push(2);
        spec.top.types.insert(2, DataType::Int64);
        spec.top.order = vec![
            Order { column: 1, descending: false, nulls_first: false },
            Order { column: 3, descending: true, nulls_first: false },
        ];
    }));
}

//! `upsert`.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use catchment_operators::{UpsertSpec, upsert};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::history::{Bag, History, cut};
use crate::memory;
use crate::run::{compare, run};
use crate::sets::random_types;
use crate::value::{Row, Value, random_value};

/// One row of a document.
#[derive(Clone)]
struct Arrived {
    row: Row,
    version: Option<i64>,
    arrival: u64,
    is_tombstone: bool,
}

/// How a history is made.
struct Shape {
    whole_payload: bool,
    /// Whether none, all, or some documents carry a version.
    versions: u32,
}

fn arrived(types: &[DataType], keys: usize, shape: &Shape, random: &mut SmallRng) -> Vec<Arrived> {
    let pool: Vec<Row> = (0..random.random_range(1..8))
        .map(|_| types[..keys].iter().map(|data_type| random_value(data_type, random)).collect())
        .collect();
    let mut all = Vec::new();
    for payload in 0..random.random_range(1..60u64) {
        let version = match shape.versions {
            0 => None,
            1 => Some(random.random_range(0..6)),
            _ => random.random_bool(0.7).then(|| random.random_range(0..6)),
        };
        let is_tombstone = random.random_ratio(1, 5);
        let rows = if shape.whole_payload && !is_tombstone { random.random_range(1..5) } else { 1 };
        let key = pool[random.random_range(0..pool.len())].clone();
        for part in 0..rows {
            let mut row = key.clone();
            row.extend(types[keys..].iter().map(|data_type| random_value(data_type, random)));
            let arrival = if shape.whole_payload { payload << 32 | part } else { payload };
            all.push(Arrived { row, version, arrival, is_tombstone });
        }
    }
    all
}

/// The current rows: the best of the versioned and the best of the others, of which the later stands.
fn current(arrived: &[Arrived], keys: usize, whole_payload: bool) -> Bag {
    let mut documents: BTreeMap<Row, BTreeMap<u64, Vec<&Arrived>>> = BTreeMap::new();
    for one in arrived {
        let document = if whole_payload { one.arrival >> 32 } else { one.arrival };
        documents.entry(one.row[..keys].to_vec()).or_default().entry(document).or_default().push(one);
    }
    let mut bag = Bag::new();
    for documents in documents.values() {
        let best = |versioned: bool| {
            let of_sort = documents.iter().filter(|(_, rows)| rows[0].version.is_some() == versioned);
            of_sort.max_by_key(|(document, rows)| (rows[0].version, **document))
        };
        let (_, rows) = best(true).into_iter().chain(best(false)).max_by_key(|(document, _)| **document).unwrap();
        for one in rows.iter().filter(|one| !one.is_tombstone) {
            *bag.entry(one.row.clone()).or_default() += 1;
        }
    }
    bag
}

/// A history of arrivals in any order, each document in one epoch, and the current rows at each.
fn history(types: &[DataType], keys: usize, shape: &Shape, seed: u64) -> History {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut all = arrived(types, keys, shape, &mut random);
    let epochs = random.random_range(1..8);
    let mut payload_epochs: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut states, mut updates) = (BTreeMap::new(), Vec::new());
    let mut columns = types.to_vec();
    columns.extend([DataType::Int64, DataType::UInt64, DataType::Boolean]);
    all.shuffle(&mut random);
    let mut by_epoch: BTreeMap<u64, Vec<Arrived>> = (1..=epochs).map(|epoch| (epoch, Vec::new())).collect();
    for one in all {
        let document = if shape.whole_payload { one.arrival >> 32 } else { one.arrival };
        let epoch = *payload_epochs.entry(document).or_insert_with(|| random.random_range(1..=epochs));
        let mut row = one.row.clone();
        row.push(one.version.map_or(Value::Null, |version| Value::Int(version.into())));
        row.push(Value::Int(one.arrival.into()));
        row.push(if one.is_tombstone {
            Value::Bool(true)
        } else {
            [Value::Null, Value::Bool(false)][usize::from(random.random_bool(0.5))].clone()
        });
        updates.push((row, epoch, 1));
        by_epoch.entry(epoch).or_default().push(one);
    }
    let mut so_far = Vec::new();
    for (epoch, arrived) in by_epoch {
        so_far.extend(arrived);
        states.insert(epoch, current(&so_far, keys, shape.whole_payload));
    }
    let containers = cut(&columns, updates, &mut random);
    History { containers, states }
}

/// Rows that a document holds several times come several times; what must not be is a row that comes and goes.
fn summed(output: BTreeMap<u64, Vec<(Row, i64)>>) -> BTreeMap<u64, Vec<(Row, i64)>> {
    let sum = |changes: Vec<(Row, i64)>| {
        let mut bag = Bag::new();
        for (row, diff) in changes {
            let count = bag.entry(row).or_default();
            assert!(*count * diff >= 0, "a row is inserted and retracted in one epoch");
            *count += diff;
        }
        bag.into_iter().collect()
    };
    output.into_iter().map(|(epoch, changes)| (epoch, sum(changes))).collect()
}

#[test]
fn upsert_equals_the_newest_documents() {
    for seed in 0..240 {
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let types = random_types(&mut random, 4);
        let keys = random.random_range(1..=types.len());
        let shape = Shape { whole_payload: random.random_bool(0.5), versions: random.random_range(0..3) };
        let history = history(&types, keys, &shape, seed);
        let spec = UpsertSpec {
            key: (0..keys).collect(),
            columns: types.len(),
            version: Some(types.len()),
            arrival: types.len() + 1,
            tombstone: Some(types.len() + 2),
            whole_payload: shape.whole_payload,
        };
        println!("{spec:?} {types:?}");
        for workers in 1..=2 {
            let spec = spec.clone();
            let output = run(
                &history.containers,
                workers,
                Arc::new(move |input| upsert(input, "Upsert", spec.clone(), &memory(seed))),
            );
            compare(&summed(output), &history.states).unwrap();
        }
    }
}

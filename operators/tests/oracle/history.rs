//! Random histories of a relation.

use std::collections::BTreeMap;

use catchment_contract::arrow::array::ArrayRef;
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::{Diff, Epoch, Run};
use catchment_engine::Updates;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::value::{Row, column, dictionary, random_value};

/// Rows with their counts.
pub type Bag = BTreeMap<Row, Diff>;

/// A relation's history.
pub struct History {
    /// Containers in the order of sending; each is sent while the time is the one beside it, not after its first epoch.
    pub containers: Vec<(Epoch, Updates)>,
    /// What the relation holds at the end of each epoch; some epochs bring nothing.
    pub states: BTreeMap<Epoch, Bag>,
}

impl History {
    /// A history over `types`, whose rows never count below 0 at an epoch's end.
    pub fn random(types: Vec<DataType>, seed: u64) -> History {
        let mut random = SmallRng::seed_from_u64(seed);
        let pool: Vec<Row> = (0..random.random_range(1..40))
            .map(|_| types.iter().map(|data_type| random_value(data_type, &mut random)).collect())
            .collect();
        let (mut bag, mut states, mut updates) = (Bag::new(), BTreeMap::new(), Vec::new());
        for epoch in 1..random.random_range(2..9) {
            for _ in 0..[0, 3, 20, 60][random.random_range(0..4)] {
                let row = &pool[random.random_range(0..pool.len())];
                change(row, epoch, &mut bag, &mut updates, &mut random);
            }
            states.insert(epoch, bag.clone());
        }
        let containers = cut(&types, updates, &mut random);
        History { containers, states }
    }
}

/// One change of `row` that keeps its count at or above 0.
fn change(row: &Row, epoch: Epoch, bag: &mut Bag, updates: &mut Vec<(Row, Epoch, Diff)>, random: &mut SmallRng) {
    let count = bag.entry(row.clone()).or_default();
    let diff = random.random_range(-*count..=3);
    *count += diff;
    if *count == 0 {
        bag.remove(row);
    }
    // Sometimes more than is needed, taken back in the same epoch.
    let noise = if random.random_ratio(1, 3) { random.random_range(1..3) } else { 0 };
    for diff in [diff + noise, -noise] {
        if diff != 0 {
            updates.push((row.clone(), epoch, diff));
        }
    }
}

/// Updates in containers: any order inside an epoch, sometimes several epochs in one.
pub fn cut(types: &[DataType], mut updates: Vec<(Row, Epoch, Diff)>, random: &mut SmallRng) -> Vec<(Epoch, Updates)> {
    updates.shuffle(random);
    let is_mixed = random.random_ratio(1, 2);
    if !is_mixed {
        updates.sort_by_key(|(_, epoch, _)| *epoch);
    }
    let mut containers = Vec::new();
    let mut rest = updates.as_slice();
    while !rest.is_empty() {
        let most = if is_mixed { rest.len() } else { rest.partition_point(|(_, epoch, _)| *epoch == rest[0].1) };
        let (these, behind) = rest.split_at(random.random_range(1..=most.min(30)));
        rest = behind;
        let time = these.iter().map(|(_, epoch, _)| *epoch).min().unwrap();
        containers.push((time, container(types, these, random)));
    }
    containers.sort_by_key(|(time, _)| *time);
    containers
}

fn container(types: &[DataType], updates: &[(Row, Epoch, Diff)], random: &mut SmallRng) -> Updates {
    let columns: Vec<ArrayRef> = types
        .iter()
        .enumerate()
        .map(|(index, data_type)| {
            let values: Vec<_> = updates.iter().map(|(row, _, _)| row[index].clone()).collect();
            let column = column(data_type, &values);
            if *data_type == DataType::Utf8View && random.random_bool(0.5) {
                dictionary(&column, random)
            } else {
                column
            }
        })
        .collect();
    let epochs: Vec<Epoch> = updates.iter().map(|(_, epoch, _)| *epoch).collect();
    let diffs: Vec<Diff> = updates.iter().map(|(_, _, diff)| *diff).collect();
    let one = |all: bool| all && random.clone().random_bool(0.5);
    let epochs = match epochs.iter().all(|epoch| *epoch == epochs[0]) {
        all if one(all) => Run::One(epochs[0]),
        _ => Run::Each(epochs.into()),
    };
    let diffs = match diffs.iter().all(|diff| *diff == diffs[0]) {
        all if one(all) => Run::One(diffs[0]),
        _ => Run::Each(diffs.into()),
    };
    Updates::new(updates.len(), columns, epochs, diffs)
}

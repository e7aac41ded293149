//! `distinct`, `top_k`, `union`.

use std::cmp::Ordering;
use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use catchment_operators::{Order, Ranking, TopKSpec, distinct, top_k, union};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::history::{Bag, History};
use crate::memory;
use crate::run::check;
use crate::value::{Row, Value, types};

pub fn random_types(random: &mut SmallRng, most: usize) -> Vec<DataType> {
    (0..random.random_range(1..=most)).map(|_| types().choose(random).unwrap().clone()).collect()
}

pub fn each_once(bag: &Bag) -> Bag {
    bag.keys().map(|row| (row.clone(), 1)).collect()
}

#[test]
fn distinct_equals_the_set_of_rows() {
    for seed in 0..120 {
        println!("seed {seed}");
        let types = random_types(&mut SmallRng::seed_from_u64(seed), 3);
        let history = History::random(types.clone(), seed);
        check(&history, each_once, Arc::new(move |input| distinct(input, "Distinct", types.clone(), &memory(seed))))
            .unwrap();
    }
}

#[test]
fn union_counts_both_sides() {
    for seed in 0..20 {
        println!("seed {seed}");
        let history = History::random(vec![DataType::Int64, DataType::Utf8View], seed);
        let doubled = |bag: &Bag| bag.iter().map(|(row, count)| (row.clone(), 2 * count)).collect();
        let output = crate::run::run(
            &history.containers,
            2,
            Arc::new(move |input| {
                let types = vec![DataType::Int64, DataType::Utf8View];
                // Distinct twice of the same makes its output comparable: each row twice.
                let once = distinct(input, "Distinct", types, &memory(seed));
                union(vec![once.clone(), once], "Union")
            }),
        );
        let mut summed = std::collections::BTreeMap::new();
        for (epoch, changes) in output {
            let mut bag = Bag::new();
            changes.into_iter().for_each(|(row, diff)| *bag.entry(row).or_default() += diff);
            summed.insert(epoch, bag.into_iter().collect());
        }
        let expected = history.states.iter().map(|(epoch, bag)| (*epoch, doubled(&each_once(bag)))).collect();
        crate::run::compare(&summed, &expected).unwrap();
    }
}

/// The order of two values in one direction.
fn by(order: &Order, one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => {
            if order.nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (_, Value::Null) => by(order, other, one).reverse(),
        _ if order.descending => other.cmp(one),
        _ => one.cmp(other),
    }
}

/// The first rows of each partition, naively.
pub fn first_rows(spec: &TopKSpec, bag: &Bag) -> Bag {
    let rest = (0..spec.types.len()).map(|column| Order { column, descending: false, nulls_first: false });
    let order: Vec<Order> = spec.order.iter().copied().chain(rest).collect();
    let key = |row: &Row| -> Row { spec.partition.iter().map(|column| row[*column].clone()).collect() };
    let mut rows: Vec<&Row> = bag.iter().flat_map(|(row, count)| std::iter::repeat_n(row, *count as usize)).collect();
    rows.sort_by(|one, other| {
        let in_partition = || {
            let orders = order.iter().map(|order| by(order, &one[order.column], &other[order.column]));
            orders.fold(Ordering::Equal, Ordering::then)
        };
        key(one).cmp(&key(other)).then_with(in_partition)
    });
    let mut result = Bag::new();
    for partition in rows.chunk_by(|one, other| key(one) == key(other)) {
        for (place, row) in partition.iter().enumerate().skip(spec.offset).take(spec.limit) {
            let mut row = (*row).clone();
            if spec.ranking == Ranking::RowNumber {
                row.push(Value::Int(place as i128 + 1));
            }
            *result.entry(row).or_default() += 1;
        }
    }
    result
}

pub fn random_order(columns: &[usize], random: &mut SmallRng) -> Vec<Order> {
    let direction = |column: usize, random: &mut SmallRng| Order {
        column,
        descending: random.random_bool(0.5),
        nulls_first: random.random_bool(0.5),
    };
    let mut order: Vec<Order> = Vec::new();
    for _ in 0..random.random_range(0..3) {
        if let Some(column) = columns.choose(random)
            && order.iter().all(|order| order.column != *column)
        {
            order.push(direction(*column, random));
        }
    }
    order
}

#[test]
fn top_k_equals_the_first_rows_of_a_sort() {
    for seed in 0..150 {
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let types = random_types(&mut random, 4);
        // A list with a direction of its own would need the reference to know how lists of nulls order.
        let ordered: Vec<usize> =
            (0..types.len()).filter(|column| !matches!(types[*column], DataType::List(_))).collect();
        let spec = TopKSpec {
            partition: (0..types.len()).filter(|_| random.random_ratio(1, 3)).collect(),
            order: random_order(&ordered, &mut random),
            offset: [0, 0, 2][random.random_range(0..3)],
            limit: [1, 3, 20, usize::MAX][random.random_range(0..4)],
            ranking: if random.random_bool(0.5) { Ranking::None } else { Ranking::RowNumber },
            types: types.clone(),
        };
        println!("{spec:?}");
        let history = History::random(types, seed);
        let reference = |bag: &Bag| first_rows(&spec, bag);
        let built = spec.clone();
        check(&history, reference, Arc::new(move |input| top_k(input, "TopK", built.clone(), &memory(seed)))).unwrap();
    }
}

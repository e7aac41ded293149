//! `aggregate` and `top_groups`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use catchment_operators::{Aggregate, AggregateSpec, Function, Ranking, TopGroupsSpec, TopKSpec};
use catchment_operators::{aggregate, top_groups};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::history::{Bag, History};
use crate::memory;
use crate::run::check;
use crate::sets::{first_rows, random_order, random_types};
use crate::value::{Row, Value, double, float};

/// One aggregate over a group's rows, naively.
fn evaluate(aggregate: &Aggregate, types: &[DataType], rows: &[(&Row, i64)]) -> Value {
    let passing = rows.iter().filter(|(row, _)| aggregate.filter.is_none_or(|filter| row[filter] == Value::Bool(true)));
    let Some(input) = aggregate.input else {
        return Value::Int(passing.map(|(_, count)| i128::from(*count)).sum());
    };
    let mut values: Vec<(Value, i128)> = passing.map(|(row, count)| (row[input].clone(), (*count).into())).collect();
    values.retain(|(value, _)| *value != Value::Null);
    if aggregate.distinct {
        let distinct: BTreeSet<Value> = values.into_iter().map(|(value, _)| value).collect();
        values = distinct.into_iter().map(|value| (value, 1)).collect();
    }
    let count: i128 = values.iter().map(|(_, count)| count).sum();
    let integer: i128 = values.iter().map(|(value, count)| if let Value::Int(v) = value { v * count } else { 0 }).sum();
    let sum: f64 = values.iter().map(|(value, count)| double(value).unwrap_or(0.0) * *count as f64).sum();
    let is_decimal = matches!(types[input], DataType::Decimal128(_, _));
    match aggregate.function {
        Function::CountRows | Function::Count => Value::Int(count),
        _ if count == 0 => Value::Null,
        Function::Sum => match aggregate.output {
            DataType::Int64 if i64::try_from(integer).is_err() => Value::Null,
            DataType::UInt64 if u64::try_from(integer).is_err() => Value::Null,
            DataType::Float64 => float(sum),
            _ => Value::Int(integer),
        },
        Function::Avg if is_decimal => {
            // Halves go away from zero.
            let scaled = integer * 10_000;
            let (whole, rest) = (scaled / count, scaled % count);
            Value::Int(if rest.abs() * 2 >= count { whole + scaled.signum() } else { whole })
        }
        Function::Avg if matches!(types[input], DataType::Float64 | DataType::Float32) => float(sum / count as f64),
        Function::Avg => float(integer as f64 / count as f64),
        Function::Min => values.iter().map(|(value, _)| value.clone()).min().unwrap(),
        Function::Max => values.iter().map(|(value, _)| value.clone()).max().unwrap(),
        Function::Median | Function::Mad => {
            let copies = |(value, count): &(Value, i128)| vec![double(value).unwrap(); *count as usize];
            let mut values: Vec<f64> = values.iter().flat_map(copies).collect();
            let median = median(&mut values);
            values.iter_mut().for_each(|value| *value = (*value - median).abs());
            let found = if aggregate.function == Function::Mad { self::median(&mut values) } else { median };
            float(if aggregate.output == DataType::Float32 { f64::from(found as f32) } else { found })
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Groups with their aggregates, naively.
fn grouped(spec: &AggregateSpec, bag: &Bag) -> Bag {
    let mut groups: BTreeMap<Row, Vec<(&Row, i64)>> = BTreeMap::new();
    if spec.keys.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for (row, count) in bag {
        let key = spec.keys.iter().map(|key| row[*key].clone()).collect();
        groups.entry(key).or_default().push((row, *count));
    }
    let row = |(mut key, rows): (Row, Vec<_>)| {
        key.extend(spec.aggregates.iter().map(|aggregate| evaluate(aggregate, &spec.input_types, &rows)));
        (key, 1)
    };
    groups.into_iter().map(row).collect()
}

fn random_aggregate(types: &[DataType], integers_only: bool, random: &mut SmallRng) -> Aggregate {
    let booleans: Vec<usize> = (0..types.len()).filter(|column| types[*column] == DataType::Boolean).collect();
    let filter = booleans.choose(random).copied().filter(|_| random.random_bool(0.5));
    let column = random.random_range(0..types.len());
    let distinct = !integers_only && random.random_ratio(1, 3);
    let (sum, average) = match &types[column] {
        DataType::Int64 | DataType::Int16 => (DataType::Int64, DataType::Float64),
        DataType::UInt64 | DataType::UInt8 => (DataType::UInt64, DataType::Float64),
        DataType::Float64 | DataType::Float32 => (DataType::Float64, DataType::Float64),
        DataType::Decimal128(_, _) => (DataType::Decimal128(30, 2), DataType::Decimal128(24, 6)),
        _ => (DataType::Null, DataType::Null),
    };
    let is_integer = types[column].is_integer();
    let (function, output) = match random.random_range(0..8) {
        1 => (Function::Count, DataType::Int64),
        2 if sum != DataType::Null && (is_integer || !integers_only) => (Function::Sum, sum),
        3 if sum != DataType::Null && !integers_only => (Function::Avg, average),
        4 if !integers_only => (Function::Min, types[column].clone()),
        5 if !integers_only => (Function::Max, types[column].clone()),
        6 if types[column].is_floating() && !integers_only => (Function::Median, types[column].clone()),
        7 if types[column].is_floating() && !integers_only => (Function::Mad, DataType::Float64),
        _ => (Function::CountRows, DataType::Int64),
    };
    let input = (function != Function::CountRows).then_some(column);
    Aggregate { function, input, distinct: distinct && input.is_some(), filter, output }
}

#[test]
fn aggregate_equals_grouping_by_hand() {
    for seed in 0..250 {
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let types = random_types(&mut random, 4);
        let spec = AggregateSpec {
            keys: (0..types.len()).filter(|_| random.random_ratio(1, 2)).collect(),
            aggregates: (0..random.random_range(0..4)).map(|_| random_aggregate(&types, false, &mut random)).collect(),
            input_types: types.clone(),
        };
        println!("{spec:?}");
        spec.check().unwrap();
        let mut history = History::random(types, seed);
        if spec.keys.is_empty() {
            // The one group is there from the first epoch on.
            history.states.entry(1).or_default();
        }
        let built = spec.clone();
        check(
            &history,
            |bag| grouped(&spec, bag),
            Arc::new(move |input| aggregate(input, "Aggregate", built.clone(), &memory(seed))),
        )
        .unwrap();
    }
}

#[test]
fn top_groups_equals_the_first_rows_of_the_groups() {
    let mut fitting = 0;
    for seed in 0..400 {
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let mut types = random_types(&mut random, 3);
        types.extend([DataType::Utf8View, DataType::Int64]);
        let keys: Vec<usize> =
            (0..types.len()).filter(|column| random.random_bool(0.6) && types[*column] != DataType::Null).collect();
        let aggregates: Vec<Aggregate> =
            (0..random.random_range(1..4)).map(|_| random_aggregate(&types, true, &mut random)).collect();
        let aggregate = AggregateSpec { keys: keys.clone(), aggregates, input_types: types.clone() };
        let outputs = keys.iter().map(|key| types[*key].clone());
        let outputs: Vec<DataType> = outputs.chain(aggregate.aggregates.iter().map(|one| one.output.clone())).collect();
        let columns: Vec<usize> =
            (0..outputs.len()).filter(|column| !matches!(outputs[*column], DataType::List(_))).collect();
        let top = TopKSpec {
            partition: (0..keys.len()).filter(|_| random.random_bool(0.5)).collect(),
            order: random_order(&columns, &mut random),
            offset: [0, 0, 1][random.random_range(0..3)],
            limit: [1, 2, 5, 100][random.random_range(0..4)],
            ranking: if random.random_bool(0.5) { Ranking::None } else { Ranking::RowNumber },
            types: outputs,
        };
        let spec = TopGroupsSpec { aggregate, top };
        if !spec.fits() || spec.aggregate.keys.is_empty() {
            continue;
        }
        fitting += 1;
        println!("{spec:?}");
        let history = History::random(types, seed);
        let built = spec.clone();
        let reference = |bag: &Bag| first_rows(&spec.top, &grouped(&spec.aggregate, bag));
        check(&history, reference, Arc::new(move |input| top_groups(input, "TopGroups", built.clone(), &memory(seed))))
            .unwrap();
    }
    assert!(fitting > 100, "only {fitting} of 400 specs fit");
}

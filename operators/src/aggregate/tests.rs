#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

use std::time::Instant;

use catchment_contract::arrow::array::{Int64Array, UInt64Array};
use std::sync::Arc;

use super::*;
use crate::testing::{Accumulated, doubles, numbers, texts, updates};

fn aggregate_of(function: Function, input: Option<usize>, distinct: bool) -> Aggregate {
    Aggregate { function, input, distinct, filter: None, output: DataType::Int64 }
}

fn spec(keys: Vec<usize>, aggregates: Vec<Aggregate>) -> AggregateSpec {
    AggregateSpec { keys, aggregates, input_types: vec![DataType::Utf8View, DataType::Int64] }
}

#[test]
fn nothing_comes_out_when_nothing_changed() {
    let mut logic =
        AggregateLogic::new(spec(vec![0], vec![aggregate_of(Function::Sum, Some(1), false)]), &Memory::unlimited());
    let mut shown = Accumulated::default();
    assert_eq!(shown.feed(&mut logic, vec![updates(vec![texts(["a", "b"]), numbers([1, 2])], vec![1, 1])]), 2);
    assert_eq!(shown.once(), ["a 1", "b 2"]);
    // The sum of "a" comes from other rows now, but is the same; "c" comes and goes.
    let columns = vec![texts(["a", "a", "c", "c"]), numbers([1, 1, 7, 7])];
    assert_eq!(shown.feed(&mut logic, vec![updates(columns, vec![-1, 1, -1, 1])]), 0);
    assert_eq!(shown.feed(&mut logic, vec![updates(vec![texts(["a"]), numbers([1])], vec![-1])]), 1);
    assert_eq!(shown.once(), ["b 2"]);
}

#[test]
fn one_group_is_there_without_rows() {
    let aggregates = vec![aggregate_of(Function::CountRows, None, false), aggregate_of(Function::Sum, Some(1), false)];
    let mut logic = AggregateLogic::new(spec(vec![], aggregates), &Memory::unlimited());
    assert!(logic.starts_unasked());
    let mut shown = Accumulated::default();
    shown.feed(&mut logic, vec![]);
    assert_eq!(shown.once(), ["0 null"]);
    shown.feed(&mut logic, vec![updates(vec![texts(["a"]), numbers([3])], vec![2])]);
    assert_eq!(shown.once(), ["2 6"]);
    shown.feed(&mut logic, vec![updates(vec![texts(["a"]), numbers([3])], vec![-2])]);
    assert_eq!(shown.once(), ["0 null"]);
}

#[test]
fn an_overflow_is_null_until_it_is_taken_back() {
    let mut logic =
        AggregateLogic::new(spec(vec![0], vec![aggregate_of(Function::Sum, Some(1), false)]), &Memory::unlimited());
    let mut shown = Accumulated::default();
    let row = |number, diff| vec![updates(vec![texts(["a"]), numbers([number])], vec![diff])];
    shown.feed(&mut logic, row(i64::MAX, 3));
    assert_eq!(shown.once(), ["a null"]);
    shown.feed(&mut logic, row(i64::MIN, 2));
    assert_eq!(shown.once(), [format!("a {}", i64::MAX - 2)]);
    shown.feed(&mut logic, row(i64::MAX, -2));
    assert_eq!(shown.once(), ["a null"], "below the least");
    shown.feed(&mut logic, row(i64::MIN, -2));
    assert_eq!(shown.once(), [format!("a {}", i64::MAX)]);
}

#[test]
fn unsigned_sums_reach_their_own_end() {
    let mut one = aggregate_of(Function::Sum, Some(0), false);
    one.output = DataType::UInt64;
    let spec = AggregateSpec { keys: vec![], aggregates: vec![one], input_types: vec![DataType::UInt64] };
    let mut shown = Accumulated::default();
    let column: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    shown.feed(&mut AggregateLogic::new(spec, &Memory::unlimited()), vec![updates(vec![column], vec![1])]);
    assert_eq!(shown.once(), [u64::MAX.to_string()]);
}

#[test]
fn hash_ties_do_not_mix_groups() {
    let functions = vec![aggregate_of(Function::CountRows, None, false), aggregate_of(Function::Count, Some(1), true)];
    let mut logic = AggregateLogic::new(spec(vec![0], functions), &Memory::unlimited()).with_hash_bits(0);
    let mut shown = Accumulated::default();
    let keys: Vec<String> = (0..200).map(|row| format!("{:03}", row % 100)).collect();
    shown.feed(&mut logic, vec![updates(vec![texts(&keys), numbers((0..200).map(|row| row / 150))], vec![1; 200])]);
    let expected: Vec<String> = (0..100).map(|key| format!("{key:03} 2 {}", 1 + i64::from(key >= 50))).collect();
    assert_eq!(shown.once(), expected);
}

#[test]
fn one_key_with_very_many_rows_stays_linear() {
    let functions = vec![
        aggregate_of(Function::Sum, Some(1), false),
        aggregate_of(Function::Max, Some(1), false),
        aggregate_of(Function::Count, Some(1), true),
    ];
    let mut logic = AggregateLogic::new(spec(vec![0], functions), &Memory::unlimited());
    let mut shown = Accumulated::default();
    let rows = 200_000;
    let batch = |diff| vec![updates(vec![texts(vec!["same"; rows]), numbers(0..rows as i64)], vec![diff; rows])];
    let start = Instant::now();
    shown.feed(&mut logic, batch(1));
    assert_eq!(shown.once(), [format!("same {} {} {rows}", rows * (rows - 1) / 2, rows - 1)]);
    shown.feed(&mut logic, batch(-1));
    assert!(shown.rows.is_empty());
    // Quadratic would be 10¹⁰ steps.
    println!("{rows} rows in and out in {:?}", start.elapsed());
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn a_filter_without_a_match_leaves_the_group() {
    let mut filtered = aggregate_of(Function::CountRows, None, false);
    filtered.filter = Some(2);
    let mut spec = spec(vec![0], vec![filtered]);
    spec.input_types.push(DataType::Boolean);
    let mut shown = Accumulated::default();
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(false), None]));
    let columns = vec![texts(["a", "a"]), numbers([1, 2]), flags];
    shown.feed(&mut AggregateLogic::new(spec, &Memory::unlimited()), vec![updates(columns, vec![1, 1])]);
    assert_eq!(shown.once(), ["a 0"]);
}

#[test]
fn what_cannot_be_kept_is_refused_by_name() {
    let refused = |aggregate: Aggregate| spec(vec![0], vec![aggregate]).check().unwrap_err();
    let error = refused(aggregate_of(Function::Sum, Some(0), false));
    assert_eq!(error.to_string(), "cannot compute Sum of Utf8View as Int64");
    assert!(error.hint().is_some());
    assert!(refused(aggregate_of(Function::Sum, Some(9), false)).to_string().contains("column 9"));
    assert!(spec(vec![0], vec![aggregate_of(Function::Max, Some(1), true)]).check().is_ok());
}

#[test]
fn nulls_are_passed_over() {
    let functions = vec![
        aggregate_of(Function::Count, Some(1), false),
        aggregate_of(Function::Min, Some(1), false),
        aggregate_of(Function::Count, Some(1), true),
    ];
    let mut logic = AggregateLogic::new(spec(vec![0], functions), &Memory::unlimited());
    let mut shown = Accumulated::default();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(4), None, None]));
    shown.feed(&mut logic, vec![updates(vec![texts(["a", "a", "b", "a"]), column], vec![1; 4])]);
    assert_eq!(shown.once(), ["a 1 4 1", "b 0 null 0"]);
}

#[test]
fn zeros_are_one_group_and_so_are_nans() {
    let aggregates = vec![
        aggregate_of(Function::CountRows, None, false),
        aggregate_of(Function::Count, Some(1), true),
        Aggregate { output: DataType::Float64, ..aggregate_of(Function::Min, Some(1), false) },
        Aggregate { output: DataType::Float64, ..aggregate_of(Function::Max, Some(1), false) },
    ];
    let input_types = vec![DataType::Float64, DataType::Float64];
    let mut logic = AggregateLogic::new(AggregateSpec { keys: vec![0], aggregates, input_types }, &Memory::unlimited());
    let mut shown = Accumulated::default();
    let columns = vec![doubles([0.0, -0.0, f64::NAN, -f64::NAN, 1.0]), doubles([-0.0, 0.0, -f64::NAN, 5.0, f64::NAN])];
    assert_eq!(shown.feed(&mut logic, vec![updates(columns, vec![1; 5])]), 3);
    assert_eq!(shown.once(), ["0.0 2 1 0.0 0.0", "1.0 1 1 NaN NaN", "NaN 2 2 5.0 NaN"]);
    // Which of them stays does not show.
    let gone = vec![doubles([0.0, f64::NAN]), doubles([-0.0, -f64::NAN])];
    assert_eq!(shown.feed(&mut logic, vec![updates(gone, vec![-1; 2])]), 4);
    assert_eq!(shown.once(), ["0.0 1 1 0.0 0.0", "1.0 1 1 NaN NaN", "NaN 1 1 5.0 5.0"]);
}

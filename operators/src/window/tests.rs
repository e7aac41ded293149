use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use catchment_contract::arrow::array::Int64Array;

use super::*;
use crate::aggregate::cast_to;
use crate::multiset::plain_median;
use crate::testing::{Accumulated, doubles, numbers, texts, updates};

const GROUP: usize = 0;
const AT: usize = 1;
const N: usize = 2;

fn function(function: Function, frame: Frame) -> WindowFunction {
    let input = (function != Function::CountRows).then_some(N);
    WindowFunction { function, input, filter: None, frame, output: DataType::Int64 }
}

fn order(descending: bool, nulls_first: bool) -> Option<Order> {
    Some(Order { column: AT, descending, nulls_first })
}

fn spec(order: Option<Order>, functions: Vec<WindowFunction>) -> WindowSpec {
    let types = vec![DataType::Utf8View, DataType::Int64, DataType::Int64];
    WindowSpec { partition: vec![GROUP], order, functions, types }
}

fn between(start: i64, end: i64) -> Frame {
    Frame { start: Bound::Offset(start), end: Bound::Offset(end) }
}

fn rows(rows: &[(&str, i64, i64, i64)]) -> Vec<Updates> {
    let columns = vec![
        texts(rows.iter().map(|row| row.0)),
        numbers(rows.iter().map(|row| row.1)),
        numbers(rows.iter().map(|row| row.2)),
    ];
    vec![updates(columns, rows.iter().map(|row| row.3).collect())]
}

#[test]
fn only_rows_whose_frame_holds_a_change_come_out() {
    let before = between(-2, -1);
    let functions = vec![function(Function::CountRows, before), function(Function::Sum, before)];
    let mut logic = WindowLogic::new(spec(order(false, false), functions));
    let mut shown = Accumulated::default();
    shown.feed(&mut logic, rows(&[("a", 1, 10, 1), ("a", 2, 20, 1), ("a", 3, 30, 1), ("a", 9, 90, 1), ("b", 2, 5, 1)]));
    assert_eq!(shown.once(), ["a 1 10 0 null", "a 2 20 1 10", "a 3 30 2 30", "a 9 90 0 null", "b 2 5 0 null"]);
    // The row at 2 changes: itself, and that at 3, whose frame holds it.
    assert_eq!(shown.feed(&mut logic, rows(&[("a", 2, 20, -1), ("a", 2, 21, 1)])), 4);
    assert_eq!(shown.once()[1..3], ["a 2 21 1 10", "a 3 30 2 31"]);
    // What comes and goes in one epoch is not seen.
    assert_eq!(shown.feed(&mut logic, rows(&[("a", 8, 1, 1), ("a", 8, 1, -1), ("c", 1, 1, 1), ("c", 1, 1, -1)])), 0);
    // The frame of 9 gains a row; then the partition goes.
    assert_eq!(shown.feed(&mut logic, rows(&[("a", 7, 7, 1)])), 3);
    assert_eq!(shown.once()[4], "a 9 90 1 7");
    let gone = [("a", 1, 10, -1), ("a", 2, 21, -1), ("a", 3, 30, -1), ("a", 7, 7, -1), ("a", 9, 90, -1)];
    assert_eq!(shown.feed(&mut logic, rows(&gone)), 5);
    assert_eq!(shown.once(), ["b 2 5 0 null"]);
    assert_eq!((logic.keys.len(), logic.rows.len()), (1, 1), "nothing is kept of rows that are gone");
}

#[test]
fn copies_count_and_share_a_value() {
    let mut logic = WindowLogic::new(spec(order(false, false), vec![function(Function::Sum, between(0, 0))]));
    let mut shown = Accumulated::default();
    shown.feed(&mut logic, rows(&[("a", 1, 10, 2), ("a", 1, 1, 1)]));
    assert_eq!(shown.rows, [("a 1 1 21".to_string(), 1), ("a 1 10 21".to_string(), 2)].into());
    shown.feed(&mut logic, rows(&[("a", 1, 10, 1)]));
    assert_eq!(shown.rows, [("a 1 1 31".to_string(), 1), ("a 1 10 31".to_string(), 3)].into());
    // Copies of a row that has no value change nothing but their number.
    let mut logic = WindowLogic::new(spec(None, vec![function(Function::Max, ALL)]));
    let mut shown = Accumulated::default();
    shown.feed(&mut logic, rows(&[("a", 1, 10, 1), ("a", 2, 20, 1)]));
    assert_eq!(shown.feed(&mut logic, rows(&[("a", 1, 10, 4)])), 1);
    assert_eq!(shown.rows, [("a 1 10 20".to_string(), 5), ("a 2 20 20".to_string(), 1)].into());
}

const ALL: Frame = Frame { start: Bound::Unbounded, end: Bound::Unbounded };

/// A row of the model.
type Row = (usize, Option<i64>, Option<i64>);

fn matches(frame: &Frame, row: Option<i64>, other: Option<i64>, order: &Order) -> bool {
    let place = |value: Option<i64>| Place::new(value.map(i128::from), order.descending, order.nulls_first);
    let range = Range::frame(frame, place(row));
    let limit = place(other).limit();
    range.first <= limit && limit <= range.last
}

fn expected(row: &Row, all: &[Row], function: &WindowFunction, order: &Order) -> Option<f64> {
    let peers = all.iter().filter(|other| other.0 == row.0 && matches(&function.frame, row.1, other.1, order));
    let values: Vec<Option<i64>> = peers.map(|other| other.2).collect();
    let known: Vec<f64> = values.iter().flatten().map(|value| *value as f64).collect();
    let some = |value: f64| (!known.is_empty()).then_some(value);
    match function.function {
        Function::CountRows => Some(values.len() as f64),
        Function::Count => Some(known.len() as f64),
        Function::Sum => some(known.iter().sum()),
        Function::Avg => some(known.iter().sum::<f64>() / known.len() as f64),
        Function::Min => known.iter().copied().min_by(f64::total_cmp),
        Function::Max => known.iter().copied().max_by(f64::total_cmp),
        Function::Median => plain_median(&known),
        Function::Mad => {
            let median = plain_median(&known)?;
            plain_median(&known.iter().map(|value| (value - median).abs()).collect::<Vec<_>>())
        }
    }
}

/// All functions over several frames, against a model that looks at every pair of rows, in every order.
#[test]
fn random_histories_equal_a_model() {
    histories_equal_a_model(&DataType::Int64, &DataType::Float64);
}

/// The same over values of 128 bits.
#[test]
fn random_histories_of_decimals_equal_a_model() {
    histories_equal_a_model(&DataType::Decimal128(38, 0), &DataType::Decimal128(38, 3));
    histories_equal_a_model(&DataType::Decimal128(10, 2), &DataType::Decimal128(38, 0));
}

/// The type of `function` of values of the type `of`.
fn output_of(function: Function, of: &DataType) -> DataType {
    match (function, of) {
        (Function::CountRows | Function::Count, _) => DataType::Int64,
        (Function::Sum, DataType::Decimal128(_, scale)) => DataType::Decimal256(76, *scale),
        (Function::Avg, DataType::Decimal128(_, _)) => DataType::Decimal256(76, 16),
        (Function::Min | Function::Max, DataType::Decimal128(_, _)) => of.clone(),
        _ => DataType::Float64,
    }
}

fn histories_equal_a_model(at: &DataType, of: &DataType) {
    // A distance is in the last digit.
    let unit = if let DataType::Decimal128(_, scale) = at { 10_i64.pow(scale.unsigned_abs().into()) } else { 1 };
    let frame = |start: i64, end: i64| between(start * unit, end * unit);
    let offset = |offset: i64| Bound::Offset(offset * unit);
    let frames = [
        frame(-3, -1),
        frame(-2, 2),
        frame(0, 0),
        frame(1, 4),
        ALL,
        Frame { start: Bound::Unbounded, end: offset(0) },
        Frame { start: offset(-1), end: Bound::Unbounded },
    ];
    // The model counts in ones.
    let models = [between(-3, -1), between(-2, 2), between(0, 0), between(1, 4), ALL, frames[5], {
        Frame { start: Bound::Offset(-1), end: Bound::Unbounded }
    }];
    let all = [
        Function::CountRows,
        Function::Count,
        Function::Sum,
        Function::Avg,
        Function::Min,
        Function::Max,
        Function::Median,
        Function::Mad,
    ];
    let all = &all[..if of.is_floating() { all.len() } else { all.len() - 2 }];
    for seed in 0..40 {
        println!("seed {seed}, {of} by {at}");
        let mut random = SmallRng::seed_from_u64(seed);
        let order = Order { column: AT, descending: random.random(), nulls_first: random.random() };
        let (functions, modelled): (Vec<WindowFunction>, Vec<WindowFunction>) = (0..random.random_range(1..5))
            .map(|_| {
                let place = random.random_range(0..frames.len());
                let function = all[random.random_range(0..all.len())];
                let input = (function != Function::CountRows).then_some(N);
                let output = output_of(function, of);
                let function = WindowFunction { function, input, filter: None, frame: frames[place], output };
                (function.clone(), WindowFunction { frame: models[place], ..function })
            })
            .unzip();
        let types = vec![DataType::Utf8View, at.clone(), of.clone()];
        let spec = WindowSpec { partition: vec![GROUP], order: Some(order), functions: functions.clone(), types };
        let mut logic = WindowLogic::new(spec).with_hash_bits(2);
        let (mut shown, mut model): (Vec<(String, i64)>, Vec<Row>) = (Vec::new(), Vec::new());
        for _ in 0..12 {
            let mut changes: Vec<(Row, i64)> = Vec::new();
            for _ in 0..random.random_range(0..12) {
                let leaves = !model.is_empty() && random.random_bool(0.45);
                if leaves {
                    changes.push((model.swap_remove(random.random_range(0..model.len())), -1));
                } else {
                    let mut maybe = |value| (!random.random_bool(0.15)).then_some(value);
                    let (at, n) = (maybe(0), maybe(0));
                    let at = at.map(|_: i64| random.random_range(0..9));
                    let n = n.map(|_: i64| random.random_range(-3..6));
                    let row = (random.random_range(0..2), at, n);
                    model.push(row);
                    changes.push((row, 1));
                }
            }
            let columns: Vec<ArrayRef> = vec![
                texts(changes.iter().map(|(row, _)| ["a", "b"][row.0])),
                cast_to(&(Arc::new(changes.iter().map(|(row, _)| row.1).collect::<Int64Array>()) as ArrayRef), at),
                cast_to(&(Arc::new(changes.iter().map(|(row, _)| row.2).collect::<Int64Array>()) as ArrayRef), of),
            ];
            let diffs = changes.iter().map(|(_, diff)| *diff).collect();
            for output in logic.apply(vec![updates(columns, diffs)]) {
                (0..output.len()).for_each(|row| shown.push((text(&output, row), output.diffs().at(row))));
            }
            let mut right: Vec<String> = Vec::new();
            for row in &model {
                let values = modelled.iter().map(|function| expected(row, &model, function, &order).map(rounded));
                let cells = [Some(row.0 as f64), row.1.map(|at| at as f64), row.2.map(|n| n as f64)];
                right.push(format!("{:?}", cells.into_iter().chain(values).collect::<Vec<_>>()));
            }
            assert_eq!(
                consolidated(&shown),
                right.into_iter().fold(std::collections::BTreeMap::new(), |mut all, row| {
                    *all.entry(row).or_insert(0) += 1;
                    all
                })
            );
        }
    }
}

/// A row of the output as the model writes it: all numbers.
fn text(output: &Updates, row: usize) -> String {
    use catchment_contract::arrow::array::{Array, AsArray};
    use catchment_contract::arrow::datatypes::{Float64Type, Int64Type};
    let cells: Vec<Option<f64>> = output
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            _ if column.is_null(row) => None,
            DataType::Utf8View => Some(if column.as_string_view().value(row) == "a" { 0.0 } else { 1.0 }),
            DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row) as f64),
            _ => Some(rounded(cast_to(column, &DataType::Float64).as_primitive::<Float64Type>().value(row))),
        })
        .collect();
    format!("{cells:?}")
}

/// Decimals have 16 digits behind the point, doubles others.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9 + 0.0
}

fn consolidated(rows: &[(String, i64)]) -> std::collections::BTreeMap<String, i64> {
    let mut sums = std::collections::BTreeMap::new();
    rows.iter().for_each(|(row, diff)| *sums.entry(row.clone()).or_insert(0) += diff);
    sums.retain(|_, count| *count != 0);
    sums
}

#[test]
fn a_filter_chooses_what_counts() {
    let types = vec![DataType::Utf8View, DataType::Int64, DataType::Int64, DataType::Boolean];
    let counted = WindowFunction { filter: Some(3), ..function(Function::CountRows, ALL) };
    let summed = WindowFunction { filter: Some(3), ..function(Function::Sum, ALL) };
    let spec = WindowSpec { partition: vec![GROUP], order: None, functions: vec![counted, summed], types };
    let mut logic = WindowLogic::new(spec);
    let kept: ArrayRef =
        Arc::new(catchment_contract::arrow::array::BooleanArray::from(vec![Some(true), Some(false), None]));
    let columns = vec![texts(["a", "a", "a"]), numbers([1, 2, 3]), numbers([10, 20, 30]), kept];
    let output = logic.apply(vec![updates(columns, vec![1, 1, 1])]).remove(0);
    let values = |column: usize| format!("{:?}", flatten(output.column(column)).slice(0, 1));
    assert_eq!(output.len(), 3);
    assert!(values(4).contains("  1,") && values(5).contains("  10,"), "{} {}", values(4), values(5));
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let refused = |spec: WindowSpec| spec.check().expect_err("it cannot be kept").chain();
    let text = Some(Order { column: GROUP, descending: false, nulls_first: false });
    let functions = || vec![function(Function::Sum, ALL)];
    assert!(refused(spec(text, functions())).contains("order by a time, a date, an integer or a decimal"));
    let summed = WindowFunction { input: Some(GROUP), ..function(Function::Sum, ALL) };
    assert!(refused(spec(None, vec![summed])).contains("cast the column"));
    let empty = function(Function::Sum, between(-1, -3));
    assert!(refused(spec(None, vec![empty])).contains("ends before it starts"));
}

/// Zeros are one partition; a column that is not its key keeps its bits.
#[test]
fn zeros_are_one_partition_whatever_their_signs() {
    let all = Frame { start: Bound::Unbounded, end: Bound::Unbounded };
    let functions = vec![WindowFunction { input: None, ..function(Function::CountRows, all) }];
    let types = vec![DataType::Float64; 2];
    let mut logic = WindowLogic::new(WindowSpec { partition: vec![0], order: None, functions, types });
    let mut shown = Accumulated::default();
    let columns = vec![doubles([0.0, -0.0, f64::NAN, -f64::NAN]), doubles([-0.0, 0.0, 1.0, 2.0])];
    shown.feed(&mut logic, vec![updates(columns, vec![1; 4])]);
    assert_eq!(shown.once(), ["0.0 -0.0 2", "0.0 0.0 2", "NaN 1.0 2", "NaN 2.0 2"]);
}

/// A sum of decimals may leave 128 bits on its way; where it stays beyond 38 digits it is more than a `Decimal128` holds.
#[test]
fn sums_of_large_decimals_do_not_wrap() {
    use catchment_contract::arrow::array::{AsArray, Decimal128Array};
    use catchment_contract::arrow::datatypes::{Decimal256Type, i256};
    let large = 10_i128.pow(38) - 1;
    let of = DataType::Decimal128(38, 0);
    let sum = WindowFunction { output: DataType::Decimal256(76, 0), ..function(Function::Sum, ALL) };
    let types = vec![DataType::Utf8View, DataType::Int64, of.clone()];
    let mut logic = WindowLogic::new(WindowSpec { partition: vec![GROUP], order: None, functions: vec![sum], types });
    let mut feed = |values: Vec<i128>, diffs: Vec<i64>| {
        let ids = numbers(values.iter().map(|value| (*value % 7) as i64));
        let groups = texts(values.iter().map(|_| "a"));
        let values: ArrayRef = Arc::new(Decimal128Array::from(values).with_data_type(of.clone()));
        let output = logic.apply(vec![updates(vec![groups, ids, values], diffs)]).remove(0);
        let sums = output.column(3).as_primitive::<Decimal256Type>().clone();
        let shown = (0..output.len()).filter(|row| output.diffs().at(*row) > 0).map(|row| sums.value(row));
        shown.collect::<std::collections::BTreeSet<i256>>()
    };
    let beyond = feed(vec![large, large - 1], vec![2, 1]);
    assert!(beyond.iter().all(|sum| *sum >= i256::from_i128(10_i128.pow(38))), "{beyond:?}");
    assert_eq!(feed(vec![-large], vec![2]), [i256::from_i128(large - 1)].into());
}

/// 64-bit integers without a sign have sums of their own.
#[test]
fn unsigned_integers_are_summed_and_ordered() {
    use catchment_contract::arrow::array::UInt64Array;
    let unsigned = |output: DataType, function: Function| WindowFunction {
        input: Some(0),
        output,
        ..self::function(function, Frame { start: Bound::Unbounded, end: Bound::Offset(0) })
    };
    let functions = vec![
        unsigned(DataType::Decimal128(38, 0), Function::Sum),
        unsigned(DataType::UInt64, Function::Max),
        unsigned(DataType::Float64, Function::Avg),
    ];
    let order = Some(Order { column: 0, descending: false, nulls_first: false });
    let types = vec![DataType::UInt64];
    let mut logic = WindowLogic::new(WindowSpec { partition: vec![], order, functions, types });
    let mut shown = Accumulated::default();
    let column: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 1]));
    shown.feed(&mut logic, vec![updates(vec![column], vec![1, 1])]);
    assert_eq!(shown.rows.len(), 2, "{:?}", shown.rows);
    let text = format!("{:?}", shown.rows);
    assert!(text.contains("1 1 1 1.0") && text.contains("18446744073709551616 18446744073709551615"), "{text}");
}

//! The oracle: at every epoch the maintained result equals the logic over each group's rows, on one worker and two, and
//! when the hashes of different keys tie.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use catchment_contract::arrow::array::{Array, AsArray, Int64Array, StringViewArray};
use catchment_contract::arrow::datatypes::Int64Type;
use timely::dataflow::operators::{Input, Probe};

use super::*;
use crate::join::JoinKind;
use crate::join::tests::{Bag, Case, Kind, Row, UpdatesInput, add, collect, without_zeros};

/// Key, number of rows, least text: one row a group. Rows are (key …, Int, Text).
fn summary(key: usize) -> GroupLogic {
    Box::new(move |columns, counts| {
        let texts = columns[key + 1].as_string_view();
        let count: ArrayRef = Arc::new(Int64Array::from(vec![counts.iter().sum::<Diff>()]));
        let least: ArrayRef = Arc::new(StringViewArray::from(vec![texts.iter().flatten().min()]));
        columns[..key].iter().map(|column| column.slice(0, 1)).chain([count, least]).collect()
    })
}

/// The numbers over 1 of the rows, each with how often its row is there: no row or several.
fn large(key: usize) -> GroupLogic {
    Box::new(move |columns, counts| {
        let numbers = columns[key].as_primitive::<Int64Type>();
        let kept: Vec<usize> =
            (0..counts.len()).filter(|row| numbers.is_valid(*row) && numbers.value(*row) > 1).collect();
        vec![
            Arc::new(kept.iter().map(|row| numbers.value(*row)).collect::<Int64Array>()),
            Arc::new(kept.iter().map(|row| counts[*row]).collect::<Int64Array>()),
        ]
    })
}

/// The result of the logic by definition.
fn naive(rows: &Bag, key: usize, summaries: bool) -> Bag {
    let mut groups: BTreeMap<Row, Vec<(&Row, Diff)>> = BTreeMap::new();
    for (row, count) in rows {
        groups.entry(row[..key].to_vec()).or_default().push((row, *count));
    }
    let mut out = Bag::new();
    for (group, rows) in groups {
        if summaries {
            let count: Diff = rows.iter().map(|(_, count)| count).sum();
            let least = rows.iter().filter_map(|(row, _)| row[key + 1].clone()).min();
            add(&mut out, [group, vec![Some(count.to_string()), least]].concat(), 1);
        } else {
            for (row, count) in rows {
                if row[key].as_ref().is_some_and(|number| number.parse::<i64>().unwrap() > 1) {
                    add(&mut out, vec![row[key].clone(), Some(count.to_string())], 1);
                }
            }
        }
    }
    out
}

fn run(case: &Case, summaries: bool) -> BTreeMap<Epoch, Bag> {
    let results: Arc<Mutex<BTreeMap<Epoch, Bag>>> = Arc::default();
    let (collected, case) = (Arc::clone(&results), case.clone());
    let config = if case.workers == 1 { timely::Config::thread() } else { timely::Config::process(case.workers) };
    let guards = timely::execute(config, move |worker| {
        let mut input = UpdatesInput::new_with_builder();
        let (index, peers, collected) = (worker.index(), worker.peers(), Arc::clone(&collected));
        let width = case.key.len();
        let probe = worker.dataflow::<Epoch, _, _>(|scope| {
            let arranger = Arranger { key: (0..width).collect(), routed: false, key_hash_bits: case.bits };
            let arranged = arranger.arrange(scope.input_from(&mut input), "test input");
            let key_types: Vec<DataType> = case.key.iter().map(|kind| kind.data_type()).collect();
            let (types, logic) = if summaries {
                ([key_types, vec![DataType::Int64, DataType::Utf8View]].concat(), summary(width))
            } else {
                (vec![DataType::Int64; 2], large(width))
            };
            let reduced = reduce_arranged(arranged, "test", Groups::new((0..width).collect(), types, logic));
            collect(reduced, collected).probe().0
        });
        for (epoch, parts) in case.history(0).0.into_iter().enumerate() {
            for (_, mut part) in parts.into_iter().enumerate().filter(|(at, _)| at % peers == index) {
                input.send_batch(&mut part);
            }
            input.advance_to(epoch as Epoch + 1);
            // Several epochs may be open at once.
            if epoch % 3 != 1 {
                worker.step_or_park_while(None, || probe.less_than(input.time()));
            }
        }
    });
    for guard in guards.unwrap().join() {
        guard.unwrap();
    }
    std::mem::take(&mut *results.lock().unwrap())
}

fn check(case: Case) {
    for summaries in [true, false] {
        let results = run(&case, summaries);
        let (mut rows, mut maintained) = (Bag::new(), Bag::new());
        for (epoch, changes) in case.history(0).1.iter().enumerate() {
            changes.iter().for_each(|(row, diff)| add(&mut rows, row.clone(), *diff));
            rows.retain(|_, count| *count != 0);
            for (row, diff) in results.get(&(epoch as Epoch)).into_iter().flatten() {
                add(&mut maintained, row.clone(), *diff);
            }
            let (expect, actual) = (naive(&rows, case.key.len(), summaries), without_zeros(maintained.clone()));
            assert_eq!(expect, actual, "{case:?}, summaries {summaries}, epoch {epoch}");
        }
    }
}

fn case(key: &[Kind], seed: u64) -> Case {
    Case::new(JoinKind::Inner, key, seed)
}

#[test]
fn groups_are_right_at_every_epoch() {
    (0..12).for_each(|seed| check(case(&[Kind::Int], seed)));
    (12..16).for_each(|seed| check(case(&[Kind::Text, Kind::Int], seed)));
    (16..20).for_each(|seed| check(case(&[Kind::List], seed)));
    (20..24).for_each(|seed| check(case(&[Kind::Words, Kind::Decimal], seed)));
}

#[test]
fn no_key_columns_are_one_group() {
    (30..34).for_each(|seed| check(case(&[], seed)));
}

#[test]
fn ties_of_key_hashes_do_not_mix_groups() {
    for bits in [0, 1, 3] {
        (40..44).for_each(|seed| check(Case { bits, keys: 20, ..case(&[Kind::Int], seed) }));
        (44..46).for_each(|seed| check(Case { bits, ..case(&[Kind::Text, Kind::List], seed) }));
    }
}

#[test]
fn large_groups_are_right() {
    check(Case { skew: 0.95, changes: 80, epochs: 10, ..case(&[Kind::Int], 50) });
    check(Case { skew: 0.95, changes: 80, epochs: 10, ..case(&[Kind::Int], 51) });
}

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::array::UInt64Array;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::testing::{Accumulated, numbers, texts, updates};

fn spec() -> UpsertSpec {
    UpsertSpec { key: vec![0], columns: 2, version: None, arrival: 2, tombstone: None, whole_payload: false }
}

fn batch(keys: &[i64], values: &[String], first: u64) -> Updates {
    let arrivals: ArrayRef = Arc::new(UInt64Array::from((first..first + keys.len() as u64).collect::<Vec<_>>()));
    updates(vec![numbers(keys.iter().copied()), texts(values), arrivals], vec![1; keys.len()])
}

#[test]
fn a_row_that_comes_again_unchanged_emits_nothing() {
    let mut logic = UpsertLogic::new(spec(), &Memory::unlimited());
    let mut shown = Accumulated::default();
    let value = |value: &str| vec![value.to_string()];
    assert_eq!(shown.feed(&mut logic, vec![batch(&[1], &value("a"), 0)]), 1);
    assert_eq!(shown.feed(&mut logic, vec![batch(&[1], &value("a"), 1)]), 0);
    assert_eq!(shown.feed(&mut logic, vec![batch(&[1], &value("b"), 2), batch(&[1], &value("a"), 3)]), 0);
    assert_eq!(shown.feed(&mut logic, vec![batch(&[1], &value("b"), 1)]), 0, "it comes late");
    assert_eq!(shown.feed(&mut logic, vec![batch(&[1], &value("b"), 4)]), 2);
    assert_eq!(shown.once(), ["1 b"]);
}

#[test]
fn pieces_stay_few_and_mostly_alive() {
    let mut random = SmallRng::seed_from_u64(1);
    let (mut logic, mut shown, mut expected) =
        (UpsertLogic::new(spec(), &Memory::unlimited()), Accumulated::default(), BTreeMap::new());
    let mut arrival = 0;
    for epoch in 0..400 {
        let rows = if epoch < 20 { 200 } else { random.random_range(1..30) };
        let keys: Vec<i64> = (0..rows).map(|_| random.random_range(0..2000)).collect();
        let values: Vec<String> = keys.iter().map(|key| format!("the value of {key} in epoch {epoch}")).collect();
        shown.feed(&mut logic, vec![batch(&keys, &values, arrival)]);
        arrival += rows as u64;
        expected.extend(keys.into_iter().zip(values));
        let (pieces, held) = logic.pieces().size();
        assert!(pieces < 60, "{pieces} pieces");
        assert!(held <= 2 * expected.len(), "{held} rows are held for {} keys", expected.len());
    }
    let mut expected: Vec<String> = expected.into_iter().map(|(key, value)| format!("{key} {value}")).collect();
    expected.sort();
    assert_eq!(shown.once(), expected);
}

#[test]
fn one_key_that_changes_very_often_stays_linear() {
    let rows = 200_000;
    let values: Vec<String> = (0..rows).map(|row| format!("{row}")).collect();
    let (mut logic, mut shown) = (UpsertLogic::new(spec(), &Memory::unlimited()), Accumulated::default());
    shown.feed(&mut logic, vec![batch(&vec![7; rows], &values, 0)]);
    assert_eq!(shown.once(), [format!("7 {}", rows - 1)]);
    assert!(logic.pieces().size().1 <= 2, "dead rows are let go");
}

#[test]
fn a_large_document_is_replaced_as_a_whole() {
    let spec = UpsertSpec { whole_payload: true, ..spec() };
    let (mut logic, mut shown) = (UpsertLogic::new(spec, &Memory::unlimited()), Accumulated::default());
    let document = |payload: u64, rows: i64| {
        let values: Vec<String> = (0..rows).map(|row| format!("line {row}")).collect();
        batch(&vec![1; rows as usize], &values, payload << 32)
    };
    assert_eq!(shown.feed(&mut logic, vec![document(0, 5000)]), 5000);
    assert_eq!(shown.feed(&mut logic, vec![document(1, 5001)]), 1, "only the new line");
    assert_eq!(shown.feed(&mut logic, vec![document(2, 1)]), 5000);
    assert_eq!(shown.once(), ["1 line 0"]);
}

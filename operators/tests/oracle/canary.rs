//! Tests of the tester: operators with faults that it must find.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::Updates;
use catchment_operators::{Memory, Transformed, distinct, transform, union};

use crate::history::History;
use crate::run::{Build, check};
use crate::sets::each_once;

fn histories_that_find(build: Arc<Build>) -> usize {
    let types = vec![DataType::Int16, DataType::Boolean];
    let finds = |seed: &u64| check(&History::random(types.clone(), *seed), each_once, build.clone()).is_err();
    (0..30).filter(finds).count()
}

fn rows() -> Vec<DataType> {
    vec![DataType::Int16, DataType::Boolean]
}

#[test]
fn the_right_operator_passes() {
    assert_eq!(histories_that_find(Arc::new(|input| distinct(input, "Distinct", rows(), &Memory::unlimited()))), 0);
}

#[test]
fn an_operator_that_does_nothing_is_found() {
    assert!(histories_that_find(Arc::new(|input| union(vec![input], "Union"))) > 10);
}

#[test]
fn an_operator_that_loses_an_update_now_and_then_is_found() {
    let lossy: Arc<Build> = Arc::new(|input| {
        let mut seen = 0;
        let stage = move |updates: Updates| {
            seen += 1;
            let kept = if seen % 5 == 0 { updates.slice(1, updates.len() - 1) } else { updates };
            Transformed { updates: kept, faults: None }
        };
        distinct(transform(input, "Lossy", Box::new(stage)).0, "Distinct", rows(), &Memory::unlimited())
    });
    assert!(histories_that_find(lossy) > 5);
}

#[test]
fn output_that_is_not_consolidated_is_found() {
    let doubled: Arc<Build> = Arc::new(|input| {
        let once = distinct(input, "Distinct", rows(), &Memory::unlimited());
        let negated = |updates: Updates| {
            let diffs: Vec<i64> = (0..updates.len()).map(|row| -updates.diffs().at(row)).collect();
            Transformed { updates: updates.with_diffs(catchment_contract::Run::Each(diffs.into())), faults: None }
        };
        let negative = transform(once.clone(), "Negate", Box::new(negated)).0;
        union(vec![once.clone(), once, negative], "Union")
    });
    assert!(histories_that_find(doubled) > 10);
}

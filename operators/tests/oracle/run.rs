//! Runs an operator on timely workers and compares what comes out with a reference.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use catchment_contract::Epoch;
use catchment_engine::{UpdateStream, Updates};
use timely::container::NoopBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::inspect::InspectCore;

use crate::history::{Bag, History};
use crate::value::{Row, values};

/// An operator under test.
pub type Build = dyn for<'s> Fn(UpdateStream<'s>) -> UpdateStream<'s> + Send + Sync;

/// What `build` makes of `containers` on `workers` threads, epoch by epoch, as it came.
pub fn run(containers: &[(Epoch, Updates)], workers: usize, build: Arc<Build>) -> BTreeMap<Epoch, Vec<(Row, i64)>> {
    let (containers, output) = (Arc::new(containers.to_vec()), Arc::new(Mutex::new(Vec::<Updates>::new())));
    let sink = output.clone();
    timely::execute(timely::Config::process(workers), move |worker| {
        let (index, sink) = (worker.index(), sink.clone());
        let mut input = InputHandle::<Epoch, NoopBuilder<Updates>>::new_with_builder();
        worker.dataflow(|scope| {
            let stream = scope.input_from(&mut input);
            build(stream).inspect_container(move |event| {
                if let Ok((_, updates)) = event {
                    sink.lock().unwrap().push(updates.clone());
                }
            });
        });
        for (place, (time, updates)) in containers.iter().enumerate() {
            if *time > *input.time() {
                input.advance_to(*time);
                worker.step();
            }
            if place % workers == index {
                input.send_batch(&mut updates.clone());
            }
        }
        input.close();
        while worker.step_or_park(None) {}
    })
    .unwrap();
    let mut epochs = BTreeMap::<Epoch, Vec<(Row, i64)>>::new();
    for updates in output.lock().unwrap().iter() {
        assert!(!updates.is_empty(), "an empty container came out");
        let columns: Vec<_> = updates.columns().iter().map(values).collect();
        for row in 0..updates.len() {
            let values = columns.iter().map(|column| column[row].clone()).collect();
            epochs.entry(updates.epochs().at(row)).or_default().push((values, updates.diffs().at(row)));
        }
    }
    epochs
}

/// Whether the output accumulates to `expected` at every epoch, and each epoch's output is consolidated.
pub fn compare(output: &BTreeMap<Epoch, Vec<(Row, i64)>>, expected: &BTreeMap<Epoch, Bag>) -> Result<(), String> {
    if let Some(stray) = output.keys().find(|epoch| !expected.contains_key(epoch)) {
        return Err(format!("epoch {stray} has output, but was not in the history"));
    }
    let mut bag = Bag::new();
    for (epoch, expected) in expected {
        let changes = output.get(epoch).map(Vec::as_slice).unwrap_or_default();
        let mut seen = HashMap::new();
        for (row, diff) in changes {
            let name = format!("{row:?}");
            if *diff == 0 || seen.insert(name, ()).is_some() {
                return Err(format!("epoch {epoch} is not consolidated: {row:?} {diff}"));
            }
            let count = bag.entry(row.clone()).or_default();
            *count += diff;
            if *count == 0 {
                bag.remove(row);
            }
        }
        if bag != *expected {
            return Err(format!("epoch {epoch}: have {bag:#?}\nexpected {expected:#?}\nchanges {changes:?}"));
        }
    }
    Ok(())
}

/// Runs `build` over a history and compares with `reference` of each state, on one and on two workers.
pub fn check(history: &History, reference: impl Fn(&Bag) -> Bag, build: Arc<Build>) -> Result<(), String> {
    let expected = history.states.iter().map(|(epoch, bag)| (*epoch, reference(bag))).collect();
    (1..=2).try_for_each(|workers| {
        let output = run(&history.containers, workers, build.clone());
        compare(&output, &expected).map_err(|error| format!("{workers} workers: {error}"))
    })
}

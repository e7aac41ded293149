//! The dataflow's two ends on a worker: inputs of the sources, and captures that take relations to sinks.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use catchment_contract::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use catchment_contract::arrow::compute::cast;
use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::{Epoch, UpdateBatch};
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::worker::Worker;

use super::sinking::SinkQueue;
use super::workers::Setup;
use crate::updates::{UpdateStream, Updates, flatten};

/// A source's input.
pub(super) type UpdateInput = InputHandle<Epoch, NoopBuilder<Updates>>;

/// Where captured updates of one sink go.
#[derive(Clone)]
pub(super) struct Capture {
    pub from: String,
    pub schema: SchemaRef,
    /// Updates of epochs up to this one were published by an earlier run.
    pub published: Option<Epoch>,
    pub messages: SinkQueue,
}

/// Builds the job's dataflow on a worker; the inputs, in the order of the sources, then that of the rejects.
pub(super) fn build(worker: &mut Worker, setup: &Setup, probe: &ProbeHandle<Epoch>) -> Vec<UpdateInput> {
    worker.dataflow::<Epoch, _, _>(|scope| {
        let mut handles = Vec::new();
        let mut streams = BTreeMap::new();
        for name in &setup.sources {
            let (handle, stream) = scope.new_input_with_builder::<NoopBuilder<Updates>>();
            handles.push(handle);
            streams.insert(name.clone(), stream.probe_with(probe));
        }
        let (handle, rejects) = scope.new_input_with_builder::<NoopBuilder<Updates>>();
        handles.push(handle);
        let relations = setup.dataflow.build(scope, streams, rejects.probe_with(probe), &setup.memory);
        for (name, stream) in relations {
            let stream = count(stream, &name, setup);
            for capture in setup.captures.iter().filter(|capture| capture.from == name) {
                capture_into(stream.clone(), capture.clone()).probe_with(probe);
            }
            stream.probe_with(probe);
        }
        handles
    })
}

/// Counts a relation's rows and changes.
fn count<'s>(stream: UpdateStream<'s>, name: &str, setup: &Setup) -> UpdateStream<'s> {
    let (counters, relation, restored) = (setup.counters.clone(), name.to_string(), setup.restored);
    stream.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, &format!("Count: {name}"), move |_, _| {
        move |input, output| {
            input.for_each(|capability, updates| {
                if let Some(counter) = counters.get(&relation) {
                    let (mut rows, mut changes) = (0, 0);
                    for row in 0..updates.len() {
                        rows += updates.diffs().at(row);
                        changes += u64::from(restored.is_none_or(|restored| updates.epochs().at(row) > restored));
                    }
                    counter.rows.fetch_add(rows, Ordering::Relaxed);
                    counter.changes.fetch_add(changes, Ordering::Relaxed);
                }
                output.session_with_builder(&capability).give_container(updates);
            });
        }
    })
}

/// Sends a relation's updates to a sink's thread.
fn capture_into<'s>(stream: UpdateStream<'s>, capture: Capture) -> UpdateStream<'s> {
    let name = format!("Capture: {}", capture.from);
    stream.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, &name, move |_, _| {
        move |input, _output| {
            input.for_each(|_, updates| {
                let updates = unpublished(std::mem::take(updates), capture.published);
                if !updates.is_empty() {
                    capture.messages.push_updates(at_edge(updates, &capture.schema));
                }
            });
        }
    })
}

/// The updates of epochs after `published`.
fn unpublished(updates: Updates, published: Option<Epoch>) -> Updates {
    let Some(published) = published else { return updates };
    match updates.epochs().constant(updates.len()) {
        Some(epoch) if epoch > published => updates,
        Some(_) => Updates::default(),
        None => {
            let rows: Vec<u32> =
                (0..updates.len() as u32).filter(|row| updates.epochs().at(*row as usize) > published).collect();
            updates.take(&rows)
        }
    }
}

/// Updates in the relation's schema, as sinks see them.
fn at_edge(updates: Updates, schema: &SchemaRef) -> UpdateBatch {
    let len = updates.len();
    let (columns, epochs, diffs) = updates.into_parts();
    let columns: Vec<ArrayRef> = columns
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            let column = flatten(column);
            if column.data_type() == field.data_type() {
                column
            } else {
                cast(&column, field.data_type()).expect("a relation's columns have its schema's types")
            }
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(len));
    let rows = RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .unwrap_or_else(|error| panic!("relation does not have its schema: {error}"));
    UpdateBatch { rows, epochs, diffs }
}

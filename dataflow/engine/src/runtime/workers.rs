//! Timely workers: their inputs, their captures, and what they report.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

use catchment_contract::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use catchment_contract::arrow::compute::cast;
use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::{Epoch, Error, Result, UpdateBatch};
use crossbeam_channel::{Receiver, Sender, unbounded};
use timely::container::NoopBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::ProbeHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Probe};
use timely::worker::Worker;

use super::job::Dataflow;
use super::report::RelationCounter;
use super::sinking::SinkMessage;
use crate::updates::{UpdateStream, Updates, flatten};

/// How long an idle worker sleeps when nobody wakes it.
const PARK: Duration = Duration::from_millis(500);

/// What a worker is told, in order.
enum Command {
    /// Updates for input `input`, at the present epoch.
    Feed { input: usize, updates: Updates },
    /// The present epoch is closed; this one is open.
    Advance(Epoch),
}

/// Where captured updates of one sink go.
#[derive(Clone)]
pub(crate) struct Capture {
    pub from: String,
    pub schema: SchemaRef,
    /// Updates of epochs up to this one were published by an earlier run.
    pub published: Option<Epoch>,
    pub messages: Sender<SinkMessage>,
}

/// What workers report to the coordinator.
pub(crate) struct Frontier {
    /// Every epoch before this one is complete on all workers; `None` when there will be no more.
    pub upto: Option<Epoch>,
}

pub(crate) struct Setup {
    /// Names of the sources, in the order of the inputs; the rejects are the input after the last.
    pub sources: Vec<String>,
    pub dataflow: Arc<dyn Dataflow>,
    pub captures: Vec<Capture>,
    pub counters: Arc<BTreeMap<String, RelationCounter>>,
    /// Changes up to this epoch are not counted: they are restored ones.
    pub restored: Option<Epoch>,
}

/// The workers of this process.
pub(crate) struct Workers {
    commands: Vec<(Sender<Command>, Thread)>,
    next: usize,
    guards: Option<timely::communication::WorkerGuards<()>>,
}

impl Workers {
    /// Starts `peers` workers that build the same dataflow and report frontiers to `frontiers`.
    pub fn start(peers: usize, setup: Setup, frontiers: Sender<Frontier>) -> Result<Workers> {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..peers).map(|_| unbounded::<Command>()).unzip();
        let receivers = Mutex::new(receivers.into_iter().map(Some).collect::<Vec<_>>());
        let (threads, started) = unbounded();
        let guards = timely::execute(timely::Config::process(peers), move |worker| {
            let index = worker.index();
            let queue = receivers.lock().ok().and_then(|mut queues| queues[index].take());
            let _ = threads.send((index, std::thread::current()));
            run(worker, &setup, &queue.expect("each worker starts once"), &frontiers);
        })
        .map_err(|error| Error::bug(format!("could not start workers: {error}")))?;
        let mut handles: Vec<(usize, Thread)> = started.iter().take(peers).collect();
        handles.sort_by_key(|(index, _)| *index);
        let commands = senders.into_iter().zip(handles).map(|(sender, (_, thread))| (sender, thread)).collect();
        Ok(Workers { commands, next: 0, guards: Some(guards) })
    }

    /// Hands updates to the workers in turn.
    pub fn feed(&mut self, input: usize, updates: Updates) {
        let (sender, thread) = &self.commands[self.next];
        self.next = (self.next + 1) % self.commands.len();
        let _ = sender.send(Command::Feed { input, updates });
        thread.unpark();
    }

    /// Closes all epochs before `epoch`.
    pub fn advance(&self, epoch: Epoch) {
        for (sender, thread) in &self.commands {
            let _ = sender.send(Command::Advance(epoch));
            thread.unpark();
        }
    }

    /// Closes the inputs and waits until all workers are done.
    pub fn finish(&mut self) {
        let threads: Vec<Thread> = self.commands.drain(..).map(|(_, thread)| thread).collect();
        threads.iter().for_each(Thread::unpark);
        if let Some(guards) = self.guards.take() {
            for outcome in guards.join() {
                if let Err(message) = outcome {
                    tracing::error!(message, "a worker panicked");
                }
            }
        }
    }
}

/// A run that ends with an error drops its workers: wake them, so that they see it at once.
impl Drop for Workers {
    fn drop(&mut self) {
        self.finish();
    }
}

type UpdateInput = InputHandle<Epoch, NoopBuilder<Updates>>;

/// A worker's whole life.
fn run(worker: &mut Worker, setup: &Setup, commands: &Receiver<Command>, frontiers: &Sender<Frontier>) {
    let probe = ProbeHandle::new();
    let mut inputs = build(worker, setup, &probe);
    let mut reported = Some(0);
    let mut open = true;
    loop {
        loop {
            match commands.try_recv() {
                Ok(Command::Feed { input, mut updates }) => inputs[input].send_batch(&mut updates),
                Ok(Command::Advance(epoch)) => inputs.iter_mut().for_each(|input| input.advance_to(epoch)),
                Err(crossbeam_channel::TryRecvError::Empty) => break,
                Err(crossbeam_channel::TryRecvError::Disconnected) => {
                    if open {
                        inputs.drain(..).for_each(UpdateInput::close);
                        open = false;
                    }
                    break;
                }
            }
        }
        worker.step_or_park(Some(if commands.is_empty() { PARK } else { Duration::ZERO }));
        let upto = probe.with_frontier(|frontier| frontier.first().copied());
        if upto != reported {
            reported = upto;
            let _ = frontiers.send(Frontier { upto });
        }
        if !open && probe.done() {
            return;
        }
    }
}

fn build(worker: &mut Worker, setup: &Setup, probe: &ProbeHandle<Epoch>) -> Vec<UpdateInput> {
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
        let relations = setup.dataflow.build(scope, streams, rejects.probe_with(probe));
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
                    let _ = capture.messages.send(SinkMessage::Updates(at_edge(updates, &capture.schema)));
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

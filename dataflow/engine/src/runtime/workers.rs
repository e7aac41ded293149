//! Timely workers: what they are told, and how their end is noticed.
//!
//! A worker that panics ends the run: the others could not know, and would wait for it for ever. They drop their
//! dataflows then, and nobody waits for them, since an operator may be in the middle of anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use catchment_contract::{Epoch, Error, Result};
use catchment_state::Memory;
use timely::worker::Worker;

use super::board::{Board, panicked};
use super::capture::{Capture, UpdateInput, build};
use super::job::Dataflow;
use super::report::RelationCounter;
use crate::host::{Host, Place, Queue, caught};
use crate::updates::Updates;

/// How long an idle worker sleeps when nobody wakes it.
const PARK: Duration = Duration::from_millis(500);

/// Where threads run one at a time a worker cannot know that another one has sent it something: it looks after this time,
/// and after twice as long each time that it finds nothing to do, up to [`PARK`].
const LOOK_SIMULATED: Duration = Duration::from_millis(1);

/// What a worker is told, in order.
enum Command {
    /// Updates for input `input`, at the present epoch.
    Feed { input: usize, updates: Updates },
    /// The present epoch is closed; this one is open.
    Advance(Epoch),
}

/// What the workers build.
pub(super) struct Setup {
    /// Names of the sources, in the order of the inputs; the rejects are the input after the last.
    pub sources: Vec<String>,
    pub dataflow: Arc<dyn Dataflow>,
    /// What its states may take.
    pub memory: Memory,
    pub captures: Vec<Capture>,
    pub counters: Arc<BTreeMap<String, RelationCounter>>,
    /// Changes up to this epoch are not counted: they are restored ones.
    pub restored: Option<Epoch>,
}

/// The workers of this process.
pub(super) struct Workers {
    commands: Vec<(Arc<Queue<Command>>, Thread)>,
    next: usize,
    /// Taken when the workers are waited for.
    guards: Option<timely::communication::WorkerGuards<()>>,
    abandoned: Arc<AtomicBool>,
    board: Board,
}

impl Workers {
    /// Starts `peers` workers that build the same dataflow and report frontiers and panics to `board`.
    ///
    /// # Errors
    /// If the system has no room for a thread.
    pub fn start(board: &Board, peers: usize, setup: Setup) -> Result<Workers> {
        let host = board.host();
        let queues: Vec<_> = (0..peers).map(|_| Arc::new(Queue::new(host))).collect();
        let places = (0..peers).map(|index| host.place(&format!("worker-{index}")).map(Some));
        let places: Mutex<Vec<Option<Place>>> = Mutex::new(places.collect::<Result<_>>()?);
        let abandoned = Arc::new(AtomicBool::new(false));
        let shared = (queues.clone(), host.clone(), board.clone(), abandoned.clone());
        let body = move |worker: &mut Worker| {
            let (queues, host, board, abandoned) = &shared;
            let index = worker.index();
            let place = places.lock().unwrap_or_else(PoisonError::into_inner)[index].take();
            let _seat = place.map(Place::take);
            let life = Life { queue: &queues[index], host, board, abandoned };
            let outcome = caught(|| life.run(worker, &setup));
            if let Err(payload) = outcome {
                board.fail(panicked(&format!("worker-{index}"), payload));
                abandoned.store(true, Ordering::Relaxed);
            }
            drop_dataflows(worker);
        };
        let guards = timely::execute(timely::Config::process(peers), body).map_err(|error| {
            Error::remote(format!("could not start {peers} workers: {error}")).with_hint(
                "the system allows no more threads: end other programs, raise the limit, or use fewer workers",
            )
        })?;
        let threads = guards.guards().iter().map(|guard| guard.thread().clone());
        let commands = queues.into_iter().zip(threads).collect();
        Ok(Workers { commands, next: 0, guards: Some(guards), abandoned, board: board.clone() })
    }

    /// Hands updates to the workers in turn.
    pub fn feed(&mut self, input: usize, updates: Updates) {
        let (queue, thread) = &self.commands[self.next];
        self.next = (self.next + 1) % self.commands.len();
        queue.push(Command::Feed { input, updates });
        thread.unpark();
    }

    /// Closes all epochs before `epoch`.
    pub fn advance(&self, epoch: Epoch) {
        for (queue, thread) in &self.commands {
            queue.push(Command::Advance(epoch));
            thread.unpark();
        }
    }

    /// Closes the inputs and waits until all workers have ended.
    ///
    /// # Errors
    /// If one panics.
    pub fn finish(mut self) -> Result<()> {
        self.close();
        let peers = self.commands.len();
        self.board.await_workers(peers)?;
        if self.board.host().is_simulated() {
            // A thread that waits in the system keeps its turn.
            std::mem::forget(self.guards.take());
        }
        for outcome in self.guards.take().into_iter().flat_map(|guards| guards.join()) {
            outcome.map_err(|message| panicked("worker", Box::new(message)))?;
        }
        Ok(())
    }

    fn close(&self) {
        for (queue, thread) in &self.commands {
            queue.close();
            thread.unpark();
        }
    }
}

/// A run that fails leaves its workers alone: they end when they see it.
impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(guards) = self.guards.take() {
            self.abandoned.store(true, Ordering::Relaxed);
            self.close();
            // Its drop would wait for them.
            std::mem::forget(guards);
        }
    }
}

/// A worker's whole life.
struct Life<'w> {
    queue: &'w Queue<Command>,
    host: &'w Host,
    board: &'w Board,
    abandoned: &'w AtomicBool,
}

impl Life<'_> {
    fn run(&self, worker: &mut Worker, setup: &Setup) {
        let probe = timely::dataflow::ProbeHandle::new();
        let mut inputs = build(worker, setup, &probe);
        let mut reported = Some(0);
        let mut pause = LOOK_SIMULATED;
        while !self.abandoned.load(Ordering::Relaxed) {
            pause = if self.obey(&mut inputs) { LOOK_SIMULATED } else { PARK.min(pause * 2) };
            self.step(worker, pause);
            let upto = probe.with_frontier(|frontier| frontier.first().copied());
            if upto != reported {
                reported = upto;
                // Every epoch before this one is complete on all workers.
                self.board.complete(upto.map(|upto| upto.saturating_sub(1)));
            }
            if inputs.is_empty() && probe.done() {
                return;
            }
        }
    }

    /// Does what the worker was told; false if that was nothing.
    fn obey(&self, inputs: &mut Vec<UpdateInput>) -> bool {
        let mut any = false;
        while let Some(command) = self.queue.try_pop() {
            any = true;
            match command {
                Command::Feed { input, mut updates } => inputs[input].send_batch(&mut updates),
                Command::Advance(epoch) => inputs.iter_mut().for_each(|input| input.advance_to(epoch)),
            }
        }
        if self.queue.is_over() {
            inputs.drain(..).for_each(UpdateInput::close);
        }
        any
    }

    fn step(&self, worker: &mut Worker, pause: Duration) {
        if self.host.is_simulated() {
            worker.step();
            self.queue.await_message(self.host.now() + pause);
        } else {
            worker.step_or_park(Some(if self.queue.is_empty() { PARK } else { Duration::ZERO }));
        }
    }
}

/// Timely steps a worker for as long as it has dataflows.
fn drop_dataflows(worker: &mut Worker) {
    for index in worker.installed_dataflows() {
        worker.drop_dataflow(index);
    }
}

//! Threads that run one at a time, in an order that follows from a seed.
//!
//! Each thread has a number, by the order in which they were enlisted. Exactly one has the *turn*. It gives the turn away
//! when it waits, and at every change that it makes another thread may get it, by chance: threads meet in as many orders
//! as there are seeds. When all wait, the clock moves to the earliest deadline. When none has one, the run is stuck, and
//! the thread that began the simulation panics with the names of those that wait.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use catchment_contract::{Environment, SimulatedClock};

use super::Host;

/// One change in so many lets another thread go on.
const SWITCH_ONE_IN: u64 = 4;

/// Keeps the random numbers that choose threads apart from those that the threads draw.
const ORDER_SALT: u64 = 0x6f72_6465_7220_6f66;

thread_local! {
    /// The calling thread's number.
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// A simulated run. The thread that began it is one of its threads, and must outlive it.
pub struct Simulation {
    schedule: Arc<Schedule>,
    clock: Arc<SimulatedClock>,
    seed: u64,
}

impl Simulation {
    /// Begins a run that follows from `seed`; the calling thread is its first.
    pub fn begin(seed: u64) -> (Simulation, Host) {
        let (environment, clock) = Environment::simulated(seed);
        let (order, _) = Environment::simulated(seed ^ ORDER_SALT);
        let state = State { threads: Vec::new(), room: usize::MAX, turn: 0, switches: 0, stuck: false };
        let schedule = Arc::new(Schedule {
            state: Mutex::new(state),
            order,
            clock: clock.clone(),
            environment: environment.clone(),
        });
        NUMBER.set(schedule.enlist("first"));
        let host = Host { environment, schedule: Some(schedule.clone()) };
        (Simulation { schedule, clock, seed }, host)
    }

    /// What the run follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The clock, which moves by itself when all threads wait.
    pub fn clock(&self) -> &SimulatedClock {
        &self.clock
    }

    /// How often the turn went to another thread: equal for equal runs.
    pub fn switches(&self) -> u64 {
        self.schedule.state().switches
    }

    /// Lets no more than `room` threads be started from now on.
    pub fn allow_threads(&self, room: usize) {
        self.schedule.state().room = room;
    }

    /// Lets the other threads go on until each has ended or waits for something that only the caller can do.
    pub fn settle(&self) {
        self.schedule.settle();
    }
}

impl Drop for Simulation {
    /// Those that are left go on without the caller.
    fn drop(&mut self) {
        self.schedule.end();
    }
}

#[derive(Debug)]
pub(super) struct Schedule {
    state: Mutex<State>,
    order: Environment,
    clock: Arc<SimulatedClock>,
    environment: Environment,
}

#[derive(Debug)]
struct State {
    threads: Vec<Thread>,
    /// How many more threads can be started.
    room: usize,
    /// Who runs.
    turn: usize,
    switches: u64,
    /// Nobody can go on.
    stuck: bool,
}

#[derive(Debug)]
struct Thread {
    name: String,
    status: Status,
    /// Notified when it is its turn.
    turn: Arc<Condvar>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Status {
    Ready,
    /// For a change at this address, or the deadline.
    Waiting(usize, Option<Instant>),
    /// Until nobody else can go on.
    Settling,
    Ended,
}

impl Schedule {
    /// Adds a thread that has not begun; `None` if there is no room for it.
    pub fn enlist(&self, name: &str) -> Option<usize> {
        let mut state = self.state();
        state.room = state.room.checked_sub(1)?;
        state.threads.push(Thread { name: name.to_owned(), status: Status::Ready, turn: Arc::default() });
        Some(state.threads.len() - 1)
    }

    /// The calling thread becomes number `index`, and returns when it is its turn.
    pub fn begin(&self, index: usize) {
        NUMBER.set(Some(index));
        drop(self.await_turn(self.state(), index));
    }

    /// The calling thread ends.
    pub fn end(&self) {
        let Some(number) = NUMBER.take() else { return };
        let mut state = self.state();
        state.threads[number].status = Status::Ended;
        self.give_turn(&mut state);
    }

    /// Waits for a change at `address` or for the deadline.
    pub fn wait(&self, address: usize, deadline: Option<Instant>) {
        self.leave(Status::Waiting(address, deadline));
    }

    /// Lets others go first.
    pub fn pass(&self) {
        self.leave(Status::Ready);
    }

    /// Waits until nobody else can go on.
    fn settle(&self) {
        self.leave(Status::Settling);
    }

    /// Wakes those that wait for a change at `address`; one of them may go on at once.
    pub fn notify(&self, address: usize) {
        let mut state = self.state();
        for thread in &mut state.threads {
            if matches!(thread.status, Status::Waiting(at, _) if at == address) {
                thread.status = Status::Ready;
            }
        }
        if self.order.random_in(1..=SWITCH_ONE_IN) == 1 && NUMBER.get() == Some(state.turn) {
            drop(state);
            self.pass();
        }
    }

    fn leave(&self, status: Status) {
        let number = NUMBER.get().expect("only threads of the simulation wait in it");
        let mut state = self.state();
        state.threads[number].status = status;
        self.give_turn(&mut state);
        let state = self.await_turn(state, number);
        if state.stuck && matches!(status, Status::Waiting(..)) {
            let waiting = state.threads.iter().filter(|thread| matches!(thread.status, Status::Waiting(..)));
            let names: Vec<&str> = waiting.map(|thread| thread.name.as_str()).collect();
            panic!("every thread of the simulation waits: {}", names.join(", "));
        }
    }

    fn await_turn<'s>(&'s self, mut state: MutexGuard<'s, State>, number: usize) -> MutexGuard<'s, State> {
        let turn = state.threads[number].turn.clone();
        while state.turn != number {
            state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Chooses who goes on, and moves the clock if all wait.
    fn give_turn(&self, state: &mut State) {
        state.switches += 1;
        let now = self.environment.now();
        let is_ready = |status| match status {
            Status::Ready => true,
            Status::Waiting(_, deadline) => deadline.is_some_and(|deadline| deadline <= now),
            Status::Settling | Status::Ended => false,
        };
        let ready: Vec<usize> = numbers(state, is_ready).collect();
        if ready.is_empty() {
            self.give_turn_late(state);
        } else {
            let chosen = self.order.random_in(0..=ready.len() as u64 - 1) as usize;
            state.turn = ready[chosen];
            state.threads[state.turn].status = Status::Ready;
        }
        state.threads[state.turn].turn.notify_one();
    }

    /// Nobody is ready: whoever settles goes on, or the one with the earliest deadline, or nobody.
    fn give_turn_late(&self, state: &mut State) {
        let mut next = numbers(state, |status| status == Status::Settling).next();
        if next.is_none() {
            let deadline = |thread: &Thread| match thread.status {
                Status::Waiting(_, deadline) => deadline,
                _ => None,
            };
            let timed =
                state.threads.iter().enumerate().filter_map(|(number, thread)| Some((deadline(thread)?, number)));
            if let Some((deadline, number)) = timed.min() {
                let ahead = deadline.saturating_duration_since(self.environment.now());
                self.clock.advance(ahead.max(Duration::from_nanos(1)));
                next = Some(number);
            }
        }
        state.stuck = next.is_none();
        state.turn = next.unwrap_or(0);
        let turn = state.turn;
        if !state.stuck {
            state.threads[turn].status = Status::Ready;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn numbers(state: &State, is: impl Fn(Status) -> bool) -> impl Iterator<Item = usize> {
    state.threads.iter().enumerate().filter(move |(_, thread)| is(thread.status)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::{Monitor, Queue};

    /// Three threads that count and pause; who counted when, and how long it took.
    fn run(seed: u64) -> (Vec<u32>, Duration, u64) {
        let (simulation, host) = Simulation::begin(seed);
        let (order, queue) = (Arc::new(Monitor::new(&host, Vec::new())), Arc::new(Queue::new(&host)));
        for name in 0..3_u32 {
            let (own, order, queue) = (host.clone(), order.clone(), queue.clone());
            let body = move || {
                for _ in 0..5 {
                    order.update(|order| order.push(name));
                    let until = own.now() + own.environment().jittered(Duration::from_secs(1));
                    order.wait_until(Some(until), |_| None::<()>);
                }
                queue.push(name);
            };
            host.spawn("counter", body, |payload| std::panic::resume_unwind(payload)).expect("room for a thread");
        }
        (0..3).for_each(|_| assert!(queue.pop().is_some()));
        (order.with(std::mem::take), simulation.clock().passed(), simulation.switches())
    }

    #[test]
    fn one_seed_is_one_run() {
        let runs: Vec<_> = (0..20).map(run).collect();
        for (seed, known) in runs.iter().enumerate() {
            assert_eq!(run(seed as u64), *known, "seed {seed}");
        }
        assert!(runs.iter().any(|(order, ..)| *order != runs[0].0), "all seeds give one order");
    }

    #[test]
    #[should_panic(expected = "every thread of the simulation waits: first, other")]
    fn a_run_that_cannot_go_on_says_so() {
        let (_simulation, host) = Simulation::begin(1);
        let (monitor, other) = (Arc::new(Monitor::new(&host, ())), Arc::new(Monitor::new(&host, ())));
        let waits = move || other.wait(|()| None::<()>);
        host.spawn("other", waits, drop).expect("room for a thread");
        monitor.wait(|()| None::<()>);
    }
}

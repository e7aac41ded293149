//! What the runtime runs on: time, threads, and the one thing that threads wait on.
//!
//! A [`Host`] is an [`Environment`] with threads. Threads share values by a [`Monitor`]: whoever changes the value wakes
//! those that wait for it, and nothing else ever blocks. So a [`Simulation`] can decide which thread runs next: one at a
//! time, chosen by the seed at every change and at every wait, on a clock that moves only when all of them wait. The code
//! that runs is the same; one seed is one run.
//!
//! - [`monitor`]: a shared value, a queue, and an answer that is waited for;
//! - [`simulation`]: threads that run one at a time.

mod monitor;
mod simulation;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::{Environment, Error, Result};

pub use monitor::{Answer, Monitor, Queue, Reply, reply};
use simulation::Schedule;
pub use simulation::Simulation;

/// Time and threads. Clones share both.
#[derive(Clone, Debug)]
pub struct Host {
    environment: Environment,
    schedule: Option<Arc<Schedule>>,
}

impl Host {
    /// The operating system's threads, with the clock and the random numbers of `environment`.
    pub fn new(environment: Environment) -> Self {
        Host { environment, schedule: None }
    }

    /// The operating system's threads and clock.
    pub fn system() -> Self {
        Host::new(Environment::system())
    }

    /// Where time, pauses and random numbers come from.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Time that never goes back.
    pub fn now(&self) -> Instant {
        self.environment.now()
    }

    /// How long ago `then` was.
    pub fn since(&self, then: Instant) -> Duration {
        self.now().saturating_duration_since(then)
    }

    /// Whether threads run one at a time.
    pub fn is_simulated(&self) -> bool {
        self.schedule.is_some()
    }

    /// Starts a thread that nobody joins. `panicked` is called with what it unwinds with, if it does.
    ///
    /// # Errors
    /// If the system has no room for another thread.
    pub fn spawn(
        &self,
        name: &str,
        body: impl FnOnce() + Send + 'static,
        panicked: impl FnOnce(Payload) + Send + 'static,
    ) -> Result<()> {
        let place = self.place(name)?;
        let run = move || {
            let _seat = place.take();
            if let Err(payload) = caught(body) {
                panicked(payload);
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(|error| no_room(name, error))
    }

    /// A place for a thread that is about to start, in the order of these calls.
    ///
    /// # Errors
    /// If a simulated system has no room for another thread.
    pub fn place(&self, name: &str) -> Result<Place> {
        let Some(schedule) = self.schedule.clone() else { return Ok(Place(None)) };
        let number = schedule.enlist(name).ok_or_else(|| no_room(name, std::io::ErrorKind::WouldBlock.into()))?;
        Ok(Place(Some((number, schedule))))
    }
}

fn no_room(thread: &str, error: std::io::Error) -> Error {
    Error::remote(format!("could not start thread \"{thread}\""))
        .with_source(error)
        .with_hint("the system allows no more threads: end other programs, raise the limit, or use fewer workers")
}

/// What a thread unwinds with: a panic's message, or a value.
pub type Payload = Box<dyn Any + Send>;

/// Runs `body`.
///
/// # Errors
/// What it unwinds with.
pub fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Payload> {
    catch_unwind(AssertUnwindSafe(body))
}

/// A place among the threads of a host, for a thread that has not begun.
pub struct Place(Option<(usize, Arc<Schedule>)>);

impl Place {
    /// Takes the place for the calling thread, and returns when it is its turn. The thread ends with the answer's drop.
    pub fn take(self) -> Seat {
        let Some((index, schedule)) = self.0 else { return Seat(None) };
        schedule.begin(index);
        Seat(Some(schedule))
    }
}

/// A running thread's place.
pub struct Seat(Option<Arc<Schedule>>);

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(schedule) = self.0.take() {
            schedule.end();
        }
    }
}

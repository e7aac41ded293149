//! Time and chance: what every room takes from here and nothing takes from the system.
//!
//! An [`Environment`] is passed in wherever somebody looks at a clock, pauses, or draws a random number. A job has one;
//! [`Environment::system`] is the real one. [`Environment::simulated`] makes a run a function of its seed: its clock moves
//! only when somebody sleeps or a test calls [`SimulatedClock::advance`], and its random numbers follow from the seed.
//! Clippy refuses `Instant::now`, `SystemTime::now`, `thread::sleep` and random generators seeded by the system everywhere
//! else.
//!
//! ```
//! use std::time::Duration;
//! use catchment_contract::Environment;
//!
//! let (environment, clock) = Environment::simulated(7);
//! let began = environment.now();
//! environment.sleep(Duration::from_secs(60)); // returns at once
//! assert_eq!(environment.now() - began, Duration::from_secs(60));
//! clock.advance(Duration::from_secs(1));
//! assert_eq!(environment.now() - began, Duration::from_secs(61));
//! assert_eq!(environment.random_u64(), Environment::simulated(7).0.random_u64());
//! ```

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A clock that can also be waited on.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time that never goes back, for durations and deadlines.
    fn now(&self) -> Instant;

    /// The time of day, which may jump.
    fn wall(&self) -> SystemTime;

    /// Blocks the calling thread for `pause`.
    fn sleep(&self, pause: Duration);
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// A clock that stands still until somebody sleeps or it is advanced. Its wall clock begins at 2026-01-01T00:00:00Z.
#[derive(Debug)]
pub struct SimulatedClock {
    began: Instant,
    passed: Mutex<Duration>,
}

/// 2026-01-01T00:00:00Z in seconds since 1970.
const SIMULATION_BEGINS_S: u64 = 1_767_225_600;

impl SimulatedClock {
    #[expect(clippy::disallowed_methods, reason = "an instant can be had no other way; only differences are seen")]
    fn new() -> Self {
        SimulatedClock { began: Instant::now(), passed: Mutex::new(Duration::ZERO) }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// How far the clock has moved since it was made.
    pub fn passed(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        self.began + self.passed()
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(SIMULATION_BEGINS_S) + self.passed()
    }

    fn sleep(&self, pause: Duration) {
        self.advance(pause);
        // Others may be waited for.
        std::thread::yield_now();
    }
}

/// A clock and a source of random numbers. Clones share both.
#[derive(Clone)]
pub struct Environment {
    clock: Arc<dyn Clock>,
    random: Arc<Mutex<StdRng>>,
}

impl Environment {
    /// The system's clock, and random numbers that nobody can foresee.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn system() -> Self {
        Environment { clock: Arc::new(SystemClock), random: Arc::new(Mutex::new(StdRng::from_os_rng())) }
    }

    /// A clock that stands still, and random numbers that follow from `seed`.
    pub fn simulated(seed: u64) -> (Self, Arc<SimulatedClock>) {
        let clock = Arc::new(SimulatedClock::new());
        (Environment::new(clock.clone(), seed), clock)
    }

    /// A clock of the caller's, and random numbers that follow from `seed`.
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Environment { clock, random: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// Time that never goes back, for durations and deadlines.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The time of day, which may jump.
    pub fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// The time of day in microseconds since 1970; negative before.
    pub fn wall_micros(&self) -> i64 {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        match self.wall().duration_since(UNIX_EPOCH) {
            Ok(since) => micros(since),
            Err(before) => -micros(before.duration()),
        }
    }

    /// Blocks the calling thread for `pause`.
    pub fn sleep(&self, pause: Duration) {
        self.clock.sleep(pause);
    }

    /// A random number.
    pub fn random_u64(&self) -> u64 {
        self.draw(|random| random.random())
    }

    /// A random number of `range`, which is not empty.
    pub fn random_in(&self, range: RangeInclusive<u64>) -> u64 {
        self.draw(|random| random.random_range(range))
    }

    /// A random part of `longest`, at least half of it: clients that failed together do not come back together.
    pub fn jittered(&self, longest: Duration) -> Duration {
        longest.mul_f64(self.draw(|random| random.random_range(0.5..=1.0)))
    }

    /// 32 random hexadecimal digits: a name that nobody else has.
    pub fn unique_name(&self) -> String {
        format!("{:032x}", self.draw(|random| random.random::<u128>()))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("clock", &self.clock).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_run() {
        let run = |seed| {
            let (environment, _) = Environment::simulated(seed);
            let pause = environment.jittered(Duration::from_secs(8));
            environment.sleep(pause);
            (environment.unique_name(), environment.random_in(1..=6), pause, environment.wall_micros())
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn jitter_keeps_half() {
        let (environment, _) = Environment::simulated(3);
        let longest = Duration::from_millis(100);
        for _ in 0..1000 {
            let pause = environment.jittered(longest);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        }
    }

    #[test]
    fn no_two_runs_of_the_system_share_a_name() {
        assert_ne!(Environment::system().unique_name(), Environment::system().unique_name());
    }
}

//! Calls that may fail for a while: how often, how long, and when to stop asking.
//!
//! Everything that talks to a disk, an object store or a broker repeats its calls by this and by nothing else. A
//! [`RetryPolicy`] is plain data. [`Retries`] follows one series of failures: pauses double, by chance a little less; the
//! series ends with the first success ([`Retries::progress`]), so that failures are counted since the last progress and
//! not for life. There is no circuit breaker beside it: each outside system has one caller that waits, a feeder, a sink's
//! thread or the lake's layer, so that there is no crowd to hold back.
//!
//! ```
//! use catchment_contract::{Environment, Error, RetryPolicy};
//!
//! let (environment, _) = Environment::simulated(1);
//! let mut failures = 3;
//! let answer = RetryPolicy::default().run(&environment, "read object \"a\"", || {
//!     failures -= 1;
//!     if failures > 0 { Err(Error::remote("could not read object \"a\"")) } else { Ok("bytes") }
//! });
//! assert_eq!(answer.unwrap(), "bytes");
//! ```

use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::error::{Error, Outcome, Result, Retry};

/// When and for how long a failed call is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first pause at most; each later one may be twice as long. Half of it at least is waited.
    pub pause_first: Duration,
    /// No pause is longer.
    pub pause_max: Duration,
    /// For how long calls may go on failing, since the first failure or the last progress, before the error is given up to
    /// the caller. Zero: the first failure is final.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    /// Pauses from 20 ms to 2 s, for a minute.
    fn default() -> Self {
        RetryPolicy {
            pause_first: Duration::from_millis(20),
            pause_max: Duration::from_secs(2),
            patience: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// The same pauses for as long as `patience`.
    pub fn with_patience(self, patience: Duration) -> Self {
        RetryPolicy { patience, ..self }
    }

    /// Calls `attempt` until it succeeds, fails for good, or has failed for longer than the policy allows. `what` names
    /// the call in the log: `read object "a"`.
    ///
    /// # Errors
    /// The last error.
    pub fn run<T>(&self, environment: &Environment, what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut retries = Retries::new(*self, environment.clone());
        loop {
            match attempt() {
                Ok(answer) => return Ok(answer),
                Err(error) => retries.wait(what, error)?,
            }
        }
    }
}

/// One series of failures of one call.
#[derive(Debug)]
pub struct Retries {
    policy: RetryPolicy,
    environment: Environment,
    failures: u32,
    since: Option<Instant>,
}

impl Retries {
    /// Of a call that has not failed.
    pub fn new(policy: RetryPolicy, environment: Environment) -> Self {
        Retries { policy, environment, failures: 0, since: None }
    }

    /// Something went well: what failed before does not count any more.
    pub fn progress(&mut self) {
        self.failures = 0;
        self.since = None;
    }

    /// Failures since the last progress.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How long to pause before the next attempt; `None` if there should be none: the error would come again, or calls have
    /// failed for as long as the policy allows. A write whose outcome is unknown may be tried again, since only looking
    /// can tell.
    pub fn next_pause(&mut self, error: &Error) -> Option<Duration> {
        self.pause_if(is_worth_another(error))
    }

    fn pause_if(&mut self, is_worth_another: bool) -> Option<Duration> {
        if !is_worth_another {
            return None;
        }
        let now = self.environment.now();
        let since = *self.since.get_or_insert(now);
        let left = self.policy.patience.saturating_sub(now.saturating_duration_since(since));
        if left.is_zero() {
            return None;
        }
        let doubled = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures += 1;
        let longest = self.policy.pause_first.saturating_mul(doubled).min(self.policy.pause_max);
        // The last attempt is made when the patience is over, and not some time after.
        Some(self.environment.jittered(longest).min(left))
    }

    /// Pauses before the next attempt. The log says so at the first failure (a warning), then at each that doubles their
    /// number, so that a long outage leaves few lines.
    ///
    /// # Errors
    /// `error`, if there should be no next attempt.
    pub fn wait(&mut self, what: &str, error: Error) -> Result<()> {
        match self.wait_if(what, is_worth_another(&error), || error.chain()) {
            true => Ok(()),
            false => Err(error),
        }
    }

    /// [`Retries::wait`] for a caller that judges its failures itself: false if there should be no next attempt. `cause` is
    /// the failure for the log.
    pub fn wait_if(&mut self, what: &str, is_worth_another: bool, cause: impl FnOnce() -> String) -> bool {
        let Some(pause) = self.pause_if(is_worth_another) else { return false };
        if self.failures.is_power_of_two() {
            tracing::warn!(failures = self.failures, error = cause(), "could not {what}, trying again");
        }
        self.environment.sleep(pause);
        true
    }
}

/// Whether a call that failed so may go better another time.
fn is_worth_another(error: &Error) -> bool {
    error.retry() != Retry::Never || error.outcome() == Outcome::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            pause_first: Duration::from_millis(10),
            pause_max: Duration::from_millis(80),
            patience: Duration::from_secs(1),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (environment, _) = Environment::simulated(1);
        let mut retries = Retries::new(policy(), environment);
        for longest in [10, 20, 40, 80, 80, 80] {
            let pause = retries.next_pause(&Error::remote("could not")).expect("there is time");
            let longest = Duration::from_millis(longest);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?} of {longest:?}");
        }
    }

    #[test]
    fn failures_count_since_the_last_progress() {
        let (environment, clock) = Environment::simulated(2);
        let mut retries = Retries::new(policy(), environment);
        for _ in 0..10 {
            clock.advance(Duration::from_millis(900));
            retries.wait("read", Error::remote("could not read")).expect("the first failure of a series");
            retries.progress();
        }
        retries.wait("read", Error::remote("could not read")).expect("the first failure of a series");
        clock.advance(Duration::from_secs(1));
        assert!(retries.wait("read", Error::remote("could not read")).is_err());
    }

    #[test]
    fn what_fails_for_good_is_not_repeated_unless_its_outcome_is_unknown() {
        let (environment, _) = Environment::simulated(3);
        let mut retries = Retries::new(policy(), environment);
        assert!(retries.next_pause(&Error::user("cannot")).is_none());
        assert!(retries.next_pause(&Error::user("cannot").with_outcome(Outcome::Unknown)).is_some());
    }
}

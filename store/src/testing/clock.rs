//! A clock on which time passes faster, so that a long outage of a real server is short.

use std::time::{Duration, Instant, SystemTime};

use catchment_contract::{Clock, Environment, SystemClock};

#[derive(Debug)]
struct Hurried {
    factor: u32,
    began: Instant,
    began_wall: SystemTime,
}

impl Hurried {
    fn passed(&self) -> Duration {
        SystemClock.now().saturating_duration_since(self.began) * self.factor
    }
}

impl Clock for Hurried {
    fn now(&self) -> Instant {
        self.began + self.passed()
    }

    fn wall(&self) -> SystemTime {
        self.began_wall + self.passed()
    }

    fn sleep(&self, pause: Duration) {
        SystemClock.sleep(pause / self.factor);
    }
}

/// Time that passes `factor` times as fast as the system's, and random numbers that follow from `seed`.
pub fn hurried(factor: u32, seed: u64) -> Environment {
    let clock = Hurried { factor, began: SystemClock.now(), began_wall: SystemClock.wall() };
    Environment::new(std::sync::Arc::new(clock), seed)
}

//! How long to wait between attempts: twice as long each time, and less by chance, so that clients that failed together
//! do not come back together.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The first pause at most.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Pauses of one run of failures.
#[derive(Debug)]
pub(super) struct Pauses {
    most: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Pauses { most: PAUSE_FIRST }
    }
}

impl Pauses {
    /// The next pause: between a half and the whole of a length that doubles up to 2 s.
    pub(super) fn next(&mut self) -> Duration {
        let most = self.most;
        self.most = (most * 2).min(PAUSE_MAX);
        // Keys of a new hasher are as random as jitter needs to be.
        let chance = (RandomState::new().hash_one(()) >> 40) as f64 / (1u64 << 24) as f64;
        most.mul_f64(0.5 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        let mut pauses = Pauses::default();
        let some: Vec<Duration> = (0..12).map(|_| pauses.next()).collect();
        let mut most = PAUSE_FIRST;
        for pause in &some {
            assert!(*pause >= most / 2 && *pause <= most, "{pause:?} of {most:?}");
            most = (most * 2).min(PAUSE_MAX);
        }
        assert_eq!(most, PAUSE_MAX);
        let again: Vec<Duration> = {
            let mut pauses = Pauses::default();
            (0..12).map(|_| pauses.next()).collect()
        };
        assert_ne!(some, again);
    }
}

//! The broker of a job, bound when the job is opened.
//!
//! Sources and sinks are checked before anybody knows where topics live: they keep a [`Topics`], and ask it when they
//! are opened. It also holds what they take time and chance from, and how long they bear with a broker that fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use catchment_contract::{Environment, Error, Result, RetryPolicy};

use crate::broker::Broker;

/// A handle on the broker that a job uses. Clones share one binding.
#[derive(Clone)]
pub struct Topics {
    environment: Environment,
    policy: RetryPolicy,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    wanted: AtomicBool,
    broker: OnceLock<Arc<dyn Broker>>,
}

impl Default for Topics {
    /// With the system's clock.
    fn default() -> Self {
        Topics::new(Environment::system())
    }
}

impl Topics {
    /// How long calls to a broker may fail, if nothing else is said: ten minutes.
    pub const PATIENCE: Duration = Duration::from_secs(600);

    /// A handle that no broker is bound to yet.
    pub fn new(environment: Environment) -> Self {
        let policy = RetryPolicy::default().with_patience(Topics::PATIENCE);
        Topics { environment, policy, shared: Arc::default() }
    }

    /// The same, for sources and sinks that repeat what failed for as long as `patience`. Zero: the first failure is final.
    pub fn with_patience(self, patience: Duration) -> Self {
        Topics { policy: self.policy.with_patience(patience), ..self }
    }

    /// What time and chance are taken from.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// How often and how long sources and sinks repeat what failed.
    pub fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// Says that a source or a sink will ask for the broker.
    pub fn want(&self) {
        self.shared.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether anybody will ask for the broker.
    pub fn wanted(&self) -> bool {
        self.shared.wanted.load(Ordering::Relaxed)
    }

    /// Binds the handle; later calls change nothing.
    pub fn bind(&self, broker: Arc<dyn Broker>) {
        let _ = self.shared.broker.set(broker);
    }

    /// The broker.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Bug`] if nobody has bound one.
    pub fn broker(&self) -> Result<Arc<dyn Broker>> {
        self.shared.broker.get().cloned().ok_or_else(|| Error::bug("a topic was asked for before a broker was bound"))
    }
}

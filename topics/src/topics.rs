//! The broker of a job, reached when it is first asked for.
//!
//! Sources and sinks are checked before anybody connects: they keep a [`Topics`], and ask it when they are opened. It also holds what they take time and chance from, and how long they bear with a broker that fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catchment_contract::{Environment, Error, Result, RetryPolicy};

use crate::broker::Broker;

/// A handle on the broker that a job uses. Clones share one broker.
#[derive(Clone)]
pub struct Topics {
    environment: Environment,
    policy: RetryPolicy,
    shared: Arc<Shared>,
}

type Reach = dyn Fn() -> Result<Arc<dyn Broker>> + Send + Sync;

struct Shared {
    reach: Box<Reach>,
    broker: Mutex<Option<Arc<dyn Broker>>>,
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

    /// A handle without a broker: what is checked with it can be described and not opened.
    pub fn new(environment: Environment) -> Self {
        let policy = RetryPolicy::default().with_patience(Topics::PATIENCE);
        let reach = || Err(Error::bug("a topic was asked for, and nobody said where topics are"));
        Topics { environment, policy, shared: Shared::new(reach) }
    }

    /// The handle on a broker that is there already.
    pub fn of(broker: Arc<dyn Broker>) -> Self {
        Topics::default().reached_by(move || Ok(broker.clone()))
    }

    /// The same, for the broker that `reach` starts or connects to when it is first asked for. A call that fails is made
    /// again by whoever asks next.
    pub fn reached_by(self, reach: impl Fn() -> Result<Arc<dyn Broker>> + Send + Sync + 'static) -> Self {
        Topics { shared: Shared::new(reach), ..self }
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

    /// The broker.
    ///
    /// # Errors
    /// If it cannot be started or reached.
    pub fn broker(&self) -> Result<Arc<dyn Broker>> {
        let mut broker = self.shared.broker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broker) = &*broker {
            return Ok(broker.clone());
        }
        let reached = (self.shared.reach)()?;
        Ok(broker.insert(reached).clone())
    }
}

impl Shared {
    fn new(reach: impl Fn() -> Result<Arc<dyn Broker>> + Send + Sync + 'static) -> Arc<Shared> {
        Arc::new(Shared { reach: Box::new(reach), broker: Mutex::new(None) })
    }
}

//! The broker of a job, bound when the job is opened.
//!
//! Sources and sinks are checked before anybody knows where topics live: they keep a [`Topics`], and ask it when they
//! are opened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use catchment_contract::{Error, Result};

use crate::broker::Broker;

/// A handle on the broker that a job uses. Clones share one binding.
#[derive(Clone, Default)]
pub struct Topics {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    wanted: AtomicBool,
    broker: OnceLock<Arc<dyn Broker>>,
}

impl Topics {
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

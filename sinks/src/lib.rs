//! Sinks: one module and one feature per system.

#[cfg(feature = "fluvio")]
pub mod fluvio;
#[cfg(feature = "lake")]
pub mod lake;

use std::sync::Arc;

use catchment_contract::SinkConnector;
use catchment_topics::Topics;

/// Every sink connector that this build has; `topics` is where they will find the broker.
pub fn all(topics: &Topics) -> Vec<Arc<dyn SinkConnector>> {
    vec![
        #[cfg(feature = "lake")]
        lake::connector(),
        #[cfg(feature = "fluvio")]
        fluvio::connector(topics),
    ]
}

//! Sinks: one module and one feature per system.

#[cfg(feature = "fluvio")]
pub mod fluvio;
#[cfg(feature = "lake")]
pub mod lake;

use std::sync::Arc;

use catchment_contract::SinkConnector;
use catchment_store::Lake;
use catchment_topics::Topics;

/// Every sink connector that this build has. They write to `lake`; `topics` is where they will find the broker.
pub fn all(topics: &Topics, lake: &Lake) -> Vec<Arc<dyn SinkConnector>> {
    vec![
        #[cfg(feature = "lake")]
        lake::connector(lake),
        #[cfg(feature = "fluvio")]
        fluvio::connector(topics, lake),
    ]
}

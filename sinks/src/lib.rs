//! Sinks: one module and one feature per system.

#[cfg(feature = "lake")]
pub mod lake;

use std::sync::Arc;

use catchment_contract::SinkConnector;

/// Every sink connector that this build has.
pub fn all() -> Vec<Arc<dyn SinkConnector>> {
    vec![
        #[cfg(feature = "lake")]
        lake::connector(),
    ]
}

//! The connectors and sinks that this build knows.

use catchment_sql::Registry;
use catchment_store::Lake;
use catchment_topics::Topics;

/// The connectors and sinks of this build; sinks write to `lake`, sources take their time from its environment, and those
/// of topics will use the broker that `topics` is bound to.
pub(crate) fn registry(topics: &Topics, lake: &Lake) -> Registry {
    Registry {
        sources: catchment_connectors::all(topics, lake.environment()),
        sinks: catchment_sinks::all(topics, lake),
    }
}

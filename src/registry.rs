//! Every connector and sink that this build knows. The only place that names them all.

use catchment_sql::Registry;

/// The connectors and sinks of this build.
pub fn registry() -> Registry {
    Registry { sources: catchment_connectors::all(), sinks: catchment_sinks::all() }
}

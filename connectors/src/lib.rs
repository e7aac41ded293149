//! Sources: one module and one feature per system.
//!
//! A connector turns the options of a `CREATE SOURCE … WITH (connector = '<name>', …)` into a
//! [`catchment_contract::Source`]. It knows nothing of epochs, workers or SQL, and connectors do not see one another: what
//! several of them share (paths, compression, resume positions) lies in [`files`].
//!
//! | feature | connector | reads |
//! |---|---|---|
//! | `reddit` | `reddit` | dumps of comments and submissions, API listings and snapshots of listings |
//! | `youtube` | `youtube` | transcripts in the formats that download tools write |
//! | (always) | `fluvio` | topics of a Fluvio broker |
//!
//! Both features are on by default. The broker of `fluvio` is bound by whoever opens the job: see
//! [`catchment_topics::Topics`].

use std::sync::Arc;

use catchment_contract::{Environment, SourceConnector};
use catchment_topics::Topics;

pub mod files;
pub mod fluvio;
mod json;
#[cfg(feature = "reddit")]
pub mod reddit;
mod time;
#[cfg(feature = "youtube")]
pub mod youtube;

/// All connectors of the features that are on, for a registry. Topics are those of the broker that `topics` will be bound
/// to; time comes from `environment`.
pub fn all(topics: &Topics, environment: &Environment) -> Vec<Arc<dyn SourceConnector>> {
    vec![
        #[cfg(feature = "reddit")]
        Arc::new(reddit::Connector::new(environment)),
        #[cfg(feature = "youtube")]
        Arc::new(youtube::YoutubeConnector::new(environment)),
        Arc::new(fluvio::Connector::new(topics)),
    ]
}

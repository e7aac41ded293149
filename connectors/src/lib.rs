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
//!
//! Both features are on by default.

use std::sync::Arc;

use catchment_contract::SourceConnector;

pub mod files;
#[cfg(feature = "reddit")]
mod json;
#[cfg(feature = "reddit")]
pub mod reddit;
#[cfg(feature = "youtube")]
pub mod youtube;

/// All connectors of the features that are on, for a registry.
pub fn all(_topics: &catchment_fluvio::Topics) -> Vec<Arc<dyn SourceConnector>> {
    vec![
        #[cfg(feature = "reddit")]
        Arc::new(reddit::Connector),
        #[cfg(feature = "youtube")]
        Arc::new(youtube::YoutubeConnector),
    ]
}

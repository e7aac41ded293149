//! Where a job's topics live: an embedded broker in this process, or a cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catchment_contract::{Environment, Error, Result};
use catchment_store::Lake;
use catchment_topics::cluster::{self, ClusterOptions};
use catchment_topics::embedded::{Embedded, EmbeddedOptions};
use catchment_topics::{Broker, Topics};

/// Where topics live, and how to get there.
#[derive(Clone, Debug)]
pub enum TopicsLocation {
    /// In this process.
    Embedded {
        /// The broker's files; `None` for `_catchment/topics` below a local lake.
        folder: Option<PathBuf>,
        /// Where Fluvio's protocol is served; port 0 is a free one.
        listen: SocketAddr,
        /// Whether `listen` may be an address that other machines reach; the broker has no login.
        insecure: bool,
        /// Whether records are on disk before they are acknowledged.
        fsync: bool,
    },
    /// On a Fluvio cluster, or at another process's embedded broker.
    Cluster {
        /// The controller, `host:port`.
        endpoint: String,
        /// How long to try before giving up.
        connect_timeout: Duration,
    },
}

impl Default for TopicsLocation {
    /// Embedded, below the lake, on a free loopback port.
    fn default() -> Self {
        let EmbeddedOptions { listen, insecure, fsync, .. } = EmbeddedOptions::default();
        TopicsLocation::Embedded { folder: None, listen, insecure, fsync }
    }
}

impl TopicsLocation {
    /// The handle that sources and sinks get: it reaches the broker when one of them first asks for it.
    pub(crate) fn handle(&self, lake: &Lake) -> Topics {
        let (location, lake, environment) = (self.clone(), lake.clone(), lake.environment().clone());
        Topics::new(environment.clone())
            .with_patience(lake.patience())
            .reached_by(move || location.reach(lake.folder().map(Path::to_owned), &environment))
    }

    /// Starts the broker or connects to it. `lake` is the folder of a local lake, `None` for a remote one.
    ///
    /// # Errors
    /// If the folder is in use, the address may not or cannot be listened on, the cluster does not answer in time, or nobody
    /// said where the topics of a remote lake are.
    pub fn reach(&self, lake: Option<PathBuf>, environment: &Environment) -> Result<Arc<dyn Broker>> {
        match self {
            TopicsLocation::Embedded { folder, listen, insecure, fsync } => {
                let below = || lake.map(|lake| lake.join("_catchment").join("topics"));
                let folder = folder.clone().or_else(below).ok_or_else(|| {
                    Error::user("the embedded broker needs a local folder for its topics, and the lake is a remote one")
                        .with_hint("add --topics-dir DIR, or --topics HOST:PORT for a cluster")
                })?;
                let options = EmbeddedOptions {
                    folder,
                    listen: *listen,
                    insecure: *insecure,
                    fsync: *fsync,
                    ..EmbeddedOptions::default()
                };
                Ok(Embedded::start(options, environment)?)
            }
            TopicsLocation::Cluster { endpoint, connect_timeout } => {
                let usual = ClusterOptions::default();
                let options = ClusterOptions {
                    endpoint: endpoint.clone(),
                    connect_timeout: *connect_timeout,
                    // A server that accepts and says nothing must not make a short wait a long one.
                    request_timeout: usual.request_timeout.min(*connect_timeout),
                    ..usual
                };
                cluster::connect(options, environment)
            }
        }
    }
}

//! `catchment topics serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use super::super::{Failure, on_signal, print};
use super::address;
use catchment::TopicsLocation;
use catchment_contract::Environment;

/// Run the embedded broker alone, until told to stop
#[derive(Args)]
pub struct Serve {
    /// The broker's folder
    #[arg(long, value_name = "DIR", default_value = "topics")]
    topics_dir: PathBuf,
    /// Where Fluvio's protocol is served; port 0 is a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9003", value_parser = address)]
    topics_listen: SocketAddr,
    /// Let --topics-listen be an address that other machines reach, though the broker has no login
    #[arg(long)]
    topics_insecure: bool,
    /// Acknowledge records only when they are on disk, against power cuts
    #[arg(long)]
    fsync: bool,
}

impl Serve {
    /// Prints a line with the address once connections are accepted, and serves until told to stop.
    pub fn execute(&self) -> Result<(), Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopping, server) = (stop.clone(), std::thread::current());
        on_signal(move || {
            stopping.store(true, Ordering::Relaxed);
            server.unpark();
        })?;
        let location = TopicsLocation::Embedded {
            folder: Some(self.topics_dir.clone()),
            listen: self.topics_listen,
            insecure: self.topics_insecure,
            fsync: self.fsync,
        };
        let broker = location.reach(None, &Environment::system())?;
        // Whoever started us may wait for the line.
        print(format_args!("topics at {}, files in {}", broker.address(), self.topics_dir.display()))?;
        while !stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_secs(60));
        }
        Ok(())
    }
}

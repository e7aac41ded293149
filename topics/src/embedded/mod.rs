//! A broker inside this process.
//!
//! Callers in the process reach the logs directly ([`Embedded`] is a [`Broker`](crate::broker::Broker)); everybody else reaches them over
//! Fluvio's protocol on loopback, so that the stock client and command line see the topics while a job runs.
//!
//! ```text
//! our sink, our source ──▶ client ─────────▶┐
//!                                           ├▶ store ▶ log (a partition) ▶ segment files
//! stock client, our cluster client ──▶ wire ▶┘
//! ```
//!
//! - One broker has a folder at a time; a second one is told who has it.
//! - A batch is appended whole, read whole and never changed but for its `base_offset`.
//! - A batch whose (`producer_id`, `first_sequence`) its partition has seen is refused: a writer that repeats itself
//!   after a crash changes nothing.
//! - One copy, one process: what a power cut may take is what `fsync` says. A kill takes nothing that was acknowledged.

mod client;
mod folder;
mod log;
mod offsets;
mod producers;
mod recover;
mod refused;
mod run;
mod segment;
mod store;
mod topic;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use catchment_contract::{Environment, Error, ErrorKind, Result};

use self::refused::Refused;
use self::store::Store;
use self::wire::{Ports, Server};

/// How the broker is started.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Where its files are; made if missing.
    pub folder: PathBuf,
    /// The controller's address; port 0 is a free one. The storage port is always a free one of the same address.
    pub listen: SocketAddr,
    /// Whether `listen` may be an address that other machines reach. The broker has no login: whoever reaches it may read,
    /// write and delete every topic.
    pub insecure: bool,
    /// Whether records are on disk before they are acknowledged. A kill loses nothing either way; a power cut may take
    /// what the system had not written yet.
    pub fsync: bool,
    /// A segment is sealed before it grows beyond this many bytes, unless the topic says otherwise.
    pub segment_bytes: u64,
    /// Largest request, and so largest batch, bytes.
    pub request_bytes_max: usize,
    /// Connections at a time, on both ports together. A newcomer gets the place of one that has been quiet for 10 seconds,
    /// if there is one.
    pub connections_max: usize,
    /// How long records are kept at least, unless the topic says otherwise. Whole segments go, and never the one that
    /// is written: a partition may keep as many bytes as a segment has for as long as they stay the newest.
    pub retention: Duration,
}

impl Default for EmbeddedOptions {
    /// Files in `topics`, free loopback ports, no sync, segments of 64 MiB, requests of 32 MiB, 256 connections, 7 days.
    fn default() -> Self {
        EmbeddedOptions {
            folder: PathBuf::from("topics"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            insecure: false,
            fsync: false,
            segment_bytes: 64 * 1024 * 1024,
            request_bytes_max: 32 * 1024 * 1024,
            connections_max: 256,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// A running broker; dropping the last handle stops its listeners and waits for them.
pub struct Embedded {
    store: Arc<Store>,
    folder: PathBuf,
    controller: SocketAddr,
    _server: Server,
}

impl Embedded {
    /// Opens the folder, recovers what is in it, and accepts connections.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::Taken`] if another broker has the folder, [`catchment_contract::Fault::Data`] if
    /// a file in it is damaged, [`catchment_contract::ErrorKind::Denied`] for an address beyond loopback without
    /// [`EmbeddedOptions::insecure`], and if the address cannot be bound.
    pub fn start(options: EmbeddedOptions, environment: &Environment) -> Result<Arc<Embedded>> {
        let EmbeddedOptions { folder, listen, insecure, .. } = options.clone();
        check_listen(listen, insecure)?;
        let store = Arc::new(Store::open(options.clone(), environment)?);
        store.retain();
        let ports = Ports::bind(listen).map_err(|error| {
            Error::io(format!("listen on {listen}"), error)
                .with_hint("choose another address with --topics-listen, or port 0 for a free one")
        })?;
        let controller = ports.controller.local_addr();
        let controller = controller.map_err(|error| Error::io(format!("listen on {listen}"), error))?;
        let written = store.lock.write_address(&controller.to_string());
        written.map_err(|error| Error::io(format!("write \"{}\"", folder.join("lock").display()), error))?;
        let server = Server::start(Arc::clone(&store), ports, &options, environment);
        let server = server.map_err(|error| Error::io("start the embedded broker's thread", error))?;
        Ok(Arc::new(Embedded { store, folder, controller, _server: server }))
    }

    /// The controller's address: what a client is given.
    pub fn controller(&self) -> SocketAddr {
        self.controller
    }

    /// Gives a topic `partitions` in all; those it has keep their records.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::NotFound`] if there is no such topic, [`catchment_contract::ErrorKind::Invalid`]
    /// if it has more already.
    pub fn widen(&self, topic: &str, partitions: u32) -> Result<()> {
        let widened = self.store.widen(topic, partitions);
        widened.map_err(|refused| refused.into_error(format_args!("widen topic \"{topic}\"")))
    }
}

/// Refuses an address that other machines reach, unless that is wanted.
fn check_listen(listen: SocketAddr, insecure: bool) -> Result<()> {
    if listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if !insecure {
        return Err(Error::user(format!(
            "cannot listen on {listen}: other machines reach this address, and the embedded broker has no login and no \
             encryption"
        ))
        .with_kind(ErrorKind::Denied)
        .with_hint(
            "listen on 127.0.0.1 and forward the port by ssh or the like, or add --topics-insecure if whoever reaches the \
             address may read, write and delete every topic",
        ));
    }
    tracing::warn!(%listen, "the embedded broker has no login: whoever reaches it may read, write and delete every topic");
    Ok(())
}

//! Fluvio's protocol on two ports: the controller's and the storage unit's, which use the same request numbers.
//!
//! One thread runs everything here: connections wait for their peers most of the time, and logs are fast. Callers in the
//! process do not pass through it.
//!
//! What a peer sends is read by [`input`], never by the protocol crates' decoders; what is sent back is encoded by them.
//! A request that cannot be read ends its connection and nothing else.
//!
//! Limits: [`super::EmbeddedOptions::connections_max`] connections, of which the quiet ones make room for newcomers, and
//! 16,384 streams on all of them ([`connections`]); a connection that says nothing in its first 10 seconds is closed;
//! requests and replies as in [`frame`]; 64 watches a connection.

mod codes;
mod connections;
mod controller;
mod feed;
mod frame;
mod input;
mod records;
mod requests;
mod specs;
mod storage;
mod stream;
mod versions;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use catchment_contract::Environment;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tracing::{debug, error, warn};

use self::connections::{Connections, Place};
use self::controller::Controller;
use self::feed::Watchers;
use self::frame::{End, Gate, LARGE_AT_A_TIME, Replies, Requests};
use super::EmbeddedOptions;
use super::store::Store;

/// How often old segments are looked for.
const RETENTION_EVERY: Duration = Duration::from_secs(60);

/// A pause after an accept that failed, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a stop waits for writes that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The running thread; dropping it stops and joins it.
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves what is bound.
    pub fn start(
        store: Arc<Store>,
        ports: Ports,
        options: &EmbeddedOptions,
        environment: &Environment,
    ) -> io::Result<Server> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let gate =
            Gate { request_bytes_max: options.request_bytes_max, large: Arc::new(Semaphore::new(LARGE_AT_A_TIME)) };
        let controller = Controller { store: Arc::clone(&store), watchers: Arc::<Watchers>::default() };
        let connections = Connections::new(options.connections_max, environment.clone());
        let shared = Arc::new(Shared { controller, store, gate, connections });
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("topics-wire".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(shared, ports, stopped)) {
                error!(%error, "the embedded broker serves no connections");
            }
            runtime.shutdown_timeout(STOP_WITHIN);
        })?;
        Ok(Server { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the embedded broker's thread has panicked");
        }
    }
}

/// The listeners.
pub struct Ports {
    pub controller: TcpListener,
    pub storage: TcpListener,
}

impl Ports {
    /// Binds the controller's address, and a free port of the same address for storage.
    pub fn bind(listen: SocketAddr) -> io::Result<Ports> {
        let controller = TcpListener::bind(listen)?;
        let storage = TcpListener::bind(SocketAddr::new(listen.ip(), 0))?;
        controller.set_nonblocking(true)?;
        storage.set_nonblocking(true)?;
        Ok(Ports { controller, storage })
    }
}

struct Shared {
    store: Arc<Store>,
    controller: Controller,
    gate: Gate,
    connections: Arc<Connections>,
}

/// Which port a connection came in on; the controller's says where the other is.
#[derive(Clone, Copy)]
enum Port {
    Controller { storage: u16 },
    Storage,
}

async fn serve(shared: Arc<Shared>, ports: Ports, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let storage = ports.storage.local_addr()?.port();
    let controller = tokio::net::TcpListener::from_std(ports.controller)?;
    let units = tokio::net::TcpListener::from_std(ports.storage)?;
    tokio::spawn(accept(controller, Arc::clone(&shared), Port::Controller { storage }));
    tokio::spawn(accept(units, Arc::clone(&shared), Port::Storage));
    tokio::spawn(retain(Arc::clone(&shared)));
    // Ends when the sender is dropped; the runtime then ends all tasks.
    let _ = stopped.await;
    Ok(())
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>, port: Port) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => match shared.connections.join() {
                Some(place) => {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        if let Err(end) = connection(&shared, socket, port, place).await {
                            ended(peer, &end);
                        }
                    });
                }
                None => warn!(%peer, "a connection was turned away: there are too many, and all of them are active"),
            },
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                pause(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection; its place is free again once requests and replies are both done with.
async fn connection(shared: &Shared, socket: TcpStream, port: Port, place: Arc<Place>) -> Result<(), End> {
    socket.set_nodelay(true)?;
    let own = socket.local_addr()?;
    let (reader, writer) = socket.into_split();
    let requests = Requests::new(reader, shared.gate.clone(), Arc::clone(&place));
    let replies = Replies::new(writer, Arc::clone(&place));
    let served = async {
        match port {
            Port::Controller { storage } => {
                let storage = SocketAddr::new(own.ip(), storage);
                controller::serve(&shared.controller, storage, requests, replies, &place).await
            }
            Port::Storage => storage::serve(Arc::clone(&shared.store), requests, replies, &place).await,
        }
    };
    tokio::select! {
        served = served => served,
        () = place.evicted() => Err(End::Evicted),
    }
}

/// A pause of one task. The reactor has its own clock, by which it also bounds what peers take their time with.
#[expect(clippy::disallowed_methods, reason = "the environment's sleep would stop all connections")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

fn ended(peer: SocketAddr, end: &End) {
    match end {
        End::Evicted => warn!(%peer, "a quiet connection was closed to make room for another"),
        End::Gone => debug!(%peer, "a client reads no more"),
        End::Io(error) => debug!(%peer, %error, "a connection broke"),
        End::Late(why) => warn!(%peer, why, "a connection was closed"),
        End::Malformed(why) => warn!(%peer, %why, "a connection was closed: its request cannot be read"),
        End::Unsupported { key, version } => {
            warn!(%peer, key, version, "a connection was closed: the embedded broker does not serve its request");
        }
        End::Reply(error) => error!(%peer, error, "a connection was closed: its reply cannot be encoded"),
    }
}

async fn retain(shared: Arc<Shared>) {
    loop {
        pause(RETENTION_EVERY).await;
        let store = Arc::clone(&shared.store);
        // Removing files waits for the disk.
        let done = tokio::task::spawn_blocking(move || store.retain()).await;
        if let Err(error) = done {
            error!(%error, "old segments could not be looked for");
        }
    }
}

#[cfg(test)]
mod tests;

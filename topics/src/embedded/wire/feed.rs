//! Watches: a client is sent the full set of objects, at once and whenever topics change.
//!
//! A client that has made a topic uses it at once, and the stock one looks for it in what its watches were sent, without
//! asking again. So a change is answered after it was sent to all watches: [`Watchers`] counts.
//!
//! The set is made once there is a place for the reply, so that a peer that does not read has few of them in memory,
//! however many watches it opened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::objects::{Metadata, MetadataUpdate, ObjectApiWatchResponse, WatchResponse};
use fluvio_sc_schema::{AdminSpec, TryEncodableFrom};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::debug;

use super::super::folder::held;
use super::super::store::Store;
use super::connections::Opened;
use super::frame::{End, Replies, Request};
use super::pause;

/// A change is answered by then, whatever the watches do.
const SENT_WITHIN: Duration = Duration::from_secs(1);

/// What a client is given to take in what its watches were sent: its tasks for watches and for replies run apart.
const SETTLE: Duration = Duration::from_millis(20);

/// Which version of the set of topics was last sent to each watch.
#[derive(Default)]
pub struct Watchers {
    sent: Mutex<Sent>,
    changed: Notify,
}

#[derive(Default)]
struct Sent {
    next: u64,
    /// Versions by watch.
    versions: BTreeMap<u64, u64>,
}

/// A watch, as long as it lasts.
struct Watcher {
    watchers: Arc<Watchers>,
    id: u64,
}

impl Watchers {
    /// Returns once `version` was sent to all watches and their clients had a moment to take it in.
    pub async fn wait_for(&self, version: u64) {
        let sent = async {
            loop {
                let changed = self.changed.notified();
                if held(&self.sent).versions.values().all(|sent| *sent >= version) {
                    return;
                }
                changed.await;
            }
        };
        if timeout(SENT_WITHIN, sent).await.is_err() {
            debug!(version, "a watch is slow");
        }
        pause(SETTLE).await;
    }

    fn join(self: &Arc<Watchers>) -> Watcher {
        let mut sent = held(&self.sent);
        let id = sent.next;
        sent.next += 1;
        sent.versions.insert(id, 0);
        Watcher { watchers: Arc::clone(self), id }
    }
}

impl Watcher {
    fn sent(&self, version: u64) {
        held(&self.watchers.sent).versions.insert(self.id, version);
        self.watchers.changed.notify_waiters();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        held(&self.watchers.sent).versions.remove(&self.id);
        self.watchers.changed.notify_waiters();
    }
}

/// A watch to be served.
pub struct Feed {
    pub request: Request,
    pub replies: Replies,
    pub watchers: Arc<Watchers>,
}

impl Feed {
    /// Serves it; its end is not its connection's. `_opened` counts it.
    pub async fn run<S>(self, store: Arc<Store>, _opened: Opened, all: impl Fn(&Store) -> Vec<Metadata<S>> + Send)
    where
        S: AdminSpec + Send + Sync,
        S::Status: Encoder + Decoder + Send + Sync,
    {
        let watcher = self.watchers.join();
        let mut versions = store.version();
        loop {
            let version = *versions.borrow_and_update();
            if let Err(end) = self.send(version, || all(&store)).await {
                return debug!(?end, "a watch ended");
            }
            watcher.sent(version);
            tokio::select! {
                changed = versions.changed() => if changed.is_err() { return },
                () = self.replies.closed() => return,
            }
        }
    }

    async fn send<S>(&self, version: u64, all: impl FnOnce() -> Vec<Metadata<S>>) -> Result<(), End>
    where
        S: AdminSpec,
        S::Status: Encoder + Decoder,
    {
        let slot = self.replies.slot().await?;
        let epoch = i64::try_from(version).unwrap_or(i64::MAX);
        let update = WatchResponse::new(MetadataUpdate::with_all(epoch, all()));
        let encoded = ObjectApiWatchResponse::try_encode_from(update, self.request.version)
            .map_err(|error| End::Reply(error.to_string()))?;
        slot.send(&self.request, &encoded, Bytes::new())
    }
}

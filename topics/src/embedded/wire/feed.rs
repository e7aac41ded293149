//! Watches: a client is told the full set of objects, at once and whenever topics change.
//!
//! A client that has made a topic uses it at once, and the stock one looks for it in what its watches told it, without
//! asking again. So a change is answered after all watches were told of it: [`Told`] counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::objects::{Metadata, MetadataUpdate, ObjectApiWatchResponse, WatchResponse};
use fluvio_sc_schema::{AdminSpec, TryEncodableFrom};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::super::folder::held;
use super::super::store::Store;
use super::frame::{End, Replies, Request};

/// A change is answered by then, whatever the watches do.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// What a client is given to take in what its watches were told: its tasks for watches and for replies run apart.
const TAKEN_IN: Duration = Duration::from_millis(20);

/// Which version of the set of topics each watch was told last.
#[derive(Default)]
pub struct Told {
    watches: Mutex<Watches>,
    changed: Notify,
}

#[derive(Default)]
struct Watches {
    next: u64,
    told: BTreeMap<u64, u64>,
}

/// A watch, as long as it lasts.
struct Member {
    told: Arc<Told>,
    id: u64,
}

impl Told {
    /// Returns once all watches were told of `version` and their clients had a moment to take it in.
    pub async fn all(&self, version: u64) {
        let told = async {
            loop {
                let changed = self.changed.notified();
                if held(&self.watches).told.values().all(|told| *told >= version) {
                    return;
                }
                changed.await;
            }
        };
        if timeout(TOLD_WITHIN, told).await.is_err() {
            debug!(version, "a watch is slow");
        }
        sleep(TAKEN_IN).await;
    }

    fn join(self: &Arc<Told>) -> Member {
        let mut watches = held(&self.watches);
        let id = watches.next;
        watches.next += 1;
        watches.told.insert(id, 0);
        Member { told: Arc::clone(self), id }
    }
}

impl Member {
    fn told(&self, version: u64) {
        held(&self.told.watches).told.insert(self.id, version);
        self.told.changed.notify_waiters();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        held(&self.told.watches).told.remove(&self.id);
        self.told.changed.notify_waiters();
    }
}

/// Serves a watch; its end is not its connection's.
pub async fn run<S>(
    store: Arc<Store>,
    told: Arc<Told>,
    request: Request,
    replies: Replies,
    all: impl Fn(&Store) -> Vec<Metadata<S>> + Send,
) where
    S: AdminSpec + Send + Sync,
    S::Status: Encoder + Decoder + Send + Sync,
{
    let member = told.join();
    let mut versions = store.version();
    loop {
        let version = *versions.borrow_and_update();
        let epoch = i64::try_from(version).unwrap_or(i64::MAX);
        let update = WatchResponse::new(MetadataUpdate::with_all(epoch, all(&store)));
        let sent = match ObjectApiWatchResponse::try_encode_from(update, request.version) {
            Ok(encoded) => replies.send(&request, &encoded).await,
            Err(error) => Err(End::Reply(error.to_string())),
        };
        if let Err(end) = sent {
            return debug!(?end, "a watch ended");
        }
        member.told(version);
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return },
            () = replies.closed() => return,
        }
    }
}

//! Who is connected, and who makes room for a newcomer.
//!
//! There are at most [`EmbeddedOptions::connections_max`](super::super::EmbeddedOptions::connections_max) connections. When
//! all places are taken, a newcomer gets the place of a connection that has been *quiet* for [`QUIET_MIN`] (it sent no
//! request and took no reply): of one without streams and watches if there is one, and of these the one that has been quiet
//! longest. Where nobody has been quiet for so long, the newcomer is turned away. So clients that connect and do nothing
//! lock nobody out, and those that work keep their places. Who loses a place finds its connection closed, and may connect
//! anew.
//!
//! There are at most [`STREAMS_MAX`] streams on all connections together. A stream more costs the connection that has the
//! most of them its place: the protocol has no word for a consumer that its client has dropped, so a client that drops many
//! begins anew with none. Its streams do not count any more from then on, although they take a moment to go; where as
//! many as are allowed are still going, whoever opens a stream waits for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catchment_contract::Environment;
use tokio::sync::{Notify, watch};

use super::super::folder::held;

/// How long a connection must have been quiet before a newcomer may have its place.
pub const QUIET_MIN: Duration = Duration::from_secs(10);

/// Streams on all connections; each costs some 2 KiB.
pub const STREAMS_MAX: usize = 16_384;

/// All connections of a broker, on both ports.
pub struct Connections {
    environment: Environment,
    connections_max: usize,
    table: Mutex<Table>,
    /// Told when a stream of a connection without a place is gone.
    gone: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    members: BTreeMap<u64, Member>,
    /// Streams of all members.
    streams: usize,
    /// Streams of connections that have lost their places and are not gone yet.
    going: usize,
}

struct Member {
    /// When the last request came or the last reply was taken.
    active: Instant,
    streams: usize,
    watches: usize,
    /// Set when the connection is to be closed.
    evicted: watch::Sender<bool>,
}

impl Connections {
    /// None yet.
    pub fn new(connections_max: usize, environment: Environment) -> Arc<Connections> {
        Arc::new(Connections { environment, connections_max, table: Mutex::default(), gone: Notify::new() })
    }

    /// A place for a newcomer, if need be that of another; `None` if there is none.
    pub fn join(self: &Arc<Self>) -> Option<Arc<Place>> {
        let now = self.environment.now();
        let mut table = held(&self.table);
        if table.members.len() >= self.connections_max {
            let quiet = table.members.iter().filter(|(_, member)| now.duration_since(member.active) >= QUIET_MIN);
            let quietest = quiet.min_by_key(|(_, member)| (member.streams + member.watches > 0, member.active));
            let id = *quietest?.0;
            table.evict(id);
        }
        let id = table.next;
        table.next += 1;
        let (evicted, closing) = watch::channel(false);
        table.members.insert(id, Member { active: now, streams: 0, watches: 0, evicted });
        Some(Arc::new(Place { connections: Arc::clone(self), id, closing }))
    }
}

impl Table {
    fn evict(&mut self, id: u64) {
        if let Some(member) = self.remove(id) {
            member.evicted.send_replace(true);
        }
    }

    fn remove(&mut self, id: u64) -> Option<Member> {
        let member = self.members.remove(&id)?;
        self.streams -= member.streams;
        self.going += member.streams;
        Some(member)
    }
}

/// A connection's place; it is given back when the last holder drops it.
pub struct Place {
    connections: Arc<Connections>,
    id: u64,
    closing: watch::Receiver<bool>,
}

impl Place {
    /// Says that the peer does something.
    pub fn touch(&self) {
        let now = self.connections.environment.now();
        self.with_member(|member| member.active = now);
    }

    /// Returns when the connection has lost its place.
    pub async fn evicted(&self) {
        // The sender is dropped after it has said so, or by our own drop.
        let _ = self.closing.clone().wait_for(|evicted| *evicted).await;
    }

    /// Counts a stream as long as the answer lives; `None` if this connection has the most of too many, or has lost its
    /// place.
    pub async fn open_stream(self: &Arc<Self>) -> Option<Opened> {
        loop {
            let gone = self.connections.gone.notified();
            if held(&self.connections.table).going < STREAMS_MAX {
                return self.open_stream_now();
            }
            gone.await;
        }
    }

    fn open_stream_now(self: &Arc<Self>) -> Option<Opened> {
        let mut table = held(&self.connections.table);
        if !table.members.contains_key(&self.id) {
            return None;
        }
        if table.streams >= STREAMS_MAX {
            let most = table.members.iter().max_by_key(|(_, member)| member.streams).map(|(id, _)| *id);
            match most {
                Some(id) if id != self.id => table.evict(id),
                _ => return None,
            }
        }
        table.streams += 1;
        table.members.get_mut(&self.id)?.streams += 1;
        Some(Opened { place: Arc::clone(self), is_stream: true })
    }

    /// Counts a watch as long as the answer lives.
    pub fn open_watch(self: &Arc<Self>) -> Opened {
        self.with_member(|member| member.watches += 1);
        Opened { place: Arc::clone(self), is_stream: false }
    }

    fn with_member(&self, change: impl FnOnce(&mut Member)) {
        if let Some(member) = held(&self.connections.table).members.get_mut(&self.id) {
            change(member);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        held(&self.connections.table).remove(self.id);
    }
}

/// A stream or a watch of a connection, counted until it is dropped.
pub struct Opened {
    place: Arc<Place>,
    is_stream: bool,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut table = held(&self.place.connections.table);
        let Table { members, streams, going, .. } = &mut *table;
        match (members.get_mut(&self.place.id), self.is_stream) {
            (Some(member), true) => {
                member.streams -= 1;
                *streams -= 1;
            }
            (Some(member), false) => member.watches -= 1,
            (None, true) => {
                *going -= 1;
                self.place.connections.gone.notify_waiters();
            }
            (None, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(place: &Place) -> bool {
        *place.closing.borrow()
    }

    #[test]
    fn the_quietest_makes_room_and_the_active_stay() {
        let (environment, clock) = Environment::simulated(1);
        let connections = Connections::new(3, environment);
        let join = || connections.join();
        let (consumer, idle, busy) = (join().unwrap(), join().unwrap(), join().unwrap());
        let stream = consumer.open_stream_now().unwrap();
        assert!(join().is_none(), "all of them have just come");
        clock.advance(QUIET_MIN);
        busy.touch();
        let newcomer = join().unwrap();
        assert_eq!([&consumer, &idle, &busy, &newcomer].map(|place| is_evicted(place)), [false, true, false, false]);
        let second = join().unwrap();
        assert!(is_evicted(&consumer), "nobody else has been quiet");
        assert!(join().is_none());
        drop((stream, consumer, idle));
        assert!(join().is_none(), "they had lost their places already");
        drop(second);
        assert!(join().is_some());
    }

    #[test]
    fn who_has_the_most_streams_makes_room_for_more() {
        let (environment, _) = Environment::simulated(1);
        let connections = Connections::new(8, environment);
        let (greedy, modest) = (connections.join().unwrap(), connections.join().unwrap());
        let own = modest.open_stream_now().unwrap();
        let many: Vec<Opened> = std::iter::from_fn(|| greedy.open_stream_now()).collect();
        assert_eq!(many.len(), STREAMS_MAX - 1);
        assert!(!is_evicted(&modest) && !is_evicted(&greedy));
        let more = modest.open_stream_now().unwrap();
        assert!(is_evicted(&greedy));
        // Lost before: until the greedy one's streams were gone, the next one who asked lost its place as well.
        let another = modest.open_stream_now().unwrap();
        assert!(!is_evicted(&modest));
        assert!(greedy.open_stream_now().is_none(), "who has lost its place opens nothing more");
        drop((many, greedy, own, more, another));
        let table = held(&connections.table);
        assert_eq!((table.streams, table.going), (0, 0));
    }
}

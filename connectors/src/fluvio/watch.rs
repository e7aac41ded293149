//! Waiting for new records: threads that wait at the ends of a topic's partitions.
//!
//! Each partition has a thread, at most [`THREADS_MAX`] of them; with more partitions each thread goes round those that
//! are its own. A record that arrives wakes the engine at once where a thread waits for one partition (embedded: within
//! a millisecond), else after at most [`ROUND`]. One more look in [`LOOK`] finds partitions that were added.
//!
//! A broker that cannot be reached wakes too, after pauses that grow to [`PAUSE_MAX`], so that the engine's own look meets
//! the error and says so.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use catchment_contract::{Error, Result, Wake};

use super::clients::{Clients, Lent};

/// How many threads wait for one topic.
const THREADS_MAX: u32 = 32;

/// How long a thread takes to go round its partitions if it has several.
const ROUND: Duration = Duration::from_millis(20);

/// How long a thread that has one partition waits before it looks whether it is still wanted.
const WAIT: Duration = Duration::from_millis(500);

/// How often the number of partitions is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The shortest pause between two wakes of one thread: a wake is a hint, and one a millisecond is plenty.
const PAUSE: Duration = Duration::from_millis(1);

/// The longest pause after an error.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Calls `wake` whenever a partition's end has moved, until the answer is dropped; after that it is not called any more.
///
/// # Errors
/// If the topic does not exist or its broker cannot be reached, and if the system has no room for a thread.
pub(super) fn watch(clients: Arc<Clients>, wake: Wake) -> Result<Box<dyn Send>> {
    let partitions = clients.partitions()?;
    let bell = Arc::new(Bell { wake: Mutex::new(Some(wake)), stopped: Condvar::new() });
    let guard = Watch { bell: bell.clone(), clients: clients.clone() };
    clients.watched(Some(partitions));
    let threads = partitions.clamp(1, THREADS_MAX);
    for first in 0..threads {
        let round = Round { clients: clients.clone(), bell: bell.clone(), first, threads, partitions };
        let made = std::thread::Builder::new().name(format!("watch-{}-{first}", clients.topic()));
        made.spawn(move || round.run()).map_err(|error| {
            Error::remote(format!("could not start a thread to watch topic \"{}\"", clients.topic())).with_source(error)
        })?;
    }
    Ok(Box::new(guard))
}

/// Who is to be woken, until nobody is.
struct Bell {
    wake: Mutex<Option<Wake>>,
    stopped: Condvar,
}

impl Bell {
    /// Wakes, then pauses; false when nobody is to be woken any more.
    fn ring(&self, pause: Duration) -> bool {
        let wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(call) = &*wake else { return false };
        call();
        let until = Instant::now() + pause;
        let mut wake = wake;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if wake.is_none() || left.is_zero() {
                return wake.is_some();
            }
            wake = self.stopped.wait_timeout(wake, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn is_wanted(&self) -> bool {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Ends the watching when it is dropped; the threads end within [`WAIT`].
struct Watch {
    bell: Arc<Bell>,
    clients: Arc<Clients>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bell.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.bell.stopped.notify_all();
        self.clients.watched(None);
    }
}

/// Waits for a partition's end to move, and moves `end` with it.
fn step(client: &mut Lent, end: &mut i64, timeout: Duration) -> Result<bool> {
    client.attempt(|client| {
        let moved = client.wait(*end, timeout)?;
        if moved {
            *end = client.bounds()?.end;
        }
        Ok(moved)
    })
}

/// One thread's partitions: every `threads`-th from `first` on.
struct Round {
    clients: Arc<Clients>,
    bell: Arc<Bell>,
    first: u32,
    threads: u32,
    partitions: u32,
}

impl Round {
    fn run(mut self) {
        let mut pause = PAUSE;
        while self.bell.is_wanted() {
            match self.wait() {
                Ok(()) => return,
                Err(error) => {
                    let topic = self.clients.topic();
                    tracing::debug!(topic, error = error.chain(), "waiting for records failed, trying again");
                    pause = (pause * 4).min(PAUSE_MAX);
                    if !self.bell.ring(pause) {
                        return;
                    }
                }
            }
        }
    }

    /// Waits at the ends of the thread's partitions until nobody is to be woken.
    fn wait(&mut self) -> Result<()> {
        let mut ends = self.ends(self.first)?;
        // What came between the engine's last look and this moment.
        let mut ringing = self.bell.ring(PAUSE);
        let mut looked = Instant::now();
        while ringing && self.bell.is_wanted() {
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                ringing = self.look(&mut ends)?;
            }
            let timeout = if ends.len() == 1 { WAIT } else { ROUND / u32::try_from(ends.len()).unwrap_or(u32::MAX) };
            let mut moved = false;
            for (client, end) in &mut ends {
                moved |= step(client, end, timeout)?;
            }
            if moved {
                ringing = self.bell.ring(PAUSE);
            }
        }
        Ok(())
    }

    /// Finds partitions that were added; those of this thread join its round.
    fn look(&mut self, ends: &mut Vec<(Lent, i64)>) -> Result<bool> {
        let now = self.clients.partitions()?;
        if now <= self.partitions {
            return Ok(true);
        }
        let next = self.first + (ends.len() as u32) * self.threads;
        self.partitions = now;
        if self.bell.is_wanted() {
            self.clients.watched(Some(now));
        }
        ends.extend(self.ends(next)?);
        Ok(self.bell.ring(PAUSE))
    }

    /// Clients and ends of the thread's partitions from `from` on.
    fn ends(&self, from: u32) -> Result<Vec<(Lent, i64)>> {
        let mine = (from..self.partitions).step_by(self.threads as usize);
        mine.map(|number| {
            let mut client = self.clients.client(number)?;
            let end = client.attempt(|client| client.bounds())?.end;
            Ok((client, end))
        })
        .collect()
    }
}

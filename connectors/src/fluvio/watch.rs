//! Waiting for new records: threads that wait at the ends of a topic's partitions.
//!
//! Each partition has a thread, at most [`THREADS_MAX`] of them; with more partitions each thread goes round those that
//! are its own. A record that arrives wakes the engine at once where a thread waits for one partition (embedded: within
//! a millisecond), else after at most [`ROUND`]. One more look in [`LOOK`] finds partitions that were added.
//!
//! A broker that cannot be reached wakes too, after pauses that grow to five seconds, so that the engine's own look meets
//! the error and says so.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use catchment_contract::{Error, Result, Retries, RetryPolicy, Wake};

use super::clients::{Clients, Loan};

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

/// After an error: the first pause and the longest. Watching is never given up.
const RETRIES: RetryPolicy =
    RetryPolicy { pause_first: Duration::from_millis(20), pause_max: Duration::from_secs(5), patience: Duration::MAX };

/// Calls `wake` whenever a partition's end has moved, until the answer is dropped; after that it is not called any more.
///
/// # Errors
/// If the topic does not exist or its broker cannot be reached, and if the system has no room for a thread.
pub(super) fn watch(clients: Arc<Clients>, wake: Wake) -> Result<Box<dyn Send>> {
    let partitions = clients.partitions()?;
    let waker = Arc::new(Waker { wake: Mutex::new(Some(wake)), stopped: Condvar::new() });
    let guard = Watch { waker: waker.clone(), clients: clients.clone() };
    clients.watched(Some(partitions));
    let threads = partitions.clamp(1, THREADS_MAX);
    for first in 0..threads {
        let round = Round { clients: clients.clone(), waker: waker.clone(), first, threads, partitions };
        let made = std::thread::Builder::new().name(format!("watch-{}-{first}", clients.topic()));
        made.spawn(move || round.run()).map_err(|error| {
            Error::remote(format!("could not start a thread to watch topic \"{}\"", clients.topic())).with_source(error)
        })?;
    }
    Ok(Box::new(guard))
}

/// Who is to be woken, until nobody is.
struct Waker {
    wake: Mutex<Option<Wake>>,
    stopped: Condvar,
}

impl Waker {
    /// Wakes, then pauses; false when nobody is to be woken any more.
    fn wake(&self, pause: Duration) -> bool {
        let wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(call) = &*wake else { return false };
        call();
        let paused = self.stopped.wait_timeout_while(wake, pause, |wake| wake.is_some());
        paused.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    fn is_wanted(&self) -> bool {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Ends the watching when it is dropped; the threads end within [`WAIT`].
struct Watch {
    waker: Arc<Waker>,
    clients: Arc<Clients>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.waker.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.waker.stopped.notify_all();
        self.clients.watched(None);
    }
}

/// Waits for a partition's end to move, and moves `end` with it.
fn step(client: &mut Loan, end: &mut i64, timeout: Duration) -> Result<bool> {
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
    waker: Arc<Waker>,
    first: u32,
    threads: u32,
    partitions: u32,
}

impl Round {
    fn run(mut self) {
        let mut retries = Retries::new(RETRIES, self.clients.environment().clone());
        while self.waker.is_wanted() {
            let Err(error) = self.wait(&mut retries) else { return };
            let topic = self.clients.topic();
            tracing::debug!(topic, error = error.chain(), "could not wait for records, trying again");
            // Also where the error would come again: the engine's look says so, and the topic may be made anew.
            let pause = retries.next_pause(&error).unwrap_or(RETRIES.pause_max);
            if !self.waker.wake(pause) {
                return;
            }
        }
    }

    /// Waits at the ends of the thread's partitions until nobody is to be woken.
    fn wait(&mut self, retries: &mut Retries) -> Result<()> {
        let environment = self.clients.environment().clone();
        let mut ends = self.ends(self.first)?;
        retries.progress();
        // What came between the engine's last look and this moment.
        let mut is_wanted = self.waker.wake(PAUSE);
        let mut looked = environment.now();
        while is_wanted && self.waker.is_wanted() {
            if environment.now() - looked >= LOOK {
                looked = environment.now();
                is_wanted = self.look(&mut ends)?;
            }
            let timeout = if ends.len() == 1 { WAIT } else { ROUND / u32::try_from(ends.len()).unwrap_or(u32::MAX) };
            let mut moved = false;
            for (client, end) in &mut ends {
                moved |= step(client, end, timeout)?;
            }
            if moved {
                is_wanted = self.waker.wake(PAUSE);
            }
        }
        Ok(())
    }

    /// Finds partitions that were added; those of this thread join its round.
    fn look(&mut self, ends: &mut Vec<(Loan, i64)>) -> Result<bool> {
        let now = self.clients.partitions()?;
        if now <= self.partitions {
            return Ok(true);
        }
        let next = self.first + (ends.len() as u32) * self.threads;
        self.partitions = now;
        if self.waker.is_wanted() {
            self.clients.watched(Some(now));
        }
        ends.extend(self.ends(next)?);
        Ok(self.waker.wake(PAUSE))
    }

    /// Clients and ends of the thread's partitions from `from` on.
    fn ends(&self, from: u32) -> Result<Vec<(Loan, i64)>> {
        let mine = (from..self.partitions).step_by(self.threads as usize);
        mine.map(|number| {
            let mut client = self.clients.client(number)?;
            let end = client.attempt(|client| client.bounds())?.end;
            Ok((client, end))
        })
        .collect()
    }
}

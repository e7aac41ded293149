//! One source's rounds: what begins them, what they read, and what is to be said of what cannot be read.
//!
//! **What fails.** Read once, a source gives what it can: the rest is reported, and the run fails at its end. A source that
//! is followed is waited for: when it cannot be asked, or a partition cannot be read, it is tried again at pauses that
//! grow, until it has failed for as long as the run's patience. What a call says can never succeed ends the run at once,
//! except that things which were there may come back: a folder, a file's permission, a topic. A source that exists and is
//! empty is waited for without an end.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catchment_contract::{
    Error, ErrorKind, Partition, Position, Result, Retries, Retry, RetryPolicy, Source, Unfinished, Wake,
};

use super::decoders::Decoders;
use super::lane::Lane;
use super::reader::{IN_PLACE, Shared, lock};
use super::{Asked, Unread};
use crate::runtime::board::Board;
use crate::runtime::report::Progress;

/// How often sources that cannot tell are asked.
const POLL: Duration = Duration::from_millis(500);

/// How often sources that can tell are asked all the same: what watches may miss something.
const LOOK: Duration = Duration::from_secs(30);

/// At most so many partitions of a round are named in the log when they fail.
const NAMED_MAX: usize = 5;

/// What a feeder needs to know.
pub(in crate::runtime) struct FeederOptions {
    /// The source's place in the job, and its name.
    pub index: usize,
    pub name: String,
    pub source: Arc<dyn Source>,
    /// The columns to decode.
    pub projection: Vec<usize>,
    /// How far earlier runs have come.
    pub positions: BTreeMap<String, Position>,
    /// Partitions that may be read at once, at least 1.
    pub readers: usize,
    /// What each may read ahead.
    pub read_ahead_bytes: usize,
    /// Rounds begin at most once in this time.
    pub round_interval: Duration,
    /// For how long a source that is followed may fail.
    pub patience: Duration,
}

/// Starts a source's feeder.
///
/// # Errors
/// If the system has no room for its thread.
pub(in crate::runtime) fn start(
    board: &Board,
    decoders: &Decoders,
    progress: &Arc<Progress>,
    options: FeederOptions,
) -> Result<Arc<Lane>> {
    let FeederOptions { index, name, source, projection, positions, round_interval, patience, .. } = options;
    let (readers, ahead) = (options.readers, options.read_ahead_bytes);
    let lane = Arc::new(Lane::new(board.clone(), index, progress.clone(), readers, ahead));
    let policy = RetryPolicy { pause_first: POLL, pause_max: Duration::from_secs(5), patience };
    let feeder = Feeder {
        was_there: !positions.is_empty(),
        is_unwatched: false,
        watch_failures: 0,
        helpers: 1,
        begun: HashSet::new(),
        aside: BTreeMap::new(),
        board: board.clone(),
        progress: progress.clone(),
        readers,
        round_interval,
        policy,
        shared: Arc::new(Shared {
            name: name.clone(),
            index,
            decoder: source.decoder(&projection),
            source,
            lane: lane.clone(),
            decoders: decoders.clone(),
            host: board.host().clone(),
            positions: Mutex::new(positions),
            round: Mutex::default(),
        }),
    };
    board.start(&format!("feed-{name}"), move || feeder.run())?;
    Ok(lane)
}

struct Feeder {
    shared: Arc<Shared>,
    board: Board,
    progress: Arc<Progress>,
    readers: usize,
    round_interval: Duration,
    /// For what is followed.
    policy: RetryPolicy,
    /// Whether the source was ever found.
    was_there: bool,
    /// Whether it is to be watched anew once it answers.
    is_unwatched: bool,
    /// How often it could not be watched, since it last could.
    watch_failures: u32,
    /// Threads that read for it, this one among them.
    helpers: usize,
    /// Partitions that this run has begun to read.
    begun: HashSet<String>,
    /// Partitions that have failed, and when they are tried again.
    aside: BTreeMap<String, (Retries, Instant)>,
}

impl Feeder {
    fn run(mut self) {
        let lane = self.shared.lane.clone();
        while let Some(asked) = lane.await_asked() {
            let outcome = match asked {
                Asked::Once => self.once(),
                Asked::Follow => self.follow(),
            };
            if let Err(error) = outcome {
                lane.fail(error);
                return;
            }
        }
    }

    /// One round.
    fn once(&mut self) -> Result<()> {
        let lane = self.shared.lane.clone();
        let mut retries = Retries::new(IN_PLACE, self.shared.host.environment().clone());
        loop {
            let error = match self.discover() {
                Ok(partitions) => {
                    self.read(partitions, Unfinished::Take)?;
                    break;
                }
                Err(error) => error,
            };
            if self.is_certain(&error) {
                return Err(error);
            }
            let Some(pause) = retries.next_pause(&error) else {
                lane.leave_unread(None, error);
                break;
            };
            if !lane.pause(self.shared.host.now() + pause) {
                break;
            }
        }
        for (partition, error) in self.take_failed() {
            lane.leave_unread(Some(&partition.id), error);
        }
        lane.end_round();
        Ok(())
    }

    /// Rounds until the run ends.
    fn follow(&mut self) -> Result<()> {
        let (lane, host) = (self.shared.lane.clone(), self.shared.host.clone());
        let mut looking = Retries::new(self.policy, host.environment().clone());
        let mut watch = self.watch()?;
        let mut is_empty = false;
        loop {
            let began = host.now();
            lane.begin_round();
            let mut again = began + if watch.is_none() { POLL } else { LOOK };
            match self.discover() {
                Ok(partitions) => {
                    let was_empty = std::mem::take(&mut is_empty);
                    if looking.failures() > 0 || was_empty {
                        tracing::info!(source = self.shared.name, "the source answers again");
                        looking.progress();
                        self.is_unwatched = true;
                    }
                    // What watched may have gone with what was watched.
                    if std::mem::take(&mut self.is_unwatched) {
                        watch = self.watch()?;
                    }
                    let due = self.due(partitions, began);
                    self.read(due, Unfinished::Leave)?;
                    self.set_aside()?;
                    again = self.aside.values().map(|(_, due)| *due).chain([again]).min().unwrap_or(again);
                }
                Err(error) if error.kind() == ErrorKind::Empty => {
                    if !std::mem::replace(&mut is_empty, true) {
                        tracing::warn!(source = self.shared.name, error = error.chain(), "waiting");
                    }
                    again = began + POLL;
                }
                Err(error) if self.is_certain(&error) => return Err(error),
                Err(error) => {
                    again = host.now() + self.pause(&mut looking, error, None)?;
                }
            }
            if !lane.pause(began + self.round_interval) || !lane.await_wake(again) {
                return Ok(());
            }
        }
    }

    fn discover(&mut self) -> Result<Vec<Partition>> {
        // Readers are idle between rounds.
        let found = self.shared.source.discover(&lock(&self.shared.positions))?;
        self.was_there = true;
        Ok(found)
    }

    /// Whether the source can never be read.
    fn is_certain(&self, error: &Error) -> bool {
        error.retry() == Retry::Never && !(self.was_there && is_lost(error))
    }

    /// Reads partitions with as many threads as help.
    fn read(&mut self, partitions: Vec<Partition>, unfinished: Unfinished) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let counters = &self.progress.sources[self.shared.index];
        let bytes: u64 = partitions.iter().filter_map(|partition| partition.bytes).sum();
        counters.bytes_total.fetch_add(bytes, Ordering::Relaxed);
        let begun = partitions.iter().filter(|partition| self.begun.insert(partition.id.clone())).count();
        counters.partitions.fetch_add(begun as u64, Ordering::Relaxed);
        let wanted = self.readers.min(partitions.len());
        {
            let mut round = lock(&self.shared.round);
            round.unfinished = unfinished;
            round.aside = self.aside.keys().cloned().collect();
            round.read.clear();
        }
        self.shared.lane.offer(partitions);
        while self.helpers < wanted {
            let (name, shared) = (format!("read-{}-{}", self.shared.name, self.helpers), self.shared.clone());
            self.board.start(&name, move || shared.read(true))?;
            self.helpers += 1;
        }
        self.shared.read(false);
        self.shared.lane.await_read();
        Ok(())
    }

    /// The partitions to read now: those that have failed wait until they are due.
    fn due(&mut self, mut partitions: Vec<Partition>, now: Instant) -> Vec<Partition> {
        if !self.aside.is_empty() {
            // One that is not there any more, or was read, has nothing to wait for.
            let found: HashSet<&str> = partitions.iter().map(|partition| partition.id.as_str()).collect();
            self.aside.retain(|id, _| found.contains(id.as_str()));
            partitions.retain(|partition| self.aside.get(&partition.id).is_none_or(|(_, due)| *due <= now));
        }
        partitions
    }

    /// Sees to the partitions that could not be read.
    fn set_aside(&mut self) -> Result<()> {
        let host = self.shared.host.clone();
        for id in std::mem::take(&mut lock(&self.shared.round).read) {
            self.aside.remove(&id);
        }
        for (nth, (partition, error)) in self.take_failed().into_iter().enumerate() {
            if error.retry() == Retry::Never && !is_lost(&error) {
                return Err(error);
            }
            let known = self.aside.remove(&partition.id).map(|(retries, _)| retries);
            let mut retries = known.unwrap_or_else(|| Retries::new(self.policy, host.environment().clone()));
            if lock(&self.shared.positions).get(&partition.id) != partition.from.as_ref() {
                retries.progress();
            }
            let named = (nth < NAMED_MAX).then_some(partition.id.as_str());
            let pause = self.pause(&mut retries, error, Some(named))?;
            self.aside.insert(partition.id, (retries, host.now() + pause));
        }
        Ok(())
    }

    /// How long to wait after a failure, which the log names when their number has doubled.
    ///
    /// # Errors
    /// `error`, if patience has ended.
    fn pause(&self, retries: &mut Retries, error: Error, partition: Option<Option<&str>>) -> Result<Duration> {
        let error = match error.retry() {
            Retry::Never => error.with_retry(Retry::BackOff),
            _ => error,
        };
        let Some(pause) = retries.next_pause(&error) else { return Err(error) };
        if retries.failures().is_power_of_two() {
            let (source, failures, error) = (&self.shared.name, retries.failures(), error.chain());
            match partition {
                None => tracing::warn!(source, failures, error, "the source does not answer, asking again"),
                Some(Some(partition)) => {
                    tracing::warn!(
                        source,
                        partition,
                        failures,
                        error,
                        "the partition cannot be read now, trying again"
                    );
                }
                Some(None) => {}
            }
        }
        Ok(pause)
    }

    fn take_failed(&self) -> Vec<(Partition, Error)> {
        std::mem::take(&mut lock(&self.shared.round).failed)
    }

    /// Has the source wake the rounds, if it can. One that cannot just now is asked from time to time instead.
    fn watch(&mut self) -> Result<Option<Box<dyn Send>>> {
        let lane = self.shared.lane.clone();
        let wake: Wake = Arc::new(move || lane.wake());
        match self.shared.source.watch(wake) {
            Err(error) if !self.is_certain(&error) => {
                self.watch_failures += 1;
                if self.watch_failures.is_power_of_two() {
                    let (source, failures, error) = (&self.shared.name, self.watch_failures, error.chain());
                    tracing::warn!(source, failures, error, "it cannot be watched, asking it instead");
                }
                self.is_unwatched = true;
                Ok(None)
            }
            watch => {
                self.watch_failures = 0;
                watch
            }
        }
    }
}

/// Whether a thing is gone or locked that may come back.
fn is_lost(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Empty)
}

impl Unread {
    /// Takes what another source could not read, too.
    pub fn add(&mut self, source: &str, other: Unread) {
        self.count += other.count;
        if let Some((partition, error)) = other.first {
            tracing::warn!(source, partition, error = error.chain(), "it was not read");
            self.first.get_or_insert((partition, error));
        }
    }

    /// Fails if anything was not read.
    ///
    /// # Errors
    /// The first error, which says how many partitions were not read if they are more.
    pub fn into_result(self) -> Result<()> {
        let Some((_, error)) = self.first else { return Ok(()) };
        let others = self.count.saturating_sub(1);
        if others == 0 {
            return Err(error);
        }
        let count = self.count;
        Err(Error::remote(format!("could not read {count} partitions of the job's sources; the first failure"))
            .with_kind(error.kind())
            .with_source(error)
            .with_hint("all else was read and is committed: run the job again once they can be read"))
    }
}

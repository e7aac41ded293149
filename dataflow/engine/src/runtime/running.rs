//! A job that runs: takes what feeders have read into epochs, and sees to epochs and checkpoints as they complete.
//!
//! One thread does all of this, and waits for nothing but news on its [`Board`]: a batch at a lane's head, a
//! frontier, a sink that has written, a checkpoint that is published, a failure; or for the next deadline. What it does
//! is done in turns: a turn looks at all of them once, takes at most one batch of each source, and never blocks.
//!
//! **Back-pressure.** Nothing is taken from any source while sinks or the state log have too much to write, or while a
//! checkpoint takes unreasonably long. A source waits while the open epoch is full, see [`Epochs`]. Then its lane fills,
//! and its readers wait.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use catchment_contract::reject::REJECTS;
use catchment_contract::{Epoch, Reject, Result};

use super::arrivals;
use super::checkpoints::Checkpoints;
use super::epochs::Epochs;
use super::feeding::Batch;
use super::opened::{Opened, STOP_POLL};
use super::rejects::Rejects;
use super::sinking::{Refused, SinkMessage};
use super::state_log;
use super::workers::Workers;

/// Updates that may wait for all sinks together before sources wait, in epochs' bytes.
const SINKS_AHEAD_EPOCHS: usize = 8;

/// Epochs' worth of arrivals that may wait for the state log before sources wait.
const LOG_AHEAD_EPOCHS: usize = 2;

/// Sources wait for a checkpoint that is on its way for twice the checkpoints' interval, and for longer than this.
const LATE_MIN: Duration = Duration::from_secs(2);

/// A running job.
pub(super) struct Running {
    pub job: Opened,
    pub workers: Workers,
    pub epochs: Epochs,
    pub checkpoints: Checkpoints,
    /// Epochs closed in this run.
    pub closed: u64,
    /// Batches taken in this run.
    batches: u64,
    /// The source that is served first in the next turn.
    first: usize,
    /// How many times each sink had refused something when that was made rejects last.
    pub refused_times: BTreeMap<String, u64>,
}

/// What starting a job came to.
pub(super) enum Started {
    Running(Box<Running>),
    /// It was to stop before its state was restored.
    Stopped(Box<Opened>),
}

impl Running {
    /// Starts workers, and feeds them what earlier runs have kept.
    pub fn start(job: Opened) -> Result<Started> {
        let mut running = Running {
            workers: job.start_workers()?,
            epochs: Epochs::new(job.host(), &job.options, job.spec.sources.len()),
            checkpoints: Checkpoints::new(job.host(), &job.options, job.began, job.has_new_sink()),
            closed: 0,
            batches: 0,
            first: 0,
            refused_times: BTreeMap::new(),
            job,
        };
        running.workers.advance(1);
        if !running.restore()? {
            let Running { job, workers: _, .. } = running;
            return Ok(Started::Stopped(Box::new(job)));
        }
        for (sink, rejects) in running.job.manifest.refused.clone() {
            running.feed_refused(&sink, rejects);
        }
        Ok(Started::Running(Box::new(running)))
    }

    /// Feeds the arrivals of earlier runs, spread over the epochs that those runs have used; false if the run is to stop.
    fn restore(&mut self) -> Result<bool> {
        let Some(last) = self.job.restored() else { return Ok(true) };
        let _span = tracing::info_span!("restore", epoch = last).entered();
        for (input, (name, schema)) in self.job.inbox.inputs().into_iter().enumerate() {
            let files = self.job.manifest.sources.get(&name).map(|source| source.state.clone()).unwrap_or_default();
            for file in files {
                if self.job.is_stopped() {
                    return Ok(false);
                }
                for rows in state_log::read(&*self.job.store, &file, &schema)? {
                    self.workers.feed(input, arrivals::updates(rows, self.epochs.open()));
                }
                if self.epochs.open() < last {
                    self.close_epoch();
                    self.await_that(|running| running.epochs.can_close())?;
                }
            }
        }
        self.epochs.open_at(last);
        self.close_epoch();
        self.await_that(|running| running.epochs.are_complete())?;
        Ok(true)
    }

    /// Reads until every feeder has done what it was asked to do once, and returns when all views contain it; whether there
    /// was anything. Returns early, at an epoch's end, when the run is to stop.
    pub fn drain(&mut self) -> Result<bool> {
        let before = self.batches;
        while !self.job.is_stopped() && !self.job.is_drained() {
            self.turn_or_wait()?;
        }
        // What came between the last turn and the last look.
        while !self.job.is_stopped() && self.turn()? {}
        if !self.epochs.is_empty() {
            self.close_epoch();
        }
        self.await_that(|running| running.epochs.are_complete())?;
        self.job.collect_unread();
        Ok(self.batches > before)
    }

    /// Follows the sources until the run is to stop.
    pub fn stay(&mut self) -> Result<()> {
        while !self.job.is_stopped() {
            self.turn_or_wait()?;
        }
        Ok(())
    }

    fn turn_or_wait(&mut self) -> Result<()> {
        if !self.turn()? {
            self.job.board.wait(self.deadline());
        }
        Ok(())
    }

    /// Does what there is to do now; false if that was nothing.
    fn turn(&mut self) -> Result<bool> {
        self.take_news()?;
        let mut did = self.take_refused();
        let (sources, late) = (self.job.lanes.len(), self.is_late());
        for step in 0..sources {
            let source = (self.first + step) % sources;
            if late || !self.epochs.has_room(source) {
                continue;
            }
            if let Some(batch) = self.job.lanes[source].take() {
                self.feed(source, *batch);
                did = true;
            }
        }
        self.first = (self.first + 1) % sources.max(1);
        Ok(self.close_if_due() || did)
    }

    /// Takes note of frontiers and of the checkpoint that was on its way.
    fn take_news(&mut self) -> Result<()> {
        self.job.check()?;
        let (complete, commit) = self.job.board.look(|news| (news.complete, news.commit.take()));
        if self.epochs.complete(complete) {
            self.job.progress.epochs.store(complete, Ordering::Relaxed);
            // The frontier may have passed several epochs at once: what is staged must end with the cut's.
            if let Some(epoch) = self.checkpoints.cut_epoch().filter(|epoch| *epoch <= complete) {
                self.close_at_sinks(epoch);
                self.stage()?;
            }
            self.close_at_sinks(complete);
        }
        if let Some(manifest) = commit {
            self.note_commit(manifest);
        }
        Ok(())
    }

    fn close_at_sinks(&self, epoch: Epoch) {
        for sink in &self.job.sinks {
            sink.queue().push(SinkMessage::Closed(epoch));
        }
    }

    /// Whether all sources wait.
    fn is_late(&self) -> bool {
        let sinks: usize = self.job.sinks.iter().map(|sink| sink.queue().waiting()).sum();
        let patience = LATE_MIN.max(self.job.options.checkpoint_interval * 2);
        let epochs = |epochs: usize| epochs.saturating_mul(self.job.options.epoch_bytes);
        sinks >= epochs(SINKS_AHEAD_EPOCHS)
            || self.job.state_log.waiting() >= epochs(LOG_AHEAD_EPOCHS)
            || self.checkpoints.on_its_way_for().is_some_and(|age| age >= patience)
    }

    /// When something is due although nobody says so.
    fn deadline(&self) -> Instant {
        let poll = self.job.host().now() + STOP_POLL;
        let due =
            [self.epochs.due_at(self.job.is_quiet()), self.checkpoints.due_at().filter(|_| self.epochs.can_close())];
        due.into_iter().flatten().chain([poll]).min().unwrap_or(poll)
    }

    fn feed(&mut self, source: usize, batch: Batch) {
        let state = self.job.sources.get_mut(&self.job.spec.sources[source].name).expect("every source has a state");
        let counters = &self.job.progress.sources[source];
        let arrived = self.job.inbox.accept(source, batch, state);
        counters.bytes.fetch_add(arrived.bytes_read, Ordering::Relaxed);
        counters.records.fetch_add(arrived.ledger.records, Ordering::Relaxed);
        counters.rows.fetch_add(arrived.ledger.rows, Ordering::Relaxed);
        counters.rejects.fetch_add(arrived.ledger.rejects, Ordering::Relaxed);
        counters.passed_over.fetch_add(arrived.ledger.passed_over, Ordering::Relaxed);
        self.batches += 1;
        self.checkpoints.note_change();
        self.epochs.add(source, 0);
        for (input, rows) in arrived.rows {
            self.epochs.add(source, rows.get_array_memory_size());
            self.job.state_log.append(self.job.inbox.input_name(input), arrivals::flat(&rows));
            self.workers.feed(input, arrivals::updates(rows, self.epochs.open()));
        }
    }

    /// Makes rejects of what the sinks' systems have refused since the last call; false if there was nothing.
    pub fn take_refused(&mut self) -> bool {
        let refused = self.job.board.look(|news| std::mem::take(&mut news.refused));
        let any = !refused.is_empty();
        for Refused { sink, time, rejects } in refused {
            self.feed_refused(&sink, rejects);
            self.refused_times.insert(sink, time);
        }
        any
    }

    fn feed_refused(&mut self, sink: &str, rejects: Vec<Reject>) {
        let state = self.job.sources.get_mut(REJECTS).expect("the rejects have a state");
        let kept = Rejects::new(rejects).keep(state.alike.entry(sink.to_owned()).or_default());
        let rows = arrivals::reject_rows(sink, "", &kept);
        let input = self.job.spec.sources.len();
        self.batches += 1;
        self.checkpoints.note_change();
        self.epochs.add(input, rows.get_array_memory_size());
        self.job.state_log.append(REJECTS, arrivals::flat(&rows));
        self.workers.feed(input, arrivals::updates(rows, self.epochs.open()));
    }

    fn close_if_due(&mut self) -> bool {
        let checkpoint = self.checkpoints.is_due();
        let due = self.epochs.is_due(self.job.is_quiet()) || (checkpoint && self.epochs.can_close());
        if due {
            if checkpoint {
                self.cut();
            }
            self.close_epoch();
        }
        due
    }

    pub fn close_epoch(&mut self) {
        let next = self.epochs.close();
        self.closed += 1;
        self.workers.advance(next);
    }

    /// Waits, and takes nothing from the sources meanwhile.
    pub fn await_that(&mut self, reached: impl Fn(&Running) -> bool) -> Result<()> {
        loop {
            self.take_news()?;
            if reached(self) {
                return Ok(());
            }
            self.job.board.wait(self.job.host().now() + STOP_POLL);
        }
    }

    /// Waits until the sinks have taken in everything that the views contain.
    pub fn settle(&self) {
        for sink in &self.job.sinks {
            let _ = sink.ask(SinkMessage::Figures);
        }
    }
}

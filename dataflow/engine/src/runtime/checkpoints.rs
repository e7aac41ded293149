//! Checkpoints: cut at the end of an epoch, staged when it is complete, committed and published by a thread of their own.
//!
//! Positions, ledgers and the state log's cut are taken when the epoch is closed; sinks stage when the workers have
//! finished it; the dataflow goes on meanwhile. One checkpoint is on its way at a time.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use catchment_contract::{Epoch, Error, Reject, Result};

use super::options::RunOptions;
use super::running::Running;
use super::sinking::{SinkMessage, SinkQueue, StageAnswer};
use super::state_log::CutAnswer;
use crate::checkpoint::{CheckpointLog, Manifest, SinkState, SourceState};
use crate::host::{Answer, Host, reply};

/// When checkpoints are due, and the one on its way.
pub(super) struct Checkpoints {
    host: Host,
    interval: Duration,
    /// When the last one was cut.
    last: Instant,
    /// Whether anything was fed since, or a sink waits for its first.
    dirty: bool,
    phase: Phase,
    /// Checkpoints of this run in which a sink staged something, by sink.
    pub commits: BTreeMap<String, u64>,
}

/// How far the checkpoint on its way is.
enum Phase {
    /// None is.
    Idle,
    /// Its epoch is closed and not complete.
    Cut(Cut),
    /// A thread commits and publishes it.
    Committing,
}

/// What was taken at the end of an epoch.
struct Cut {
    epoch: Epoch,
    sources: BTreeMap<String, SourceState>,
    /// What sinks refuse after these times is not in the checkpoint.
    refused_times: BTreeMap<String, u64>,
    files: Answer<CutAnswer>,
}

impl Checkpoints {
    /// None was taken; `dirty` if one is due although nothing comes.
    pub fn new(host: &Host, options: &RunOptions, began: Instant, dirty: bool) -> Self {
        Checkpoints {
            host: host.clone(),
            interval: options.checkpoint_interval,
            last: began,
            dirty,
            phase: Phase::Idle,
            commits: BTreeMap::new(),
        }
    }

    /// Something was fed.
    pub fn note_change(&mut self) {
        self.dirty = true;
    }

    /// Whether there is something to commit and none is on its way.
    pub fn is_wanted(&self) -> bool {
        self.dirty && self.is_idle()
    }

    /// Whether none is on its way.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// When the next one is due, if it is wanted.
    pub fn due_at(&self) -> Option<Instant> {
        self.is_wanted().then(|| self.last + self.interval)
    }

    /// Whether one is due.
    pub fn is_due(&self) -> bool {
        self.due_at().is_some_and(|due| due <= self.host.now())
    }

    /// The epoch that must be complete before sinks stage.
    pub fn cut_epoch(&self) -> Option<Epoch> {
        match &self.phase {
            Phase::Cut(cut) => Some(cut.epoch),
            Phase::Idle | Phase::Committing => None,
        }
    }

    /// For how long one has been on its way.
    pub fn on_its_way_for(&self) -> Option<Duration> {
        (!self.is_idle()).then(|| self.host.since(self.last))
    }
}

impl Running {
    /// Cuts a checkpoint at the end of the open epoch, unless one is on its way. What sinks have refused until now is in
    /// it; what they refuse in making it is in its manifest, for the next one.
    pub(super) fn cut(&mut self) {
        if !self.checkpoints.is_idle() {
            return;
        }
        self.take_refused();
        let files = self.job.state_log.cut();
        let (sources, refused_times) = (self.job.sources.clone(), self.refused_times.clone());
        let cut = Cut { epoch: self.epochs.open(), sources, refused_times, files };
        self.checkpoints.phase = Phase::Cut(cut);
        self.checkpoints.last = self.job.host().now();
        self.checkpoints.dirty = false;
    }

    /// Asks the sinks to stage, and lets a thread commit and publish.
    pub(super) fn stage(&mut self) -> Result<()> {
        let Phase::Cut(cut) = std::mem::replace(&mut self.checkpoints.phase, Phase::Committing) else {
            return Err(Error::bug("there is no checkpoint to stage"));
        };
        let job = &self.job;
        let number = job.manifest.number + 1;
        let mut manifest = job.manifest.clone();
        (manifest.number, manifest.epoch) = (number, cut.epoch);
        manifest.relations = job.counters.iter().map(|(name, count)| (name.clone(), count.report(name).rows)).collect();
        // Those that the job does not read now stay.
        manifest.sources.extend(cut.sources);
        manifest.refused.clear();
        let mut staging = Vec::new();
        for (sink, thread) in job.spec.sinks.iter().zip(&job.sinks) {
            let (question, staged) = reply(job.host());
            thread.queue().push(SinkMessage::Stage { number, epoch: cut.epoch, reply: question });
            manifest.sinks.entry(sink.name.clone()).or_insert_with(|| SinkState {
                from: sink.from.clone(),
                fingerprint: sink.fingerprint.clone(),
                number: 0,
                staged: None,
            });
            let fed = cut.refused_times.get(&sink.name).copied().unwrap_or(0);
            staging.push(Staging { sink: sink.name.clone(), messages: thread.queue().clone(), fed, staged });
        }
        let commit = Commit { host: job.host().clone(), log: job.log.clone(), manifest, staging, files: cut.files };
        let (span, board) = (tracing::info_span!("checkpoint", number, epoch = cut.epoch), job.board.clone());
        job.board.start("checkpoint", move || {
            let _entered = span.enter();
            match commit.run() {
                Ok(manifest) => board.post(|news| news.commit = Some(manifest)),
                Err(Stop::Failed(error)) => board.fail(error),
                // It has left word of why.
                Err(Stop::Ended) => {}
            }
        })
    }

    /// A checkpoint is published.
    pub(super) fn note_commit(&mut self, manifest: Manifest) {
        self.checkpoints.phase = Phase::Idle;
        for (name, state) in &mut self.job.sources {
            // The files are committed now; what came since belongs to the next checkpoint.
            if let Some(committed) = manifest.sources.get(name) {
                state.state.clone_from(&committed.state);
                state.positions.adopt(&committed.positions);
            }
        }
        self.job.progress.checkpoint.store(manifest.number, Ordering::Relaxed);
        for (name, sink) in &manifest.sinks {
            *self.checkpoints.commits.entry(name.clone()).or_default() += u64::from(sink.number == manifest.number);
        }
        self.job.manifest = manifest;
    }

    /// Takes a checkpoint of everything fed so far, and returns when it is published. Does nothing if nothing changed.
    ///
    /// # Errors
    /// Any error ends the run.
    pub(super) fn checkpoint(&mut self) -> Result<()> {
        // A checkpoint that is on its way comes first.
        self.close_epoch();
        self.await_that(|running| running.epochs.are_complete() && running.checkpoints.is_idle())?;
        if !self.checkpoints.is_wanted() {
            return Ok(());
        }
        self.cut();
        self.close_epoch();
        self.await_that(|running| running.epochs.are_complete() && running.checkpoints.is_idle())
    }
}

/// A sink that was asked to stage.
struct Staging {
    sink: String,
    messages: SinkQueue,
    /// Times that the sink had refused something which is in the checkpoint.
    fed: u64,
    staged: Answer<StageAnswer>,
}

/// Steps 1 to 5 of the protocol, from the moment that every sink was asked to stage.
struct Commit {
    host: Host,
    log: std::sync::Arc<CheckpointLog>,
    manifest: Manifest,
    staging: Vec<Staging>,
    files: Answer<CutAnswer>,
}

/// Why a checkpoint was not taken.
enum Stop {
    /// A thread ended before it answered.
    Ended,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl Commit {
    fn run(mut self) -> Result<Manifest, Stop> {
        let number = self.manifest.number;
        let mut publishing = Vec::new();
        for Staging { sink, messages, fed, staged } in std::mem::take(&mut self.staging) {
            let (staged, refused) = staged.wait().ok_or(Stop::Ended)??;
            let refused = refused.into_iter().filter(|refused| refused.time > fed);
            let rejects: Vec<Reject> = refused.flat_map(|refused| refused.rejects).collect();
            if !rejects.is_empty() {
                self.manifest.refused.insert(sink.clone(), rejects);
            }
            if let Some(staged) = staged {
                if let Some(state) = self.manifest.sinks.get_mut(&sink) {
                    (state.number, state.staged) = (number, Some(staged.clone()));
                }
                publishing.push((messages, staged));
            }
        }
        for (source, files) in self.files.wait().ok_or(Stop::Ended)?? {
            self.manifest.sources.entry(source).or_default().state = files;
        }
        self.log.spill_positions(&mut self.manifest)?;
        self.log.commit(&self.manifest)?;
        tracing::debug!(number, "committed");
        let mut published = Vec::new();
        for (messages, staged) in publishing {
            let (question, answer) = reply(&self.host);
            messages.push(SinkMessage::Publish { number, staged, reply: question });
            published.push(answer);
        }
        for answer in published {
            answer.wait().ok_or(Stop::Ended)??;
        }
        self.log.prune()?;
        tracing::debug!(number, "published");
        Ok(self.manifest)
    }
}

//! A job's life, by what it can do: opened, running, finishing.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use catchment_contract::{Error, Result, Store};

use super::feeding::Asked;
use super::finishing;
use super::job::JobSpec;
use super::opened::Opened;
use super::options::RunOptions;
use super::report::{Progress, RunReport};
use super::running::{Running, Started};
use crate::checkpoint::CheckpointLog;
use crate::host::Host;

/// A job that is open. [`Runtime::drain`], [`Runtime::stay`] and [`Runtime::checkpoint`] move it on; [`Runtime::finish`]
/// ends it. An error of any of them ends it, too: what is committed stays, and the next run goes on from there.
pub struct Runtime {
    phase: Phase,
    progress: Arc<Progress>,
    log: Arc<CheckpointLog>,
}

enum Phase {
    Opened(Box<Opened>),
    Running(Box<Running>),
    /// An error has ended it.
    Failed,
}

impl Runtime {
    /// Opens a job: fences earlier runs, opens the sinks at the last checkpoint. Time, chance and threads are `host`'s. `stop`, once true, ends
    /// [`Runtime::drain`] and [`Runtime::stay`] early, whatever sources do.
    ///
    /// # Errors
    /// If the lake cannot be used, the job's definition does not fit what it left there, a sink refuses, or the system has
    /// no room for threads.
    pub fn open(
        host: &Host,
        spec: JobSpec,
        store: Arc<dyn Store>,
        options: RunOptions,
        stop: Arc<AtomicBool>,
    ) -> Result<Runtime> {
        let opened = Opened::open(host, spec, store, options, stop)?;
        let (progress, log) = (opened.progress.clone(), opened.log.clone());
        Ok(Runtime { progress, log, phase: Phase::Opened(Box::new(opened)) })
    }

    /// Counters to watch while the job runs.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Reads everything that the sources have now, and returns when all views contain it; false if there was nothing.
    /// Takes checkpoints on the way when they are due. Returns early, at an epoch's end, when told to stop.
    ///
    /// What cannot be read is left out, and [`Runtime::finish`] fails for it once the rest is committed.
    ///
    /// # Errors
    /// Any other error ends the run.
    pub fn drain(&mut self) -> Result<bool> {
        let started = matches!(self.phase, Phase::Opened(_));
        let read = self.begin(Asked::Once).and_then(|running| match running {
            Some(running) => Ok(running.drain()? || started),
            None => Ok(false),
        });
        read.map_err(|error| self.log.blame(error))
    }

    /// Keeps the views up to date until told to stop. Takes a checkpoint when one is due and something has changed.
    ///
    /// # Errors
    /// Any error ends the run. A source that cannot be read is waited for as long as [`RunOptions::patience`].
    pub fn stay(&mut self) -> Result<()> {
        let stayed = self.begin(Asked::Follow).and_then(|running| running.map_or(Ok(()), Running::stay));
        stayed.map_err(|error| self.log.blame(error))
    }

    /// Asks the feeders, and starts the workers if they have something to do; `None` if there is nothing, or the run is to
    /// stop.
    fn begin(&mut self, asked: Asked) -> Result<Option<&mut Running>> {
        match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Running(mut running) => {
                running.job.ask(asked);
                self.phase = Phase::Running(running);
            }
            Phase::Opened(mut job) => {
                job.ask(asked);
                if !job.await_work()? {
                    job.collect_unread();
                    self.phase = Phase::Opened(job);
                    return Ok(None);
                }
                match Running::start(*job)? {
                    Started::Running(running) => self.phase = Phase::Running(running),
                    Started::Stopped(job) => {
                        self.phase = Phase::Opened(job);
                        return Ok(None);
                    }
                }
            }
            Phase::Failed => return Err(failed()),
        }
        match &mut self.phase {
            Phase::Running(running) => Ok(Some(running)),
            Phase::Opened(_) | Phase::Failed => Ok(None),
        }
    }

    /// Takes a checkpoint of everything fed so far, and returns when it is published. Does nothing if nothing changed.
    ///
    /// # Errors
    /// Any error ends the run.
    pub fn checkpoint(&mut self) -> Result<()> {
        match &mut self.phase {
            Phase::Opened(_) => Ok(()),
            Phase::Running(running) => running.checkpoint().map_err(|error| self.log.blame(error)),
            Phase::Failed => Err(failed()),
        }
    }

    /// Waits until the sinks have taken in everything that the views contain.
    pub fn settle(&self) {
        if let Phase::Running(running) = &self.phase {
            running.settle();
        }
    }

    /// Takes a last checkpoint, ends all threads but those whose source does not answer, and says what happened.
    ///
    /// # Errors
    /// If the checkpoint fails, or something could not be read: then all else is committed.
    pub fn finish(self) -> Result<RunReport> {
        let report = match self.phase {
            Phase::Opened(job) => finishing::finish_opened(*job),
            Phase::Running(running) => finishing::finish_running(*running),
            Phase::Failed => Err(failed()),
        };
        report.map_err(|error| self.log.blame(error))
    }
}

fn failed() -> Error {
    Error::user("the run has ended with an error").with_hint("open the job again: it goes on from its last checkpoint")
}

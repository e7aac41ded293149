//! Taking checkpoints: cut at the end of an epoch, staged when it is complete, committed and published by a thread of
//! their own.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

use catchment_contract::{Error, Reject, Result, Staged};
use crossbeam_channel::{Receiver, Sender, bounded, never};

use super::super::reading;
use super::super::sinking::{Refused, SinkMessage};
use super::super::state_log::LogMessage;
use super::{Cut, Running, Runtime};
use crate::checkpoint::{CheckpointLog, Manifest, SinkState, StateFile};

impl Runtime {
    /// Cuts a checkpoint at the end of the open epoch, unless one is on its way. What sinks have refused until
    /// now is in it; what they refuse in making it is in its manifest, for the next one.
    pub(super) fn cut(&mut self) -> Result<()> {
        if self.running.as_ref().is_none_or(Running::is_busy) {
            return Ok(());
        }
        self.take_refused()?;
        let running = self.running.as_mut().expect("it was just seen");
        let (reply, files) = bounded(1);
        let _ = self.state_log.messages.send(LogMessage::Cut { reply });
        let (sources, refused_times) = (self.sources.clone(), self.refused_times.clone());
        running.cut = Some(Cut { epoch: running.epoch, sources, refused_times, files });
        self.last_checkpoint = Instant::now();
        self.dirty = false;
        Ok(())
    }

    /// Asks the sinks to stage, and lets a thread commit and publish.
    pub(super) fn stage(&mut self) -> Result<()> {
        let running = self.running.as_mut().expect("a cut needs workers");
        let Some(cut) = running.cut.take() else { return Ok(()) };
        let number = self.manifest.number + 1;
        let mut manifest = self.manifest.clone();
        (manifest.number, manifest.epoch) = (number, cut.epoch);
        manifest.relations =
            self.counters.iter().map(|(name, count)| (name.clone(), count.report(name).rows)).collect();
        // Those that the job does not read now stay.
        manifest.sources.extend(cut.sources);
        manifest.refused.clear();
        let mut staging = Vec::new();
        for (sink, thread) in self.spec.sinks.iter().zip(&self.sinks) {
            let (reply, staged) = bounded(1);
            let _ = thread.messages.send(SinkMessage::Stage { number, epoch: cut.epoch, reply });
            manifest.sinks.entry(sink.name.clone()).or_insert_with(|| SinkState {
                from: sink.from.clone(),
                fingerprint: sink.fingerprint.clone(),
                number: 0,
                staged: None,
            });
            let fed = cut.refused_times.get(&sink.name).copied().unwrap_or(0);
            staging.push(Staging { sink: sink.name.clone(), messages: thread.messages.clone(), fed, staged });
        }
        let (done, committed) = bounded(1);
        let (log, files) = (self.log.clone(), cut.files);
        let span = tracing::info_span!("checkpoint", number, epoch = cut.epoch);
        running.committed = committed;
        running.committing = Some(reading::spawn("checkpoint".into(), move || {
            let _entered = span.enter();
            let outcome = commit(&log, manifest, staging, files);
            let _ = done.send(());
            outcome
        }));
        Ok(())
    }

    /// Told when the checkpoint that is on its way is published, or has failed.
    pub(in crate::runtime) fn committed(&self) -> Receiver<()> {
        self.running.as_ref().map_or_else(never, |running| running.committed.clone())
    }

    pub(in crate::runtime) fn is_committing(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.committing.is_some())
    }

    pub(in crate::runtime) fn join_commit(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        running.committed = never();
        let Some(thread) = running.committing.take() else { return Ok(()) };
        let manifest = thread.join().map_err(|_| Error::bug("the checkpoint's thread panicked"))??;
        for (name, state) in &mut self.sources {
            // The files are committed now; what was appended since belongs to the next checkpoint.
            state.state = manifest.sources.get(name).map(|source| source.state.clone()).unwrap_or_default();
        }
        self.progress.checkpoint.store(manifest.number, Ordering::Relaxed);
        for (name, sink) in &manifest.sinks {
            *self.commits.entry(name.clone()).or_default() += u64::from(sink.number == manifest.number);
        }
        self.manifest = manifest;
        Ok(())
    }

    /// Takes a checkpoint of everything fed so far, and returns when it is published. Does nothing if nothing changed.
    ///
    /// # Errors
    /// Any error ends the run.
    pub fn checkpoint(&mut self) -> Result<()> {
        // A checkpoint that is on its way comes first.
        self.close_epoch();
        self.await_complete()?;
        self.join_commit()?;
        if self.running.is_none() || !self.dirty {
            return Ok(());
        }
        self.cut()?;
        self.close_epoch();
        self.await_complete()?;
        self.join_commit()
    }

    /// Begins a checkpoint of everything fed so far, and goes on while it is committed and published. Does nothing if
    /// nothing changed or one is on its way.
    pub(in crate::runtime) fn begin_checkpoint(&mut self) -> Result<()> {
        if !self.dirty || self.running.as_ref().is_none_or(Running::is_busy) {
            return Ok(());
        }
        self.cut()?;
        self.close_epoch();
        self.await_complete()
    }
}

struct Staging {
    sink: String,
    messages: Sender<SinkMessage>,
    /// Times that the sink had refused something which is in the checkpoint.
    fed: u64,
    staged: Receiver<Result<(Option<Staged>, Vec<Refused>)>>,
}

fn ended<T>(_: T) -> Error {
    Error::bug("a sink's thread ended")
}

/// Steps 1 to 5 of the protocol, from the moment that every sink was asked to stage.
fn commit(
    log: &CheckpointLog,
    mut manifest: Manifest,
    staging: Vec<Staging>,
    files: Receiver<Result<BTreeMap<String, Vec<StateFile>>>>,
) -> Result<Manifest> {
    let number = manifest.number;
    let mut publishing = Vec::new();
    for Staging { sink, messages, fed, staged } in staging {
        let (staged, refused) = staged.recv().map_err(ended)??;
        let refused = refused.into_iter().filter(|refused| refused.time > fed);
        let rejects: Vec<Reject> = refused.flat_map(|refused| refused.rejects).collect();
        if !rejects.is_empty() {
            manifest.refused.insert(sink.clone(), rejects);
        }
        if let Some(staged) = staged {
            if let Some(state) = manifest.sinks.get_mut(&sink) {
                (state.number, state.staged) = (number, Some(staged.clone()));
            }
            publishing.push((messages, staged));
        }
    }
    for (source, files) in files.recv().map_err(ended)?? {
        manifest.sources.entry(source).or_default().state.extend(files);
    }
    log.commit(&manifest)?;
    tracing::debug!(number, "committed");
    let mut published = Vec::new();
    for (messages, staged) in publishing {
        let (reply, answer) = bounded(1);
        let _ = messages.send(SinkMessage::Publish { number, staged, reply });
        published.push(answer);
    }
    for answer in published {
        answer.recv().map_err(ended)??;
    }
    log.prune(number)?;
    tracing::debug!(number, "published");
    Ok(manifest)
}

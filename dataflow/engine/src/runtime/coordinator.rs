//! Who decides what time it is: cuts epochs, drives workers and sinks, takes checkpoints.
//!
//! **Epochs.** Batches enter the open epoch as they arrive. It is closed when it is [`RunOptions::epoch_interval`] old or
//! holds [`RunOptions::epoch_bytes`], whichever comes first, or at once when every source is drained. At most
//! [`EPOCHS_AHEAD`] closed epochs are on their way through the workers; then sources wait.
//!
//! **Checkpoints** are cut at the end of an epoch: positions, ledgers and the state log's cut are taken at that moment;
//! sinks stage when the workers have finished the epoch; a thread of its own commits and publishes while the dataflow
//! goes on. One checkpoint at a time.
//!
//! **Laziness.** Opening a job reads its manifest and opens its sinks. State is restored and workers are started only
//! when a source has something new, so a run with nothing to do costs next to nothing.

mod checkpoints;
mod summary;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use catchment_contract::{Epoch, Error, Lease, Partition, Reject, Result, SinkContext, Store, Unfinished};
use crossbeam_channel::{Receiver, Sender, bounded, never, select, unbounded};

use super::arrivals::{self, Inbox};
use super::definitions;
use super::job::{JobSink, JobSpec, REJECTS};
use super::reading::{self, DecodePool, Reading, Round};
use super::report::{Progress, RelationCounter, RunReport, SourceProgress};
use super::sinking::{self, Refused, SinkMessage, SinkThread};
use super::state_log::{self, LogMessage, StateLog};
use super::workers::{Capture, Frontier, Setup, Workers};
use crate::checkpoint::{CheckpointLog, Manifest, SourceState, StateFile};

/// Closed epochs that may be on their way through the workers.
const EPOCHS_AHEAD: u64 = 2;

/// Reading waits for a checkpoint that is on its way for twice the checkpoints' interval, and for longer than this.
const LATE_MIN: Duration = Duration::from_secs(2);

/// How often a waiting coordinator looks whether it should stop.
pub(super) const STOP_POLL: Duration = Duration::from_millis(50);

/// How a job runs.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Age at which an epoch is closed.
    pub epoch_interval: Duration,
    /// Decoded bytes at which an epoch is closed.
    pub epoch_bytes: usize,
    /// Time between checkpoints.
    pub checkpoint_interval: Duration,
    /// Folder for scratch files.
    pub scratch: PathBuf,
    /// Whether to forget what earlier runs read and wrote.
    pub reset: bool,
}

impl Default for RunOptions {
    /// One worker, epochs of 100 ms or 32 MiB, a checkpoint every 10 s.
    fn default() -> Self {
        RunOptions {
            workers: 1,
            epoch_interval: Duration::from_millis(100),
            epoch_bytes: 32 << 20,
            checkpoint_interval: Duration::from_secs(10),
            scratch: std::env::temp_dir(),
            reset: false,
        }
    }
}

/// A job that is open. [`Runtime::drain`] and [`Runtime::checkpoint`] move it on; [`Runtime::finish`] ends it.
pub struct Runtime {
    pub(super) spec: JobSpec,
    pub(super) options: RunOptions,
    store: Arc<dyn Store>,
    pub(super) stop: Arc<AtomicBool>,
    progress: Arc<Progress>,
    started: Instant,
    log: Arc<CheckpointLog>,
    /// The last committed manifest; its number is the last one taken.
    manifest: Manifest,
    /// What the next manifest will say of the sources.
    pub(super) sources: BTreeMap<String, SourceState>,
    sinks: Vec<SinkThread>,
    state_log: StateLog,
    inbox: Inbox,
    running: Option<Running>,
    report: RunReport,
    counters: Arc<BTreeMap<String, RelationCounter>>,
    /// Checkpoints of this run in which a sink staged something, by sink.
    commits: BTreeMap<String, u64>,
    pub(super) last_checkpoint: Instant,
    /// Whether anything was fed since the last checkpoint was cut, or a sink waits for its first.
    dirty: bool,
    /// Partitions that this run has begun to read, by source.
    begun: HashSet<(usize, String)>,
    /// What sinks could not write, on its way to the rejects.
    refused: (Sender<Refused>, Receiver<Refused>),
    /// How many times each sink had refused something when that was made rejects last.
    refused_times: BTreeMap<String, u64>,
}

/// The part that exists once workers run.
struct Running {
    workers: Workers,
    frontiers: Receiver<Frontier>,
    pool: DecodePool,
    /// The open epoch.
    epoch: Epoch,
    epoch_bytes: usize,
    epoch_started: Instant,
    /// All epochs up to this one are complete.
    complete: Epoch,
    /// Spans of the epochs on their way, from closed to complete.
    spans: BTreeMap<Epoch, tracing::Span>,
    cut: Option<Cut>,
    committing: Option<JoinHandle<Result<Manifest>>>,
    committed: Receiver<()>,
}

impl Running {
    /// Whether a checkpoint is on its way.
    fn is_busy(&self) -> bool {
        self.cut.is_some() || self.committing.is_some()
    }
}

/// Of a run that removes nothing.
struct NoLease;

impl Lease for NoLease {
    fn is_held(&self) -> Result<bool> {
        Ok(false)
    }
}

/// A checkpoint whose epoch is closed and not yet complete.
struct Cut {
    epoch: Epoch,
    sources: BTreeMap<String, SourceState>,
    /// What sinks refuse after these times is not in the checkpoint.
    refused_times: BTreeMap<String, u64>,
    files: Receiver<Result<BTreeMap<String, Vec<StateFile>>>>,
}

impl Runtime {
    /// Opens a job: fences earlier runs, opens the sinks at the last checkpoint.
    ///
    /// # Errors
    /// If the lake cannot be used, the job's definition does not fit what it left there, or a sink refuses.
    pub fn open(spec: JobSpec, store: Arc<dyn Store>, options: RunOptions, stop: Arc<AtomicBool>) -> Result<Runtime> {
        let started = Instant::now();
        let run = uuid::Uuid::new_v4().simple().to_string();
        let log = Arc::new(CheckpointLog::new(store.clone(), &spec.name, &run));
        let inbox = Inbox::new(&spec);
        let fresh = inbox.fresh();
        let mut manifest = log.fence(options.reset, |last| definitions::check(&spec, &fresh, last))?;
        definitions::fit(&spec, &fresh, &mut manifest)?;
        // Until the first commit of a run that is to forget, what earlier ones left is needed: the next run may be told
        // otherwise. It removes what is left over.
        let lease: Arc<dyn Lease> = if options.reset { Arc::new(NoLease) } else { log.clone() };
        let state_folder = format!("{}/state", log.root());
        state_log::remove_orphans(&*store, &state_folder, &manifest, &*lease)?;
        let context = SinkContext { job: spec.name.clone(), lease, scratch: options.scratch.clone() };
        let refused = unbounded();
        let open = |sink| open_sink(sink, &context, &manifest, refused.0.clone());
        let sinks = spec.sinks.iter().map(open).collect::<Result<Vec<_>>>()?;
        log.prune(manifest.number)?;
        let state_log = state_log::start(store.clone(), state_folder, run);
        let progress = Progress {
            sources: spec
                .sources
                .iter()
                .map(|s| SourceProgress { name: s.name.clone(), ..Default::default() })
                .collect(),
            ..Default::default()
        };
        let counters = spec.sinks.iter().map(|sink| (sink.from.clone(), RelationCounter::default())).collect();
        let report = RunReport { job: spec.name.clone(), lake: store.describe(), ..Default::default() };
        Ok(Runtime {
            sources: inbox.states(&manifest),
            progress: Arc::new(progress),
            counters: Arc::new(counters),
            commits: BTreeMap::new(),
            last_checkpoint: Instant::now(),
            running: None,
            dirty: false,
            begun: HashSet::new(),
            refused,
            refused_times: BTreeMap::new(),
            spec,
            options,
            store,
            stop,
            started,
            log,
            manifest,
            sinks,
            state_log,
            inbox,
            report,
        })
    }

    /// Counters to watch while the job runs.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Reads everything that the sources have now, and returns when all views contain it; false if there was nothing.
    /// Takes checkpoints on the way when they are due. Returns early, at an epoch's end, when told to stop.
    ///
    /// # Errors
    /// Any error ends the run; what is committed stays.
    pub fn drain(&mut self) -> Result<bool> {
        let mut rounds = Vec::new();
        for (index, source) in self.spec.sources.iter().enumerate() {
            rounds.push((index, source.source.discover(&self.sources[&source.name].positions)?));
        }
        self.round(rounds, Unfinished::Take)
    }

    /// Reads the discovered partitions, and returns when all views contain them; false if there was nothing.
    pub(super) fn round(&mut self, mut rounds: Vec<(usize, Vec<Partition>)>, unfinished: Unfinished) -> Result<bool> {
        rounds.retain(|(_, partitions)| !partitions.is_empty());
        let starts = self.running.is_none();
        let first_run = self.manifest.epoch == 0 && starts;
        let refused = self.has_refused() || (starts && !self.manifest.refused.is_empty());
        let news = !rounds.is_empty() || first_run || refused || (starts && self.has_new_sink());
        if !news {
            return Ok(false);
        }
        self.ensure_running()?;
        if starts {
            for (sink, rejects) in self.manifest.refused.clone() {
                self.feed_refused(&sink, &rejects)?;
            }
        }
        self.take_refused()?;
        self.read_all(rounds, unfinished)?;
        let fed = self.running.as_ref().is_some_and(|running| running.epoch_bytes > 0);
        if fed || starts {
            self.close_epoch();
        }
        self.await_complete()?;
        Ok(fed || starts)
    }

    /// Whether a sink waits for its first checkpoint.
    fn has_new_sink(&self) -> bool {
        self.spec.sinks.iter().any(|sink| !self.manifest.sinks.contains_key(&sink.name))
    }

    /// Whether sinks' systems have refused something that is no reject yet.
    pub(super) fn has_refused(&self) -> bool {
        !self.refused.1.is_empty()
    }

    /// Makes rejects of what the sinks' systems refused since the last call; false if there was nothing, or nobody to take
    /// them yet.
    fn take_refused(&mut self) -> Result<bool> {
        if self.running.is_none() || !self.has_refused() {
            return Ok(false);
        }
        let refused: Vec<Refused> = self.refused.1.try_iter().collect();
        for Refused { sink, time, rejects } in refused {
            self.feed_refused(&sink, &rejects)?;
            self.refused_times.insert(sink, time);
        }
        Ok(true)
    }

    fn feed_refused(&mut self, sink: &str, rejects: &[Reject]) -> Result<()> {
        let running = self.running.as_mut().expect("rejects are fed to workers");
        let rows = arrivals::reject_rows(sink, "", rejects);
        let log = LogMessage::Append { source: REJECTS.into(), rows: arrivals::flat(&rows) };
        self.state_log.messages.send(log).map_err(|_| Error::bug("the state log's thread ended"))?;
        running.epoch_bytes += 1 + rows.get_array_memory_size();
        running.workers.feed(self.spec.sources.len(), arrivals::updates(rows, running.epoch));
        self.dirty = true;
        Ok(())
    }

    fn ensure_running(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let restored = (self.manifest.epoch > 0).then_some(self.manifest.epoch);
        let captures = self.spec.sinks.iter().zip(&self.sinks).map(|(sink, thread)| Capture {
            from: sink.from.clone(),
            schema: sink.schema.clone(),
            published: restored.filter(|_| self.manifest.sinks.contains_key(&sink.name)),
            messages: thread.messages.clone(),
        });
        let setup = Setup {
            sources: self.spec.sources.iter().map(|source| source.name.clone()).collect(),
            dataflow: self.spec.dataflow.clone(),
            captures: captures.collect(),
            counters: self.counters.clone(),
            restored,
        };
        let (frontiers_in, frontiers) = unbounded();
        let running = Running {
            workers: Workers::start(self.options.workers, setup, frontiers_in)?,
            frontiers,
            pool: DecodePool::new(self.options.workers),
            epoch: 1,
            epoch_bytes: 0,
            epoch_started: Instant::now(),
            complete: 0,
            spans: BTreeMap::new(),
            cut: None,
            committing: None,
            committed: never(),
        };
        running.workers.advance(1);
        self.running = Some(running);
        self.dirty = self.has_new_sink();
        self.restore()
    }

    /// Feeds the arrivals of earlier runs, spread over the epochs that those runs had used.
    fn restore(&mut self) -> Result<()> {
        let last = self.manifest.epoch;
        if last == 0 {
            return Ok(());
        }
        let _span = tracing::info_span!("restore", epoch = last).entered();
        for (input, (name, schema)) in self.inbox.inputs().into_iter().enumerate() {
            let files = self.manifest.sources.get(&name).map(|source| source.state.clone()).unwrap_or_default();
            for file in files {
                for rows in state_log::read(&*self.store, &file, &schema)? {
                    let running = self.running.as_mut().expect("workers were just started");
                    running.workers.feed(input, arrivals::updates(rows, running.epoch));
                }
                if self.epoch() < last {
                    self.close_epoch();
                    self.await_room()?;
                }
            }
        }
        let running = self.running.as_mut().expect("workers were just started");
        running.epoch = last;
        self.close_epoch();
        self.await_complete()
    }

    fn epoch(&self) -> Epoch {
        self.running.as_ref().map_or(self.manifest.epoch, |running| running.epoch)
    }

    /// Reads the discovered partitions of all sources at once, and feeds what comes.
    fn read_all(&mut self, rounds: Vec<(usize, Vec<Partition>)>, unfinished: Unfinished) -> Result<()> {
        let (deliver, readings) = bounded::<(usize, Reading)>(self.options.workers * 2);
        let mut reading = rounds.len();
        for (index, partitions) in rounds {
            let source = &self.spec.sources[index];
            let counters = &self.progress.sources[index];
            let bytes: u64 = partitions.iter().filter_map(|partition| partition.bytes).sum();
            counters.bytes_total.fetch_add(bytes, Ordering::Relaxed);
            let begun = partitions.iter().filter(|partition| self.begun.insert((index, partition.id.clone()))).count();
            counters.partitions.fetch_add(begun as u64, Ordering::Relaxed);
            let (deliver, running) = (deliver.clone(), self.running.as_ref().expect("workers run before sources"));
            let (name, projection) = (&source.name, &source.projection);
            let round = Round { name, source: source.source.clone(), projection, partitions, unfinished };
            round.read(self.options.workers, &running.pool, self.stop.clone(), move |reading| {
                deliver.send((index, reading)).is_ok()
            });
        }
        drop(deliver);
        while reading > 0 {
            match self.next_event(&readings)? {
                Some((index, Reading::Batch(batch))) => self.feed(index, *batch)?,
                Some((_, Reading::Done)) => reading -= 1,
                Some((_, Reading::Failed(error))) => return Err(error),
                None => {}
            }
            self.close_if_due()?;
        }
        Ok(())
    }

    /// Waits for the next reading, a frontier, or the end of the open epoch. Readings wait while epochs are ahead, and
    /// while publishing takes so long that what the sinks hold meanwhile would grow without a bound.
    fn next_event(&mut self, readings: &Receiver<(usize, Reading)>) -> Result<Option<(usize, Reading)>> {
        let running = self.running.as_mut().expect("workers run before sources");
        let ahead = running.epoch - 1 - running.complete;
        let patience = LATE_MIN.max(self.options.checkpoint_interval * 2);
        let late = running.committing.is_some() && self.last_checkpoint.elapsed() >= patience;
        let full = late || (ahead >= EPOCHS_AHEAD && running.epoch_bytes >= self.options.epoch_bytes);
        let held = never();
        let readings = if full { &held } else { readings };
        let left = self.options.epoch_interval.saturating_sub(running.epoch_started.elapsed());
        let wait = if running.epoch_bytes == 0 || ahead >= EPOCHS_AHEAD { STOP_POLL } else { left.min(STOP_POLL) };
        let (frontiers, committed) = (running.frontiers.clone(), running.committed.clone());
        select! {
            recv(readings) -> reading => return Ok(reading.ok()),
            recv(frontiers) -> frontier => self.advanced(frontier.ok())?,
            recv(committed) -> _ => self.join_commit()?,
            default(wait) => {}
        }
        Ok(None)
    }

    fn feed(&mut self, index: usize, batch: reading::Batch) -> Result<()> {
        let name = &self.spec.sources[index].name;
        let state = self.sources.get_mut(name).expect("every source has a state");
        let counters = &self.progress.sources[index];
        let arrived = self.inbox.accept(index, batch, state);
        counters.bytes.fetch_add(arrived.bytes_read, Ordering::Relaxed);
        counters.records.fetch_add(arrived.ledger.records, Ordering::Relaxed);
        counters.rows.fetch_add(arrived.ledger.rows, Ordering::Relaxed);
        counters.rejects.fetch_add(arrived.ledger.rejects, Ordering::Relaxed);
        counters.passed_over.fetch_add(arrived.ledger.passed_over, Ordering::Relaxed);
        let running = self.running.as_mut().expect("workers run before sources");
        if running.epoch_bytes == 0 {
            running.epoch_started = Instant::now();
        }
        // An empty batch moves a position all the same: count a byte, so that the epoch is closed.
        running.epoch_bytes += 1;
        self.dirty = true;
        for (input, rows) in arrived.rows {
            running.epoch_bytes += rows.get_array_memory_size();
            let source = self.inbox.input_name(input).to_string();
            let log = LogMessage::Append { source, rows: arrivals::flat(&rows) };
            self.state_log.messages.send(log).map_err(|_| Error::bug("the state log's thread ended"))?;
            running.workers.feed(input, arrivals::updates(rows, running.epoch));
        }
        Ok(())
    }

    fn close_if_due(&mut self) -> Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let ahead = running.epoch - 1 - running.complete;
        let due = running.epoch_bytes >= self.options.epoch_bytes
            || (running.epoch_bytes > 0 && running.epoch_started.elapsed() >= self.options.epoch_interval);
        if due && ahead < EPOCHS_AHEAD {
            if self.last_checkpoint.elapsed() >= self.options.checkpoint_interval {
                self.cut()?;
            }
            self.close_epoch();
        }
        Ok(())
    }

    fn close_epoch(&mut self) {
        let Some(running) = &mut self.running else { return };
        let span = tracing::debug_span!("epoch", epoch = running.epoch, bytes = running.epoch_bytes);
        running.spans.insert(running.epoch, span);
        running.epoch += 1;
        running.epoch_bytes = 0;
        self.report.epochs += 1;
        running.workers.advance(running.epoch);
    }

    /// Takes note of a frontier: closes epochs at the sinks, and stages the checkpoint whose epoch is complete.
    fn advanced(&mut self, frontier: Option<Frontier>) -> Result<()> {
        let running = self.running.as_mut().expect("frontiers come from workers");
        let Some(Frontier { upto: Some(upto) }) = frontier else {
            return Err(Error::bug("a worker ended before its inputs did"));
        };
        let complete = upto.saturating_sub(1);
        if complete <= running.complete {
            return Ok(());
        }
        running.complete = complete;
        running.spans.retain(|epoch, _| *epoch > complete);
        self.progress.epochs.store(complete, Ordering::Relaxed);
        // The frontier may have passed several epochs at once: what is staged must end with the cut's.
        if let Some(epoch) = running.cut.as_ref().map(|cut| cut.epoch).filter(|epoch| *epoch <= complete) {
            self.close_at_sinks(epoch);
            self.stage()?;
        }
        self.close_at_sinks(complete);
        Ok(())
    }

    fn close_at_sinks(&self, epoch: Epoch) {
        for sink in &self.sinks {
            let _ = sink.messages.send(SinkMessage::Closed(epoch));
        }
    }

    fn await_room(&mut self) -> Result<()> {
        self.await_epoch(|running| running.epoch - 1 - running.complete < EPOCHS_AHEAD)
    }

    fn await_complete(&mut self) -> Result<()> {
        self.await_epoch(|running| running.complete + 1 >= running.epoch)
    }

    fn await_epoch(&mut self, reached: impl Fn(&Running) -> bool) -> Result<()> {
        while let Some(running) = &self.running
            && !reached(running)
        {
            let frontier = running.frontiers.recv().ok();
            self.advanced(frontier)?;
        }
        Ok(())
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until the sinks have taken in everything that the views contain.
    pub fn settle(&self) {
        for sink in &self.sinks {
            sink.figures();
        }
    }

    /// Takes a last checkpoint, ends all threads, and says what happened.
    ///
    /// # Errors
    /// If the checkpoint fails.
    pub fn finish(mut self) -> Result<RunReport> {
        self.checkpoint()?;
        if self.take_refused()? {
            self.checkpoint()?;
        }
        self.fill_report();
        if let Some(mut running) = self.running.take() {
            running.workers.finish();
        }
        drop(self.state_log.messages);
        let _ = self.state_log.thread.join();
        for SinkThread { messages, thread } in self.sinks {
            drop(messages);
            let _ = thread.join();
        }
        self.report.seconds = self.started.elapsed().as_secs_f64();
        Ok(self.report)
    }
}

/// Opens a sink at the last checkpoint that knew it.
fn open_sink(
    sink: &JobSink,
    context: &SinkContext,
    manifest: &Manifest,
    refused: Sender<Refused>,
) -> Result<SinkThread> {
    let last =
        manifest.sinks.get(&sink.name).and_then(|known| known.staged.as_ref().map(|staged| (known.number, staged)));
    let _span = tracing::info_span!("open", sink = sink.name).entered();
    Ok(sinking::start(&sink.name, sink.spec.open(context, last)?, refused))
}

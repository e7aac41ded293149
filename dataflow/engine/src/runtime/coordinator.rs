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

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use catchment_contract::{
    Epoch, Error, Lease, Partition, PartitionLag, Result, SinkContext, SinkFigures, Staged, Store, Unfinished,
};
use crossbeam_channel::{Receiver, Sender, bounded, never, select, unbounded};

use super::arrivals::{self, Inbox};
use super::definitions;
use super::job::{JobSink, JobSpec, REJECTS};
use super::reading::{self, DecodePool, Reading, Round};
use super::report::{Progress, RelationCounter, RelationReport, RunReport, SinkReport, SourceProgress, SourceReport};
use super::sinking::{self, Refused, SinkMessage, SinkThread};
use super::state_log::{self, LogMessage, StateLog};
use super::workers::{Capture, Frontier, Setup, Workers};
use crate::checkpoint::{CheckpointLog, Manifest, SinkState, SourceState, StateFile};

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
    /// The lake, as sinks take it.
    pub lake: String,
    /// Folder for scratch files.
    pub scratch: PathBuf,
    /// Whether to forget what earlier runs read and wrote.
    pub reset: bool,
}

impl Default for RunOptions {
    /// One worker, epochs of 100 ms or 32 MiB, a checkpoint every 10 s, the lake in `lake`.
    fn default() -> Self {
        RunOptions {
            workers: 1,
            epoch_interval: Duration::from_millis(100),
            epoch_bytes: 32 << 20,
            checkpoint_interval: Duration::from_secs(10),
            lake: "lake".into(),
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
        if !options.reset
            && let Some(latest) = log.latest()?
        {
            // A job that does not fit must not end one that runs.
            definitions::check(&spec, &fresh, &latest)?;
        }
        let mut manifest = log.fence(options.reset)?;
        definitions::fit(&spec, &fresh, &mut manifest)?;
        // Until the first commit of a run that is to forget, what earlier ones left is needed: the next run may be told
        // otherwise. It removes what is left over.
        let lease: Arc<dyn Lease> = if options.reset { Arc::new(NoLease) } else { log.clone() };
        let state_folder = format!("{}/state", log.root());
        state_log::remove_orphans(&*store, &state_folder, &manifest, &*lease)?;
        let context =
            SinkContext { job: spec.name.clone(), lease, lake: options.lake.clone(), scratch: options.scratch.clone() };
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
        let report = RunReport { job: spec.name.clone(), lake: options.lake.clone(), ..Default::default() };
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
        let refused = self.take_refused()?;
        let news = !rounds.is_empty() || first_run || refused || (starts && self.has_new_sink());
        if !news {
            return Ok(false);
        }
        self.ensure_running()?;
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
        self.running.is_some() && !self.refused.1.is_empty()
    }

    /// Makes rejects of what the sinks' systems refused since the last call; false if there was nothing.
    fn take_refused(&mut self) -> Result<bool> {
        if !self.has_refused() {
            return Ok(false);
        }
        let refused: Vec<Refused> = self.refused.1.try_iter().collect();
        let Some(running) = &mut self.running else { return Ok(false) };
        let input = self.spec.sources.len();
        for (sink, rejects) in refused {
            let rows = arrivals::reject_rows(&sink, "", &rejects);
            let log = LogMessage::Append { source: REJECTS.into(), rows: arrivals::flat(&rows) };
            self.state_log.messages.send(log).map_err(|_| Error::bug("the state log's thread ended"))?;
            running.epoch_bytes += 1 + rows.get_array_memory_size();
            running.workers.feed(input, arrivals::updates(rows, running.epoch));
            self.dirty = true;
        }
        Ok(true)
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

    /// Cuts a checkpoint at the end of the open epoch, unless one is on its way. What sinks refused in the one before is in
    /// it: a crash later on, they would not refuse it again.
    fn cut(&mut self) -> Result<()> {
        let busy = |running: &Running| running.cut.is_some() || running.committing.is_some();
        if self.running.as_ref().is_none_or(busy) {
            return Ok(());
        }
        self.take_refused()?;
        let running = self.running.as_mut().expect("it was just seen");
        let (reply, files) = bounded(1);
        let _ = self.state_log.messages.send(LogMessage::Cut { reply });
        running.cut = Some(Cut { epoch: running.epoch, sources: self.sources.clone(), files });
        self.last_checkpoint = Instant::now();
        self.dirty = false;
        Ok(())
    }

    /// Asks the sinks to stage, and lets a thread commit and publish.
    fn stage(&mut self) -> Result<()> {
        let running = self.running.as_mut().expect("a cut needs workers");
        let Some(cut) = running.cut.take() else { return Ok(()) };
        let number = self.manifest.number + 1;
        let mut manifest = self.manifest.clone();
        (manifest.number, manifest.epoch) = (number, cut.epoch);
        manifest.relations =
            self.counters.iter().map(|(name, count)| (name.clone(), count.report(name).rows)).collect();
        // Those that the job does not read now stay.
        manifest.sources.extend(cut.sources);
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
            staging.push(Staging { sink: sink.name.clone(), messages: thread.messages.clone(), staged });
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
    pub(super) fn committed(&self) -> Receiver<()> {
        self.running.as_ref().map_or_else(never, |running| running.committed.clone())
    }

    pub(super) fn is_committing(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.committing.is_some())
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn join_commit(&mut self) -> Result<()> {
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

    /// Waits until the sinks have taken in everything that the views contain.
    pub fn settle(&self) {
        for sink in &self.sinks {
            sink.figures();
        }
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
    pub(super) fn begin_checkpoint(&mut self) -> Result<()> {
        let busy = |running: &Running| running.cut.is_some() || running.committing.is_some();
        if !self.dirty || self.running.as_ref().is_none_or(busy) {
            return Ok(());
        }
        self.cut()?;
        self.close_epoch();
        self.await_complete()
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

    /// How far a source's partitions are read. A summary must not fail because a broker has gone.
    fn lag_of(&self, source: &str) -> Vec<PartitionLag> {
        let found = self.spec.sources.iter().find(|known| known.name == source);
        let lag = found.map(|found| found.source.lag(&self.sources[source].positions));
        lag.and_then(|lag| lag.inspect_err(|error| tracing::warn!(source, error = error.chain(), "no lag")).ok())
            .unwrap_or_default()
    }

    fn fill_report(&mut self) {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        self.report.checkpoint = self.manifest.number;
        self.report.epoch = self.manifest.epoch;
        let totals = |name: &str| self.sources.get(name).map(|state| state.ledger).unwrap_or_default();
        let sources = self.progress.sources.iter().map(|source| SourceReport {
            name: source.name.clone(),
            partitions: count(&source.partitions),
            bytes: count(&source.bytes),
            records: count(&source.records),
            rows: count(&source.rows),
            rejects: count(&source.rejects),
            records_total: totals(&source.name).records,
            rejects_total: totals(&source.name).rejects,
            partitions_read: self.lag_of(&source.name),
        });
        self.report.sources = sources.collect();
        self.report.relations = match &self.running {
            Some(_) => self.counters.iter().map(|(name, counter)| counter.report(name)).collect(),
            None => {
                let kept = self.manifest.relations.iter();
                kept.map(|(name, rows)| RelationReport { name: name.clone(), rows: *rows, changes: 0 }).collect()
            }
        };
        let sinks = self.spec.sinks.iter().zip(&self.sinks).map(|(sink, thread)| {
            let SinkFigures { rows, partitions } = thread.figures();
            SinkReport {
                name: sink.name.clone(),
                from: sink.from.clone(),
                target: sink.spec.describe(),
                rows,
                commits: self.commits.get(&sink.name).copied().unwrap_or_default(),
                partitions,
            }
        });
        self.report.sinks = sinks.collect();
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

struct Staging {
    sink: String,
    messages: Sender<SinkMessage>,
    staged: Receiver<Result<Option<Staged>>>,
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
    for Staging { sink, messages, staged } in staging {
        if let Some(staged) = staged.recv().map_err(ended)?? {
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

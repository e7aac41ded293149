//! A job that is open: what earlier runs left is known, sinks are open, feeders look at their sources, and no worker runs.
//!
//! **Laziness.** Opening a job reads its manifest and opens its sinks. State is restored and workers are started only when
//! there is something to do, so a run with nothing new costs next to nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use catchment_contract::{Error, Fault, Lease, Result, SinkContext, Store};
use catchment_state::{Budget, Memory, SpillFolder};

use super::arrivals::Inbox;
use super::board::Board;
use super::capture::Capture;
use super::definitions;
use super::feeding::{self, Asked, Decoders, FeederOptions, Lane, Unread};
use super::job::{JobSink, JobSpec};
use super::options::RunOptions;
use super::report::{Progress, RelationCounter, SourceProgress};
use super::sinking::SinkThread;
use super::state_log::StateLog;
use super::workers::{Setup, Workers};
use crate::checkpoint::{CheckpointLog, Manifest, SourceState};
use crate::host::Host;

/// How often a waiting coordinator looks whether it should stop.
pub(super) const STOP_POLL: Duration = Duration::from_millis(50);

/// What each sink may hold of its rows at least and at most: files of less would be very many, and more makes none better.
const HELD_BYTES_MIN: usize = 1 << 20;
const HELD_BYTES_MAX: usize = 64 << 20;

/// More readers of one source than this do not make it faster.
const READERS_MAX: usize = 8;

/// An open job.
pub(super) struct Opened {
    pub spec: JobSpec,
    pub options: RunOptions,
    pub store: Arc<dyn Store>,
    pub stop: Arc<AtomicBool>,
    pub progress: Arc<Progress>,
    pub began: Instant,
    pub log: Arc<CheckpointLog>,
    /// The last committed manifest; its number is the last one taken.
    pub manifest: Manifest,
    /// What the next manifest will say of the sources.
    pub sources: BTreeMap<String, SourceState>,
    pub sinks: Vec<SinkThread>,
    pub state_log: StateLog,
    pub inbox: Inbox,
    pub board: Board,
    /// One for each source, in job order.
    pub lanes: Vec<Arc<Lane>>,
    pub decoders: Decoders,
    pub counters: Arc<BTreeMap<String, RelationCounter>>,
    /// What operators' states may take, if there is a limit.
    pub budget: Option<Budget>,
    /// What the last round could not read.
    pub unread: Unread,
}

/// The lease of a run that removes nothing before its first checkpoint.
struct KeepsAll {
    log: Arc<CheckpointLog>,
    /// Number of the manifest that fenced earlier runs.
    fenced: u64,
}

impl Lease for KeepsAll {
    fn is_held(&self) -> Result<bool> {
        self.log.is_held()
    }

    fn may_remove(&self) -> Result<bool> {
        Ok(self.log.number() > self.fenced && self.log.is_held()?)
    }
}

impl Opened {
    /// Fences earlier runs, opens the sinks at the last checkpoint, and starts feeders that wait to be asked.
    pub fn open(
        host: &Host,
        spec: JobSpec,
        store: Arc<dyn Store>,
        options: RunOptions,
        stop: Arc<AtomicBool>,
    ) -> Result<Opened> {
        let began = host.now();
        let run = host.environment().unique_name();
        let log = Arc::new(CheckpointLog::new(store.clone(), &spec.name, &run));
        let inbox = Inbox::new(&spec);
        let fresh = inbox.fresh();
        let mut manifest =
            log.fence(options.reset, |last| definitions::check(&spec, &fresh, last, &options.reset_sinks))?;
        definitions::fit(&spec, &fresh, &mut manifest, &options.reset_sinks)?;
        // Until the first commit of a run that is to forget, what earlier ones left is needed: the next run may be told
        // otherwise. It removes what is left over.
        let lease: Arc<dyn Lease> = match options.reset {
            true => Arc::new(KeepsAll { log: log.clone(), fenced: log.number() }),
            false => log.clone(),
        };
        let context = SinkContext {
            job: spec.name.clone(),
            lease: lease.clone(),
            may_replace: options.reset || manifest.epoch > 0,
            scratch: options.scratch.clone(),
            held_bytes: (options.held_bytes / spec.sinks.len().max(1)).clamp(HELD_BYTES_MIN, HELD_BYTES_MAX),
        };
        let board = Board::new(host);
        let load = |source: &mut SourceState| source.positions.load(&*store);
        let loaded = manifest.sources.values_mut().try_for_each(load);
        let sinks = loaded.and_then(|()| open_sinks(&spec.sinks, &context, &manifest, &board));
        // What is there does not fit together: a person may put back what was lost, so nothing of it is removed.
        let sinks = sinks.inspect_err(|error| {
            if error.fault() == Fault::Data {
                log.withdraw();
            }
        });
        let sinks = sinks.map_err(|error| log.blame(error))?;
        log.remove_left_over(&*lease)?;
        log.prune()?;
        let state_folder = format!("{}/state", log.root());
        let state_log = StateLog::start(&board, store.clone(), state_folder, run, &manifest.sources)?;
        let named =
            spec.sources.iter().map(|source| SourceProgress { name: source.name.clone(), ..Default::default() });
        let progress = Arc::new(Progress { sources: named.collect(), ..Default::default() });
        let decoders = Decoders::start(&board, options.workers, spec.sources.len())?;
        let sources = inbox.states(&manifest);
        let mut lanes = Vec::new();
        for (index, source) in spec.sources.iter().enumerate() {
            let feeder = FeederOptions {
                index,
                name: source.name.clone(),
                source: source.source.clone(),
                projection: source.projection.clone(),
                positions: sources[&source.name].positions.all(),
                readers: options.workers.clamp(1, READERS_MAX),
                read_ahead_bytes: options.read_ahead_bytes,
                round_interval: options.epoch_interval,
                patience: options.patience,
            };
            lanes.push(feeding::start(&board, &decoders, &progress, feeder)?);
        }
        let counters = spec.sinks.iter().map(|sink| (sink.from.clone(), RelationCounter::default())).collect();
        let spill = || SpillFolder::new(&options.spill_dir, host.environment().clone());
        let budget = options.state_memory.map(|bytes| Budget::new(bytes, spill()));
        let (counters, unread) = (Arc::new(counters), Unread::default());
        Ok(Opened {
            spec,
            options,
            store,
            stop,
            progress,
            began,
            log,
            manifest,
            sources,
            sinks,
            state_log,
            inbox,
            board,
            lanes,
            decoders,
            counters,
            budget,
            unread,
        })
    }

    /// Time, chance and threads.
    pub fn host(&self) -> &Host {
        self.board.host()
    }

    /// Asks all feeders for the same.
    pub fn ask(&mut self, asked: Asked) {
        self.unread = Unread::default();
        self.lanes.iter().for_each(|lane| lane.ask(asked));
    }

    /// Takes note of what the last round could not read.
    pub fn collect_unread(&mut self) {
        for (source, lane) in self.spec.sources.iter().zip(&self.lanes) {
            self.unread.add(&source.name, lane.take_unread());
        }
    }

    /// Waits until there is something to do; false if everything that was asked for is done, or the run is to stop.
    pub fn await_work(&self) -> Result<bool> {
        loop {
            self.check()?;
            if self.has_work() {
                return Ok(true);
            }
            if self.is_stopped() || self.is_drained() {
                return Ok(false);
            }
            self.board.wait(self.host().now() + STOP_POLL);
        }
    }

    fn has_work(&self) -> bool {
        self.manifest.epoch == 0
            || !self.manifest.refused.is_empty()
            || self.has_new_sink()
            || self.board.look(|news| !news.refused.is_empty())
            || self.lanes.iter().any(|lane| lane.standing().found)
    }

    /// Whether a sink waits for its first checkpoint.
    pub fn has_new_sink(&self) -> bool {
        self.spec.sinks.iter().any(|sink| !self.manifest.sinks.contains_key(&sink.name))
    }

    /// Whether no source has anything in hand that was found and not taken.
    pub fn is_quiet(&self) -> bool {
        self.lanes.iter().all(|lane| lane.standing().idle)
    }

    /// Whether everything that was asked for is read and taken.
    pub fn is_drained(&self) -> bool {
        self.lanes.iter().all(|lane| lane.standing().done)
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the run can go on.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self) -> Result<()> {
        self.board.look(|news| news.failure.take()).map_or(Ok(()), Err)
    }

    /// The last epoch that earlier runs have used, if there were any.
    pub fn restored(&self) -> Option<catchment_contract::Epoch> {
        (self.manifest.epoch > 0).then_some(self.manifest.epoch)
    }

    /// Starts the workers, with empty state.
    pub fn start_workers(&self) -> Result<Workers> {
        let restored = self.restored();
        let captures = self.spec.sinks.iter().zip(&self.sinks).map(|(sink, thread)| Capture {
            from: sink.from.clone(),
            schema: sink.schema.clone(),
            published: restored.filter(|_| self.manifest.sinks.contains_key(&sink.name)),
            messages: thread.queue().clone(),
        });
        let setup = Setup {
            sources: self.spec.sources.iter().map(|source| source.name.clone()).collect(),
            dataflow: self.spec.dataflow.clone(),
            memory: self.budget.as_ref().map_or(Memory::unlimited(), Budget::memory),
            captures: captures.collect(),
            counters: self.counters.clone(),
            restored,
        };
        Workers::start(&self.board, self.options.workers, setup)
    }

    /// Takes no more from the sources.
    pub fn stop_reading(&self) {
        self.lanes.iter().for_each(|lane| lane.close());
        self.decoders.close();
    }
}

/// Feeders end when they see it. Those whose source does not answer are not waited for.
impl Drop for Opened {
    fn drop(&mut self) {
        self.stop_reading();
    }
}

/// Opens each sink at the last checkpoint that knew it, all of them at once.
///
/// # Errors
/// Why the first of them in job order cannot be opened, once all have tried.
fn open_sinks(sinks: &[JobSink], context: &SinkContext, manifest: &Manifest, board: &Board) -> Result<Vec<SinkThread>> {
    let start = |sink: &JobSink| {
        let known = manifest.sinks.get(&sink.name);
        let last = known.and_then(|known| known.staged.clone().map(|staged| (known.number, staged)));
        SinkThread::start(board, sink, context.clone(), last)
    };
    let started: Vec<_> = sinks.iter().map(start).collect();
    let opened: Vec<Result<SinkThread>> = started
        .into_iter()
        .map(|started| {
            let (thread, opened) = started?;
            opened.wait().unwrap_or_else(|| Err(Error::bug("a sink's thread ended before its sink was open")))?;
            Ok(thread)
        })
        .collect();
    opened.into_iter().collect()
}

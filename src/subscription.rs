//! A view's changes, delivered to the program that runs the job.
//!
//! [`JobBuilder::subscribe`](crate::JobBuilder::subscribe) adds a sink that hands every change of a view to a
//! [`Subscription`]: first the rows that the view has, then what changes, epoch by epoch. Changes are seen as soon as their
//! epoch is complete, before the checkpoint that holds them: a run that dies and comes back delivers the view anew.
//!
//! A subscription never slows the job. It holds at most so many rows as it was made for; a program that lags further behind
//! is told by an error and gets no more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catchment_contract::{
    Epoch, Error, Options, Result, Sink, SinkConnector, SinkContext, SinkFigures, SinkSpec, Staged, UpdateBatch,
    ViewFacts,
};

/// What a view did up to an epoch.
#[derive(Clone, Debug)]
pub struct Change {
    /// All epochs up to this one are in what was delivered by now.
    pub epoch: Epoch,
    /// Rows with their epochs and diffs, not consolidated: a positive diff adds a row so many times, a negative one takes it
    /// back.
    pub updates: Vec<UpdateBatch>,
}

impl Change {
    /// The number of updates.
    pub fn len(&self) -> usize {
        self.updates.iter().map(UpdateBatch::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The receiving end of a view's changes.
pub struct Subscription {
    queue: Arc<Queue>,
}

impl Subscription {
    pub(crate) fn new(view: &str, rows_max: usize) -> Subscription {
        Subscription {
            queue: Arc::new(Queue { view: view.into(), rows_max, state: Mutex::default(), changed: Condvar::new() }),
        }
    }

    pub(crate) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    /// The next change, if there is one now.
    ///
    /// # Errors
    /// If changes were dropped because too many waited.
    pub fn try_next(&self) -> Result<Option<Change>> {
        self.queue.take(&mut self.queue.state())
    }

    /// The next change, waiting for at most `timeout`; `None` if none came, or the run has ended.
    ///
    /// # Errors
    /// As [`Subscription::try_next`].
    pub fn next(&self, timeout: Duration) -> Result<Option<Change>> {
        let waits = |state: &mut State| state.changes.is_empty() && !state.lagged && !state.ended;
        let state = self.queue.state();
        let waited = self.queue.changed.wait_timeout_while(state, timeout, waits);
        self.queue.take(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// Changes on their way from a sink to a subscription.
pub(crate) struct Queue {
    view: String,
    rows_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    changes: VecDeque<Change>,
    rows: usize,
    lagged: bool,
    ended: bool,
}

impl Queue {
    /// The view whose changes it holds.
    pub fn view(&self) -> &str {
        &self.view
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, state: &mut State) -> Result<Option<Change>> {
        if let Some(change) = state.changes.pop_front() {
            state.rows -= change.len();
            return Ok(Some(change));
        }
        if state.lagged {
            let message =
                format!("the subscription to \"{}\" fell behind by more than {} rows", self.view, self.rows_max);
            return Err(Error::user(message).with_hint("take changes sooner, or make it for more rows"));
        }
        Ok(None)
    }

    fn put(&self, change: Change) {
        let mut state = self.state();
        if state.lagged || change.is_empty() {
            return;
        }
        state.rows += change.len();
        if state.rows > self.rows_max {
            state.lagged = true;
            state.changes.clear();
            state.rows = 0;
        } else {
            state.changes.push_back(change);
        }
        self.changed.notify_all();
    }
}

/// The connector of the sinks that [`JobBuilder::subscribe`](crate::JobBuilder::subscribe) adds.
#[derive(Default)]
pub(crate) struct SubscriptionConnector {
    pub queues: BTreeMap<String, Arc<Queue>>,
}

/// The connector's name in SQL.
pub(crate) const CONNECTOR: &str = "subscription";

impl SinkConnector for SubscriptionConnector {
    fn name(&self) -> &'static str {
        CONNECTOR
    }

    fn check(&self, name: &str, _view: &ViewFacts, _options: &mut Options) -> Result<Box<dyn SinkSpec>> {
        let queue = self.queues.get(name).cloned().ok_or_else(|| {
            Error::user(format!("sink \"{name}\" has no subscriber"))
                .with_hint("subscribe with JobBuilder::subscribe; a job's text cannot")
        })?;
        Ok(Box::new(SubscriptionSpec { queue, name: name.to_owned() }))
    }
}

struct SubscriptionSpec {
    queue: Arc<Queue>,
    name: String,
}

impl SinkSpec for SubscriptionSpec {
    fn describe(&self) -> String {
        format!("subscription to \"{}\"", self.queue.view)
    }

    fn target(&self) -> String {
        format!("subscription \"{}\"", self.name)
    }

    fn open(&self, _context: &SinkContext, _last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>> {
        *self.queue.state() = State::default();
        Ok(Box::new(SubscriptionSink { queue: self.queue.clone() }))
    }

    fn can_begin_anew(&self) -> bool {
        true
    }
}

struct SubscriptionSink {
    queue: Arc<Queue>,
}

impl Sink for SubscriptionSink {
    fn write(&mut self, updates: Vec<UpdateBatch>, upto: Epoch) -> Result<()> {
        self.queue.put(Change { epoch: upto, updates });
        Ok(())
    }

    fn stage(&mut self, _n: u64, _epoch: Epoch) -> Result<Option<Staged>> {
        Ok(None)
    }

    fn publish(&mut self, _n: u64, _staged: &Staged) -> Result<()> {
        Ok(())
    }

    fn figures(&self) -> SinkFigures {
        SinkFigures::default()
    }
}

impl Drop for SubscriptionSink {
    fn drop(&mut self) {
        self.queue.state().ended = true;
        self.queue.changed.notify_all();
    }
}

//! What the coordinator waits for: one place where everybody leaves news, and one thread that looks there.
//!
//! Bounded: of frontiers only the newest counts, one checkpoint is on its way at a time, and the first failure is the one
//! that ends the run. What sinks refuse is bounded by the epochs that they have taken.

use std::sync::Arc;
use std::time::Instant;

use catchment_contract::{Epoch, Error, Result, panics};

use super::sinking::Refused;
use crate::checkpoint::Manifest;
use crate::host::{Host, Monitor, Payload};

/// News for the coordinator.
#[derive(Default)]
pub(super) struct News {
    /// Whether there is something that the coordinator has not looked at.
    rang: bool,
    /// All epochs up to this one are complete on all workers.
    pub complete: Epoch,
    /// Workers that have ended, their inputs being closed.
    over: usize,
    /// The checkpoint that was on its way is published.
    pub commit: Option<Manifest>,
    /// What sinks could not write, in the order in which they met it.
    pub refused: Vec<Refused>,
    /// Why the run cannot go on.
    pub failure: Option<Error>,
}

/// Where news is left. Clones are the same board.
#[derive(Clone)]
pub(super) struct Board {
    news: Arc<Monitor<News>>,
    host: Host,
}

impl Board {
    pub fn new(host: &Host) -> Self {
        Board { news: Arc::new(Monitor::new(host, News::default())), host: host.clone() }
    }

    /// Whose threads are started.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Leaves news, and wakes the coordinator.
    pub fn post(&self, change: impl FnOnce(&mut News)) {
        self.news.update(|news| {
            change(news);
            news.rang = true;
        });
    }

    /// Something has changed that the coordinator can see elsewhere.
    pub fn ring(&self) {
        self.post(|_| ());
    }

    /// A worker knows that all epochs up to this one are complete, or, for `None`, all that there will ever be.
    pub fn complete(&self, upto: Option<Epoch>) {
        self.post(|news| match upto {
            Some(epoch) => news.complete = news.complete.max(epoch),
            None => news.over += 1,
        });
    }

    /// Waits until all workers have ended.
    ///
    /// # Errors
    /// Why the run cannot go on, if it cannot.
    pub fn await_workers(&self, peers: usize) -> Result<()> {
        self.news.wait(|news| match news.failure.take() {
            Some(error) => Some(Err(error)),
            None => (news.over >= peers).then_some(Ok(())),
        })
    }

    /// The run cannot go on.
    pub fn fail(&self, error: Error) {
        self.post(|news| {
            news.failure.get_or_insert(error);
        });
    }

    /// Takes what is there.
    pub fn look<R>(&self, take: impl FnOnce(&mut News) -> R) -> R {
        self.news.with(take)
    }

    /// Waits for news, or until `deadline`.
    pub fn wait(&self, deadline: Instant) {
        self.news.wait_until(Some(deadline), |news| std::mem::take(&mut news.rang).then_some(()));
    }

    /// Starts a thread of the run. If it panics, the run ends with an error that names it.
    ///
    /// # Errors
    /// If the system has no room for another thread.
    pub fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
        let (board, label) = (self.clone(), name.to_owned());
        self.host.spawn(name, body, move |payload| board.fail(panicked(&label, payload)))
    }
}

/// Why a thread of ours has unwound: with an error, where it met one that it could not return, or by a panic.
pub(super) fn panicked(thread: &str, payload: Payload) -> Error {
    let payload = match payload.downcast::<Error>() {
        Ok(error) => return *error,
        Err(payload) => payload,
    };
    let message = panics::text(&*payload);
    Error::bug(format!("thread \"{thread}\" panicked: {message}"))
        .with_hint("what is committed stays, and the next run goes on from there; please report this as a bug")
}

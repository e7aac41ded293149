//! Who may keep how much in memory.
//!
//! A job has one [`Budget`]; each of its workers has a [`Memory`], and each operator there an [`Account`], in which it says what it
//! keeps. Where all of them together keep more than the budget, those with more than their part give back: an equal part of the
//! budget each, so that a small operator is left alone and a large one bears what is too much. (An operator that gets nothing is asked, too,
//! whenever an epoch passes.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::runs::Runs;
use crate::spill::SpillFolder;

/// What the state of a job may take in memory, and where the rest goes. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    bytes: usize,
    folder: SpillFolder,
    /// Bytes that all operators keep.
    kept: AtomicUsize,
    /// The number of operators that keep something.
    accounts: AtomicUsize,
}

impl Budget {
    /// `bytes` for all operators of all workers together; what is more goes to `folder`.
    pub fn new(bytes: usize, folder: SpillFolder) -> Self {
        Budget(Arc::new(Limits { bytes, folder, kept: AtomicUsize::new(0), accounts: AtomicUsize::new(0) }))
    }

    /// Bytes that all operators keep in memory.
    pub fn kept(&self) -> usize {
        self.0.kept.load(Ordering::Relaxed)
    }

    /// Bytes that were ever written to the spill folder.
    pub fn spilled(&self) -> u64 {
        self.0.folder.written()
    }

    /// The part of a worker.
    pub fn memory(&self) -> Memory {
        Memory { budget: Some(self.clone()) }
    }
}

/// What the operators of a worker may keep in memory. Clones are the same memory.
#[derive(Clone, Debug)]
pub struct Memory {
    budget: Option<Budget>,
}

impl Memory {
    /// As much as there is.
    pub fn unlimited() -> Self {
        Memory { budget: None }
    }

    /// An account for an operator, and where it keeps what it gives back; none if it may keep all.
    pub fn account(&self) -> Option<(Account, Runs)> {
        let budget = self.budget.as_ref()?;
        budget.0.accounts.fetch_add(1, Ordering::Relaxed);
        let account = Account { budget: budget.clone(), kept: 0 };
        Some((account, Runs::new(budget.0.folder.clone())))
    }
}

/// What an operator keeps in memory.
#[derive(Debug)]
pub struct Account {
    budget: Budget,
    kept: usize,
}

impl Account {
    /// Takes note that the operator keeps `bytes` now; how many of them it has to give back.
    #[must_use]
    pub fn set(&mut self, bytes: usize) -> usize {
        let Limits { bytes: limit, kept, accounts, .. } = &*self.budget.0;
        kept.fetch_add(bytes, Ordering::Relaxed);
        let all = kept.fetch_sub(self.kept, Ordering::Relaxed) - self.kept;
        self.kept = bytes;
        let part = limit / accounts.load(Ordering::Relaxed).max(1);
        all.saturating_sub(*limit).min(bytes.saturating_sub(part))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.0.kept.fetch_sub(self.kept, Ordering::Relaxed);
        self.budget.0.accounts.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use catchment_contract::Environment;

    use super::*;

    #[test]
    fn the_large_give_back_what_is_too_much() {
        let budget = Budget::new(1000, SpillFolder::new("nowhere", Environment::system()));
        let account = || budget.memory().account().unwrap().0;
        let (mut small, mut large, mut larger) = (account(), account(), account());
        assert_eq!(small.set(100), 0);
        assert_eq!(large.set(700), 0);
        assert_eq!(larger.set(900), 900 - 1000 / 3);
        assert_eq!(larger.set(400), 400 - 333);
        assert_eq!(large.set(500), 0);
        assert_eq!(small.set(100), 0, "it keeps less than its part");
        assert_eq!(budget.kept(), 1000);
        drop(large);
        assert_eq!(budget.kept(), 500);
    }
}

//! What is kept of a job's past, and what is removed.
//!
//! The last [`MANIFESTS`] manifests are kept, with the files that they name, so that a person can go back when the newest is
//! damaged. A manifest goes when a newer one takes its place, then the files that only it named: a crash between the two
//! leaves files that no manifest names, which the next run removes when it opens.
//!
//! Whatever is removed, the lease is asked first. A run that has been fenced removes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use catchment_contract::{ErrorKind, Fault, Lease, Result};

use super::log::CheckpointLog;
use super::manifest::Manifest;

/// Manifests that are kept.
pub(crate) const MANIFESTS: usize = 3;

/// Folders of files that manifests name.
const FOLDERS: [&str; 2] = ["state", "positions"];

/// Paths that manifests name, by the manifest's number.
pub(super) type Kept = BTreeMap<u64, BTreeSet<String>>;

fn names(manifest: &Manifest) -> BTreeSet<String> {
    manifest.files().map(|file| file.path.clone()).collect()
}

impl CheckpointLog {
    /// Takes note of `manifest`, which this run has just put, and of those before it.
    pub(super) fn keep(&self, manifest: &Manifest) -> Result<()> {
        let mut earlier: Vec<u64> = self.numbers()?.into_iter().filter(|number| *number < manifest.number).collect();
        earlier.sort_unstable_by(|a, b| b.cmp(a));
        for number in earlier.into_iter().take(MANIFESTS - 1) {
            match self.read(number)? {
                Some(Ok(earlier)) => self.note(&earlier),
                Some(Err(error)) if error.fault() == Fault::Data => {
                    tracing::warn!(number, error = error.chain(), "an earlier checkpoint cannot be read");
                }
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
        self.note(manifest);
        Ok(())
    }

    /// Takes note of what a manifest names.
    pub(super) fn note(&self, manifest: &Manifest) {
        self.kept().insert(manifest.number, names(manifest));
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes manifests but the last [`MANIFESTS`], and the files that only those named.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] if a newer run has begun; if the store fails, when nothing is lost.
    pub fn prune(&self) -> Result<()> {
        let mut numbers = self.numbers()?;
        if numbers.iter().any(|number| *number > self.number()) {
            return Err(self.taken());
        }
        numbers.sort_unstable();
        let old = numbers.len().saturating_sub(MANIFESTS);
        for number in &numbers[..old] {
            self.store.delete(&self.path(*number))?;
        }
        for path in self.forget(numbers.get(old).copied().unwrap_or(0)) {
            self.store.delete(&path)?;
        }
        Ok(())
    }

    /// Forgets the manifests before `first`; the files that only they named.
    fn forget(&self, first: u64) -> Vec<String> {
        let mut kept = self.kept();
        let later = kept.split_off(&first);
        let old = std::mem::replace(&mut *kept, later);
        let is_named = |path: &String| kept.values().any(|names| names.contains(path));
        let dead: BTreeSet<String> = old.into_values().flatten().filter(|path| !is_named(path)).collect();
        dead.into_iter().collect()
    }

    /// Removes files that no manifest names, and what killed writes have left, if `lease` allows it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn remove_left_over(&self, lease: &dyn Lease) -> Result<()> {
        let mut orphans = Vec::new();
        for folder in FOLDERS {
            orphans.extend(self.store.list(&format!("{}/{folder}", self.root()))?);
        }
        {
            let kept = self.kept();
            orphans.retain(|path| !kept.values().any(|names| names.contains(path)));
        }
        if !lease.may_remove()? {
            return Ok(());
        }
        for path in orphans {
            tracing::info!(path, "removing a file that no checkpoint names");
            self.store.delete(&path)?;
        }
        match self.store.remove_unfinished(&self.root()) {
            // What could not be removed now can be by the next run.
            Err(error) if error.kind() == ErrorKind::Denied => {
                tracing::warn!(error = error.chain(), "unfinished files stay");
                Ok(())
            }
            removed => removed,
        }
    }
}

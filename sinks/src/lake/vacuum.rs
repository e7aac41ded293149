//! Vacuum: removing files that no reader can need.
//!
//! A file may go when the newest version does not name it and no version of the last *retention* did (ten minutes, or as
//! the sink's `retention` says). A query reads the log once and then the files: one that takes longer than the retention
//! may find that a file of its version is gone. It fails then; it never reads something else.
//!
//! Since when a file has been unnamed is known from the entries of the log, which carry the job's clock ([`Removed`]). What
//! neither a version nor an entry names was left by a run that ended between staging and commit, or that was paused and
//! wrote on after it was fenced: an open removes it at once, once it has fenced the table; a running sink, which may come
//! across the files of a paused run, a retention after it has seen them first.

use std::collections::{BTreeMap, BTreeSet};

use catchment_contract::Result;
use object_store::path::Path;

use crate::lake::entry::FileEntry;
use crate::lake::removed::Removed;
use crate::lake::table::Table;
use crate::lake::writer::VECTORS;

/// Removed files that an open deletes if there are so many, so that a start with nothing new does not wait for what a long
/// run left: the rest goes in later rounds and opens.
const OPEN_DELETES: usize = 128;
/// Of more than that, an open deletes this part, so that short runs keep up with what they leave.
const OPEN_DELETES_PART: usize = 16;

/// What vacuum remembers between its rounds.
#[derive(Debug, Default)]
pub struct Vacuum {
    removed: Removed,
    /// Files that nothing names, with the time when they were seen first.
    strange: BTreeMap<Path, i64>,
}

/// An object in the table's folders, and its size.
pub type Stored = BTreeMap<Path, u64>;

/// The data files and deletion vectors that lie in the table's folders.
///
/// # Errors
/// If the store fails.
pub fn stored_objects(table: &Table) -> Result<Stored> {
    let mut stored = Stored::new();
    for folder in ["hot", "data", VECTORS] {
        let found = table.lake().list_objects(&format!("{}/{folder}", table.name()))?;
        stored.extend(found.into_iter().map(|object| (object.location, object.size)));
    }
    Ok(stored)
}

impl Vacuum {
    /// At open, after the table was fenced: removes what earlier runs left, and notes what is to be removed later. `stored`
    /// was there when the table was fenced, or later; `entries` are the newest version's.
    ///
    /// # Errors
    /// If the store fails, or the log is damaged.
    pub fn open(table: &Table, stored: Stored, entries: &[FileEntry], retention_ms: i64) -> Result<Vacuum> {
        let live = live_objects(table, entries)?;
        let unnamed: BTreeSet<Path> = stored.into_keys().filter(|path| !live.contains(path)).collect();
        if unnamed.is_empty() {
            return Ok(Vacuum { removed: Removed::nothing(table), strange: BTreeMap::new() });
        }
        let mut removed = Removed::load(table)?;
        removed.retain(&unnamed);
        if table.lease().may_remove()? {
            let oldest_ms = table.clock_ms() - retention_ms;
            let deletes = OPEN_DELETES.max(removed.before(oldest_ms).count() / OPEN_DELETES_PART);
            let strange = unnamed.iter().filter(|path| removed.since_ms(path).is_none());
            delete(table, strange.chain(removed.before(oldest_ms).take(deletes)).cloned().collect())?;
        }
        Ok(Vacuum { removed, strange: BTreeMap::new() })
    }

    /// In a running sink with nothing staged and unpublished, whose log has just been checkpointed: removes what no version
    /// has named for `retention_ms`. `unstaged` are the sink's own new files.
    ///
    /// # Errors
    /// If the store fails, or the log is damaged.
    pub fn round(&mut self, table: &Table, unstaged: &BTreeSet<Path>, retention_ms: i64) -> Result<()> {
        self.removed.catch_up(table)?;
        let stored = stored_objects(table)?;
        let live = live_objects(table, &table.entries()?)?;
        let is_unnamed = |path: &Path| !live.contains(path) && !unstaged.contains(path);
        let mut unnamed: BTreeSet<Path> = stored.into_keys().filter(is_unnamed).collect();
        let now_ms = table.clock_ms();
        let strange = unnamed.iter().filter(|path| self.removed.since_ms(path).is_none());
        self.strange = strange.map(|path| (path.clone(), *self.strange.get(path).unwrap_or(&now_ms))).collect();
        if table.lease().may_remove()? {
            let since_ms = |path: &Path| self.removed.since_ms(path).or_else(|| self.strange.get(path).copied());
            let is_old = |path: &Path| since_ms(path).is_some_and(|since_ms| since_ms < now_ms - retention_ms);
            let (old, kept) = unnamed.into_iter().partition(is_old);
            unnamed = kept;
            delete(table, old)?;
        }
        self.removed.retain(&unnamed);
        self.strange.retain(|path, _| unnamed.contains(path));
        Ok(())
    }

    /// Writes down for later runs which files were removed: at open or after a round, when the newest version is this run's.
    ///
    /// # Errors
    /// If the store fails.
    pub fn write_down(&self, table: &Table) -> Result<()> {
        self.removed.write(table)
    }
}

fn delete(table: &Table, objects: BTreeSet<Path>) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    tracing::debug!(table = table.name(), files = objects.len(), "removing files that no version names");
    table.lake().delete_objects(objects)
}

/// The objects that data files `entries` are made of: they and their deletion vectors.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if a path is none.
pub fn live_objects(table: &Table, entries: &[FileEntry]) -> Result<BTreeSet<Path>> {
    let mut objects = BTreeSet::new();
    for entry in entries {
        objects.insert(table.object(&entry.path)?);
        if let Some(vector) = &entry.vector {
            objects.extend(table.vector_object(vector)?);
        }
    }
    Ok(objects)
}

//! Vacuum: removing files that no reader can need.
//!
//! A file may go when the newest version does not name it and no version of the last *retention* did (ten minutes, or as
//! the sink's `retention` says). A query reads the log once and then the files: one that takes longer than the retention
//! may find that a file of its version is gone. It fails then; it never reads something else.
//!
//! Whether a file is old enough is known from the entries of the log, which carry the job's clock, or was seen: a file that
//! a running sink sees unnamed for the first time is removed a retention later. Files that neither a version nor an entry
//! names were left by a run that ended between staging and commit: an open removes them, once it has fenced the table.

use std::collections::{BTreeMap, BTreeSet};

use catchment_contract::Result;
use object_store::path::Path;

use crate::lake::entry::FileEntry;
use crate::lake::log::{Entry, log_files};
use crate::lake::table::Table;
use crate::lake::writer::VECTORS;

/// What vacuum remembers between its rounds.
#[derive(Debug, Default)]
pub struct Vacuum {
    /// Files that no version names, with the time since when that is known.
    unnamed: BTreeMap<Path, i64>,
}

/// An object below the table's folders, and its size.
type Stored = BTreeMap<Path, u64>;

/// The data files and deletion vectors that lie in the table's folders.
///
/// # Errors
/// If the store fails.
pub fn stored_objects(table: &Table) -> Result<Stored> {
    let root = table.lake().full_path(table.name());
    let mut stored = Stored::new();
    for object in table.lake().list(table.name())? {
        let path = table.lake().listed_path(&object.path);
        let folder = path.prefix_match(&root).and_then(|mut parts| parts.next().map(|part| part.as_ref().to_owned()));
        if folder.is_some_and(|folder| matches!(folder.as_str(), "hot" | "data" | VECTORS)) {
            stored.insert(path, object.bytes);
        }
    }
    Ok(stored)
}

impl Vacuum {
    /// At open, after the table was fenced: removes what earlier runs left, and notes what is to be removed later.
    ///
    /// # Errors
    /// If the store fails, or the log is damaged.
    pub fn open(&mut self, table: &Table, stored: Stored, entries: &[FileEntry], retention_ms: i64) -> Result<()> {
        let live = live_objects(table, entries)?;
        let mut strange: BTreeSet<Path> = stored.into_keys().filter(|path| !live.contains(path)).collect();
        if strange.is_empty() {
            return Ok(());
        }
        let log = log_files(table)?;
        let paths: Vec<&str> = log.iter().filter(|file| file.is_entry).map(|file| file.path.as_str()).collect();
        let oldest_ms = table.clock_ms() - retention_ms;
        for bytes in table.lake().get_all(&paths)? {
            let entry = Entry::parse(&bytes, table.name())?;
            if entry.clock_ms >= oldest_ms {
                for object in entry.objects(table)? {
                    if strange.remove(&object) {
                        self.unnamed.insert(object, entry.clock_ms);
                    }
                }
            }
        }
        if strange.is_empty() || !table.lease().may_remove()? {
            return Ok(());
        }
        delete(table, strange)
    }

    /// In a running sink with nothing staged and unpublished: removes what no version has named for `retention_ms`.
    /// `unstaged` are the sink's own new files.
    ///
    /// # Errors
    /// If the store fails, or the log is damaged.
    pub fn round(&mut self, table: &Table, unstaged: &BTreeSet<Path>, retention_ms: i64) -> Result<()> {
        let stored = stored_objects(table)?;
        let live = live_objects(table, &table.entries()?)?;
        let now_ms = table.clock_ms();
        let strange = stored.into_keys().filter(|path| !live.contains(path) && !unstaged.contains(path));
        self.unnamed = strange.map(|path| (path.clone(), *self.unnamed.get(&path).unwrap_or(&now_ms))).collect();
        let old = |since_ms: &i64| *since_ms < now_ms - retention_ms;
        let old: BTreeSet<Path> =
            self.unnamed.iter().filter(|(_, since)| old(since)).map(|(path, _)| path.clone()).collect();
        if old.is_empty() || !table.lease().may_remove()? {
            return Ok(());
        }
        self.unnamed.retain(|path, _| !old.contains(path));
        delete(table, old)
    }
}

fn delete(table: &Table, objects: BTreeSet<Path>) -> Result<()> {
    tracing::debug!(table = table.name(), files = objects.len(), "removing files that no version names");
    objects.iter().try_for_each(|object| table.lake().delete_object(object))
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

//! Which files the log's entries name and no version names any more, and since when.
//!
//! A checkpoint of the log holds the files of its version and none that were removed. Which were, and when by the job's
//! clock, is in the entries: thousands of them for a job that checkpoints often. So whoever checkpoints the log writes
//! what it knows beside that, to `_delta_log/_removed`; the next run reads this and the entries after it, a hundred or so.
//!
//! `_removed` is a JSON object, replaced as a whole:
//!
//! | field | meaning |
//! |---|---|
//! | `version` | the entries up to this version are in it |
//! | `run` | the run that wrote that version's entry, 32 hexadecimal digits |
//! | `removed` | each file, below the lake, that lay in the table and that the version did not name: when the last entry that names it was made, in milliseconds since 1970 by the job's clock |
//!
//! It is a copy of what the entries say. If there is none, or the log has no such entry of that run (it was cleaned, repaired
//! or put back), all entries are read. A run that was paused may replace it by an older one: more entries are read then.

use std::collections::{BTreeMap, BTreeSet};

use catchment_contract::{Error, Result};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::lake::log::{Entry, entry_path, log_files};
use crate::lake::table::Table;

/// See the module's table.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u64,
    run: String,
    removed: BTreeMap<String, i64>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Removed {
    /// Entries up to this version are known.
    version: u64,
    since_ms: BTreeMap<Path, i64>,
}

impl Removed {
    /// Of a table in whose folders nothing lies that its newest version does not name.
    pub fn nothing(table: &Table) -> Self {
        Removed { version: table.version(), since_ms: BTreeMap::new() }
    }

    /// What the log of `table` says up to its newest version.
    ///
    /// # Errors
    /// If the store fails, or the log is damaged.
    pub fn load(table: &Table) -> Result<Self> {
        if let Some(mut removed) = Self::recorded(table)? {
            removed.catch_up(table)?;
            return Ok(removed);
        }
        let mut removed = Removed::nothing(table);
        let entries = log_files(table)?.into_iter().filter(|file| file.is_entry);
        removed.read(table, entries.map(|entry| entry.version))?;
        Ok(removed)
    }

    /// What an earlier run wrote down, if it is of this log.
    fn recorded(table: &Table) -> Result<Option<Self>> {
        let record = table.lake().get(&record_path(table.name()))?;
        let Some(record) = record.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok()) else {
            return Ok(None);
        };
        let entry = table.lake().get(&entry_path(table.name(), record.version))?;
        let entry = entry.map(|bytes| Entry::parse(&bytes, table.name())).transpose()?;
        if entry.and_then(|entry| entry.run).is_none_or(|run| run != record.run) {
            return Ok(None);
        }
        let object = |(path, since_ms): (String, i64)| (table.lake().listed_path(&path), since_ms);
        Ok(Some(Removed { version: record.version, since_ms: record.removed.into_iter().map(object).collect() }))
    }

    /// Reads the entries since the last time.
    ///
    /// # Errors
    /// If the store fails, or the log is damaged.
    pub fn catch_up(&mut self, table: &Table) -> Result<()> {
        self.read(table, self.version + 1..=table.version())?;
        self.version = table.version();
        Ok(())
    }

    fn read(&mut self, table: &Table, versions: impl Iterator<Item = u64>) -> Result<()> {
        let paths: Vec<String> = versions.map(|version| entry_path(table.name(), version)).collect();
        for bytes in table.lake().get_all(&paths)? {
            let entry = Entry::parse(&bytes, table.name())?;
            self.since_ms.extend(entry.objects(table)?.into_iter().map(|object| (object, entry.clock_ms)));
        }
        Ok(())
    }

    /// When the last entry was made that names `object`; `None` if none does.
    pub fn since_ms(&self, object: &Path) -> Option<i64> {
        self.since_ms.get(object).copied()
    }

    /// The files that no entry names since a time.
    pub fn before(&self, ms: i64) -> impl Iterator<Item = &Path> {
        self.since_ms.iter().filter(move |(_, since_ms)| **since_ms < ms).map(|(object, _)| object)
    }

    /// Forgets all but `objects`.
    pub fn retain(&mut self, objects: &BTreeSet<Path>) {
        self.since_ms.retain(|object, _| objects.contains(object));
    }

    /// Writes down what is known, for the next run: the newest version is this run's own.
    ///
    /// # Errors
    /// If the store fails.
    pub fn write(&self, table: &Table) -> Result<()> {
        let path = |(object, since_ms): (&Path, &i64)| (table.lake().below(object), *since_ms);
        let removed = self.since_ms.iter().map(path).collect();
        let record = Record { version: self.version, run: table.run().to_owned(), removed };
        let bytes = serde_json::to_vec(&record);
        let bytes = bytes.map_err(|error| Error::bug("removed files have no JSON form").with_source(error))?;
        table.lake().put(&record_path(table.name()), bytes)
    }
}

/// The path below the lake of what is written down of `table`.
pub fn record_path(table: &str) -> String {
    format!("{table}/_delta_log/_removed")
}

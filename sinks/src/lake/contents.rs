//! A table's data files and the index of their rows: what the sink knows of its table.
//!
//! **Invariant.** Every live row of every file that is not in `unindexed` is in the index at its place, once, and nothing
//! else is; the index is built of a file's identities when the first retraction asks for it. All that may change either
//! of the two is in this file.
//!
//! This is the state as of the last stage, which may be ahead of the table's newest version by one commit. It is never
//! wrong by a crash: an open reads it from the log.

use std::collections::BTreeSet;

use catchment_contract::{Error, Result};

use crate::lake::columns::PartitionValues;
use crate::lake::entry::FileEntry;
use crate::lake::index::{Identities, Location, RowIndex};

/// A data file that the sink wrote or found.
#[derive(Debug)]
pub struct DataFile {
    /// Its path as in the log.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub modified_ms: i64,
    /// Rows in it, deleted ones too.
    pub rows: u32,
    /// Its partition.
    pub partition: PartitionValues,
    /// One bit a row that is deleted; empty if none is.
    deleted: Vec<u64>,
    /// How many are.
    pub deleted_rows: u32,
    /// The identities of its rows, once they are known.
    pub identities: Option<Vec<u128>>,
}

impl DataFile {
    /// The file of an entry of the log, of which the rows at `deleted` are hidden.
    ///
    /// # Errors
    /// If it has more rows than we count.
    pub fn new(entry: FileEntry, deleted: &[u64], identities: Option<Vec<u128>>) -> Result<Self> {
        let FileEntry { path, bytes, modified_ms, rows, partition, vector: _ } = entry;
        let rows = u32::try_from(rows)
            .map_err(|error| Error::data(format!("file \"{path}\" has too many rows")).with_source(error))?;
        let (deleted_bits, deleted_rows) = (Vec::new(), 0);
        let mut file =
            DataFile { path, bytes, modified_ms, rows, partition, deleted: deleted_bits, deleted_rows, identities };
        for row in deleted.iter().filter_map(|row| u32::try_from(*row).ok()).filter(|row| *row < rows) {
            file.delete(row);
        }
        Ok(file)
    }

    /// Marks a row as deleted.
    pub fn delete(&mut self, row: u32) {
        self.deleted.resize((self.rows as usize).div_ceil(64), 0);
        let bit = 1 << (row % 64);
        let word = &mut self.deleted[row as usize / 64];
        self.deleted_rows += u32::from(*word & bit == 0);
        *word |= bit;
    }

    /// Whether a row is deleted.
    pub fn is_deleted(&self, row: u32) -> bool {
        self.deleted.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Positions of the deleted rows, ascending.
    pub fn deleted_positions(&self) -> impl Iterator<Item = u64> + '_ {
        let bits = |word: u64| (0..64).filter(move |bit| word >> bit & 1 == 1);
        let words = (0..).step_by(64).zip(&self.deleted).filter(|(_, word)| **word != 0);
        words.flat_map(move |(first, word)| bits(*word).map(move |bit| first + bit))
    }

    /// Rows that readers see.
    pub fn live_rows(&self) -> u32 {
        self.rows - self.deleted_rows
    }

    /// Whether it may be compacted.
    pub fn is_hot(&self) -> bool {
        self.path.starts_with("hot/")
    }
}

/// The data files by number.
#[derive(Debug, Default)]
struct DataFiles {
    files: Vec<Option<Box<DataFile>>>,
    /// Numbers of files that are gone: nothing names them any more, so they are given out again.
    free: Vec<u32>,
}

impl DataFiles {
    fn get(&self, number: u32) -> Option<&DataFile> {
        self.files.get(number as usize)?.as_deref()
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut DataFile> {
        self.files.get_mut(number as usize)?.as_deref_mut()
    }
}

impl Identities for DataFiles {
    fn identity(&self, location: Location) -> u128 {
        let identities = self.get(location.file()).and_then(|file| file.identities.as_ref());
        identities.map_or(0, |identities| identities[location.row() as usize])
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Contents {
    files: DataFiles,
    index: RowIndex,
    /// Files by number that the index does not know yet.
    unindexed: BTreeSet<u32>,
}

impl Contents {
    /// Adds a file; returns its number.
    pub fn add(&mut self, file: DataFile) -> u32 {
        let number = match self.files.free.pop() {
            Some(number) => number,
            None => {
                self.files.files.push(None);
                self.files.files.len() as u32 - 1
            }
        };
        self.files.files[number as usize] = Some(Box::new(file));
        self.unindexed.insert(number);
        number
    }

    /// The file with a number.
    pub fn get(&self, number: u32) -> Option<&DataFile> {
        self.files.get(number)
    }

    /// All files with their numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &DataFile)> {
        (0..).zip(&self.files.files).filter_map(|(number, file)| Some((number, file.as_deref()?)))
    }

    /// How many files there are, and the rows that readers see in all of them.
    pub fn counts(&self) -> (u64, u64) {
        self.iter().fold((0, 0), |(files, rows), (_, file)| (files + 1, rows + u64::from(file.live_rows())))
    }

    /// Brings the index up to date; `read` reads the identities of a file's rows, deleted ones too.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn build_index(&mut self, mut read: impl FnMut(&DataFile) -> Result<Vec<u128>>) -> Result<()> {
        while let Some(number) = self.unindexed.first().copied() {
            if let Some(file) = self.files.get_mut(number)
                && file.identities.is_none()
            {
                file.identities = Some(read(file)?);
            }
            if let Some(file) = self.files.get(number)
                && let Some(identities) = &file.identities
            {
                self.index.insert_file(number, identities, |row| file.is_deleted(row), &self.files);
            }
            self.unindexed.remove(&number);
        }
        Ok(())
    }

    /// Deletes one row with `identity` from its file, and returns the file's number; `None` if no file holds one.
    /// [`Contents::build_index`] comes first.
    pub fn hide(&mut self, identity: u128) -> Option<u32> {
        let location = self.index.take(identity, &self.files)?;
        if let Some(file) = self.files.get_mut(location.file()) {
            file.delete(location.row());
        }
        Some(location.file())
    }

    /// Takes a file out, and its rows out of the index.
    pub fn remove(&mut self, number: u32) -> Option<DataFile> {
        if !self.unindexed.remove(&number) {
            self.unindex(number);
        }
        let file = self.files.files.get_mut(number as usize)?.take()?;
        // If the index was thrown away, the file is among those that it would be built of.
        self.unindexed.remove(&number);
        self.files.free.push(number);
        Some(*file)
    }

    fn unindex(&mut self, number: u32) {
        let Some(file) = self.files.get(number) else {
            return;
        };
        let identities = file.identities.as_deref().unwrap_or_default();
        let mut live = (0..file.rows).filter(|row| !file.is_deleted(*row));
        let all = live.all(|row| match identities.get(row as usize) {
            Some(identity) => self.index.remove(*identity, Location::new(number, row), &self.files),
            None => true,
        });
        if !all {
            self.index.clear();
            self.unindexed = self.iter().map(|(number, _)| number).collect();
        }
    }
}

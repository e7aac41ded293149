//! Whether a table is what the job's last checkpoint left.
//!
//! A table's folder may be removed, replaced by an older copy, or lose files of its log or its data. The staged commit in
//! the job's last checkpoint says what must be there; what is less is refused before anything is written, with what is
//! there and what is missing. A commit that is staged and not published is no loss: it is published now.

use catchment_contract::{Error, Result};

use crate::lake::entry::{FileEntry, Totals};
use crate::lake::kernel::damaged;
use crate::lake::staged::StagedCommit;
use crate::lake::table::Table;
use crate::lake::vacuum::{Stored, stored_objects};

impl StagedCommit {
    /// Checks that `table`, whose newest version holds `entries`, has published this commit, or the one before it and
    /// can publish this. Returns what lies in its folders.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if commits or files are missing.
    pub fn check_against(&self, table: &Table, entries: &[FileEntry]) -> Result<Stored> {
        if table.id() != self.table_id {
            return Err(self.lost(table, entries, "another table lies there"));
        }
        let published = table.published();
        if published.is_some_and(|number| number > self.checkpoint) {
            let number = published.unwrap_or_default();
            return Err(Error::data(format!(
                "table \"{}\" is at checkpoint {number} of job \"{}\", and the job's own last one is {}",
                self.table, table.job, self.checkpoint
            ))
            .with_hint(
                "the job's checkpoints in _catchment were lost or put back: put them back as they were, or add --reset \
                 once to load everything anew",
            ));
        }
        if published == Some(self.checkpoint) {
            if Totals::of(entries).rows != self.rows {
                return Err(self.lost(table, entries, "commits are missing"));
            }
        } else if published != self.previous || table.version() < self.version {
            return Err(self.lost(table, entries, "commits are missing"));
        }
        self.check_files(table, entries)
    }

    /// Every file of the version, and every one that is to be published, is there with its size.
    fn check_files(&self, table: &Table, entries: &[FileEntry]) -> Result<Stored> {
        let stored = stored_objects(table)?;
        let staged = if table.published() == Some(self.checkpoint) { &[][..] } else { &self.adds[..] };
        let added: Vec<FileEntry> = staged.iter().map(|added| added.entry()).collect();
        for entry in entries.iter().chain(&added) {
            let broken = |why: String| damaged(&self.table, Error::data(format!("its file \"{}\" {why}", entry.path)));
            match stored.get(&table.object(&entry.path)?) {
                None => return Err(broken(format!("is gone, with {} rows", entry.live_rows()))),
                Some(bytes) if *bytes != entry.bytes => {
                    return Err(broken(format!("has {bytes} bytes, and was written with {}", entry.bytes)));
                }
                Some(_) => {}
            }
            let vector = entry.vector.as_ref().map(|vector| table.vector_object(vector)).transpose()?.flatten();
            if vector.is_some_and(|object| !stored.contains_key(&object)) {
                return Err(broken("lost its deletion vector".to_owned()));
            }
        }
        Ok(stored)
    }

    fn lost(&self, table: &Table, entries: &[FileEntry], why: &str) -> Error {
        let there = Totals::of(entries);
        let number = table.published().map_or("no checkpoint".to_owned(), |number| format!("checkpoint {number}"));
        Error::data(format!(
            "table \"{}\" is not what job \"{}\" left: {why}; there is {number} at version {} with {} rows in {} files, and \
             the job's checkpoint {} left {} rows in {} files at version {} or later",
            self.table,
            table.job,
            table.version(),
            there.rows,
            there.files,
            self.checkpoint,
            self.rows,
            self.files,
            self.version
        ))
        .with_hint(self.way_out())
    }

    /// The error for a table that is gone.
    pub fn gone(&self, cause: Error) -> Error {
        Error::data(format!(
            "table \"{}\" is gone: the job's checkpoint {} left {} rows in {} files there",
            self.table, self.checkpoint, self.rows, self.files
        ))
        .with_source(cause)
        .with_hint(self.way_out())
    }

    fn way_out(&self) -> String {
        format!(
            "put the table's folder back as it was, or run catchment lake repair --table {}, which has it written anew from \
             the job's state",
            self.table
        )
    }
}

//! Taking rows back out of files.
//!
//! The row index says where a row lies; its bit in the file's deletion vector hides it. A file that lost too many rows,
//! or that no commit holds yet (the log cannot add a file together with a deletion vector), is taken apart instead: the
//! rows that are left go back to the held ones and are written anew with them.

use std::collections::BTreeSet;

use catchment_contract::{Error, Result};
use delta_kernel::actions::deletion_vector_writer::{KernelDeletionVector, StreamingDeletionVectorWriter};
use object_store::path::Path;

use crate::lake::files::{read_identities, read_live};
use crate::lake::held::Held;
use crate::lake::index::Location;
use crate::lake::sink::LakeSink;
use crate::lake::staged::{NewVector, Vector};
use crate::lake::table::kernel_error;
use crate::lake::upkeep;

/// A file of which this part of rows is deleted (in percent) is written anew.
const REWRITE_PERCENT: u64 = 30;

impl LakeSink {
    /// Takes the retractions that are left out of the files. Returns the files that need another deletion vector.
    ///
    /// # Errors
    /// If a file cannot be read, or the table does not hold a row that is taken back.
    pub(super) fn retract(&mut self) -> Result<Vec<u32>> {
        let mut vectors = Vec::new();
        for number in self.hide_rows()? {
            let Some(file) = self.files.get(number) else {
                continue;
            };
            let too_many = u64::from(file.deleted_rows) * 100 > u64::from(file.rows) * REWRITE_PERCENT;
            if too_many || self.written.contains_key(&number) {
                self.take_apart(number)?;
            } else {
                vectors.push(number);
            }
        }
        Ok(vectors)
    }

    /// Marks rows as deleted; returns the files that hold them.
    fn hide_rows(&mut self) -> Result<BTreeSet<u32>> {
        let retractions = self.pending.take_retractions();
        let mut touched = BTreeSet::new();
        if retractions.is_empty() {
            return Ok(touched);
        }
        self.build_index()?;
        for (identity, count) in retractions {
            for _ in 0..count {
                let Some(location) = self.index.take(identity, &self.files) else {
                    return Err(Error::bug(format!(
                        "a row was taken back that table \"{}\" does not hold",
                        self.table.name()
                    ))
                    .with_hint("add --reset once to load everything anew"));
                };
                if let Some(file) = self.files.get_mut(location.file()) {
                    file.delete(location.row());
                }
                touched.insert(location.file());
            }
        }
        Ok(touched)
    }

    /// Brings the index up to date with the files.
    fn build_index(&mut self) -> Result<()> {
        for number in std::mem::take(&mut self.unindexed) {
            let Some(file) = self.files.get_mut(number) else {
                continue;
            };
            if file.identities.is_none() {
                file.identities = Some(read_identities(&self.table, &self.spec, file)?);
            }
            if let Some(file) = self.files.get(number)
                && let Some(identities) = &file.identities
            {
                self.index.insert_file(number, identities, |row| file.is_deleted(row), &self.files);
            }
        }
        Ok(())
    }

    /// Puts the live rows of file `number` back into memory and forgets the file; the next flush writes them anew.
    fn take_apart(&mut self, number: u32) -> Result<()> {
        let Some(file) = self.files.get(number) else {
            return Ok(());
        };
        let mut rows = Vec::new();
        if file.live_rows() > 0 {
            read_live(&self.table, &self.spec, file, |columns, count| {
                rows.push(Held::new(columns, count, true));
                Ok(())
            })?;
        }
        self.forget(number);
        for part in rows {
            self.pending.add(part);
            self.flush_if_full()?;
        }
        Ok(())
    }

    /// Removes a file from all that the sink remembers, and from the table with the next commit.
    fn forget(&mut self, number: u32) {
        self.unindex(number);
        self.unindexed.remove(&number);
        if let Some(file) = self.files.remove(number) {
            // A file that no commit holds yet is removed as garbage at the next open.
            if self.written.remove(&number).is_none() {
                self.removes.push(file.path);
            }
        }
    }

    pub(super) fn unindex(&mut self, number: u32) {
        if self.unindexed.contains(&number) {
            return;
        }
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
            self.unindexed = self.files.iter().map(|(number, _)| number).collect();
        }
    }

    /// Writes one file with the deletion vectors of `touched`.
    pub(super) fn write_vectors(&mut self, touched: &[u32]) -> Result<Vec<NewVector>> {
        if touched.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |error| kernel_error("write deletion vectors", error);
        // Any partition's context will do: deletion vectors lie beside the partitions.
        let path = upkeep::vector_path(self.writer.state(), &self.spec)?;
        let mut bytes = Vec::new();
        let mut writer = StreamingDeletionVectorWriter::new(&mut bytes);
        let mut vectors = Vec::with_capacity(touched.len());
        for file in touched.iter().filter_map(|number| self.files.get(*number)) {
            let mut vector = KernelDeletionVector::new();
            vector.add_deleted_row_indexes(file.deleted_positions());
            let descriptor = writer.write_deletion_vector(vector).map_err(failed)?.to_descriptor(&path);
            vectors.push(NewVector { path: file.path.clone(), vector: Vector::of(&descriptor) });
        }
        writer.finalize().map_err(failed)?;
        let url = path.absolute_path().map_err(failed)?;
        let object = Path::from_url_path(url.path())
            .map_err(|error| Error::bug("a deletion vector has no path").with_source(error))?;
        self.table.lake().put_object(&object, bytes.into())?;
        self.unsynced.push(object);
        Ok(vectors)
    }
}

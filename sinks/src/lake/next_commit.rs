//! What the next commit of a table will be.
//!
//! Between commits updates are consolidated in memory ([`Pending`]); rows beyond a limit go to data files at once. To
//! *stage* is to write all that is left to files, to find the rows that were taken back, to write the deletion vectors
//! that hide them, and to bring it all to disk; what comes out is a [`Draft`], a value.
//!
//! A file that lost too many rows, or that no commit holds yet (the log cannot add a file together with a deletion
//! vector), is taken apart instead: the rows that are left go back to the held ones and are written anew with them.

use std::collections::{BTreeMap, BTreeSet};

use catchment_contract::{Error, Result};
use delta_kernel::actions::deletion_vector_writer::{KernelDeletionVector, StreamingDeletionVectorWriter};
use object_store::path::Path;

use crate::lake::contents::{Contents, DataFile};
use crate::lake::entry::FileEntry;
use crate::lake::held::{Held, Pending};
use crate::lake::kernel::kernel_error;
use crate::lake::reader::{read_identities, read_live};
use crate::lake::spec::LakeSpec;
use crate::lake::staged::{AddedFile, NewVector, Vector};
use crate::lake::table::Table;
use crate::lake::writer::FileWriter;

/// A file of which this part of rows is deleted (in percent) is written anew.
const REWRITE_PERCENT: u64 = 30;

/// Files that a stage made and that no commit holds.
#[derive(Debug, Default)]
pub struct Draft {
    /// Data files to add.
    pub adds: Vec<AddedFile>,
    /// Paths of data files to remove.
    pub removes: Vec<String>,
    /// Data files that get another deletion vector.
    pub vectors: Vec<NewVector>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct NextCommit {
    /// What the table holds as of the last stage.
    pub contents: Contents,
    /// Updates since then that are in no file.
    pub pending: Pending,
    writer: FileWriter,
    held_bytes_max: usize,
    /// Files written since the last stage, by number, with what the log will say of them.
    written: BTreeMap<u32, AddedFile>,
    /// Objects written since the last stage that may not be on disk.
    unsynced: Vec<Path>,
    /// Files that the next commit removes.
    removes: Vec<String>,
}

impl NextCommit {
    /// For a table that holds nothing. Rows of more than `held_bytes_max` bytes go to files.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub fn new(table: &Table, held_bytes_max: usize) -> Result<Self> {
        Ok(NextCommit {
            contents: Contents::default(),
            pending: Pending::default(),
            writer: FileWriter::new(table)?,
            held_bytes_max,
            written: BTreeMap::new(),
            unsynced: Vec::new(),
            removes: Vec::new(),
        })
    }

    /// How many bytes of rows are held in memory.
    pub fn held_bytes_max(&self) -> usize {
        self.held_bytes_max
    }

    /// From how many bytes of rows on a file is large enough to be left alone: half of what is held.
    pub fn sealed_bytes(&self) -> usize {
        self.held_bytes_max / 2
    }

    /// Takes in the files that the table holds.
    ///
    /// # Errors
    /// If a deletion vector cannot be read.
    pub fn load(&mut self, table: &Table, entries: Vec<FileEntry>) -> Result<()> {
        for entry in entries {
            let hidden = table.hidden_rows(&entry)?;
            self.contents.add(DataFile::new(entry, &hidden, None)?);
        }
        Ok(())
    }

    /// Begins anew: the next commit removes the files at `paths`.
    pub fn replace(&mut self, paths: Vec<String>) {
        self.removes = paths;
    }

    /// The writer of data files.
    pub fn writer(&mut self) -> &mut FileWriter {
        &mut self.writer
    }

    /// Whether file `number` is in no commit yet.
    pub fn is_unpublished(&self, number: u32) -> bool {
        self.written.contains_key(&number)
    }

    /// Objects that were written and are in no stage yet.
    pub fn unstaged(&self) -> BTreeSet<Path> {
        self.unsynced.iter().cloned().collect()
    }

    /// Writes the held rows to files if they are too many to hold.
    ///
    /// # Errors
    /// If the store fails.
    pub fn flush_if_full(&mut self, table: &Table, spec: &LakeSpec) -> Result<()> {
        if self.pending.bytes() > self.held_bytes_max { self.flush(table, spec) } else { Ok(()) }
    }

    fn flush(&mut self, table: &Table, spec: &LakeSpec) -> Result<()> {
        self.pending.settle()?;
        let sealed_bytes = self.sealed_bytes();
        for written in self.writer.write(table, spec, self.pending.take_rows(), sealed_bytes)? {
            self.unsynced.push(written.object.clone());
            let (added, file) = written.into_parts()?;
            let number = self.contents.add(file);
            self.written.insert(number, added);
        }
        Ok(())
    }

    /// Makes everything durable that is pending, and says what is to be committed.
    ///
    /// # Errors
    /// If the store fails, or the table does not hold a row that is taken back.
    pub fn stage(&mut self, table: &Table, spec: &LakeSpec) -> Result<Draft> {
        self.pending.settle()?;
        let hidden = self.retract(table, spec)?;
        self.flush(table, spec)?;
        let vectors = self.write_vectors(table, spec, &hidden)?;
        table.lake().sync(&std::mem::take(&mut self.unsynced))?;
        let adds = std::mem::take(&mut self.written).into_values().collect();
        Ok(Draft { adds, removes: std::mem::take(&mut self.removes), vectors })
    }

    /// Takes the retractions that are left out of the files. Returns the files that need another deletion vector.
    fn retract(&mut self, table: &Table, spec: &LakeSpec) -> Result<Vec<u32>> {
        let mut vectors = Vec::new();
        for number in self.hide_rows(table, spec)? {
            let Some(file) = self.contents.get(number) else {
                continue;
            };
            let too_many = u64::from(file.deleted_rows) * 100 > u64::from(file.rows) * REWRITE_PERCENT;
            if too_many || self.written.contains_key(&number) {
                self.take_apart(table, spec, number)?;
            } else {
                vectors.push(number);
            }
        }
        Ok(vectors)
    }

    /// Marks rows as deleted; returns the files that hold them.
    fn hide_rows(&mut self, table: &Table, spec: &LakeSpec) -> Result<BTreeSet<u32>> {
        let retractions = self.pending.take_retractions();
        let mut touched = BTreeSet::new();
        if retractions.is_empty() {
            return Ok(touched);
        }
        self.contents.build_index(|file| read_identities(table, spec, file))?;
        for (identity, count) in retractions {
            for _ in 0..count {
                let number = self.contents.hide(identity).ok_or_else(|| {
                    Error::bug(format!("a row was taken back that table \"{}\" does not hold", table.name())).with_hint(
                        format!("run catchment lake repair --table {} to have it written anew", table.name()),
                    )
                })?;
                touched.insert(number);
            }
        }
        Ok(touched)
    }

    /// Puts the live rows of file `number` back into memory and forgets the file; the flush that follows writes them anew.
    fn take_apart(&mut self, table: &Table, spec: &LakeSpec, number: u32) -> Result<()> {
        let Some(file) = self.contents.get(number) else {
            return Ok(());
        };
        let mut rows = Vec::new();
        if file.live_rows() > 0 {
            read_live(table, spec, file, |columns, count| {
                rows.push(Held::new(columns, count, true));
                Ok(())
            })?;
        }
        if let Some(file) = self.contents.remove(number) {
            // A file that no commit holds yet is removed as garbage at the next open.
            if self.written.remove(&number).is_none() {
                self.removes.push(file.path);
            }
        }
        for part in rows {
            self.pending.add(part);
            self.flush_if_full(table, spec)?;
        }
        Ok(())
    }

    /// Writes one file with the deletion vectors of the files `touched`.
    fn write_vectors(&mut self, table: &Table, spec: &LakeSpec, touched: &[u32]) -> Result<Vec<NewVector>> {
        if touched.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |error| kernel_error("write deletion vectors", table.name(), error);
        let path = self.writer.vector_path(spec)?;
        let mut bytes = Vec::new();
        let mut writer = StreamingDeletionVectorWriter::new(&mut bytes);
        let mut vectors = Vec::with_capacity(touched.len());
        for file in touched.iter().filter_map(|number| self.contents.get(*number)) {
            let mut vector = KernelDeletionVector::new();
            vector.add_deleted_row_indexes(file.deleted_positions());
            let descriptor = writer.write_deletion_vector(vector).map_err(failed)?.to_descriptor(&path);
            vectors.push(NewVector { path: file.path.clone(), vector: Vector::of(&descriptor) });
        }
        writer.finalize().map_err(failed)?;
        let url = path.absolute_path().map_err(failed)?;
        let object = Path::from_url_path(url.path())
            .map_err(|error| Error::bug("a deletion vector has no path").with_source(error))?;
        table.lake().put_object(&object, bytes.into())?;
        self.unsynced.push(object);
        Ok(vectors)
    }
}

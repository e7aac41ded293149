//! The sink: updates in, commits out.
//!
//! Between commits updates are consolidated in memory ([`Pending`]); rows beyond a limit go to data files at once. To
//! *stage* is to write all that is left to files, to find the rows that were taken back, to write the deletion vectors
//! that hide them (or the rest of a file of which a third is hidden), and to bring it all to disk. To *publish* is one
//! commit of the table's log, numbered as the checkpoint.
//!
//! What the sink remembers of the table (files, deleted rows, row index) is the state as of the last stage. It is never
//! wrong by a crash: an open reads it from the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, Int64Array};
use catchment_contract::{Diff, Epoch, Error, Lease, Result, Sink, SinkContext, SinkFigures, Staged, UpdateBatch};

use crate::lake::commit::Change;
use crate::lake::files::{DataFile, DataFiles, FileWriter};
use crate::lake::held::{Held, Pending, identities_of};
use crate::lake::index::RowIndex;
use crate::lake::spec::{LakeSpec, Mode};
use crate::lake::staged::{AddedFile, StagedCommit};
use crate::lake::table::Table;
use crate::lake::upkeep::{self, Upkeep};
use catchment_store::LakeStore;

/// Rows held in memory before they are written to files: 64 MiB of them, some 300,000 comments.
const HELD_BYTES_MAX: usize = 64 << 20;

/// An open lake table.
#[derive(Debug)]
pub struct LakeSink {
    pub(super) spec: LakeSpec,
    pub(super) job: String,
    pub(super) lease: Arc<dyn Lease>,
    pub(super) table: Table,
    /// The transaction id of this table's checkpoints.
    pub(super) app: String,
    pub(super) writer: FileWriter,
    pub(super) held_bytes_max: usize,
    pub(super) pending: Pending,
    pub(super) files: DataFiles,
    pub(super) index: RowIndex,
    /// Files by number that the index does not know yet.
    pub(super) unindexed: BTreeSet<u32>,
    /// Files written since the last stage, by number, with what the log will say of them.
    pub(super) written: BTreeMap<u32, AddedFile>,
    /// Objects written since the last stage that may not be on disk.
    pub(super) unsynced: Vec<object_store::path::Path>,
    /// Files that the next commit removes.
    pub(super) removes: Vec<String>,
    /// Stages that were not published yet.
    pub(super) unpublished: u64,
    pub(super) rows: u64,
    pub(super) upkeep: Upkeep,
}

impl LakeSink {
    /// Opens the table of `spec` in `lake` for `job` at the state of checkpoint `last`; see
    /// [`catchment_contract::SinkSpec::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(spec: LakeSpec, lake: LakeStore, context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Self> {
        let job = context.job.as_str();
        let table = Table::open(lake, &spec, job)?;
        let writer = FileWriter::new(&table)?;
        let mut sink = LakeSink {
            app: format!("{job}/{}", spec.sink),
            job: job.to_owned(),
            lease: Arc::clone(&context.lease),
            table,
            writer,
            held_bytes_max: HELD_BYTES_MAX,
            pending: Pending::default(),
            files: DataFiles::default(),
            index: RowIndex::default(),
            unindexed: BTreeSet::new(),
            written: BTreeMap::new(),
            unsynced: Vec::new(),
            removes: Vec::new(),
            unpublished: 0,
            rows: 0,
            upkeep: Upkeep::default(),
            spec,
        };
        match last {
            Some((_, staged)) => sink.resume(staged)?,
            None => sink.start_over()?,
        }
        upkeep::remove_garbage(&sink.table, &*sink.lease)?;
        Ok(sink)
    }

    /// Sets how many bytes of rows are held in memory before they are written to files; for tests.
    pub fn with_held_bytes_max(mut self, bytes: usize) -> Self {
        self.held_bytes_max = bytes;
        self
    }

    /// Adds to the clock by which files ripen; for tests.
    pub fn with_clock_ahead_ms(mut self, ms: i64) -> Self {
        self.upkeep.clock_ahead_ms = ms;
        self
    }

    /// Brings the table to the state of the checkpoint that holds `staged`.
    fn resume(&mut self, staged: &Staged) -> Result<()> {
        let last = StagedCommit::from_staged(staged, self.table.name())?;
        self.app.clone_from(&last.app);
        let published = self.table.last_number(&self.app)?.unwrap_or(0);
        if published > number(last.checkpoint)? {
            return Err(Error::data(format!(
                "table \"{}\" is at checkpoint {published} of job \"{}\", and the job's own last one is {}",
                self.table.name(),
                self.job,
                last.checkpoint
            ))
            .with_hint(
                "the job's checkpoints in _catchment were lost or put back: add --reset once to load everything anew",
            ));
        }
        self.commit(&last)?;
        self.load_files()
    }

    /// No checkpoint knows the table. What a run wrote whose checkpoints are gone is replaced by the first commit, under
    /// another transaction id, for the numbers begin anew.
    fn start_over(&mut self) -> Result<()> {
        let rows_before = self.table.live_files()?;
        self.rows = rows_before.iter().map(|file| file.rows.saturating_sub(file.deleted.len() as u64)).sum();
        if self.table.last_number(&self.app)?.is_some() {
            self.app = format!("{}/{}", self.app, self.writer.incarnation());
        }
        if !rows_before.is_empty() {
            tracing::warn!(
                table = self.table.name(),
                "no checkpoint knows this table's rows: the first commit replaces them"
            );
        }
        self.removes = rows_before.into_iter().map(|file| file.path).collect();
        Ok(())
    }

    fn load_files(&mut self) -> Result<()> {
        for live in self.table.live_files()? {
            let number = self.files.add(DataFile::live(live)?);
            self.unindexed.insert(number);
        }
        self.rows = self.files.live_rows();
        Ok(())
    }

    /// Rows and retractions of one batch; `append` tables take no retractions.
    fn take_rows(&mut self, batch: &UpdateBatch) -> Result<()> {
        let retracts = self.spec.mode == Mode::Current;
        let stored = self.spec.columns.store(batch.rows.columns())?;
        let rows = Held::new(stored, batch.len(), retracts);
        if batch.diffs.constant(batch.len()) == Some(1) {
            self.pending.add(rows);
            return Ok(());
        }
        let mut added = Vec::new();
        for row in 0..batch.len() {
            let diff: Diff = batch.diffs.at(row);
            if diff > 0 {
                added.extend(std::iter::repeat_n(row as u32, diff as usize));
            } else if diff < 0 && retracts {
                self.pending.retract(rows.identities[row], diff.unsigned_abs());
            } else if diff < 0 {
                return Err(Error::bug(format!(
                    "table \"{}\" only grows, and its view took a row back",
                    self.table.name()
                ))
                .with_hint("write mode = 'current' for this sink"));
            }
        }
        self.pending.add(rows.take(added)?);
        Ok(())
    }

    /// The updates of whole epochs, consolidated by row and epoch.
    fn take_changes(&mut self, updates: &[UpdateBatch]) -> Result<()> {
        let mut sums: HashMap<(u128, Epoch), Diff> = HashMap::new();
        let mut parts = Vec::with_capacity(updates.len());
        for batch in updates {
            // The view's columns come first; `store` stops at the shorter of the two lists.
            let stored = self.spec.columns.store(batch.rows.columns())?;
            let identities = identities_of(&stored, batch.len());
            for (row, identity) in identities.iter().enumerate() {
                *sums.entry((*identity, batch.epochs.at(row))).or_default() += batch.diffs.at(row);
            }
            parts.push((stored, identities));
        }
        for (batch, (mut stored, identities)) in updates.iter().zip(parts) {
            let (mut rows, mut epochs, mut diffs) = (Vec::new(), Vec::new(), Vec::new());
            for (row, identity) in identities.iter().enumerate() {
                // The first of equal updates stands for all of them.
                let epoch = batch.epochs.at(row);
                if let Some(diff) = sums.remove(&(*identity, epoch)).filter(|diff| *diff != 0) {
                    rows.push(row as u32);
                    epochs.push(number(epoch)?);
                    diffs.push(diff);
                }
            }
            let columns = stored.len();
            let picked = Held::new(std::mem::take(&mut stored), batch.len(), false).take(rows)?;
            let mut stored: Vec<ArrayRef> = picked.columns;
            debug_assert_eq!(columns + 2, self.spec.columns.stored.fields().len());
            let picked_rows = diffs.len();
            stored.push(Arc::new(Int64Array::from(epochs)));
            stored.push(Arc::new(Int64Array::from(diffs)));
            self.pending.add(Held::new(stored, picked_rows, false));
        }
        Ok(())
    }

    /// Writes the held rows to files.
    fn flush(&mut self) -> Result<()> {
        self.pending.settle()?;
        let held = self.pending.take_rows();
        for written in self.writer.write(&self.table, &self.spec, held, self.sealed_bytes())? {
            self.unsynced.push(written.object.clone());
            let (added, file) = written.into_parts();
            let number = self.files.add(file);
            self.unindexed.insert(number);
            self.written.insert(number, added);
        }
        Ok(())
    }

    /// From how many bytes of rows on a file is large enough to be left alone: half of what is held.
    pub(super) fn sealed_bytes(&self) -> usize {
        self.held_bytes_max / 2
    }

    pub(super) fn flush_if_full(&mut self) -> Result<()> {
        if self.pending.bytes() > self.held_bytes_max { self.flush() } else { Ok(()) }
    }

    fn commit(&mut self, staged: &StagedCommit) -> Result<()> {
        let info = [
            ("job", self.job.clone()),
            ("sink", self.spec.sink.clone()),
            ("checkpoint", staged.checkpoint.to_string()),
            ("epoch", staged.epoch.to_string()),
        ];
        self.table.commit(&Change {
            transaction: (&staged.app, number(staged.checkpoint)?),
            adds: &staged.adds,
            removes: &staged.removes,
            vectors: &staged.vectors,
            info: &info,
            data_change: true,
        })
    }
}

impl Sink for LakeSink {
    fn write(&mut self, updates: Vec<UpdateBatch>, _upto: Epoch) -> Result<()> {
        match self.spec.mode {
            Mode::Changes => self.take_changes(&updates)?,
            Mode::Append | Mode::Current => updates.iter().try_for_each(|batch| {
                self.take_rows(batch)?;
                self.flush_if_full()
            })?,
        }
        self.flush_if_full()
    }

    fn stage(&mut self, n: u64, epoch: Epoch) -> Result<Option<Staged>> {
        let _span = tracing::info_span!("stage", table = self.table.name(), checkpoint = n).entered();
        self.pending.settle()?;
        let hidden = self.retract()?;
        self.flush()?;
        let mut staged = StagedCommit::new(self.table.name(), &self.app, n, epoch, self.files.live_rows());
        staged.vectors = self.write_vectors(&hidden)?;
        staged.adds = std::mem::take(&mut self.written).into_values().collect();
        staged.removes = std::mem::take(&mut self.removes);
        self.table.lake().sync(&std::mem::take(&mut self.unsynced))?;
        if staged.is_empty() {
            return Ok(None);
        }
        self.unpublished += 1;
        staged.to_staged().map(Some)
    }

    fn publish(&mut self, n: u64, staged: &Staged) -> Result<()> {
        let _span = tracing::info_span!("publish", table = self.table.name(), checkpoint = n).entered();
        let staged = StagedCommit::from_staged(staged, self.table.name())?;
        self.commit(&staged)?;
        self.rows = staged.rows;
        self.unpublished = self.unpublished.saturating_sub(1);
        if self.unpublished == 0 {
            self.maintain()?;
        }
        Ok(())
    }

    fn figures(&self) -> SinkFigures {
        SinkFigures { rows: self.rows, ..SinkFigures::default() }
    }
}

/// A checkpoint or epoch as Delta counts.
fn number(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|error| Error::bug(format!("{value} is too large a number")).with_source(error))
}

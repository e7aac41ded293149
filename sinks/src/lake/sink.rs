//! The sink: updates in, commits out.
//!
//! [`NextCommit`] collects what is to be committed; *stage* makes it durable and describes it in a [`StagedCommit`]; to
//! *publish* is one commit of the table's log, numbered as the checkpoint. After a publish the sink looks after its table:
//! it compacts small files, checkpoints the log, cleans it and vacuums.

use std::collections::HashMap;
use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, Int64Array};
use catchment_contract::{
    Diff, Epoch, Error, ErrorKind, Reject, Result, Sink, SinkContext, SinkFigures, Staged, UpdateBatch,
};

use crate::lake::commit::{CLOCK, Change};
use crate::lake::compact::compact;
use crate::lake::entry::{FileEntry, Totals};
use crate::lake::held::{Held, identities_of};
use crate::lake::log::{CHECKPOINT_VERSIONS, clean_log};
use crate::lake::next_commit::NextCommit;
use crate::lake::seal::FORMAT;
use crate::lake::spec::{LakeSpec, Mode};
use crate::lake::staged::StagedCommit;
use crate::lake::table::{Table, blame};
use crate::lake::vacuum::{Vacuum, stored_objects};
use catchment_store::LakeStore;

/// An open lake table.
#[derive(Debug)]
pub struct LakeSink {
    spec: LakeSpec,
    table: Table,
    next: NextCommit,
    /// Number of the last checkpoint that was staged.
    staged: Option<u64>,
    /// Stages that were not published yet.
    unpublished: u64,
    /// Rows that readers see.
    rows: u64,
    vacuum: Vacuum,
    log_checkpoint_versions: u64,
    rejects: Vec<Reject>,
}

impl LakeSink {
    /// Opens the table of `spec` in `lake` for `job` at the state of checkpoint `last`; see
    /// [`catchment_contract::SinkSpec::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(spec: LakeSpec, lake: LakeStore, context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Self> {
        let table = spec.table.clone();
        Self::try_open(spec, lake, context, last).map_err(|error| blame(&*context.lease, &context.job, &table, error))
    }

    fn try_open(spec: LakeSpec, lake: LakeStore, context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Self> {
        let last = last.map(|(_, staged)| StagedCommit::from_staged(staged, &spec.table)).transpose()?;
        let (table, found) = Table::open(lake, &spec, context, last.as_ref()).map_err(|error| match &last {
            Some(last) if error.kind() == ErrorKind::NotFound => last.gone(error),
            _ => error,
        })?;
        let mut sink = LakeSink {
            next: NextCommit::new(&table, context.held_bytes)?,
            table,
            staged: None,
            unpublished: 0,
            rows: Totals::of(&found.entries).rows,
            vacuum: Vacuum::default(),
            log_checkpoint_versions: CHECKPOINT_VERSIONS,
            rejects: Vec::new(),
            spec,
        };
        let entries = match last {
            Some(last) => sink.resume(&last, found.entries)?,
            None => sink.start_over(context, found.entries)?,
        };
        let stored = found.stored.map_or_else(|| stored_objects(&sink.table), Ok)?;
        sink.vacuum = Vacuum::open(&sink.table, stored, &entries, sink.spec.retention_ms())?;
        if context.lease.may_remove()? {
            sink.table.lake().remove_unfinished(sink.table.name())?;
            // Each open is a version, so that runs with nothing new make the log longer too.
            if sink.checkpoint_long_log()? {
                sink.clean_log()?;
            }
        }
        Ok(sink)
    }

    /// Sets from how many versions on the log is checkpointed, at least 1; for tests.
    pub fn with_log_checkpoint_versions(mut self, versions: u64) -> Self {
        self.log_checkpoint_versions = versions;
        self
    }

    /// Brings the table to the state of the checkpoint that staged `last`.
    fn resume(&mut self, last: &StagedCommit, mut entries: Vec<FileEntry>) -> Result<Vec<FileEntry>> {
        if self.table.published() != Some(last.checkpoint) {
            self.commit(last)?;
            entries = self.table.entries()?;
        }
        self.staged = Some(last.checkpoint);
        self.next.load(&self.table, entries.clone())?;
        self.rows = Totals::of(&entries).rows;
        Ok(entries)
    }

    /// No checkpoint knows the table. What a run wrote whose checkpoints are gone is replaced by the first commit, under
    /// another transaction id, for the numbers begin anew.
    fn start_over(&mut self, context: &SinkContext, entries: Vec<FileEntry>) -> Result<Vec<FileEntry>> {
        if let Some(number) = self.table.published().filter(|_| !context.may_replace) {
            let (table, job) = (self.table.name(), &context.job);
            return Err(Error::data(format!(
                "table \"{table}\" holds what job \"{job}\" has committed up to checkpoint {number} ({} rows), and the job \
                 has no checkpoint",
                self.rows
            ))
            .with_hint(format!(
                "the files in _catchment/{job} were lost: put them back from a copy, or add --reset once to replace the \
                 table by what the sources still have"
            )));
        }
        if self.table.published().is_some() {
            let app = format!("{}/{}", self.table.app(), self.table.run());
            self.table.set_app(&app)?;
        }
        if !entries.is_empty() {
            tracing::warn!(
                table = self.table.name(),
                "no checkpoint knows this table's rows: the first commit replaces them"
            );
        }
        self.next.replace(entries.iter().map(|entry| entry.path.clone()).collect());
        Ok(entries)
    }

    /// Rows and retractions of one batch, for a table that holds the view.
    fn take_current(&mut self, batch: &UpdateBatch) -> Result<()> {
        let (stored, batch) = self.store(batch)?;
        let rows = Held::new(stored, batch.len(), true);
        if batch.diffs.constant(batch.len()) == Some(1) {
            self.next.pending.add(rows);
            return Ok(());
        }
        let mut added = Vec::new();
        for row in 0..batch.len() {
            let diff: Diff = batch.diffs.at(row);
            if diff > 0 {
                added.extend(std::iter::repeat_n(row as u32, diff as usize));
            } else if diff < 0 {
                self.next.pending.retract(rows.identities[row], diff.unsigned_abs());
            }
        }
        self.next.pending.add(rows.take(added)?);
        Ok(())
    }

    /// The rows of whole epochs, for a table that holds every row that was ever added. Views that take rows back are not
    /// appended, but for rejects: one whose record came again in better shape stays where it was appended, and one that
    /// came and went within these epochs was none.
    fn take_appended(&mut self, updates: &[UpdateBatch]) -> Result<()> {
        let grows = updates.iter().all(|batch| batch.diffs.constant(batch.len()) == Some(1));
        let mut parts = Vec::with_capacity(updates.len());
        let mut sums: HashMap<u128, Diff> = HashMap::new();
        for batch in updates {
            let (stored, batch) = self.store(batch)?;
            let rows = Held::new(stored, batch.len(), !grows);
            if grows {
                self.next.pending.add(rows);
                self.next.flush_if_full(&self.table, &self.spec)?;
                continue;
            }
            for (row, identity) in rows.identities.iter().enumerate() {
                *sums.entry(*identity).or_default() += batch.diffs.at(row);
            }
            parts.push(rows);
        }
        for rows in parts {
            let mut added = Vec::new();
            for (row, identity) in rows.identities.iter().enumerate() {
                // The first of equal rows stands for all of them.
                let count = sums.remove(identity).unwrap_or_default();
                added.extend(std::iter::repeat_n(row as u32, count.max(0) as usize));
            }
            let mut rows = rows.take(added)?;
            rows.identities.clear();
            self.next.pending.add(rows);
        }
        Ok(())
    }

    /// The updates of whole epochs, consolidated by row and epoch.
    fn take_changes(&mut self, updates: &[UpdateBatch]) -> Result<()> {
        let mut sums: HashMap<(u128, Epoch), Diff> = HashMap::new();
        let mut parts = Vec::with_capacity(updates.len());
        for batch in updates {
            // The view's columns come first; `store` stops at the shorter of the two lists.
            let (stored, batch) = self.store(batch)?;
            let identities = identities_of(&stored, batch.len());
            for (row, identity) in identities.iter().enumerate() {
                *sums.entry((*identity, batch.epochs.at(row))).or_default() += batch.diffs.at(row);
            }
            parts.push((stored, identities, batch));
        }
        for (stored, identities, batch) in parts {
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
            debug_assert_eq!(stored.len() + 2, self.spec.columns.stored.fields().len());
            let picked = Held::new(stored, batch.len(), false).take(rows)?;
            let mut stored: Vec<ArrayRef> = picked.columns;
            let picked_rows = diffs.len();
            stored.push(Arc::new(Int64Array::from(epochs)));
            stored.push(Arc::new(Int64Array::from(diffs)));
            self.next.pending.add(Held::new(stored, picked_rows, false));
        }
        Ok(())
    }

    /// The stored columns of a batch, and the batch. Rows that hold what no stored type can are left out of both; those
    /// that are added become rejects.
    fn store(&mut self, batch: &UpdateBatch) -> Result<(Vec<ArrayRef>, UpdateBatch)> {
        let (stored, refused) = self.spec.columns.store(batch.rows.columns())?;
        if refused.is_empty() {
            return Ok((stored, batch.clone()));
        }
        for (row, reason) in &refused {
            for _ in 0..batch.diffs.at(*row as usize).max(0) {
                let reason = format!("lake table \"{}\" cannot hold it: {reason}", self.table.name());
                self.rejects.push(Reject::new("", None, reason));
            }
        }
        let kept: Vec<u32> = (0..batch.len() as u32).filter(|row| !refused.contains_key(row)).collect();
        let stored = Held::new(stored, batch.len(), false).take(kept.clone())?.columns;
        let positions = catchment_contract::arrow::array::UInt32Array::from(kept.clone());
        let rows = catchment_contract::arrow::compute::take_record_batch(&batch.rows, &positions)
            .map_err(|error| Error::bug("cannot pick rows").with_source(error))?;
        Ok((stored, UpdateBatch { rows, epochs: batch.epochs.take(&kept), diffs: batch.diffs.take(&kept) }))
    }

    fn commit(&mut self, staged: &StagedCommit) -> Result<()> {
        let info = vec![
            ("job", self.table.job.clone()),
            ("sink", self.spec.sink.clone()),
            ("checkpoint", staged.checkpoint.to_string()),
            ("epoch", staged.epoch.to_string()),
            (CLOCK, self.table.clock_ms().to_string()),
        ];
        if self.table.app() != staged.app {
            self.table.set_app(&staged.app)?;
        }
        self.table.commit(&Change {
            checkpoint: Some(staged.checkpoint),
            adds: &staged.adds,
            removes: &staged.removes,
            vectors: &staged.vectors,
            info,
            data_change: true,
        })
    }

    fn take(&mut self, updates: &[UpdateBatch]) -> Result<()> {
        match self.spec.mode {
            Mode::Changes => self.take_changes(updates)?,
            Mode::Append => self.take_appended(updates)?,
            Mode::Current => updates.iter().try_for_each(|batch| {
                self.take_current(batch)?;
                self.next.flush_if_full(&self.table, &self.spec)
            })?,
        }
        self.next.flush_if_full(&self.table, &self.spec)
    }

    fn try_publish(&mut self, staged: &Staged) -> Result<()> {
        let staged = StagedCommit::from_staged(staged, self.table.name())?;
        self.commit(&staged)?;
        self.rows = staged.rows;
        self.unpublished = self.unpublished.saturating_sub(1);
        if self.unpublished == 0 { self.maintain() } else { Ok(()) }
    }

    /// What is due after a publish.
    fn maintain(&mut self) -> Result<()> {
        compact(&mut self.table, &self.spec, &mut self.next)?;
        if self.checkpoint_long_log()? {
            self.vacuum.round(&self.table, &self.next.unstaged(), self.spec.retention_ms())?;
            self.clean_log()?;
        }
        Ok(())
    }

    /// Checkpoints the log if that is due; true if it was.
    fn checkpoint_long_log(&mut self) -> Result<bool> {
        if self.table.versions_since_checkpoint() < self.log_checkpoint_versions {
            return Ok(false);
        }
        self.table.check_lease()?;
        self.table.checkpoint_log()?;
        Ok(true)
    }

    /// Removes what nobody needs of a log that has just been checkpointed.
    fn clean_log(&self) -> Result<()> {
        self.vacuum.write_down(&self.table)?;
        clean_log(&self.table, self.spec.retention_ms())
    }
}

impl Sink for LakeSink {
    fn write(&mut self, updates: Vec<UpdateBatch>, _upto: Epoch) -> Result<()> {
        self.take(&updates).map_err(|error| self.table.blame(error))
    }

    fn stage(&mut self, n: u64, epoch: Epoch) -> Result<Option<Staged>> {
        let _span = tracing::info_span!("stage", table = self.table.name(), checkpoint = n).entered();
        let draft = self.next.stage(&self.table, &self.spec).map_err(|error| self.table.blame(error))?;
        let (files, rows) = self.next.contents.counts();
        let staged = StagedCommit {
            format: FORMAT,
            table: self.table.name().to_owned(),
            table_id: self.table.id().to_owned(),
            version: self.table.version(),
            app: self.table.app().to_owned(),
            checkpoint: n,
            epoch,
            previous: self.staged,
            files,
            rows,
            adds: draft.adds,
            removes: draft.removes,
            vectors: draft.vectors,
        };
        if staged.is_empty() {
            return Ok(None);
        }
        self.staged = Some(n);
        self.unpublished += 1;
        staged.to_staged().map(Some)
    }

    fn publish(&mut self, n: u64, staged: &Staged) -> Result<()> {
        let _span = tracing::info_span!("publish", table = self.table.name(), checkpoint = n).entered();
        self.try_publish(staged).map_err(|error| self.table.blame(error))
    }

    fn figures(&self) -> SinkFigures {
        SinkFigures { rows: self.rows, ..SinkFigures::default() }
    }

    fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }
}

/// A checkpoint or epoch as Delta counts.
fn number(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|error| Error::bug(format!("{value} is too large a number")).with_source(error))
}

//! All runs of an operator on a worker.
//!
//! What is added becomes a run; of a name that stands in several, the newest counts. Runs are merged as they become more
//! ([`merge::mergeable`]): there are some dozen at most, and a byte is rewritten about once each time that all of them double.
//! Merging goes on a piece at a time ([`Runs::tend`]), in proportion to what was added, so that nothing waits for a large merge.

mod merge;

use catchment_contract::Result;

use crate::records::{Name, Records};
use crate::run::{Run, Scan, Writer};
use crate::spill::SpillFolder;
use merge::{Merge, mergeable};

/// Bytes that are merged for each byte that is added: more than a byte is rewritten in its life.
const MERGED_A_BYTE: usize = 16;

/// Bytes that are merged at a time: some 20 ms.
const STEP_BYTES: usize = 8 << 20;

/// With more runs than this a merge is done to its end at once.
const RUNS_MAX: usize = 32;

/// See the module's documentation.
pub struct Runs {
    folder: SpillFolder,
    /// The oldest first.
    runs: Vec<Run>,
    /// A merge on its way, and the first and the number of the runs that it merges.
    merge: Option<(Merge, usize, usize)>,
    /// Bytes that are to be merged, as there are runs to merge.
    due: usize,
}

impl Runs {
    /// No run yet; files will lie in `folder`.
    pub fn new(folder: SpillFolder) -> Self {
        Runs { folder, runs: Vec::new(), merge: None, due: 0 }
    }

    /// Whether nothing was ever added.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The number of runs.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether a key of this hash may have been added; false if none was.
    pub fn may_hold(&self, hash: u64) -> bool {
        self.runs.iter().any(|run| run.may_hold(hash))
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(Run::bytes).sum()
    }

    /// Bytes of what is kept in memory of them.
    pub fn memory(&self) -> usize {
        self.runs.iter().map(Run::memory).sum()
    }

    /// Adds at most `records` records, in parts whose names follow one another; they count before all that was added earlier.
    ///
    /// # Errors
    /// If a run cannot be written or read.
    pub fn add(&mut self, records: usize, parts: impl Iterator<Item = Records>) -> Result<()> {
        let mut writer = Writer::new(&self.folder, records)?;
        for part in parts {
            for (name, state) in part.sorted() {
                self.due += writer.push(name, state)? * MERGED_A_BYTE;
            }
        }
        self.runs.push(writer.finish()?);
        while self.runs.len() > RUNS_MAX && (self.merge.is_some() || self.next_merge().is_some()) {
            self.go_on(usize::MAX)?;
        }
        Ok(())
    }

    /// Goes on merging for a bounded time, if something is to be merged.
    ///
    /// # Errors
    /// If a run cannot be written or read.
    pub fn tend(&mut self) -> Result<()> {
        if self.due == 0 {
            return Ok(());
        }
        let bytes = self.due.min(STEP_BYTES);
        self.due -= bytes;
        self.go_on(bytes)?;
        if self.merge.is_none() && self.next_merge().is_none() {
            self.due = 0;
        }
        Ok(())
    }

    /// Calls `found(index, state)` for each of `records` whose key was added and is not gone, in any order. Their states do not
    /// count.
    ///
    /// # Errors
    /// If a run cannot be read.
    pub fn fetch(&self, records: &Records, mut found: impl FnMut(usize, &[u8])) -> Result<()> {
        let mut wanted: Vec<usize> = (0..records.len()).collect();
        wanted.sort_unstable_by_key(|index| records.name(*index));
        for run in self.runs.iter().rev() {
            let mut scan = Scan::lazy(run);
            let mut left = Vec::with_capacity(wanted.len());
            for index in wanted {
                let name: Name<'_> = records.name(index);
                match if run.may_hold(name.0) { scan.find(name)? } else { None } {
                    None => left.push(index),
                    Some([]) => {}
                    Some(state) => found(index, state),
                }
            }
            wanted = left;
        }
        Ok(())
    }

    /// The runs that are to be merged next.
    fn next_merge(&self) -> Option<usize> {
        mergeable(&self.runs.iter().map(Run::bytes).collect::<Vec<_>>())
    }

    /// Merges about `bytes` bytes.
    fn go_on(&mut self, bytes: usize) -> Result<()> {
        if self.merge.is_none()
            && let Some(first) = self.next_merge()
        {
            let merge = Merge::new(&self.folder, &self.runs[first..], first == 0)?;
            self.merge = Some((merge, first, self.runs.len() - first));
        }
        let Some((mut merge, first, count)) = self.merge.take() else { return Ok(()) };
        match merge.go_on(bytes)? {
            false => self.merge = Some((merge, first, count)),
            true => {
                let merged = merge.finish()?;
                tracing::debug!(runs = count, records = merged.records(), bytes = merged.bytes(), "merged runs");
                self.runs.splice(first..first + count, [merged]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

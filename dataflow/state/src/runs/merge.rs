//! Merging of runs: which, and how.

use catchment_contract::Result;

use crate::run::{Run, Scan, Writer};
use crate::spill::SpillFolder;

/// Runs that are merged at a time, at least.
const RUNS_MIN: usize = 4;

/// The first of the last runs that are to be merged, if any are; `sizes` in bytes, the oldest first. The last runs are merged
/// once there are [`RUNS_MIN`] of them of which each is no larger than those after it together: sizes double from merge to
/// merge, and what is superseded takes no more than what counts.
pub(super) fn mergeable(sizes: &[u64]) -> Option<usize> {
    let (mut first, mut after) = (sizes.len(), 0);
    while first > 0 && (first == sizes.len() || sizes[first - 1] <= after) {
        first -= 1;
        after += sizes[first];
    }
    (sizes.len() - first >= RUNS_MIN).then_some(first)
}

/// Several runs, one after another in age, on their way to be one.
pub(super) struct Merge {
    /// The oldest first.
    scans: Vec<Scan>,
    writer: Writer,
    /// Whether there is no older run: a key that is gone need not be known as such any more.
    forgets: bool,
}

impl Merge {
    /// Of `runs`, the oldest first; `oldest` if none is older.
    ///
    /// # Errors
    /// If a run cannot be read or made.
    pub fn new(folder: &SpillFolder, runs: &[Run], oldest: bool) -> Result<Self> {
        let writer = Writer::new(folder, runs.iter().map(Run::records).sum())?;
        let scans = runs.iter().map(Scan::first).collect::<Result<_>>()?;
        Ok(Merge { scans, writer, forgets: oldest })
    }

    /// Merges about `bytes` bytes; whether that was the last.
    ///
    /// # Errors
    /// If a run cannot be read or written.
    pub fn go_on(&mut self, bytes: usize) -> Result<bool> {
        let Merge { scans, writer, forgets } = self;
        let mut done = 0;
        while done < bytes {
            // Of scans at one name the newest is found last.
            let at = scans.iter().enumerate().filter_map(|(index, scan)| Some((index, scan.current()?.0)));
            let Some((least, name)) = at.min_by(|one, other| one.1.cmp(&other.1).then(other.0.cmp(&one.0))) else {
                return Ok(true);
            };
            let same: Vec<usize> =
                (0..scans.len()).filter(|index| scans[*index].current().is_some_and(|it| it.0 == name)).collect();
            let state = scans[least].current().map_or(&[][..], |it| it.1);
            done += if *forgets && state.is_empty() { name.1.len() } else { writer.push(name, state)? };
            for index in same {
                scans[index].step()?;
            }
        }
        Ok(false)
    }

    /// The merged run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<Run> {
        self.writer.finish()
    }
}

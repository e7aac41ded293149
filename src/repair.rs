//! A way back for tables: what `catchment lake repair` does.
//!
//! [`examine`] says what of a table can be read and what its job expects there; [`Repair::apply`] makes it readable again,
//! and has the job's next run write it anew, from the job's own state, where something is lost. The sources are not read
//! for that. A run of the job that is up is ended by it, as by a newer run.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use catchment_contract::{Result, Staged};
use catchment_engine::checkpoint::{CheckpointLog, Manifest};
use catchment_sinks::lake::repair::{Finding, mend};
use catchment_store::{Lake, LakeStore};

/// What is the matter with a table, and what can be done.
#[derive(Clone, Debug)]
pub struct Repair {
    /// What of the table can be read.
    pub finding: Finding,
    /// The job and the sink that write the table, if a checkpoint in the lake names it.
    pub owner: Option<(String, String)>,
}

/// Looks at the table whose path below the lake is `table`. Changes nothing.
///
/// # Errors
/// If the lake or the checkpoints in it cannot be read.
pub fn examine(lake: &Lake, table: &str) -> Result<Repair> {
    let store = lake.open()?;
    let owner = owner_of(&store, table)?;
    let staged = owner.as_ref().map(|(_, _, staged)| staged);
    let finding = catchment_sinks::lake::repair::examine(&store, table, staged)?;
    Ok(Repair { finding, owner: owner.map(|(job, sink, _)| (job, sink)) })
}

impl Repair {
    /// Whether [`Repair::apply`] would change anything.
    pub fn is_needed(&self) -> bool {
        self.finding.is_damaged() || self.is_written_anew()
    }

    /// Whether the job's next run writes the table anew.
    pub fn is_written_anew(&self) -> bool {
        self.finding.is_behind() && self.owner.is_some()
    }

    /// Makes the table readable, and has the job write it anew if something is lost.
    ///
    /// # Errors
    /// If the lake cannot be written; it can be called again then.
    pub fn apply(&self, lake: &Lake) -> Result<()> {
        let store = lake.open()?;
        match &self.owner {
            Some((job, sink)) if self.is_written_anew() => {
                // The job is fenced first: a run that is up must not write to the table while it is mended.
                let log = checkpoint_log(&store, job);
                let mut manifest = log.fence(false, |_| Ok(()))?;
                mend(&store, &self.finding)?;
                manifest.sinks.remove(sink);
                manifest.number += 1;
                log.commit(&manifest)
            }
            _ => mend(&store, &self.finding),
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.finding)?;
        match &self.owner {
            _ if !self.is_needed() => write!(f, "there is nothing to do"),
            Some((job, sink)) if self.is_written_anew() => write!(
                f,
                "the next run of job \"{job}\" writes the table anew from the job's state, for sink \"{sink}\"; a table in \
                 mode changes begins anew with one epoch"
            ),
            Some((job, _)) => write!(f, "job \"{job}\" goes on from there"),
            None => write!(f, "no checkpoint in the lake names this table: lost rows cannot be recovered"),
        }
    }
}

fn checkpoint_log(store: &LakeStore, job: &str) -> CheckpointLog {
    CheckpointLog::new(Arc::new(store.clone()), job, &store.environment().unique_name())
}

/// The jobs that have checkpoints in the lake.
fn jobs(store: &LakeStore) -> Result<BTreeSet<String>> {
    let paths = store.list("_catchment")?;
    let job = |path: &str| Some(path.strip_prefix("_catchment/")?.split_once("/checkpoints/")?.0.to_owned());
    Ok(paths.iter().filter_map(|object| job(&object.path)).collect())
}

/// The job and sink whose newest checkpoint names `table`, and what it says of it.
fn owner_of(store: &LakeStore, table: &str) -> Result<Option<(String, String, Staged)>> {
    for job in jobs(store)? {
        let Some(Manifest { sinks, .. }) = checkpoint_log(store, &job).latest()? else {
            continue;
        };
        for (name, sink) in sinks {
            if let Some(staged) = sink.staged.filter(|staged| staged.0["table"] == table) {
                return Ok(Some((job, name, staged)));
            }
        }
    }
    Ok(None)
}

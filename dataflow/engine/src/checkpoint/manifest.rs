//! The manifest of a checkpoint: a JSON object, one a checkpoint.

use std::collections::BTreeMap;

use catchment_contract::{Epoch, Error, Position, Reject, Result, Staged};
use serde::{Deserialize, Serialize};

/// Version of the manifest's format that this build writes and reads.
pub const FORMAT: u32 = 3;

/// Everything that a later run must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of this object: 3.
    pub format: u32,
    /// The job's name.
    pub job: String,
    /// The checkpoint's number, from 1, without gaps.
    pub number: u64,
    /// Name of the run that wrote it.
    pub run: String,
    /// The last epoch that is in it.
    pub epoch: Epoch,
    /// Sources by name, also those that the job does not read any more; the built-in relation of rejects is among them.
    pub sources: BTreeMap<String, SourceState>,
    /// Sinks by name.
    pub sinks: BTreeMap<String, SinkState>,
    /// By sink, what it refused in making this checkpoint: rejects of an epoch to come, which the next checkpoint has.
    pub refused: BTreeMap<String, Vec<Reject>>,
    /// Rows of the relations that sinks take, for the summary of a run that has nothing to do.
    pub relations: BTreeMap<String, i64>,
}

/// How far a source was read, and what it delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceState {
    /// What the source is; a restart with another one is refused.
    pub definition: String,
    /// Columns of the state files, as `name: type`.
    pub columns: Vec<String>,
    /// Where to resume, by partition.
    pub positions: BTreeMap<String, Position>,
    /// Number of the next payload: the upper half of its rows' arrival numbers.
    pub payloads: u64,
    /// What came in, since the job's first run.
    pub ledger: Ledger,
    /// Files that hold the arrivals, in arrival order.
    pub state: Vec<StateFile>,
}

/// The account of a source: `records = accepted + rejects`; an accepted record made one or more `rows`. What was read
/// beside them is in `passed_over`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Input records.
    pub records: u64,
    /// Rows.
    pub rows: u64,
    /// Records that became rejects.
    pub rejects: u64,
    /// Records of another kind than the source takes.
    pub passed_over: u64,
}

/// A file of arrivals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateFile {
    /// Path below the lake's root.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// What a sink staged last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkState {
    /// The relation it takes.
    pub from: String,
    /// Definition of that relation; a restart with another one is refused.
    pub fingerprint: String,
    /// Number of the checkpoint in which it last staged something; 0 if it never did.
    pub number: u64,
    /// What it staged then.
    pub staged: Option<Staged>,
}

impl Manifest {
    /// The manifest as JSON.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has string keys only")
    }

    /// A manifest from JSON; `path` is for messages.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is not one, or of a format that this build does not know.
    pub fn decode(path: &str, bytes: &[u8]) -> Result<Manifest> {
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| {
            Error::data(format!("checkpoint \"{path}\" is damaged"))
                .with_source(error)
                .with_hint("put it back from a copy, or add --reset once to load everything anew")
        })?;
        if manifest.format != FORMAT {
            return Err(Error::data(format!("checkpoint \"{path}\" has format {}", manifest.format))
                .with_hint(format!(
                    "this build reads format {FORMAT}: run the build that wrote it, or add --reset once to load everything anew"
                )));
        }
        Ok(manifest)
    }
}

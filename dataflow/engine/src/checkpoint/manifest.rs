//! The manifest of a checkpoint: a sealed text (see [`super::seal`]) of format [`FORMAT`], a JSON object whose members are
//! the fields of [`Manifest`].

use std::collections::BTreeMap;

use catchment_contract::{Epoch, Error, Reject, Result, Staged, Store};
use serde::{Deserialize, Serialize};

use super::positions::Positions;
use super::seal::{self, checksum};

/// Version of the manifest's format that this build writes and reads.
pub const FORMAT: u32 = 4;

/// Everything that a later run must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
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
    pub positions: Positions,
    /// Number of the next payload: the upper half of its rows' arrival numbers.
    pub payloads: u64,
    /// What came in, since the job's first run.
    pub ledger: Ledger,
    /// Rejects so far, by partition and kind of reason; for the built-in relation of rejects, those of sinks by the sink's
    /// name. Those beyond a number are counted only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alike: BTreeMap<String, BTreeMap<String, u64>>,
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

/// A file of arrivals or of positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateFile {
    /// Path below the lake's root.
    pub path: String,
    /// Rows or positions in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// XXH3 of its bytes: 64 bits, sixteen lower-case hexadecimal digits.
    pub checksum: String,
}

impl StateFile {
    /// The file at `path` that holds `bytes`.
    pub(crate) fn describe(path: String, bytes: &[u8], rows: u64) -> Self {
        StateFile { path, rows, bytes: bytes.len() as u64, checksum: checksum(bytes) }
    }

    /// Its bytes, which are those that were written; it is called `what` in messages.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is missing or damaged.
    pub(crate) fn read(&self, store: &dyn Store, what: &str) -> Result<Vec<u8>> {
        let (are, needed) = if what.ends_with('s') { ("are", "them") } else { ("is", "it") };
        let missing = || {
            Error::data(format!("{what} \"{}\" {are} missing, and the last checkpoint needs {needed}", self.path))
                .with_hint(WAY_OUT)
        };
        let bytes = store.get(&self.path)?.ok_or_else(missing)?;
        if bytes.len() as u64 != self.bytes {
            let (found, want) = (bytes.len(), self.bytes);
            return Err(self.damaged(what, &format!("it has {found} bytes where the checkpoint says {want}")));
        }
        if checksum(&bytes) != self.checksum {
            return Err(self.damaged(what, "its checksum does not match"));
        }
        Ok(bytes)
    }

    /// The error of a file that is not what was written, and why.
    pub(crate) fn damaged(&self, what: &str, why: &str) -> Error {
        let are = if what.ends_with('s') { "are" } else { "is" };
        Error::data(format!("{what} \"{}\" {are} damaged: {why}", self.path)).with_hint(WAY_OUT)
    }
}

/// What to do about a file of ours that is lost.
pub(crate) const WAY_OUT: &str = "put it back from a copy, or add --reset once to load everything anew";

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
    /// The manifest under its seal.
    pub fn encode(&self) -> Vec<u8> {
        seal::seal(FORMAT, &serde_json::to_vec(self).expect("a manifest has string keys only"))
    }

    /// The manifest numbered `number` of `job`, from its object's bytes; `path` is for messages.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is not that, or of a format that this build does not know.
    pub fn decode(path: &str, job: &str, number: u64, bytes: &[u8]) -> Result<Manifest> {
        let damaged = |why: &str| Error::data(format!("checkpoint \"{path}\" is damaged: {why}"));
        let other_format = |format: u64| {
            Error::data(format!("checkpoint \"{path}\" has format {format}")).with_hint(format!(
                "this build reads format {FORMAT}: run the build that wrote it, or add --reset once to load everything anew"
            ))
        };
        let (format, text) = seal::open(bytes).map_err(|why| match unsealed_format(bytes) {
            Some(format) => other_format(format),
            None => damaged(why),
        })?;
        if format != FORMAT {
            return Err(other_format(format.into()));
        }
        let manifest: Manifest =
            serde_json::from_slice(text).map_err(|error| damaged("it is no manifest").with_source(error))?;
        if manifest.job != job {
            return Err(damaged(&format!("it is one of job \"{}\"", manifest.job)));
        }
        if manifest.number != number {
            return Err(damaged(&format!("it is checkpoint {} under another number", manifest.number)));
        }
        Ok(manifest)
    }

    /// All files that it names.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        self.sources.values().flat_map(|source| source.state.iter().chain(source.positions.files()))
    }
}

/// The format of a manifest from before there were seals: one JSON object with a member `format`.
fn unsealed_format(bytes: &[u8]) -> Option<u64> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    object.get("job").and(object.get("format"))?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let source = SourceState {
            definition: "lines".into(),
            state: vec![StateFile { path: "a".into(), rows: 1, bytes: 2, checksum: checksum(b"ab") }],
            ..SourceState::default()
        };
        Manifest {
            job: "job".into(),
            number: 7,
            run: "run".into(),
            epoch: 3,
            sources: BTreeMap::from([("numbers".into(), source)]),
            sinks: BTreeMap::new(),
            refused: BTreeMap::new(),
            relations: BTreeMap::from([("numbers".into(), 1)]),
        }
    }

    #[test]
    fn every_bit_counts() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode("7.json", "job", 7, &bytes).unwrap(), manifest());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let error = Manifest::decode("7.json", "job", 7, &flipped).unwrap_err();
                assert!(error.chain().starts_with("checkpoint \"7.json\" is damaged: "), "{}", error.chain());
            }
            assert!(Manifest::decode("7.json", "job", 7, &bytes[..at]).is_err());
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        let refused =
            |job: &str, number: u64, bytes: &[u8]| Manifest::decode("7.json", job, number, bytes).unwrap_err().chain();
        let bytes = manifest().encode();
        assert_eq!(refused("other", 7, &bytes), "checkpoint \"7.json\" is damaged: it is one of job \"job\"");
        let renamed = "checkpoint \"7.json\" is damaged: it is checkpoint 7 under another number";
        assert_eq!(refused("job", 8, &bytes), renamed);
        let newer = seal::seal(FORMAT + 1, b"{}");
        assert!(refused("job", 7, &newer).starts_with("checkpoint \"7.json\" has format 5; this build reads format 4"));
        let older = br#"{"format":2,"job":"job"}"#;
        assert!(refused("job", 7, older).starts_with("checkpoint \"7.json\" has format 2; this build reads format 4"));
    }
}

//! The files of a table's log: checkpoints of it, what its entries name, and which of them may go.
//!
//! Readers begin at the newest checkpoint of the log; a checkpoint is written every hundred versions. It holds the files
//! of its version and none that were removed: which files were removed, and when by the job's clock (`clockMs` of the
//! commit's own information), is in the entries, which stay for the table's retention, and in a copy (`removed.rs`).

use bytes::Bytes;
use catchment_contract::arrow::array::Array;
use catchment_contract::{Error, Result};
use delta_kernel::checkpoint::LastCheckpointHintStats;
use delta_kernel::engine::arrow_data::{ArrowEngineData, EngineDataArrowExt};
use delta_kernel::{Engine as _, EngineData, FilteredEngineData, KernelError};
use object_store::path::Path;
use serde::Deserialize;

use crate::lake::kernel::{damaged, kernel_error};
use crate::lake::seal::{DOMAIN, Seal};
use crate::lake::staged::Vector;
use crate::lake::table::{Table, load};

/// Versions from one checkpoint of the log to the next.
pub const CHECKPOINT_VERSIONS: u64 = 100;

/// A file of a log, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its path below the lake.
    pub path: String,
    /// The version that it belongs to.
    pub version: u64,
    /// Whether it is an entry (`….json`).
    pub is_entry: bool,
    /// Whether it is a checkpoint of the log, or a part of one.
    pub is_checkpoint: bool,
}

/// The files of `table`'s log, in the order of their names.
///
/// # Errors
/// If the store fails.
pub fn log_files(table: &Table) -> Result<Vec<LogFile>> {
    let objects = table.lake().list(&format!("{}/_delta_log", table.name()))?;
    Ok(objects.into_iter().filter_map(|object| log_file(object.path)).collect())
}

/// What a name in a log's folder says.
pub fn log_file(path: String) -> Option<LogFile> {
    let (version, rest) = path.rsplit('/').next()?.split_once('.')?;
    let (version, is_entry) = (version.parse().ok()?, rest == "json");
    let is_checkpoint = rest.starts_with("checkpoint") && rest.ends_with("parquet");
    Some(LogFile { version, is_entry, is_checkpoint, path })
}

/// The path below the lake of the entry of a version of `table`.
pub fn entry_path(table: &str, version: u64) -> String {
    format!("{table}/_delta_log/{version:020}.json")
}

impl Table {
    /// Versions since the newest checkpoint of the log.
    pub fn versions_since_checkpoint(&self) -> u64 {
        self.version() - self.snapshot.log_segment().checkpoint_version.unwrap_or(0)
    }

    /// Writes a checkpoint of the log at its newest version.
    ///
    /// # Errors
    /// If the store fails; the table is as it was.
    pub fn checkpoint_log(&mut self) -> Result<()> {
        let what = format!("checkpoint the log of table \"{}\"", self.name);
        let failed = |error| kernel_error(&what, &self.name, error);
        let engine = self.engine.as_ref();
        let writer = self.snapshot.clone().create_checkpoint_writer(engine).map_err(failed)?;
        let (path, data) = (writer.checkpoint_path().map_err(failed)?, writer.checkpoint_data(engine).map_err(failed)?);
        let state = data.state();
        let kept = Box::new(data.map(|part| without_removals(part?)));
        let bytes = engine.parquet_handler().write_parquet_file(path, kept).map_err(failed)?;
        let state =
            std::sync::Arc::into_inner(state).ok_or_else(|| Error::bug("a checkpoint of a log is still read"))?;
        let stats = LastCheckpointHintStats::from_reconciliation_state(state, bytes, 0).map_err(failed)?;
        writer.finalize(engine, &stats).map_err(failed)?;
        // The version that we go on from must be one that is read from the checkpoint: what lies before it may go.
        self.snapshot = load(&self.url, &self.engine, &self.name, None)?;
        self.check_fence()
    }
}

/// The actions of a checkpoint less those that name removed files.
fn without_removals(part: FilteredEngineData) -> Result<Box<dyn EngineData>, KernelError> {
    let (data, mut selected) = part.into_parts();
    let rows = data.try_into_record_batch()?;
    selected.resize(rows.num_rows(), true);
    if let Some(removals) = rows.column_by_name("remove") {
        for (row, keep) in selected.iter_mut().enumerate() {
            *keep &= removals.is_null(row);
        }
    }
    FilteredEngineData::try_new(Box::new(ArrowEngineData::new(rows)), selected)?.apply_selection_vector()
}

/// What an entry of a log says that vacuum asks for.
#[derive(Debug, Default)]
pub struct Entry {
    /// When it was made, by the job's clock, in milliseconds since 1970; 0 if it does not say.
    pub clock_ms: i64,
    /// The run that made it, if it has a seal.
    pub run: Option<String>,
    /// Data files that it adds or removes, with their deletion vectors.
    pub files: Vec<(String, Option<Vector>)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    add: Option<FileAction>,
    remove: Option<FileAction>,
    commit_info: Option<CommitInfo>,
    domain_metadata: Option<DomainMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileAction {
    path: String,
    deletion_vector: Option<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitInfo {
    clock_ms: Option<String>,
}

#[derive(Deserialize)]
struct DomainMetadata {
    domain: String,
    configuration: String,
}

impl Entry {
    /// Reads an entry of `table`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is none.
    pub fn parse(bytes: &Bytes, table: &str) -> Result<Self> {
        let mut entry = Entry::default();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let action: Action = serde_json::from_slice(line).map_err(|error| {
                damaged(table, Error::data("an entry of its log cannot be read").with_source(error))
            })?;
            let clock = action.commit_info.and_then(|info| info.clock_ms?.parse().ok());
            entry.clock_ms = clock.unwrap_or(entry.clock_ms);
            if let Some(ours) = action.domain_metadata.filter(|metadata| metadata.domain == DOMAIN) {
                entry.run = Some(Seal::from_text(&ours.configuration, table)?.run);
            }
            entry
                .files
                .extend(action.add.into_iter().chain(action.remove).map(|file| (file.path, file.deletion_vector)));
        }
        Ok(entry)
    }

    /// The places of the files, and of their deletion vectors.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if a path is none.
    pub fn objects(&self, table: &Table) -> Result<Vec<Path>> {
        let mut objects = Vec::new();
        for (path, vector) in &self.files {
            objects.push(table.object(path)?);
            if let Some(vector) = vector {
                objects.extend(table.vector_object(vector)?);
            }
        }
        Ok(objects)
    }
}

/// Removes the log's files that no version of the last `retention_ms` needs: all before the newest checkpoint that is
/// older than that.
///
/// # Errors
/// If the store fails; what is left is removed later.
pub fn clean_log(table: &Table, retention_ms: i64) -> Result<()> {
    let files = log_files(table)?;
    let oldest_ms = table.clock_ms() - retention_ms;
    let mut first_kept = None;
    for checkpoint in files.iter().rev().filter(|file| file.is_checkpoint) {
        let entry = files.iter().find(|file| file.is_entry && file.version == checkpoint.version);
        let bytes = entry.map(|entry| table.lake().get(&entry.path)).transpose()?.flatten();
        // A checkpoint without its entry was the first kept one before.
        let clock_ms =
            bytes.map(|bytes| Entry::parse(&bytes, table.name())).transpose()?.map_or(0, |entry| entry.clock_ms);
        if clock_ms < oldest_ms {
            first_kept = Some(checkpoint.version);
            break;
        }
    }
    let Some(first_kept) = first_kept else {
        return Ok(());
    };
    // The oldest go first: what is left, should this end half-way, has no gaps.
    files.iter().filter(|file| file.version < first_kept).try_for_each(|file| table.lake().delete(&file.path))
}

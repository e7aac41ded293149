//! Upkeep of a table, done by its only writer so that it conflicts with nothing.
//!
//! - **Compaction**, after a publish: small files of one partition and about one size are gathered into one, eight at a
//!   time, in a commit of its own that changes no data. In a table that only grows, files that waited an hour are
//!   gathered whatever their number, so that a plain reader of `data/` lags by no more.
//! - **Checksum** of each version, **checkpoint** of the log every hundred, and removal of log files that no version of
//!   the last seven days needs.
//! - **Garbage**: files that no live version and no removal of the last seven days names: left by a crash between staging
//!   and commit, or removed long ago.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, StructArray};
use catchment_contract::arrow::datatypes::Int32Type;
use catchment_contract::{Error, Lease, Result};
use delta_kernel::actions::deletion_vector::DeletionVectorPath;
use delta_kernel::expressions::Scalar;
use delta_kernel::schema::DataType as KernelType;
use delta_kernel::transaction::WriteState;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use crate::lake::columns::{PartitionValues, Transform};
use crate::lake::commit::Change;
use crate::lake::files::{DataFile, Written, now_ms, read_live};
use crate::lake::held::{Held, Pending};
use crate::lake::sink::LakeSink;
use crate::lake::spec::{LakeSpec, Mode};
use crate::lake::staged::{AddedFile, Vector};
use crate::lake::table::{Table, kernel_error};

/// Files of one partition and size that are gathered into one.
const GATHER_FILES: usize = 8;
/// Sizes from one step to its eightfold count as about one size; the first step ends here.
const STEP_BYTES: u64 = 64 << 10;
/// How long a file of a table that only grows waits to be gathered.
const WAIT_MS: i64 = 3_600_000;
/// Log versions from one checkpoint of the log to the next.
const CHECKPOINT_VERSIONS: u64 = 100;
/// How long old versions can be read.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// The folder of deletion vectors.
const VECTORS: &str = "dv";

/// What upkeep remembers.
#[derive(Debug, Default)]
pub struct Upkeep {
    /// Version of the newest checkpoint of the log, once looked for.
    checkpoint: Option<u64>,
    /// Added to the clock; for tests.
    pub(super) clock_ahead_ms: i64,
}

impl LakeSink {
    /// Everything that is due after a publish.
    ///
    /// # Errors
    /// If a commit or the store fails; what is not done is done later.
    pub(super) fn maintain(&mut self) -> Result<()> {
        self.table.write_checksum();
        let due = self.due();
        if !due.is_empty() {
            self.gather(&due)?;
            self.table.write_checksum();
        }
        self.tend_log()
    }

    /// Groups of files that are to be gathered.
    fn due(&self) -> Vec<Vec<u32>> {
        let mut groups: BTreeMap<(&PartitionValues, u32), Vec<u32>> = BTreeMap::new();
        let ripe = self.ripe_ms();
        let mut waited: BTreeSet<&PartitionValues> = BTreeSet::new();
        let hot = || self.files.iter().filter(|(number, file)| file.is_hot() && !self.written.contains_key(number));
        if self.spec.mode == Mode::Append {
            waited.extend(hot().filter(|(_, file)| file.modified_ms < ripe).map(|(_, file)| &file.partition));
        }
        for (number, file) in hot() {
            let size = if waited.contains(&file.partition) { u32::MAX } else { size_step(file.bytes) };
            groups.entry((&file.partition, size)).or_default().push(number);
        }
        let is_full = |size: u32, files: &[u32]| size == u32::MAX || files.len() >= GATHER_FILES;
        groups.into_iter().filter(|((_, size), files)| is_full(*size, files)).map(|(_, files)| files).collect()
    }

    /// Files written before this time waited long enough.
    fn ripe_ms(&self) -> i64 {
        now_ms() + self.upkeep.clock_ahead_ms - WAIT_MS
    }

    /// Writes the rows of each group into as few files as can be, and commits that.
    fn gather(&mut self, groups: &[Vec<u32>]) -> Result<()> {
        let mut written = Vec::new();
        for group in groups {
            self.rewrite(group, &mut written)?;
        }
        let objects: Vec<Path> = written.iter().map(|one| one.object.clone()).collect();
        self.table.lake().sync(&objects)?;
        let (adds, new): (Vec<AddedFile>, Vec<DataFile>) = written.into_iter().map(Written::into_parts).unzip();
        let old: Vec<u32> = groups.concat();
        let removes: Vec<String> =
            old.iter().filter_map(|number| self.files.get(*number)).map(|file| file.path.clone()).collect();
        let version = i64::try_from(self.table.snapshot().version() + 1)
            .map_err(|error| Error::bug("the table has too many versions").with_source(error))?;
        let info = [("job", self.job.clone()), ("sink", self.spec.sink.clone())];
        let app = format!("{}/upkeep", self.app);
        let transaction = (app.as_str(), version);
        let change =
            Change { transaction, adds: &adds, removes: &removes, vectors: &[], info: &info, data_change: false };
        self.table.commit(&change)?;
        tracing::debug!(table = self.table.name(), from = removes.len(), to = adds.len(), "gathered small files");
        for number in old {
            self.unindex(number);
            self.unindexed.remove(&number);
            self.files.remove(number);
        }
        for file in new {
            let number = self.files.add(file);
            self.unindexed.insert(number);
        }
        Ok(())
    }

    fn rewrite(&mut self, group: &[u32], written: &mut Vec<Written>) -> Result<()> {
        let ripe = self.ripe_ms();
        let files = || group.iter().filter_map(|number| self.files.get(*number));
        let waited = self.spec.mode == Mode::Append && files().any(|file| file.modified_ms < ripe);
        let sealed_bytes = if waited { 0 } else { self.sealed_bytes() };
        let mut rows = Pending::default();
        for file in files() {
            read_live(&self.table, &self.spec, file, |columns, count| {
                rows.add(Held::new(columns, count, self.spec.mode == Mode::Current));
                if rows.bytes() > self.held_bytes_max {
                    written.extend(self.writer.write(&self.table, &self.spec, rows.take_rows(), sealed_bytes)?);
                }
                Ok(())
            })?;
        }
        written.extend(self.writer.write(&self.table, &self.spec, rows.take_rows(), sealed_bytes)?);
        Ok(())
    }

    /// Writes a checkpoint of the log when it is due, and then removes what nobody needs.
    fn tend_log(&mut self) -> Result<()> {
        let newest = match self.upkeep.checkpoint {
            Some(version) => version,
            None => newest_checkpoint(&self.table)?.unwrap_or(0),
        };
        let version = self.table.snapshot().version();
        self.upkeep.checkpoint = Some(newest);
        if version < newest + CHECKPOINT_VERSIONS {
            return Ok(());
        }
        self.table.checkpoint()?;
        self.upkeep.checkpoint = Some(version);
        remove_old_log(&self.table)?;
        let pending = self.unsynced.iter().cloned().collect();
        remove_garbage_but(&self.table, &pending, &*self.lease)
    }
}

fn size_step(bytes: u64) -> u32 {
    (bytes / STEP_BYTES).checked_ilog(8).map_or(0, |step| step + 1)
}

/// Where the next deletion vectors go.
///
/// # Errors
/// None for a table that can be written.
pub fn vector_path(state: &std::sync::Arc<WriteState>, spec: &LakeSpec) -> Result<DeletionVectorPath> {
    // The kernel names them through a partition's context, though they lie beside the partitions: null ones will do.
    let null = |column: &crate::lake::columns::PartitionColumn| {
        use delta_kernel::engine::arrow_conversion::TryIntoKernel;
        let kind = match column.transform {
            Transform::Day => Ok(KernelType::DATE),
            Transform::Column => spec.columns.stored.field(column.source).data_type().try_into_kernel(),
        };
        let kind = kind.map_err(|error| Error::bug("a partition column has no Delta type").with_source(error))?;
        Ok((column.name.clone(), Scalar::Null(kind)))
    };
    let mut builder = state.write_context_builder();
    if !spec.columns.partition.is_empty() {
        builder = builder.with_partition_values(spec.columns.partition.iter().map(null).collect::<Result<_>>()?);
    }
    let context = builder.build().map_err(|error| kernel_error("name deletion vectors", error))?;
    Ok(context.new_deletion_vector_path(VECTORS.to_owned()))
}

/// The version in the name of a file of the log, and the name's rest.
fn log_version(path: &str) -> Option<(u64, &str)> {
    let (version, rest) = path.rsplit('/').next()?.split_once('.')?;
    Some((version.parse().ok()?, rest))
}

fn newest_checkpoint(table: &Table) -> Result<Option<u64>> {
    let log = table.lake().list(&format!("{}/_delta_log", table.name()))?;
    let versions = log.iter().filter_map(|object| log_version(&object.path));
    Ok(versions.filter(|(_, rest)| rest.starts_with("checkpoint")).map(|(version, _)| version).max())
}

/// Removes log files that no version of the retention needs: all before the newest checkpoint that is older than it.
fn remove_old_log(table: &Table) -> Result<()> {
    let Some(cutoff) = SystemTime::now().checked_sub(RETENTION) else {
        return Ok(());
    };
    let log = table.lake().list(&format!("{}/_delta_log", table.name()))?;
    let known = || log.iter().filter_map(|object| Some((object, log_version(&object.path)?)));
    let first_kept = known()
        .filter(|(object, (_, rest))| rest.starts_with("checkpoint") && object.modified < cutoff)
        .map(|(_, (version, _))| version)
        .max();
    let Some(first_kept) = first_kept else {
        return Ok(());
    };
    for (object, _) in known().filter(|(_, (version, _))| *version < first_kept) {
        table.lake().delete(&object.path)?;
    }
    Ok(())
}

/// Removes files that nothing names, when no stage is under way and no newer run has begun.
///
/// # Errors
/// If the store fails.
pub fn remove_garbage(table: &Table, lease: &dyn Lease) -> Result<()> {
    remove_garbage_but(table, &BTreeSet::new(), lease)
}

fn remove_garbage_but(table: &Table, pending: &BTreeSet<Path>, lease: &dyn Lease) -> Result<()> {
    let root = table.lake().full_path(table.name());
    let found: Vec<Path> = table
        .lake()
        .list(table.name())?
        .into_iter()
        .map(|object| table.lake().listed_path(&object.path))
        .filter(|path| {
            let below =
                path.prefix_match(&root).and_then(|mut parts| parts.next().map(|part| part.as_ref().to_owned()));
            below.is_some_and(|folder| matches!(folder.as_str(), "hot" | "data" | VECTORS)) && !pending.contains(path)
        })
        .collect();
    let live = live_objects(table)?;
    let strange: Vec<Path> = found.into_iter().filter(|path| !live.contains(path)).collect();
    if strange.is_empty() {
        return Ok(());
    }
    let named = logged_objects(table)?;
    let garbage: Vec<&Path> = strange.iter().filter(|path| !named.contains(*path)).collect();
    if garbage.is_empty() || !lease.is_held()? {
        return Ok(());
    }
    for object in garbage {
        tracing::debug!(table = table.name(), %object, "removing a file that no version names");
        table.lake().delete_object(object)?;
    }
    Ok(())
}

/// The objects that the newest version names: data files and their deletion vectors.
fn live_objects(table: &Table) -> Result<BTreeSet<Path>> {
    objects_of(table, table.live_vectors()?)
}

/// The objects that the log's newest part names: removals that its last checkpoint keeps (seven days), and all that
/// commits since then add or remove.
fn logged_objects(table: &Table) -> Result<BTreeSet<Path>> {
    let log = table.lake().list(&format!("{}/_delta_log", table.name()))?;
    let files = || log.iter().filter_map(|object| Some((object.path.as_str(), log_version(&object.path)?)));
    let is_checkpoint = |rest: &str| rest.starts_with("checkpoint");
    let newest = files().filter(|(_, (_, rest))| is_checkpoint(rest)).map(|(_, (version, _))| version).max();
    let is_newer = |version: u64| newest.is_none_or(|newest| version > newest);
    let commits: Vec<&str> =
        files().filter(|(_, (version, rest))| *rest == "json" && is_newer(*version)).map(|(path, _)| path).collect();
    let checkpoint =
        |(version, rest): &(u64, &str)| Some(*version) == newest && is_checkpoint(rest) && rest.ends_with("parquet");
    let checkpoints: Vec<&str> = files().filter(|(_, name)| checkpoint(name)).map(|(path, _)| path).collect();
    let mut names = Vec::new();
    for bytes in table.lake().get_all(&commits)? {
        names.extend(commit_names(&bytes)?);
    }
    for bytes in table.lake().get_all(&checkpoints)? {
        names.extend(checkpoint_removals(bytes)?);
    }
    objects_of(table, names)
}

/// The places of data files and of their deletion vectors.
fn objects_of(table: &Table, names: Vec<(String, Option<Vector>)>) -> Result<BTreeSet<Path>> {
    let mut objects = BTreeSet::new();
    for (path, vector) in names {
        objects.insert(table.object(&path)?);
        let Some(vector) = vector else {
            continue;
        };
        let url = vector.descriptor()?.absolute_path(table.url());
        if let Some(url) = url.map_err(|error| kernel_error("find a deletion vector", error))? {
            let path = Path::from_url_path(url.path());
            objects.insert(path.map_err(|error| Error::data("a deletion vector has no path").with_source(error))?);
        }
    }
    Ok(objects)
}

/// What a line of a commit says of a file.
#[derive(Deserialize)]
struct Action {
    add: Option<FileAction>,
    remove: Option<FileAction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileAction {
    path: String,
    deletion_vector: Option<Vector>,
}

fn commit_names(bytes: &[u8]) -> Result<Vec<(String, Option<Vector>)>> {
    let mut names = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let action: Action = serde_json::from_slice(line)
            .map_err(|error| Error::data("a commit of a table's log cannot be read").with_source(error))?;
        names.extend(action.add.into_iter().chain(action.remove).map(|file| (file.path, file.deletion_vector)));
    }
    Ok(names)
}

fn checkpoint_removals(bytes: Bytes) -> Result<Vec<(String, Option<Vector>)>> {
    let failed = |error| Error::data("a checkpoint of a table's log cannot be read").with_source(error);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(failed)?;
    let columns = ["remove.path", "remove.deletionVector"];
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let mut names = Vec::new();
    for batch in builder.with_projection(mask).build().map_err(failed)? {
        let batch =
            batch.map_err(|error| Error::data("a checkpoint of a table's log cannot be read").with_source(error))?;
        let Some(removes) = batch.column_by_name("remove").and_then(|column| column.as_struct_opt()) else {
            continue;
        };
        let (paths, vectors) = (removes.column_by_name("path"), removes.column_by_name("deletionVector"));
        for row in (0..removes.len()).filter(|row| removes.is_valid(*row)) {
            if let Some(path) = paths.and_then(|paths| text_at(paths, row)) {
                names.push((path, vectors.and_then(|vectors| vector_at(vectors.as_struct_opt()?, row))));
            }
        }
    }
    Ok(names)
}

fn text_at(column: &ArrayRef, row: usize) -> Option<String> {
    let texts = column.as_string_opt::<i32>()?;
    texts.is_valid(row).then(|| texts.value(row).to_owned())
}

/// The deletion vector in row `row` of a column of them.
pub fn vector_at(vectors: &StructArray, row: usize) -> Option<Vector> {
    if vectors.is_null(row) {
        return None;
    }
    let integer = |name: &str| {
        let column = vectors.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
        column.is_valid(row).then(|| column.value(row))
    };
    Some(Vector {
        storage_type: text_at(vectors.column_by_name("storageType")?, row)?,
        path_or_inline_dv: text_at(vectors.column_by_name("pathOrInlineDv")?, row)?,
        offset: integer("offset"),
        size_in_bytes: integer("sizeInBytes")?,
        cardinality: vectors
            .column_by_name("cardinality")?
            .as_primitive_opt::<catchment_contract::arrow::datatypes::Int64Type>()?
            .value(row),
    })
}

//! A Delta table: whose it is, its columns, and what its newest version holds. Commits to it are in `commit`.
//!
//! A table has one writer. Its properties say whose it is (`catchment.owner`, `catchment.sink`, `catchment.mode`).

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::array::AsArray;
use catchment_contract::{Error, ErrorKind, Result, Retries, RetryPolicy};
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::scan::state::ScanFile;
use delta_kernel::schema::StructField;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel::transaction::{CommitResult, UpdateTableOperation, WriteState};
use delta_kernel::{KernelError, Snapshot, SnapshotRef};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use object_store::path::Path;
use url::Url;

use crate::lake::columns::PartitionValues;
use crate::lake::spec::LakeSpec;
use crate::lake::staged::Vector;
use crate::lake::upkeep::vector_at;
use catchment_store::{LakeStore, runtime};

/// What writes our tables, in their commits.
pub(super) const ENGINE: &str = concat!("catchment/", env!("CARGO_PKG_VERSION"));

const OWNER: &str = "catchment.owner";
const SINK: &str = "catchment.sink";
const MODE: &str = "catchment.mode";

type Engine = DefaultEngine<TokioMultiThreadExecutor>;

/// An open table.
#[derive(Debug)]
pub struct Table {
    pub(super) lake: LakeStore,
    /// Its path below the lake.
    pub(super) name: String,
    /// Its URL, with a slash at its end.
    pub(super) url: Url,
    pub(super) engine: Arc<Engine>,
    pub(super) snapshot: SnapshotRef,
}

/// A data file that the table's newest version holds.
#[derive(Clone, Debug)]
pub struct LiveFile {
    /// Its path as in the log.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub modified_ms: i64,
    /// Rows in it, deleted ones too.
    pub rows: u64,
    /// Its partition.
    pub partition: PartitionValues,
    /// Positions of the rows that its deletion vector removes.
    pub deleted: Vec<u64>,
}

impl Table {
    /// Opens the table of `spec` for `job`; makes it if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] if it is another job's or sink's, or not ours at all; [`ErrorKind::Invalid`] if its columns
    /// or mode are not those of `spec`.
    pub fn open(lake: LakeStore, spec: &LakeSpec, job: &str) -> Result<Self> {
        let name = spec.table.clone();
        let url = lake
            .root()
            .join(&format!("{name}/"))
            .map_err(|error| Error::user(format!("\"{name}\" is not the path of a table")).with_source(error))?;
        let executor = TokioMultiThreadExecutor::new(runtime()?);
        let engine =
            DefaultEngineBuilder::new(Arc::clone(lake.object_store())).with_task_executor(Arc::new(executor)).build();
        let engine = Arc::new(engine);
        let log = lake.list(&format!("{name}/_delta_log"))?;
        let snapshot = if log.iter().any(|object| object.path.ends_with(".json") || object.path.ends_with(".parquet")) {
            Self::load(&url, &engine, &name)?
        } else {
            lake.probe()?;
            Self::refuse_strangers(&lake, &name)?;
            lake.make_folder(&name)?;
            Self::create(&url, &engine, spec, job)?
        };
        let mut table = Table { lake, name, url, engine, snapshot };
        table.check_owner(spec, job)?;
        table.check_columns(spec)?;
        Ok(table)
    }

    fn load(url: &Url, engine: &Engine, name: &str) -> Result<SnapshotRef> {
        Snapshot::builder_for(url).build(engine).map_err(|error| kernel_error(&format!("read table \"{name}\""), error))
    }

    /// A folder that holds files and no log is somebody's; a folder of ours without a log was never opened to its end
    /// and holds none.
    fn refuse_strangers(lake: &LakeStore, name: &str) -> Result<()> {
        let strange = lake.list(name)?.into_iter().find(|object| !object.path.contains("/_delta_log/"));
        let Some(object) = strange else {
            return Ok(());
        };
        Err(Error::user(format!("cannot make table \"{name}\": its folder holds \"{}\" and no table", object.path))
            .with_kind(ErrorKind::Taken)
            .with_hint("give the sink another table = '…', or move what is there away"))
    }

    fn create(url: &Url, engine: &Engine, spec: &LakeSpec, job: &str) -> Result<SnapshotRef> {
        let what = format!("make table \"{}\"", spec.table);
        let schema = Arc::new(spec.columns.kernel_schema()?);
        let mut properties: Vec<(String, String)> = [
            (OWNER, job),
            (SINK, spec.sink.as_str()),
            (MODE, spec.mode.name()),
            ("delta.enableDeletionVectors", "true"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        properties.push(("delta.dataSkippingStatsColumns".to_owned(), spec.stats_columns().join(",")));
        let mut builder = create_table(url.as_str(), schema, ENGINE, true).with_table_properties(properties);
        if !spec.columns.partition.is_empty() {
            let names: Vec<&str> = spec.columns.partition.iter().map(|column| column.name.as_str()).collect();
            builder = builder.with_data_layout(DataLayout::partitioned(names));
        }
        let made = builder
            .build(engine, Box::new(FileSystemCommitter::new()))
            .and_then(|transaction| transaction.commit(engine));
        match made {
            Ok(CommitResult::Committed(done)) => match done.post_commit_snapshot() {
                Some(snapshot) => Ok(Arc::clone(snapshot)),
                None => Self::load(url, engine, &spec.table),
            },
            // The reply was lost or another was first: what is there decides, and its owner is looked at next.
            Ok(_) => Self::load(url, engine, &spec.table),
            Err(error) => Snapshot::builder_for(url).build(engine).map_err(|_| kernel_error(&what, error)),
        }
    }

    fn check_owner(&self, spec: &LakeSpec, job: &str) -> Result<()> {
        let properties = self.snapshot.metadata_configuration();
        let property = |key: &str| properties.get(key).map(String::as_str);
        let taken = |text: String| Err(Error::user(text).with_kind(ErrorKind::Taken));
        let name = &self.name;
        let hint =
            "give the sink another table = '…', the job another lake, or remove the table's folder if nobody needs it";
        match (property(OWNER), property(SINK)) {
            (None, _) | (_, None) => taken(format!("table \"{name}\" was not made by catchment"))
                .map_err(|error: Error| error.with_hint(hint)),
            (Some(owner), _) if owner != job => {
                taken(format!("table \"{name}\" belongs to job \"{owner}\", and this is job \"{job}\""))
                    .map_err(|error: Error| error.with_hint(hint))
            }
            (_, Some(sink)) if sink != spec.sink => taken(format!(
                "table \"{name}\" belongs to sink \"{sink}\" of this job, and this is sink \"{}\"",
                spec.sink
            ))
            .map_err(|error: Error| error.with_hint("give one of the two another table = '…'")),
            _ if property(MODE) != Some(spec.mode.name()) => {
                let was = property(MODE).unwrap_or("unknown");
                Err(Error::user(format!("table \"{name}\" has mode {was}, and the sink asks for {}", spec.mode.name()))
                    .with_hint(format!("write mode = '{was}', or give the sink another table = '…'")))
            }
            _ => Ok(()),
        }
    }

    /// Adds columns that are new in the view; refuses every other difference.
    fn check_columns(&mut self, spec: &LakeSpec) -> Result<()> {
        let wanted = spec.columns.kernel_schema()?;
        let found = self.snapshot.schema();
        let refused = |text: String| {
            Err(Error::user(format!("table \"{}\" cannot follow its view: {text}", self.name))
                .with_hint("a table may gain columns; for other changes give the sink another table = '…'"))
        };
        let names: Vec<&String> = spec.columns.partition.iter().map(|column| &column.name).collect();
        let table_names: Vec<&String> =
            self.snapshot.table_configuration().logical_partition_columns().iter().collect();
        if names != table_names {
            let list = |names: &[&String]| match names {
                [] => "no column".to_owned(),
                some => some.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
            };
            let (was, is) = (list(&table_names), list(&names));
            return refused(format!("it is partitioned by {was}, and the sink asks for {is}"));
        }
        for field in found.fields() {
            match wanted.field(field.name()) {
                None => return refused(format!("column \"{}\" is gone", field.name())),
                Some(now) if now.data_type() != field.data_type() => {
                    let (was, is) = (field.data_type(), now.data_type());
                    return refused(format!("column \"{}\" has type {was}, and now {is}", field.name()));
                }
                Some(_) => {}
            }
        }
        let new: Vec<StructField> =
            wanted.fields().filter(|field| found.field(field.name()).is_none()).cloned().collect();
        if new.is_empty() { Ok(()) } else { self.add_columns(new) }
    }

    fn add_columns(&mut self, new: Vec<StructField>) -> Result<()> {
        let mut retries = Retries::new(RetryPolicy::default(), self.lake.environment().clone());
        let what = format!("add columns to table \"{}\"", self.name);
        loop {
            let mut builder = self.snapshot.clone().update_table(UpdateTableOperation::AlterTable, ENGINE, false);
            for field in &new {
                builder = builder.add_column(field.clone());
            }
            let done = builder
                .build(self.engine.as_ref(), Box::new(FileSystemCommitter::new()))
                .and_then(|transaction| transaction.commit(self.engine.as_ref()));
            self.refresh()?;
            if new.iter().all(|field| self.snapshot.schema().field(field.name()).is_some()) {
                return Ok(());
            }
            let failure = match done {
                Err(error) => kernel_error(&what, error),
                Ok(_) => Error::remote(format!("could not {what}")),
            };
            retries.wait(&what, failure)?;
        }
    }

    /// The lake that holds the table.
    pub fn lake(&self) -> &LakeStore {
        &self.lake
    }

    /// Its path below the lake.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, with a slash at its end.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The newest version that we know of.
    pub fn snapshot(&self) -> &SnapshotRef {
        &self.snapshot
    }

    /// The place in the object store of a path as in the log.
    ///
    /// # Errors
    /// [`Fault::Data`] if it is no path.
    pub fn object(&self, path: &str) -> Result<Path> {
        let bad = || Error::data(format!("table \"{}\" names a file \"{path}\", which is no path", self.name));
        let url = self.url.join(path).map_err(|error| bad().with_source(error))?;
        Path::from_url_path(url.path()).map_err(|error| bad().with_source(error))
    }

    /// Reads the log's newest part.
    ///
    /// # Errors
    /// If the store fails.
    pub fn refresh(&mut self) -> Result<()> {
        let newer = Snapshot::builder_from(Arc::clone(&self.snapshot)).build(self.engine.as_ref());
        self.snapshot = newer.map_err(|error| kernel_error(&format!("read table \"{}\"", self.name), error))?;
        Ok(())
    }

    /// The number of the last committed transaction of `app`.
    ///
    /// # Errors
    /// If the store fails.
    pub fn last_number(&self, app: &str) -> Result<Option<i64>> {
        self.snapshot
            .get_app_id_version(app, self.engine.as_ref())
            .map_err(|error| kernel_error(&format!("read table \"{}\"", self.name), error))
    }

    /// What writers of data files need to know.
    ///
    /// # Errors
    /// None for a table that can be written.
    pub fn write_state(&self) -> Result<Arc<WriteState>> {
        self.transaction(UpdateTableOperation::StreamingUpdate, true, &[])
            .and_then(|transaction| transaction.write_state())
            .map_err(|error| kernel_error(&format!("write to table \"{}\"", self.name), error))
    }

    /// All data files of the newest version.
    ///
    /// # Errors
    /// If the store fails, or a file's entry is not one of ours.
    pub fn live_files(&self) -> Result<Vec<LiveFile>> {
        let failed = |error| kernel_error(&format!("read table \"{}\"", self.name), error);
        let scan = self.snapshot.clone().scan_builder().build().map_err(failed)?;
        let mut found: Vec<ScanFile> = Vec::new();
        for part in scan.scan_metadata(self.engine.as_ref()).map_err(failed)? {
            found = part.map_err(failed)?.visit_scan_files(found, |all, file| all.push(file)).map_err(failed)?;
        }
        let names = self.snapshot.table_configuration().logical_partition_columns();
        let live = |file: ScanFile| {
            let rows = file.stats.map(|stats| stats.num_records).ok_or_else(|| {
                Error::data(format!("file \"{}\" of table \"{}\" has no count of rows", file.path, self.name))
            })?;
            let deleted = file.dv_info.get_row_indexes(self.engine.as_ref(), &self.url).map_err(failed)?;
            let mut values = file.partition_values;
            let partition: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), values.remove(name))).collect();
            Ok(LiveFile {
                path: file.path,
                bytes: file.size.max(0) as u64,
                modified_ms: file.modification_time,
                rows,
                partition,
                deleted: deleted.unwrap_or_default(),
            })
        };
        found.into_iter().map(live).collect()
    }

    /// All data files of the newest version with their deletion vectors.
    ///
    /// # Errors
    /// If the store fails.
    pub fn live_vectors(&self) -> Result<Vec<(String, Option<Vector>)>> {
        let failed = |error| kernel_error(&format!("read table \"{}\"", self.name), error);
        let scan = self.snapshot.clone().scan_builder().build().map_err(failed)?;
        let mut found = Vec::new();
        for part in scan.scan_metadata(self.engine.as_ref()).map_err(failed)? {
            let (data, live) = part.map_err(failed)?.scan_files.into_parts();
            let rows = data.try_into_record_batch().map_err(failed)?;
            let missing = || Error::bug("a scan has no paths");
            let paths =
                rows.column_by_name("path").and_then(|column| column.as_string_opt::<i32>()).ok_or_else(missing)?;
            let vectors =
                rows.column_by_name("deletionVector").and_then(|column| column.as_struct_opt()).ok_or_else(missing)?;
            for (row, path) in paths.iter().enumerate().filter(|(row, _)| live.get(*row).copied().unwrap_or(true)) {
                found.extend(path.map(|path| (path.to_owned(), vector_at(vectors, row))));
            }
        }
        Ok(found)
    }

    /// Writes the snapshot's checksum file, which makes the next open fast; a failure costs nothing but that.
    pub fn write_checksum(&mut self) {
        match self.snapshot.write_checksum(self.engine.as_ref()) {
            Ok((_, snapshot)) => self.snapshot = snapshot,
            Err(error) => tracing::debug!(table = self.name, %error, "no checksum written"),
        }
    }

    /// Writes a checkpoint of the log at the snapshot's version.
    ///
    /// # Errors
    /// If the store fails; the table is as it was.
    pub fn checkpoint(&mut self) -> Result<()> {
        let done = self.snapshot.checkpoint(self.engine.as_ref(), None);
        let (_, snapshot) =
            done.map_err(|error| kernel_error(&format!("checkpoint table \"{}\"", self.name), error))?;
        self.snapshot = snapshot;
        Ok(())
    }
}

/// A kernel's error in our words. Its own text never leads: it may hold a backtrace.
pub fn kernel_error(what: &str, error: KernelError) -> Error {
    match &error {
        KernelError::ObjectStore(
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. },
        ) => Error::user(format!("cannot {what}: permission denied")).with_kind(ErrorKind::Denied).with_source(error),
        KernelError::Unsupported(_) | KernelError::Schema(_) => {
            Error::data(format!("cannot {what}")).with_source(error)
        }
        _ => Error::remote(format!("could not {what}")).with_source(error),
    }
}

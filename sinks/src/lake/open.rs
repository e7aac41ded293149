//! Opening a table: finding or making it, checking whose it is, fencing it, and giving it the view's columns.

use std::sync::Arc;

use catchment_contract::{Error, ErrorKind, Result, Retries, RetryPolicy, SinkContext};
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::schema::StructField;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel::transaction::{CommitResult, UpdateTableOperation};
use delta_kernel::{Snapshot, SnapshotRef};

use crate::lake::commit::{Change, ENGINE};
use crate::lake::entry::{FileEntry, Totals};
use crate::lake::kernel::kernel_error;
use crate::lake::seal::{DOMAIN, Seal};
use crate::lake::spec::LakeSpec;
use crate::lake::staged::StagedCommit;
use crate::lake::table::{Table, engine, load, table_url};
use crate::lake::vacuum::Stored;
use crate::lake::writer::VECTORS;
use catchment_store::LakeStore;

const OWNER: &str = "catchment.owner";
const SINK: &str = "catchment.sink";
const MODE: &str = "catchment.mode";

/// What an open found of a table.
pub struct Found {
    /// The data files of its newest version.
    pub entries: Vec<FileEntry>,
    /// What lies in its folders, if anybody looked.
    pub stored: Option<Stored>,
}

/// Whether there is a log of table `name`.
fn has_log(lake: &LakeStore, name: &str) -> Result<bool> {
    let objects = lake.list(&format!("{name}/_delta_log"))?;
    Ok(objects.iter().any(|object| object.path.ends_with(".json") || object.path.ends_with(".parquet")))
}

impl Table {
    /// Opens the table of `spec` for the job of `context`, and fences earlier runs of it. Makes the table if it is missing
    /// and the job has no checkpoint of it.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] if it is another job's or sink's, or not ours at all, or a newer run has begun;
    /// [`ErrorKind::NotFound`] if it is missing and `expected` is not; [`ErrorKind::Invalid`] if its columns or mode are not
    /// those of `spec`; [`catchment_contract::Fault::Data`] if it is damaged or not what `expected` left.
    pub fn open(
        lake: LakeStore,
        spec: &LakeSpec,
        context: &SinkContext,
        expected: Option<&StagedCommit>,
    ) -> Result<(Self, Found)> {
        let name = spec.table.clone();
        let url = table_url(&lake, &name)?;
        let engine = engine(&lake)?;
        let environment = lake.environment().clone();
        let run = environment.unique_name();
        let seal = Seal::new(&run, Totals::default());
        let read = RetryPolicy::default()
            .run(&environment, &format!("read table \"{name}\""), || load(&url, &engine, &name, None));
        let snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(error) if has_log(&lake, &name)? => return Err(error),
            Err(_) if expected.is_none() => {
                lake.probe()?;
                refuse_strangers(&lake, &name)?;
                lake.make_folder(&name)?;
                let make = || create(&lake, spec, &context.job, &seal);
                RetryPolicy::default().run(&environment, &format!("make table \"{name}\""), make)?
            }
            Err(_) => {
                return Err(Error::data(format!("table \"{name}\" is gone: its folder holds no log"))
                    .with_kind(ErrorKind::NotFound));
            }
        };
        let (lease, job) = (Arc::clone(&context.lease), context.job.clone());
        let app = expected.map_or(format!("{job}/{}", spec.sink), |expected| expected.app.clone());
        let app = (app, None);
        let mut table = Table { lake, environment, lease, job, name, url, engine, snapshot, seal, run, app };
        table.check_owner(spec)?;
        let new = table.missing_columns(spec)?;
        let found = table.fence(expected)?;
        table.add_columns(new)?;
        Ok((table, found))
    }

    /// Makes this run the one that may write, if the table is what `expected` left. Returns what it found of the version
    /// that it did so on.
    fn fence(&mut self, expected: Option<&StagedCommit>) -> Result<Found> {
        let mut retries = Retries::new(RetryPolicy::default(), self.environment.clone());
        loop {
            let entries = self.read_seal()?;
            self.app.1 = self.number_of(&self.app.0)?;
            // The log was read before: if no newer run had begun by now, none has fenced the version we commit on.
            self.check_lease()?;
            let stored = expected.map(|expected| expected.check_against(self, &entries)).transpose()?;
            if self.seal.run == self.run {
                return Ok(Found { entries, stored });
            }
            match self.try_commit(&Change::fence(self.clock_ms())) {
                Ok(()) => return Ok(Found { entries, stored }),
                Err(error) => retries.wait("take over a table", error)?,
            }
            self.refresh()?;
        }
    }

    fn check_owner(&self, spec: &LakeSpec) -> Result<()> {
        let properties = self.snapshot.metadata_configuration();
        let property = |key: &str| properties.get(key).map(String::as_str);
        let name = &self.name;
        let taken =
            |text: String, hint: &str| Err(Error::user(text).with_kind(ErrorKind::Taken).with_hint(hint.to_owned()));
        let hint =
            "give the sink another table = '…', the job another lake, or remove the table's folder if nobody needs it";
        match (property(OWNER), property(SINK)) {
            (None, _) | (_, None) => taken(format!("table \"{name}\" was not made by catchment"), hint),
            (Some(owner), _) if owner != self.job => {
                taken(format!("table \"{name}\" belongs to job \"{owner}\", and this is job \"{}\"", self.job), hint)
            }
            (_, Some(sink)) if sink != spec.sink => taken(
                format!("table \"{name}\" belongs to sink \"{sink}\" of this job, and this is sink \"{}\"", spec.sink),
                "give one of the two another table = '…'",
            ),
            _ if property(MODE) != Some(spec.mode.name()) => {
                let was = property(MODE).unwrap_or("unknown");
                Err(Error::user(format!("table \"{name}\" has mode {was}, and the sink asks for {}", spec.mode.name()))
                    .with_hint(format!("write mode = '{was}', or give the sink another table = '…'")))
            }
            _ => Ok(()),
        }
    }

    /// The columns that are new in the view; refuses every other difference.
    fn missing_columns(&self, spec: &LakeSpec) -> Result<Vec<StructField>> {
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
        Ok(wanted.fields().filter(|field| found.field(field.name()).is_none()).cloned().collect())
    }

    fn add_columns(&mut self, new: Vec<StructField>) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let mut retries = Retries::new(RetryPolicy::default(), self.environment.clone());
        loop {
            let mut builder = self.snapshot.clone().update_table(UpdateTableOperation::AlterTable, ENGINE, false);
            for field in &new {
                builder = builder.add_column(field.clone());
            }
            let done = builder
                .build(self.engine.as_ref(), Box::new(FileSystemCommitter::new()))
                .and_then(|transaction| transaction.commit(self.engine.as_ref()));
            self.refresh()?;
            self.check_fence()?;
            if new.iter().all(|field| self.snapshot.schema().field(field.name()).is_some()) {
                return Ok(());
            }
            let what = format!("add columns to table \"{}\"", self.name);
            let error = match done {
                Err(error) => kernel_error(&what, &self.name, error),
                Ok(_) => Error::remote(format!("could not {what}")),
            };
            retries.wait(&what, error)?;
        }
    }
}

/// A folder that holds files and no log is somebody's; a folder of ours without a log was never opened to its end and
/// holds none.
fn refuse_strangers(lake: &LakeStore, name: &str) -> Result<()> {
    let found = lake.list(name)?;
    // Where a repair found no version that can be read, the data files are left for the vacuum of the next run.
    let repaired = found.iter().any(|object| object.path.starts_with(&format!("{name}/_lost/")));
    let of_repair = ["hot", "data", VECTORS, "_lost"].map(|folder| format!("{name}/{folder}/"));
    let is_ours = |path: &str| {
        path.contains("/_delta_log/") || (repaired && of_repair.iter().any(|folder| path.starts_with(folder)))
    };
    let strange = found.iter().find(|object| !is_ours(&object.path));
    let Some(object) = strange else {
        return Ok(());
    };
    Err(Error::user(format!("cannot make table \"{name}\": its folder holds \"{}\" and no table", object.path))
        .with_kind(ErrorKind::Taken)
        .with_hint("give the sink another table = '…', or move what is there away"))
}

/// Makes the table of `spec` for `job`; if another was first, reads what that made.
///
/// # Errors
/// If the store fails.
pub fn create(lake: &LakeStore, spec: &LakeSpec, job: &str, seal: &Seal) -> Result<SnapshotRef> {
    let (url, engine) = (table_url(lake, &spec.table)?, engine(lake)?);
    let mut properties: Vec<(String, String)> = [
        (OWNER, job),
        (SINK, spec.sink.as_str()),
        (MODE, spec.mode.name()),
        ("delta.enableDeletionVectors", "true"),
        ("delta.feature.domainMetadata", "supported"),
        ("delta.dataSkippingStatsColumns", &spec.stats_columns().join(",")),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let minutes = spec.retention.as_secs().div_ceil(60);
    properties.push(("delta.deletedFileRetentionDuration".to_owned(), format!("interval {minutes} minutes")));
    let schema = Arc::new(spec.columns.kernel_schema()?);
    let mut builder = create_table(url.as_str(), schema, ENGINE, true).with_table_properties(properties);
    if !spec.columns.partition.is_empty() {
        let names: Vec<&str> = spec.columns.partition.iter().map(|column| column.name.as_str()).collect();
        builder = builder.with_data_layout(DataLayout::partitioned(names));
    }
    let text = seal.to_text()?;
    let made = builder
        .build(engine.as_ref(), Box::new(FileSystemCommitter::new()))
        .and_then(|transaction| transaction.with_domain_metadata(DOMAIN.to_owned(), text).commit(engine.as_ref()));
    match made {
        Ok(CommitResult::Committed(done)) => match done.post_commit_snapshot() {
            Some(snapshot) => Ok(Arc::clone(snapshot)),
            None => load(&url, &engine, &spec.table, None),
        },
        // The reply was lost or another was first: what is there decides, and its owner is looked at next.
        Ok(_) => load(&url, &engine, &spec.table, None),
        Err(error) => Snapshot::builder_for(&url)
            .build(engine.as_ref())
            .map_err(|_| kernel_error(&format!("make table \"{}\"", spec.table), &spec.table, error)),
    }
}

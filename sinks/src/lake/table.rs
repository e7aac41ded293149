//! A Delta table: its newest version, whose it is, and the run that may write to it.
//!
//! A table has one writer at a time. Its properties say whose it is (`catchment.owner`, `catchment.sink`,
//! `catchment.mode`), its [`Seal`] which run may write.
//!
//! **Fencing.** An open commits a seal with its own run before it removes anything. A commit is a put of the next
//! version's file *if absent*, made on a version whose seal names the run. So whatever a run that was paused or cut off
//! from the network still puts after that finds its version taken; it reads the newer seal and stops. A run that opens
//! reads the log first and asks for its lease then: one that has lost it fences nobody.

use std::sync::Arc;

use catchment_contract::{Environment, Error, ErrorKind, Lease, Result, RetryPolicy};
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::transaction::{UpdateTableOperation, WriteState};
use delta_kernel::{KernelError, Snapshot, SnapshotRef};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use object_store::DynObjectStore;
use object_store::path::Path;
use url::Url;

use crate::lake::entry::{FileEntry, Totals, scanned_entries};
use crate::lake::kernel::{damaged, kernel_error};
use crate::lake::seal::{DOMAIN, Seal};
use crate::lake::staged::Vector;
use catchment_store::{LakeStore, runtime};

pub(super) type Engine = DefaultEngine<TokioMultiThreadExecutor>;

/// An open table.
#[derive(Debug)]
pub struct Table {
    pub(super) lake: LakeStore,
    pub(super) environment: Environment,
    pub(super) lease: Arc<dyn Lease>,
    pub(super) job: String,
    /// Its path below the lake.
    pub(super) name: String,
    /// Its URL, with a slash at its end.
    pub(super) url: Url,
    pub(super) engine: Arc<Engine>,
    pub(super) snapshot: SnapshotRef,
    /// What the newest version says of itself.
    pub(super) seal: Seal,
    /// This run, as seals name it.
    pub(super) run: String,
    /// The transaction id of its checkpoints, and the number of the last one that was committed.
    pub(super) app: (String, Option<i64>),
}

/// The engine that reads and writes logs in `lake`.
///
/// # Errors
/// If there are no threads to be had.
pub fn engine(lake: &LakeStore) -> Result<Arc<Engine>> {
    engine_on(Arc::clone(lake.object_store()))
}

/// The engine that reads and writes logs in `store`.
///
/// # Errors
/// If there are no threads to be had.
pub fn engine_on(store: Arc<DynObjectStore>) -> Result<Arc<Engine>> {
    let executor = TokioMultiThreadExecutor::new(runtime()?);
    let builder = DefaultEngineBuilder::new(store);
    Ok(Arc::new(builder.with_task_executor(Arc::new(executor)).build()))
}

/// The URL of table `name`, with a slash at its end.
///
/// # Errors
/// If `name` is no path.
pub fn table_url(lake: &LakeStore, name: &str) -> Result<Url> {
    let joined = lake.root().join(&format!("{name}/"));
    joined.map_err(|error| Error::user(format!("\"{name}\" is not the path of a table")).with_source(error))
}

/// The newest version, or `version`, read from scratch.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if the log is damaged.
pub fn load(url: &Url, engine: &Engine, name: &str, version: Option<u64>) -> Result<SnapshotRef> {
    let mut builder = Snapshot::builder_for(url);
    if let Some(version) = version {
        builder = builder.at_version(version);
    }
    builder.build(engine).map_err(|error| kernel_error(&format!("read table \"{name}\""), name, error))
}

/// All data files of a version.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if the log is damaged.
pub fn entries_of(snapshot: &SnapshotRef, engine: &Engine, name: &str) -> Result<Vec<FileEntry>> {
    let failed = |error| kernel_error(&format!("read table \"{name}\""), name, error);
    let columns = snapshot.table_configuration().logical_partition_columns();
    let scan = snapshot.clone().scan_builder().build().map_err(failed)?;
    let mut found = Vec::new();
    for part in scan.scan_metadata(engine).map_err(failed)? {
        let (data, live) = part.map_err(failed)?.scan_files.into_parts();
        let rows = data.try_into_record_batch().map_err(failed)?;
        let entries = scanned_entries(&rows, &live, columns).map_err(|error| damaged(name, error))?;
        found.extend(entries.into_iter().map(|(_, entry)| entry));
    }
    Ok(found)
}

/// The seal of a version; `None` for a table that has none.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if the log is damaged.
pub fn seal_of(snapshot: &SnapshotRef, engine: &Engine, name: &str) -> Result<Option<Seal>> {
    let failed = |error| kernel_error(&format!("read table \"{name}\""), name, error);
    let text = snapshot.get_domain_metadata(DOMAIN, engine).map_err(failed)?;
    text.map(|text| Seal::from_text(&text, name)).transpose()
}

/// Checks that a version's files add up to its seal.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if they do not.
pub fn check_totals(name: &str, version: u64, seal: &Seal, entries: &[FileEntry]) -> Result<()> {
    let found = Totals::of(entries);
    if found == seal.totals {
        return Ok(());
    }
    let said = seal.totals;
    let counts = |totals: Totals| format!("{} rows in {} files", totals.rows, totals.files);
    let difference = match (counts(found), counts(said)) {
        (found, said) if found == said => format!("its log names other files than version {version} was made of"),
        (found, said) => format!("its log adds up to {found}, and its version {version} was made with {said}"),
    };
    Err(damaged(name, Error::data(difference)))
}

/// What a run of `job` is told that a newer one has taken over from.
pub fn taken(job: &str, table: &str) -> Error {
    Error::user(format!("another run of job \"{job}\" has taken over table \"{table}\"")).with_kind(ErrorKind::Taken).with_hint(
        "nothing is lost, the newer run goes on from the last checkpoint: run only one instance of a job at a time, or give the second one \
         another --lake",
    )
}

/// `error`, unless it is what a run sees whose table a newer one goes on with: files that it knew are gone for good reason.
pub fn blame(lease: &dyn Lease, job: &str, table: &str, error: Error) -> Error {
    if lease.is_held().is_ok_and(|held| !held) { taken(job, table) } else { error }
}

impl Table {
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

    /// Its newest version's number.
    pub fn version(&self) -> u64 {
        self.snapshot.version()
    }

    /// Its id, which another table at the same place would not have.
    pub fn id(&self) -> &str {
        self.snapshot.table_configuration().metadata().id()
    }

    /// This run's name: 32 hexadecimal digits that no other run has.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The run's right to write.
    pub fn lease(&self) -> &dyn Lease {
        &*self.lease
    }

    /// The time of day, in milliseconds since 1970.
    pub fn clock_ms(&self) -> i64 {
        self.environment.wall_micros().div_euclid(1000)
    }

    /// The transaction id of its checkpoints.
    pub fn app(&self) -> &str {
        &self.app.0
    }

    /// Number of the last checkpoint that was committed.
    pub fn published(&self) -> Option<u64> {
        self.app.1.and_then(|number| u64::try_from(number).ok())
    }

    /// Takes another transaction id for its checkpoints.
    ///
    /// # Errors
    /// If the store fails.
    pub fn set_app(&mut self, app: &str) -> Result<()> {
        self.app = (app.to_owned(), self.number_of(app)?);
        Ok(())
    }

    /// The number of the last committed transaction of `app`.
    pub(super) fn number_of(&self, app: &str) -> Result<Option<i64>> {
        let number = self.snapshot.get_app_id_version(app, self.engine.as_ref());
        number.map_err(|error| kernel_error(&format!("read table \"{}\"", self.name), &self.name, error))
    }

    /// The place in the object store of a path as in the log.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is no path.
    pub fn object(&self, path: &str) -> Result<Path> {
        let bad = || Error::data(format!("table \"{}\" names a file \"{path}\", which is no path", self.name));
        let url = self.url.join(path).map_err(|error| bad().with_source(error))?;
        Path::from_url_path(url.path()).map_err(|error| bad().with_source(error))
    }

    /// The place in the object store of a deletion vector; `None` if it lies in the log itself.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is no path.
    pub fn vector_object(&self, vector: &Vector) -> Result<Option<Path>> {
        let url = vector.descriptor()?.absolute_path(&self.url);
        let url = url.map_err(|error| kernel_error("find a deletion vector", &self.name, error))?;
        let path = url.map(|url| Path::from_url_path(url.path())).transpose();
        path.map_err(|error| Error::data("a deletion vector has no path").with_source(error))
    }

    /// Reads the log's newest part; failures of the store are waited out.
    ///
    /// # Errors
    /// If the store fails for too long, or the log is damaged.
    pub fn refresh(&mut self) -> Result<()> {
        let what = format!("read table \"{}\"", self.name);
        self.snapshot = RetryPolicy::default().run(&self.environment, &what, || {
            let newer = Snapshot::builder_from(Arc::clone(&self.snapshot)).build(self.engine.as_ref());
            newer.map_err(|error| kernel_error(&what, &self.name, error))
        })?;
        self.read_seal()?;
        self.app.1 = self.number_of(&self.app.0)?;
        Ok(())
    }

    /// Reads the seal of the newest version, and checks that its files add up to it.
    pub(super) fn read_seal(&mut self) -> Result<Vec<FileEntry>> {
        let seal = seal_of(&self.snapshot, &self.engine, &self.name)?.ok_or_else(|| {
            let text = format!("table \"{}\" was made by another version of catchment", self.name);
            Error::data(text).with_hint("give the sink another table = '…', or remove the table's folder")
        })?;
        let entries = self.entries()?;
        check_totals(&self.name, self.version(), &seal, &entries)?;
        self.seal = seal;
        Ok(entries)
    }

    /// Checks that no newer run has begun.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] if one has: this run must stop, and nothing is lost.
    pub fn check_lease(&self) -> Result<()> {
        if self.lease.is_held()? { Ok(()) } else { Err(taken(&self.job, &self.name)) }
    }

    /// Checks, after a commit that did not come through, that this run may still write.
    pub(super) fn check_fence(&self) -> Result<()> {
        if self.seal.run == self.run { self.check_lease() } else { Err(taken(&self.job, &self.name)) }
    }

    /// `error`, unless it is what a run sees whose table a newer one goes on with.
    pub fn blame(&self, error: Error) -> Error {
        blame(&*self.lease, &self.job, &self.name, error)
    }

    /// What writers of data files need to know.
    ///
    /// # Errors
    /// None for a table that can be written.
    pub fn write_state(&self) -> Result<Arc<WriteState>> {
        self.transaction(UpdateTableOperation::StreamingUpdate, true, &[])
            .and_then(|transaction| transaction.write_state())
            .map_err(|error: KernelError| kernel_error(&format!("write to table \"{}\"", self.name), &self.name, error))
    }

    /// All data files of the newest version.
    ///
    /// # Errors
    /// If the store fails, or the log is damaged.
    pub fn entries(&self) -> Result<Vec<FileEntry>> {
        entries_of(&self.snapshot, &self.engine, &self.name)
    }

    /// Positions of the rows that `entry`'s deletion vector hides.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if the vector is gone or damaged.
    pub fn hidden_rows(&self, entry: &FileEntry) -> Result<Vec<u64>> {
        use delta_kernel::Engine as _;
        let Some(vector) = &entry.vector else { return Ok(Vec::new()) };
        let read = vector.descriptor()?.row_indexes(self.engine.storage_handler(), &self.url);
        let what = format!("read the deletion vector of file \"{}\" of table \"{}\"", entry.path, self.name);
        read.map_err(|error| kernel_error(&what, &self.name, error))
    }
}

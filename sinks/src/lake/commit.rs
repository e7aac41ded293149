//! Commits to a table's log.
//!
//! The kernel writes them; this module decides when one is done. A commit that publishes a checkpoint carries a
//! transaction id (`app`, number): whatever the reply to it was, the log is read again, and a number that is there counts
//! as committed. Every commit carries a [`Seal`]: whose run may write, and what the version's files add up to. After a
//! commit that did not come through the seal shows whether a newer run has taken over, and whether a commit without a
//! number was made. So a commit is made once, however often it is tried, and never by a run whose time is over.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;
use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, Int64Array, MapBuilder, MapFieldNames, RecordBatch, StringArray, StringBuilder, StructArray,
};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema};
use catchment_contract::arrow::json::ReaderBuilder;
use catchment_contract::{Error, Fault, Outcome, Result, Retries, RetryPolicy};
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use delta_kernel::engine::arrow_data::{ArrowEngineData, EngineDataArrowExt};
use delta_kernel::schema::StructType;
use delta_kernel::transaction::{CommitResult, Transaction, UpdateTableOperation};
use delta_kernel::{EngineData, FilteredEngineData, KernelError};

use crate::lake::entry::{FileEntry, scanned_entries};
use crate::lake::kernel::{damaged, kernel_error};
use crate::lake::seal::{DOMAIN, Seal};
use crate::lake::staged::{AddedFile, NewVector};
use crate::lake::table::Table;

/// What writes our tables, in their commits.
pub(super) const ENGINE: &str = concat!("catchment/", env!("CARGO_PKG_VERSION"));
/// The field of a commit's own information that holds its time by the job's clock, in milliseconds since 1970.
pub(super) const CLOCK: &str = "clockMs";

/// One change of a table's files.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// The checkpoint that is published, under the table's transaction id; none for compaction and fences.
    pub checkpoint: Option<u64>,
    /// Data files to add.
    pub adds: &'a [AddedFile],
    /// Data files to remove.
    pub removes: &'a [String],
    /// Data files that get another deletion vector.
    pub vectors: &'a [NewVector],
    /// What the commit says of itself.
    pub info: Vec<(&'static str, String)>,
    /// Whether readers that follow the table see other rows.
    pub data_change: bool,
}

impl Change<'_> {
    /// A change of nothing but the run that may write.
    pub fn fence(clock_ms: i64) -> Self {
        Change { info: vec![(CLOCK, clock_ms.to_string())], ..Change::default() }
    }

    fn operation(&self) -> UpdateTableOperation {
        let only_adds = self.removes.is_empty() && self.vectors.is_empty();
        match (self.data_change, only_adds) {
            (false, true) if self.adds.is_empty() => UpdateTableOperation::Custom("FENCE".to_owned()),
            (false, _) => UpdateTableOperation::Optimize,
            (true, true) => UpdateTableOperation::StreamingUpdate,
            (true, false) => UpdateTableOperation::Merge,
        }
    }
}

/// The data files that a change touches, as rows of the kernel's scan.
#[derive(Default)]
struct Touched {
    removed: Vec<(RecordBatch, Vec<bool>)>,
    given_vectors: Vec<(RecordBatch, Vec<bool>)>,
    removed_entries: Vec<FileEntry>,
    vector_entries: Vec<FileEntry>,
}

impl Table {
    /// Commits `change`, unless the log shows that it was committed before.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::Taken`] if a newer run has taken over; [`Fault::Data`] if a file that it removes
    /// rows from is not in the table any more; after a minute of failures, when the change may or may not be committed.
    pub fn commit(&mut self, change: &Change<'_>) -> Result<()> {
        let mut retries = Retries::new(RetryPolicy::default(), self.environment.clone());
        let what = format!("commit to table \"{}\"", self.name);
        let before = self.seal.totals;
        loop {
            if change.checkpoint.is_some_and(|number| self.published().is_some_and(|last| last >= number)) {
                return Ok(());
            }
            match self.try_commit(change) {
                Ok(()) => return Ok(()),
                Err(error) if error.fault() == Fault::Data => return Err(error),
                Err(error) => retries.wait(&what, error.with_outcome(Outcome::Unknown))?,
            }
            self.refresh()?;
            self.check_fence()?;
            if change.checkpoint.is_none() && self.seal.totals != before {
                // Nobody but this run can have committed, and it commits one change at a time.
                return Ok(());
            }
        }
    }

    /// One attempt to make the next version.
    pub(super) fn try_commit(&mut self, change: &Change<'_>) -> Result<()> {
        let failed = |error| kernel_error(&format!("commit to table \"{}\"", self.name), &self.name, error);
        let touched = self.touched_by(change)?;
        let seal = self.next_seal(change, &touched)?;
        let mut transaction = self.transaction(change.operation(), change.data_change, &change.info).map_err(failed)?;
        transaction = transaction.with_domain_metadata(DOMAIN.to_owned(), seal.to_text()?);
        let number = change.checkpoint.map(i64::try_from).transpose();
        let number = number.map_err(|error| Error::bug("a checkpoint's number is too large").with_source(error))?;
        if let Some(number) = number {
            transaction = transaction.with_transaction_id(self.app.0.clone(), number);
        }
        if !change.adds.is_empty() {
            let stats = transaction.stats_schema().map_err(failed)?;
            transaction.add_files(Box::new(ArrowEngineData::new(add_rows(change.adds, &stats)?)));
        }
        touched.stage(&mut transaction, change).map_err(failed)?;
        match transaction.commit(self.engine.as_ref()).map_err(failed)? {
            CommitResult::Committed(done) => {
                let snapshot = done.post_commit_snapshot().cloned();
                let snapshot = snapshot.ok_or_else(|| Error::remote("a commit was not read back"))?;
                self.snapshot = snapshot;
                self.seal = seal;
                self.app.1 = number.or(self.app.1);
                Ok(())
            }
            CommitResult::Conflicted(lost) => {
                Err(Error::remote(format!("another commit was version {}", lost.conflict_version())))
            }
            CommitResult::Retryable(lost) => Err(failed(lost.error)),
        }
    }

    fn next_seal(&self, change: &Change<'_>, touched: &Touched) -> Result<Seal> {
        let mut totals = self.seal.totals;
        touched.removed_entries.iter().chain(&touched.vector_entries).for_each(|entry| totals.remove(entry));
        change.adds.iter().for_each(|added| totals.add(&added.entry()));
        for entry in &touched.vector_entries {
            let vector = change.vectors.iter().find(|new| new.path == entry.path).map(|new| new.vector.clone());
            totals.add(&FileEntry { vector, ..entry.clone() });
        }
        Ok(Seal::new(&self.run, totals))
    }

    /// Removals and deletion vectors name files by rows of the snapshot's scan, which shows that they are still there.
    fn touched_by(&self, change: &Change<'_>) -> Result<Touched> {
        let failed = |error| kernel_error(&format!("commit to table \"{}\"", self.name), &self.name, error);
        let mut touched = Touched::default();
        let removes: HashSet<&str> = change.removes.iter().map(String::as_str).collect();
        let vectors: HashSet<&str> = change.vectors.iter().map(|new| new.path.as_str()).collect();
        if removes.is_empty() && vectors.is_empty() {
            return Ok(touched);
        }
        let columns = self.snapshot.table_configuration().logical_partition_columns();
        let scan = self.snapshot.clone().scan_builder().build().map_err(failed)?;
        for part in scan.scan_metadata(self.engine.as_ref()).map_err(failed)? {
            let (data, live) = part.map_err(failed)?.scan_files.into_parts();
            let rows = data.try_into_record_batch().map_err(failed)?;
            let (mut out, mut given) = (vec![false; rows.num_rows()], vec![false; rows.num_rows()]);
            for (row, entry) in scanned_entries(&rows, &live, columns).map_err(|error| damaged(&self.name, error))? {
                if removes.contains(entry.path.as_str()) {
                    out[row] = true;
                    touched.removed_entries.push(entry);
                } else if vectors.contains(entry.path.as_str()) {
                    given[row] = true;
                    touched.vector_entries.push(entry);
                }
            }
            for (picked, parts) in [(out, &mut touched.removed), (given, &mut touched.given_vectors)] {
                if picked.contains(&true) {
                    parts.push((rows.clone(), picked));
                }
            }
        }
        if (touched.removed_entries.len(), touched.vector_entries.len()) == (removes.len(), vectors.len()) {
            return Ok(touched);
        }
        Err(damaged(
            &self.name,
            Error::data("files are gone that its sink wrote: only the sink may write to its table"),
        ))
    }

    /// A transaction on the newest version.
    pub(super) fn transaction(
        &self,
        operation: UpdateTableOperation,
        data_change: bool,
        info: &[(&'static str, String)],
    ) -> Result<Transaction, KernelError> {
        let mut builder = self.snapshot.clone().update_table(operation, ENGINE, data_change);
        if !info.is_empty() {
            let (data, schema) = info_row(info)?;
            builder = builder.with_commit_info(data, schema);
        }
        builder.build(self.engine.as_ref(), Box::new(FileSystemCommitter::new()))
    }
}

impl Touched {
    fn stage(self, transaction: &mut Transaction, change: &Change<'_>) -> Result<(), KernelError> {
        let selected = |(rows, picked): (RecordBatch, Vec<bool>)| {
            FilteredEngineData::try_new(Box::new(ArrowEngineData::new(rows)), picked)
        };
        for part in self.removed {
            transaction.remove_files(selected(part)?);
        }
        if change.vectors.is_empty() {
            return Ok(());
        }
        let descriptor = |new: &NewVector| {
            let made = new.vector.descriptor().map_err(|error| KernelError::generic(error.chain()))?;
            Ok::<_, KernelError>((new.path.clone(), made))
        };
        let vectors: HashMap<_, _> = change.vectors.iter().map(descriptor).collect::<Result<_, _>>()?;
        transaction.update_deletion_vectors(vectors, self.given_vectors.into_iter().map(selected))
    }
}

/// The rows of `add` actions that the kernel asks for.
fn add_rows(adds: &[AddedFile], stats: &StructType) -> Result<RecordBatch> {
    let bug = |error| Error::bug("cannot describe a data file to the table's log").with_source(error);
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut values = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for add in adds {
        for (name, value) in &add.partition {
            values.keys().append_value(name);
            values.values().append_option(value.as_deref());
        }
        values.append(true).map_err(bug)?;
    }
    let values = values.finish();
    let stats: Schema = stats.try_into_arrow().map_err(bug)?;
    let texts = adds.iter().map(|add| add.stats.as_str()).collect::<Vec<_>>().join("\n");
    let mut reader =
        ReaderBuilder::new(Arc::new(stats)).with_batch_size(adds.len()).build(Cursor::new(texts)).map_err(bug)?;
    let stats: StructArray = match reader.next() {
        Some(rows) => rows.map_err(bug)?.into(),
        None => return Err(Error::bug("data files have no statistics")),
    };
    let integers = |value: fn(&AddedFile) -> i64| Arc::new(adds.iter().map(value).collect::<Int64Array>()) as ArrayRef;
    let schema = Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("partitionValues", values.data_type().clone(), false),
        Field::new("size", DataType::Int64, false),
        Field::new("modificationTime", DataType::Int64, false),
        Field::new("stats", stats.data_type().clone(), true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(adds.iter().map(|add| add.path.as_str()))),
        Arc::new(values),
        integers(|add| add.bytes as i64),
        integers(|add| add.modified_ms),
        Arc::new(stats),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).map_err(bug)
}

/// What a commit says of itself, as the kernel asks for it.
fn info_row(info: &[(&'static str, String)]) -> Result<(Box<dyn EngineData>, Arc<StructType>), KernelError> {
    let fields: Vec<Field> = info.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
    let columns = info.iter().map(|(_, value)| Arc::new(StringArray::from(vec![value.as_str()])) as ArrayRef).collect();
    let schema = Arc::new(Schema::new(fields));
    let kernel: StructType = schema.as_ref().try_into_kernel()?;
    let row = RecordBatch::try_new(schema, columns)?;
    Ok((Box::new(ArrowEngineData::new(row)), Arc::new(kernel)))
}

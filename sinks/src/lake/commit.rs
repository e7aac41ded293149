//! Commits to a table's log.
//!
//! The kernel writes them; this module decides when one is done. A commit carries a transaction id (`app`, number):
//! whatever the reply to a commit was, the log is read again and a number that is there counts as committed. So a commit
//! is made once, however often it is tried.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;
use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, MapBuilder, MapFieldNames, RecordBatch, StringArray, StringBuilder,
    StructArray,
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

use crate::lake::staged::{AddedFile, NewVector};
use crate::lake::table::{ENGINE, Table, kernel_error};

/// One change of a table's files.
#[derive(Debug)]
pub struct Change<'a> {
    /// Transaction id and number.
    pub transaction: (&'a str, i64),
    /// Data files to add.
    pub adds: &'a [AddedFile],
    /// Data files to remove.
    pub removes: &'a [String],
    /// Data files that get another deletion vector.
    pub vectors: &'a [NewVector],
    /// What the commit says of itself.
    pub info: &'a [(&'static str, String)],
    /// Whether readers that follow the table see other rows; false for compaction.
    pub data_change: bool,
}

impl Table {
    /// Commits `change`, unless the log shows that it was committed before.
    ///
    /// # Errors
    /// After some seconds of failures; the change may or may not be committed then. [`Fault::Data`] if a file that it
    /// removes rows from is not in the table any more.
    pub fn commit(&mut self, change: &Change<'_>) -> Result<()> {
        let (app, number) = change.transaction;
        let mut retries = Retries::new(RetryPolicy::default(), self.lake.environment().clone());
        let what = format!("commit to table \"{}\"", self.name);
        loop {
            if self.last_number(app)?.is_some_and(|last| last >= number) {
                return Ok(());
            }
            let failure = match self.try_commit(change) {
                Ok(CommitResult::Committed(done)) => {
                    match done.post_commit_snapshot() {
                        Some(snapshot) => self.snapshot = Arc::clone(snapshot),
                        None => self.refresh()?,
                    }
                    return Ok(());
                }
                Ok(CommitResult::Conflicted(lost)) => {
                    Error::remote(format!("another commit was version {}", lost.conflict_version()))
                }
                Ok(CommitResult::Retryable(lost)) => {
                    kernel_error(&format!("commit to table \"{}\"", self.name), lost.error)
                }
                Err(error) if error.fault() == Fault::Data => return Err(error),
                Err(error) => error,
            };
            retries.wait(&what, failure).map_err(|failure| {
                Error::remote(format!("could not {what}")).with_outcome(Outcome::Unknown).with_source(failure)
            })?;
            self.refresh()?;
        }
    }

    fn try_commit(&self, change: &Change<'_>) -> Result<CommitResult> {
        let failed = |error| kernel_error(&format!("commit to table \"{}\"", self.name), error);
        let only_adds = change.removes.is_empty() && change.vectors.is_empty();
        let operation = match (change.data_change, only_adds) {
            (false, _) => UpdateTableOperation::Optimize,
            (true, true) => UpdateTableOperation::StreamingUpdate,
            (true, false) => UpdateTableOperation::Merge,
        };
        let (app, number) = change.transaction;
        let mut transaction = self.transaction(operation, change.data_change, change.info).map_err(failed)?;
        transaction = transaction.with_transaction_id(app.to_owned(), number);
        if !change.adds.is_empty() {
            let stats = transaction.stats_schema().map_err(failed)?;
            transaction.add_files(Box::new(ArrowEngineData::new(add_rows(change.adds, &stats)?)));
        }
        if !only_adds {
            self.stage_changes(&mut transaction, change)?;
        }
        transaction.commit(self.engine.as_ref()).map_err(failed)
    }

    /// Removals and deletion vectors name files by rows of the snapshot's scan, which shows that they are still there.
    fn stage_changes(&self, transaction: &mut Transaction, change: &Change<'_>) -> Result<()> {
        let failed = |error| kernel_error(&format!("commit to table \"{}\"", self.name), error);
        let removes: HashSet<&str> = change.removes.iter().map(String::as_str).collect();
        let mut vectors = HashMap::new();
        for new in change.vectors {
            vectors.insert(new.path.clone(), new.vector.descriptor()?);
        }
        let (mut removed, mut touched) = (0, 0);
        let mut for_vectors = Vec::new();
        let scan = self.snapshot.clone().scan_builder().build().map_err(failed)?;
        for part in scan.scan_metadata(self.engine.as_ref()).map_err(failed)? {
            let (data, live) = part.map_err(failed)?.scan_files.into_parts();
            let rows = data.try_into_record_batch().map_err(failed)?;
            let paths = rows.column_by_name("path").map(|column| column.as_string::<i32>().clone());
            let paths = paths.ok_or_else(|| Error::bug("a scan has no paths"))?;
            let is_live = |row: usize| live.get(row).copied().unwrap_or(true);
            let pick = |wanted: &dyn Fn(&str) -> bool| -> Vec<bool> {
                paths.iter().enumerate().map(|(row, path)| is_live(row) && path.is_some_and(wanted)).collect()
            };
            let (out, dv) = (pick(&|path| removes.contains(path)), pick(&|path| vectors.contains_key(path)));
            let count = |rows: &[bool]| rows.iter().filter(|row| **row).count();
            removed += count(&out);
            touched += count(&dv);
            if count(&out) > 0 {
                let data = Box::new(ArrowEngineData::new(rows.clone()));
                transaction.remove_files(FilteredEngineData::try_new(data, out).map_err(failed)?);
            }
            if count(&dv) > 0 {
                for_vectors
                    .push(FilteredEngineData::try_new(Box::new(ArrowEngineData::new(rows)), dv).map_err(failed)?);
            }
        }
        if removed != removes.len() || touched != vectors.len() {
            return Err(Error::data(format!("files of table \"{}\" are gone that its sink wrote", self.name))
                .with_hint("another program changed the table: only its sink may write to it; remove the table's folder and the job's checkpoints to build it anew"));
        }
        if !vectors.is_empty() {
            transaction.update_deletion_vectors(vectors, for_vectors.into_iter().map(Ok)).map_err(failed)?;
        }
        Ok(())
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

//! Writing data files.
//!
//! Files lie under `hot/` (small ones, which compaction merges) or `data/` (about the size aimed at), below a folder a
//! partition: `data/day=2026-01-31/4fd0a9c1b2e3d4a5….-000012.parquet`. A name begins with the run's own, so that none is
//! ever used twice, whatever crashed between.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, RecordBatch};
use catchment_contract::arrow::compute::concat;
use catchment_contract::{Error, Result};
use delta_kernel::actions::deletion_vector::DeletionVectorPath;
use delta_kernel::expressions::Scalar;
use delta_kernel::transaction::{BoundWriteContext, WriteState};
use delta_kernel_default_engine::stats::FileStatsAccumulator;
use object_store::path::Path;

use crate::lake::columns::partition_texts;
use crate::lake::contents::DataFile;
use crate::lake::encode::{Rows, parquet_file};
use crate::lake::folder::partition_folder;
use crate::lake::held::Held;
use crate::lake::kernel::kernel_error;
use crate::lake::order::order;
use crate::lake::spec::LakeSpec;
use crate::lake::staged::AddedFile;
use crate::lake::stats::stats_text;
use crate::lake::table::Table;

/// The folder of deletion vectors.
pub const VECTORS: &str = "dv";

/// A file that was written and is in no log yet.
#[derive(Debug)]
pub struct Written {
    /// What the log will say of it.
    pub added: AddedFile,
    /// Its place in the object store.
    pub object: Path,
    /// The identities of its rows; empty if nobody will ask.
    pub identities: Vec<u128>,
}

impl Written {
    /// What the log will say of it, and what the sink remembers.
    ///
    /// # Errors
    /// If it has more rows than we count.
    pub fn into_parts(self) -> Result<(AddedFile, DataFile)> {
        let identities = (!self.identities.is_empty()).then_some(self.identities);
        let file = DataFile::new(self.added.entry(), &[], identities)?;
        Ok((self.added, file))
    }
}

/// Writes data files of one table.
#[derive(Debug)]
pub struct FileWriter {
    state: Arc<WriteState>,
    sequence: u64,
}

impl FileWriter {
    /// A writer for `table` as its columns are now.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub fn new(table: &Table) -> Result<Self> {
        Ok(FileWriter { state: table.write_state()?, sequence: 0 })
    }

    /// Writes rows, sorted, one file a partition: to `data/` if a file's rows take `sealed_bytes` in memory or more, else
    /// to `hot/`. They are in the store when this returns, not necessarily on its disk.
    ///
    /// # Errors
    /// If the store fails.
    pub fn write(
        &mut self,
        table: &Table,
        spec: &LakeSpec,
        held: Vec<Held>,
        sealed_bytes: usize,
    ) -> Result<Vec<Written>> {
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let rows: usize = held.iter().map(Held::rows).sum();
        let row_bytes = held.iter().map(Held::bytes).sum::<usize>() / rows.max(1);
        let identities: Vec<u128> = held.iter().flat_map(|part| part.identities.iter().copied()).collect();
        let stored = concat_held(spec, held)?;
        let partition = spec.columns.partition_arrays(&stored)?;
        let sort: Vec<ArrayRef> = spec.sort.iter().map(|index| Arc::clone(&stored[*index])).collect();
        let ordered = order(&partition, &sort, rows);
        let batch = spec.columns.file_batch(&stored, rows)?;
        let parts = ordered.partitions.iter().map(|part| {
            let rows = &ordered.rows[part.clone()];
            let sealed = rows.len() * row_bytes >= sealed_bytes;
            let context = self.context(spec, &partition, rows[0] as usize)?;
            let mut written = self.write_one(table, spec, &context, Rows { columns: batch.columns(), rows }, sealed)?;
            if !identities.is_empty() {
                written.identities = rows.iter().map(|row| identities[*row as usize]).collect();
            }
            Ok(written)
        });
        parts.collect()
    }

    fn context(&self, spec: &LakeSpec, partition: &[ArrayRef], row: usize) -> Result<BoundWriteContext> {
        let values = partition.iter().enumerate().map(|(index, array)| {
            Ok((spec.columns.partition[index].name.clone(), spec.columns.partition_scalar(index, array, row)?))
        });
        self.bind(spec, values.collect::<Result<_>>()?)
    }

    fn bind(&self, spec: &LakeSpec, values: std::collections::HashMap<String, Scalar>) -> Result<BoundWriteContext> {
        let mut builder = self.state.write_context_builder();
        if !values.is_empty() {
            builder = builder.with_partition_values(values);
        }
        builder.build().map_err(|error| kernel_error("name a data file's partition", &spec.table, error))
    }

    fn write_one(
        &mut self,
        table: &Table,
        spec: &LakeSpec,
        context: &BoundWriteContext,
        rows: Rows<'_>,
        sealed: bool,
    ) -> Result<Written> {
        let failed = |error| kernel_error("describe a data file", table.name(), error);
        let mut stats = FileStatsAccumulator::new(context.stats_columns(), context.physical_data_schema());
        let first = spec.sort.first().and_then(|sort| spec.columns.in_file.iter().position(|index| index == sort));
        let bytes = parquet_file(&spec.columns.file_schema, first, rows, |batch| stats.merge(batch).map_err(failed))?;
        let stats = stats.finish().map_err(failed)?.ok_or_else(|| Error::bug("a data file has no rows"))?;
        let partition = partition_texts(context.physical_partition_values());
        let names = spec.columns.partition.iter().map(|column| column.name.as_str());
        self.sequence += 1;
        let path = format!(
            "{}/{}{}-{:06}.parquet",
            if sealed { "data" } else { "hot" },
            partition_folder(names, &partition),
            table.run(),
            self.sequence
        );
        let path = log_path(table, &path)?;
        let object = table.object(&path)?;
        let size = bytes.len() as u64;
        table.lake().put_object(&object, bytes.into())?;
        let added = AddedFile {
            path,
            bytes: size,
            modified_ms: table.clock_ms(),
            rows: rows.rows.len() as u64,
            partition,
            stats: stats_text(&RecordBatch::from(stats))?,
        };
        Ok(Written { added, object, identities: Vec::new() })
    }

    /// Where the next deletion vectors go.
    ///
    /// # Errors
    /// None for a table that can be written.
    pub fn vector_path(&self, spec: &LakeSpec) -> Result<DeletionVectorPath> {
        // The kernel names them through a partition's context, though they lie beside the partitions: null ones will do.
        let null = |column| Ok((spec.columns.name_of(column), Scalar::Null(spec.columns.partition_type(column)?)));
        let values = (0..spec.columns.partition.len()).map(null);
        Ok(self.bind(spec, values.collect::<Result<_>>()?)?.new_deletion_vector_path(VECTORS.to_owned()))
    }
}

/// A path below the table as the log writes it: URL-encoded.
fn log_path(table: &Table, path: &str) -> Result<String> {
    let mut url = table.url().clone();
    let bug = || Error::bug("a table's URL cannot have a path");
    url.path_segments_mut().map_err(|()| bug())?.pop_if_empty().extend(path.split('/'));
    table.url().make_relative(&url).ok_or_else(bug)
}

/// The columns of all parts, one after another.
fn concat_held(spec: &LakeSpec, held: Vec<Held>) -> Result<Vec<ArrayRef>> {
    if let [one] = held.as_slice() {
        return Ok(one.columns.clone());
    }
    let column = |index: usize| {
        let parts: Vec<&dyn Array> = held.iter().map(|part| part.columns[index].as_ref()).collect();
        concat(&parts).map_err(|error| Error::bug("held rows do not fit each other").with_source(error))
    };
    (0..spec.columns.stored.fields().len()).map(column).collect()
}

//! Reading data files back.

use bytes::Bytes;
use catchment_contract::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use catchment_contract::arrow::compute::filter_record_batch;
use catchment_contract::{Error, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::lake::contents::DataFile;
use crate::lake::held::identities_of;
use crate::lake::kernel::damaged;
use crate::lake::spec::LakeSpec;
use crate::lake::table::Table;

/// Rows read at a time.
const READ_ROWS: usize = 32 * 1024;

/// Reads the rows of `file` that are not deleted, some ten thousand at a time, as stored columns.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if the file is damaged or gone.
pub fn read_live(
    table: &Table,
    spec: &LakeSpec,
    file: &DataFile,
    mut each: impl FnMut(Vec<ArrayRef>, usize) -> Result<()>,
) -> Result<()> {
    let mut first = 0_u32;
    read_all(table, file, |batch| {
        let rows = batch.num_rows() as u32;
        let keep: BooleanArray = (first..first + rows).map(|row| Some(!file.is_deleted(row))).collect();
        first += rows;
        let batch = if keep.true_count() == rows as usize {
            batch
        } else {
            filter_record_batch(&batch, &keep).map_err(|error| Error::bug("cannot filter rows").with_source(error))?
        };
        each(spec.columns.restore(&batch, &file.partition)?, batch.num_rows())
    })
}

/// The identities of all rows of `file`, deleted ones too.
///
/// # Errors
/// As [`read_live`].
pub fn read_identities(table: &Table, spec: &LakeSpec, file: &DataFile) -> Result<Vec<u128>> {
    let mut identities = Vec::with_capacity(file.rows as usize);
    read_all(table, file, |batch| {
        let stored = spec.columns.restore(&batch, &file.partition)?;
        identities.extend(identities_of(&stored, batch.num_rows()));
        Ok(())
    })?;
    Ok(identities)
}

fn read_all(table: &Table, file: &DataFile, mut each: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
    let broken = |why: &str| damaged(table.name(), Error::data(format!("its file \"{}\" {why}", file.path)));
    let bytes: Bytes = table.lake().get_object(&table.object(&file.path)?)?.ok_or_else(|| broken("is gone"))?;
    let parquet = |error: &dyn std::fmt::Display| broken(&format!("cannot be read: {error}"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| parquet(&error))?;
    let reader = reader.with_batch_size(READ_ROWS).build().map_err(|error| parquet(&error))?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(|error| parquet(&error))?;
        rows += batch.num_rows();
        each(batch)?;
    }
    if rows == file.rows as usize {
        return Ok(());
    }
    Err(broken(&format!("holds {rows} rows, and the log says {}", file.rows)))
}

//! Rows to Parquet.
//!
//! zstd(1); row groups of 128 k rows, which bounds a writer's memory to some 11 MB; a column's encoding is chosen by a
//! sample of its values: values that mostly repeat get a dictionary, others a delta encoding (numbers and times binary
//! packed, the sort column's strings against their neighbour, long strings by length). Long strings get no statistics.

use std::sync::Arc;

use bytes::Bytes;
use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use catchment_contract::arrow::compute::take;
use catchment_contract::arrow::datatypes::{DataType, Schema};
use catchment_contract::hash::hash_keys;
use catchment_contract::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Rows of a row group.
const GROUP_ROWS: usize = 128 * 1024;
/// Rows that are gathered and encoded at a time: small enough that their columns stay in the cache.
const STEP_ROWS: usize = 8 * 1024;
/// Rows looked at to choose encodings.
const SAMPLE_ROWS: usize = 1024;
/// Strings longer than this on average are long: text rather than a name.
const LONG_TEXT_BYTES: usize = 48;

const CREATED_BY: &str = concat!("catchment version ", env!("CARGO_PKG_VERSION"));

/// Rows of some columns in the order they are to have in a file.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The columns, of one length.
    pub columns: &'a [ArrayRef],
    /// Positions of the rows.
    pub rows: &'a [u32],
}

impl Rows<'_> {
    /// Calls `each` with the rows, some thousand at a time.
    pub fn steps(&self, schema: &Arc<Schema>, mut each: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        for rows in self.rows.chunks(STEP_ROWS) {
            each(&self.gather(schema, rows)?)?;
        }
        Ok(())
    }

    fn gather(&self, schema: &Arc<Schema>, rows: &[u32]) -> Result<RecordBatch> {
        let failed = |error| Error::bug("cannot gather the rows of a file").with_source(error);
        let is_run = rows.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let columns: Vec<ArrayRef> = match rows.first() {
            Some(first) if is_run => {
                self.columns.iter().map(|column| column.slice(*first as usize, rows.len())).collect()
            }
            _ => {
                let positions = UInt32Array::from(rows.to_vec());
                let gathered = self.columns.iter().map(|column| take(column, &positions, None));
                gathered.collect::<Result<_, _>>().map_err(failed)?
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(failed)
    }

    fn sample(&self, schema: &Arc<Schema>) -> Result<RecordBatch> {
        let step = self.rows.len().div_ceil(SAMPLE_ROWS).max(1);
        let rows: Vec<u32> = self.rows.iter().step_by(step).copied().collect();
        self.gather(schema, &rows)
    }
}

/// The Parquet file of `rows`, whose columns are those of `schema`. They are sorted by the column `first`, if there is
/// one. `each` sees every batch that is written, in order.
///
/// # Errors
/// None for rows that fit the schema.
pub fn parquet_file(
    schema: &Arc<Schema>,
    first: Option<usize>,
    rows: Rows<'_>,
    mut each: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<Bytes> {
    let failed = |error| Error::bug("cannot encode a Parquet file").with_source(error);
    let properties = properties(&rows.sample(schema)?, first);
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties)).map_err(failed)?;
    rows.steps(schema, |batch| {
        each(batch)?;
        writer.write(batch).map_err(failed)
    })?;
    Ok(writer.into_inner().map_err(failed)?.into())
}

/// How the columns of a file are encoded, judged by `sample`.
pub fn properties(sample: &RecordBatch, first: Option<usize>) -> WriterProperties {
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page);
    for (index, column) in sample.columns().iter().enumerate() {
        let path = ColumnPath::from(sample.schema_ref().field(index).name().as_str());
        builder = encoding(builder, path, column, first == Some(index));
    }
    builder.build()
}

fn encoding(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    column: &ArrayRef,
    is_first: bool,
) -> WriterPropertiesBuilder {
    let plain = |builder: WriterPropertiesBuilder| builder.set_column_dictionary_enabled(path.clone(), false);
    match column.data_type() {
        kind if kind.is_nested() => builder,
        DataType::Boolean => plain(builder),
        DataType::Utf8View => {
            let long = mean_bytes(column) > LONG_TEXT_BYTES;
            let builder = if long {
                builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
            } else {
                builder
            };
            match (repeats(column) && !long, is_first) {
                (true, _) => builder,
                (false, true) => plain(builder).set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY),
                (false, false) => plain(builder).set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY),
            }
        }
        _ if repeats(column) => builder,
        DataType::Int32 | DataType::Int64 | DataType::Date32 | DataType::Timestamp(_, _) => {
            plain(builder).set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
        }
        _ => plain(builder),
    }
}

/// Whether half of the sampled values or more were seen before.
fn repeats(column: &ArrayRef) -> bool {
    let mut hashes = hash_keys(std::slice::from_ref(column), column.len());
    hashes.sort_unstable();
    hashes.dedup();
    hashes.len() * 2 <= column.len()
}

fn mean_bytes(column: &ArrayRef) -> usize {
    let texts = column.as_string_view();
    texts.lengths().map(|length| length as usize).sum::<usize>() / texts.len().max(1)
}

#[cfg(test)]
mod tests {
    use catchment_contract::arrow::array::{Int64Array, StringViewArray};
    use catchment_contract::arrow::compute::concat_batches;
    use catchment_contract::arrow::datatypes::Field;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[test]
    fn encodings_follow_the_values_and_rows_come_back_in_order() {
        let count = 300_000_i64;
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Utf8View, true),
            Field::new("subreddit", DataType::Utf8View, true),
            Field::new("body", DataType::Utf8View, true),
            Field::new("time", DataType::Int64, true),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new((0..count).map(|number| Some(format!("k{number:07}"))).collect::<StringViewArray>()),
            Arc::new((0..count).map(|number| Some(format!("subreddit{}", number % 9))).collect::<StringViewArray>()),
            Arc::new(
                (0..count).map(|number| Some(format!("{number} {}", "word ".repeat(12)))).collect::<StringViewArray>(),
            ),
            Arc::new((0..count).map(|number| Some(number * 1000)).collect::<Int64Array>()),
        ];
        // Odd rows only, from the last to the first.
        let order: Vec<u32> = (0..count as u32).rev().filter(|row| row % 2 == 1).collect();
        let rows = Rows { columns: &columns, rows: &order };
        let mut seen = 0;
        let bytes = parquet_file(&schema, Some(0), rows, |batch| {
            seen += batch.num_rows();
            Ok(())
        });
        assert_eq!(seen, order.len());
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.unwrap()).unwrap();
        let meta = Arc::clone(builder.metadata());
        assert_eq!(meta.num_row_groups(), 2);
        let group = meta.row_group(0);
        assert_eq!(group.num_rows(), GROUP_ROWS as i64);
        let has = |column: usize, encoding| group.column(column).encodings().any(|one| one == encoding);
        assert!(has(0, Encoding::DELTA_BYTE_ARRAY) && has(1, Encoding::RLE_DICTIONARY));
        assert!(has(2, Encoding::DELTA_LENGTH_BYTE_ARRAY) && has(3, Encoding::DELTA_BINARY_PACKED));
        assert!(group.column(0).statistics().is_some() && group.column(2).statistics().is_none());
        let read: Vec<RecordBatch> = builder.build().unwrap().map(|batch| batch.unwrap()).collect();
        let read = concat_batches(&schema, &read).unwrap();
        let positions = UInt32Array::from(order);
        for (column, expect) in read.columns().iter().zip(&columns) {
            assert_eq!(column, &take(expect, &positions, None).unwrap());
        }
    }
}

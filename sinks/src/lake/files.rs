//! Data files: writing rows into new ones, reading them back, and what the sink remembers of each.
//!
//! Files lie under `hot/` (small ones, which compaction gathers) or `data/` (about the size aimed at), below a folder a
//! partition: `data/day=2026-01-31/4fd0a9c1b2e3d4a5-000012.parquet`. The name's first part is drawn anew at every open,
//! so that no name is ever used twice, whatever crashed between.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StructArray, new_null_array,
};
use catchment_contract::arrow::compute::{concat, filter_record_batch};
use catchment_contract::arrow::datatypes::TimestampMicrosecondType;
use catchment_contract::arrow::json::LineDelimitedWriter;
use catchment_contract::{Error, Result, WRITABLE_MICROS};
use delta_kernel::transaction::{BoundWriteContext, WriteState};
use delta_kernel_default_engine::stats::FileStatsAccumulator;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::Rng;

use crate::lake::columns::{PartitionValues, partition_texts};
use crate::lake::encode::{Rows, parquet_file};
use crate::lake::held::{Held, identities_of};
use crate::lake::index::{Identities, Location};
use crate::lake::order::order;
use crate::lake::spec::LakeSpec;
use crate::lake::staged::AddedFile;
use crate::lake::table::{LiveFile, Table, kernel_error};

/// Rows read at a time.
const READ_ROWS: usize = 32 * 1024;

/// A data file that the sink wrote or found.
#[derive(Debug)]
pub struct DataFile {
    /// Its path as in the log.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub modified_ms: i64,
    /// Rows in it, deleted ones too.
    pub rows: u32,
    /// Its partition.
    pub partition: PartitionValues,
    /// One bit a row that is deleted; empty if none is.
    deleted: Vec<u64>,
    /// How many are.
    pub deleted_rows: u32,
    /// The identities of its rows, once they are known.
    pub identities: Option<Vec<u128>>,
}

impl DataFile {
    /// A file of the table's newest version.
    ///
    /// # Errors
    /// If it has more rows than we count.
    pub fn live(live: LiveFile) -> Result<Self> {
        let rows = u32::try_from(live.rows)
            .map_err(|error| Error::data(format!("file \"{}\" has too many rows", live.path)).with_source(error))?;
        let mut file = DataFile {
            path: live.path,
            bytes: live.bytes,
            modified_ms: live.modified_ms,
            rows,
            partition: live.partition,
            deleted: Vec::new(),
            deleted_rows: 0,
            identities: None,
        };
        for row in live.deleted.iter().filter_map(|row| u32::try_from(*row).ok()).filter(|row| *row < rows) {
            file.delete(row);
        }
        Ok(file)
    }

    /// Marks a row as deleted.
    pub fn delete(&mut self, row: u32) {
        self.deleted.resize((self.rows as usize).div_ceil(64), 0);
        let bit = 1 << (row % 64);
        let word = &mut self.deleted[row as usize / 64];
        self.deleted_rows += u32::from(*word & bit == 0);
        *word |= bit;
    }

    /// Whether a row is deleted.
    pub fn is_deleted(&self, row: u32) -> bool {
        self.deleted.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Positions of the deleted rows, ascending.
    pub fn deleted_positions(&self) -> impl Iterator<Item = u64> + '_ {
        let bits = |word: u64| (0..64).filter(move |bit| word >> bit & 1 == 1);
        let words = (0..).step_by(64).zip(&self.deleted).filter(|(_, word)| **word != 0);
        words.flat_map(move |(first, word)| bits(*word).map(move |bit| first + bit))
    }

    /// Rows that readers see.
    pub fn live_rows(&self) -> u32 {
        self.rows - self.deleted_rows
    }

    /// Whether it waits for compaction.
    pub fn is_hot(&self) -> bool {
        self.path.starts_with("hot/")
    }
}

/// The data files of a table by number.
#[derive(Debug, Default)]
pub struct DataFiles {
    /// By number; numbers are not used twice while the table is open.
    files: Vec<Option<Box<DataFile>>>,
}

impl DataFiles {
    /// Adds a file; returns its number.
    pub fn add(&mut self, file: DataFile) -> u32 {
        self.files.push(Some(Box::new(file)));
        self.files.len() as u32 - 1
    }

    /// The file with a number.
    pub fn get(&self, number: u32) -> Option<&DataFile> {
        self.files.get(number as usize)?.as_deref()
    }

    /// The file with a number.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut DataFile> {
        self.files.get_mut(number as usize)?.as_deref_mut()
    }

    /// Takes a file out.
    pub fn remove(&mut self, number: u32) -> Option<DataFile> {
        self.files.get_mut(number as usize)?.take().map(|file| *file)
    }

    /// All files with their numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &DataFile)> {
        (0..).zip(&self.files).filter_map(|(number, file)| Some((number, file.as_deref()?)))
    }

    /// Rows that readers see in all of them.
    pub fn live_rows(&self) -> u64 {
        self.iter().map(|(_, file)| u64::from(file.live_rows())).sum()
    }
}

impl Identities for DataFiles {
    fn identity(&self, location: Location) -> u128 {
        let identities = self.get(location.file()).and_then(|file| file.identities.as_ref());
        identities.map_or(0, |identities| identities[location.row() as usize])
    }
}

/// A file that was written and is in no log yet.
#[derive(Debug)]
pub struct Written {
    /// What the log will say of it.
    pub added: AddedFile,
    /// Its place in the object store.
    pub object: Path,
    /// The identities of its rows.
    pub identities: Vec<u128>,
}

impl Written {
    /// What the log will say of it, and what the sink remembers.
    pub fn into_parts(self) -> (AddedFile, DataFile) {
        let file = DataFile {
            path: self.added.path.clone(),
            bytes: self.added.bytes,
            modified_ms: self.added.modified_ms,
            rows: self.added.rows as u32,
            partition: self.added.partition.clone(),
            deleted: Vec::new(),
            deleted_rows: 0,
            identities: (!self.identities.is_empty()).then_some(self.identities),
        };
        (self.added, file)
    }
}

/// Writes data files of one table.
#[derive(Debug)]
pub struct FileWriter {
    state: Arc<WriteState>,
    /// Drawn at open: no other run's names begin with it.
    incarnation: String,
    sequence: u64,
}

impl FileWriter {
    /// A writer for `table` as its columns are now.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub fn new(table: &Table) -> Result<Self> {
        let incarnation = format!("{:016x}", rand::rng().random::<u64>());
        Ok(FileWriter { state: table.write_state()?, incarnation, sequence: 0 })
    }

    /// The run's own name.
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// What the kernel knows of writing to the table.
    pub fn state(&self) -> &Arc<WriteState> {
        &self.state
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
        let mut builder = self.state.write_context_builder();
        if !partition.is_empty() {
            let values = partition.iter().enumerate().map(|(index, array)| {
                Ok((spec.columns.partition[index].name.clone(), spec.columns.partition_scalar(index, array, row)?))
            });
            builder = builder.with_partition_values(values.collect::<Result<_>>()?);
        }
        builder.build().map_err(|error| kernel_error("name a data file's partition", error))
    }

    fn write_one(
        &mut self,
        table: &Table,
        spec: &LakeSpec,
        context: &BoundWriteContext,
        rows: Rows<'_>,
        sealed: bool,
    ) -> Result<Written> {
        let failed = |error| kernel_error("describe a data file", error);
        let mut stats = FileStatsAccumulator::new(context.stats_columns(), context.physical_data_schema());
        let first = spec.sort.first().and_then(|sort| spec.columns.in_file.iter().position(|index| index == sort));
        let bytes = parquet_file(&spec.columns.file_schema, first, rows, |batch| stats.merge(batch).map_err(failed))?;
        let stats = stats.finish().map_err(failed)?.ok_or_else(|| Error::bug("a data file has no rows"))?;
        let folder = if sealed { "data" } else { "hot" };
        let hive = table.url().make_relative(&context.write_dir()).unwrap_or_default();
        let hive = hive.trim_start_matches("./").trim_end_matches('/');
        let slash = if hive.is_empty() { "" } else { "/" };
        self.sequence += 1;
        let path = format!("{folder}/{hive}{slash}{}-{:06}.parquet", self.incarnation, self.sequence);
        let object = table.object(&path)?;
        let size = bytes.len() as u64;
        table.lake().put_object(&object, bytes.into())?;
        let added = AddedFile {
            path,
            bytes: size,
            modified_ms: now_ms(),
            rows: rows.rows.len() as u64,
            partition: partition_texts(context.physical_partition_values()),
            stats: stats_text(&writable(&RecordBatch::from(stats))?)?,
        };
        Ok(Written { added, object, identities: Vec::new() })
    }
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

/// Statistics without the bounds that Delta's log has no words for: times before the year 1 or after 9999. Readers take a
/// column without bounds for one that may hold anything.
fn writable(stats: &RecordBatch) -> Result<RecordBatch> {
    const BOUNDS: [&str; 2] = ["minValues", "maxValues"];
    let bounds = BOUNDS.map(|side| stats.column_by_name(side).and_then(|column| column.as_struct_opt()));
    let [Some(least), Some(greatest)] = bounds else { return Ok(stats.clone()) };
    let is_strange = |column: &ArrayRef| {
        let times = column.as_primitive_opt::<TimestampMicrosecondType>();
        times.is_some_and(|times| times.iter().flatten().any(|time| !WRITABLE_MICROS.contains(&time)))
    };
    let sides = least.columns().iter().zip(greatest.columns());
    let strange: Vec<bool> = sides.map(|(least, greatest)| is_strange(least) || is_strange(greatest)).collect();
    let blank = |side: &StructArray| -> ArrayRef {
        let columns = side.columns().iter().zip(&strange).map(|(column, strange)| match strange {
            true => new_null_array(column.data_type(), column.len()),
            false => column.clone(),
        });
        Arc::new(StructArray::new(side.fields().clone(), columns.collect(), side.nulls().cloned()))
    };
    let (least, greatest) = (blank(least), blank(greatest));
    let schema = stats.schema();
    let columns = schema.fields().iter().zip(stats.columns()).map(|(field, column)| match field.name().as_str() {
        "minValues" => least.clone(),
        "maxValues" => greatest.clone(),
        _ => column.clone(),
    });
    RecordBatch::try_new(schema.clone(), columns.collect())
        .map_err(|error| Error::bug("cannot write a data file's statistics").with_source(error))
}

fn stats_text(stats: &RecordBatch) -> Result<String> {
    let bug = |error| Error::bug("cannot write a data file's statistics").with_source(error);
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    writer.write(stats).map_err(bug)?;
    writer.finish().map_err(bug)?;
    let text = String::from_utf8(text).map_err(|error| Error::bug("statistics are no text").with_source(error))?;
    Ok(text.trim_end().to_owned())
}

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
    let what = || format!("file \"{}\" of table \"{}\"", file.path, table.name());
    let bytes = table.lake().get_object(&table.object(&file.path)?)?;
    let bytes: Bytes = bytes.ok_or_else(|| {
        Error::data(format!("{} is gone", what())).with_hint("put it back, or add --reset once to load everything anew")
    })?;
    let damaged = |error| Error::data(format!("{} is damaged", what())).with_source(error);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(damaged)?;
    let reader = reader.with_batch_size(READ_ROWS).build().map_err(damaged)?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(|error| Error::data(format!("{} is damaged", what())).with_source(error))?;
        rows += batch.num_rows();
        each(batch)?;
    }
    if rows == file.rows as usize {
        return Ok(());
    }
    Err(Error::data(format!("{} holds {rows} rows, and the log says {}", what(), file.rows)))
}

/// The wall clock, for the log's own fields.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

//! The columns of a lake table: how a view's columns are stored, and how rows are cut into partitions.
//!
//! Delta knows fewer types than Arrow. Each column of the view has a *stored* type that holds all its values: unsigned
//! integers become the next larger signed ones (an unsigned 64-bit integer a signed one; a row with a value that does not
//! fit is refused), times become microseconds in UTC. A type that has none is refused with the column's name.
//!
//! Rows are identified by the hash of their stored columns, so that a row read back from a file has the identity it was
//! written with. All columns are nullable. Delta cannot tell an empty string from null in a partition column, so an
//! empty string there is stored as null.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array,
};
use catchment_contract::arrow::compute::kernels::cmp::eq;
use catchment_contract::arrow::compute::{CastOptions, cast, cast_with_options, nullif};
use catchment_contract::arrow::datatypes::{
    DataType, Date32Type, Field, Fields, Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampMicrosecondType,
};
use catchment_contract::arrow::util::display::FormatOptions;
use catchment_contract::{Error, Result};
use delta_kernel::engine::arrow_conversion::TryIntoKernel;
use delta_kernel::expressions::Scalar;
use delta_kernel::schema::{DataType as KernelType, StructField, StructType};

const DAY_US: i64 = 86_400_000_000;
/// The dates, in days since 1970, that Delta's text of a partition value has words for: some 260,000 years either way.
const PARTITION_DAYS: std::ops::RangeInclusive<i32> = -95_000_000..=95_000_000;

/// How a partition column's value is made of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// The column's own value.
    Column,
    /// The UTC day of a time.
    Day,
}

/// A column that rows are partitioned by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionColumn {
    /// Its name in the table: the column's, or `day`.
    pub name: String,
    /// The view's column that it is made of.
    pub source: usize,
    /// How.
    pub transform: Transform,
}

/// The value of a partition column in one file, as Delta writes it; `None` is null.
pub type PartitionValues = BTreeMap<String, Option<String>>;

/// The columns of one table.
#[derive(Clone, Debug)]
pub struct TableColumns {
    /// The view's columns with their stored types, in the view's order; for a table of changes `_epoch` and `_diff` too.
    pub stored: SchemaRef,
    /// What rows are partitioned by.
    pub partition: Vec<PartitionColumn>,
    /// The columns that are in the files: stored ones that are no partition columns, by position.
    pub in_file: Vec<usize>,
    /// Their schema.
    pub file_schema: SchemaRef,
}

impl TableColumns {
    /// The table columns for a view of `schema`, partitioned by `partition`.
    ///
    /// # Errors
    /// Names a column whose type no lake table can hold.
    pub fn new(schema: &Schema, partition: Vec<PartitionColumn>) -> Result<Self> {
        let fields = schema.fields().iter().map(|field| {
            let stored = stored_type(field.data_type()).map_err(|reason| {
                Error::user(format!("column \"{}\" cannot be kept in a lake table: {reason}", field.name()))
                    .with_hint(format!("cast it to another type in the view, or leave \"{}\" out", field.name()))
            })?;
            Ok(Field::new(field.name(), stored, true))
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let own = |index: &usize| partition.iter().any(|p| p.transform == Transform::Column && p.source == *index);
        let in_file: Vec<usize> = (0..fields.len()).filter(|index| !own(index)).collect();
        let file_schema = Schema::new(in_file.iter().map(|index| fields[*index].clone()).collect::<Vec<_>>());
        Ok(TableColumns {
            stored: Arc::new(Schema::new(fields)),
            partition,
            in_file,
            file_schema: Arc::new(file_schema),
        })
    }

    /// All columns of the table in Delta's types: the stored ones, then those that partitioning adds.
    ///
    /// # Errors
    /// If two of them have one name.
    pub fn kernel_schema(&self) -> Result<StructType> {
        let mut fields = Vec::new();
        for field in self.stored.fields() {
            let kernel: KernelType = field.data_type().try_into_kernel().map_err(|error| {
                Error::bug(format!("type of column \"{}\" has no Delta type", field.name())).with_source(error)
            })?;
            fields.push(StructField::nullable(field.name(), kernel));
        }
        for added in self.partition.iter().filter(|column| column.transform == Transform::Day) {
            fields.push(StructField::nullable(&added.name, KernelType::DATE));
        }
        StructType::try_new(fields)
            .map_err(|error| Error::user("the view's columns cannot be those of a table").with_source(error))
    }

    /// The stored form of `columns`, which are the view's, and the rows of which a value has none, with the reason: such a
    /// row's stored values mean nothing.
    ///
    /// # Errors
    /// None for columns of the view's types.
    pub fn store(&self, columns: &[ArrayRef]) -> Result<(Vec<ArrayRef>, BTreeMap<u32, String>)> {
        let mut refused = BTreeMap::new();
        let stored = columns.iter().zip(self.stored.fields()).enumerate().map(|(index, (column, field))| {
            let cast = store_column(column, field, &mut refused)?;
            let own = self.partition.iter().any(|p| p.source == index && p.transform == Transform::Column);
            match field.data_type() {
                DataType::Utf8View if own => empty_as_null(&cast),
                DataType::Date32 if own => {
                    for (row, day) in cast.as_primitive::<Date32Type>().iter().enumerate() {
                        if day.is_some_and(|day| !PARTITION_DAYS.contains(&day)) {
                            refused.entry(row as u32).or_insert_with(|| {
                                format!("column \"{}\" holds a date outside the range for partitions", field.name())
                            });
                        }
                    }
                    Ok(cast)
                }
                _ => Ok(cast),
            }
        });
        Ok((stored.collect::<Result<_>>()?, refused))
    }

    /// The name of partition column `index`.
    pub fn name_of(&self, index: usize) -> String {
        self.partition[index].name.clone()
    }

    /// The type of partition column `index`, in Delta's words.
    ///
    /// # Errors
    /// None for the types that a partition column may have.
    pub fn partition_type(&self, index: usize) -> Result<KernelType> {
        let column = &self.partition[index];
        let kind = match column.transform {
            Transform::Day => Ok(KernelType::DATE),
            Transform::Column => self.stored.field(column.source).data_type().try_into_kernel(),
        };
        kind.map_err(|error| Error::bug("a partition column has no Delta type").with_source(error))
    }

    /// The values that rows are partitioned by, one array a partition column.
    ///
    /// # Errors
    /// None for columns that [`TableColumns::store`] made.
    pub fn partition_arrays(&self, stored: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let value = |column: &PartitionColumn| match column.transform {
            Transform::Column => Ok(Arc::clone(&stored[column.source])),
            Transform::Day => day_of(&stored[column.source]),
        };
        self.partition.iter().map(value).collect()
    }

    /// The value of partition column `index` in row `row` of its array, for Delta.
    ///
    /// # Errors
    /// None for the types that a partition column may have.
    pub fn partition_scalar(&self, index: usize, array: &ArrayRef, row: usize) -> Result<Scalar> {
        partition_scalar(array, row).ok_or_else(|| {
            Error::bug(format!("partition column \"{}\" has type {}", self.partition[index].name, array.data_type()))
        })
    }

    /// Rows read from a file (its columns in any order, some perhaps missing) with the partition's values, as stored.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if a column has another type than the table's.
    pub fn restore(&self, file: &RecordBatch, values: &PartitionValues) -> Result<Vec<ArrayRef>> {
        let rows = file.num_rows();
        let column = |(index, field): (usize, &Arc<Field>)| {
            let failed = |error| Error::data(format!("cannot read column \"{}\"", field.name())).with_source(error);
            if !self.in_file.contains(&index) {
                let value = values.get(field.name()).cloned().flatten();
                let text = StringArray::from(vec![value]);
                let one = cast(&text, field.data_type()).map_err(failed)?;
                let repeat = catchment_contract::arrow::array::UInt32Array::from(vec![0; rows]);
                return catchment_contract::arrow::compute::take(&one, &repeat, None).map_err(failed);
            }
            match file.column_by_name(field.name()) {
                None => Ok(new_null_array(field.data_type(), rows)),
                Some(found) if found.data_type() == field.data_type() => Ok(Arc::clone(found)),
                Some(found) => cast(found, field.data_type()).map_err(failed),
            }
        };
        self.stored.fields().iter().enumerate().map(column).collect()
    }

    /// The columns of `stored` that are in a file.
    ///
    /// # Errors
    /// None for columns of one length.
    pub fn file_batch(&self, stored: &[ArrayRef], rows: usize) -> Result<RecordBatch> {
        let columns = self.in_file.iter().map(|index| Arc::clone(&stored[*index])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.file_schema), columns, &options)
            .map_err(|error| Error::bug("stored columns do not fit the table's schema").with_source(error))
    }
}

/// The text that Delta keeps of partition values.
pub fn partition_texts(physical: &HashMap<String, Option<String>>) -> PartitionValues {
    physical.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The stored form of one column; adds the rows whose value has none to `refused`.
fn store_column(column: &ArrayRef, field: &Field, refused: &mut BTreeMap<u32, String>) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let strict = CastOptions { safe: false, format_options: FormatOptions::default() };
    if let Ok(cast) = cast_with_options(column, field.data_type(), &strict) {
        return Ok(cast);
    }
    // One by one: in a nested value, a null for what has no stored form would go unnoticed.
    let bug = |error| Error::bug(format!("cannot store column \"{}\"", field.name())).with_source(error);
    for row in 0..column.len() {
        if cast_with_options(&column.slice(row, 1), field.data_type(), &strict).is_err() {
            refused.entry(row as u32).or_insert_with(|| {
                format!("column \"{}\" holds a value that does not fit {}", field.name(), field.data_type())
            });
        }
    }
    cast(column, field.data_type()).map_err(bug)
}

fn empty_as_null(column: &ArrayRef) -> Result<ArrayRef> {
    let failed = |error| Error::bug("cannot compare strings").with_source(error);
    let empty = catchment_contract::arrow::array::StringViewArray::from(vec![""]);
    let is_empty = eq(column, &catchment_contract::arrow::array::Scalar::new(&empty)).map_err(failed)?;
    if is_empty.true_count() == 0 { Ok(Arc::clone(column)) } else { nullif(column, &is_empty).map_err(failed) }
}

/// The UTC day of a date or a time; null for one that no partition can be named by.
fn day_of(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            Ok(Arc::new(days.unary_opt::<_, Date32Type>(|day| Some(day).filter(|day| PARTITION_DAYS.contains(day)))))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            let day =
                |time: i64| i32::try_from(time.div_euclid(DAY_US)).ok().filter(|day| PARTITION_DAYS.contains(day));
            Ok(Arc::new(times.unary_opt::<_, Date32Type>(day)))
        }
        other => Err(Error::bug(format!("day() of {other}"))),
    }
}

fn partition_scalar(array: &ArrayRef, row: usize) -> Option<Scalar> {
    let kernel: KernelType = array.data_type().try_into_kernel().ok()?;
    if array.is_null(row) {
        return Some(Scalar::Null(kernel));
    }
    Some(match array.data_type() {
        DataType::Boolean => Scalar::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => Scalar::Byte(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => Scalar::Short(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => Scalar::Integer(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Scalar::Long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Date32 => Scalar::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Utf8View => Scalar::String(array.as_string_view().value(row).to_owned()),
        _ => return None,
    })
}

/// Whether a column of this stored type can be a partition column.
pub fn can_partition(stored: &DataType) -> bool {
    use DataType::{Boolean, Date32, Int8, Int16, Int32, Int64, Utf8View};
    matches!(stored, Boolean | Int8 | Int16 | Int32 | Int64 | Date32 | Utf8View)
}

/// The type in which values of type `view` are kept; else why there is none.
pub fn stored_type(view: &DataType) -> Result<DataType, String> {
    use DataType as T;
    Ok(match view {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Date32 => view.clone(),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8View,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 | T::UInt64 => T::Int64,
        T::Float16 => T::Float32,
        T::Date64 => T::Date32,
        T::Timestamp(_, Some(_)) => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::Timestamp(_, None) => T::Timestamp(TimeUnit::Microsecond, None),
        T::Decimal128(precision, scale) if *scale >= 0 => T::Decimal128(*precision, *scale),
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) if *scale >= 0 => {
            T::Decimal128(*precision, *scale)
        }
        T::Dictionary(_, value) => stored_type(value)?,
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            T::List(Arc::new(Field::new("element", stored_type(item.data_type())?, true)))
        }
        T::Struct(fields) => {
            let inner = fields.iter().map(|field| {
                stored_type(field.data_type())
                    .map(|stored| Field::new(field.name(), stored, true))
                    .map_err(|reason| format!("its field \"{}\": {reason}", field.name()))
            });
            T::Struct(inner.collect::<Result<Fields, String>>()?)
        }
        T::Null => return Err("its type is not known, for it is always null".into()),
        other => return Err(format!("Delta has no type for {other}")),
    })
}

//! Types and values in writing.

use std::fmt::{Debug, Display};

use catchment_contract::arrow::array::{Array, ArrayRef, RecordBatch};
use catchment_contract::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use catchment_contract::{Error, Result};
use datafusion_common::ScalarValue;

/// A type. Encodings of one type are one: all texts are `text`, all lists of one item `list(…)`.
pub(crate) fn type_name(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Null => "null".to_string(),
        DataType::Boolean => "bool".to_string(),
        DataType::Int8 => "int8".to_string(),
        DataType::Int16 => "int16".to_string(),
        DataType::Int32 => "int32".to_string(),
        DataType::Int64 => "int64".to_string(),
        DataType::UInt8 => "uint8".to_string(),
        DataType::UInt16 => "uint16".to_string(),
        DataType::UInt32 => "uint32".to_string(),
        DataType::UInt64 => "uint64".to_string(),
        DataType::Float16 => "float16".to_string(),
        DataType::Float32 => "float32".to_string(),
        DataType::Float64 => "float64".to_string(),
        DataType::Decimal32(precision, scale) => format!("decimal32({precision}, {scale})"),
        DataType::Decimal64(precision, scale) => format!("decimal64({precision}, {scale})"),
        DataType::Decimal128(precision, scale) => format!("decimal128({precision}, {scale})"),
        DataType::Decimal256(precision, scale) => format!("decimal256({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_string(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytes".to_string(),
        DataType::FixedSizeBinary(length) => format!("bytes({length})"),
        DataType::Date32 => "date".to_string(),
        DataType::Date64 => "date64".to_string(),
        DataType::Time32(unit) => format!("time32({})", unit_name(*unit)),
        DataType::Time64(unit) => format!("time64({})", unit_name(*unit)),
        DataType::Timestamp(unit, None) => format!("timestamp({})", unit_name(*unit)),
        DataType::Timestamp(unit, Some(zone)) => format!("timestamp({}, {})", unit_name(*unit), quoted(zone)),
        DataType::Duration(unit) => format!("duration({})", unit_name(*unit)),
        DataType::Interval(IntervalUnit::YearMonth) => "interval(months)".to_string(),
        DataType::Interval(IntervalUnit::DayTime) => "interval(days, ms)".to_string(),
        DataType::Interval(IntervalUnit::MonthDayNano) => "interval".to_string(),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            format!("list({})", type_name(item.data_type())?)
        }
        DataType::FixedSizeList(item, length) => format!("list({}, {length})", type_name(item.data_type())?),
        DataType::Struct(fields) => {
            let fields =
                fields.iter().map(|field| Ok(format!("{}: {}", named(field.name()), type_name(field.data_type())?)));
            format!("struct({})", fields.collect::<Result<Vec<_>>>()?.join(", "))
        }
        DataType::Map(entry, _sorted) => format!("map({})", type_name(entry.data_type())?),
        DataType::Dictionary(_, values) => type_name(values)?,
        DataType::RunEndEncoded(_, values) => type_name(values.data_type())?,
        DataType::Union(..) => return Err(unwritten(data_type)),
    })
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// A value without its type.
pub(super) fn value(value: &ScalarValue) -> Result<String> {
    use ScalarValue as V;
    let written = match value {
        V::Null => None,
        V::Boolean(value) => shown(value),
        V::Int8(value) => shown(value),
        V::Int16(value) => shown(value),
        V::Int32(value) | V::Date32(value) | V::Time32Second(value) | V::Time32Millisecond(value) => shown(value),
        V::Int64(value) | V::Date64(value) | V::Time64Microsecond(value) | V::Time64Nanosecond(value) => shown(value),
        V::UInt8(value) => shown(value),
        V::UInt16(value) => shown(value),
        V::UInt32(value) => shown(value),
        V::UInt64(value) => shown(value),
        V::Float16(value) => value.map(|value| float(value.to_f32())),
        V::Float32(value) => value.map(float),
        V::Float64(value) => value.map(float),
        V::Decimal32(value, _, scale) => value.map(|value| decimal(value, *scale)),
        V::Decimal64(value, _, scale) => value.map(|value| decimal(value, *scale)),
        V::Decimal128(value, _, scale) => value.map(|value| decimal(value, *scale)),
        V::Decimal256(value, _, scale) => value.map(|value| decimal(value, *scale)),
        V::Utf8(value) | V::Utf8View(value) | V::LargeUtf8(value) => value.as_deref().map(quoted),
        V::Binary(value) | V::BinaryView(value) | V::LargeBinary(value) | V::FixedSizeBinary(_, value) => {
            value.as_deref().map(bytes)
        }
        V::TimestampSecond(value, _)
        | V::TimestampMillisecond(value, _)
        | V::TimestampMicrosecond(value, _)
        | V::TimestampNanosecond(value, _)
        | V::DurationSecond(value)
        | V::DurationMillisecond(value)
        | V::DurationMicrosecond(value)
        | V::DurationNanosecond(value) => shown(value),
        V::IntervalYearMonth(value) => shown(value),
        V::IntervalDayTime(value) => value.map(|value| format!("({}, {})", value.days, value.milliseconds)),
        V::IntervalMonthDayNano(value) => {
            value.map(|value| format!("({}, {}, {})", value.months, value.days, value.nanoseconds))
        }
        V::List(list) => list.is_valid(0).then(|| items(&list.value(0))).transpose()?,
        V::LargeList(list) => list.is_valid(0).then(|| items(&list.value(0))).transpose()?,
        V::FixedSizeList(list) => list.is_valid(0).then(|| items(&list.value(0))).transpose()?,
        V::ListView(list) => list.is_valid(0).then(|| items(&list.value(0))).transpose()?,
        V::LargeListView(list) => list.is_valid(0).then(|| items(&list.value(0))).transpose()?,
        V::Map(map) => map.is_valid(0).then(|| items(&(std::sync::Arc::new(map.value(0)) as ArrayRef))).transpose()?,
        V::Struct(fields) => fields.is_valid(0).then(|| cells(fields.columns(), 0)).transpose()?,
        V::Dictionary(_, value) | V::RunEndEncoded(_, _, value) => return self::value(value),
        V::Union(..) => return Err(unwritten(&value.data_type())),
    };
    Ok(written.unwrap_or_else(|| "null".to_string()))
}

/// The row `row` of a batch: `(1, 'a', null)`.
pub(crate) fn row(batch: &RecordBatch, row: usize) -> Result<String> {
    cells(batch.columns(), row)
}

fn cells(columns: &[ArrayRef], row: usize) -> Result<String> {
    let cells = columns.iter().map(|column| cell(column, row)).collect::<Result<Vec<_>>>()?;
    Ok(format!("({})", cells.join(", ")))
}

fn items(array: &ArrayRef) -> Result<String> {
    let items = (0..array.len()).map(|row| cell(array, row)).collect::<Result<Vec<_>>>()?;
    Ok(format!("[{}]", items.join(", ")))
}

fn cell(array: &ArrayRef, row: usize) -> Result<String> {
    let scalar = ScalarValue::try_from_array(array, row).map_err(|_| unwritten(array.data_type()))?;
    value(&scalar)
}

fn shown<T: Display>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(T::to_string)
}

/// The shortest digits that give the float back.
fn float<T: Debug>(value: T) -> String {
    format!("{value:?}")
}

/// The digits of `unscaled` with the last `scale` of them behind the point: `-0.05` for -5 and 2.
fn decimal<T: Display>(unscaled: T, scale: i8) -> String {
    let text = unscaled.to_string();
    let Ok(places) = usize::try_from(scale) else { return format!("{text}e{}", -i16::from(scale)) };
    if places == 0 {
        return text;
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    format!("{sign}{whole}.{part}")
}

fn bytes(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_string(), |text, byte| text + &format!("{byte:02x}"))
}

/// A text in single quotes, on one line.
pub(crate) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n").replace('\r', "\\r");
    format!("'{escaped}'")
}

/// A name in double quotes, on one line.
pub(crate) fn named(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('"', "\"\"").replace('\n', "\\n").replace('\r', "\\r");
    format!("\"{escaped}\"")
}

fn unwritten(data_type: &DataType) -> Error {
    Error::bug(format!("values of the type {data_type} have no notation"))
}

//! Columns out of settled cells.
//!
//! A string column is one pass to measure and one to copy: its buffer is exactly as long as its strings, so that a row
//! kept alive holds no more than its payload's wanted strings.

use std::sync::Arc;

use catchment_contract::arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, Decimal128Array, ListArray, PrimitiveArray, StringViewBuilder,
    TimestampMicrosecondArray, new_null_array,
};
use catchment_contract::arrow::buffer::{NullBuffer, OffsetBuffer};
use catchment_contract::arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};

use super::cell::{Arena, Cell};

/// Strings up to this length lie in the view itself.
const INLINE_BYTES_MAX: usize = 12;

/// A column of `data_type`, one value a cell. The cells are settled to that type.
pub(crate) fn column(data_type: &DataType, cells: &[Cell<'_>], arena: &Arena<'_>) -> ArrayRef {
    match data_type {
        DataType::Boolean => Arc::new(cells.iter().map(bool).collect::<BooleanArray>()),
        DataType::Int8 => ints::<Int8Type>(cells, |value| value as i8),
        DataType::Int16 => ints::<Int16Type>(cells, |value| value as i16),
        DataType::Int32 => ints::<Int32Type>(cells, |value| value as i32),
        DataType::Int64 => ints::<Int64Type>(cells, |value| value),
        DataType::UInt8 => ints::<UInt8Type>(cells, |value| value as u8),
        DataType::UInt16 => ints::<UInt16Type>(cells, |value| value as u16),
        DataType::UInt32 => ints::<UInt32Type>(cells, |value| value as u32),
        DataType::UInt64 => primitive::<UInt64Type>(cells.iter().map(|cell| match cell {
            Cell::UInt(value) => Some(*value),
            _ => None,
        })),
        DataType::Float32 => primitive::<Float32Type>(cells.iter().map(|cell| float(cell).map(|value| value as f32))),
        DataType::Float64 => primitive::<Float64Type>(cells.iter().map(float)),
        DataType::Date32 => ints::<Date32Type>(cells, |days| days as i32),
        DataType::Timestamp(..) => {
            let times = cells.iter().map(int).collect::<TimestampMicrosecondArray>();
            Arc::new(times.with_timezone("UTC"))
        }
        DataType::Decimal128(precision, scale) => {
            let value = |cell: &Cell<'_>| match cell {
                Cell::Decimal(at) => arena.decimals.get(*at as usize).copied(),
                _ => None,
            };
            let values = cells.iter().map(value).collect::<Decimal128Array>();
            let made = values.with_precision_and_scale(*precision, *scale);
            Arc::new(made.expect("the declared type was checked when the job was"))
        }
        DataType::Utf8View => strings(cells, arena),
        DataType::List(item) => {
            let lists = || {
                cells.iter().map(|cell| match cell {
                    Cell::List { start, len } => Some(arena.list(*start, *len)),
                    _ => None,
                })
            };
            let inner: Vec<Cell<'_>> = lists().flatten().flatten().copied().collect();
            let lengths = OffsetBuffer::from_lengths(lists().map(|list| list.map_or(0, <[_]>::len)));
            let valid = lists().map(|list| list.is_some()).collect::<NullBuffer>();
            let items = column(item.data_type(), &inner, arena);
            Arc::new(ListArray::new(item.clone(), lengths, items, Some(valid)))
        }
        other => new_null_array(other, cells.len()),
    }
}

/// The values of whole-number cells, which settling has brought into range.
fn ints<T: ArrowPrimitiveType>(cells: &[Cell<'_>], narrow: impl Fn(i64) -> T::Native) -> ArrayRef {
    primitive::<T>(cells.iter().map(|cell| int(cell).map(&narrow)))
}

fn primitive<T: ArrowPrimitiveType>(values: impl Iterator<Item = Option<T::Native>>) -> ArrayRef {
    Arc::new(values.collect::<PrimitiveArray<T>>())
}

fn strings(cells: &[Cell<'_>], arena: &Arena<'_>) -> ArrayRef {
    let values = || cells.iter().map(|cell| cell.str(&arena.text));
    let long = values().flatten().map(str::len).filter(|len| *len > INLINE_BYTES_MAX).sum::<usize>();
    let mut builder = StringViewBuilder::with_capacity(cells.len());
    if long > 0 {
        builder = builder.with_fixed_block_size(u32::try_from(long).unwrap_or(u32::MAX));
    }
    values().for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn bool(cell: &Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Bool(value) => Some(*value),
        _ => None,
    }
}

#[inline]
fn int(cell: &Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(value) => Some(*value),
        _ => None,
    }
}

fn float(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Float(value) => Some(*value),
        _ => None,
    }
}

//! Arrow values as JSON text (RFC 8259), straight into bytes.
//!
//! [`Cells`] is a column made ready once a batch: its type is looked at then, and writing a row's value is one `match`
//! and one append. What is written, by type:
//!
//! | type | JSON |
//! |---|---|
//! | null | `null` |
//! | booleans, integers | `true`, `-12` (64 bits in full: readers that count in doubles lose digits beyond 2⁵³) |
//! | floats | the shortest text that reads back equal (`0.1`, `1e16`); NaN and infinities are `null` |
//! | decimals | text: `"12.50"` |
//! | strings | text, escaped where RFC 8259 asks for it |
//! | binary | text, base64 with padding (RFC 4648) |
//! | timestamps | text: `"2026-01-31T12:00:00.000000Z"`; without `Z` if the column has no time zone |
//! | dates | text: `"2026-01-31"` |
//! | lists | arrays |
//! | structs | objects |
//! | maps | objects, their keys as plain text |
//! | anything else (times of day, intervals) | text, as Arrow prints it |
//!
//! [`Cells::write_plain`] writes the same without quotes and escapes: the key of a record.

use std::io::Write as _;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, LargeBinaryArray, LargeStringArray,
    OffsetSizeTrait, StringArray, StringViewArray,
};
use catchment_contract::arrow::buffer::{NullBuffer, ScalarBuffer};
use catchment_contract::arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use catchment_contract::arrow::downcast_dictionary_array;
use catchment_contract::arrow::util::display::{ArrayFormatter, FormatOptions};
use catchment_contract::{Error, Result};

use crate::fluvio::text::{write_base64, write_date, write_escaped, write_i64, write_time, write_u64};

/// A column of a batch, ready to be written value by value.
pub struct Cells<'a> {
    nulls: Option<NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Bool(&'a BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
    Date(&'a [i32]),
    /// Units since 1970, how many of them a second has, and whether they are UTC.
    Time(&'a [i64], i64, bool),
    List(Vec<(usize, usize)>, Box<Cells<'a>>),
    Struct(Vec<Named<'a>>),
    Map(&'a ScalarBuffer<i32>, Box<Cells<'a>>, Box<Cells<'a>>),
    /// Row of the distinct values for each row; the values.
    Dictionary(Vec<usize>, Box<Cells<'a>>),
    /// Texts that were made beforehand.
    Printed(Vec<String>),
}

/// A column with its name as the start of a member: `"name":`.
pub struct Named<'a> {
    member: Vec<u8>,
    cells: Cells<'a>,
}

impl<'a> Named<'a> {
    /// A member named `name`.
    ///
    /// # Errors
    /// As [`Cells::new`].
    pub fn new(name: &str, column: &'a ArrayRef) -> Result<Self> {
        let mut member = Vec::with_capacity(name.len() + 3);
        write_escaped(name.as_bytes(), &mut member);
        member.push(b':');
        Ok(Named { member, cells: Cells::new(column)? })
    }

    /// Writes `"name":value`.
    #[inline]
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.member);
        self.cells.write(row, out);
    }
}

/// Writes the members of a row with commas between them, without braces.
#[inline]
pub fn write_members(members: &[Named<'_>], row: usize, out: &mut Vec<u8>) {
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        member.write(row, out);
    }
}

impl<'a> Cells<'a> {
    /// Makes `column` ready.
    ///
    /// # Errors
    /// If Arrow cannot print a value of a type that has no form of its own here.
    pub fn new(column: &'a ArrayRef) -> Result<Self> {
        let array: &'a dyn Array = column.as_ref();
        Ok(Cells { nulls: array.nulls().cloned(), values: Values::new(array)? })
    }

    fn of(array: &'a dyn Array) -> Result<Self> {
        Ok(Cells { nulls: array.nulls().cloned(), values: Values::new(array)? })
    }

    /// Whether the value of `row` is null.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        match &self.values {
            Values::Null => true,
            Values::Dictionary(rows, distinct) => {
                self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) || distinct.is_null(rows[row])
            }
            _ => self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)),
        }
    }

    /// Writes the value of `row`.
    #[inline]
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.values {
            Values::Text(texts) => write_escaped(texts.value(row).as_bytes(), out),
            Values::LargeText(texts) => write_escaped(texts.value(row).as_bytes(), out),
            Values::TextView(texts) => write_escaped(texts.value(row).as_bytes(), out),
            Values::Printed(texts) => write_escaped(texts[row].as_bytes(), out),
            Values::Dictionary(rows, distinct) => distinct.write(rows[row], out),
            Values::Binary(_) | Values::LargeBinary(_) | Values::BinaryView(_) | Values::Date(_) | Values::Time(..) => {
                out.push(b'"');
                self.write_plain(row, out);
                out.push(b'"');
            }
            _ => self.write_plain(row, out),
        }
    }

    /// Writes the value of `row` without quotes and escapes; nothing for null.
    pub fn write_plain(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match &self.values {
            Values::Null => {}
            Values::Bool(values) => out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Values::I8(values) => write_i64(i64::from(values[row]), out),
            Values::I16(values) => write_i64(i64::from(values[row]), out),
            Values::I32(values) => write_i64(i64::from(values[row]), out),
            Values::I64(values) => write_i64(values[row], out),
            Values::U8(values) => write_u64(u64::from(values[row]), out),
            Values::U16(values) => write_u64(u64::from(values[row]), out),
            Values::U32(values) => write_u64(u64::from(values[row]), out),
            Values::U64(values) => write_u64(values[row], out),
            Values::F32(values) => write_float(values[row].is_finite(), values[row], out),
            Values::F64(values) => write_float(values[row].is_finite(), values[row], out),
            Values::Text(texts) => out.extend_from_slice(texts.value(row).as_bytes()),
            Values::LargeText(texts) => out.extend_from_slice(texts.value(row).as_bytes()),
            Values::TextView(texts) => out.extend_from_slice(texts.value(row).as_bytes()),
            Values::Printed(texts) => out.extend_from_slice(texts[row].as_bytes()),
            Values::Binary(values) => write_base64(values.value(row), out),
            Values::LargeBinary(values) => write_base64(values.value(row), out),
            Values::BinaryView(values) => write_base64(values.value(row), out),
            Values::Date(days) => write_date(i64::from(days[row]), out),
            Values::Time(times, per_second, utc) => write_time(times[row], *per_second, *utc, out),
            Values::Dictionary(rows, distinct) => distinct.write_plain(rows[row], out),
            Values::List(..) | Values::Struct(_) | Values::Map(..) => self.write_nested(row, out),
        }
    }

    fn write_nested(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::List(ranges, items) => {
                out.push(b'[');
                let (from, to) = ranges[row];
                for item in from..to {
                    if item > from {
                        out.push(b',');
                    }
                    items.write(item, out);
                }
                out.push(b']');
            }
            Values::Struct(members) => {
                out.push(b'{');
                write_members(members, row, out);
                out.push(b'}');
            }
            Values::Map(offsets, keys, values) => {
                out.push(b'{');
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                let mut name = Vec::new();
                for entry in from..to {
                    if entry > from {
                        out.push(b',');
                    }
                    name.clear();
                    keys.write_plain(entry, &mut name);
                    write_escaped(&name, out);
                    out.push(b':');
                    values.write(entry, out);
                }
                out.push(b'}');
            }
            _ => {}
        }
    }
}

/// The shortest text that reads back equal. `Debug` of floats is just that, and valid JSON.
fn write_float(finite: bool, value: impl std::fmt::Debug, out: &mut Vec<u8>) {
    if finite {
        let _ = write!(out, "{value:?}");
    } else {
        out.extend_from_slice(b"null");
    }
}

impl<'a> Values<'a> {
    fn new(array: &'a dyn Array) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Int8 => Values::I8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Values::I16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Values::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Values::I64(array.as_primitive::<Int64Type>().values()),
            DataType::UInt8 => Values::U8(array.as_primitive::<UInt8Type>().values()),
            DataType::UInt16 => Values::U16(array.as_primitive::<UInt16Type>().values()),
            DataType::UInt32 => Values::U32(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Values::U64(array.as_primitive::<UInt64Type>().values()),
            DataType::Float32 => Values::F32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::F64(array.as_primitive::<Float64Type>().values()),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            DataType::Binary => Values::Binary(array.as_binary()),
            DataType::LargeBinary => Values::LargeBinary(array.as_binary()),
            DataType::BinaryView => Values::BinaryView(array.as_binary_view()),
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(unit, zone) => times(array, *unit, zone.is_some()),
            DataType::List(_) => list::<i32>(array)?,
            DataType::LargeList(_) => list::<i64>(array)?,
            DataType::FixedSizeList(_, size) => {
                let (values, size) = (array.as_fixed_size_list().values(), *size as usize);
                let ranges = (0..array.len()).map(|row| (row * size, (row + 1) * size)).collect();
                Values::List(ranges, Box::new(Cells::of(values.as_ref())?))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter();
                let members = fields.iter().zip(columns).map(|(field, column)| Named::new(field.name(), column));
                Values::Struct(members.collect::<Result<_>>()?)
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                let (keys, values) = (Cells::new(map.keys())?, Cells::new(map.values())?);
                Values::Map(map.offsets().inner(), Box::new(keys), Box::new(values))
            }
            DataType::Dictionary(_, _) => downcast_dictionary_array!(
                array => {
                    let rows = (0..array.len()).map(|row| array.key(row).unwrap_or_default()).collect();
                    Values::Dictionary(rows, Box::new(Cells::of(array.values().as_ref())?))
                },
                _ => return Err(Error::bug("a dictionary type holds a dictionary array"))
            ),
            _ => Values::Printed(printed(array)?),
        })
    }
}

fn times(array: &dyn Array, unit: TimeUnit, utc: bool) -> Values<'_> {
    match unit {
        TimeUnit::Second => Values::Time(array.as_primitive::<TimestampSecondType>().values(), 1, utc),
        TimeUnit::Millisecond => Values::Time(array.as_primitive::<TimestampMillisecondType>().values(), 1_000, utc),
        TimeUnit::Microsecond => {
            Values::Time(array.as_primitive::<TimestampMicrosecondType>().values(), 1_000_000, utc)
        }
        TimeUnit::Nanosecond => {
            Values::Time(array.as_primitive::<TimestampNanosecondType>().values(), 1_000_000_000, utc)
        }
    }
}

fn list<O: OffsetSizeTrait>(array: &dyn Array) -> Result<Values<'_>> {
    let list = array.as_list::<O>();
    let ranges = list.offsets().windows(2).map(|ends| (ends[0].as_usize(), ends[1].as_usize())).collect();
    Ok(Values::List(ranges, Box::new(Cells::of(list.values().as_ref())?)))
}

/// Every value as text, for types that are rare enough not to deserve code of their own.
fn printed(array: &dyn Array) -> Result<Vec<String>> {
    if let Some(values) = array.as_fixed_size_binary_opt() {
        let texts = (0..array.len()).map(|row| {
            let mut text = Vec::new();
            write_base64(values.value(row), &mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        return Ok(texts.collect());
    }
    let failed = |error| Error::bug(format!("a value of type {} has no text", array.data_type())).with_source(error);
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(failed)?;
    let mut texts = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        let mut text = String::new();
        formatter.value(row).write(&mut text).map_err(failed)?;
        texts.push(text);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests;

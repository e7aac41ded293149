//! Columns out of settled cells.
//!
//! A string column is one pass to measure and one to copy: its buffer is exactly as long as its strings, so that a row
//! kept alive holds no more than its payload's wanted strings.

use std::sync::Arc;

use catchment_contract::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringViewBuilder,
    TimestampMicrosecondArray,
};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema};

use super::cell::Cell;
use super::columns::{Column, Made, Type};
use super::plan::Plan;
use super::scan::Sheet;

/// Strings up to this length lie in the view itself.
const INLINE_BYTES_MAX: usize = 12;

/// The column `column` of the rows `kept`, whose field lies in `slot`.
pub(super) fn column(
    column: &Column,
    slot: usize,
    sheet: &Sheet<'_>,
    kept: &[usize],
    versions: &[Option<i64>],
    plan: &Plan,
) -> ArrayRef {
    let cells = kept.iter().map(|row| sheet.cell(*row, slot));
    match column.data_type() {
        DataType::Utf8View if column.made == Made::Name => names(sheet, kept, plan),
        DataType::Utf8View => {
            let bare = column.made != Made::Same;
            strings(kept.len(), || {
                cells.clone().map(|cell| cell.str(&sheet.text).map(|s| if bare { self::bare(s) } else { s }))
            })
        }
        DataType::Int64 => Arc::new(Int64Array::from_iter(cells.map(int))),
        DataType::Float64 => Arc::new(Float64Array::from_iter(cells.map(|cell| match cell {
            Cell::Float(value) => Some(value),
            _ => None,
        }))),
        DataType::Timestamp(..) => {
            let times = match column.made {
                Made::Retrieved => TimestampMicrosecondArray::from(versions.to_vec()),
                _ => TimestampMicrosecondArray::from_iter(cells.map(int)),
            };
            Arc::new(times.with_timezone("UTC"))
        }
        _ => Arc::new(BooleanArray::from_iter(cells.map(|cell| match (cell, column.ty) {
            (Cell::Bool(value), _) => Some(value),
            (Cell::Int(_), Type::Edited) => Some(true),
            _ => None,
        }))),
    }
}

/// The rows of a payload.
pub(super) fn batch(plan: &Plan, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let fields =
        plan.columns.iter().map(|(column, _)| Field::new(column.name, column.data_type(), column.name != "id"));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .expect("every column was built with its field's type and one value a row kept")
}

/// An id without `t1_`, `t3_` and the like in front.
pub(super) fn bare(id: &str) -> &str {
    match id.as_bytes() {
        [b't', b'0'..=b'9', b'_', ..] => &id[3..],
        _ => id,
    }
}

fn int(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(value) => Some(value),
        _ => None,
    }
}

fn strings<'t, I: Iterator<Item = Option<&'t str>>>(rows: usize, values: impl Fn() -> I) -> ArrayRef {
    let long = values().flatten().map(str::len).filter(|len| *len > INLINE_BYTES_MAX).sum::<usize>();
    let mut builder = StringViewBuilder::with_capacity(rows);
    if long > 0 {
        builder = builder.with_fixed_block_size(u32::try_from(long).unwrap_or(u32::MAX));
    }
    values().for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

/// Full names: the field's, or made of the id.
fn names(sheet: &Sheet<'_>, kept: &[usize], plan: &Plan) -> ArrayRef {
    let name = |row: &usize| {
        let cell = |slot| sheet.cell(*row, slot);
        let made = || Some(format!("{}{}", plan.kind.prefix(), bare(cell(Plan::ID).str(&sheet.text)?)));
        cell(Plan::NAME).str(&sheet.text).map(str::to_owned).or_else(made)
    };
    let names: Vec<Option<String>> = kept.iter().map(name).collect();
    strings(kept.len(), || names.iter().map(Option::as_deref))
}

//! Statistics of data files as the log keeps them.
//!
//! A reader skips a file whose bounds say that it holds nothing it asks for, and takes a column without bounds for one that
//! may hold anything. So what the log has no words for is left out: times and dates before the year 1 or after 9999.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray, new_null_array};
use catchment_contract::arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use catchment_contract::arrow::json::LineDelimitedWriter;
use catchment_contract::{Error, Result, WRITABLE_MICROS};

const DAY_US: i64 = 86_400_000_000;

/// The text of a file's statistics, which are one row.
///
/// # Errors
/// None for statistics of stored columns.
pub fn stats_text(stats: &RecordBatch) -> Result<String> {
    let bug = |error| Error::bug("cannot write a data file's statistics").with_source(error);
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    writer.write(&writable(stats)?).map_err(bug)?;
    writer.finish().map_err(bug)?;
    let text = String::from_utf8(text).map_err(|error| Error::bug("statistics are no text").with_source(error))?;
    Ok(text.trim_end().to_owned())
}

/// Statistics without the bounds that the log has no words for.
fn writable(stats: &RecordBatch) -> Result<RecordBatch> {
    const BOUNDS: [&str; 2] = ["minValues", "maxValues"];
    let bounds = BOUNDS.map(|side| stats.column_by_name(side).and_then(|column| column.as_struct_opt()));
    let [Some(least), Some(greatest)] = bounds else { return Ok(stats.clone()) };
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

fn is_strange(column: &ArrayRef) -> bool {
    if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
        return times.iter().flatten().any(|time| !WRITABLE_MICROS.contains(&time));
    }
    let days = column.as_primitive_opt::<Date32Type>();
    days.is_some_and(|days| {
        days.iter().flatten().any(|day| !WRITABLE_MICROS.contains(&(i64::from(day).saturating_mul(DAY_US))))
    })
}

//! Rows of both engines in one spelling.
//!
//! Numbers with a point have nine digits: DuckDB adds them in any order, and the last of sixteen digits may differ.

use catchment_contract::arrow::array::{Array, ArrayRef};
use catchment_engine::flatten;
use datafusion::common::ScalarValue;

use super::common::history::Multiset;
use super::sql::Type;

/// The rows of a batch, each cell by its column's type.
pub fn ours(columns: &[ArrayRef], len: usize, types: &[Type]) -> Vec<String> {
    let flat: Vec<ArrayRef> = columns.iter().map(flatten).collect();
    (0..len)
        .map(|row| {
            let cells = flat.iter().zip(types).map(|(column, data_type)| match our_text(column, row) {
                None => "NULL".to_string(),
                Some(text) => cell(&text, *data_type),
            });
            cells.collect::<Vec<_>>().join(" | ")
        })
        .collect()
}

fn our_text(column: &dyn Array, row: usize) -> Option<String> {
    let value = ScalarValue::try_from_array(column, row).expect("a row of the column");
    Some(match value {
        value if value.is_null() => return None,
        ScalarValue::TimestampMicrosecond(Some(at), _) => at.to_string(),
        ScalarValue::Date32(Some(day)) => day.to_string(),
        ScalarValue::Utf8View(Some(text)) => text,
        ScalarValue::Decimal128(Some(number), _, 0) => number.to_string(),
        value => value.to_string(),
    })
}

/// DuckDB's rows.
pub fn theirs(rows: &[Vec<Option<String>>], types: &[Type]) -> Multiset {
    let mut found = Multiset::new();
    for row in rows {
        let cells = row.iter().zip(types).map(|(text, data_type)| match text {
            None => "NULL".to_string(),
            Some(text) => cell(text, *data_type),
        });
        *found.entry(cells.collect::<Vec<_>>().join(" | ")).or_default() += 1;
    }
    found
}

fn cell(text: &str, data_type: Type) -> String {
    match data_type {
        Type::Text => format!("{text:?}"),
        Type::Float => number(text.parse().unwrap_or_else(|error| panic!("{error}: {text:?} is no number"))),
        Type::Int | Type::Bool | Type::Time | Type::Date | Type::Decimal => text.to_string(),
    }
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_string(),
        value if value.is_infinite() => value.to_string(),
        value if value.abs() < 1e-9 => "0".to_string(),
        value => format!("{value:.8e}"),
    }
}

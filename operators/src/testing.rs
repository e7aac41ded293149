//! What the operators' own tests share: plain rows in, accumulated rows out.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::Run;
use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringViewArray};
use catchment_contract::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use catchment_engine::{Updates, flatten};

use crate::driver::Logic;

/// A column of numbers.
pub(crate) fn numbers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Vec<_>>().into_iter().map(Some).collect::<Int64Array>())
}

/// A column of strings.
pub(crate) fn texts<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(values))
}

/// A column of doubles.
pub(crate) fn doubles(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

/// Updates of one epoch.
pub(crate) fn updates(columns: Vec<ArrayRef>, diffs: Vec<i64>) -> Updates {
    Updates::new(diffs.len(), columns, Run::One(1), Run::Each(diffs.into()))
}

/// What a logic's outputs sum to, rows written as text.
#[derive(Default)]
pub(crate) struct Accumulated {
    pub rows: BTreeMap<String, i64>,
}

impl Accumulated {
    /// Feeds `input` as one epoch and adds what comes out; how many updates did. No row may come twice.
    pub(crate) fn feed(&mut self, logic: &mut impl Logic, input: Vec<Updates>) -> usize {
        let mut seen = BTreeMap::new();
        for output in logic.apply(input) {
            for row in 0..output.len() {
                let cells: Vec<String> = output.columns().iter().map(|column| cell(column, row)).collect();
                let (text, diff) = (cells.join(" "), output.diffs().at(row));
                assert!(diff != 0 && seen.insert(text.clone(), ()).is_none(), "{text} comes twice in an epoch");
                let count = self.rows.entry(text).or_default();
                *count += diff;
            }
        }
        self.rows.retain(|_, count| *count != 0);
        seen.len()
    }

    /// The rows, each of which is there once.
    pub(crate) fn once(&self) -> Vec<&str> {
        assert!(self.rows.values().all(|count| *count == 1), "{:?}", self.rows);
        self.rows.keys().map(String::as_str).collect()
    }
}

fn cell(column: &ArrayRef, row: usize) -> String {
    let column = flatten(column);
    if column.is_null(row) {
        return "null".into();
    }
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Decimal128(_, _) => column.as_primitive::<Decimal128Type>().value_as_string(row),
        other => panic!("no cells of {other}"),
    }
}

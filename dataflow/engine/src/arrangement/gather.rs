//! Gathering of rows from several sources into columns that own their bytes.
//!
//! Arrow's kernels let a gathered string view point into the buffers it came from. State must not: a chunk of merged
//! chunks would keep every buffer of every source alive. What is gathered here copies its long strings, and only those.

use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, StructArray, UInt32Array,
};
use catchment_contract::arrow::compute::{interleave, take};
use catchment_contract::arrow::datatypes::DataType;

/// The rows `at`, as `(source, row)`, of one column's `sources`, in that order.
///
/// All sources have one type; there is at least one where `at` is not empty.
pub fn gather_column(sources: &[&ArrayRef], at: &[(usize, usize)]) -> ArrayRef {
    let gathered = match sources {
        [one] => {
            let rows = UInt32Array::from_iter_values(at.iter().map(|(_, row)| *row as u32));
            take(one, &rows, None).expect("rows are in range")
        }
        _ => {
            let arrays: Vec<&dyn Array> = sources.iter().map(|source| source.as_ref()).collect();
            interleave(&arrays, at).expect("sources have one type and rows are in range")
        }
    };
    own_views(gathered)
}

/// The column with its long strings in buffers of its own, at any depth of lists and structs.
fn own_views(column: ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        DataType::List(_) => own_list(column.as_list::<i32>()),
        DataType::LargeList(_) => own_list(column.as_list::<i64>()),
        DataType::Struct(_) => {
            let (fields, columns, nulls) = column.as_struct().clone().into_parts();
            let columns = columns.into_iter().map(own_views).collect();
            let made = StructArray::try_new_with_length(fields, columns, nulls, column.len());
            Arc::new(made.expect("the parts of a struct fit together"))
        }
        _ => column,
    }
}

fn own_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> ArrayRef {
    let (field, offsets, values, nulls) = list.clone().into_parts();
    let made = GenericListArray::try_new(field, offsets, own_views(values), nulls);
    Arc::new(made.expect("the parts of a list fit together"))
}

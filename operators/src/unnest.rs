//! Rows repeated by the lists that they hold.
//!
//! A flat string column that is repeated twice or more on average leaves as a dictionary over the original column, so
//! that repeating a row costs four bytes a string and its hash is computed once.

use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, FixedSizeListArray, GenericListArray, GenericListViewArray,
    OffsetSizeTrait, UInt32Array,
};
use catchment_contract::arrow::datatypes::{DataType, UInt32Type};
use catchment_engine::Updates;
use catchment_engine::updates::take_rows;

/// Where the values of each row's list lie in the child array.
struct Spans {
    values: ArrayRef,
    /// Start and length, one a row; a null list is empty.
    each: Vec<(usize, usize)>,
}

/// Rows repeated by the lists of `column` (`List`, `LargeList`, `FixedSizeList` and both list views, whose values may be
/// a dictionary): the column is replaced by its values, the others are repeated, and so are diffs and epochs. Empty and
/// null lists vanish, or with `preserve_nulls` become one row with a null. A column that is no list is returned as it is.
pub fn unnest(updates: Updates, column: usize, preserve_nulls: bool) -> Updates {
    let Some(spans) = spans(updates.column(column)) else {
        return updates;
    };
    let total = spans.each.iter().map(|(_, len)| (*len).max(usize::from(preserve_nulls))).sum();
    let mut sources: Vec<u32> = Vec::with_capacity(total);
    let mut places: Vec<Option<u32>> = Vec::with_capacity(total);
    for (row, (start, len)) in spans.each.iter().enumerate() {
        if *len == 0 && preserve_nulls {
            sources.push(row as u32);
            places.push(None);
        }
        sources.resize(sources.len() + len, row as u32);
        places.extend((*start..start + len).map(|place| Some(place as u32)));
    }
    let values = pick(&spans.values, places);
    let dense = sources.len() >= 2 * updates.len();
    let positions = UInt32Array::from(sources.clone());
    let columns = updates.columns().iter().enumerate().map(|(index, other)| match other.data_type() {
        _ if index == column => values.clone(),
        DataType::Utf8View if dense => Arc::new(DictionaryArray::<UInt32Type>::new(positions.clone(), other.clone())),
        _ => take_rows(other, &positions),
    });
    Updates::new(sources.len(), columns.collect(), updates.epochs().take(&sources), updates.diffs().take(&sources))
}

/// The values at `places`; a contiguous run without nulls is a slice.
fn pick(values: &ArrayRef, places: Vec<Option<u32>>) -> ArrayRef {
    let Some(Some(first)) = places.first().copied() else {
        return take_rows(values, &UInt32Array::from(places));
    };
    if places.iter().enumerate().all(|(index, place)| *place == Some(first + index as u32)) {
        return values.slice(first as usize, places.len());
    }
    take_rows(values, &UInt32Array::from(places))
}

fn spans(column: &ArrayRef) -> Option<Spans> {
    let array = column.as_ref();
    Some(match array.data_type() {
        DataType::List(_) => of_list(array.as_list::<i32>()),
        DataType::LargeList(_) => of_list(array.as_list::<i64>()),
        DataType::ListView(_) => of_view(array.as_list_view::<i32>()),
        DataType::LargeListView(_) => of_view(array.as_list_view::<i64>()),
        DataType::FixedSizeList(_, _) => of_fixed(array.as_fixed_size_list()),
        _ => return None,
    })
}

fn of_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Spans {
    let offsets = list.value_offsets();
    let span = |row: usize| {
        let (start, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        if list.is_null(row) { (start, 0) } else { (start, end - start) }
    };
    Spans { values: list.values().clone(), each: (0..list.len()).map(span).collect() }
}

fn of_view<O: OffsetSizeTrait>(list: &GenericListViewArray<O>) -> Spans {
    let span = |row: usize| {
        let len = if list.is_null(row) { 0 } else { list.value_sizes()[row].as_usize() };
        (list.value_offsets()[row].as_usize(), len)
    };
    Spans { values: list.values().clone(), each: (0..list.len()).map(span).collect() }
}

fn of_fixed(list: &FixedSizeListArray) -> Spans {
    let size = list.value_length() as usize;
    let span = |row: usize| (list.value_offset(row) as usize, if list.is_null(row) { 0 } else { size });
    Spans { values: list.values().clone(), each: (0..list.len()).map(span).collect() }
}

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

#[cfg(test)]
mod tests {
    use catchment_contract::Run;
    use catchment_contract::arrow::array::{Int32Array, Int64Array, ListArray, StringViewArray};
    use catchment_contract::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
    use catchment_contract::arrow::compute::cast;
    use catchment_contract::arrow::datatypes::{Field, Int32Type};
    use catchment_engine::flatten;

    use super::*;

    fn lists() -> ListArray {
        ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
            Some(vec![Some(2), Some(3), Some(4)]),
        ])
    }

    fn updates(list: ArrayRef) -> Updates {
        let names: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "b", "c", "d"]));
        let epochs = Run::Each(vec![5, 6, 7, 8].into());
        Updates::new(list.len(), vec![names.slice(0, list.len()), list], epochs, Run::Each(vec![1, 1, 1, -2].into()))
    }

    fn check(list: ArrayRef, preserve_nulls: bool, expected: &[(&str, Option<i32>, u64, i64)]) {
        let made = unnest(updates(list), 1, preserve_nulls);
        let names = flatten(made.column(0));
        let values = flatten(made.column(1));
        let values = values.as_any().downcast_ref::<Int32Array>().unwrap();
        let found: Vec<_> = (0..made.len())
            .map(|row| {
                let value = values.is_valid(row).then(|| values.value(row));
                (names.as_string_view().value(row), value, made.epochs().at(row), made.diffs().at(row))
            })
            .collect();
        assert_eq!(found, expected);
    }

    const DROPPED: &[(&str, Option<i32>, u64, i64)] =
        &[("a", Some(1), 5, 1), ("a", None, 5, 1), ("d", Some(2), 8, -2), ("d", Some(3), 8, -2), ("d", Some(4), 8, -2)];
    const PRESERVED: &[(&str, Option<i32>, u64, i64)] = &[
        ("a", Some(1), 5, 1),
        ("a", None, 5, 1),
        ("b", None, 6, 1),
        ("c", None, 7, 1),
        ("d", Some(2), 8, -2),
        ("d", Some(3), 8, -2),
        ("d", Some(4), 8, -2),
    ];

    #[test]
    fn all_kinds_of_lists_repeat_their_rows() {
        let item = || Arc::new(Field::new_list_field(DataType::Int32, true));
        let list: ArrayRef = Arc::new(lists());
        for kind in [DataType::LargeList(item()), DataType::ListView(item()), DataType::LargeListView(item())] {
            let other = cast(&list, &kind).unwrap();
            check(other.clone(), false, DROPPED);
            check(other, true, PRESERVED);
        }
        check(list.clone(), false, DROPPED);
        check(list, true, PRESERVED);
        let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
            [Some(vec![Some(1), None]), None, Some(vec![Some(3), Some(4)])],
            2,
        );
        let dropped = [("a", Some(1), 5, 1), ("a", None, 5, 1), ("c", Some(3), 7, 1), ("c", Some(4), 7, 1)];
        check(Arc::new(fixed), false, &dropped);
    }

    #[test]
    fn slices_and_null_lists_that_hide_values_are_respected() {
        let values = Arc::new(Int32Array::from(vec![9, 1, 2, 3, 4]));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 1, 3, 4, 5]));
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let field = Arc::new(Field::new_list_field(DataType::Int32, true));
        let list: ArrayRef = Arc::new(ListArray::new(field, offsets, values, Some(nulls)));
        check(list.slice(1, 3), false, &[("b", Some(3), 6, 1), ("c", Some(4), 7, 1)]);
    }

    #[test]
    fn dictionaries_stay_and_what_repeats_becomes_one() {
        let words: ArrayRef = Arc::new(StringViewArray::from(vec!["x", "y"]));
        let keys = UInt32Array::from((0..40).map(|row| row % 2).collect::<Vec<_>>());
        let child: ArrayRef = Arc::new(DictionaryArray::<UInt32Type>::new(keys, words));
        let field = Arc::new(Field::new_list_field(child.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([10, 30]);
        let list: ArrayRef = Arc::new(ListArray::new(field, offsets, child, None));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let names: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "b"]));
        let made = unnest(Updates::new(2, vec![names, list, numbers], Run::One(1), Run::One(1)), 1, false);
        assert_eq!(made.len(), 40);
        assert!(matches!(made.column(0).data_type(), DataType::Dictionary(_, _)));
        assert!(matches!(made.column(1).data_type(), DataType::Dictionary(_, _)));
        assert_eq!(flatten(made.column(0)).as_string_view().value(10), "b");
        assert_eq!(flatten(made.column(1)).as_string_view().value(11), "y");
    }

    #[test]
    fn nothing_unnests_to_nothing() {
        let made = unnest(updates(Arc::new(lists()) as ArrayRef).slice(1, 2), 1, false);
        assert!(made.is_empty());
        assert_eq!(made.column(1).data_type(), &DataType::Int32);
    }
}

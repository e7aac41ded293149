//! Equality of values, row by row.

use std::cmp::Ordering;

use catchment_contract::arrow::array::{Array, ArrayRef, BooleanArray, make_comparator};
use catchment_contract::arrow::compute::SortOptions;
use catchment_contract::arrow::compute::kernels::cmp::not_distinct;
use catchment_contract::hash::canonical;

/// Which values of two key columns of one type and length are equal: two nulls are, and so are both zeros and any two NaNs
/// ([`canonical`]).
pub(crate) fn same_values(left: &ArrayRef, right: &ArrayRef) -> BooleanArray {
    let (left, right) = (&canonical(left), &canonical(right));
    if let Ok(mask) = not_distinct(left, right) {
        return mask;
    }
    let same: Box<dyn Fn(usize) -> bool> = match make_comparator(left, right, SortOptions::default()) {
        Ok(compare) => Box::new(move |row| compare(row, row) == Ordering::Equal),
        // Types without an order are compared as values.
        Err(_) => Box::new(|row| left.slice(row, 1).as_ref() == right.slice(row, 1).as_ref()),
    };
    (0..left.len()).map(|row| Some(same(row))).collect()
}

//! A value beside the elements of a list, as PostgreSQL has it: `x = ANY (list)`, `array_remove(list, x)`.

use std::ops::Range;
use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, UInt32Array};
use catchment_contract::arrow::buffer::OffsetBuffer;
use catchment_contract::arrow::compute::kernels::cmp;
use catchment_contract::arrow::compute::{filter, take};
use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::{Result, internal_err};
use datafusion_expr::Operator;

use super::plain;

/// The comparisons that work with `ANY`, and what each is called.
pub(super) const COMPARISONS: [(Operator, &str); 6] = [
    (Operator::Eq, "="),
    (Operator::NotEq, "<>"),
    (Operator::Lt, "<"),
    (Operator::LtEq, "<="),
    (Operator::Gt, ">"),
    (Operator::GtEq, ">="),
];

/// Whether each of `values` compares so with an element of its list: null if that is not known, since the list is null, or
/// none does and some comparison is null.
pub(super) fn any(comparison: &str, values: &ArrayRef, lists: &ArrayRef) -> Result<ArrayRef> {
    let pairs = Pairs::of(values, lists)?;
    let Pairs { lists, values, elements, .. } = &pairs;
    let compared = match COMPARISONS.iter().find(|(_, name)| *name == comparison) {
        Some((Operator::Eq, _)) => cmp::eq(values, elements),
        Some((Operator::NotEq, _)) => cmp::neq(values, elements),
        Some((Operator::Lt, _)) => cmp::lt(values, elements),
        Some((Operator::LtEq, _)) => cmp::lt_eq(values, elements),
        Some((Operator::Gt, _)) => cmp::gt(values, elements),
        Some((Operator::GtEq, _)) => cmp::gt_eq(values, elements),
        _ => return internal_err!("{comparison} compares nothing"),
    }?;
    let found = pairs.places().enumerate().map(|(row, places)| {
        let mut results = places.map(|element| compared.is_valid(element).then(|| compared.value(element)));
        match () {
            () if lists.is_null(row) => None,
            () if results.clone().any(|result| result == Some(true)) => Some(true),
            () if results.any(|result| result.is_none()) => None,
            () => Some(false),
        }
    });
    Ok(Arc::new(found.collect::<BooleanArray>()))
}

/// Each of `lists` without the elements that are its value; a null is one.
pub(super) fn without(lists: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef> {
    let pairs = Pairs::of(values, lists)?;
    let Pairs { lists, values, elements, start } = &pairs;
    let kept = cmp::distinct(values, elements)?;
    let offsets =
        OffsetBuffer::from_lengths(pairs.places().map(|places| kept.slice(places.start, places.len()).true_count()));
    let elements = lists.values().slice(*start, kept.len());
    let field = match lists.data_type() {
        DataType::List(field) => field.clone(),
        other => return internal_err!("{other} is no list"),
    };
    Ok(Arc::new(ListArray::new(field, offsets, filter(&elements, &kept)?, lists.nulls().cloned())))
}

/// The elements of lists, each beside its row's value; floats with one zero and one NaN.
struct Pairs {
    lists: ListArray,
    values: ArrayRef,
    elements: ArrayRef,
    /// Where they begin in the array of `lists`, which may be a slice.
    start: usize,
}

impl Pairs {
    fn of(values: &ArrayRef, lists: &ArrayRef) -> Result<Pairs> {
        let Some(lists) = lists.as_list_opt::<i32>() else {
            return internal_err!("{} is no list", lists.data_type());
        };
        let rows = lists.value_offsets().windows(2).enumerate();
        let rows: UInt32Array =
            rows.flat_map(|(row, ends)| (ends[0]..ends[1]).map(move |_| Some(row as u32))).collect();
        let start = lists.value_offsets().first().copied().unwrap_or_default() as usize;
        let elements = plain(&lists.values().slice(start, rows.len()))?;
        Ok(Pairs { lists: lists.clone(), values: take(&plain(values)?, &rows, None)?, elements, start })
    }

    /// The places of each list's elements.
    fn places(&self) -> impl Iterator<Item = Range<usize>> {
        let place = |offset: i32| offset as usize - self.start;
        self.lists.value_offsets().windows(2).map(move |ends| place(ends[0])..place(ends[1]))
    }
}

#[cfg(test)]
mod tests {
    use catchment_contract::arrow::array::{Float64Array, Int64Array};
    use catchment_contract::arrow::datatypes::{Float64Type, Int64Type};
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    type List = Option<Vec<Option<i64>>>;

    fn number(random: &mut SmallRng) -> Option<i64> {
        (!random.random_bool(0.2)).then(|| random.random_range(0..4))
    }

    fn list(random: &mut SmallRng) -> List {
        let length = random.random_range(0..4);
        (!random.random_bool(0.15)).then(|| (0..length).map(|_| number(random)).collect())
    }

    /// What SQL says, in three truth values: the disjunction of the comparisons.
    fn disjunction(compare: impl Fn(i64, i64) -> bool, value: Option<i64>, list: &List) -> Option<bool> {
        let all = list.as_ref()?.iter().map(|element| Some(compare(value?, (*element)?)));
        let all: Vec<Option<bool>> = all.collect();
        if all.contains(&Some(true)) { Some(true) } else { all.into_iter().collect::<Option<Vec<_>>>().map(|_| false) }
    }

    #[test]
    fn random_lists_are_compared_and_thinned_out_as_sql_says() {
        let mut random = SmallRng::seed_from_u64(8);
        println!("seed 8");
        for round in 0..500 {
            let (rows, skipped) = (random.random_range(1..6), random.random_range(0..3));
            let values: Vec<Option<i64>> = (0..rows + skipped).map(|_| number(&mut random)).collect();
            let lists: Vec<List> = (0..rows + skipped).map(|_| list(&mut random)).collect();
            let array = ListArray::from_iter_primitive::<Int64Type, _, _>(lists.clone());
            // A slice, whose elements do not begin at 0.
            let array: ArrayRef = Arc::new(array.slice(skipped, rows));
            let values = &values[skipped..];
            let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
            let rows = values.iter().zip(&lists[skipped..]);
            type Compare = fn(&i64, &i64) -> bool;
            let comparisons: [Compare; 6] = [i64::eq, i64::ne, i64::lt, i64::le, i64::gt, i64::ge];
            for ((_, name), compare) in COMPARISONS.iter().zip(comparisons) {
                let found = any(name, &column, &array).expect("numbers can be compared");
                let found: Vec<Option<bool>> = found.as_boolean().iter().collect();
                let right = rows.clone().map(|(value, list)| disjunction(|a, b| compare(&a, &b), *value, list));
                assert_eq!(found, right.collect::<Vec<_>>(), "round {round}: {values:?} {name} ANY {lists:?}");
            }
            let found = without(&array, &column).expect("numbers can be compared");
            let found: Vec<List> = found
                .as_list::<i32>()
                .iter()
                .map(|list| list.map(|list| list.as_primitive::<Int64Type>().iter().collect()))
                .collect();
            let right = rows.map(|(value, list)| {
                list.as_ref().map(|list| list.iter().copied().filter(|element| element != value).collect())
            });
            assert_eq!(found, right.collect::<Vec<List>>(), "round {round}: {lists:?} without {values:?}");
        }
    }

    #[test]
    fn zeros_are_equal_and_so_are_nans() {
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(vec![Some(-0.0), Some(1.0)]),
            Some(vec![Some(-f64::NAN)]),
        ]);
        let lists: ArrayRef = Arc::new(lists);
        let values: ArrayRef = Arc::new(Float64Array::from(vec![0.0, f64::NAN]));
        let found = any("=", &values, &lists).expect("floats can be compared");
        assert_eq!(found.as_boolean().iter().collect::<Vec<_>>(), [Some(true), Some(true)]);
        let left = without(&lists, &values).expect("floats can be compared");
        assert_eq!(left.as_list::<i32>().values().as_primitive::<Float64Type>().values().as_ref(), [1.0]);
    }
}

//! `min` and `max`: the values of each group, in order, with their counts.
//!
//! Retracting the maximum needs the one behind it, so all values are kept: a sorted list while they are few, an ordered
//! map from [`SMALL_MAX`] on, so that a group of a million values still changes in logarithmic time.
//!
//! Integers, times and floats are kept as 64-bit integers of the same order, all other types as the bytes of arrow's row
//! encoding. Both zeros of a float are one value, and so are all NaNs, which are the greatest. Null values are passed over; over no values
//! the result is null.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, UInt32Array, new_null_array,
};
use catchment_contract::arrow::datatypes::{DataType, Float64Type, Int64Type};
use catchment_contract::arrow::row::{RowConverter, SortField};
use catchment_contract::hash::canonical;
use catchment_engine::updates::take_rows;

use super::accumulator::{Accumulator, Batch, cast_to};
use crate::bag;

/// Distinct values up to which a sorted list is kept.
const SMALL_MAX: usize = 48;

/// Which end is the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Least,
    Greatest,
}

/// A `min` or `max` over values of the type `input`; none if they have no order.
pub(crate) fn ordered(input: &DataType, end: End, output: &DataType) -> Option<Box<dyn Accumulator>> {
    if let Some(image) = Image::of(input) {
        let groups: Vec<Values<i64>> = Vec::new();
        return Some(Box::new(OfImages { image, end, groups, input: input.clone(), output: output.clone() }));
    }
    let field = SortField::new(input.clone());
    let converter = RowConverter::new(vec![field]).ok()?;
    Some(Box::new(OfBytes { converter, end, groups: Vec::new(), input: input.clone(), output: output.clone() }))
}

/// The values of one group.
enum Values<V> {
    Few(Vec<(V, i64)>),
    Many(BTreeMap<V, i64>),
}

impl<V> Default for Values<V> {
    fn default() -> Self {
        Values::Few(Vec::new())
    }
}

impl<V: Ord> Values<V> {
    fn add(&mut self, value: V, diff: i64) {
        if diff == 0 {
            return;
        }
        match self {
            Values::Few(values) => {
                match values.binary_search_by(|(other, _)| other.cmp(&value)) {
                    Ok(place) => {
                        values[place].1 += diff;
                        if values[place].1 == 0 {
                            values.remove(place);
                        }
                    }
                    Err(place) => values.insert(place, (value, diff)),
                }
                if values.len() > SMALL_MAX {
                    *self = Values::Many(std::mem::take(values).into_iter().collect());
                }
            }
            Values::Many(values) => match values.entry(value) {
                Entry::Vacant(vacant) => drop(vacant.insert(diff)),
                Entry::Occupied(mut found) => {
                    *found.get_mut() += diff;
                    if *found.get() == 0 {
                        found.remove();
                    }
                }
            },
        }
    }

    /// The value at `end` among those that are there.
    fn end(&self, end: End) -> Option<&V> {
        fn first<'a, V: 'a>(mut values: impl Iterator<Item = (&'a V, &'a i64)>) -> Option<&'a V> {
            values.find(|(_, count)| **count > 0).map(|(value, _)| value)
        }
        match (self, end) {
            (Values::Few(values), End::Least) => first(values.iter().map(|(value, count)| (value, count))),
            (Values::Few(values), End::Greatest) => first(values.iter().rev().map(|(value, count)| (value, count))),
            (Values::Many(values), End::Least) => first(values.iter()),
            (Values::Many(values), End::Greatest) => first(values.iter().rev()),
        }
    }
}

/// How values are kept as 64-bit integers of the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    /// As themselves.
    Integer,
    /// Dates and times of 32 bits.
    Narrow,
    /// Doubles, whose bits are turned so that they order as integers.
    Float,
}

impl Image {
    /// That of a type; none if its values do not fit.
    pub(crate) fn of(data_type: &DataType) -> Option<Image> {
        match data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(Image::Integer),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Some(Image::Integer),
            DataType::Timestamp(_, _) | DataType::Date64 | DataType::Time64(_) | DataType::Duration(_) => {
                Some(Image::Integer)
            }
            DataType::Date32 | DataType::Time32(_) => Some(Image::Narrow),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(Image::Float),
            _ => None,
        }
    }

    /// Whether equal distances of images are equal distances of values.
    pub(crate) fn is_linear(self) -> bool {
        !matches!(self, Image::Float)
    }

    /// The images of `values`.
    pub(crate) fn encode(self, values: &ArrayRef) -> Int64Array {
        match self {
            Image::Integer => cast_to(values, &DataType::Int64).as_primitive::<Int64Type>().clone(),
            Image::Narrow => {
                let narrow = cast_to(values, &DataType::Int32);
                cast_to(&narrow, &DataType::Int64).as_primitive::<Int64Type>().clone()
            }
            Image::Float => {
                let floats = cast_to(values, &DataType::Float64);
                floats.as_primitive::<Float64Type>().unary(bag::image)
            }
        }
    }

    /// The values of `images`, as the type that they were made of.
    pub(crate) fn decode(self, images: Int64Array, data_type: &DataType) -> ArrayRef {
        match self {
            Image::Integer => cast_to(&(Arc::new(images) as ArrayRef), data_type),
            Image::Narrow => cast_to(&cast_to(&(Arc::new(images) as ArrayRef), &DataType::Int32), data_type),
            Image::Float => {
                let floats: Float64Array = images.unary(bag::value);
                cast_to(&(Arc::new(floats) as ArrayRef), data_type)
            }
        }
    }
}

struct OfImages {
    image: Image,
    end: End,
    groups: Vec<Values<i64>>,
    input: DataType,
    output: DataType,
}

impl Accumulator for OfImages {
    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, Values::default);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(values) = batch.values else { return };
        let images = self.image.encode(values);
        batch.each_valid(|row, group, diff| self.groups[group].add(images.value(row), diff));
    }

    fn clear(&mut self, group: u32) {
        self.groups[group as usize] = Values::default();
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let ends = groups.iter().map(|group| self.groups[*group as usize].end(self.end).copied());
        cast_to(&self.image.decode(ends.collect(), &self.input), &self.output)
    }
}

struct OfBytes {
    converter: RowConverter,
    end: End,
    groups: Vec<Values<Box<[u8]>>>,
    input: DataType,
    output: DataType,
}

impl Accumulator for OfBytes {
    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, Values::default);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(values) = batch.values else { return };
        let rows = self.converter.convert_columns(&[canonical(values)]).expect("values have the declared type");
        batch.each_valid(|row, group, diff| self.groups[group].add(rows.row(row).data().into(), diff));
    }

    fn clear(&mut self, group: u32) {
        self.groups[group as usize] = Values::default();
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let parser = self.converter.parser();
        let ends: Vec<Option<&[u8]>> =
            groups.iter().map(|group| self.groups[*group as usize].end(self.end).map(|bytes| &**bytes)).collect();
        let rows = ends.iter().flatten().map(|bytes| parser.parse(bytes));
        let values = match self.converter.convert_rows(rows) {
            Ok(mut columns) if columns.len() == 1 => columns.remove(0),
            _ => unreachable!("the bytes are those that the converter made of one column"),
        };
        // Groups without a value become nulls.
        let mut next = 0;
        let positions: UInt32Array = ends
            .iter()
            .map(|end| {
                end.map(|_| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        let column =
            if values.is_empty() { new_null_array(&self.input, groups.len()) } else { take_rows(&values, &positions) };
        cast_to(&column, &self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_group_keeps_its_ends() {
        let mut values = Values::default();
        (0..1000).for_each(|value| values.add(value, 1));
        assert!(matches!(values, Values::Many(_)));
        values.add(999, -1);
        values.add(0, -2);
        assert_eq!((values.end(End::Least), values.end(End::Greatest)), (Some(&1), Some(&998)));
        values.add(0, 2);
        assert_eq!(values.end(End::Least), Some(&0));
    }
}

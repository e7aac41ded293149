//! `min` and `max`: the values of each group, in order, with their counts ([`crate::multiset`]), since retracting the maximum
//! needs the one behind it.
//!
//! Integers, times and floats are kept as their images ([`crate::image`]), all other types as the bytes of arrow's row
//! encoding. Both zeros of a float are one value, and so are all NaNs, which are the greatest. Null values are passed over; over no values
//! the result is null.

use catchment_contract::arrow::array::{Array, ArrayRef, UInt32Array, new_null_array};
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::arrow::row::{RowConverter, SortField};
use catchment_contract::hash::canonical;
use catchment_engine::updates::take_rows;

use super::accumulator::{Accumulator, Batch, cast_to, load_each, save_each};
use crate::image::Image;
use crate::multiset::{Multiset, Multisets};
use crate::spill::Beside;

/// Which end is the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Least,
    Greatest,
}

impl End {
    fn of<V>(self, values: &Multiset<V>) -> Option<&V> {
        match self {
            End::Least => values.first(),
            End::Greatest => values.last(),
        }
    }
}

/// A `min` or `max` over values of the type `input`; none if they have no order.
pub(crate) fn min_max(input: &DataType, end: End, output: &DataType) -> Option<Box<dyn Accumulator>> {
    if let Some(image) = Image::of(input) {
        return Some(Box::new(OfImages {
            image,
            end,
            groups: Multisets::default(),
            input: input.clone(),
            output: output.clone(),
        }));
    }
    let field = SortField::new(input.clone());
    let converter = RowConverter::new(vec![field]).ok()?;
    Some(Box::new(OfBytes {
        converter,
        end,
        groups: Multisets::default(),
        input: input.clone(),
        output: output.clone(),
    }))
}

struct OfImages {
    image: Image,
    end: End,
    groups: Multisets<i64>,
    input: DataType,
    output: DataType,
}

impl Accumulator for OfImages {
    fn resize(&mut self, groups: usize) {
        self.groups.resize(groups);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(values) = batch.values else { return };
        let images = self.image.encode(values);
        batch.each_valid(|row, group, diff| self.groups.add(group, &images.value(row), diff));
    }

    fn clear(&mut self, group: u32) {
        self.groups.clear(group);
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let ends = groups.iter().map(|group| self.end.of(self.groups.of(*group)).copied());
        cast_to(&self.image.decode(ends.collect(), &self.input), &self.output)
    }

    fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]) {
        save_each(groups, parts, |group, part| self.groups.save_one(group, part));
    }

    fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]) {
        load_each(groups, parts, |group, part| self.groups.load_one(group, part));
    }

    fn memory(&self, groups: usize) -> usize {
        self.groups.memory(groups)
    }
}

struct OfBytes {
    converter: RowConverter,
    end: End,
    groups: Multisets<Box<[u8]>>,
    input: DataType,
    output: DataType,
}

impl Accumulator for OfBytes {
    fn resize(&mut self, groups: usize) {
        self.groups.resize(groups);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(values) = batch.values else { return };
        let rows = self.converter.convert_columns(&[canonical(values)]).expect("values have the declared type");
        batch.each_valid(|row, group, diff| self.groups.add(group, rows.row(row).data(), diff));
    }

    fn clear(&mut self, group: u32) {
        self.groups.clear(group);
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let parser = self.converter.parser();
        let ends: Vec<Option<&[u8]>> =
            groups.iter().map(|group| self.end.of(self.groups.of(*group)).map(|bytes| &**bytes)).collect();
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

    fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]) {
        save_each(groups, parts, |group, part| self.groups.save_one(group, part));
    }

    fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]) {
        load_each(groups, parts, |group, part| self.groups.load_one(group, part));
    }

    fn memory(&self, groups: usize) -> usize {
        self.groups.memory(groups)
    }
}

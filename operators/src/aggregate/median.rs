//! `median` and `mad`: the values of each group in order, with their counts ([`crate::multiset`]).

use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, AsArray, Float64Array};
use catchment_contract::arrow::datatypes::{DataType, Float64Type};

use super::Function;
use super::accumulator::{Accumulator, Batch, cast_to, load_each, save_each};
use crate::image::image;
use crate::multiset::Multisets;
use crate::spill::Beside;

/// A multiset for each group.
pub(crate) struct Medians {
    groups: Multisets<i64>,
    /// Whether distances from the median are asked for.
    is_deviation: bool,
    output: DataType,
}

impl Medians {
    /// Medians or deviations of values of the type `input`; none if they are no floats.
    pub(crate) fn of(function: Function, input: &DataType, output: &DataType) -> Option<Box<dyn Accumulator>> {
        let is_deviation = function == Function::Mad;
        let medians = Medians { groups: Multisets::default(), is_deviation, output: output.clone() };
        input.is_floating().then(|| Box::new(medians) as Box<dyn Accumulator>)
    }
}

impl Accumulator for Medians {
    fn resize(&mut self, groups: usize) {
        self.groups.resize(groups);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(values) = batch.values else { return };
        let values = cast_to(values, &DataType::Float64);
        let values = values.as_primitive::<Float64Type>();
        batch.each_valid(|row, group, diff| self.groups.add(group, &image(values.value(row)), diff));
    }

    fn clear(&mut self, group: u32) {
        self.groups.clear(group);
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let multisets = groups.iter().map(|group| self.groups.of(*group));
        let values = multisets.map(|values| if self.is_deviation { values.mad() } else { values.median() });
        cast_to(&(Arc::new(values.collect::<Float64Array>()) as ArrayRef), &self.output)
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

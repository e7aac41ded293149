//! What a window's functions need: their inputs once each, and for each frame one tally of each input.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, Float64Array, Int64Array};
use catchment_contract::arrow::buffer::NullBuffer;
use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::{Updates, flatten};

use super::frame::Frame;
use super::slide::{Sum, Tallied, Tally};
use super::{WindowFunction, WindowSpec};
use crate::aggregate::{Function, cast_to, integers, true_rows};
use crate::image::Image;

/// The functions of a window, taken apart.
pub(super) struct Plan {
    pub feeds: Vec<Feed>,
    /// Each frame, and what is kept of it.
    pub frames: Vec<(Frame, Vec<Tallied>)>,
    pub outputs: Vec<Output>,
}

/// An input of functions: a column, and a filter over it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Feed {
    /// None counts rows.
    input: Option<usize>,
    filter: Option<usize>,
    /// How values are kept; none where only their number matters.
    image: Option<Image>,
}

/// A column of the output.
pub(super) struct Output {
    pub frame: usize,
    /// Which of the frame's tallies.
    pub tally: usize,
    function: Function,
    /// The input's type.
    input: DataType,
    /// The output's.
    data_type: DataType,
}

/// Whether `function` of values of the type `input` can be had.
pub(super) fn supports(function: Function, input: &DataType) -> bool {
    match function {
        Function::CountRows | Function::Count => true,
        Function::Sum | Function::Avg => Image::of(input).is_some() && (input.is_integer() || input.is_floating()),
        Function::Min | Function::Max => Image::of(input).is_some(),
        Function::Median | Function::Mad => input.is_floating(),
    }
}

impl Plan {
    /// The plan of a spec that was checked.
    pub(super) fn of(spec: &WindowSpec) -> Self {
        let mut plan = Plan { feeds: Vec::new(), frames: Vec::new(), outputs: Vec::new() };
        spec.functions.iter().for_each(|function| plan.add(function, spec));
        plan
    }

    fn add(&mut self, function: &WindowFunction, spec: &WindowSpec) {
        let WindowFunction { function, input, filter, frame, output } = function;
        let data_type = input.map_or(DataType::Int64, |input| spec.type_of(input));
        let image = input.and_then(|_| Image::of(&data_type));
        let feed = Feed { input: *input, filter: *filter, image };
        let feed = place(&mut self.feeds, |known| *known == feed, || feed.clone());
        let frame = place(&mut self.frames, |(known, _)| known == frame, || (*frame, Vec::new()));
        let tallies = &mut self.frames[frame].1;
        let tally = place(tallies, |known| known.feed == feed, || Tallied { feed, sum: Sum::No, sorted: false });
        match function {
            Function::CountRows | Function::Count => {}
            Function::Sum | Function::Avg if data_type.is_floating() => tallies[tally].sum = Sum::doubles(),
            Function::Sum | Function::Avg => tallies[tally].sum = Sum::integers(),
            Function::Min | Function::Max | Function::Median | Function::Mad => tallies[tally].sorted = true,
        }
        let (function, data_type_out) = (*function, output.clone());
        self.outputs.push(Output { frame, tally, function, input: data_type, data_type: data_type_out });
    }
}

/// Where in `list` the item is that `same` knows; it is added if there is none.
fn place<T>(list: &mut Vec<T>, same: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> usize {
    list.iter().position(same).unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    })
}

impl Feed {
    /// The value of each row as an integer of the same order; null for rows that do not count.
    pub(super) fn read(&self, updates: &Updates) -> Int64Array {
        let rows = updates.len();
        let values = self.input.map(|input| flatten(updates.column(input)));
        let (images, nulls) = match (&values, self.image) {
            (Some(values), Some(image)) => {
                let (_, images, nulls) = image.encode(values).into_parts();
                (images, nulls)
            }
            (Some(values), None) => (vec![0; rows].into(), values.logical_nulls()),
            (None, _) => (vec![0; rows].into(), None),
        };
        let Some(filter) = self.filter else { return Int64Array::new(images, nulls) };
        let mut kept = vec![false; rows];
        true_rows(&flatten(updates.column(filter))).into_iter().for_each(|row| kept[row as usize] = true);
        Int64Array::new(images, NullBuffer::union(nulls.as_ref(), Some(&NullBuffer::from(kept))))
    }
}

impl Output {
    /// The function's value as bits that [`Output::column`] understands; none is null.
    pub(super) fn evaluate(&self, tally: &Tally) -> Option<i128> {
        let double = |value: f64| i128::from(value.to_bits());
        match self.function {
            Function::CountRows | Function::Count => Some(tally.count.into()),
            _ if tally.count <= 0 => None,
            Function::Sum => match &tally.sum {
                Sum::Integers(sum) => Some(*sum),
                Sum::Doubles(sum) => Some(double(sum.value())),
                Sum::No => None,
            },
            Function::Avg => match &tally.sum {
                Sum::Integers(sum) => Some(double(*sum as f64 / tally.count as f64)),
                Sum::Doubles(sum) => Some(double(sum.value() / tally.count as f64)),
                Sum::No => None,
            },
            Function::Min => tally.values.first().copied().map(i128::from),
            Function::Max => tally.values.last().copied().map(i128::from),
            Function::Median => tally.values.median().map(double),
            Function::Mad => tally.values.mad().map(double),
        }
    }

    /// Values of [`Output::evaluate`] as a column.
    pub(super) fn column(&self, bits: &[Option<i128>]) -> ArrayRef {
        let doubles = || bits.iter().map(|bits| bits.map(|bits| f64::from_bits(bits as u64))).collect::<Float64Array>();
        // What was made of 64 bits.
        let whole = || bits.iter().map(|bits| bits.map(|bits| bits as i64)).collect::<Int64Array>();
        let column: ArrayRef = match self.function {
            Function::CountRows | Function::Count => Arc::new(whole()),
            Function::Sum if self.input.is_integer() => return integers(bits.iter().copied(), &self.data_type),
            Function::Min | Function::Max => {
                let image = Image::of(&self.input).expect("a spec is checked before it is planned");
                image.decode(whole(), &self.input)
            }
            Function::Sum | Function::Avg | Function::Median | Function::Mad => Arc::new(doubles()),
        };
        cast_to(&column, &self.data_type)
    }
}

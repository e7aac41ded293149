//! What a window's functions need: their inputs once each, and for each frame one tally of each input.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, Decimal128Array, Decimal256Array, Float64Array, Int64Array};
use catchment_contract::arrow::buffer::NullBuffer;
use catchment_contract::arrow::datatypes::{DataType, i256};
use catchment_engine::{Updates, flatten};

use super::frame::Frame;
use super::numbers::{Numbers, wide};
use super::slide::{Sorted, Sum, Tallied, Tally, Values};
use super::{WindowFunction, WindowSpec};
use crate::aggregate::{Function, cast_to, integers, rescaled, true_rows};
use crate::image::Image;
use crate::multiset::Multiset;

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
    /// Whether values are kept in 128 bits.
    is_wide: bool,
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
        Function::Sum | Function::Avg => wide(input).is_some() || input.is_integer() || input.is_floating(),
        Function::Min | Function::Max => wide(input).is_some() || Image::of(input).is_some(),
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
        let is_wide = input.is_some() && wide(&data_type).is_some();
        let feed = Feed { input: *input, filter: *filter, is_wide };
        let feed = place(&mut self.feeds, |known| *known == feed, || feed.clone());
        let frame = place(&mut self.frames, |(known, _)| known == frame, || (*frame, Vec::new()));
        let tallies = &mut self.frames[frame].1;
        let tally = place(tallies, |known| known.feed == feed, || Tallied { feed, sum: Sum::No, sorted: Sorted::No });
        match function {
            Function::CountRows | Function::Count => {}
            Function::Sum | Function::Avg if is_wide => tallies[tally].sum = Sum::wide(),
            Function::Sum | Function::Avg if data_type.is_floating() => tallies[tally].sum = Sum::doubles(),
            Function::Sum | Function::Avg => tallies[tally].sum = Sum::integers(),
            Function::Min | Function::Max if is_wide => tallies[tally].sorted = Sorted::Wide(Multiset::default()),
            Function::Min | Function::Max | Function::Median | Function::Mad => {
                tallies[tally].sorted = Sorted::Narrow(Multiset::default());
            }
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
    pub(super) fn read(&self, updates: &Updates) -> Numbers {
        let rows = updates.len();
        let values = self.input.map(|input| flatten(updates.column(input)));
        let numbers = match &values {
            // Of a type without order only their number matters.
            Some(values) => Numbers::of(values).unwrap_or_else(|| Numbers::counted(rows, values.logical_nulls())),
            None => Numbers::counted(rows, None),
        };
        let Some(filter) = self.filter else { return numbers };
        let mut kept = vec![false; rows];
        true_rows(&flatten(updates.column(filter))).into_iter().for_each(|row| kept[row as usize] = true);
        numbers.filtered(&NullBuffer::from(kept))
    }

    /// No values, of the kind that the feed has.
    pub(super) fn values(&self) -> Values {
        if self.is_wide { Values::Wide(Vec::new()) } else { Values::Narrow(Vec::new()) }
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
                Sum::Wide(sum) => Some(self.decimal(*sum, 1)),
                Sum::No => None,
            },
            Function::Avg => match &tally.sum {
                Sum::Integers(sum) => Some(double(*sum as f64 / tally.count as f64)),
                Sum::Doubles(sum) => Some(double(sum.value() / tally.count as f64)),
                // 64-bit integers: their sum fits 128 bits.
                Sum::Wide(sum) if self.input.is_integer() => Some(double(narrow(*sum) as f64 / tally.count as f64)),
                Sum::Wide(sum) => Some(self.decimal(*sum, tally.count)),
                Sum::No => None,
            },
            Function::Min => tally.sorted.first(),
            Function::Max => tally.sorted.last(),
            Function::Median | Function::Mad => {
                let Sorted::Narrow(values) = &tally.sorted else { return None };
                let value = if self.function == Function::Median { values.median() } else { values.mad() };
                value.map(double)
            }
        }
    }

    /// `sum / count` of decimals as the output's; what does not fit 128 bits is their end.
    fn decimal(&self, sum: i256, count: i64) -> i128 {
        let scale = |data_type: &DataType| match data_type {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
            _ => 0,
        };
        let fitting = rescaled(sum, scale(&self.input), scale(&self.data_type), i256::from_i128(count.into()));
        narrow(fitting.unwrap_or(if sum < i256::ZERO { i256::MIN } else { i256::MAX }))
    }

    /// Values of [`Output::evaluate`] as a column.
    pub(super) fn column(&self, bits: &[Option<i128>]) -> ArrayRef {
        let doubles = || bits.iter().map(|bits| bits.map(|bits| f64::from_bits(bits as u64))).collect::<Float64Array>();
        // What was made of 64 bits.
        let whole = || bits.iter().map(|bits| bits.map(|bits| bits as i64)).collect::<Int64Array>();
        let column: ArrayRef = match self.function {
            Function::CountRows | Function::Count => Arc::new(whole()),
            Function::Sum if self.input.is_integer() => return integers(bits.iter().copied(), &self.data_type),
            Function::Sum | Function::Avg if self.input.is_decimal() => match &self.data_type {
                DataType::Decimal256(_, _) => {
                    let values: Decimal256Array = bits.iter().map(|bits| bits.map(i256::from_i128)).collect();
                    return Arc::new(values.with_data_type(self.data_type.clone()));
                }
                _ => {
                    let fits = |bits: &i128| bits.unsigned_abs() < 10_u128.pow(38);
                    let values: Decimal128Array = bits.iter().map(|bits| bits.filter(fits)).collect();
                    return cast_to(
                        &(Arc::new(values.with_data_type(self.data_type.clone())) as ArrayRef),
                        &self.data_type,
                    );
                }
            },
            Function::Min | Function::Max if let Some(wide) = wide(&self.input) => {
                Arc::new(bits.iter().copied().collect::<Decimal128Array>().with_data_type(wide))
            }
            Function::Min | Function::Max => {
                let image = Image::of(&self.input).expect("a spec is checked before it is planned");
                image.decode(whole(), &self.input)
            }
            Function::Sum | Function::Avg | Function::Median | Function::Mad => Arc::new(doubles()),
        };
        cast_to(&column, &self.data_type)
    }
}

/// `value` in 128 bits; what does not fit is their end.
fn narrow(value: i256) -> i128 {
    value.to_i128().unwrap_or(if value < i256::ZERO { i128::MIN } else { i128::MAX })
}

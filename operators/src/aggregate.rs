//! Groups and their aggregates.
//!
//! A group is in the result while the diffs of its rows sum to more than 0. An epoch's output holds, for every group that
//! changed, the old row with −1 and the new row with +1; a group whose aggregates came out as before is not in it.
//!
//! **State**: the key table (see [`crate::key_table`]), four bytes a group for its rows, and an accumulator a group and
//! aggregate ([`accumulator`]): 4 to 16 bytes for counts and sums; all values for `min`, `max`, `median` and `mad`; about 25 bytes a distinct
//! (group, value) pair for distinct aggregates. **Cost**: proportional to the rows of an epoch and to the groups they touch.
//!
//! Without keys there is one group, which always exists.

mod accumulator;
mod exact_sum;
mod median;
mod min_max;
mod of_distinct;
mod sum;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array, make_comparator};
use catchment_contract::arrow::compute::{SortOptions, can_cast_types, concat};
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::arrow::row::{RowConverter, SortField};
use catchment_contract::{Error, Result, Run};
use catchment_engine::updates::take_rows;
use catchment_engine::{UpdateStream, Updates, flatten};
use catchment_state::Memory;
use catchment_state::records::Strings;

pub(crate) use accumulator::cast_to;
use accumulator::{Accumulator, Batch, Count, load_each, save_each};
pub(crate) use exact_sum::ExactSum;
use median::Medians;
use min_max::{End, min_max};
use of_distinct::OfDistinct;
use sum::sum;
pub(crate) use sum::{integers, rescaled};

use crate::bytes::{put_int, take_int};
use crate::driver::{Logic, drive};
use crate::key_table::{KeyTable, flat_type};
use crate::lanes::Lane;
use crate::spill::{Beside, Spill};
use crate::touched::Touched;

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `count(*)`
    CountRows,
    /// `count(x)`: values that are not null.
    Count,
    /// `sum(x)`; over no values that are not null it is null.
    Sum,
    /// `avg(x)`
    Avg,
    /// `min(x)`
    Min,
    /// `max(x)`
    Max,
    /// `median(x)` of floats: the mean of the two in the middle where their number is even.
    Median,
    /// `mad(x)` of floats: the median of their distances from their median.
    Mad,
}

/// One aggregate of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// What is computed.
    pub function: Function,
    /// The column that it is computed of; none for [`Function::CountRows`].
    pub input: Option<usize>,
    /// Whether equal values count once.
    pub distinct: bool,
    /// A `Boolean` column: only rows where it is true count.
    pub filter: Option<usize>,
    /// The type of the result: `Int64` for counts, `Int64`, `UInt64`, `Float64` or a decimal for sums, `Float64` or a
    /// decimal for averages, a float for medians and deviations, the input's for `min` and `max`. A result that does not
    /// fit is null.
    pub output: DataType,
}

/// Group keys and aggregates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateSpec {
    /// The columns of the group's key.
    pub keys: Vec<usize>,
    /// The aggregates, in the order of the output's columns.
    pub aggregates: Vec<Aggregate>,
    /// The types of all input columns.
    pub input_types: Vec<DataType>,
}

impl AggregateSpec {
    /// Whether [`aggregate`] can keep this up to date.
    ///
    /// # Errors
    /// If a column does not exist, or a type has no such aggregate or cannot be a key; says which.
    pub fn check(&self) -> Result<()> {
        for key in &self.keys {
            let data_type = self.type_of(*key)?;
            if !RowConverter::supports_fields(&[SortField::new(data_type.clone())]) {
                return Err(Error::user(format!("cannot group by a column of the type {data_type}"))
                    .with_hint("group by a part of it, or cast it to a string"));
            }
        }
        self.aggregates.iter().try_for_each(|aggregate| {
            let filter = aggregate.filter.map(|filter| self.type_of(filter)).transpose()?;
            if filter.is_some_and(|filter| filter != DataType::Boolean) {
                return Err(Error::user("the filter of an aggregate is not boolean"));
            }
            self.accumulator(aggregate).map(drop)
        })
    }

    fn type_of(&self, column: usize) -> Result<DataType> {
        let found = self.input_types.get(column).map(flat_type);
        found.ok_or_else(|| Error::bug(format!("an aggregate reads column {column}, which its input has not")))
    }

    fn accumulator(&self, aggregate: &Aggregate) -> Result<Box<dyn Accumulator>> {
        let input = aggregate.input.map(|input| self.type_of(input)).transpose()?;
        let Aggregate { function, distinct, output, .. } = aggregate;
        let made = match (function, &input) {
            (Function::CountRows, _) => return Ok(Box::new(Count::new(output))),
            (Function::Count, Some(_)) => Some(Box::new(Count::new(output)) as Box<dyn Accumulator>),
            (Function::Sum, Some(input)) => sum(input, false, output),
            (Function::Avg, Some(input)) => sum(input, true, output),
            (Function::Min, Some(input)) => min_max(input, End::Least, output),
            (Function::Max, Some(input)) => min_max(input, End::Greatest, output),
            (Function::Median | Function::Mad, Some(input)) => Medians::of(*function, input, output),
            (_, None) => return Err(Error::bug(format!("{function:?} has no input column"))),
        };
        let input = input.unwrap_or(DataType::Null);
        let natural = match function {
            Function::CountRows | Function::Count => DataType::Int64,
            Function::Sum | Function::Avg | Function::Median | Function::Mad => DataType::Float64,
            Function::Min | Function::Max => input.clone(),
        };
        let refused = || {
            Error::user(format!("cannot compute {function:?} of {input} as {output}"))
                .with_hint("cast the column to a number, a time or a string first")
        };
        let made = made.filter(|_| can_cast_types(&natural, output)).ok_or_else(refused)?;
        if !distinct || matches!(function, Function::Min | Function::Max) {
            return Ok(made);
        }
        if !RowConverter::supports_fields(&[SortField::new(input.clone())]) {
            return Err(refused());
        }
        Ok(Box::new(OfDistinct::new(&input, made)))
    }
}

/// Groups with their aggregates: key columns, then aggregates; consolidated. No keys are one group that always exists: its
/// row is there at the first epoch even over no input.
///
/// # Panics
/// If [`AggregateSpec::check`] refuses `spec`.
pub fn aggregate<'s>(input: UpdateStream<'s>, name: &str, spec: AggregateSpec, memory: &Memory) -> UpdateStream<'s> {
    let keys = spec.keys.clone();
    drive(input, name, keys, AggregateLogic::new(spec, memory))
}

/// The state of all groups of one worker.
pub(crate) struct AggregateLogic {
    spec: AggregateSpec,
    groups: KeyTable,
    slots: Slots,
    spill: Spill,
    touched: Touched,
    /// Whether the row of the group without keys is in the result.
    is_started: bool,
}

/// What is kept of each group, beside the table.
struct Slots {
    /// The sum of the diffs of each group's rows.
    rows: Lane,
    accumulators: Vec<Box<dyn Accumulator>>,
}

impl Slots {
    fn resize(&mut self, groups: usize) {
        self.rows.resize(groups);
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.resize(groups));
    }

    fn is_empty(&self, group: u32) -> bool {
        self.rows.at(group as usize) == 0
    }
}

impl Beside for Slots {
    fn save(&self, ids: &[u32]) -> Strings {
        let mut parts = vec![Vec::new(); ids.len()];
        save_each(ids, &mut parts, |group, part| put_int(part, self.rows.at(group)));
        self.accumulators.iter().for_each(|accumulator| accumulator.save(ids, &mut parts));
        let mut states = Strings::default();
        ids.iter().zip(parts).for_each(|(id, part)| states.push(if self.is_empty(*id) { &[] } else { &part }));
        states
    }

    fn load(&mut self, ids: &[u32], states: &Strings) {
        let mut parts: Vec<&[u8]> = states.iter().collect();
        load_each(ids, &mut parts, |group, part| self.rows.set(group, take_int(part)));
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.load(ids, &mut parts));
    }

    fn forget(&mut self, ids: &[u32]) {
        ids.iter().for_each(|id| self.rows.set(*id as usize, 0));
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.forget(ids));
    }

    fn memory(&self, keys: usize) -> usize {
        let accumulators = self.accumulators.iter().map(|accumulator| accumulator.memory(keys));
        keys * self.rows.slot_bytes() + accumulators.sum::<usize>()
    }
}

/// Whether each group is in the result, and its aggregates.
struct Rows {
    present: Vec<bool>,
    aggregates: Vec<ArrayRef>,
}

impl AggregateLogic {
    pub(crate) fn new(spec: AggregateSpec, memory: &Memory) -> Self {
        let types: Vec<DataType> = spec.keys.iter().map(|key| spec.input_types[*key].clone()).collect();
        let accumulators = spec
            .aggregates
            .iter()
            .map(|aggregate| spec.accumulator(aggregate).expect("the planner checks a spec before it builds"))
            .collect();
        let slots = Slots { rows: Lane::default(), accumulators };
        let spill = Spill::new(memory, types.len());
        let (groups, touched) = (KeyTable::new(&types), Touched::default());
        AggregateLogic { spec, groups, slots, spill, touched, is_started: false }
    }

    #[cfg(test)]
    pub(crate) fn with_hash_bits(mut self, bits: u32) -> Self {
        self.groups = self.groups.with_hash_bits(bits);
        self
    }

    /// The groups of all rows; touched ones are noted.
    fn intern(&mut self, input: &[Updates]) -> Vec<Vec<u32>> {
        let mut all = Vec::with_capacity(input.len());
        for updates in input {
            let keys: Vec<ArrayRef> = self.spec.keys.iter().map(|key| updates.column(*key).clone()).collect();
            let mut ids = Vec::with_capacity(updates.len());
            let hashes = updates.carried_key_hashes().map(|hashes| &hashes[..]);
            self.groups.intern(&keys, updates.len(), hashes, &mut ids);
            ids.iter().for_each(|id| {
                self.touched.insert(*id);
            });
            all.push(ids);
        }
        if self.spec.keys.is_empty() {
            let mut id = Vec::with_capacity(1);
            self.groups.intern(&[], 1, None, &mut id);
            self.touched.insert(id[0]);
        }
        self.slots.resize(self.groups.bound());
        self.spill.recall(&mut self.groups, &mut self.slots);
        all
    }

    fn add(&mut self, updates: &Updates, groups: &[u32]) {
        for (row, group) in groups.iter().enumerate() {
            self.slots.rows.add_diff(*group as usize, updates.diffs().at(row));
        }
        for (aggregate, accumulator) in self.spec.aggregates.iter().zip(&mut self.slots.accumulators) {
            let values = aggregate.input.map(|input| flatten(updates.column(input)));
            match aggregate.filter {
                None => accumulator.add(&Batch { groups, values: values.as_ref(), diffs: updates.diffs() }),
                Some(filter) => {
                    let kept = true_rows(&flatten(updates.column(filter)));
                    let groups: Vec<u32> = kept.iter().map(|row| groups[*row as usize]).collect();
                    let diffs = updates.diffs().take(&kept);
                    let positions = UInt32Array::from(kept);
                    let values = values.map(|values| take_rows(&values, &positions));
                    accumulator.add(&Batch { groups: &groups, values: values.as_ref(), diffs: &diffs });
                }
            }
        }
    }

    fn evaluate(&self, groups: &[u32]) -> Rows {
        let present = match self.spec.keys.is_empty() {
            true => vec![self.is_started; groups.len()],
            false => groups.iter().map(|group| self.slots.rows.at(*group as usize) > 0).collect(),
        };
        let aggregates = self.slots.accumulators.iter().map(|accumulator| accumulator.evaluate(groups)).collect();
        Rows { present, aggregates }
    }

    /// Retractions of `old` and insertions of `new` for the groups whose rows differ.
    fn difference(&self, groups: &[u32], old: &Rows, new: &Rows) -> Updates {
        let mut differs: Vec<bool> = old.present.iter().zip(&new.present).map(|(old, new)| old != new).collect();
        for (old, new) in old.aggregates.iter().zip(&new.aggregates) {
            note_differences(old, new, &mut differs);
        }
        let rows = |present: &[bool]| -> Vec<u32> {
            (0..groups.len()).filter(|row| differs[*row] && present[*row]).map(|row| row as u32).collect()
        };
        let (retracted, inserted) = (rows(&old.present), rows(&new.present));
        let len = retracted.len() + inserted.len();
        if len == 0 {
            return Updates::default();
        }
        // Each key is decoded once, then placed.
        let mut keys = Vec::new();
        let mut place = vec![0u32; groups.len()];
        for row in (0..groups.len()).filter(|row| differs[*row]) {
            place[row] = keys.len() as u32;
            keys.push(groups[row]);
        }
        let places: UInt32Array = retracted.iter().chain(&inserted).map(|row| Some(place[*row as usize])).collect();
        let decoded = if self.spec.keys.is_empty() { Vec::new() } else { self.groups.columns(&keys) };
        let mut columns: Vec<ArrayRef> = decoded.iter().map(|column| take_rows(column, &places)).collect();
        let mut diffs = vec![-1; retracted.len()];
        diffs.resize(len, 1);
        let (retracted, inserted) = (UInt32Array::from(retracted), UInt32Array::from(inserted));
        for (old, new) in old.aggregates.iter().zip(&new.aggregates) {
            let parts = [take_rows(old, &retracted), take_rows(new, &inserted)];
            columns.push(concat(&[&parts[0], &parts[1]]).expect("old and new aggregates have one type"));
        }
        Updates::new(len, columns, Run::One(0), Run::Each(diffs.into()))
    }

    fn free(&mut self, groups: &[u32]) {
        if self.spec.keys.is_empty() {
            return;
        }
        for group in groups {
            if self.slots.is_empty(*group) {
                self.slots.accumulators.iter_mut().for_each(|accumulator| accumulator.clear(*group));
                self.spill.release(&mut self.groups, *group);
            }
        }
    }
}

impl Logic for AggregateLogic {
    fn apply(&mut self, input: Vec<Updates>) -> Vec<Updates> {
        let ids = self.intern(&input);
        let groups: Vec<u32> = self.touched.drain().collect();
        let old = self.evaluate(&groups);
        for (updates, ids) in input.iter().zip(&ids) {
            self.add(updates, ids);
        }
        self.is_started = true;
        let new = self.evaluate(&groups);
        let difference = self.difference(&groups, &old, &new);
        self.free(&groups);
        self.spill.settle(&mut self.groups, &mut self.slots, groups.into_iter());
        vec![difference]
    }

    fn rest(&mut self) {
        self.spill.settle(&mut self.groups, &mut self.slots, std::iter::empty());
    }

    fn starts_unasked(&self) -> bool {
        self.spec.keys.is_empty()
    }
}

/// The rows where `filter` is true.
pub(crate) fn true_rows(filter: &ArrayRef) -> Vec<u32> {
    let filter: &BooleanArray = filter.as_boolean();
    (0..filter.len()).filter(|row| filter.is_valid(*row) && filter.value(*row)).map(|row| row as u32).collect()
}

/// Sets `differs` where two columns differ; nulls are equal.
fn note_differences(old: &ArrayRef, new: &ArrayRef, differs: &mut [bool]) {
    match make_comparator(old, new, SortOptions::default()) {
        Ok(compare) => differs.iter_mut().enumerate().for_each(|(row, differs)| *differs |= compare(row, row).is_ne()),
        // Types without an order are compared as values.
        Err(_) => differs
            .iter_mut()
            .enumerate()
            .for_each(|(row, differs)| *differs |= old.slice(row, 1).to_data() != new.slice(row, 1).to_data()),
    }
}

#[cfg(test)]
mod tests;

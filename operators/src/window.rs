//! Window aggregates: each row with aggregates of the rows around it.
//!
//! `count`, `sum`, `avg`, `min`, `max`, `median` and `mad` over `PARTITION BY … ORDER BY x RANGE BETWEEN … AND …`, where `x`
//! is an integer, a decimal, a date or a time. Rows of a partition with the same `x` are peers and have the same frame.
//! Functions over one partitioning and order share one state, whatever their frames.
//!
//! **What changes.** A row that comes, goes or changes its number of copies at `x = h` changes the values of those rows
//! only whose frame holds `h` ([`frame`]). These are walked in order while the frame slides along, and what comes out
//! otherwise than before is retracted and inserted anew; nothing is said of the rest.
//!
//! **State**, a distinct row: its bytes and 27 (see [`crate::key_table`]), 16 in its partition's order, 8 for its copies,
//! and 16 for each distinct input (32 if it is a decimal) and for each function, whose value is remembered.
//!
//! **Cost** of an epoch: logarithmic a changed row; a step of each frame for every row whose frame changed; and, wherever
//! the walk starts anew, the rows of one frame. So a frame that reaches over a whole partition costs its partition's rows.

pub mod frame;
mod numbers;
mod plan;
mod slide;

use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, UInt32Array};
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::{Error, Result, Run};
use catchment_engine::updates::take_rows;
use catchment_engine::{UpdateStream, Updates, flatten};

pub use frame::{Bound, Frame};
use frame::{Place, Range};
use numbers::{Numbers, is_linear};
use plan::{Feed, Plan, supports};
use slide::{Ground, Slide, Values};

/// A function's results by row number, as bits.
type Results = Vec<Option<i128>>;

use crate::aggregate::Function;
use crate::driver::{Logic, drive};
use crate::key_table::{KeyTable, flat_type};
use crate::lanes::Lane;
use crate::sorted_list::{SortedList, Weight};
use crate::top_k::Order;

/// One aggregate over a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowFunction {
    /// What is computed. Sums and averages are exact and rounded once, as in [`mod@crate::aggregate`].
    pub function: Function,
    /// The column that it is computed of; none for [`Function::CountRows`].
    pub input: Option<usize>,
    /// A `Boolean` column: only rows where it is true count.
    pub filter: Option<usize>,
    /// The rows that it is computed over.
    pub frame: Frame,
    /// The type of the result: `Int64` for counts; an integer, a decimal or `Float64` for sums; a float or, of decimals, a
    /// decimal for averages; a float for medians and deviations; the input's for `min` and `max`. A sum that does not fit is
    /// null; one of decimals beyond 128 bits is the greatest number of 128 bits, which has more digits than a `Decimal128`.
    pub output: DataType,
}

/// Partitions, their order, and the functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    /// The columns of the partition's key; none for one partition.
    pub partition: Vec<usize>,
    /// The column by which a partition is ordered; without one all its rows are peers.
    pub order: Option<Order>,
    /// The functions, in the order of the output's columns; at least one.
    pub functions: Vec<WindowFunction>,
    /// The types of all input columns.
    pub types: Vec<DataType>,
}

impl WindowSpec {
    /// Whether [`window`] can keep this up to date.
    ///
    /// # Errors
    /// If a column has a type that cannot be ordered by or has no such function; says which, and what to write.
    pub fn check(&self) -> Result<()> {
        if let Some(order) = self.order
            && !is_linear(&self.type_of(order.column))
        {
            let message = format!("OVER (ORDER BY …) a column of the type {}", self.type_of(order.column));
            return Err(Error::user(message).with_hint("order by a time, a date, an integer or a decimal"));
        }
        for WindowFunction { function, input, frame, .. } in &self.functions {
            if let Some(input) = input.map(|input| self.type_of(input))
                && !supports(*function, &input)
            {
                let message = format!("{function:?} over a window of values of the type {input}");
                return Err(Error::user(message).with_hint("cast the column to DOUBLE or BIGINT first"));
            }
            if !frame.is_possible() {
                return Err(Error::user("a window frame that ends before it starts")
                    .with_hint("write the earlier bound first: BETWEEN 7 PRECEDING AND 1 PRECEDING"));
            }
        }
        Ok(())
    }

    fn type_of(&self, column: usize) -> DataType {
        flat_type(&self.types[column])
    }

    /// The columns that are not the partition's.
    fn rest(&self) -> impl Iterator<Item = usize> {
        (0..self.types.len()).filter(|column| !self.partition.contains(column))
    }
}

/// Every row of `input` with the values of all functions behind its columns; consolidated.
///
/// # Panics
/// If [`WindowSpec::check`] refuses `spec`.
pub fn window<'s>(input: UpdateStream<'s>, name: &str, spec: WindowSpec) -> UpdateStream<'s> {
    let partition = spec.partition.clone();
    drive(input, name, partition, WindowLogic::new(spec))
}

/// All partitions of one worker.
pub(crate) struct WindowLogic {
    spec: WindowSpec,
    plan: Plan,
    keys: KeyTable,
    partitions: Vec<Partition>,
    /// Distinct rows: the partition's number, then all columns that are not its key.
    rows: KeyTable,
    /// Of each row: its copies, each feed's value, each function's value, and its place among this epoch's changes.
    copies: Lane,
    values: Vec<Values>,
    shown: Vec<Results>,
    marks: Vec<u32>,
}

/// The distinct rows of a partition, by place; peers by number.
type Entries = SortedList<Entry>;

/// A row: where it stands, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    place: Place,
    row: u32,
}

impl Weight for Entry {
    /// Nobody asks for the n-th row.
    fn weight(&self) -> i64 {
        0
    }
}

#[derive(Default)]
struct Partition {
    entries: Entries,
    /// Rows whose copies are not 0.
    rows: u32,
}

/// A row that an epoch touched.
struct Change {
    partition: u32,
    row: u32,
    place: Place,
    /// Its copies before.
    before: i64,
}

/// Rows of the output before they are columns.
struct Emitted {
    partitions: Vec<u32>,
    rows: Vec<u32>,
    values: Vec<Results>,
    diffs: Vec<i64>,
}

/// The mark of a row that no change touched.
const UNMARKED: u32 = u32::MAX;

impl WindowLogic {
    pub(crate) fn new(spec: WindowSpec) -> Self {
        spec.check().expect("the planner checks a spec before it builds");
        let plan = Plan::of(&spec);
        let keys: Vec<DataType> = spec.partition.iter().map(|column| spec.types[*column].clone()).collect();
        let rest = spec.rest().map(|column| spec.types[column].clone());
        let rows: Vec<DataType> = std::iter::once(DataType::UInt32).chain(rest).collect();
        WindowLogic {
            keys: KeyTable::new(&keys),
            partitions: Vec::new(),
            rows: KeyTable::new(&rows).of_rows(),
            copies: Lane::default(),
            values: plan.feeds.iter().map(Feed::values).collect(),
            shown: vec![Results::new(); plan.outputs.len()],
            marks: Vec::new(),
            plan,
            spec,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_hash_bits(mut self, bits: u32) -> Self {
        self.keys = self.keys.with_hash_bits(bits);
        self.rows = self.rows.with_hash_bits(bits);
        self
    }

    /// Counts all rows of `updates`; those touched first in this epoch are noted in `changes`.
    fn take(&mut self, updates: &Updates, changes: &mut Vec<Change>) {
        let columns = |columns: &mut dyn Iterator<Item = usize>| -> Vec<ArrayRef> {
            columns.map(|column| updates.column(column).clone()).collect()
        };
        let (mut partitions, mut rows) = (Vec::with_capacity(updates.len()), Vec::with_capacity(updates.len()));
        let hashes = updates.carried_key_hashes().map(|hashes| &hashes[..]);
        self.keys.intern(&columns(&mut self.spec.partition.iter().copied()), updates.len(), hashes, &mut partitions);
        let mut identity: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(partitions.clone()))];
        identity.extend(columns(&mut self.spec.rest()));
        self.rows.intern(&identity, updates.len(), None, &mut rows);
        self.partitions.resize_with(self.keys.bound(), Partition::default);
        self.resize();
        let order = self.spec.order.map(|order| (order, self.order_values(updates, order)));
        let feeds: Vec<Numbers> = self.plan.feeds.iter().map(|feed| feed.read(updates)).collect();
        for (index, row) in rows.into_iter().enumerate() {
            let slot = row as usize;
            let diff = updates.diffs().at(index);
            if self.marks[slot] == UNMARKED {
                self.marks[slot] = changes.len() as u32;
                let place = match &order {
                    Some((Order { descending, nulls_first, .. }, values)) => {
                        Place::new(values.at(index), *descending, *nulls_first)
                    }
                    None => Place::new(Some(0), false, false),
                };
                let before = self.copies_of(row);
                changes.push(Change { partition: partitions[index], row, place, before });
                for (values, feed) in self.values.iter_mut().zip(&feeds) {
                    feed.copy(index, values, slot);
                }
            }
            self.copies.add_diff(slot, diff);
        }
    }

    fn order_values(&self, updates: &Updates, order: Order) -> Numbers {
        Numbers::of(&flatten(updates.column(order.column))).expect("the spec was checked")
    }

    fn resize(&mut self) {
        let bound = self.rows.bound();
        self.copies.resize(bound);
        self.marks.resize(bound, UNMARKED);
        self.values.iter_mut().for_each(|values| values.resize(bound));
        self.shown.iter_mut().for_each(|results| results.resize(bound, None));
    }

    fn copies_of(&self, row: u32) -> i64 {
        i64::try_from(self.copies.at(row as usize)).unwrap_or(i64::MAX)
    }

    /// Brings one partition up to date with its `changes`, which are among `all` changes of the epoch.
    fn partition(&mut self, changes: &[Change], all: &[Change], out: &mut Emitted) {
        let id = changes[0].partition;
        let mut partition = std::mem::take(&mut self.partitions[id as usize]);
        let mut ranges = Vec::new();
        for Change { row, place, before, .. } in changes {
            let after = self.copies_of(*row);
            let entry = Entry { place: *place, row: *row };
            match (*before > 0, after > 0) {
                (false, false) => continue,
                (true, true) if *before == after => continue,
                (true, true) => {}
                (false, true) => {
                    if let Err(at) = partition.entries.find(|known| known.cmp(&entry)) {
                        partition.entries.insert(at, entry);
                    }
                }
                (true, false) => {
                    if let Ok(at) = partition.entries.find(|known| known.cmp(&entry)) {
                        partition.entries.remove(at);
                    }
                    let old: Results = self.shown.iter().map(|shown| shown[*row as usize]).collect();
                    out.push(id, *row, &old, -before);
                }
            }
            ranges.extend(self.plan.frames.iter().map(|(frame, _)| Range::holders(frame, *place)));
            ranges.push(Range::of(*place));
        }
        Range::merge(&mut ranges);
        self.walk(id, &partition.entries, &ranges, all, out);
        for Change { row, before, .. } in changes {
            partition.rows += u32::from(*before == 0 && self.copies_of(*row) != 0);
            partition.rows -= u32::from(*before != 0 && self.copies_of(*row) == 0);
        }
        self.partitions[id as usize] = partition;
    }

    /// Evaluates the rows in `ranges`, which are in order and apart, and emits what differs.
    fn walk(&mut self, partition: u32, entries: &Entries, ranges: &[Range], all: &[Change], out: &mut Emitted) {
        let mut slides: Vec<Slide<'_>> =
            self.plan.frames.iter().map(|(frame, tallied)| Slide::new(*frame, tallied)).collect();
        let copies = |row: u32| i64::try_from(self.copies.at(row as usize)).unwrap_or(i64::MAX);
        let ground = Ground { entries, values: &self.values, copies: &copies };
        let mut found: Results = vec![None; self.plan.outputs.len()];
        for range in ranges {
            let mut cursor = entries.seek(|entry| entry.place.limit() < range.first);
            let mut last = None;
            while let Some(Entry { place, row }) =
                entries.get(cursor).copied().filter(|entry| entry.place.limit() <= range.last)
            {
                // Peers share their frames.
                if last != Some(place) {
                    slides.iter_mut().for_each(|slide| slide.move_to(place, &ground));
                    for (found, output) in found.iter_mut().zip(&self.plan.outputs) {
                        *found = output.evaluate(slides[output.frame].tally(output.tally));
                    }
                    last = Some(place);
                }
                let after = copies(row);
                let before = all.get(self.marks[row as usize] as usize).map_or(after, |change| change.before.max(0));
                show(&mut self.shown, &found, row, (before, after), |values, diff| {
                    out.push(partition, row, values, diff);
                });
                cursor = entries.after(cursor);
            }
        }
    }

    fn columns(&self, emitted: Emitted) -> Updates {
        let len = emitted.diffs.len();
        if len == 0 {
            return Updates::default();
        }
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.spec.types.len()];
        let keys = decode(&self.keys, &emitted.partitions);
        self.spec.partition.iter().zip(keys).for_each(|(column, values)| columns[*column] = Some(values));
        let rest = decode(&self.rows, &emitted.rows).into_iter().skip(1);
        self.spec.rest().zip(rest).for_each(|(column, values)| columns[column] = Some(values));
        let mut columns: Vec<ArrayRef> = columns.into_iter().flatten().collect();
        columns.extend(self.plan.outputs.iter().zip(&emitted.values).map(|(output, values)| output.column(values)));
        Updates::new(len, columns, Run::One(0), Run::Each(emitted.diffs.into()))
    }

    /// Forgets rows and partitions that are gone.
    fn free(&mut self, changes: &[Change]) {
        for Change { partition, row, .. } in changes {
            self.marks[*row as usize] = UNMARKED;
            if self.copies.at(*row as usize) == 0 {
                self.rows.remove(*row);
                if self.partitions[*partition as usize].rows == 0 {
                    self.keys.remove(*partition);
                }
            }
        }
    }
}

/// Remembers what is `found` for a row, of which there were `before` copies and are `after`, and emits how that differs
/// from what was `shown`.
fn show(
    shown: &mut [Results],
    found: &[Option<i128>],
    row: u32,
    (before, after): (i64, i64),
    mut emit: impl FnMut(&[Option<i128>], i64),
) {
    let row = row as usize;
    let is_same = shown.iter().zip(found).all(|(shown, found)| shown[row] == *found);
    if is_same && before > 0 {
        if before != after {
            emit(found, after - before);
        }
        return;
    }
    if before > 0 {
        let old: Results = shown.iter().map(|shown| shown[row]).collect();
        emit(&old, -before);
    }
    emit(found, after);
    shown.iter_mut().zip(found).for_each(|(shown, found)| shown[row] = *found);
}

/// The keys `ids` as columns; neighbours that are equal are decoded once.
fn decode(table: &KeyTable, ids: &[u32]) -> Vec<ArrayRef> {
    let mut distinct: Vec<u32> = Vec::new();
    let places: UInt32Array = ids
        .iter()
        .map(|id| {
            if distinct.last() != Some(id) {
                distinct.push(*id);
            }
            Some(distinct.len() as u32 - 1)
        })
        .collect();
    table.columns(&distinct).iter().map(|column| take_rows(column, &places)).collect()
}

impl Emitted {
    fn push(&mut self, partition: u32, row: u32, values: &[Option<i128>], diff: i64) {
        self.partitions.push(partition);
        self.rows.push(row);
        self.values.iter_mut().zip(values).for_each(|(column, value)| column.push(*value));
        self.diffs.push(diff);
    }
}

impl Logic for WindowLogic {
    fn apply(&mut self, input: Vec<Updates>) -> Vec<Updates> {
        let mut changes = Vec::new();
        for updates in input.iter().filter(|updates| !updates.is_empty()) {
            self.take(updates, &mut changes);
        }
        drop(input);
        changes.sort_by_key(|change| change.partition);
        changes.iter().zip(0..).for_each(|(change, place)| self.marks[change.row as usize] = place);
        let values = vec![Results::new(); self.plan.outputs.len()];
        let mut emitted = Emitted { partitions: Vec::new(), rows: Vec::new(), values, diffs: Vec::new() };
        for same in changes.chunk_by(|one, other| one.partition == other.partition) {
            self.partition(same, &changes, &mut emitted);
        }
        let output = self.columns(emitted);
        self.free(&changes);
        vec![output]
    }
}

#[cfg(test)]
mod tests;

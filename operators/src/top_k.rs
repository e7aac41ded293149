//! The first rows of each partition.
//!
//! Every row of a partition is kept as the bytes of arrow's row encoding, laid out so that bytes compare as the order asks:
//! the order's columns with their directions, then all others ascending, nulls last. That order is total up to equal rows,
//! so the result is deterministic. A row that is there several times takes several places.
//!
//! **State**: a multiset of rows ([`crate::multiset`]) a partition, about 50 bytes a row beside its bytes; partitions may be spilled. **Cost** of an epoch: logarithmic a changed row, and `offset + limit` steps a touched partition, before and after.

use std::rc::Rc;
use std::sync::Arc;

use catchment_contract::Run;
use catchment_contract::arrow::array::{ArrayRef, UInt64Array};
use catchment_contract::arrow::compute::SortOptions;
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::arrow::row::{RowConverter, SortField};
use catchment_contract::hash::canonical;
use catchment_engine::{UpdateStream, Updates, flatten};
use catchment_state::Memory;

use crate::driver::{Logic, drive};
use crate::key_table::{KeyTable, flat_type};
use crate::multiset::Multisets;
use crate::spill::Spill;
use crate::touched::Touched;

/// One column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// The column.
    pub column: usize,
    /// Whether great values come first.
    pub descending: bool,
    /// Whether nulls come first.
    pub nulls_first: bool,
}

/// Whether the output carries the row's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// It does not.
    None,
    /// A `UInt64` column at the end: 1 for the partition's first row (that of the whole order, before `offset`).
    RowNumber,
}

/// Which rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopKSpec {
    /// The columns of the partition's key; none for one partition.
    pub partition: Vec<usize>,
    /// The order; ties are broken by the remaining columns, ascending, nulls last.
    pub order: Vec<Order>,
    /// Rows of each partition passed over.
    pub offset: usize,
    /// Rows of each partition kept.
    pub limit: usize,
    /// Whether the output carries the row's place.
    pub ranking: Ranking,
    /// The types of all input columns.
    pub types: Vec<DataType>,
}

impl TopKSpec {
    /// Every column that is not the partition's, once, with its direction: those of the order, then the others.
    pub(crate) fn full_order(&self) -> Vec<Order> {
        let mut full: Vec<Order> = Vec::new();
        let rest = (0..self.types.len()).map(|column| Order { column, descending: false, nulls_first: false });
        for order in self.order.iter().copied().chain(rest) {
            if !self.partition.contains(&order.column) && full.iter().all(|other| other.column != order.column) {
                full.push(order);
            }
        }
        full
    }
}

impl Order {
    /// The column of type `data_type` in this direction.
    pub(crate) fn field(&self, data_type: &DataType) -> SortField {
        let options = SortOptions { descending: self.descending, nulls_first: self.nulls_first };
        SortField::new_with_options(flat_type(data_type), options)
    }
}

/// The first `limit` rows after `offset` of each partition: the input's columns, and the place if asked for; consolidated.
/// With a ranking, a row that moves is retracted at its old place and inserted at its new one.
pub fn top_k<'s>(input: UpdateStream<'s>, name: &str, spec: TopKSpec, memory: &Memory) -> UpdateStream<'s> {
    let partition = spec.partition.clone();
    drive(input, name, partition, TopKLogic::new(spec, memory))
}

/// All partitions of one worker.
pub(crate) struct TopKLogic {
    spec: TopKSpec,
    partitions: KeyTable,
    rows: Multisets<Rc<[u8]>>,
    spill: Spill,
    /// The columns in the order in which rows are encoded, and how many of them the order names.
    encoded: Vec<usize>,
    ordering: usize,
    converter: RowConverter,
    touched: Touched,
}

/// A row of the result: its bytes and how many places it takes, from place `rank` on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    row: Rc<[u8]>,
    rank: u64,
    copies: i64,
}

/// What a touched partition showed before the epoch.
struct Before {
    partition: u32,
    shown: Vec<Shown>,
}

/// Rows of the output before they are columns.
#[derive(Default)]
struct Emitted {
    partitions: Vec<u32>,
    rows: Vec<Rc<[u8]>>,
    ranks: Vec<u64>,
    diffs: Vec<i64>,
}

impl TopKLogic {
    pub(crate) fn new(spec: TopKSpec, memory: &Memory) -> Self {
        let types: Vec<DataType> = spec.partition.iter().map(|column| spec.types[*column].clone()).collect();
        let order = spec.full_order();
        let fields = order.iter().map(|order| order.field(&spec.types[order.column])).collect();
        TopKLogic {
            partitions: KeyTable::new(&types),
            rows: Multisets::default(),
            spill: Spill::new(memory, types.len()),
            ordering: order.iter().filter(|order| spec.order.contains(order)).count(),
            encoded: order.iter().map(|order| order.column).collect(),
            converter: RowConverter::new(fields).expect("the planner lets only types with a row encoding be ordered"),
            touched: Touched::default(),
            spec,
        }
    }

    /// The partitions of all rows; those touched first, with what they show.
    fn intern(&mut self, input: &[Updates]) -> (Vec<Vec<u32>>, Vec<Before>) {
        let (mut all, mut before) = (Vec::with_capacity(input.len()), Vec::new());
        for updates in input {
            let keys: Vec<ArrayRef> = self.spec.partition.iter().map(|key| updates.column(*key).clone()).collect();
            let hashes = updates.carried_key_hashes().map(|hashes| &hashes[..]);
            let mut ids = Vec::with_capacity(updates.len());
            self.partitions.intern(&keys, updates.len(), hashes, &mut ids);
            self.rows.resize(self.partitions.bound());
            self.spill.recall(&mut self.partitions, &mut self.rows);
            for id in &ids {
                if self.touched.insert(*id) {
                    before.push(Before { partition: *id, shown: self.shown(*id) });
                }
            }
            all.push(ids);
        }
        self.touched.drain();
        (all, before)
    }

    fn add(&mut self, updates: &Updates, partitions: &[u32]) {
        let mut columns: Vec<ArrayRef> = self.encoded.iter().map(|column| flatten(updates.column(*column))).collect();
        // Zeros tie, whatever their signs.
        columns.iter_mut().take(self.ordering).for_each(|column| *column = canonical(column));
        if columns.is_empty() {
            // All columns are the partition's: its rows are equal.
            let row: Rc<[u8]> = Rc::from([].as_slice());
            for (index, partition) in partitions.iter().enumerate() {
                self.rows.add(*partition as usize, &*row, updates.diffs().at(index));
            }
            return;
        }
        let rows = self.converter.convert_columns(&columns).expect("columns have the declared types");
        for (index, (row, partition)) in rows.iter().zip(partitions).enumerate() {
            self.rows.add(*partition as usize, row.data(), updates.diffs().at(index));
        }
    }

    /// What a partition shows: the rows that take places after `offset`, up to `limit` of them.
    fn shown(&self, partition: u32) -> Vec<Shown> {
        let (mut passed, mut shown) = (0u64, Vec::new());
        let (offset, limit) = (self.spec.offset as u64, self.spec.limit as u64);
        let end = offset.saturating_add(limit);
        for (row, count) in self.rows.of(partition).iter() {
            let (from, to) = (passed.max(offset), passed.saturating_add(count as u64).min(end));
            if from < to {
                shown.push(Shown { row: row.clone(), rank: from + 1, copies: (to - from) as i64 });
            }
            passed = passed.saturating_add(count as u64);
            if passed >= end {
                break;
            }
        }
        shown
    }

    /// The difference between what a partition showed and shows.
    fn compare(&self, partition: u32, old: &[Shown], new: &[Shown], out: &mut Emitted) {
        match self.spec.ranking {
            Ranking::None => compare_rows(partition, old, new, out),
            Ranking::RowNumber => compare_places(partition, old, new, out),
        }
    }

    fn columns(&self, emitted: Emitted) -> Updates {
        let len = emitted.rows.len();
        if len == 0 {
            return Updates::default();
        }
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.spec.types.len()];
        if !self.encoded.is_empty() {
            let parser = self.converter.parser();
            let rows = emitted.rows.iter().map(|row| parser.parse(row));
            let decoded = self.converter.convert_rows(rows).expect("the bytes are those that the converter made");
            self.encoded.iter().zip(decoded).for_each(|(column, values)| columns[*column] = Some(values));
        }
        if !self.spec.partition.is_empty() {
            let decoded = self.partitions.columns(&emitted.partitions);
            self.spec.partition.iter().zip(decoded).for_each(|(column, values)| columns[*column] = Some(values));
        }
        let mut columns: Vec<ArrayRef> = columns.into_iter().flatten().collect();
        if self.spec.ranking == Ranking::RowNumber {
            columns.push(Arc::new(UInt64Array::from(emitted.ranks)));
        }
        Updates::new(len, columns, Run::One(0), Run::Each(emitted.diffs.into()))
    }
}

/// Without places, a row counts by its copies: both lists are in order, so one walk finds the difference.
fn compare_rows(partition: u32, old: &[Shown], new: &[Shown], out: &mut Emitted) {
    let (mut left, mut right) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let side = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(one), Some(other)) => one.row.cmp(&other.row),
        };
        let gone = if side.is_le() { left.next() } else { None };
        let came = if side.is_ge() { right.next() } else { None };
        let diff = came.map_or(0, |shown| shown.copies) - gone.map_or(0, |shown| shown.copies);
        if let Some(shown) = gone.or(came)
            && diff != 0
        {
            out.push(partition, &shown.row, shown.rank, diff);
        }
    }
}

/// With places, each copy of a row is a row of its own.
fn compare_places(partition: u32, old: &[Shown], new: &[Shown], out: &mut Emitted) {
    let places = |shown: &[Shown]| -> Vec<(u64, Rc<[u8]>)> {
        let copies = |shown: &Shown| (shown.rank..shown.rank + shown.copies as u64).collect::<Vec<_>>();
        shown.iter().flat_map(|one| copies(one).into_iter().map(|rank| (rank, one.row.clone()))).collect()
    };
    let (old, new) = (places(old), places(new));
    for index in 0..old.len().max(new.len()) {
        let (gone, came) = (old.get(index), new.get(index));
        if gone == came {
            continue;
        }
        if let Some((rank, row)) = gone {
            out.push(partition, row, *rank, -1);
        }
        if let Some((rank, row)) = came {
            out.push(partition, row, *rank, 1);
        }
    }
}

impl Emitted {
    fn push(&mut self, partition: u32, row: &Rc<[u8]>, rank: u64, diff: i64) {
        self.partitions.push(partition);
        self.rows.push(row.clone());
        self.ranks.push(rank);
        self.diffs.push(diff);
    }
}

impl Logic for TopKLogic {
    fn apply(&mut self, input: Vec<Updates>) -> Vec<Updates> {
        let (ids, before) = self.intern(&input);
        for (updates, ids) in input.iter().zip(&ids) {
            self.add(updates, ids);
        }
        let mut emitted = Emitted::default();
        for Before { partition, shown: old } in &before {
            let new = self.shown(*partition);
            self.compare(*partition, old, &new, &mut emitted);
        }
        let output = self.columns(emitted);
        for Before { partition, .. } in &before {
            if self.rows.of(*partition).is_empty() {
                self.rows.clear(*partition);
                self.spill.release(&mut self.partitions, *partition);
            }
        }
        let touched = before.into_iter().map(|before| before.partition);
        self.spill.settle(&mut self.partitions, &mut self.rows, touched);
        vec![output]
    }

    fn rest(&mut self) {
        self.spill.settle(&mut self.partitions, &mut self.rows, std::iter::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Accumulated, doubles, numbers, updates};

    /// Zeros tie in the order, so the next column decides.
    #[test]
    fn zeros_tie_whatever_their_signs() {
        let order = [0, 1].map(|column| Order { column, descending: false, nulls_first: false }).to_vec();
        let types = vec![DataType::Float64, DataType::Int64];
        let spec = TopKSpec { partition: vec![], order, offset: 0, limit: 1, ranking: Ranking::None, types };
        let (mut logic, mut shown) = (TopKLogic::new(spec, &Memory::unlimited()), Accumulated::default());
        shown.feed(&mut logic, vec![updates(vec![doubles([-0.0, 0.0]), numbers([2, 1])], vec![1; 2])]);
        assert_eq!(shown.once(), ["0.0 1"]);
    }
}

//! Updates that are not published yet, and what they come to.
//!
//! Updates of a row cancel out by their diffs; what is left of a key is at most one row that was there before and one
//! that is there after. With `delivery = 'at_least_once'` this is done an epoch at a time, otherwise over all epochs since
//! the last checkpoint. Rows and keys are compared by 128-bit identities ([`catchment_contract::hash`]).
//!
//! Held rows are cut down to those that have not cancelled out whenever they have doubled since the last time, so memory
//! is that of the net changes.

use std::hash::BuildHasherDefault;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use catchment_contract::arrow::compute::interleave_record_batch;
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::hash::hash_rows;
use catchment_contract::{Diff, Epoch, Error, Result, Run, UpdateBatch};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::lake::order::IdentityHasher;

/// Fewer held updates than this are not cut down before they are needed.
const SETTLED_ROWS_MIN: usize = 1 << 18;

/// Numbers by epoch and identity.
type Index = HashMap<(Epoch, u128), usize, BuildHasherDefault<IdentityHasher>>;

/// A row of the held batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the batch.
    pub batch: u32,
    /// Row in it.
    pub row: u32,
}

/// What became of a key, or one row of a relation without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The epoch, where changes are told apart by it; 0 otherwise.
    pub epoch: Epoch,
    /// Identity of the key; 0 where changes have none.
    pub key: u128,
    /// The row that was there before.
    pub before: Option<Place>,
    /// The row that is there now.
    pub after: Option<Place>,
}

/// How updates make changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// A key has one row: its retraction and its insertion are one change.
    Unique,
    /// Rows only come, and each is a change.
    Rows,
    /// Of each key the first row that is left; what was taken back counts for nothing.
    First,
}

/// Updates held until they are published.
#[derive(Debug)]
pub struct Pending {
    relation: String,
    key: Vec<usize>,
    pairing: Pairing,
    by_epoch: bool,
    batches: Vec<UpdateBatch>,
    rows: usize,
    /// Updates left when they were cut down last.
    settled: usize,
    settled_rows_min: usize,
}

impl Pending {
    /// Nothing held yet for `relation`, whose changes are made by `pairing` over the columns `key`, an epoch at a time
    /// if `by_epoch`.
    pub fn new(relation: &str, key: &[usize], pairing: Pairing, by_epoch: bool) -> Self {
        Pending {
            relation: relation.to_owned(),
            key: key.to_vec(),
            pairing,
            by_epoch,
            batches: Vec::new(),
            rows: 0,
            settled: 0,
            settled_rows_min: SETTLED_ROWS_MIN,
        }
    }

    /// Holds `updates`.
    ///
    /// # Errors
    /// If Arrow cannot gather rows of the relation's types.
    pub fn add(&mut self, updates: Vec<UpdateBatch>) -> Result<()> {
        for batch in updates.into_iter().filter(|batch| !batch.is_empty()) {
            self.rows += batch.len();
            self.batches.push(batch);
        }
        if self.rows >= self.settled_rows_min.max(self.settled * 2) { self.settle() } else { Ok(()) }
    }

    /// The held batches' rows, which [`Place`]s refer to.
    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.batches.iter().map(|batch| &batch.rows)
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.rows, self.settled) = (0, 0);
        self.batches.clear();
    }

    /// The net changes in the order of their rows' epochs, then of arrival.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Bug`] if the relation is not what the planner said: a key with two rows, or a row
    /// taken back from a relation that only grows.
    pub fn changes(&self) -> Result<Vec<Change>> {
        let mut changes = match self.pairing {
            Pairing::Rows => self.grown()?,
            Pairing::Unique if self.only_grows() => self.inserted(),
            Pairing::Unique | Pairing::First => self.paired()?,
        };
        changes.sort_by_key(|change| change.after.or(change.before).map(|place| self.order(place)));
        Ok(changes)
    }

    /// What comes first: workers hand over rows of several epochs in any order.
    fn order(&self, place: Place) -> (Epoch, Place) {
        (self.batches[place.batch as usize].epochs.at(place.row as usize), place)
    }

    fn epoch(&self, batch: &UpdateBatch, row: usize) -> Epoch {
        if self.by_epoch { batch.epochs.at(row) } else { 0 }
    }

    fn only_grows(&self) -> bool {
        self.batches.iter().all(|batch| batch.diffs.constant(batch.len()) == Some(1))
    }

    /// Every update with its place.
    fn each(&self) -> impl Iterator<Item = (&UpdateBatch, Place)> {
        self.batches.iter().enumerate().flat_map(|(number, batch)| {
            (0..batch.len()).map(move |row| (batch, Place { batch: number as u32, row: row as u32 }))
        })
    }

    /// Each update is a row that came; keys that are unique need not be looked at.
    fn inserted(&self) -> Vec<Change> {
        let change = |(batch, place): (&UpdateBatch, Place)| Change {
            epoch: self.epoch(batch, place.row as usize),
            key: 0,
            before: None,
            after: Some(place),
        };
        self.each().map(change).collect()
    }

    fn grown(&self) -> Result<Vec<Change>> {
        let mut changes = Vec::with_capacity(self.rows);
        for (batch, place) in self.each() {
            let diff: Diff = batch.diffs.at(place.row as usize);
            let times = usize::try_from(diff).map_err(|_| {
                Error::bug(format!("\"{}\" only grows, and took a row back", self.relation))
                    .with_hint("write format = 'debezium' or 'upsert' for its sink")
            })?;
            let epoch = self.epoch(batch, place.row as usize);
            changes.extend(std::iter::repeat_n(Change { epoch, key: 0, before: None, after: Some(place) }, times));
        }
        Ok(changes)
    }

    /// Sums of diffs a row (and epoch), with the place of each that is not 0 where it came first.
    fn sums(&self, epoch_of: impl Fn(&UpdateBatch, usize) -> Epoch) -> Vec<(Epoch, Place, Diff)> {
        let mut index = Index::with_capacity_and_hasher(self.rows, BuildHasherDefault::default());
        let mut sums: Vec<(Epoch, Place, Diff)> = Vec::new();
        for (number, batch) in self.batches.iter().enumerate() {
            let lanes = hash_rows(batch.rows.columns(), batch.len());
            for row in 0..batch.len() {
                let epoch = epoch_of(batch, row);
                let diff = batch.diffs.at(row);
                let place = Place { batch: number as u32, row: row as u32 };
                match index.entry((epoch, lanes.identity(row))) {
                    Entry::Occupied(found) => {
                        let (_, first, sum) = &mut sums[*found.get()];
                        *sum += diff;
                        if self.order(place) < self.order(*first) {
                            *first = place;
                        }
                    }
                    Entry::Vacant(free) => {
                        free.insert(sums.len());
                        sums.push((epoch, place, diff));
                    }
                }
            }
        }
        sums.retain(|(_, _, diff)| *diff != 0);
        sums
    }

    fn paired(&self) -> Result<Vec<Change>> {
        let keys: Vec<_> = self
            .batches
            .iter()
            .map(|batch| {
                let columns: Vec<ArrayRef> = self.key.iter().map(|index| batch.rows.column(*index).clone()).collect();
                hash_rows(&columns, batch.len())
            })
            .collect();
        let mut changes: Vec<Change> = Vec::new();
        let mut index = Index::default();
        for (epoch, place, diff) in self.sums(|batch, row| self.epoch(batch, row)) {
            let key = keys[place.batch as usize].identity(place.row as usize);
            if self.pairing == Pairing::First && diff < 0 {
                continue;
            }
            let at = *index.entry((epoch, key)).or_insert_with(|| {
                changes.push(Change { epoch, key, before: None, after: None });
                changes.len() - 1
            });
            let change = &mut changes[at];
            let side = if diff > 0 { &mut change.after } else { &mut change.before };
            match side {
                None if diff.abs() == 1 || self.pairing == Pairing::First => *side = Some(place),
                Some(first) if self.pairing == Pairing::First && self.order(place) >= self.order(*first) => {}
                Some(first) if self.pairing == Pairing::First => *first = place,
                _ => return Err(self.not_unique()),
            }
        }
        Ok(changes)
    }

    fn not_unique(&self) -> Error {
        Error::bug(format!("two rows of \"{}\" have the key of its topic", self.relation))
            .with_hint("the planner took the key for unique: report it, and GROUP BY the key's columns until then")
    }

    /// Cuts the held updates down to those that have not cancelled out.
    fn settle(&mut self) -> Result<()> {
        if self.pairing == Pairing::Rows || self.only_grows() {
            // Nothing can cancel out.
            self.settled = self.rows;
            return Ok(());
        }
        let sums = self.sums(|batch, row| self.epoch(batch, row));
        let mut kept = Vec::new();
        if !sums.is_empty() {
            let batches: Vec<&RecordBatch> = self.batches().collect();
            let places: Vec<_> = sums.iter().map(|(_, place, _)| (place.batch as usize, place.row as usize)).collect();
            let failed = |error| Error::bug("rows that wait for a topic cannot be gathered").with_source(error);
            let rows = compact(interleave_record_batch(&batches, &places).map_err(failed)?).map_err(failed)?;
            let epochs = Run::Each(sums.iter().map(|(_, place, _)| self.order(*place).0).collect());
            let diffs = Run::Each(sums.iter().map(|(_, _, diff)| *diff).collect());
            kept.push(UpdateBatch { rows, epochs, diffs });
        }
        (self.rows, self.settled) = (sums.len(), sums.len());
        self.batches = kept;
        Ok(())
    }
}

/// The same rows with strings of their own, so that the batches they were taken from can go.
fn compact(rows: RecordBatch) -> Result<RecordBatch, catchment_contract::arrow::error::ArrowError> {
    let own = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => std::sync::Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => std::sync::Arc::new(column.as_binary_view().gc()),
            _ => column.clone(),
        }
    };
    RecordBatch::try_new(rows.schema(), rows.columns().iter().map(own).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use catchment_contract::arrow::array::{Int64Array, StringViewArray};
    use catchment_contract::arrow::datatypes::{Field, Schema};

    use super::*;

    /// Updates of `(key, value, epoch, diff)`.
    fn updates(given: &[(&str, i64, u64, i64)]) -> UpdateBatch {
        let fields = vec![Field::new("key", DataType::Utf8View, true), Field::new("value", DataType::Int64, true)];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(given.iter().map(|it| Some(it.0)).collect::<StringViewArray>()),
            Arc::new(given.iter().map(|it| Some(it.1)).collect::<Int64Array>()),
        ];
        UpdateBatch {
            rows: RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns fit"),
            epochs: Run::Each(given.iter().map(|it| it.2).collect()),
            diffs: Run::Each(given.iter().map(|it| it.3).collect()),
        }
    }

    /// Changes as `epoch key before>after`.
    fn told(pending: &Pending) -> Vec<String> {
        let batches: Vec<&RecordBatch> = pending.batches().collect();
        let cell = |place: Option<Place>, column: usize| {
            place.map(|place| {
                let column = batches[place.batch as usize].column(column);
                match column.as_string_view_opt() {
                    Some(text) => text.value(place.row as usize).to_owned(),
                    None => column
                        .as_primitive::<catchment_contract::arrow::datatypes::Int64Type>()
                        .value(place.row as usize)
                        .to_string(),
                }
            })
        };
        let line = |change: &Change| {
            let key = cell(change.after.or(change.before), 0).unwrap_or_default();
            let side = |place| cell(place, 1).unwrap_or_default();
            format!("{} {key} {}>{}", change.epoch, side(change.before), side(change.after))
        };
        pending.changes().expect("changes").iter().map(line).collect()
    }

    fn pending(pairing: Pairing, by_epoch: bool) -> Pending {
        Pending::new("v", &[0], pairing, by_epoch)
    }

    #[test]
    fn updates_of_a_key_are_one_change() {
        let history = [
            updates(&[("a", 1, 1, 1), ("b", 1, 1, 1), ("c", 1, 1, 1), ("d", 4, 1, -1)]),
            updates(&[("a", 1, 2, -1), ("a", 2, 2, 1), ("b", 1, 2, -1), ("e", 5, 2, -1), ("e", 6, 2, 1)]),
            updates(&[("e", 6, 3, -1), ("e", 5, 3, 1)]),
        ];
        for rows_min in [1, 1000] {
            let mut held = pending(Pairing::Unique, false);
            held.settled_rows_min = rows_min;
            history.iter().for_each(|batch| held.add(vec![batch.clone()]).expect("add"));
            let mut lines = told(&held);
            lines.sort();
            assert_eq!(lines, ["0 a >2", "0 c >1", "0 d 4>"], "cut down from {rows_min}");
            let mut held = pending(Pairing::Unique, true);
            held.settled_rows_min = rows_min;
            history.iter().for_each(|batch| held.add(vec![batch.clone()]).expect("add"));
            let mut lines = told(&held);
            lines.sort();
            let expect = ["1 a >1", "1 b >1", "1 c >1", "1 d 4>", "2 a 1>2", "2 b 1>", "2 e 5>6", "3 e 6>5"];
            assert_eq!(lines, expect, "cut down from {rows_min}");
        }
    }

    #[test]
    fn the_first_row_of_a_key_is_the_one_that_is_left() {
        let mut held = pending(Pairing::First, false);
        held.add(vec![updates(&[("a", 1, 1, 1), ("a", 2, 1, 1), ("b", 3, 1, 1), ("c", 9, 1, -1)])]).expect("add");
        held.add(vec![updates(&[("a", 1, 2, -1), ("b", 3, 2, -1)])]).expect("add");
        assert_eq!(told(&held), ["0 a >2"]);
    }

    #[test]
    fn rows_without_a_key_come_as_often_as_they_are_there() {
        let mut held = pending(Pairing::Rows, false);
        held.add(vec![updates(&[("a", 1, 1, 2), ("b", 1, 1, 1)])]).expect("add");
        assert_eq!(told(&held), ["0 a >1", "0 a >1", "0 b >1"]);
        held.add(vec![updates(&[("a", 1, 2, -1)])]).expect("add");
        let error = held.changes().expect_err("it shrank");
        assert_eq!(error.to_string(), "\"v\" only grows, and took a row back");
    }

    #[test]
    fn epochs_that_come_in_any_order_are_told_in_theirs() {
        for pairing in [Pairing::Rows, Pairing::First] {
            for rows_min in [1, 1000] {
                let mut held = pending(pairing, false);
                held.settled_rows_min = rows_min;
                let passing = if pairing == Pairing::Rows { [].as_slice() } else { &[("c", 9, 2, 1), ("c", 9, 3, -1)] };
                held.add(vec![updates(passing)]).expect("add");
                held.add(vec![updates(&[("a", 2, 2, 1), ("b", 7, 3, 1)])]).expect("add");
                held.add(vec![updates(&[("a", 1, 1, 1)])]).expect("add");
                let all = ["0 a >1", "0 a >2", "0 b >7"];
                let expect: Vec<_> =
                    all.into_iter().filter(|line| pairing == Pairing::Rows || *line != all[1]).collect();
                assert_eq!(told(&held), expect, "{pairing:?}, cut down from {rows_min}");
            }
        }
    }

    #[test]
    fn two_rows_of_a_key_are_a_bug() {
        let mut held = pending(Pairing::Unique, false);
        held.add(vec![updates(&[("a", 1, 1, 1), ("a", 2, 1, 1), ("z", 1, 1, -1)])]).expect("add");
        assert_eq!(held.changes().expect_err("twice").to_string(), "two rows of \"v\" have the key of its topic");
    }
}

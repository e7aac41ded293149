//! A keyed source's arrivals to current rows.
//!
//! **Input**: value columns first, then the columns that [`UpsertSpec`] names. Every row with a positive diff is an
//! arrival, whatever its diff; arrivals are never retracted, and rows with diff 0 or below are passed over.
//!
//! **Which document is current.** Each arrival is a document of one row; with `whole_payload`, all rows of a key whose
//! `arrival` shares the upper 32 bits are one document. Among the documents of a key that carry a version, the one with the
//! later version, then the later arrival, stands; among those without a version, the one that arrived later; of these two
//! the one that arrived later is current. Where all documents of a key carry a version, or none does, this is "newest wins"; where
//! they are mixed, that rule alone would go in circles, and this one gives the same answer in whatever order and cut the
//! arrivals come. A tombstone is a document without rows: it stays, so that an older version that comes late stays out.
//!
//! **Output**: the value columns with diffs +1 and −1; per epoch the net change, so that a row that came again unchanged is
//! not in it (a row that a document holds twice comes twice). Rows are identified by their 128-bit hash.
//!
//! **State**: the value columns of rows that are current, or stand behind a current one of the other sort, in [`pieces`];
//! beside each row about 60 bytes and its key's encoding. Keys are never forgotten, tombstones included: state grows with
//! the number of distinct keys ever seen.

mod champions;
mod documents;
mod pieces;

use std::collections::HashMap;

use catchment_contract::Run;
use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use catchment_contract::arrow::compute::concat;
use catchment_contract::arrow::datatypes::{DataType, Int64Type, UInt64Type};
use catchment_contract::hash::hash_rows;
use catchment_engine::updates::take_rows;
use catchment_engine::{UpdateStream, Updates, flatten};
use catchment_state::Memory;

use champions::{Arrival, Champions, Rows};
use documents::Documents;
use pieces::{Place, Places};

use crate::driver::{Logic, drive};
use crate::key_table::KeyTable;
use crate::spill::Spill;
use crate::touched::Touched;

/// How arrivals become rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpsertSpec {
    /// The columns of the key, within the value columns.
    pub key: Vec<usize>,
    /// The first `columns` columns are the row's values.
    pub columns: usize,
    /// A nullable `Int64` column: the later version of a key wins where both carry one.
    pub version: Option<usize>,
    /// A `UInt64` column: the place in the order of arrival.
    pub arrival: usize,
    /// A `Boolean` column: true removes the key.
    pub tombstone: Option<usize>,
    /// Whether all rows of a key that share the upper 32 bits of `arrival` replace the key's rows as a whole.
    pub whole_payload: bool,
}

/// Current rows of a keyed source: the value columns, with diffs +1 and −1, consolidated.
pub fn upsert<'s>(input: UpdateStream<'s>, name: &str, spec: UpsertSpec, memory: &Memory) -> UpdateStream<'s> {
    let key = spec.key.clone();
    drive(input, name, key, UpsertLogic::new(spec, memory))
}

/// The documents of all keys of one worker.
pub(crate) struct UpsertLogic {
    spec: UpsertSpec,
    /// Made of the first batch, whose types it takes.
    keys: Option<KeyTable>,
    documents: Documents,
    spill: Spill,
    touched: Touched,
}

/// What a key had before the epoch, noted at its first arrival.
struct Before {
    key: u32,
    winner: Places,
    rival: Places,
}

/// One epoch's arrivals as one piece.
struct Fresh {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl UpsertLogic {
    pub(crate) fn new(spec: UpsertSpec, memory: &Memory) -> Self {
        let documents = Documents::new(Champions::new(spec.whole_payload));
        let key_columns = spec.key.len();
        UpsertLogic { spec, keys: None, documents, spill: Spill::new(memory, key_columns), touched: Touched::default() }
    }

    #[cfg(test)]
    pub(crate) fn pieces(&self) -> &pieces::Pieces {
        &self.documents.pieces
    }

    fn intern(&mut self, input: &[Updates]) -> Vec<u32> {
        let types = |key: &usize| input[0].column(*key).data_type().clone();
        let table =
            self.keys.get_or_insert_with(|| KeyTable::new(&self.spec.key.iter().map(types).collect::<Vec<DataType>>()));
        let mut ids = Vec::with_capacity(input.iter().map(Updates::len).sum());
        for updates in input {
            let columns: Vec<ArrayRef> = self.spec.key.iter().map(|key| updates.column(*key).clone()).collect();
            let hashes = updates.carried_key_hashes().map(|hashes| &hashes[..]);
            table.intern(&columns, updates.len(), hashes, &mut ids);
        }
        self.documents.champions.resize(table.bound());
        self.spill.recall(table, &mut self.documents);
        ids
    }

    /// Offers every arrival to its key; what the touched keys had before.
    fn offer_all(&mut self, input: &[Updates], keys: &[u32], fresh: u32) -> Vec<Before> {
        let mut before = Vec::new();
        let mut offset = 0;
        for updates in input {
            let arrivals = flatten(updates.column(self.spec.arrival));
            let arrivals = arrivals.as_primitive::<UInt64Type>();
            let versions = self.spec.version.map(|version| flatten(updates.column(version)));
            let versions = versions.as_ref().map(|versions| versions.as_primitive::<Int64Type>());
            let tombstones = self.spec.tombstone.map(|tombstone| flatten(updates.column(tombstone)));
            let tombstones = tombstones.as_ref().map(|tombstones| tombstones.as_boolean());
            for row in (0..updates.len()).filter(|row| updates.diffs().at(*row) > 0) {
                let place = offset + row;
                let key = keys[place];
                if self.touched.insert(key) {
                    let (winner, rival) = self.documents.champions.rows_of(key);
                    before.push(Before { key, winner, rival });
                }
                let is_tombstone = tombstones.is_some_and(|flags| flags.is_valid(row) && flags.value(row));
                let rows = if is_tombstone { Rows::None } else { Rows::One(Place { piece: fresh, row: place as u32 }) };
                let version = versions.filter(|versions| versions.is_valid(row)).map(|versions| versions.value(row));
                self.documents.champions.offer(key, Arrival { version, arrival: arrivals.value(row) }, rows);
            }
            offset += updates.len();
        }
        self.touched.drain();
        before
    }

    /// Retractions of what is not current any more and insertions of what is now.
    fn difference(&self, before: &[Before], fresh: &Fresh, fresh_piece: u32) -> Vec<Updates> {
        // Rows of new keys need no look at the past; all others are netted by identity.
        let mut inserted: Vec<u32> = Vec::new();
        let (mut olds, mut news) = (Group::default(), Group::default());
        for Before { key, winner, .. } in before {
            let now = self.documents.champions.current(*key);
            if winner.is_empty() && now.iter().all(|place| place.piece == fresh_piece) {
                inserted.extend(now.iter().map(|place| place.row));
            } else if *winner != now {
                olds.push(*key, winner);
                news.push(*key, &now);
            }
        }
        let mut output = Vec::new();
        if !inserted.is_empty() {
            let columns = if inserted.len() == fresh.rows {
                fresh.columns.clone()
            } else {
                inserted.sort_unstable();
                let positions = UInt32Array::from(inserted.clone());
                fresh.columns.iter().map(|column| take_rows(column, &positions)).collect()
            };
            output.push(Updates::new(inserted.len(), columns, Run::One(0), Run::One(1)));
        }
        if !olds.keys.is_empty() || !news.keys.is_empty() {
            self.net(olds, news, fresh, fresh_piece, &mut output);
        }
        output
    }

    fn net(&self, olds: Group, news: Group, fresh: &Fresh, fresh_piece: u32, output: &mut Vec<Updates>) {
        let mut counts: HashMap<(u32, u128), i64> = HashMap::new();
        let mut sides = Vec::new();
        for (group, diff) in [(olds, -1), (news, 1)] {
            let columns = self.documents.pieces.gather(&group.places, fresh_piece, &fresh.columns);
            let lanes = hash_rows(&columns, group.keys.len());
            let names: Vec<(u32, u128)> =
                group.keys.iter().enumerate().map(|(row, key)| (*key, lanes.identity(row))).collect();
            names.iter().for_each(|name| *counts.entry(*name).or_default() += diff);
            sides.push((columns, names, diff));
        }
        for (columns, names, diff) in sides {
            let mut left = Vec::new();
            for (row, name) in names.iter().enumerate() {
                let count = counts.entry(*name).or_default();
                if *count * diff > 0 {
                    *count -= diff;
                    left.push(row as u32);
                }
            }
            if !left.is_empty() {
                let (len, positions) = (left.len(), UInt32Array::from(left));
                let columns = columns.iter().map(|column| take_rows(column, &positions)).collect();
                output.push(Updates::new(len, columns, Run::One(0), Run::One(diff)));
            }
        }
    }

    /// Keeps the fresh rows that are needed, lets go of old ones, and tidies up.
    fn settle(&mut self, before: Vec<Before>, fresh: Fresh, fresh_piece: u32) {
        let mut owners = vec![pieces::DEAD; fresh.rows];
        let mut touched = Vec::with_capacity(before.len());
        for Before { key, winner, rival } in before {
            touched.push(key);
            let (now, behind) = self.documents.champions.rows_of(key);
            let mut kept: Vec<Place> = now.iter().chain(&behind).copied().collect();
            kept.iter().filter(|place| place.piece == fresh_piece).for_each(|place| owners[place.row as usize] = key);
            kept.sort_unstable();
            for place in winner.iter().chain(&rival).filter(|place| kept.binary_search(place).is_err()) {
                self.documents.pieces.kill(*place);
            }
        }
        self.documents.pieces.insert(fresh_piece, fresh.columns, owners);
        self.documents.tidy();
        if let Some(keys) = &mut self.keys {
            self.spill.settle(keys, &mut self.documents, touched.into_iter());
        }
    }
}

/// Rows of several keys.
#[derive(Default)]
struct Group {
    keys: Vec<u32>,
    places: Vec<Place>,
}

impl Group {
    fn push(&mut self, key: u32, places: &[Place]) {
        self.keys.resize(self.keys.len() + places.len(), key);
        self.places.extend_from_slice(places);
    }
}

impl Logic for UpsertLogic {
    fn apply(&mut self, input: Vec<Updates>) -> Vec<Updates> {
        let input: Vec<Updates> = input.into_iter().filter(|updates| !updates.is_empty()).collect();
        if input.is_empty() {
            return Vec::new();
        }
        let columns: Vec<ArrayRef> = (0..self.spec.columns)
            .map(|index| {
                let parts: Vec<ArrayRef> = input.iter().map(|updates| flatten(updates.column(index))).collect();
                let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
                concat(&parts).expect("columns of one edge have one type")
            })
            .collect();
        if !self.documents.learn(&columns) {
            self.spill = Spill::default();
        }
        let keys = self.intern(&input);
        let fresh_piece = self.documents.pieces.reserve();
        let before = self.offer_all(&input, &keys, fresh_piece);
        let fresh = Fresh { columns, rows: keys.len() };
        drop(input);
        let output = self.difference(&before, &fresh, fresh_piece);
        self.settle(before, fresh, fresh_piece);
        output
    }

    fn rest(&mut self) {
        if let Some(keys) = &mut self.keys {
            self.spill.settle(keys, &mut self.documents, std::iter::empty());
        }
    }
}

#[cfg(test)]
mod tests;

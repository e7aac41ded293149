//! Each row once: `SELECT DISTINCT`, and the sets of `EXCEPT` and `INTERSECT`.
//!
//! State is the count of every row; a row is in the result while its count is positive.

use catchment_contract::Run;
use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::{UpdateStream, Updates};
use catchment_state::Memory;
use catchment_state::records::Strings;

use crate::bytes::{put_int, take_int};
use crate::driver::{Logic, drive};
use crate::key_table::KeyTable;
use crate::spill::{Beside, Spill};
use crate::touched::Touched;

/// Each row of `input` once. `types` are the types of all columns, which together are the key.
pub fn distinct<'s>(input: UpdateStream<'s>, name: &str, types: Vec<DataType>, memory: &Memory) -> UpdateStream<'s> {
    let key = (0..types.len()).collect();
    drive(input, name, key, DistinctLogic::new(&types, memory))
}

/// Counts of rows.
pub(crate) struct DistinctLogic {
    rows: KeyTable,
    key: Vec<usize>,
    counts: Counts,
    touched: Touched,
    spill: Spill,
}

/// The count of each row, beside the table.
struct Counts(Vec<i64>);

impl Beside for Counts {
    fn save(&self, ids: &[u32]) -> Strings {
        let mut states = Strings::default();
        let count = |id: &u32| i128::from(self.0[*id as usize]);
        ids.iter().for_each(|id| {
            states.push_with(|out| {
                if count(id) != 0 {
                    put_int(out, count(id))
                }
            })
        });
        states
    }

    fn load(&mut self, ids: &[u32], states: &Strings) {
        ids.iter().zip(states.iter()).for_each(|(id, mut state)| self.0[*id as usize] = take_int(&mut state) as i64);
    }

    fn forget(&mut self, ids: &[u32]) {
        ids.iter().for_each(|id| self.0[*id as usize] = 0);
    }

    fn memory(&self, keys: usize) -> usize {
        keys * size_of::<i64>()
    }
}

impl DistinctLogic {
    pub(crate) fn new(types: &[DataType], memory: &Memory) -> Self {
        DistinctLogic {
            rows: KeyTable::new(types),
            key: (0..types.len()).collect(),
            counts: Counts(Vec::new()),
            touched: Touched::default(),
            spill: Spill::new(memory, types.len()),
        }
    }
}

impl Logic for DistinctLogic {
    fn apply(&mut self, input: Vec<Updates>) -> Vec<Updates> {
        let mut ids = Vec::new();
        // The count of a touched row before the epoch, beside `touched`.
        let mut before = Vec::new();
        for updates in &input {
            ids.clear();
            let hashes = updates.carried_key_hashes().map(|hashes| &hashes[..]);
            self.rows.intern(&updates.columns()[..self.key.len()], updates.len(), hashes, &mut ids);
            self.counts.0.resize(self.rows.bound(), 0);
            self.spill.recall(&mut self.rows, &mut self.counts);
            for (row, id) in ids.iter().enumerate() {
                let count = &mut self.counts.0[*id as usize];
                if self.touched.insert(*id) {
                    before.push(*count);
                }
                *count += updates.diffs().at(row);
            }
        }
        let (mut changed, mut diffs, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let touched = self.touched.drain();
        for (id, before) in touched.clone().zip(before) {
            let count = self.counts.0[id as usize];
            let diff = i64::from(count > 0) - i64::from(before > 0);
            if diff != 0 {
                changed.push(id);
                diffs.push(diff);
            }
            if count == 0 {
                gone.push(id);
            }
        }
        let columns = if changed.is_empty() { Vec::new() } else { self.rows.columns(&changed) };
        gone.into_iter().for_each(|id| self.spill.release(&mut self.rows, id));
        self.spill.settle(&mut self.rows, &mut self.counts, touched);
        vec![Updates::new(changed.len(), columns, Run::One(0), Run::Each(diffs.into()))]
    }

    fn rest(&mut self) {
        self.spill.settle(&mut self.rows, &mut self.counts, std::iter::empty());
    }
}

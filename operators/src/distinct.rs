//! Each row once: `SELECT DISTINCT`, and the sets of `EXCEPT` and `INTERSECT`.
//!
//! State is the count of every row; a row is in the result while its count is positive.

use catchment_contract::Run;
use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::{UpdateStream, Updates};

use crate::driver::{Logic, drive};
use crate::key_table::KeyTable;
use crate::touched::Touched;

/// Each row of `input` once. `types` are the types of all columns, which together are the key.
pub fn distinct<'s>(input: UpdateStream<'s>, name: &str, types: Vec<DataType>) -> UpdateStream<'s> {
    let key = (0..types.len()).collect();
    drive(input, name, key, DistinctLogic::new(&types))
}

/// Counts of rows.
pub(crate) struct DistinctLogic {
    rows: KeyTable,
    key: Vec<usize>,
    counts: Vec<i64>,
    touched: Touched,
}

impl DistinctLogic {
    pub(crate) fn new(types: &[DataType]) -> Self {
        DistinctLogic {
            rows: KeyTable::new(types),
            key: (0..types.len()).collect(),
            counts: Vec::new(),
            touched: Touched::default(),
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
            self.counts.resize(self.rows.bound(), 0);
            for (row, id) in ids.iter().enumerate() {
                let count = &mut self.counts[*id as usize];
                if self.touched.insert(*id) {
                    before.push(*count);
                }
                *count += updates.diffs().at(row);
            }
        }
        let (mut changed, mut diffs, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (id, before) in self.touched.drain().zip(before) {
            let count = self.counts[id as usize];
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
        gone.into_iter().for_each(|id| self.rows.remove(id));
        vec![Updates::new(changed.len(), columns, Run::One(0), Run::Each(diffs.into()))]
    }
}

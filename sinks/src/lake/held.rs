//! Updates between two commits, consolidated in memory.
//!
//! Rows that are added are held as they came; of rows that are taken back only the identities are. When rows are
//! written out, each retraction first cancels a held row that is equal; what is left of the retractions takes rows out of
//! the table. So memory holds at most the limit that the sink sets for rows, and 32 bytes for each retraction.

use std::hash::BuildHasherDefault;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use catchment_contract::arrow::compute::take;
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::hash::hash_rows;
use catchment_contract::{Error, Result};
use hashbrown::HashMap;

use crate::lake::order::IdentityHasher;

/// Counts by row identity.
pub type Counts = HashMap<u128, u64, BuildHasherDefault<IdentityHasher>>;

/// Rows of stored columns.
#[derive(Clone, Debug)]
pub struct Held {
    /// The stored columns.
    pub columns: Vec<ArrayRef>,
    /// The identity of each row; empty where nobody will ask.
    pub identities: Vec<u128>,
    rows: usize,
}

impl Held {
    /// Rows of `columns`, each `rows` long, identified if `identify` says so.
    pub fn new(columns: Vec<ArrayRef>, rows: usize, identify: bool) -> Self {
        let identities = if identify { identities_of(&columns, rows) } else { Vec::new() };
        Held { columns, identities, rows }
    }

    /// How many there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows at `positions`, in that order.
    ///
    /// # Errors
    /// None for positions of rows.
    pub fn take(&self, positions: Vec<u32>) -> Result<Self> {
        let identities = match self.identities.is_empty() {
            true => Vec::new(),
            false => positions.iter().map(|row| self.identities[*row as usize]).collect(),
        };
        let (rows, positions) = (positions.len(), UInt32Array::from(positions));
        let columns = self.columns.iter().map(|column| take(column, &positions, None)).collect::<Result<_, _>>();
        let columns = columns.map_err(|error| Error::bug("cannot pick rows").with_source(error))?;
        Ok(Held { columns, identities, rows })
    }

    /// Bytes that their values take.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(column_bytes).sum::<usize>() + 16 * self.identities.len()
    }

    /// Lets go of memory that strings share with rows that are not here.
    fn compact(&mut self) {
        for column in &mut self.columns {
            if column.data_type() != &DataType::Utf8View {
                continue;
            }
            let texts = column.as_string_view();
            let shared: usize = texts.data_buffers().iter().map(|buffer| buffer.capacity()).sum();
            if shared > 2 * column_bytes(column) + (64 << 10) {
                *column = std::sync::Arc::new(texts.gc());
            }
        }
    }
}

/// The identity of each row of stored columns.
pub fn identities_of(columns: &[ArrayRef], rows: usize) -> Vec<u128> {
    let lanes = hash_rows(columns, rows);
    (0..rows).map(|row| lanes.identity(row)).collect()
}

/// Bytes that a column's own values take.
fn column_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => {
            let texts = column.as_string_view();
            16 * texts.len()
                + texts.lengths().filter(|length| *length > 12).map(|length| length as usize).sum::<usize>()
        }
        _ => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    }
}

/// The updates since the last stage that are not in files.
#[derive(Debug, Default)]
pub struct Pending {
    held: Vec<Held>,
    bytes: usize,
    retractions: Counts,
}

impl Pending {
    /// Adds rows.
    pub fn add(&mut self, mut rows: Held) {
        if rows.rows() > 0 {
            rows.compact();
            self.bytes += rows.bytes();
            self.held.push(rows);
        }
    }

    /// Takes back `count` rows with `identity`.
    pub fn retract(&mut self, identity: u128, count: u64) {
        *self.retractions.entry(identity).or_default() += count;
    }

    /// Bytes that the held rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets retractions cancel held rows that are equal; those that are left have no equal here.
    ///
    /// # Errors
    /// None.
    pub fn settle(&mut self) -> Result<()> {
        if self.retractions.is_empty() || self.held.is_empty() {
            return Ok(());
        }
        for part in std::mem::take(&mut self.held) {
            let keep: Vec<u32> = (0..part.rows() as u32)
                .filter(|row| !cancel(&mut self.retractions, part.identities[*row as usize]))
                .collect();
            let part = if keep.len() == part.rows() { part } else { part.take(keep)? };
            if part.rows() > 0 {
                self.held.push(part);
            }
        }
        self.bytes = self.held.iter().map(Held::bytes).sum();
        Ok(())
    }

    /// Takes out the rows that are held; [`Pending::settle`] comes first.
    pub fn take_rows(&mut self) -> Vec<Held> {
        self.bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// Takes out the retractions.
    pub fn take_retractions(&mut self) -> Counts {
        std::mem::take(&mut self.retractions)
    }
}

/// Whether a retraction of `identity` was there and is used up by this call.
fn cancel(retractions: &mut Counts, identity: u128) -> bool {
    let Some(count) = retractions.get_mut(&identity) else {
        return false;
    };
    *count -= 1;
    if *count == 0 {
        retractions.remove(&identity);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use catchment_contract::arrow::array::{Int64Array, StringViewArray};

    use super::*;

    fn rows(numbers: &[i64]) -> Held {
        let column: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        Held::new(vec![column], numbers.len(), true)
    }

    #[test]
    fn a_retraction_cancels_one_equal_row_whichever_came_first() {
        let mut pending = Pending::default();
        let identity = |number: i64| rows(&[number]).identities[0];
        pending.retract(identity(3), 2);
        pending.add(rows(&[1, 3, 2]));
        pending.add(rows(&[3, 3, 5]));
        pending.retract(identity(5), 1);
        pending.retract(identity(9), 4);
        pending.settle().unwrap();
        let held = pending.take_rows();
        let left: Vec<i64> = held
            .iter()
            .flat_map(|part| {
                part.columns[0].as_primitive::<catchment_contract::arrow::datatypes::Int64Type>().values().to_vec()
            })
            .collect();
        assert_eq!(left, [1, 2, 3]);
        assert_eq!(held.iter().map(|part| part.identities.len()).sum::<usize>(), 3);
        assert_eq!(pending.take_retractions().into_iter().collect::<Vec<_>>(), [(identity(9), 4)]);
        assert_eq!(pending.bytes(), 0);
    }

    #[test]
    fn a_few_rows_do_not_hold_the_memory_of_many() {
        let many: StringViewArray =
            (0..100_000).map(|number| Some(format!("a text that is not inlined {number}"))).collect();
        let few: ArrayRef = Arc::new(many.slice(500, 10));
        let mut pending = Pending::default();
        pending.add(Held::new(vec![Arc::clone(&few)], 10, false));
        let held = pending.take_rows();
        assert!(held[0].columns[0].get_array_memory_size() < 10_000);
        assert_eq!(&held[0].columns[0], &few);
    }
}

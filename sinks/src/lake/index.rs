//! Where each row of a table lies: row identity → (file, row in it), several for equal rows.
//!
//! Each file keeps the identities of its rows in their order (16 bytes a row); the table holds only 8-byte locations and
//! compares through them: 25 to 37 bytes a row in all. It is cut into 256 tables by the identity's highest byte, so that
//! a file's rows are put in piece by piece, each piece within the cache, and none is copied whole when it grows.
//!
//! Equal rows form a chain: the table holds the newest location, `older` the one below each. They are interchangeable,
//! so a lookup takes the newest.
//!
//! The index is built when the first retraction asks for it: a table that only grows never pays.

use hashbrown::{HashMap, HashTable};

use crate::lake::order::IdentityHasher;

const PIECES: usize = 256;
/// Below this many rows, cutting them into pieces first does not pay.
const CUT_ROWS_MIN: usize = 1 << 14;
/// How far a chain of equal rows is followed to take one out of its middle.
const CHAIN_MAX: usize = 64;

/// A file's number among those the sink knows, and a row's position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location(u64);

impl Location {
    /// Row `row` of file `file`.
    pub fn new(file: u32, row: u32) -> Self {
        Location(u64::from(file) << 32 | u64::from(row))
    }

    /// The file's number.
    pub fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The row's position in the file.
    pub fn row(self) -> u32 {
        self.0 as u32
    }
}

/// Row identities by location: the identities that files keep.
pub trait Identities {
    /// The identity of the row at `location`, which was put into the index.
    fn identity(&self, location: Location) -> u128;
}

/// See the module's documentation.
#[derive(Debug)]
pub struct RowIndex {
    pieces: Vec<HashTable<Location>>,
    older: HashMap<Location, Location, std::hash::BuildHasherDefault<IdentityHasher>>,
}

impl Default for RowIndex {
    fn default() -> Self {
        RowIndex { pieces: (0..PIECES).map(|_| HashTable::new()).collect(), older: HashMap::default() }
    }
}

fn piece(identity: u128) -> usize {
    (identity >> 120) as usize
}

impl RowIndex {
    /// Puts in the rows of file `file`, whose identities are `rows`, less those for which `skip` is true.
    pub fn insert_file(&mut self, file: u32, rows: &[u128], skip: impl Fn(u32) -> bool, all: &impl Identities) {
        if rows.len() < CUT_ROWS_MIN {
            (0..rows.len() as u32).filter(|row| !skip(*row)).for_each(|row| {
                self.insert(rows[row as usize], Location::new(file, row), all);
            });
            return;
        }
        let mut ends = [0_usize; PIECES];
        rows.iter().for_each(|identity| ends[piece(*identity)] += 1);
        for (table, count) in self.pieces.iter_mut().zip(&ends) {
            table.reserve(*count, |location| all.identity(*location) as u64);
        }
        let mut at = 0;
        for end in &mut ends {
            at += *end;
            *end = at - *end;
        }
        let mut cut = vec![0_u32; rows.len()];
        for (row, identity) in rows.iter().enumerate() {
            let end = &mut ends[piece(*identity)];
            cut[*end] = row as u32;
            *end += 1;
        }
        for row in cut.into_iter().filter(|row| !skip(*row)) {
            self.insert(rows[row as usize], Location::new(file, row), all);
        }
    }

    fn insert(&mut self, identity: u128, location: Location, all: &impl Identities) {
        let table = &mut self.pieces[piece(identity)];
        match table.find_mut(identity as u64, |other| all.identity(*other) == identity) {
            None => {
                table.insert_unique(identity as u64, location, |other| all.identity(*other) as u64);
            }
            Some(newest) => {
                self.older.insert(location, *newest);
                *newest = location;
            }
        }
    }

    /// Takes out one row with `identity` and says where it lies; `None` if there is none.
    pub fn take(&mut self, identity: u128, all: &impl Identities) -> Option<Location> {
        let table = &mut self.pieces[piece(identity)];
        let mut entry = table.find_entry(identity as u64, |other| all.identity(*other) == identity).ok()?;
        let newest = *entry.get();
        match self.older.remove(&newest) {
            Some(next) => *entry.get_mut() = next,
            None => {
                entry.remove();
            }
        }
        Some(newest)
    }

    /// Takes out the row at `location`, whose identity is `identity`. False if that would take too long, for very many
    /// rows are equal to it; the index is useless then and must be cleared.
    #[must_use]
    pub fn remove(&mut self, identity: u128, location: Location, all: &impl Identities) -> bool {
        let table = &mut self.pieces[piece(identity)];
        let Ok(mut entry) = table.find_entry(identity as u64, |other| all.identity(*other) == identity) else {
            return true;
        };
        let mut above = *entry.get();
        if above == location {
            match self.older.remove(&location) {
                Some(next) => *entry.get_mut() = next,
                None => {
                    entry.remove();
                }
            }
            return true;
        }
        for _ in 0..CHAIN_MAX {
            match self.older.get(&above).copied() {
                None => return true,
                Some(next) if next == location => {
                    match self.older.remove(&location) {
                        Some(below) => self.older.insert(above, below),
                        None => self.older.remove(&above),
                    };
                    return true;
                }
                Some(next) => above = next,
            }
        }
        false
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = RowIndex::default();
    }

    /// Bytes of memory that the tables hold; identities are the files'.
    #[cfg(test)]
    fn memory_bytes(&self) -> usize {
        let tables: usize = self.pieces.iter().map(|table| table.allocation_size()).sum();
        tables + self.older.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(Vec<Vec<u128>>);

    impl Identities for Files {
        fn identity(&self, location: Location) -> u128 {
            self.0[location.file() as usize][location.row() as usize]
        }
    }

    fn spread(number: u128) -> u128 {
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    }

    #[test]
    fn every_row_is_found_once_and_memory_is_bounded() {
        for rows in [1_000_u128, 120_000, 480_000] {
            let files = Files(vec![(0..rows).map(spread).collect(), (rows..rows + 500).map(spread).collect()]);
            let mut index = RowIndex::default();
            for (file, identities) in files.0.iter().enumerate() {
                index.insert_file(file as u32, identities, |row| row == 7, &files);
            }
            let total = rows as usize + 500;
            assert!(total < 100_000 || index.memory_bytes() < total * 24, "{} bytes", index.memory_bytes());
            assert_eq!(index.take(spread(7), &files), None, "skipped");
            assert_eq!(index.take(spread(8), &files), Some(Location::new(0, 8)));
            assert_eq!(index.take(spread(8), &files), None, "taken before");
            assert_eq!(index.take(spread(rows + 3), &files), Some(Location::new(1, 3)));
        }
    }

    #[test]
    fn equal_rows_are_taken_one_by_one() {
        let files = Files(vec![vec![5; 30_000]]);
        let mut index = RowIndex::default();
        index.insert_file(0, &files.0[0], |_| false, &files);
        let mut seen = vec![false; 30_000];
        assert!(index.remove(5, Location::new(0, 29_990), &files), "near the newest");
        assert!(!index.remove(5, Location::new(0, 3), &files), "far down");
        seen[29_990] = true;
        for _ in 1..30_000 {
            let row = index.take(5, &files).unwrap().row() as usize;
            assert!(!std::mem::replace(&mut seen[row], true), "row {row} twice");
        }
        assert_eq!(index.take(5, &files), None);
    }
}

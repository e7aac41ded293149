//! What is kept of each key: its champions, and their rows.
//!
//! Saved, a document is its version and arrival, then its rows in arrow's row encoding; the winner stands before the rival.

use catchment_contract::arrow::array::{ArrayRef, new_empty_array};
use catchment_contract::arrow::row::{RowConverter, SortField};
use catchment_state::records::Strings;

use super::champions::{Champions, Document};
use super::pieces::{Pieces, Place, Places};
use crate::bytes::{put_bytes, put_int, put_len, take_array, take_bytes, take_int, take_len};
use crate::spill::Beside;

/// See the module's documentation.
pub(super) struct Documents {
    pub champions: Champions,
    pub pieces: Pieces,
    /// The columns, without rows.
    pattern: Vec<ArrayRef>,
    /// None where rows cannot be encoded, and until there are some.
    converter: Option<RowConverter>,
}

impl Documents {
    pub fn new(champions: Champions) -> Self {
        Documents { champions, pieces: Pieces::default(), pattern: Vec::new(), converter: None }
    }

    /// Takes note of the columns' types; whether documents can be saved.
    pub fn learn(&mut self, columns: &[ArrayRef]) -> bool {
        if self.pattern.is_empty() {
            self.pattern = columns.iter().map(|column| new_empty_array(column.data_type())).collect();
            let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
            self.converter = RowConverter::new(fields).ok();
        }
        self.converter.is_some()
    }

    /// Does all housekeeping of the rows.
    pub fn tidy(&mut self) {
        while let Some(moved) = self.pieces.tidy() {
            self.champions.relocate(&moved);
        }
    }

    fn converter(&self) -> &RowConverter {
        self.converter.as_ref().expect("only what can be encoded is saved")
    }
}

impl Beside for Documents {
    fn save(&self, ids: &[u32]) -> Strings {
        let documents: Vec<_> = ids.iter().map(|id| self.champions.documents(*id)).collect();
        let both = || documents.iter().flat_map(|(winner, rival)| winner.iter().chain(rival));
        let places: Vec<Place> = both().flat_map(|document| document.rows.iter().copied()).collect();
        let columns = self.pieces.gather(&places, u32::MAX, &self.pattern);
        let rows = self.converter().convert_columns(&columns).expect("rows have the types of the pattern");
        let mut next = 0;
        let mut put = |out: &mut Vec<u8>, document: &Document| {
            out.extend_from_slice(&document.version.to_le_bytes());
            put_int(out, document.arrival.into());
            put_len(out, document.rows.len());
            for _ in 0..document.rows.len() {
                put_bytes(out, rows.row(next).data());
                next += 1;
            }
        };
        let mut states = Strings::default();
        for (winner, rival) in &documents {
            states.push_with(|out| winner.iter().chain(rival).for_each(|document| put(out, document)));
        }
        states
    }

    fn load(&mut self, ids: &[u32], states: &Strings) {
        let take = |bytes: &mut &'_ [u8]| -> Option<(i64, u64, usize)> {
            (!bytes.is_empty())
                .then(|| (i64::from_le_bytes(take_array(bytes)), take_int(bytes) as u64, take_len(bytes)))
        };
        let (mut rows, mut owners) = (Vec::new(), Vec::new());
        let piece = self.pieces.reserve();
        for (id, mut bytes) in ids.iter().zip(states.iter()) {
            let mut document = || {
                let (version, arrival, len) = take(&mut bytes)?;
                let mut places = Places::new();
                for _ in 0..len {
                    places.push(Place { piece, row: rows.len() as u32 });
                    rows.push(take_bytes(&mut bytes));
                    owners.push(*id);
                }
                Some(Document { version, arrival, rows: places })
            };
            if let (Some(winner), rival) = (document(), document()) {
                self.champions.restore(*id, winner, rival);
            }
        }
        let parser = self.converter().parser();
        let rows = rows.into_iter().map(|row| parser.parse(row));
        let columns = self.converter().convert_rows(rows).expect("the bytes are those that the converter made");
        self.pieces.insert(piece, columns, owners);
    }

    fn forget(&mut self, ids: &[u32]) {
        for id in ids {
            let (winner, rival) = self.champions.documents(*id);
            let places = winner.iter().chain(&rival).flat_map(|document| document.rows.iter().copied());
            places.for_each(|place| self.pieces.kill(place));
            self.champions.forget(*id);
        }
        self.tidy();
    }

    fn memory(&self, keys: usize) -> usize {
        self.champions.memory(keys) + self.pieces.memory()
    }
}

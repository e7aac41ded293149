//! Rows at rest: slices of arrived batches, merged and compacted as they age.
//!
//! A piece is one epoch's value columns with the key that owns each row; rows that are not needed any more are dead.
//! A piece of which less than half lives is rewritten alone; [`MERGE_PIECES`] pieces of one size class (powers of
//! [`MERGE_PIECES`]) become one, so that there are a few dozen pieces whatever the epochs' sizes, and each row is copied
//! once a class. Pieces past [`PIECE_ROWS_MAX`] are not merged any further.
//!
//! A string view keeps the whole buffers alive that it points into: where less than half of them is used, strings are
//! copied together.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray};
use catchment_contract::arrow::datatypes::{BinaryViewType, ByteViewType, DataType, StringViewType};
use catchment_engine::updates::gather;
use smallvec::SmallVec;

/// A row that nobody owns.
pub(super) const DEAD: u32 = u32::MAX;

/// Pieces of one size class that are merged, and the ratio between classes.
const MERGE_PIECES: usize = 8;

/// Rows of a piece that is not merged any more: bounds how much one merge copies.
const PIECE_ROWS_MAX: usize = 1 << 20;

/// Where a row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub piece: u32,
    pub row: u32,
}

/// Rows of one document: nearly always one.
pub(super) type Places = SmallVec<[Place; 2]>;

struct Piece {
    columns: Vec<ArrayRef>,
    owners: Vec<u32>,
    live: usize,
    bytes: usize,
}

/// Rows at rest; see the module's documentation.
#[derive(Default)]
pub(crate) struct Pieces {
    /// By piece number; numbers are reused.
    pieces: Vec<Option<Piece>>,
    /// Pieces that lost a row or came since they were last looked at.
    suspects: Vec<u32>,
    /// Bytes of all pieces.
    bytes: usize,
}

/// Rows that were moved: from several pieces into one.
pub(super) struct Moved {
    from: Vec<(u32, Vec<u32>)>,
    to: u32,
    owners: Vec<u32>,
}

impl Moved {
    /// The keys whose rows were moved, each once.
    pub(super) fn owners(&self) -> impl Iterator<Item = u32> + '_ {
        self.owners.iter().copied()
    }

    /// Where the row at `place` lies now.
    pub(super) fn new_place(&self, place: Place) -> Place {
        match self.from.iter().find(|(piece, _)| *piece == place.piece) {
            Some((_, rows)) => Place { piece: self.to, row: rows[place.row as usize] },
            None => place,
        }
    }
}

impl Pieces {
    /// A number for a piece that will be inserted.
    pub(super) fn reserve(&mut self) -> u32 {
        match self.pieces.iter().position(Option::is_none) {
            Some(free) => free as u32,
            None => {
                self.pieces.push(None);
                self.pieces.len() as u32 - 1
            }
        }
    }

    /// Puts a piece under a reserved number; nothing if no row is owned. Its strings may lie in buffers of others.
    pub(super) fn insert(&mut self, piece: u32, columns: Vec<ArrayRef>, owners: Vec<u32>) {
        let columns = columns.iter().map(|column| copied_together(column, false)).collect();
        self.put(piece, columns, owners);
    }

    fn put(&mut self, piece: u32, columns: Vec<ArrayRef>, owners: Vec<u32>) {
        let live = owners.iter().filter(|owner| **owner != DEAD).count();
        if live > 0 {
            let bytes = columns.iter().map(bytes).sum::<usize>() + owners.len() * size_of::<u32>();
            self.bytes += bytes;
            self.pieces[piece as usize] = Some(Piece { columns, owners, live, bytes });
            self.suspects.push(piece);
        }
    }

    /// Marks a row dead.
    pub(super) fn kill(&mut self, place: Place) {
        if let Some(Some(piece)) = self.pieces.get_mut(place.piece as usize) {
            let owner = &mut piece.owners[place.row as usize];
            if *owner != DEAD {
                *owner = DEAD;
                piece.live -= 1;
                let rows = piece.owners.len();
                if piece.live * 2 < rows && (piece.live + 1) * 2 >= rows {
                    self.suspects.push(place.piece);
                }
            }
        }
    }

    /// The columns of the rows at `places`, in that order; piece `fresh` is given, not yet inserted.
    pub(super) fn gather(&self, places: &[Place], fresh: u32, fresh_columns: &[ArrayRef]) -> Vec<ArrayRef> {
        let mut used: Vec<u32> = places.iter().map(|place| place.piece).collect();
        used.sort_unstable();
        used.dedup();
        let columns_of = |piece: u32| -> &[ArrayRef] {
            match &self.pieces[piece as usize] {
                Some(piece) => &piece.columns,
                None => {
                    debug_assert_eq!(piece, fresh);
                    fresh_columns
                }
            }
        };
        let mut index = vec![0; self.pieces.len()];
        used.iter().enumerate().for_each(|(place, piece)| index[*piece as usize] = place);
        let rows: Vec<(usize, usize)> =
            places.iter().map(|place| (index[place.piece as usize], place.row as usize)).collect();
        (0..fresh_columns.len())
            .map(|column| {
                if used.is_empty() {
                    return fresh_columns[column].slice(0, 0);
                }
                let sources: Vec<&dyn Array> = used.iter().map(|piece| columns_of(*piece)[column].as_ref()).collect();
                gather(&sources, &rows)
            })
            .collect()
    }

    /// Does one piece of housekeeping: what it moved, or nothing if all is in order.
    pub(super) fn tidy(&mut self) -> Option<Moved> {
        while let Some(suspect) = self.suspects.pop() {
            let Some(piece) = &self.pieces[suspect as usize] else { continue };
            if piece.live == 0 {
                drop(self.take(suspect));
            } else if piece.live * 2 < piece.owners.len() {
                return Some(self.rewrite(vec![suspect]));
            } else if let Some(mates) = self.mates(class(piece.live)) {
                return Some(self.rewrite(mates));
            }
        }
        None
    }

    /// Pieces of one size class, if there are enough to merge.
    fn mates(&self, wanted: u32) -> Option<Vec<u32>> {
        let of_class = |piece: &Piece| (1..PIECE_ROWS_MAX).contains(&piece.live) && class(piece.live) == wanted;
        let mates: Vec<u32> = (0..self.pieces.len() as u32)
            .filter(|piece| self.pieces[*piece as usize].as_ref().is_some_and(of_class))
            .collect();
        (mates.len() >= MERGE_PIECES).then_some(mates)
    }

    fn take(&mut self, piece: u32) -> Option<Piece> {
        let taken = self.pieces[piece as usize].take()?;
        self.bytes -= taken.bytes;
        Some(taken)
    }

    /// Bytes of all rows.
    pub(super) fn memory(&self) -> usize {
        self.bytes
    }

    /// Copies the live rows of `sources` into one new piece.
    fn rewrite(&mut self, sources: Vec<u32>) -> Moved {
        let (mut rows, mut owners, mut from) = (Vec::new(), Vec::new(), Vec::new());
        let old: Vec<(u32, Piece)> = sources.into_iter().filter_map(|piece| Some((piece, self.take(piece)?))).collect();
        for (source, (piece, content)) in old.iter().enumerate() {
            let mut places = vec![DEAD; content.owners.len()];
            for (row, owner) in content.owners.iter().enumerate().filter(|(_, owner)| **owner != DEAD) {
                places[row] = owners.len() as u32;
                rows.push((source, row));
                owners.push(*owner);
            }
            from.push((*piece, places));
        }
        let width = old.first().map_or(0, |(_, piece)| piece.columns.len());
        let columns = (0..width)
            .map(|column| {
                let sources: Vec<&dyn Array> = old.iter().map(|(_, piece)| piece.columns[column].as_ref()).collect();
                // Merged views would otherwise point into ever more buffers.
                copied_together(&gather(&sources, &rows), true)
            })
            .collect();
        let to = self.reserve();
        let mut distinct = owners.clone();
        distinct.sort_unstable();
        distinct.dedup();
        self.put(to, columns, owners);
        Moved { from, to, owners: distinct }
    }

    /// The number of pieces and of rows in them, dead ones included.
    #[cfg(test)]
    pub(crate) fn size(&self) -> (usize, usize) {
        let pieces = self.pieces.iter().flatten();
        (pieces.clone().count(), pieces.map(|piece| piece.owners.len()).sum())
    }
}

/// Bytes that the rows of a column take, roughly.
fn bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => column.len() * size_of::<u128>() + column.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => column.len() * size_of::<u128>() + column.as_binary_view().total_buffer_bytes_used(),
        _ => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    }
}

fn class(rows: usize) -> u32 {
    rows.ilog(MERGE_PIECES)
}

/// A view column whose strings lie together: copied if less than half of its buffers is used, or `always`.
fn copied_together(column: &ArrayRef, always: bool) -> ArrayRef {
    fn copied<T: ByteViewType>(column: &ArrayRef, always: bool) -> ArrayRef {
        let views = column.as_byte_view::<T>();
        let held: usize = views.data_buffers().iter().map(|buffer| buffer.capacity()).sum();
        if always || views.total_buffer_bytes_used() * 2 < held { Arc::new(views.gc()) } else { column.clone() }
    }
    match column.data_type() {
        DataType::Utf8View => copied::<StringViewType>(column, always),
        DataType::BinaryView => copied::<BinaryViewType>(column, always),
        _ => column.clone(),
    }
}

//! Rows of cells between scanning and building columns.

use super::cell::{Arena, Cell, Type};

/// Rows of cells, one cell a slot.
pub(crate) struct Sheet<'a> {
    pub cells: Vec<Cell<'a>>,
    pub arena: Arena<'a>,
    slots: usize,
    rows: usize,
}

impl<'a> Sheet<'a> {
    /// An empty sheet, with room for `rows` of `slots` cells.
    pub(crate) fn new(slots: usize, rows: usize) -> Self {
        Sheet { cells: Vec::with_capacity(slots * rows), arena: Arena::default(), slots, rows: 0 }
    }

    /// A new row of missing cells.
    #[inline]
    pub(crate) fn begin(&mut self) -> usize {
        self.rows += 1;
        self.cells.resize(self.rows * self.slots, Cell::Missing);
        self.rows - 1
    }

    /// Forgets the rows from `row` on.
    pub(crate) fn truncate(&mut self, row: usize) {
        self.rows = row;
        self.cells.truncate(row * self.slots);
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The cell of `row` in `slot`.
    #[inline]
    pub(crate) fn cell(&self, row: usize, slot: usize) -> Cell<'a> {
        self.cells[row * self.slots + slot]
    }

    /// Puts a cell.
    #[inline]
    pub(crate) fn put(&mut self, row: usize, slot: usize, cell: Cell<'a>) {
        self.cells[row * self.slots + slot] = cell;
    }

    /// Puts a cell where there is no value.
    #[inline]
    pub(crate) fn fill(&mut self, row: usize, slot: usize, cell: Cell<'a>) {
        if !self.cell(row, slot).is_some() {
            self.put(row, slot, cell);
        }
    }

    /// The text of a cell, if it is a string.
    #[inline]
    pub(crate) fn str(&self, row: usize, slot: usize) -> Option<&str> {
        self.cells[row * self.slots + slot].str(&self.arena.text)
    }

    /// Settles a cell in place.
    #[inline]
    pub(crate) fn settle(&mut self, row: usize, slot: usize, ty: &Type) -> Result<(), String> {
        let cell = &mut self.cells[row * self.slots + slot];
        *cell = cell.settle(ty, &mut self.arena)?;
        Ok(())
    }
}

//! Reading of a run, forward.

use catchment_contract::Result;

use super::{HEADER_BYTES, Run};
use crate::records::Name;

/// A place in a run that only moves forward.
pub(crate) struct Scan {
    run: Run,
    /// The block that is read; as many as there are, behind the last.
    block: usize,
    bytes: Vec<u8>,
    /// Where the current record begins in it.
    at: usize,
}

impl Scan {
    /// At the first record.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn first(run: &Run) -> Result<Self> {
        let mut scan = Scan { run: run.clone(), block: 0, bytes: Vec::new(), at: 0 };
        scan.load()?;
        Ok(scan)
    }

    /// At no record yet: nothing is read before the first [`Scan::find`].
    pub fn lazy(run: &Run) -> Self {
        Scan { run: run.clone(), block: 0, bytes: Vec::new(), at: 0 }
    }

    fn load(&mut self) -> Result<()> {
        self.at = 0;
        match self.block < self.run.0.blocks.len() {
            true => self.run.read(self.block, &mut self.bytes),
            false => {
                self.bytes.clear();
                Ok(())
            }
        }
    }

    /// The record that it is at, and its state; none behind the last.
    #[inline]
    pub fn current(&self) -> Option<(Name<'_>, &[u8])> {
        let (hash, rest) = self.bytes.get(self.at..)?.split_first_chunk::<8>()?;
        let (key, rest) = rest.split_first_chunk::<4>()?;
        let (state, rest) = rest.split_first_chunk::<4>()?;
        let (key, state) = (u32::from_le_bytes(*key) as usize, u32::from_le_bytes(*state) as usize);
        Some(((u64::from_le_bytes(*hash), &rest[..key]), &rest[key..key + state]))
    }

    /// Moves to the next record.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn step(&mut self) -> Result<()> {
        let Some(((_, key), state)) = self.current() else { return Ok(()) };
        self.at += HEADER_BYTES + key.len() + state.len();
        if self.at < self.bytes.len() {
            return Ok(());
        }
        self.block += 1;
        self.load()
    }

    /// The state of `name`, which is greater than all that were looked for before; none if it is not in the run.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn find(&mut self, name: Name<'_>) -> Result<Option<&[u8]>> {
        let blocks = &self.run.0.blocks;
        // Several blocks may begin with records of one hash, and the block before them end with one.
        let block = blocks.partition_point(|block| block.first < name.0).saturating_sub(1);
        if block > self.block || self.bytes.is_empty() {
            self.block = block.max(self.block);
            self.load()?;
        }
        while self.current().is_some_and(|(other, _)| other < name) {
            self.step()?;
        }
        Ok(self.current().filter(|(other, _)| *other == name).map(|(_, state)| state))
    }
}

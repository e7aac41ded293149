//! One sorted file of records, which is never changed.
//!
//! ```text
//! file   := block*
//! block  := record*            at least one record; closed by the record that makes it BLOCK_BYTES long or longer
//! record := hash u64 | length of the key u32 | length of the state u32 | key | state         little-endian
//! ```
//!
//! Records stand in the order of their hashes, then of their keys' bytes; no name stands twice. What is known of the blocks
//! (first hash, place, CRC-32C) and a filter of the hashes are in memory: about 24 bytes a block and 10 to 20 bits a record. A
//! lookup reads one block; where the key is not in the run it reads none, but for one time in a hundred.

mod filter;
mod scan;
mod writer;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use catchment_contract::{Error, Result};

use crate::spill::SpillFolder;
use filter::Filter;
pub(crate) use scan::Scan;
pub(crate) use writer::Writer;

/// Bytes at which a block is closed: what one lookup reads.
const BLOCK_BYTES: usize = 8 << 10;

/// Bytes of a record before its key.
const HEADER_BYTES: usize = 16;

/// A sorted file of records. Clones are the same file.
#[derive(Clone)]
pub(crate) struct Run(Arc<Inner>);

struct Inner {
    file: File,
    folder: SpillFolder,
    blocks: Vec<Block>,
    filter: Filter,
    records: usize,
    bytes: u64,
}

/// Where a block is.
struct Block {
    /// Hash of its first record.
    first: u64,
    at: u64,
    len: u32,
    crc: u32,
}

impl Run {
    /// The number of records.
    pub fn records(&self) -> usize {
        self.0.records
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Bytes of what is kept in memory of it.
    pub fn memory(&self) -> usize {
        self.0.blocks.capacity() * size_of::<Block>() + self.0.filter.memory()
    }

    /// Whether a record of this hash may be in it; false if none is.
    pub fn may_hold(&self, hash: u64) -> bool {
        self.0.filter.may_hold(hash)
    }

    /// Reads block `index` into `bytes`.
    ///
    /// # Errors
    /// If the file cannot be read, or holds something else.
    fn read(&self, index: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let Inner { file, folder, blocks, .. } = &*self.0;
        let block = &blocks[index];
        bytes.resize(block.len as usize, 0);
        file.read_exact_at(bytes, block.at).map_err(|error| folder.failed("read a file of", error))?;
        if crc32c::crc32c(bytes) != block.crc {
            return Err(Error::data(format!("a file of the spill folder {} has changed", folder.path().display()))
                .with_hint("the last checkpoint stays good: look after the disk, and run the job again"));
        }
        Ok(())
    }
}

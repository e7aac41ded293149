//! The oracle: what the operators keep up to date equals what a naive evaluation says, at every epoch.
//!
//! Random relations (types, nulls, duplicates), random histories (inserts, deletes, changes that cancel out, in any order
//! inside an epoch), random cuts into containers (several epochs in one, dictionaries or not), one and two workers. Of
//! every epoch's output it is also asked that it be consolidated. Operators that can do with little memory are given all, some, or
//! none of it. Seeds are printed: a failing case names its own.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::LazyLock;

use catchment_contract::Environment;
use catchment_operators::Memory;
use catchment_state::{Budget, SpillFolder};

mod aggregates;
mod canary;
mod history;
mod run;
mod sets;
mod upserts;
mod value;

static SPILL: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// All the memory that an operator wants, or so little that it keeps a few keys, or none: by the seed.
pub fn memory(seed: u64) -> Memory {
    let bytes = [None, Some(2_000), Some(0)][seed as usize % 3];
    let folder = SpillFolder::new(SPILL.path(), Environment::system());
    bytes.map_or(Memory::unlimited(), |bytes| Budget::new(bytes, folder).memory())
}

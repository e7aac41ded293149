//! What tests share that need more than this repository: DuckDB, and real inputs beside it.
//!
//! **Missing parts.** `build.rs` of this crate, which the command line's tests share, looks for `python3` and for the
//! folder `../shared` and sets `has_python` and `has_shared`. A test that needs one of them is marked
//! `#[cfg_attr(not(has_python), ignore = "needs python3")]`, so that the test runner reports it as ignored. In
//! continuous integration (`CI` is set) both are always set: there a missing part is a failure.

mod duckdb;

use std::path::{Path, PathBuf};

pub use duckdb::DuckDb;

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A path in the folder of real inputs beside the repository.
///
/// # Panics
/// If it is not there.
pub fn shared(path: &str) -> PathBuf {
    let path = repository("../shared").join(path);
    assert!(path.exists(), "{} is not there", path.display());
    path
}

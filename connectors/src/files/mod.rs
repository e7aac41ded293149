//! Files as partitions: what every file source shares, whatever its format.
//!
//! ```text
//! FileSet (a path, glob or folder) ─ discover ─▶ Partition ─ open ─▶ OpenFile ─ sniff ─▶ LineReader | DocumentReader
//! ```
//!
//! - [`FileSet`] lists files in canonical order and compares them with the positions reached so far. A partition's id is
//!   the file's path below the source's root, so that it stays the same whatever the working directory.
//! - [`OpenFile`] is one file, decompressed by its content, not its name: plain, zstd (windows up to 2 GiB, several and
//!   skippable frames), gzip (several members), bzip2 (several streams). A UTF-8 byte order mark is skipped.
//! - [`LineReader`] cuts it into payloads of whole lines and resumes inside the file; [`DocumentReader`] yields the file
//!   as one payload and reads it again whole when it has changed. Both are a
//!   [`PartitionReader`](catchment_contract::PartitionReader).
//! - [`FileSet::watch`] wakes the engine when something changes there.
//!
//! **Damage is a reject, never an error.** What a truncated or damaged stream holds before the damage is delivered, then
//! one reject says why and where, and the reader ends.
//!
//! **Positions** are JSON text: see [`position`]. A line position holds an offset in the decompressed bytes, so a grown
//! compressed file is decompressed and skipped up to it.
//!
//! Limits: a line of [`LINE_BYTES_MAX`], a document of [`DOCUMENT_BYTES_MAX`]; what is longer becomes a reject.
//!
//! A source made of these parts:
//!
//! ```
//! use catchment_connectors::files::FileSet;
//! use catchment_contract::{Options, PartitionReader, Unfinished};
//! use std::collections::BTreeMap;
//!
//! let folder = tempfile::tempdir().expect("a temporary folder");
//! std::fs::write(folder.path().join("a.ndjson"), "{\"n\":1}\n{\"n\":2}\n").expect("written");
//! let mut options = Options::new("source \"s\"");
//! options.insert("path", folder.path().to_str().expect("utf-8"), Default::default());
//!
//! let files = FileSet::from_options(&mut options)?;          // in SourceConnector::check
//! let found = files.discover(&BTreeMap::new())?;             // in Source::discover
//! let mut reader = files.open(&found[0])?.into_lines(None, Unfinished::Take);  // in Source::open
//! let payload = reader.next()?.expect("two lines");
//! assert_eq!(payload.bytes, b"{\"n\":1}\n{\"n\":2}\n");
//! # Ok::<(), catchment_contract::Error>(())
//! ```

mod compression;
mod document;
pub mod find;
mod lines;
mod open;
pub mod position;
mod set;
mod watch;

pub use compression::Compression;
pub use document::{DOCUMENT_BYTES_MAX, DocumentReader};
pub use lines::{IsComplete, LINE_BYTES_MAX, LineReader};
pub use open::OpenFile;
pub use set::FileSet;

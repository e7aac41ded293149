//! Files as partitions: what every file source shares, whatever its format.
//!
//! ```text
//! FileSet (a path, glob or folder) ─ discover ─▶ Partition ─ open ─▶ OpenFile ─ sniff ─▶ LineReader | ValueReader | DocumentReader
//! ```
//!
//! - [`FileSet`] lists files in canonical order and compares them with the positions reached so far. A partition's id is
//!   the file's path below the source's root, so that it stays the same whatever the working directory.
//! - [`OpenFile`] is one file, unpacked by its content, not its name: plain, zstd (windows up to 2 GiB, several and
//!   skippable frames), gzip (several members), bzip2 (several streams), zst_blocks. UTF-16 becomes UTF-8; a byte order
//!   mark is skipped.
//! - [`LineReader`] cuts it into payloads of whole lines, [`ValueReader`] into JSON values wherever they end; both resume
//!   inside the file. [`DocumentReader`] yields the file as one payload and reads it again whole when it has changed. Each is
//!   a [`PartitionReader`](catchment_contract::PartitionReader).
//! - [`FileSet::watch`] wakes the engine when something changes there.
//!
//! **Damage is a reject, never an error.** What a truncated or damaged stream holds before the damage is delivered, then
//! one reject says why and where, and the reader ends. A file of another format ([`Alien`]) is one reject, whatever its size.
//!
//! **The world moves.** A file that vanishes, or is replaced between look and open, gives nothing in that round. A folder
//! that vanishes while it is walked is passed over. What cannot be read is a partition that fails to open, alone.
//!
//! **Positions** are text: see [`position`]. One holds an offset in the unpacked text, so a grown packed file is unpacked
//! and skipped up to it.
//!
//! Limits: a line of [`LINE_BYTES_MAX`], a document of [`DOCUMENT_BYTES_MAX`]; what is longer becomes a reject.
//!
//! A source made of these parts:
//!
//! ```
//! use catchment_connectors::files::{FileSet, Opened};
//! use catchment_contract::{Environment, Options, PartitionReader, Unfinished};
//! use std::collections::BTreeMap;
//!
//! let folder = tempfile::tempdir().expect("a temporary folder");
//! std::fs::write(folder.path().join("a.ndjson"), "{\"n\":1}\n{\"n\":2}\n").expect("written");
//! let mut options = Options::new("source \"s\"");
//! options.insert("path", folder.path().to_str().expect("utf-8"), Default::default());
//!
//! let files = FileSet::from_options(&mut options, &Environment::system())?;  // in SourceConnector::check
//! let found = files.discover(&BTreeMap::new())?;                             // in Source::discover
//! let mut reader: Box<dyn PartitionReader> = match files.open(&found[0])? {  // in Source::open
//!     Opened::Text(file) => Box::new(file.into_lines(None, Unfinished::Take)),
//!     Opened::Decided(reader) => reader,
//! };
//! let payload = reader.next()?.expect("two lines");
//! assert_eq!(payload.bytes, b"{\"n\":1}\n{\"n\":2}\n");
//! # Ok::<(), catchment_contract::Error>(())
//! ```

mod alien;
mod compression;
mod content_hash;
mod contents;
mod document;
pub mod find;
mod input;
mod lines;
#[cfg(test)]
mod one_file;
mod open;
pub mod position;
mod set;
mod stream;
mod utf16;
mod values;
mod watch;
mod zst_blocks;

pub(crate) use alien::begins_json;
pub use alien::{Alien, SNIFF_BYTES};
pub use compression::Compression;
pub use document::{DOCUMENT_BYTES_MAX, DocumentReader};
pub use lines::{IsComplete, LINE_BYTES_MAX, LineReader};
pub use open::{OpenFile, Opened};
pub use set::FileSet;
pub use values::ValueReader;

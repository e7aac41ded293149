//! Lake tables: Delta Lake on an object store, exactly once.
//!
//! ```text
//!  updates ─▶ held rows ─(full, or a checkpoint)─▶ data files ─┐ staged: durable, in no log
//!     └ retractions ─▶ row index ─▶ deletion vectors ──────────┤
//!                                                              ▼
//!                                     publish: one commit of the log, numbered as the checkpoint
//! ```
//!
//! A table lies at `<lake>/<table>`:
//!
//! | path | holds |
//! |---|---|
//! | `_delta_log/` | the log; its commits carry job, sink, checkpoint and epoch |
//! | `_delta_log/_removed` | which files the log's entries name and no version does any more |
//! | `hot/[day=…/]…parquet` | small data files, merged by eight |
//! | `data/[day=…/]…parquet` | data files of 32 to 64 MiB of rows, which are left alone; of less where the sink may hold less |
//! | `dv/…bin` | deletion vectors, one file a commit |
//! | `_lost/<run>/` | files of a damaged log that a repair took out of its way |
//!
//! Any reader of Delta tables with deletion vectors sees each commit whole. Of a table in mode `append`, a plain
//! `read_parquet('<table>/data/**/*.parquet')` sees every row once, an hour late at most while rows arrive; of other
//! modes it does not, for rows go away there.
//!
//! **Invariants.** Nothing is in the log before the checkpoint's manifest exists; the log knows the number of the last
//! checkpoint, and nothing is committed twice; no file name is used twice; only the sink writes to its table, one run at
//! a time; the files of a version add up to its seal, and to what the job's checkpoint left.
//!
//! **Reading.** A version, and the files that it names, can be read for ten minutes after a newer one (the sink's
//! `retention`). A query that takes longer may find a file gone, and fails.
//!
//! **Limits.** Held rows as the context says, 64 MiB at most where nobody says less, 32 bytes a retraction between commits, 16 bytes a row of the table for
//! identities, and 9 to 21 more once a row was taken back. 2³² rows a file.

mod columns;
mod commit;
mod compact;
mod contents;
mod encode;
mod entry;
mod expected;
mod folder;
mod held;
mod index;
mod kernel;
mod log;
mod next_commit;
mod open;
pub(crate) mod order;
mod reader;
mod removed;
pub mod repair;
mod seal;
mod sink;
mod spec;
mod staged;
mod stats;
mod table;
mod vacuum;
mod writer;

pub use encode::{Rows, parquet_file};
pub use index::{Identities, Location, RowIndex};
pub use sink::LakeSink;
pub(crate) use spec::connector;
pub use spec::{LakeConnector, LakeSpec, Mode};

//! Checkpoints: the one protocol by which a job's progress becomes durable.
//!
//! All durable facts of a job lie below `_catchment/<job>/` in the lake:
//!
//! ```text
//! checkpoints/00000000000000000042.json   one manifest a checkpoint, see [`Manifest`]
//! state/<source>/<run>-<part>.arrow       arrivals of a source, Arrow IPC streams
//! positions/<source>/<run>-<part>.json    where its partitions are to be resumed, see [`Positions`]
//! ```
//!
//! A checkpoint numbered `n` at epoch `E` is taken in this order:
//!
//! 1. every sink has *staged* its output of the epochs up to `E`, durable but not visible;
//! 2. the arrivals that led there are written as state files;
//! 3. manifest `n` is put *if absent*. **This is the commit point.** Whoever finds `n` taken, or a greater number
//!    present, is a zombie and stops;
//! 4. every sink *publishes* what manifest `n` holds for it; idempotent, so it is repeated when in doubt;
//! 5. manifests but the last three are removed, then the files that only those named.
//!
//! Everything is checked before it is used: a manifest carries a checksum of itself, and those of the files that it names.
//! What is damaged, missing or another's is refused by name, with the way out. A job that has left files and has no
//! manifest is refused, too: to begin anew would replace its tables by what the sources still have. A newest manifest that
//! is damaged is not passed over, for sinks may have published it.
//!
//! A run begins by *fencing*: it puts manifest `n + 1`, equal to `n` but for the run's name. From then on no earlier run
//! of the job can commit, so what such a run staged and did not commit may be removed, and what manifest `n` staged is
//! published again by whoever opens the sinks. A run that is slow and has been fenced itself must not take its successor's
//! files for left over: whoever removes files that no manifest names lists them first and asks then whether a newer run has
//! begun ([`catchment_contract::Lease`]).

mod log;
mod manifest;
mod positions;
mod retention;
pub(crate) mod seal;

pub use log::CheckpointLog;
pub use manifest::{Ledger, Manifest, SinkState, SourceState, StateFile};
pub use positions::Positions;
pub(crate) use positions::folder_name;

//! A running job: sources read, epochs cut, workers driven, sinks fed, checkpoints taken.
//!
//! ```text
//!  per source                     one thread                 per worker              per sink
//!  readers ─▶ decoders ─▶ collector ─▶ coordinator ─▶ inputs ─▶ dataflow ─▶ capture ─▶ sink thread
//!                                        │  ▲ frontiers ◀───────┘                        ▲
//!                                        └──┴─ closed epochs, stage, publish ────────────┘
//! ```
//!
//! - [`job`]: what the runtime is given;
//! - [`reading`]: partitions to decoded batches in arrival order, over bounded queues;
//! - [`workers`]: timely workers, their inputs and captures;
//! - [`sinking`]: one thread a sink;
//! - [`state_log`]: what the sources delivered, kept for the next start;
//! - [`coordinator`]: who decides what time it is;
//! - `staying`: jobs that stay up;
//! - [`report`]: what a run did.
//!
//! Threads never wait for one another in a cycle: data flows left to right over bounded channels, progress right to left
//! over unbounded ones that carry at most a few messages an epoch.

mod arrivals;
pub mod coordinator;
mod definitions;
pub mod job;
pub mod reading;
pub mod report;
mod sinking;
mod state_log;
mod staying;
mod workers;

pub use coordinator::{RunOptions, Runtime};
pub use job::{Dataflow, JobSink, JobSource, JobSpec};
pub use report::{Progress, RelationReport, RunReport, SinkReport, SourceReport};

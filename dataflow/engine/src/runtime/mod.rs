//! A running job: sources read, epochs cut, workers driven, sinks fed, checkpoints taken.
//!
//! ```text
//!  per source                          one thread        per worker                        per sink
//!  feeder, readers ─▶ decoders ─▶ lane ─▶ coordinator ─▶ inputs ─▶ dataflow ─▶ captures ─▶ sink thread
//!                                          ▲   │ closed epochs, stage, publish                ▲ │
//!                                          │   └──────────────────────────────────────────────┘ │
//!                                        board ◀─ frontiers, written epochs, commits, failures ─┘
//! ```
//!
//! In the order of a job's life:
//!
//! - [`job`]: what the runtime is given, and [`options`], how it runs;
//! - `runtime`: what can be done with a job, by its state: `opened`, `running`, `finishing`;
//! - `definitions`: what may change in a job's text between two runs;
//! - `feeding`: sources to decoded batches in arrival order, each by threads of its own;
//! - `board`: what the coordinator waits for;
//! - `epochs` and `checkpoints`: what is open, what is on its way, and what is due;
//! - `arrivals`: batches as numbered rows, [`rejects`], of which alike ones are counted, and `state_log`, which keeps them for the next start;
//! - `workers` and `capture`: timely workers, and the ends of their dataflow;
//! - `sinking`: one thread a sink;
//! - [`report`]: what a run did.
//!
//! **Nothing waits in a cycle.** Data flows left to right and is bounded by admission: the coordinator takes nothing from
//! a lane while an epoch is full, or while sinks or the state log have too much to write. So lanes fill, and readers wait;
//! nobody else waits for room. Progress flows right to left through the board, which holds a few words.
//!
//! **Who may hang.** A source may never answer: its feeder and readers are the only threads that call it. They are not
//! waited for when the run ends. Sinks and the store are waited for, since there is no checkpoint without them.
//!
//! **Who may panic.** Every thread is started by the board or watched by it: a panic ends the run with an error that names
//! the thread.

mod arrivals;
mod board;
mod capture;
mod checkpoints;
mod definitions;
mod epochs;
mod feeding;
mod finishing;
pub mod job;
mod opened;
pub mod options;
pub mod rejects;
pub mod report;
mod running;
#[expect(clippy::module_inception, reason = "it holds what the module is named after")]
mod runtime;
mod sinking;
mod state_log;
mod workers;

pub use job::{Dataflow, JobSink, JobSource, JobSpec};
pub use options::RunOptions;
pub use report::{Progress, RelationReport, RunReport, SinkReport, SourceReport};
pub use runtime::Runtime;

//! The runtime against sources, sinks and a store in memory, on a simulated host: one seed is one run.
//!
//! The published tables must equal the input after every run, however many runs failed on the way, and every input record
//! must be counted once.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod crashes;
mod feeding;
mod patience;
mod rejects;
mod restarts;
mod staying;
mod system;
mod threads;
mod world;

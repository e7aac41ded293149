//! Everything that needs a job, or DataFusion's executor beside it, in one binary: it is linked once.
//!
//! `cargo test -p catchment-sql --test it oracle::` runs one file's tests.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

mod common;

mod bounds;
mod extensions;
mod extremes;
mod faults;
mod functions;
mod identity;
mod messages;
mod naive;
mod oracle;
mod pulse;
mod slt;

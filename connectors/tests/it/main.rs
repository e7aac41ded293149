//! Sources against files and brokers, by the suite that all sources pass and by tests of their own.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fluvio;
mod suite;
mod topic;

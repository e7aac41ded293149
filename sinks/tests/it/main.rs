//! Sinks as their readers see them, whatever fails in between.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]
#![allow(clippy::unwrap_used, reason = "this is a test's code")]

mod common;
mod fluvio;
mod fluvio_crashes;
mod lake;
mod suite;

//! End to end: the real binary, and real DuckDB reading the lake.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

mod changes;
mod columns;
mod custom;
mod killed;
mod messages;
mod pulse;
mod repair;
mod staying_up;
mod support;
mod topics;

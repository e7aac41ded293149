//! End to end: the real binary, and real DuckDB reading the lake.

mod changes;
mod custom;
#[path = "../../../tests/support/duckdb.rs"]
mod duckdb;
mod killed;
mod messages;
mod pulse;
mod staying_up;
mod support;
mod topics;

//! End to end: the real binary, and real DuckDB reading the lake.

mod changes;
mod custom;
mod killed;
mod messages;
mod pulse;
mod repair;
mod staying_up;
mod support;
mod topics;

//! Incremental operators and the SQL function library.
pub mod join;

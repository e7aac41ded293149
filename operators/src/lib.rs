//! Incremental operators and the SQL function library.

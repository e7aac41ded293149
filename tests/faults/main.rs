//! A hostile world around a whole job: power cuts at any moment, and a lake that is away. Time passes as the test says.
//!
//! `cargo test -p catchment-tests --test faults` runs all of it; with `CATCHMENT_FAULTS=long` outages take their time.

#![allow(clippy::unwrap_used, reason = "this is a test's code")]

mod damaged;
mod outages;
mod power_cut;
mod recorded;
mod spilled;
mod woken;
mod world;

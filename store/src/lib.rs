//! The lake's object store: where it lies, put-if-absent, probes, durability.
//!
//! Checkpoints, lake tables and the outboxes of topics stand on a [`LakeStore`] and on nothing else. It knows nothing of
//! what they keep in it.

mod lake_store;
mod local;

pub use lake_store::{LakeStore, Listed, open, pause, runtime};

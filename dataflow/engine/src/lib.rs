//! The engine: what flows, how it is routed, and who decides what time it is.
//!
//! - [`updates`]: the stream container, a run of Arrow rows with epochs and diffs;
//! - [`exchange`]: routing of rows to workers by key hash;
//! - [`stash`]: updates held back until their epoch is complete;
//! - [`arrangement`]: shared indexes, differential's spines over Arrow chunks;
//! - [`wire`]: the container between processes;
//! - [`host`]: time, threads, and what they wait on; simulated for tests;
//! - [`runtime`]: a running job, from source partitions to published sinks;
//! - [`checkpoint`]: how progress becomes durable.

pub mod arrangement;
pub mod checkpoint;
pub mod exchange;
pub mod host;
pub mod runtime;
pub mod stash;
pub mod updates;
pub mod wire;

pub use catchment_state::Memory;
pub use exchange::by_key;
pub use stash::EpochStash;
pub use updates::{UpdateStream, Updates, flatten};

//! The lake's object store: where it lies, put if absent, durability, patience.
//!
//! A [`Lake`] says where a lake lies and is plain data until [`Lake::open`], which gives the one [`LakeStore`] that the
//! job, its checkpoints, lake tables and the outboxes of topics share. The room knows nothing of what they keep in it.
//!
//! ```text
//! Lake ──open──▶ LakeStore ─▶ Patient ─▶ local folder (DurableLocal over a Disk) or S3
//!                   │            └ repeats calls that fail for reasons that pass; Delta's kernel goes through it too
//!                   └ paths below the lake's root, blocking calls, errors in our words
//! ```
//!
//! - [`lake`]: the value; [`address`]: what a person wrote, and how it is shown without secrets;
//! - [`lake_store`]: objects by path; [`probe`]: does the store honour "create if absent";
//! - [`patient`]: the one place that repeats calls; [`failure`]: which failures pass, and what they are called;
//! - [`local`] and [`disk`]: a folder whose commits survive a power cut; [`s3`]: a bucket;
//! - [`waiting`]: the threads that wait.

mod address;
pub mod disk;
mod failure;
mod lake;
mod lake_store;
mod local;
mod patient;
mod probe;
mod s3;
#[cfg(feature = "testing")]
#[allow(clippy::unwrap_used, reason = "this is a test's code")]
pub mod testing;
mod waiting;

pub use address::redacted;
pub use lake::Lake;
pub use lake_store::{LakeStore, Listed};
pub use patient::PATIENCE;
pub use waiting::runtime;

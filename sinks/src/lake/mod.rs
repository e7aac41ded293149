//! Lake tables.

mod columns;
mod encode;
mod files;
mod held;
mod index;
mod local;
mod order;
mod spec;
mod staged;
pub mod store;
mod table;
mod upkeep;

mod sink;

pub use sink::LakeSink;
pub(crate) use spec::connector;
pub use spec::{LakeConnector, LakeSpec, Mode};
pub use store::LakeStore;

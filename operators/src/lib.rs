//! Incremental operators and the SQL function library.
//!
//! Operators work on [`catchment_engine::Updates`] and epochs in order: what belongs to an epoch is held back until the
//! frontier has passed it, then the operator visits what changed and emits the net difference of its result. Those that are
//! given a [`Memory`] keep within it: see [`catchment_state`].
//!
//! - [`transform`]: stages without state, unions, unnesting of lists;
//! - [`upsert`]: a keyed source's arrivals to current rows;
//! - [`aggregate`]: accumulators per group;
//! - [`distinct`]: each row once;
//! - [`top_k`]: the first rows of each partition;
//! - [`top_groups`]: the first groups of each partition, counted and ranked in one state;
//! - [`window`]: aggregates of the rows around each row;
//! - [`join`]: joins of two streams;
//! - [`driver`]: what runs an operator, built in or user-defined;
//! - [`reduce`]: any function of a group's rows, recomputed when the group changes;
//! - [`functions`]: the SQL functions.

pub mod functions;

pub mod aggregate;
pub mod distinct;
pub mod driver;
pub mod join;
pub mod reduce;
pub mod top_groups;
pub mod top_k;
pub mod transform;
pub mod upsert;
pub mod window;

mod bytes;
mod image;
mod key_table;
mod lanes;
mod multiset;
mod sorted_list;
mod spill;
mod touched;
mod unnest;

#[cfg(test)]
mod testing;

pub use catchment_state::Memory;

pub use aggregate::{Aggregate, AggregateSpec, Function, aggregate};
pub use distinct::distinct;
pub use driver::{Logic, drive};
pub use reduce::reduce;
pub use top_groups::{TopGroupsSpec, top_groups};
pub use top_k::{Order, Ranking, TopKSpec, top_k};
pub use transform::{TransformFn, Transformed, transform, union, unnest};
pub use upsert::{UpsertSpec, upsert};
pub use window::{WindowFunction, WindowSpec, window};

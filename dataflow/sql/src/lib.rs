//! SQL text to a checked job to a dataflow. Data in, data out: nothing here touches disk, network or clock.
//!
//! ```text
//! text ─ Text (variables, places) ─ statement (CREATE …) ─ inspect (names, refusals) ─ plan (DataFusion: logical plans)
//!      ─ lower (operator graph) ─ Job ─ build (timely) / explain / describe
//! ```
//!
//! [`check`] does everything up to the [`Job`]; [`Job::build`] renders it on a worker; [`explain`] draws it.
//!
//! - [`text`]: variables filled in, and places in the text as it was written;
//! - [`statement`]: statements and their clauses;
//! - [`catalog`]: relations and functions by name;
//! - [`functions`]: the functions, what can fail, and what bounds them;
//! - [`extensions`]: functions and operators that a program adds;
//! - [`inspect`]: what a query names must exist, what cannot be kept up to date is refused with its place;
//! - [`unlisted`]: which columns `*` leaves out;
//! - [`expr`], [`stage`]: expressions over batches with dictionary-encoded strings, and transforms made of them;
//! - [`graph`]: the operators;
//! - [`identity`]: what a relation is made of, in short.

mod alone;
mod assemble;
pub mod catalog;
mod check;
mod checked;
mod custom;
mod declared;
mod dialect;
mod explain;
pub mod expr;
pub mod extensions;
mod fault;
pub mod functions;
pub mod graph;
pub mod identity;
pub mod inspect;
mod job;
mod lower;
mod merging;
mod notation;
mod plan;
mod precedence;
mod render;
mod rewrite;
mod shared;
pub mod stage;
pub mod statement;
pub mod text;
mod unlisted;
mod written;

pub use check::{Registry, check, check_with};
pub use explain::{Format, explain};
pub use extensions::{Extensions, OperatorSpec};
pub use job::{Job, JobSink, JobSource, JobView};

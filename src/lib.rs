//! catchment keeps SQL views over streams exactly right, while records arrive, change and disappear, and writes them as
//! Delta tables into an object-store data lake.
//!
//! This crate is the facade: the registry of connectors and sinks, and jobs as one SQL text. The command line is a crate of
//! its own over it (`cli`).
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::sync::atomic::AtomicBool;
//!
//! # fn main() -> catchment::Result<()> {
//! let text = std::fs::read_to_string("pulse.sql").expect("the job file is there");
//! let lake = catchment::Lake::new("lake", catchment::Environment::system())?;
//! let job = catchment::Job::from_sql("pulse", &text, &lake, &|name| std::env::var(name).ok())?;
//! let mut runtime = job.open(catchment::RunOptions::default(), Arc::new(AtomicBool::new(false)))?;
//! runtime.drain()?;
//! println!("{}", runtime.finish()?);
//! # Ok(())
//! # }
//! ```
//!
//! A program may add functions and operators of its own to the SQL of its jobs: see [`Extensions`], and
//! `examples/custom_operator.rs`.

pub mod job;
pub mod registry;
pub mod topics;

pub use catchment_contract::{Diff, Environment, Epoch, Error, Result, Run, arrow};
pub use catchment_engine::runtime::{RunOptions, RunReport, Runtime};
pub use catchment_engine::{UpdateStream, Updates};
pub use catchment_operators as operators;
pub use catchment_sql::extensions::{Extensions, OperatorSpec};
pub use catchment_store::Lake;
pub use job::Job;
pub use topics::TopicsLocation;

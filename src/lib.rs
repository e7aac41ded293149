//! catchment keeps SQL views over streams exactly right, while records arrive, change and disappear, writes them as Delta
//! tables into an object-store data lake, and publishes their changes to topics.
//!
//! This is the library; the command line is a crate over it. A [`Job`] is one SQL text of sources, views and sinks, put
//! together by a [`JobBuilder`], checked without touching disk or network, and opened as often as wanted:
//!
//! ```
//! # fn main() -> catchment::Result<()> {
//! use std::sync::Arc;
//!
//! use catchment::arrow::array::{ArrayRef, Int64Array, RecordBatch};
//! use catchment::arrow::datatypes::{DataType, Field, Schema};
//! use catchment::{Job, Lake, RunOptions, StopHandle};
//!
//! let schema = Arc::new(Schema::new(vec![
//!     Field::new("sensor", DataType::Int64, false),
//!     Field::new("value", DataType::Int64, true),
//! ]));
//! let mut job = Job::builder("readings");
//! let feed = job.feed("readings", schema.clone(), &[0]);
//! job.lake(Lake::in_memory());
//! job.sql(
//!     "CREATE SOURCE readings WITH (connector = 'push', feed = 'readings');
//!      CREATE VIEW total AS SELECT sum(value) AS total FROM readings;",
//! );
//! let changes = job.subscribe("total");
//! let mut run = job.check()?.open(RunOptions::default(), &StopHandle::new())?;
//!
//! let columns: [ArrayRef; 2] = [Arc::new(Int64Array::from(vec![1, 2])), Arc::new(Int64Array::from(vec![10, 20]))];
//! feed.push(&RecordBatch::try_new(schema, columns.into()).expect("the columns fit the schema"))?;
//! run.drain()?;
//! run.settle();
//! assert!(changes.try_next()?.is_some());
//! run.finish()?;
//! # Ok(())
//! # }
//! ```
//!
//! **What a program may add:** connectors of its own ([`JobBuilder::source`], [`JobBuilder::sink`]; the traits and the
//! suites that every one must pass are in [`contract`]), functions and operators ([`JobBuilder::function`],
//! [`JobBuilder::operator`], [`operators`]), rows ([`JobBuilder::feed`]), and a listener to a view
//! ([`JobBuilder::subscribe`]). `examples/` has a program for each.

mod builder;
mod job;
mod push;
mod registry;
pub mod repair;
mod subscription;
mod topics;

pub use builder::JobBuilder;
pub use catchment_contract as contract;
pub use catchment_contract::{Diff, Environment, Epoch, Error, Result, Run, arrow};
pub use catchment_engine::runtime::{
    Progress, RelationReport, RunOptions, RunReport, Runtime, SinkReport, SourceReport,
};
pub use catchment_engine::{UpdateStream, Updates};
pub use catchment_operators as operators;
pub use catchment_sql::extensions::{Extensions, OperatorSpec};
pub use catchment_store::Lake;
pub use job::{Job, StopHandle};
pub use push::Feed;
pub use subscription::{Change, Subscription};
pub use topics::TopicsLocation;

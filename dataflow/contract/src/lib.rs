//! What every room of catchment agrees on: relations, update batches at the edge, the traits of sources and sinks,
//! options, errors and ids.
//!
//! This crate knows nothing of timely, of differential or of DataFusion, so that a connector or a sink can be written
//! and tested against it alone. The engine calls [`Source`] and [`Sink`] implementations from I/O threads, never from a
//! dataflow worker.
//!
//! Arrow is reached through [`arrow`], re-exported here, so that the whole workspace moves to its next version at once.

pub mod environment;
pub mod error;
pub mod hash;
pub mod options;
pub mod panics;
pub mod reject;
pub mod retry;
pub mod sink;
pub mod source;
pub mod store;
#[cfg(feature = "suite")]
pub mod suite;
pub mod update;

pub use arrow;

pub use environment::{Clock, Environment, SimulatedClock, SystemClock};
pub use error::{Error, ErrorKind, Fault, Outcome, Place, Result, Retry};
pub use options::Options;
pub use reject::Reject;
pub use retry::{Retries, RetryPolicy};
pub use sink::{Lease, Sink, SinkConnector, SinkContext, SinkFigures, SinkSpec, Staged, TopicPosition, ViewFacts};
pub use source::{
    Declaration, Decoded, Decoder, PAYLOAD_BYTES, Partition, PartitionLag, PartitionReader, Payload, Position,
    Relation, Replace, Source, SourceConnector, Unfinished, WRITABLE_MICROS, Wake,
};
pub use store::{PutOutcome, Store};
pub use update::{Diff, Epoch, Run, UpdateBatch};

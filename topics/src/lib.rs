//! Fluvio topics: a wire client that loses nothing, and an embedded broker.
//!
//! Everybody reaches topics through [`Broker`] and [`PartitionClient`]: blocking calls with time-outs inside, so that a
//! sink's or a reader's thread calls them as it calls a file. Two implementations: a cluster over TCP ([`cluster`]) and
//! the embedded broker in the same process ([`embedded`]), which also serves Fluvio's protocol on loopback.
//!
//! ```text
//! sink, source, command line ─▶ Topics ─▶ dyn Broker ─┬▶ cluster: requests over TCP ─▶ any Fluvio server
//!                                                     └▶ embedded: segments on disk ◀─ Fluvio's protocol on loopback
//! ```
//!
//! What flows is *encoded batches* ([`batch`]): one batch is the unit of atomicity, its header carries who wrote it
//! (`producer_id`) and its number among the batches of that writer (`first_sequence`).

pub mod batch;
pub mod broker;
pub mod cluster;
pub mod embedded;
pub mod scan;
pub mod topics;

pub use broker::{Bounds, Broker, Fetched, PartitionClient, TopicFacts, TopicSpec};
pub use embedded::{Embedded, EmbeddedOptions};
pub use topics::Topics;

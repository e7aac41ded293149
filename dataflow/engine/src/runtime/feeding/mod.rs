//! Feeders: one a source. Each looks for partitions, reads them and has them decoded into a queue that is bounded in
//! bytes; the coordinator takes from the queues and waits for none of them.
//!
//! ```text
//!   feed-<source>: discover ─▶ partitions ─┬▶ reader ─┐                 ┌▶ lane ─▶ coordinator
//!   read-<source>-<i>, as many as help ────┴▶ reader ─┴▶ decoders (all) ┘  (arrival order, bounded)
//! ```
//!
//! A source that never answers holds up its own feeder and nothing else. Readers of one source work on several
//! partitions at once, and what they read waits in the [`lane`] for its place in arrival order. Decoders are shared by all
//! sources and serve them in turn, so that a source with much to read does not delay one with little.
//!
//! A feeder reads in *rounds*: what one [`Source::discover`](catchment_contract::Source::discover) finds. It is asked for
//! one round ([`Asked::Once`]) or to go on for as long as the job stays up ([`Asked::Follow`]).
//!
//! - [`lane`]: the queue;
//! - [`decoders`]: payloads to rows, on all cores;
//! - [`feeder`]: rounds, what wakes them, and what fails;
//! - [`reader`]: one partition at a time.

mod decoders;
mod feeder;
mod lane;
mod reader;

use std::sync::Arc;

use catchment_contract::{Decoded, Error, Position};

pub(super) use decoders::Decoders;
pub(super) use feeder::{FeederOptions, start};
pub(super) use lane::Lane;

use super::rejects::Rejects;

/// What a feeder is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To read what there is now, and to report what could not be read.
    Once,
    /// To go on until the run ends, and to wait for what cannot be read now.
    Follow,
}

/// A decoded payload on its way to the coordinator.
pub(super) struct Batch {
    /// The partition's id.
    pub partition: Arc<str>,
    /// Where to resume after it.
    pub position: Position,
    /// Bytes read for it.
    pub bytes_read: u64,
    /// Rows; the rejects were taken out.
    pub decoded: Decoded,
    /// The rejects.
    pub rejects: Rejects,
}

/// What a round could not read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Partitions, or 1 for a source that could not be asked for them.
    pub count: u64,
    /// The first partition, `None` for the source itself, and why.
    pub first: Option<(Option<String>, Error)>,
}

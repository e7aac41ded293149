//! Fluvio topics: a view's changes as JSON records, exactly once.
//!
//! ```text
//!  updates ─▶ pending ─(a checkpoint: net changes)─▶ records ─▶ chunks a partition ─▶ outbox in the lake
//!                                                                                       │ staged: in no topic
//!                                  publish: one chunk = one batch = one request ◀───────┘
//!                                  its number in the batch's header, its offset checked
//! ```
//!
//! The broker has no transactions. Two facts stand in for them: a batch is appended whole or not at all, and the broker
//! keeps a batch's header, in which we write who wrote it (`producer_id`) and its number (`first_sequence`).
//! So after any doubt (a lost reply, a crash) the partition itself says what is in it, and publishing goes on after that.
//!
//! With `delivery = 'at_least_once'` the changes of each epoch are published as it closes, without an outbox; what was
//! published after the last checkpoint is published again after a crash.
//!
//! | path in the lake | holds |
//! |---|---|
//! | `_catchment/<job>/outbox/<sink>/<n>-<random>.bin` | encoded batches of checkpoint `n`, partition after partition |
//! | `_catchment/<job>/outbox/<sink>/<n>-<random>.keys` | identities of the keys that `emit = 'first'` has published |
//!
//! **Invariants.** Nothing is in the topic before the checkpoint's manifest exists. A key's records are in one partition,
//! in the order of epochs; with `append`, rows of one epoch that share a key come in any order. A checkpoint holds one
//! record a key at most, and none if nothing came of its changes. Sequences count a partition's chunks from 0 and are used
//! once.
//!
//! **Limits.** The net changes between two checkpoints are held in memory, and once more as records while they are
//! published. `emit = 'first'` costs 16 bytes a key, rewritten whenever a key is new. One writer a sink: of two runs at
//! once the embedded broker refuses the later one's batches, a cluster cannot. A request that a cluster works off after
//! its connection was given up, and after the partition was looked at, is appended twice; the pauses before another
//! attempt make that unlikely, and nothing makes it impossible there.

mod chunks;
mod first;
mod json;
mod outbox;
mod pending;
mod publish;
mod record;
mod sink;
mod spec;
mod staged;
mod text;
mod topic;

pub use sink::FluvioSink;
pub(crate) use spec::connector;
pub use spec::{Delivery, FluvioConnector, FluvioSpec, Format};

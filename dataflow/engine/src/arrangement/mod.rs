//! Arrangements: indexes over update streams, shared by the operators that read them.
//!
//! [`arrange`] keeps a stream's updates in differential's spine of batches, each a list of [`RowChunk`]s sorted by key
//! hash. Whatever reads the arrangement gets the batches as they are sealed and a handle to the whole trace.
//!
//! **Layout.** A row is a key hash (low lane over the key columns), a row hash (high lane over all columns), an epoch, a
//! diff, and its columns without dictionaries: 32 bytes and the columns. All Arrow types are kept, nulls included, and
//! so are rows without columns.
//!
//! **Identity** is the 128 bits of (key hash, row hash): updates that agree in both are taken for the same row and their
//! diffs are summed. Rows of different keys are told apart by 128 bits; rows that share a key differ in the row hash's
//! 64 bits alone, so among a million distinct rows of one key the chance of one false sum is 3·10⁻⁸.
//! A tie of key hashes alone is no identity: readers compare the key columns of the rows that they match.
//!
//! **Compaction.** The spine merges batches as new ones arrive and may move epochs up to the least compaction frontier
//! of its handles. A handle that is kept and never advanced stops all of that: hold none longer than a reader needs it,
//! and let readers advance theirs as their frontier moves (differential's drivers do). When the last handle is dropped,
//! so is the trace; its batches still flow.
//!
//! **Cost** (see the bench `arrangement`): one sort and one gather a row when its epoch closes, and log n merges after.

mod assemble;
mod batcher;
mod chunk;
mod gather;
mod rows;
mod seeker;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use catchment_contract::Epoch;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::chunk::{ChunkBatch, ChunkSpine, settle_all};
use differential_dataflow::trace::{Description, Trace};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{ParallelizationContract, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::progress::Antichain;

pub use chunk::RowChunk;
pub use gather::gather_column;
pub use rows::Rows;
pub use seeker::Seeker;

use crate::exchange::by_key;
use crate::updates::{UpdateStream, Updates};

/// A batch of an arrangement.
pub type RowBatch = Rc<ChunkBatch<RowChunk>>;
/// The merging structure of an arrangement.
pub type RowSpine = ChunkSpine<RowChunk>;
/// A handle to an arrangement's trace.
pub type RowTrace = TraceAgent<RowSpine>;
/// An indexed stream: its batches and a handle to its trace; clone it to share it.
pub type ArrangedRows<'s> = Arranged<'s, RowTrace>;

/// Arranges `stream` by its columns `key`, each row at the worker that owns its key; all at one worker for no columns.
pub fn arrange<'s>(stream: UpdateStream<'s>, key: Vec<usize>, name: &str) -> ArrangedRows<'s> {
    Arranger { key, routed: false, key_hash_bits: u64::BITS }.arrange(stream, name)
}

/// The chunks of a batch that holds `updates`: sorted by key hash, row hash and epoch, and consolidated.
pub fn sort(updates: Vec<Updates>, key: &[usize]) -> Vec<RowChunk> {
    let sources: Vec<Rows> = updates
        .into_iter()
        .filter(|updates| !updates.is_empty())
        .map(|updates| Rows::new(updates, key, u64::MAX))
        .collect();
    settle_all(batcher::sorted(&sources))
}

/// How a stream is arranged.
#[derive(Clone, Debug)]
pub struct Arranger {
    /// Columns of the key.
    pub key: Vec<usize>,
    /// Whether every row already is at the worker that owns its key, so that none need move; key hashes that the updates
    /// carry are then those of `key`.
    pub routed: bool,
    /// High bits of the key hash that are kept: 64. Fewer make ties, for tests of what depends on hashes.
    pub key_hash_bits: u32,
}

impl Arranger {
    /// Arranges `stream`.
    pub fn arrange<'s>(self, stream: UpdateStream<'s>, name: &str) -> ArrangedRows<'s> {
        let Arranger { key, routed, key_hash_bits } = self;
        let low = u64::MAX.checked_shr(key_hash_bits).unwrap_or(0);
        let batcher = batcher::Batcher::new(key.clone(), !low);
        // With one worker nothing is exchanged: hashes that come along belong to the key of some edge upstream.
        let foreign = !routed && stream.scope().peers() == 1;
        if routed {
            drive(stream, Pipeline, name, batcher, foreign)
        } else {
            drive(stream, by_key(key), name, batcher, foreign)
        }
    }
}

/// The operator: stashes what arrives, and seals a batch whenever the frontier moves.
///
/// Key hashes that the updates carry are forgotten if they are `foreign`, of another key.
fn drive<'s, P>(
    stream: UpdateStream<'s>,
    pact: P,
    name: &str,
    mut batcher: batcher::Batcher,
    foreign: bool,
) -> ArrangedRows<'s>
where
    P: ParallelizationContract<Epoch, Updates>,
{
    let scope = stream.scope();
    let mut reader = None;
    let keep_reader = &mut reader;
    type Batches = CapacityContainerBuilder<Vec<RowBatch>>;
    let stream = stream.unary_frontier::<Batches, _, _, _>(pact, name, move |_, info| {
        let activator = scope.activator_for(Rc::clone(&info.address));
        let spine = RowSpine::new(info.clone(), None, Some(activator));
        let (agent, mut writer) = TraceAgent::new(spine, info, None);
        *keep_reader = Some(agent);
        let mut hold: Option<Capability<Epoch>> = None;
        let mut lower = Antichain::from_elem(Epoch::MIN);
        move |(input, frontier), output| {
            input.for_each(|capability, updates| {
                if hold.as_ref().is_none_or(|held| capability.time() < held.time()) {
                    hold = Some(capability.retain(0));
                }
                let updates = std::mem::take(updates);
                batcher.push(if foreign { updates.without_key_hashes() } else { updates });
            });
            if lower.borrow() != frontier.frontier() {
                let upper = frontier.frontier().to_owned();
                match hold.take() {
                    Some(capability) if !frontier.less_equal(capability.time()) => {
                        let batch = batch(batcher.seal(upper.borrow()), lower.clone(), upper.clone());
                        writer.insert(batch.clone(), Some(*capability.time()));
                        output.session(&capability).give(batch);
                        hold = batcher.first_epoch().map(|epoch| capability.delayed(&epoch));
                    }
                    held => {
                        hold = held;
                        writer.seal(upper.clone());
                    }
                }
                lower = upper;
            }
            writer.exert();
        }
    });
    Arranged { stream, trace: reader.expect("the operator's constructor runs at once") }
}

fn batch(chunks: impl IntoIterator<Item = RowChunk>, lower: Antichain<Epoch>, upper: Antichain<Epoch>) -> RowBatch {
    let description = Description::new(lower, upper, Antichain::from_elem(Epoch::MIN));
    Rc::new(ChunkBatch::new(settle_all(chunks), description))
}

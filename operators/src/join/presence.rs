//! The distinct keys of a stream: which keys it has now, however often.
//!
//! State is a count for each 128-bit identity of a key, 24 bytes; no row is kept. A key that appears or vanishes is put
//! out with the columns of an update that made it do so: these have the same identity, so the same values. Floats come in
//! and go out as [`canonical`] makes them.

use catchment_contract::hash::{canonical, hash_key_rows};
use catchment_contract::{Diff, Epoch, Run};
use catchment_engine::arrangement::gather_column;
use catchment_engine::{EpochStash, UpdateStream, Updates, by_key, flatten};
use hashbrown::{HashMap, HashSet};
use timely::container::NoopBuilder;
use timely::dataflow::operators::generic::Operator;

/// Keeps the distinct rows of `stream`, each with diff 1 while its diffs sum to more than 0, at the worker that owns the
/// hash of the key; consolidated within an epoch. The columns of `key` are all of the stream's, some perhaps more than once.
pub(super) fn distinct_keys<'s>(stream: UpdateStream<'s>, name: &str, key: Vec<usize>) -> UpdateStream<'s> {
    stream.unary_frontier::<NoopBuilder<Updates>, _, _, _>(by_key(key.clone()), name, |_, _| {
        let mut stash = EpochStash::default();
        let mut presence = Presence::new(key);
        move |(input, frontier), output| {
            input.for_each(|capability, updates| stash.push(&capability.retain(0), std::mem::take(updates)));
            while let Some((epoch, capability, updates)) = stash.pop(&[frontier.frontier()]) {
                if let Some(mut changes) = presence.apply(epoch, &updates) {
                    output.session_with_builder(&capability).give_container(&mut changes);
                }
            }
        }
    })
}

/// How often each key is there.
pub(super) struct Presence {
    key: Vec<usize>,
    counts: HashMap<u128, Diff>,
}

/// A key that an epoch touches.
struct Touched {
    identity: u128,
    hash: u64,
    was_present: bool,
    /// A row that has it, as (container, row).
    at: (usize, usize),
}

impl Presence {
    pub(super) fn new(key: Vec<usize>) -> Self {
        Presence { key, counts: HashMap::new() }
    }

    /// Counts the updates of one epoch, and returns the keys that appeared or vanished in it, if any did.
    pub(super) fn apply(&mut self, epoch: Epoch, parts: &[Updates]) -> Option<Updates> {
        let mut touched: Vec<Touched> = Vec::new();
        let mut seen: HashSet<u128> = HashSet::new();
        for (part, updates) in parts.iter().enumerate() {
            // As whoever joins with the key hashes it: a column that stands in it twice counts twice.
            let columns: Vec<_> = self.key.iter().map(|column| updates.column(*column).clone()).collect();
            let lanes = hash_key_rows(&columns, updates.len());
            for row in 0..updates.len() {
                let identity = lanes.identity(row);
                let count = self.counts.entry(identity).or_insert(0);
                if seen.insert(identity) {
                    let hash = lanes.low[row];
                    touched.push(Touched { identity, hash, was_present: *count > 0, at: (part, row) });
                }
                *count += updates.diffs().at(row);
            }
        }
        self.changes(epoch, parts, touched)
    }

    fn changes(&mut self, epoch: Epoch, parts: &[Updates], touched: Vec<Touched>) -> Option<Updates> {
        let (mut at, mut hashes, mut diffs) = (Vec::new(), Vec::new(), Vec::new());
        for Touched { identity, hash, was_present, at: place } in touched {
            let count = self.counts.get(&identity).copied().unwrap_or(0);
            if count == 0 {
                self.counts.remove(&identity);
            }
            if was_present != (count > 0) {
                at.push(place);
                hashes.push(hash);
                diffs.push(if was_present { -1 } else { 1 });
            }
        }
        let width = parts.first().map_or(0, |updates| updates.columns().len());
        let columns = (0..width).map(|column| {
            let sources: Vec<_> = parts.iter().map(|updates| canonical(&flatten(updates.column(column)))).collect();
            gather_column(&sources.iter().collect::<Vec<_>>(), &at)
        });
        (!at.is_empty()).then(|| {
            Updates::new(at.len(), columns.collect(), Run::One(epoch), Run::Each(diffs.into())).with_key_hashes(hashes)
        })
    }
}

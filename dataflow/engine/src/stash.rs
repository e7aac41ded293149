//! Updates held back until their epoch is complete.
//!
//! Operators with state over totally ordered epochs work one epoch at a time: they stash what arrives, and when the
//! frontier has passed an epoch they take all its updates at once, in epoch order. An insert and a delete of the same row
//! may arrive in any order inside an epoch; a consumer that cares consolidates what it takes.

use std::collections::BTreeMap;

use catchment_contract::{Epoch, Run};
use timely::dataflow::operators::Capability;
use timely::progress::frontier::AntichainRef;

use crate::updates::Updates;

/// Updates by epoch, each epoch with the right to produce output in it.
#[derive(Default)]
pub struct EpochStash {
    held: BTreeMap<Epoch, (Capability<Epoch>, Vec<Updates>)>,
}

impl EpochStash {
    /// Holds `updates`, whose epochs are at or after the time of `capability`, split by epoch.
    pub fn push(&mut self, capability: &Capability<Epoch>, updates: Updates) {
        if updates.is_empty() {
            return;
        }
        match updates.epochs().constant(updates.len()) {
            Some(epoch) => self.hold(capability, epoch, updates),
            None => {
                let mut rows: BTreeMap<Epoch, Vec<u32>> = BTreeMap::new();
                for row in 0..updates.len() {
                    rows.entry(updates.epochs().at(row)).or_default().push(row as u32);
                }
                for (epoch, rows) in rows {
                    self.hold(capability, epoch, updates.take(&rows));
                }
            }
        }
    }

    fn hold(&mut self, capability: &Capability<Epoch>, epoch: Epoch, updates: Updates) {
        let (columns, hashes) = (updates.columns().to_vec(), updates.carried_key_hashes().cloned());
        let mut uniform = Updates::new(updates.len(), columns, Run::One(epoch), updates.diffs().clone());
        if let Some(hashes) = hashes {
            uniform = uniform.with_key_hashes(hashes);
        }
        self.held.entry(epoch).or_insert_with(|| (capability.delayed(&epoch), Vec::new())).1.push(uniform);
    }

    /// The first epoch that no frontier in `frontiers` can still add to, with its updates (`epochs` is constant in each)
    /// and the capability to answer; `None` if every held epoch is still open.
    pub fn pop(&mut self, frontiers: &[AntichainRef<'_, Epoch>]) -> Option<(Epoch, Capability<Epoch>, Vec<Updates>)> {
        let epoch = *self.held.first_key_value()?.0;
        if frontiers.iter().any(|frontier| frontier.less_equal(&epoch)) {
            return None;
        }
        let (capability, updates) = self.held.remove(&epoch)?;
        Some((epoch, capability, updates))
    }
}

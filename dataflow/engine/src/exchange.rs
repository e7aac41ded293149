//! Routing of updates to workers by the hash of their key.
//!
//! Rows of one key reach one worker. Low bits of the hash choose the worker, so operators take their buckets from high
//! bits. One container becomes at most one a target: index lists first, then one `take` a target. With one worker timely
//! never calls the distributor, and nothing is hashed here.

use catchment_contract::hash::hash_keys;
use timely::communication::Push;
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;

use crate::updates::Updates;

/// Sends each update to the worker that owns the hash of its columns `key`; no columns send all to one worker.
pub fn by_key(key: Vec<usize>) -> DistributorPact<impl FnOnce(usize) -> KeyDistributor> {
    DistributorPact(move |peers| KeyDistributor { key, indices: vec![Vec::new(); peers] })
}

/// The state of one exchange on one worker.
pub struct KeyDistributor {
    key: Vec<usize>,
    /// Rows for each worker; kept between calls for their memory.
    indices: Vec<Vec<u32>>,
}

impl Distributor<Updates> for KeyDistributor {
    fn partition<T: Clone, P: Push<Message<T, Updates>>>(
        &mut self,
        container: &mut Updates,
        time: &T,
        pushers: &mut [P],
    ) {
        let updates = std::mem::take(container);
        if updates.is_empty() {
            return;
        }
        let columns: Vec<_> = self.key.iter().map(|index| updates.column(*index).clone()).collect();
        let hashes = hash_keys(&columns, updates.len());
        let peers = pushers.len() as u64;
        self.indices.iter_mut().for_each(Vec::clear);
        for (row, hash) in hashes.iter().enumerate() {
            self.indices[(hash % peers) as usize].push(row as u32);
        }
        let updates = updates.with_key_hashes(hashes);
        for (indices, pusher) in self.indices.iter().zip(pushers) {
            if !indices.is_empty() {
                let mut part = if indices.len() == updates.len() { updates.clone() } else { updates.take(indices) };
                Message::push_at(&mut part, time.clone(), pusher);
            }
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Updates>>>(&mut self, _time: &T, _pushers: &mut [P]) {}
}

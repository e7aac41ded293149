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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use catchment_contract::arrow::array::{ArrayRef, AsArray, Int64Array};
    use catchment_contract::arrow::datatypes::Int64Type;
    use catchment_contract::{Epoch, Run};

    use super::*;

    /// Keeps what is pushed.
    #[derive(Default)]
    struct Kept(Vec<Updates>);

    impl Push<Message<Epoch, Updates>> for Kept {
        fn push(&mut self, element: &mut Option<Message<Epoch, Updates>>) {
            if let Some(message) = element.take() {
                self.0.push(message.data);
            }
        }
    }

    #[test]
    fn a_key_reaches_one_worker_and_nothing_is_lost() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|n| n % 37)));
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        let mut updates = Updates::new(1000, vec![values, keys], Run::One(3), Run::One(1));
        let mut workers: Vec<Kept> = (0..3).map(|_| Kept::default()).collect();
        KeyDistributor { key: vec![1], indices: vec![Vec::new(); 3] }.partition(&mut updates, &3, &mut workers);
        assert!(updates.is_empty());
        let mut owner = BTreeMap::new();
        let mut seen = Vec::new();
        for (index, part) in workers.iter().enumerate().flat_map(|(index, kept)| kept.0.iter().map(move |p| (index, p)))
        {
            assert_eq!(part.carried_key_hashes().map(|hashes| hashes.len()), Some(part.len()));
            for row in 0..part.len() {
                let key = part.column(1).as_primitive::<Int64Type>().value(row);
                assert_eq!(*owner.entry(key).or_insert(index), index);
                seen.push(part.column(0).as_primitive::<Int64Type>().value(row));
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<i64>>());
        assert!(workers.iter().all(|kept| !kept.0.is_empty()));
    }
}

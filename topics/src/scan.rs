//! What a writer has written already, by the headers of batches.

use catchment_contract::{Error, Result};

use crate::batch::batches;
use crate::broker::{Fetched, PartitionClient};

/// How much is fetched at once while headers are looked at.
const SCAN_BYTES: usize = 4 << 20;

/// The last sequence that a producer wrote from offset `from` on, and the offset after its batch; `None` if it wrote
/// nothing there. Goes to the exact end, so a batch that was acknowledged is seen whatever became of the server. What
/// retention has removed meanwhile is passed over.
///
/// # Errors
/// As [`PartitionClient::fetch`].
pub fn last_sequence(client: &mut dyn PartitionClient, from: i64, producer_id: i64) -> Result<Option<(i32, i64)>> {
    let mut found = None;
    let mut at = from;
    loop {
        match client.fetch(at, SCAN_BYTES)? {
            Fetched::Evicted { start } if start > at => at = start,
            Fetched::Batches { bytes, next } if next > at => {
                let own = batches(&bytes).filter(|batch| batch.header.producer_id == producer_id).last();
                if let Some(batch) = own {
                    found = Some((batch.header.first_sequence, batch.header.next_offset()));
                }
                at = next;
            }
            // It may be one of the producer's.
            Fetched::Damaged { why, .. } => {
                return Err(Error::data(format!(
                    "cannot tell what producer {producer_id} wrote at offset {at}: {why}"
                )));
            }
            Fetched::Evicted { .. } | Fetched::Batches { .. } => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::batch::{BatchBuilder, Producer, set_base_offset};
    use crate::broker::Bounds;

    /// A log in memory that gives out one batch a fetch.
    struct OneByOne {
        start: i64,
        batches: Vec<Bytes>,
    }

    impl PartitionClient for OneByOne {
        fn bounds(&mut self) -> Result<Bounds> {
            Err(Error::bug("not asked here"))
        }

        fn fetch(&mut self, from: i64, _: usize) -> Result<Fetched> {
            if from < self.start {
                return Ok(Fetched::Evicted { start: self.start });
            }
            let holds = |bytes: &&Bytes| batches(bytes).all(|batch| batch.header.next_offset() > from);
            Ok(match self.batches.iter().find(holds) {
                None => Fetched::Batches { bytes: Bytes::new(), next: from },
                Some(bytes) => {
                    Fetched::Batches { bytes: bytes.clone(), next: batches(bytes).next().unwrap().header.next_offset() }
                }
            })
        }

        fn produce(&mut self, _: &[u8]) -> Result<i64> {
            Err(Error::bug("not asked here"))
        }

        fn sync(&mut self) -> Result<()> {
            Err(Error::bug("not asked here"))
        }

        fn wait(&mut self, _: i64, _: Duration) -> Result<bool> {
            Err(Error::bug("not asked here"))
        }
    }

    fn batch(offset: i64, records: usize, id: i64, sequence: i32) -> Bytes {
        let mut builder = BatchBuilder::new();
        (0..records).for_each(|_| builder.push(None, b"value"));
        let mut bytes = builder.finish(Producer { id, epoch: 0 }, sequence, 1);
        set_base_offset(&mut bytes, offset);
        bytes.into()
    }

    #[test]
    fn a_producers_last_sequence_is_found_among_others() {
        let mut log = OneByOne {
            start: 2,
            batches: vec![batch(2, 3, 7, 0), batch(5, 1, 7, 1), batch(6, 4, 9, 8), batch(10, 1, -1, -1)],
        };
        assert_eq!(last_sequence(&mut log, 0, 7).unwrap(), Some((1, 6)), "from before the start");
        assert_eq!(last_sequence(&mut log, 2, 9).unwrap(), Some((8, 10)));
        assert_eq!(last_sequence(&mut log, 6, 7).unwrap(), None, "only from the offset on");
        assert_eq!(last_sequence(&mut log, 11, 9).unwrap(), None, "at the end");
    }
}

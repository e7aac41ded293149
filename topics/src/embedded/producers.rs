//! The last sequence that each producer has appended to a partition.
//!
//! Only producers that number their batches count: `producer_id` above 0 and `first_sequence` not negative. The stock
//! client writes −1 for both and is never refused.
//!
//! Rebuilt at recovery from the batches' headers, on top of `producers.json`, which is written before old segments are
//! dropped, with a checksum behind it: `{"format": 2, "producers": [[producer id, last sequence, its offset], …]}`. So a producer is remembered
//! longer than its records. At most [`PRODUCERS_MAX`] are: beyond that the half that has been silent longest is
//! forgotten.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::{read_whole, write_whole};
use super::refused::Refused;
use crate::batch::{BatchHeader, batches};

/// About 3 MB a partition.
const PRODUCERS_MAX: usize = 65_536;

const FORMAT: u32 = 2;
const FILE: &str = "producers.json";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    sequence: i32,
    offset: i64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    last: HashMap<i64, Last>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    producers: Vec<(i64, i32, i64)>,
}

impl Producers {
    /// What the partition's folder remembers; nothing if there is no file.
    pub fn load(folder: &Path) -> Result<Producers, Refused> {
        let file = folder.join(FILE);
        let damaged = |why: String| Refused::Damaged { file: file.clone(), position: 0, why, next: None };
        let bytes = match read_whole(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Producers::default()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged(error.to_string())),
            Err(source) => return Err(Refused::Io { what: format!("read \"{}\"", file.display()), source }),
        };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if stored.format != FORMAT {
            return Err(damaged(format!("it has format {}, and this broker reads {FORMAT}", stored.format)));
        }
        let last = stored.producers.into_iter();
        Ok(Producers { last: last.map(|(id, sequence, offset)| (id, Last { sequence, offset })).collect() })
    }

    /// Keeps what is remembered in the partition's folder.
    pub fn store(&self, folder: &Path) -> io::Result<()> {
        let mut producers: Vec<_> = self.last.iter().map(|(id, last)| (*id, last.sequence, last.offset)).collect();
        producers.sort_unstable();
        write_whole(&folder.join(FILE), &serde_json::to_vec(&Stored { format: FORMAT, producers })?)
    }

    /// Forgets producers whose last batch is not among the records before `end`: the file is synced, and the batches may
    /// not have been before the power went. Their sequences must be taken when they are sent again.
    pub fn forget_from(&mut self, end: i64) {
        self.last.retain(|_, last| last.offset < end);
    }

    /// Whether anything is remembered.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Refuses a set of batches with a sequence that was appended before, or that comes twice in the set.
    pub fn check(&self, set: &[u8]) -> Result<(), Refused> {
        let mut seen: HashMap<i64, i32> = HashMap::new();
        for header in batches(set).map(|batch| batch.header).filter(numbered) {
            let (producer_id, sequence) = (header.producer_id, header.first_sequence);
            let last = seen.get(&producer_id).copied();
            let last = last.or_else(|| self.last.get(&producer_id).map(|last| last.sequence));
            if let Some(last) = last.filter(|last| sequence <= *last) {
                return Err(Refused::Repeated { producer_id, sequence, last });
            }
            seen.insert(producer_id, sequence);
        }
        Ok(())
    }

    /// Remembers an appended batch.
    pub fn appended(&mut self, header: &BatchHeader, offset: i64) {
        if !numbered(header) {
            return;
        }
        let last = Last { sequence: header.first_sequence, offset };
        self.last.insert(header.producer_id, last);
        if self.last.len() > PRODUCERS_MAX {
            let mut offsets: Vec<i64> = self.last.values().map(|last| last.offset).collect();
            let (_, middle, _) = offsets.select_nth_unstable(PRODUCERS_MAX / 2);
            let middle = *middle;
            self.last.retain(|_, last| last.offset >= middle);
        }
    }
}

/// Whether the batch's producer numbers its batches.
fn numbered(header: &BatchHeader) -> bool {
    header.producer_id > 0 && header.first_sequence >= 0
}

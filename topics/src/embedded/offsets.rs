//! Offsets that consumers let the broker keep for them (*managed* offsets).
//!
//! `offsets.json` in the broker's folder, written whole at each change, with a checksum behind it:
//! `{"format": 2, "offsets": [{"consumer": …, "topic": …, "partition": …, "offset": …, "modified_s": …}, …]}`.
//! At most [`OFFSETS_MAX`] of them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use catchment_contract::{Environment, Error, Result};
use serde::{Deserialize, Serialize};

use super::folder::{held, read_whole, write_whole};
use super::log::Log;

/// About 2 MB of file.
pub const OFFSETS_MAX: usize = 16_384;

/// Longest name of a consumer, bytes.
pub const CONSUMER_BYTES_MAX: usize = 256;

const FORMAT: u32 = 2;

/// Whose offset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consumer {
    pub id: String,
    pub topic: String,
    pub partition: u32,
}

/// The offset kept, and when it was set (seconds since 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub offset: i64,
    pub modified_s: u64,
}

/// See the module.
pub struct Offsets {
    file: PathBuf,
    kept: Mutex<BTreeMap<Consumer, Kept>>,
    environment: Environment,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    offsets: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    consumer: String,
    topic: String,
    partition: u32,
    offset: i64,
    modified_s: u64,
}

impl Offsets {
    /// Reads the broker's file, if there is one.
    ///
    /// # Errors
    /// If it cannot be read or is not what this module writes.
    pub fn open(folder: &Path, environment: &Environment) -> Result<Offsets> {
        let environment = environment.clone();
        let file = folder.join("offsets.json");
        let bytes = match read_whole(&file) {
            Ok(bytes) => bytes,
            // Said below.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Vec::new(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Offsets { file, kept: Mutex::default(), environment });
            }
            Err(error) => return Err(Error::io(format!("read \"{}\"", file.display()), error)),
        };
        let stored = serde_json::from_slice::<Stored>(&bytes).ok().filter(|stored| stored.format == FORMAT);
        let Some(stored) = stored else {
            return Err(Error::data(format!("\"{}\" does not hold consumers' offsets", file.display()))
                .with_hint("remove it: consumers with managed offsets then begin where they are told to"));
        };
        let kept = stored.offsets.into_iter().map(|line| {
            let Line { consumer: id, topic, partition, offset, modified_s } = line;
            (Consumer { id, topic, partition }, Kept { offset, modified_s })
        });
        Ok(Offsets { file, kept: Mutex::new(kept.collect()), environment })
    }

    /// Keeps an offset in `log`; an error if there are too many, false if the topic was deleted.
    ///
    /// A client may flush its offsets after that, and they would be found by the next topic of the same name. Whoever
    /// deletes a topic marks its logs before it calls [`Offsets::remove_topic`].
    pub fn set(&self, consumer: Consumer, offset: i64, log: &Log) -> io::Result<bool> {
        let mut kept = held(&self.kept);
        // Under the lock: an offset is refused here, or removed with its topic.
        if log.is_deleted() {
            return Ok(false);
        }
        if kept.len() >= OFFSETS_MAX && !kept.contains_key(&consumer) {
            return Err(io::Error::other(format!("{OFFSETS_MAX} consumers' offsets are kept already")));
        }
        let modified_s = self.environment.wall_micros().max(0).unsigned_abs() / 1_000_000;
        kept.insert(consumer, Kept { offset, modified_s });
        self.store(&kept)?;
        Ok(true)
    }

    /// Forgets an offset.
    pub fn remove(&self, consumer: &Consumer) -> io::Result<()> {
        let mut kept = held(&self.kept);
        match kept.remove(consumer) {
            Some(_) => self.store(&kept),
            None => Ok(()),
        }
    }

    /// Forgets a topic's offsets.
    pub fn remove_topic(&self, topic: &str) -> io::Result<()> {
        self.retain(|consumer| consumer.topic != topic)
    }

    /// Forgets the offsets that are not `wanted`.
    pub fn retain(&self, wanted: impl Fn(&Consumer) -> bool) -> io::Result<()> {
        let mut kept = held(&self.kept);
        let before = kept.len();
        kept.retain(|consumer, _| wanted(consumer));
        if kept.len() == before { Ok(()) } else { self.store(&kept) }
    }

    /// Those that `wanted` picks.
    pub fn list(&self, wanted: impl Fn(&Consumer) -> bool) -> Vec<(Consumer, Kept)> {
        let kept = held(&self.kept);
        kept.iter().filter(|(consumer, _)| wanted(consumer)).map(|(consumer, kept)| (consumer.clone(), *kept)).collect()
    }

    fn store(&self, kept: &BTreeMap<Consumer, Kept>) -> io::Result<()> {
        let offsets = kept.iter().map(|(consumer, kept)| Line {
            consumer: consumer.id.clone(),
            topic: consumer.topic.clone(),
            partition: consumer.partition,
            offset: kept.offset,
            modified_s: kept.modified_s,
        });
        write_whole(&self.file, &serde_json::to_vec(&Stored { format: FORMAT, offsets: offsets.collect() })?)
    }
}

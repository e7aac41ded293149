//! A topic: its spec, its partitions' logs, and why one was not made or deleted.
//!
//! The durable form of a spec is `topic.json`, with a checksum behind it: `{"format": 2, "partitions": 3, "retention_s": 604800, "segment_bytes": …,
//! "bytes_max": …, "compression": "any", "system": false}`, where `null` stands for the broker's default.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use catchment_contract::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::folder::read_whole;
use super::log::Log;
use super::refused::Refused;

/// Partitions of one topic; each keeps a file open.
pub const PARTITIONS_MAX: u32 = 1024;

/// Longest name of a topic, bytes: what Fluvio allows.
pub const NAME_BYTES_MAX: usize = 63;

/// Smallest segment that a topic may ask for.
const SEGMENT_BYTES_MIN: u64 = 4096;

const FORMAT: u32 = 2;

/// How a topic was made; also the durable form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Of the durable form.
    pub format: u32,
    pub partitions: u32,
    pub retention_s: Option<u32>,
    pub segment_bytes: Option<u32>,
    /// Oldest segments of a partition go beyond this.
    pub bytes_max: Option<u64>,
    /// What producers are told to use: `any`, `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub compression: String,
    /// Whether only a forced call deletes it.
    pub system: bool,
}

impl Spec {
    /// A topic of so many partitions, the rest by default.
    pub fn new(partitions: u32) -> Spec {
        Spec {
            format: FORMAT,
            partitions,
            retention_s: None,
            segment_bytes: None,
            bytes_max: None,
            compression: "any".to_owned(),
            system: false,
        }
    }

    /// Refuses what the broker cannot have.
    pub fn check(&self) -> std::result::Result<(), TopicRefused> {
        let refuse = |why: String| Err(TopicRefused::Spec(why));
        if self.partitions == 0 || self.partitions > PARTITIONS_MAX {
            return refuse(format!(
                "it has {} partitions, and the broker takes 1 to {PARTITIONS_MAX}",
                self.partitions
            ));
        }
        match self.segment_bytes {
            Some(bytes) if u64::from(bytes) < SEGMENT_BYTES_MIN => {
                refuse(format!("its segments of {bytes} bytes are under the least, {SEGMENT_BYTES_MIN}"))
            }
            _ => Ok(()),
        }
    }
}

/// A topic that can be used.
pub struct Topic {
    pub spec: Spec,
    pub partitions: Vec<Arc<Log>>,
}

/// Why a topic was not made or deleted.
#[derive(Debug)]
pub enum TopicRefused {
    Exists,
    NotFound,
    Name,
    Spec(String),
    System,
    Io { what: String, source: io::Error },
    Log(Refused),
}

impl fmt::Display for TopicRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicRefused::Exists => f.write_str("it exists already"),
            TopicRefused::NotFound => f.write_str("there is no such topic"),
            TopicRefused::Name => {
                write!(f, "a name has 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens, none at its ends")
            }
            TopicRefused::Spec(why) => f.write_str(why),
            TopicRefused::System => f.write_str("it belongs to the broker"),
            TopicRefused::Io { what, source } => write!(f, "could not {what}: {source}"),
            TopicRefused::Log(refused) => refused.fmt(f),
        }
    }
}

impl TopicRefused {
    /// An I/O error while doing `what` to `path`.
    pub fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> TopicRefused {
        let what = format!("{what} \"{}\"", path.display());
        move |source| TopicRefused::Io { what, source }
    }

    /// The same as the crate's error; `what` is what was tried: `create topic "orders"`.
    pub fn into_error(self, what: impl fmt::Display) -> Error {
        let text = format!("cannot {what}: {self}");
        match self {
            TopicRefused::Exists => Error::user(text).with_kind(ErrorKind::Taken),
            TopicRefused::NotFound => Error::user(text).with_kind(ErrorKind::NotFound),
            TopicRefused::Name | TopicRefused::Spec(_) => Error::user(text),
            TopicRefused::System => Error::user(text).with_kind(ErrorKind::Denied),
            TopicRefused::Io { what: call, source } => Error::io(call, source),
            TopicRefused::Log(refused) => refused.into_error(what),
        }
    }
}

/// Reads a topic's spec from its file.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if the file holds something else.
pub fn read_spec(file: &Path) -> Result<Spec> {
    let damaged = |why: String| {
        Error::data(format!("\"{}\" does not hold a topic's spec: {why}", file.display()))
            .with_hint("put the file back from a copy, or move the topic's folder with its records away")
    };
    let bytes = read_whole(file).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::NotFound => damaged(error.to_string()),
        _ => Error::io(format!("read \"{}\"", file.display()), error),
    })?;
    let spec: Spec = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if spec.format != FORMAT {
        return Err(damaged(format!("it has format {}, and this broker reads {FORMAT}", spec.format)));
    }
    spec.check().map_err(|refused| damaged(refused.to_string()))?;
    Ok(spec)
}

/// Whether a topic may have this name, which is then a safe name of a folder too.
pub fn is_name(name: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(byte)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

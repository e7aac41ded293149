//! Why a partition's log did not do what it was asked, before anybody knows whether the answer goes to a caller in this
//! process or over the wire.

use std::fmt;
use std::io;
use std::path::PathBuf;

use catchment_contract::{Error, ErrorKind, Outcome, Retry};

/// A reason, with the figures that a person needs.
#[derive(Debug)]
pub enum Refused {
    /// The topic was deleted meanwhile.
    Deleted,
    /// A batch is over the broker's limit. Nothing was written.
    TooLarge { bytes: usize, limit: usize },
    /// What was sent is not a run of whole, intact batches. Nothing was written.
    Malformed(String),
    /// The producer's sequence was appended before. Nothing was written.
    Repeated { producer_id: i64, sequence: i32, last: i32 },
    /// The offset asked for lies beyond the end.
    Beyond { offset: i64, end: i64 },
    /// A batch on disk does not match its checksum, or its header cannot be. `next` is the offset after it, if its header
    /// tells.
    Damaged { file: PathBuf, position: u64, why: String, next: Option<i64> },
    /// A call to the file system failed; nothing of the request is kept.
    Io { what: String, source: io::Error },
    /// A write failed in a way that leaves its outcome open.
    Unknown { what: String, source: io::Error },
    /// An earlier write failed so badly that the partition takes no more until the broker is started anew.
    Stopped(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Deleted => f.write_str("the topic was deleted"),
            Refused::TooLarge { bytes, limit } => {
                write!(f, "a batch of {bytes} bytes is over the broker's limit of {limit} bytes")
            }
            Refused::Malformed(why) => write!(f, "the record set is malformed: {why}"),
            Refused::Repeated { producer_id, sequence, last } => {
                write!(f, "sequence {sequence} of producer {producer_id} was appended before (the last one is {last})")
            }
            Refused::Beyond { offset, end } => write!(f, "offset {offset} lies beyond the end, {end}"),
            Refused::Damaged { file, position, why, .. } => {
                write!(f, "\"{}\" is damaged at byte {position}: {why}", file.display())
            }
            Refused::Io { what, source } | Refused::Unknown { what, source } => write!(f, "could not {what}: {source}"),
            Refused::Stopped(why) => write!(f, "the partition takes no more records since a write failed: {why}"),
        }
    }
}

impl Refused {
    /// The same as the crate's error; `what` is what was tried: `write to partition 3 of topic "orders"`.
    pub fn into_error(self, what: impl fmt::Display) -> Error {
        let text = format!("cannot {what}: {self}");
        match self {
            Refused::Deleted => Error::user(text).with_kind(ErrorKind::NotFound).with_retry(Retry::Reopen),
            Refused::TooLarge { .. } => Error::user(text)
                .with_kind(ErrorKind::TooLarge)
                .with_hint("write smaller records, or batches of fewer records"),
            Refused::Malformed(_) => Error::user(text),
            Refused::Repeated { .. } => Error::remote(text).with_kind(ErrorKind::Taken).with_retry(Retry::Never),
            Refused::Beyond { .. } => {
                Error::data(text).with_hint("the topic was made anew, or its files were put back from an older copy")
            }
            Refused::Damaged { .. } => Error::data(text)
                .with_hint(
                    "put the file back from a copy, or move the topic's folder away: a sink writes it anew with --reset-sink",
                ),
            Refused::Io { what: call, source } => Error::io(call, source),
            Refused::Unknown { what: call, source } => Error::io(call, source).with_outcome(Outcome::Unknown),
            Refused::Stopped(_) => Error::remote(text)
                .with_retry(Retry::Never)
                .with_hint("make room on the disk, then start the broker anew"),
        }
    }
}

//! Why an attempt failed, as precise as retrying needs it; at the crate's edge it becomes an [`Error`].

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use catchment_contract::error::clause;
use catchment_contract::{Error, ErrorKind, Retry};
use fluvio_protocol::link::ErrorCode;

/// What a TLS handshake is called in messages.
pub(super) const HANDSHAKE: &str = "agree on an encrypted connection";

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A call of the network failed.
    Io { doing: &'static str, source: io::Error },
    /// Nothing came, or nothing could be sent, in time.
    Silent { doing: &'static str, timeout: Duration },
    /// The connection was closed while an answer was awaited.
    Closed,
    /// Somebody answers, but not in Fluvio's protocol; what was sent, as text.
    Foreign { sent: String },
    /// A server of the cluster answers, but not the one that was meant.
    NoController,
    /// TLS was refused.
    Tls { source: Box<dyn StdError + Send + Sync> },
    /// A reply that cannot be: its length, its number, its content.
    Reply(String),
    /// Client and server have no version of a request in common.
    Version { key: u16, known: (i16, i16), offered: Option<(i16, i16)> },
    /// The state that is waited for is not there yet.
    NotYet(String),
    /// The server's own answer.
    Code { code: ErrorCode, message: Option<String> },
    /// A thing is not there; the error says which.
    Missing(Error),
    /// A whole batch that does not match its checksum, or bytes that cannot be a batch.
    Damaged { offset: i64, why: String },
    /// The offset asked for lies beyond the end.
    Beyond { offset: i64, end: i64 },
    /// A batch larger than a client takes.
    Huge { offset: i64, bytes: usize, limit: usize },
}

impl Failure {
    /// An I/O error while `doing` something: a time-out in its own right.
    pub(super) fn io(doing: &'static str, source: io::Error, timeout: Duration) -> Failure {
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Failure::Silent { doing, timeout },
            io::ErrorKind::UnexpectedEof => Failure::Closed,
            _ => Failure::Io { doing, source },
        }
    }

    /// Whether it may be over soon.
    pub(super) fn passes(&self) -> bool {
        match self {
            Failure::Io { .. } | Failure::Silent { .. } | Failure::Closed | Failure::Reply(_) | Failure::NotYet(_) => {
                true
            }
            Failure::Code { code, .. } => code_passes(code),
            Failure::Foreign { .. }
            | Failure::NoController
            | Failure::Tls { .. }
            | Failure::Version { .. }
            | Failure::Missing(_)
            | Failure::Damaged { .. }
            | Failure::Beyond { .. }
            | Failure::Huge { .. } => false,
        }
    }

    /// Whether the server asked is not (or no longer) the partition's leader.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Failure::Code { code: ErrorCode::NotLeaderForPartition | ErrorCode::PartitionNotLeader, .. })
    }

    /// The same for a topic that was just created: that it is unknown somewhere passes.
    pub(super) fn new_topic(self) -> Failure {
        match self {
            Failure::Missing(error) => Failure::NotYet(error.to_string()),
            Failure::Code { code: ErrorCode::TopicNotFound, .. } => {
                Failure::NotYet("the topic is not known yet".into())
            }
            other => other,
        }
    }

    /// With all its causes, for a log.
    pub(super) fn chain(&self) -> String {
        match self.source() {
            None => self.to_string(),
            Some(cause) => format!("{self}: {cause}"),
        }
    }

    /// The same with whom we talked to.
    pub(super) fn chain_at(&self, place: &str) -> String {
        format!("{place}: {}", self.chain())
    }

    /// As the error of the last attempt, when attempts were made for as long as `tried`.
    pub(super) fn into_final(self, what: &str, place: &str, tried: Duration) -> Error {
        if self.passes() { self.into_tired(what, place, tried) } else { self.into_error(what, place) }
    }

    /// As an error: `what` was tried (`list topics`), `place` is whom it was asked of (`the controller at host:port`).
    pub(super) fn into_error(self, what: &str, place: &str) -> Error {
        let verb = if self.passes() { "could not" } else { "cannot" };
        let text = format!("{verb} {what}: {place}: {self}");
        match self {
            Failure::Missing(error) => error,
            Failure::Code { code, message } => coded(what, place, code, message),
            Failure::Io { source, .. } => Error::remote(text).with_source(source),
            Failure::Silent { .. } | Failure::Closed | Failure::Reply(_) | Failure::NotYet(_) => Error::remote(text),
            Failure::Foreign { sent } => Error::user(text).with_hint(foreign_hint(&sent)),
            Failure::NoController => Error::user(text)
                .with_hint("name the controller's host:port (9003 on a stock cluster), not a storage unit's"),
            Failure::Version { .. } => Error::user(text).with_hint("this client speaks the protocol of Fluvio 0.50"),
            Failure::Tls { source } => Error::user(text)
                .with_kind(ErrorKind::Denied)
                .with_source(source)
                .with_hint("check the certificates and the domain in the Fluvio profile"),
            Failure::Damaged { .. } => {
                Error::data(text).with_hint("read from a later offset, or let the topic's producer write it again")
            }
            Failure::Beyond { .. } => {
                Error::data(text).with_hint("the topic was made anew, or the server lost what it had acknowledged")
            }
            Failure::Huge { .. } => Error::data(text).with_hint("write smaller batches"),
        }
    }

    /// As an error after many attempts: how long it was tried, and the way out.
    fn into_tired(self, what: &str, place: &str, tried: Duration) -> Error {
        let hint = match &self {
            Failure::Silent { doing, .. } if *doing == HANDSHAKE => {
                "if the server speaks no TLS, use a Fluvio profile whose tls_policy is \"disabled\""
            }
            Failure::Code { .. } | Failure::NotYet(_) => {
                "see the servers' logs, or let a run try for longer with --connect-timeout"
            }
            _ => {
                "check that the servers run and can be reached from here, or let a run try for longer with --connect-timeout"
            }
        };
        let what = format!("{what} in {:.1} s", tried.as_secs_f64());
        match self {
            // Keeps kind and fault of what the server said.
            Failure::Code { code, message } => coded(&what, place, code, message).with_hint(hint),
            other => other.into_error(&what, place).with_hint(hint),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Io { doing, .. } => write!(f, "could not {doing}"),
            Failure::Silent { doing, timeout } => {
                write!(f, "could not {doing} within {:.1} s", timeout.as_secs_f64())
            }
            Failure::Closed => f.write_str("the connection was closed before an answer came"),
            Failure::Foreign { sent } => write!(f, "the peer is not a Fluvio server: it sent \"{sent}\""),
            Failure::NoController => f.write_str("the peer is not a Fluvio controller"),
            Failure::Tls { .. } => f.write_str("no encrypted connection could be agreed on"),
            Failure::Reply(why) => write!(f, "the reply cannot be read: {why}"),
            Failure::Version { key, known, offered } => {
                write!(f, "request {key} is known here in versions {} to {}, there ", known.0, known.1)?;
                match offered {
                    Some((least, most)) => write!(f, "in {least} to {most}"),
                    None => f.write_str("not at all"),
                }
            }
            Failure::NotYet(state) => f.write_str(state),
            Failure::Code { code, message: None } => write!(f, "{code}"),
            Failure::Code { code, message: Some(message) } => write!(f, "{code} ({message})"),
            Failure::Missing(error) => write!(f, "{error}"),
            Failure::Damaged { offset, why } => write!(f, "damage at offset {offset}: {why}"),
            Failure::Beyond { offset, end } => write!(f, "offset {offset} lies beyond the end, {end}"),
            Failure::Huge { offset, bytes, limit } => {
                write!(f, "the batch at offset {offset} takes {bytes} bytes, the limit is {limit}")
            }
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Failure::Io { source, .. } => Some(source),
            Failure::Tls { source } => Some(source.as_ref()),
            _ => None,
        }
    }
}

/// States of a cluster that pass by themselves: elections, restarts, metadata on its way.
fn code_passes(code: &ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotLeaderForPartition
            | ErrorCode::PartitionNotLeader
            | ErrorCode::PartitionPendingInitialization
            | ErrorCode::RequestTimedOut { .. }
            | ErrorCode::SpuOffline
            | ErrorCode::SpuNotFound
            | ErrorCode::TopicPendingInitialization
            | ErrorCode::TopicNotProvisioned
    )
}

/// An error of a server's code.
fn coded(what: &str, place: &str, code: ErrorCode, message: Option<String>) -> Error {
    let passes = code_passes(&code);
    let detail = message.filter(|text| !text.is_empty()).unwrap_or_else(|| code.to_string());
    let verb = if passes { "could not" } else { "cannot" };
    let text = format!("{verb} {what}: {place}: {}", clause(&detail));
    match code {
        ErrorCode::TopicAlreadyExists => Error::user(text).with_kind(ErrorKind::Taken),
        ErrorCode::TopicNotFound | ErrorCode::TopicDeleted => Error::user(text)
            .with_kind(ErrorKind::NotFound)
            .with_hint("catchment topics list shows the topics that exist"),
        ErrorCode::PermissionDenied | ErrorCode::SystemSpecDeletionAttempt { .. } => {
            Error::user(text).with_kind(ErrorKind::Denied)
        }
        ErrorCode::TopicInvalidName => Error::user(text)
            .with_hint("a topic's name has up to 63 lower-case letters, digits and hyphens, no hyphen at its ends"),
        ErrorCode::MessageTooLarge => Error::user(text)
            .with_kind(ErrorKind::TooLarge)
            .with_hint("write smaller records, or batches of fewer records"),
        ErrorCode::CompressionError => {
            Error::user(text).with_hint("the topic demands a compression: create it with compression \"any\"")
        }
        ErrorCode::TopicInvalidConfiguration
        | ErrorCode::TopicInvalidReplicaType
        | ErrorCode::InvalidCreateRequest
        | ErrorCode::InvalidDeleteRequest => Error::user(text),
        _ if passes => Error::remote(text),
        _ => Error::remote(text).with_retry(Retry::Never),
    }
}

/// What to do about a stranger, by the first bytes that it sent.
fn foreign_hint(sent: &str) -> &'static str {
    // A TLS record: an alert (21) or a handshake (22) of version 3.
    match sent.starts_with("\\x15\\x03") || sent.starts_with("\\x16\\x03") {
        true => "it speaks TLS: name a Fluvio profile with its certificates",
        false => "check the port: a stock cluster's controller listens on 9003",
    }
}

/// There is no such topic.
pub(super) fn no_topic(topic: &str) -> Error {
    Error::user(format!("there is no topic \"{topic}\""))
        .with_kind(ErrorKind::NotFound)
        .with_hint("catchment topics list shows the topics that exist")
}

/// The topic has fewer partitions.
pub(super) fn no_partition(topic: &str, partition: u32, partitions: u32) -> Error {
    Error::user(format!("there is no partition {partition} of topic \"{topic}\": it has {partitions}"))
        .with_kind(ErrorKind::NotFound)
        .with_hint(format!("its partitions are numbered 0 to {}", partitions.saturating_sub(1)))
}

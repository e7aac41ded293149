//! The one error that crosses a crate's edge.
//!
//! An error says, by type, whose fault it is, whether the call may be repeated, and, for writes, what is known of its
//! outcome. `Display` prints this level only; [`Error::chain`] prints the causes too.

use std::error::Error as StdError;
use std::fmt;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The job, a flag or an option is wrong: a person changes it and runs again.
    User,
    /// A system that we talk to (disk, object store, network) failed.
    Remote,
    /// Data at rest is not what it should be.
    Data,
    /// Ours.
    Bug,
}

/// Whether the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail the same way.
    Never,
    /// After a pause that grows.
    BackOff,
    /// After opening the partition, table or connection anew.
    Reopen,
}

/// What is known of a write that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was written.
    NotApplied,
    /// It may or may not have been written: look before writing again.
    Unknown,
}

/// A kind where a caller acts differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The job text or an option is wrong.
    Invalid,
    /// A named thing (file, bucket, table) does not exist.
    NotFound,
    /// A place that is there holds nothing, yet.
    Empty,
    /// The system refused access.
    Denied,
    /// A thing is taken: a table that another job owns, a checkpoint number that another run wrote.
    Taken,
    /// What is to be written is larger than the system takes, ever.
    TooLarge,
    /// Anything else.
    Other,
}

/// A place in a job's text as it was written, both numbers from 1; zeros where there is no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column in characters.
    pub column: u64,
}

/// `line 3, column 9`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// An error with its fault, retry and outcome. Build it with [`Error::user`] and its siblings.
pub struct Error {
    kind: ErrorKind,
    fault: Fault,
    retry: Retry,
    outcome: Outcome,
    message: String,
    place: Option<Place>,
    hint: Option<String>,
    excerpt: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    fn new(kind: ErrorKind, fault: Fault, retry: Retry, message: impl Into<String>) -> Self {
        let message = message.into();
        let (place, hint, excerpt, source) = (None, None, None, None);
        Error { kind, fault, retry, outcome: Outcome::NotApplied, message, place, hint, excerpt, source }
    }

    /// The job, a flag or an option is wrong.
    pub fn user(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Invalid, Fault::User, Retry::Never, message)
    }

    /// A system that we talk to failed; the call may be repeated after a pause.
    pub fn remote(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Other, Fault::Remote, Retry::BackOff, message)
    }

    /// Data at rest is not what it should be.
    pub fn data(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Other, Fault::Data, Retry::Never, message)
    }

    /// An invariant of ours does not hold.
    pub fn bug(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Other, Fault::Bug, Retry::Never, message)
    }

    /// An I/O error while doing `what` (`read partition "x"`), with kind and retry from its code.
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let made = match error.kind() {
            Io::NotFound => {
                Error::user(format!("cannot {what}: no such file or folder")).with_kind(ErrorKind::NotFound)
            }
            Io::PermissionDenied => {
                Error::user(format!("cannot {what}: permission denied")).with_kind(ErrorKind::Denied)
            }
            _ => Error::remote(format!("could not {what}")),
        };
        made.with_source(error)
    }

    /// The same error with another kind.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error with what to do about it: one sentence fragment, lower case, no full stop.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error at a place in the job's text.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same error with the lines of the text that it is about, to be shown below it.
    pub fn with_excerpt(mut self, excerpt: impl Into<String>) -> Self {
        self.excerpt = Some(excerpt.into());
        self
    }

    /// The same error with its cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with another answer to "may it be retried".
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same error for a write that may have been applied.
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// A kind where a caller acts differently.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether the call may be repeated.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// What is known of the write that failed.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Where in the job's text it is, if it is about the text.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// What to do about it, if somebody knew.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The error with its place and all its causes, `: ` between them, then the hint after `; `, then the excerpt on lines of
    /// its own.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            text.push_str("; ");
            text.push_str(hint);
        }
        if let Some(excerpt) = &self.excerpt {
            text.push('\n');
            text.push_str(excerpt);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?}: {}", self.kind, self.fault, self.retry, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Another library's sentence as a part of one of ours: no full stop, and the first letter small unless its word begins
/// with two capitals (`EOF`).
pub fn clause(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut characters = message.chars();
    match (characters.next(), characters.next()) {
        (Some(first), second) if first.is_uppercase() && !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().collect::<String>() + &message[first.len_utf8()..]
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::clause;

    #[test]
    fn clauses() {
        let given = ["Expected a comma. ", "EOF while parsing.", "SQL is odd", "A b", "Ünder", "", "it..."];
        let want = ["expected a comma", "EOF while parsing", "SQL is odd", "a b", "ünder", "", "it"];
        assert_eq!(given.map(clause), want);
    }
}

//! Failures of an object store: which of them pass, and how they are told.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use catchment_contract::{Error, ErrorKind, Outcome};
use object_store::Error as StoreError;

use crate::address::redacted;

/// What an object store said, without secrets.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    /// Whether the call may go well later.
    pub passes: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Failure {}

impl Failure {
    /// One that may not come again.
    pub fn passing(text: String) -> Self {
        Failure { text, passes: true }
    }
}

/// A server's answer that no repetition changes: the request is wrong or not allowed.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of what came with it.
    pub body: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused with status {}: {}", self.status, self.body)
    }
}

impl StdError for Refused {}

/// The same error whose cause is a [`Failure`]: what it holds of `secrets` is hidden, and permissions that a file system
/// refused are told as such.
pub(crate) fn told(error: StoreError, secrets: &[String]) -> StoreError {
    let failure = Failure { text: text_of(&error, secrets), passes: passes(&error) };
    let denied = io_kind(&error) == Some(io::ErrorKind::PermissionDenied);
    let source = Box::new(failure);
    match error {
        StoreError::NotFound { path, .. } => StoreError::NotFound { path, source },
        StoreError::AlreadyExists { path, .. } => StoreError::AlreadyExists { path, source },
        StoreError::Precondition { path, .. } => StoreError::Precondition { path, source },
        StoreError::NotModified { path, .. } => StoreError::NotModified { path, source },
        StoreError::Unauthenticated { path, .. } => StoreError::Unauthenticated { path, source },
        StoreError::PermissionDenied { path, .. } => StoreError::PermissionDenied { path, source },
        _ if denied => StoreError::PermissionDenied { path: String::new(), source },
        StoreError::Generic { store, .. } => StoreError::Generic { store, source },
        _ => StoreError::Generic { store: "lake", source },
    }
}

/// Whether a call that failed so may go well later: everything does but what is certain to fail again.
pub(crate) fn passes(error: &StoreError) -> bool {
    match error {
        StoreError::Generic { source, .. } => {
            let mut cause: Option<&(dyn StdError + 'static)> = Some(source.as_ref());
            while let Some(error) = cause {
                if let Some(failure) = error.downcast_ref::<Failure>() {
                    return failure.passes;
                }
                if error.is::<Refused>() || error.downcast_ref().is_some_and(is_certain) {
                    return false;
                }
                cause = error.source();
            }
            true
        }
        StoreError::JoinError { .. } => true,
        _ => false,
    }
}

/// Whether a file system would say so again, whatever is waited for. A full disk is emptied some day.
fn is_certain(error: &io::Error) -> bool {
    use io::ErrorKind as Io;
    matches!(
        error.kind(),
        Io::PermissionDenied
            | Io::ReadOnlyFilesystem
            | Io::NotADirectory
            | Io::IsADirectory
            | Io::InvalidInput
            | Io::InvalidFilename
            | Io::Unsupported
            | Io::FileTooLarge
    )
}

/// What the error says and what its causes add, without secrets.
fn text_of(error: &StoreError, secrets: &[String]) -> String {
    // The outermost names the kind of store and repeats its cause.
    let mut cause = match error.source() {
        Some(source) => source,
        None => return hidden(&error.to_string(), secrets),
    };
    let mut text = cause.to_string();
    while let Some(deeper) = cause.source() {
        let added = deeper.to_string();
        if !text.contains(&added) {
            text.push_str(": ");
            text.push_str(&added);
        }
        cause = deeper;
    }
    hidden(&text, secrets)
}

fn hidden(text: &str, secrets: &[String]) -> String {
    secrets.iter().filter(|secret| secret.len() > 3).fold(redacted(text), |text, secret| text.replace(secret, "***"))
}

fn io_kind(error: &StoreError) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// An object store's error in our words. `what` is a verb, `place` names the object or the lake.
pub(crate) fn in_our_words(what: &str, place: &str, is_local: bool, error: StoreError) -> Error {
    let passes = passes(&error);
    let kind = match error {
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => Some(ErrorKind::Denied),
        StoreError::NotFound { .. } => Some(ErrorKind::NotFound),
        _ => None,
    };
    let made = match kind {
        Some(ErrorKind::Denied) => Error::user(format!("cannot {what} {place}: permission denied"))
            .with_kind(ErrorKind::Denied)
            .with_hint(match is_local {
                true => "give a folder that you may write with --lake, or change its owner",
                false => "check the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and the bucket's policy",
            }),
        Some(_) => Error::user(format!("cannot {what} {place}: it does not exist"))
            .with_kind(ErrorKind::NotFound)
            .with_hint("make the bucket first, or check its name and AWS_ENDPOINT_URL"),
        None => {
            let failed = match passes {
                true => Error::remote(format!("could not {what} {place}")).with_outcome(Outcome::Unknown),
                false => Error::user(format!("cannot {what} {place}")),
            };
            if is_local { failed } else { failed.with_hint("check AWS_ENDPOINT_URL, AWS_REGION and the network") }
        }
    };
    match cause_of(error) {
        Some(cause) => made.with_source(cause),
        None => made,
    }
}

/// The cause alone: the level above it repeats it.
fn cause_of(error: StoreError) -> Option<Box<dyn StdError + Send + Sync>> {
    match error {
        StoreError::Generic { source, .. }
        | StoreError::NotFound { source, .. }
        | StoreError::AlreadyExists { source, .. }
        | StoreError::Precondition { source, .. }
        | StoreError::NotModified { source, .. }
        | StoreError::PermissionDenied { source, .. }
        | StoreError::Unauthenticated { source, .. } => Some(source),
        other => Some(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl StdError + Send + Sync + 'static) -> StoreError {
        StoreError::Generic { store: "S3", source: Box::new(source) }
    }

    #[test]
    fn what_passes_and_what_does_not() {
        use io::ErrorKind as Io;
        for kind in [Io::ConnectionRefused, Io::ConnectionReset, Io::TimedOut, Io::StorageFull, Io::UnexpectedEof] {
            assert!(passes(&generic(io::Error::from(kind))), "{kind:?}");
        }
        for kind in [Io::PermissionDenied, Io::ReadOnlyFilesystem, Io::NotADirectory] {
            assert!(!passes(&generic(io::Error::from(kind))), "{kind:?}");
        }
        assert!(!passes(&generic(Refused { status: 400, body: "InvalidBucketName".into() })));
        let told = told(generic(Refused { status: 400, body: String::new() }), &[]);
        assert!(!passes(&told), "it is known afterwards too");
    }

    #[test]
    fn secrets_are_hidden_and_nothing_is_said_twice() {
        let body = "<AWSAccessKeyId>AKIATEST</AWSAccessKeyId> at http://u:p@host/x".to_owned();
        let secrets = ["AKIATEST".to_owned()];
        let error = in_our_words("read", "\"a\"", false, told(generic(Refused { status: 403, body }), &secrets));
        assert_eq!(
            error.chain(),
            "cannot read \"a\": the server refused with status 403: <AWSAccessKeyId>***</AWSAccessKeyId> at \
             http://***@host/x; check AWS_ENDPOINT_URL, AWS_REGION and the network"
        );
    }
}

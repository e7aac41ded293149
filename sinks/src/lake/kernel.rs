//! The Delta kernel's errors in our words.

use std::fmt;

use catchment_contract::{Error, ErrorKind, error::clause};
use delta_kernel::KernelError;

/// A kernel's error while doing `what` with table `table`.
///
/// What an object store or a disk says may pass and is worth another attempt; everything else that the kernel finds fault
/// with in what it reads is damage. Its own text never leads: it may hold a backtrace, and it takes a damaged log for a bug
/// of its own.
pub fn kernel_error(what: &str, table: &str, error: KernelError) -> Error {
    use object_store::Error as Store;
    let error = match error {
        KernelError::Backtraced { source, .. } => *source,
        other => other,
    };
    match &error {
        KernelError::ObjectStore(Store::PermissionDenied { .. } | Store::Unauthenticated { .. }) => {
            Error::user(format!("cannot {what}: permission denied")).with_kind(ErrorKind::Denied).with_source(error)
        }
        KernelError::ObjectStore(Store::NotFound { .. }) | KernelError::FileNotFound(_) => {
            damaged(table, KernelText::of(&error))
        }
        KernelError::ObjectStore(_) | KernelError::IOError(_) | KernelError::JoinFailure(_) => {
            Error::remote(format!("could not {what}")).with_source(error)
        }
        KernelError::Unsupported(_) => Error::data(format!("cannot {what}")).with_source(KernelText::of(&error)),
        _ => damaged(table, KernelText::of(&error)),
    }
}

/// Table `name` is not what was committed to it.
pub fn damaged(name: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::data(format!("table \"{name}\" is damaged")).with_source(cause).with_hint(format!(
        "put its folder back as it was, or run catchment lake repair --table {name}, which keeps what can be read and says \
         what is lost"
    ))
}

/// The first line of what the kernel says.
#[derive(Debug)]
struct KernelText(String);

impl KernelText {
    fn of(error: &KernelError) -> Self {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        let line = line.trim_start_matches("Internal error ").trim_start_matches("Generic delta kernel error: ");
        KernelText(clause(line.trim_end_matches(". This is a kernel bug, please report.")))
    }
}

impl fmt::Display for KernelText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KernelText {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_not_called_a_bug() {
        let error = kernel_error("read table \"t\"", "t", KernelError::InternalError("Gap in the log".into()));
        assert!(error.chain().starts_with("table \"t\" is damaged: gap in the log; put its folder back"), "{error:?}");
    }
}

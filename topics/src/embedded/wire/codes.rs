//! Refusals as Fluvio's error codes.
//!
//! A code on a produce reply means that nothing was appended, but for `RequestTimedOut`, after which nobody knows. Fluvio
//! has no code for a repeated (`producer_id`, sequence): it comes as `Other`, with the figures in its text.

use fluvio_protocol::api::RequestKind;
use fluvio_protocol::link::ErrorCode;

use super::super::refused::Refused;
use super::super::topic::TopicRefused;

/// The code of a partition's refusal.
pub fn of_log(refused: &Refused) -> ErrorCode {
    match refused {
        Refused::Deleted => ErrorCode::TopicDeleted,
        Refused::TooLarge { .. } => ErrorCode::MessageTooLarge,
        Refused::Malformed(_) | Refused::Repeated { .. } => ErrorCode::Other(refused.to_string()),
        Refused::Beyond { .. } => ErrorCode::OffsetOutOfRange,
        Refused::Damaged { .. } | Refused::Io { .. } | Refused::Stopped(_) => ErrorCode::StorageError,
        Refused::Unknown { .. } => ErrorCode::RequestTimedOut { timeout_ms: 0, kind: RequestKind::Produce },
    }
}

/// The code of a topic's refusal.
pub fn of_topic(name: &str, refused: &TopicRefused) -> ErrorCode {
    match refused {
        TopicRefused::Exists => ErrorCode::TopicAlreadyExists,
        TopicRefused::NotFound => ErrorCode::TopicNotFound,
        TopicRefused::Name => ErrorCode::TopicInvalidName,
        TopicRefused::Spec(_) => ErrorCode::TopicInvalidConfiguration,
        TopicRefused::System => {
            ErrorCode::SystemSpecDeletionAttempt { kind: "topic".to_owned(), name: name.to_owned() }
        }
        TopicRefused::Io { .. } | TopicRefused::Log(_) => ErrorCode::StorageError,
    }
}

/// What a request with smartmodules gets.
pub fn no_smartmodules() -> ErrorCode {
    ErrorCode::SmartModuleInvalid { error: "the embedded broker runs no smartmodules".to_owned(), name: None }
}

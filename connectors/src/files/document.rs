//! Reading a file as one document: one payload, and again whole when the file has changed.
//!
//! A document that is damaged, empty or longer than [`DOCUMENT_BYTES_MAX`] is one reject; its payload holds no bytes.
//!
//! While a job stays up ([`Unfinished::Leave`]) one that is empty or packed and cut off is left to a later round, until its
//! file has been quiet for a minute. Half a document that is neither is a reject, and read again when it is whole: see
//! [`OpenFile::settled`].

use catchment_contract::{PartitionReader, Payload, Reject, Result, Unfinished};

use super::find::path_error;
use super::open::OpenFile;
use super::position::Cut;
use super::stream::End;

/// The longest document, unpacked: 256 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 20;

/// Size of the first read; documents are small as a rule.
const FIRST_BYTES: usize = 64 << 10;

/// Yields a file as one payload.
pub struct DocumentReader {
    file: Option<OpenFile>,
    unfinished: Unfinished,
}

impl DocumentReader {
    pub(super) fn new(file: OpenFile, unfinished: Unfinished) -> Self {
        DocumentReader { file: Some(file), unfinished }
    }
}

impl PartitionReader for DocumentReader {
    fn next(&mut self) -> Result<Option<Payload>> {
        let Some(mut file) = self.file.take() else {
            return Ok(None);
        };
        let mut bytes = std::mem::take(&mut file.stream.ahead);
        let mut target = FIRST_BYTES;
        while file.stream.end.is_none() && bytes.len() <= DOCUMENT_BYTES_MAX {
            file.stream.fill(&mut bytes, target).map_err(|error| path_error(&file.path, error))?;
            target = (bytes.len() * 2).clamp(FIRST_BYTES, DOCUMENT_BYTES_MAX + 1);
        }
        let blank = bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0);
        let begun = blank || matches!(file.stream.end, Some(End::CutOff(_)));
        if begun && self.unfinished == Unfinished::Leave && file.is_fresh() {
            return Ok(None);
        }
        let reason = match &file.stream.end {
            Some(End::Damaged(reason) | End::CutOff(reason)) => Some(reason.clone()),
            None => Some(format!("the document is longer than {} MiB", DOCUMENT_BYTES_MAX >> 20)),
            Some(_) if file.stamp.bytes == 0 => Some("the file is empty (0 bytes)".to_owned()),
            Some(_) if blank => Some("the document is empty".to_owned()),
            Some(End::Clean | End::Trailing(_)) => None,
        };
        let mut rejects = Vec::new();
        let mut reject = |bytes: &[u8], reason: String| {
            let raw = (!bytes.is_empty()).then_some(bytes);
            rejects.push(Reject::new(format!("byte {}", file.stream.offset + bytes.len() as u64), raw, reason));
        };
        if let Some(reason) = reason {
            reject(&bytes, reason);
            bytes.clear();
        } else if let Some(End::Trailing(reason)) = &file.stream.end {
            tracing::warn!(path = %file.path.display(), "{reason}");
        }
        let mut position = file.last_position(Cut::Document, 0, 0)?;
        position.end = true;
        Ok(Some(Payload {
            partition: file.partition.clone(),
            bytes,
            first_record: 1,
            bytes_read: file.stream.bytes_read(),
            position: position.encode(),
            rejects,
        }))
    }
}

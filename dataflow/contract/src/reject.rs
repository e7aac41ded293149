//! Records and rows that were refused: values that the relation [`REJECTS`] keeps.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

/// The relation that every job has: what could not become a row, and rows whose expressions failed.
pub const REJECTS: &str = "rejects";

/// Columns of [`REJECTS`]: `source`, `partition`, `position`, `raw` (at most 4 KiB), `reason`; all text.
pub fn rejects_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8View, nullable);
    Arc::new(Schema::new(vec![
        text("source", false),
        text("partition", true),
        text("position", true),
        text("raw", true),
        text("reason", false),
    ]))
}

/// An input record that could not become a row, kept with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Where in the partition, for a person: `line 12`, `byte 1048576`, `listing 3, child 7`.
    pub position: String,
    /// The record's text, at most [`Reject::RAW_BYTES_MAX`] bytes of it, invalid UTF-8 replaced; `None` if there is none.
    pub raw: Option<String>,
    /// Why, in a sentence fragment: `not a JSON object: expected value at column 1`.
    pub reason: String,
}

impl Reject {
    /// How much of a record's text a reject keeps: 4 KiB.
    pub const RAW_BYTES_MAX: usize = 4096;

    /// A reject with `raw` cut to [`Reject::RAW_BYTES_MAX`] at a character's edge.
    pub fn new(position: impl Into<String>, raw: Option<&[u8]>, reason: impl Into<String>) -> Self {
        let raw = raw.map(|bytes| {
            let cut = &bytes[..bytes.len().min(Self::RAW_BYTES_MAX)];
            let mut text = String::from_utf8_lossy(cut).into_owned();
            let mut end = text.len().min(Self::RAW_BYTES_MAX);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text
        });
        Reject { position: position.into(), raw, reason: reason.into() }
    }
}

//! The relation's columns, and a batch of those that are asked for.

use std::sync::{Arc, LazyLock};

use catchment_contract::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray,
    StringViewBuilder,
};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::transcript::{Segment, Transcript};

pub(super) const VIDEO_ID: usize = 0;
pub(super) const LANGUAGE_CODE: usize = 1;
pub(super) const TRACK: usize = 2;
const IS_GENERATED: usize = 3;
const SEGMENT: usize = 4;
const START: usize = 5;
const DURATION: usize = 6;
const TEXT: usize = 7;
const LANGUAGE: usize = 8;
const TITLE: usize = 9;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = |name: &str, data_type, nullable| Field::new(name, data_type, nullable);
    Arc::new(Schema::new(vec![
        field("video_id", DataType::Utf8View, false),
        field("language_code", DataType::Utf8View, true),
        field("track", DataType::Utf8View, true),
        field("is_generated", DataType::Boolean, true),
        field("segment", DataType::Int64, false),
        field("start", DataType::Float64, true),
        field("duration", DataType::Float64, true),
        field("text", DataType::Utf8View, false),
        field("language", DataType::Utf8View, true),
        field("title", DataType::Utf8View, true),
        field("file", DataType::Utf8View, false),
    ]))
});

/// All columns.
pub(super) fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// One row of a batch: a segment of a transcript, or what removes a transcript without segments.
#[derive(Clone, Copy)]
struct Row<'a> {
    transcript: &'a Transcript,
    number: i64,
    segment: Option<&'a Segment>,
}

/// The rows of `transcripts`, which all have their ids, read from `file`: the columns `projection`, in that order, and
/// which rows are tombstones. A transcript without segments is one tombstone.
pub(super) fn batch(
    transcripts: &[Transcript],
    file: &str,
    projection: &[usize],
) -> (RecordBatch, Option<BooleanArray>) {
    let mut rows = Vec::new();
    for transcript in transcripts {
        let row = |(number, segment)| Row { transcript, number, segment: Some(segment) };
        rows.extend((0..).zip(&transcript.segments).map(row));
        if transcript.segments.is_empty() {
            rows.push(Row { transcript, number: 0, segment: None });
        }
    }
    let schema = projection.iter().map(|index| SCHEMA.field(*index).clone()).collect::<Vec<_>>();
    let columns = projection.iter().map(|index| column(*index, &rows, file)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(schema)), columns, &options)
        .expect("each column has the type of its field and a value for each row");
    let tombstones = rows.iter().any(|row| row.segment.is_none());
    (batch, tombstones.then(|| rows.iter().map(|row| Some(row.segment.is_none())).collect()))
}

fn column(index: usize, rows: &[Row], file: &str) -> ArrayRef {
    let of_transcript = |value: fn(&Transcript) -> Option<&str>| shared(rows.iter().map(|row| value(row.transcript)));
    match index {
        VIDEO_ID => of_transcript(|transcript| Some(transcript.video_id.as_deref().unwrap_or_default())),
        LANGUAGE_CODE => of_transcript(|transcript| transcript.language_code.as_deref()),
        TRACK => of_transcript(|transcript| transcript.track.as_deref()),
        IS_GENERATED => Arc::new(rows.iter().map(|row| row.transcript.is_generated).collect::<BooleanArray>()),
        SEGMENT => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.number))),
        START => Arc::new(rows.iter().map(|row| row.segment?.start).collect::<Float64Array>()),
        DURATION => Arc::new(rows.iter().map(|row| row.segment?.duration).collect::<Float64Array>()),
        TEXT => Arc::new(StringViewArray::from_iter_values(
            rows.iter().map(|row| row.segment.map_or("", |segment| segment.text.as_str())),
        )),
        LANGUAGE => of_transcript(|transcript| transcript.language.as_deref()),
        TITLE => of_transcript(|transcript| transcript.title.as_deref()),
        _ => shared(rows.iter().map(|_| Some(file))),
    }
}

/// A column whose values repeat: each is stored once.
fn shared<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringViewBuilder::new().with_deduplicate_strings();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

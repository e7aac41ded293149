//! A program that adds a function and an operator to the SQL of its job.
//!
//! ```text
//! cargo run --example custom_operator                       reads the sample that ships, writes the folder `lake`
//! cargo run --example custom_operator -- LAKE REDDIT        your lake, and your folder of Reddit dumps (RC_*)
//! ```
//!
//! `reading_minutes(body)` is a function over columns: how long it takes to read a text. `silences` is an operator: the
//! longest time between two consecutive comments of each author, which plain aggregates cannot say. Both are part of the
//! job's SQL like any other: a view joins what they compute, and sinks keep it in the lake. Run it again when files are new
//! or have grown: edits and deletions are followed too.
//!
//! Then ask DuckDB:  SELECT * FROM delta_scan('lake/regulars') ORDER BY silence_hours DESC;

use std::cmp::Reverse;
use std::sync::Arc;

use catchment::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, TimestampMicrosecondArray, UInt32Array,
};
use catchment::arrow::compute::take;
use catchment::arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMicrosecondType};
use catchment::operators::reduce;
use catchment::{Diff, Environment, Job, Lake, OperatorSpec, Result, RunOptions, StopHandle, UpdateStream};

const JOB: &str = "
CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = '${reddit}/RC_*');

-- `silences` is the operator below. It is there as soon as `comments` is declared.
CREATE VIEW regulars AS
SELECT s.author, s.comments, s.longest_us / 3600000000.0 AS silence_hours, s.since, r.minutes
FROM silences s
JOIN (SELECT author, sum(reading_minutes(body)) AS minutes FROM comments GROUP BY author) r ON r.author = s.author
WHERE s.comments >= 3;

CREATE SINK silences FROM silences WITH (connector = 'lake', mode = 'current');
CREATE SINK regulars FROM regulars WITH (connector = 'lake', mode = 'current');
CREATE SINK rejects  FROM rejects  WITH (connector = 'lake', mode = 'current');
";

/// Words that a person reads in a minute.
const WORDS_PER_MINUTE: f64 = 230.0;

/// The type of instants between relations.
fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `reading_minutes(text)`: null for null.
fn reading_minutes(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let texts = columns[0].as_string_view();
    let minutes = texts.iter().map(|text| Some(text?.split_whitespace().count() as f64 / WORDS_PER_MINUTE));
    Ok(Arc::new(minutes.collect::<Float64Array>()))
}

/// What the operator reads, and the relation that it makes. Its version belongs to the answers that it gives: with another
/// one, its tables in a lake do not fit any more.
fn silences() -> OperatorSpec {
    let columns = [
        ("author", DataType::Utf8View),
        ("comments", DataType::Int64),
        ("longest_us", DataType::Int64),
        ("since", instant()),
    ];
    let fields: Vec<Field> = columns.map(|(name, data_type)| Field::new(name, data_type, true)).into();
    OperatorSpec::new("silences", "1", Arc::new(Schema::new(fields)))
        .reads("comments", &["author", "created_utc"])
        .key(&[0])
}

/// The operator: authors' comments, recomputed for each author of whom something changed. `reduce` keeps the rows, takes
/// back what was said before, and says nothing where the answer is the same.
fn build_silences(inputs: Vec<UpdateStream<'_>>) -> UpdateStream<'_> {
    let [comments] = inputs.try_into().expect("one input is declared");
    let types = vec![DataType::Utf8View, instant()];
    let out_types = vec![DataType::Utf8View, DataType::Int64, DataType::Int64, instant()];
    reduce(comments, "Silences", vec![0], types, out_types, Box::new(longest_silence))
}

/// One author's row. `columns` are those that the operator reads, for the author's distinct rows, and `copies` says how often
/// each is there. Comments without a time and deleted authors, who are null, have none.
fn longest_silence(columns: &[ArrayRef], copies: &[Diff]) -> Vec<ArrayRef> {
    let (authors, times) = (&columns[0], columns[1].as_primitive::<TimestampMicrosecondType>());
    let mut sorted: Vec<i64> = times.iter().flatten().collect();
    sorted.sort_unstable();
    // Two comments of one moment are one row, twice: no silence lies between them.
    let pairs = sorted.windows(2).map(|pair| (pair[1].saturating_sub(pair[0]), pair[0]));
    let longest = pairs.max_by_key(|(length, since)| (*length, Reverse(*since)));
    let shown = u32::from(authors.is_valid(0));
    let first = UInt32Array::from_iter_values(0..shown);
    let row: [ArrayRef; 4] = [
        authors.slice(0, 1),
        Arc::new(Int64Array::from(vec![copies.iter().sum::<i64>()])),
        Arc::new(Int64Array::from(vec![longest.map(|(length, _)| length)])),
        Arc::new(TimestampMicrosecondArray::from(vec![longest.map(|(_, since)| since)]).with_timezone("UTC")),
    ];
    row.iter().map(|column| take(column, &first, None).expect("at most the one row is taken")).collect()
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let lake = arguments.next().unwrap_or_else(|| "lake".to_string());
    let reddit = arguments.next().unwrap_or_else(|| "examples/data/reddit".to_string());

    let lake = Lake::new(&lake, Environment::system())?;
    let mut builder = Job::builder("custom_operator");
    builder.sql(JOB).variable("reddit", &reddit).lake(lake);
    builder.function("reading_minutes", &[DataType::Utf8View], DataType::Float64, reading_minutes);
    builder.operator(silences(), |_scope, inputs| build_silences(inputs));
    let job = builder.check()?;
    println!("{}\n", job.checked().describe());

    let mut runtime = job.open(RunOptions::default(), &StopHandle::new())?;
    runtime.drain()?;
    println!("{}", runtime.finish()?);
    Ok(())
}

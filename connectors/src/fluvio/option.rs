//! A source's options and columns, checked: everything here is pure.

use std::sync::Arc;

use catchment_contract::Place;
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use catchment_contract::{Declaration, Error, Options, Relation, Replace, Result};

use crate::time::micros;

/// The longest name of a topic.
const TOPIC_BYTES_MAX: usize = 63;

/// What a record's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object.
    Json,
    /// Lines of objects.
    Ndjson,
    /// A change: before, after and operation.
    Debezium,
    /// One object, or `null` to remove its key.
    Upsert,
}

impl Format {
    /// Whether records change rows of a table. Its key may be null then, as that of a view's group may be.
    pub fn changes_rows(self) -> bool {
        matches!(self, Format::Debezium | Format::Upsert)
    }
}

/// Where a job begins that has read nothing of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record that is kept.
    Earliest,
    /// After the last record that is there when the job looks for the first time.
    Latest,
    /// At this offset, in every partition.
    Offset(i64),
    /// At the first record of this time, ms since 1970, or later.
    Time(i64),
}

/// What to do when records were evicted before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEviction {
    /// End with an error that says what is missing.
    Fail,
    /// Go on at the first record that is kept, with a warning and a reject.
    Earliest,
}

/// What a job says of a topic that it reads.
#[derive(Clone, Debug)]
pub struct TopicOptions {
    /// What they belong to, for messages: `source "buzz"`.
    pub owner: String,
    /// The topic's name.
    pub topic: String,
    /// What a record's value is.
    pub format: Format,
    /// Where to begin.
    pub start: Start,
    /// What to do about evicted records.
    pub on_eviction: OnEviction,
    /// Microseconds in the unit of integers in `TIMESTAMP` columns.
    pub time_unit_us: i64,
    /// The declared columns, the key, and how rows replace one another.
    pub relation: Relation,
}

impl TopicOptions {
    /// Takes the options of a source.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::User`] for what is missing or cannot be.
    pub fn take(declared: &Declaration, options: &mut Options) -> Result<Self> {
        let (topic, span) = options.require("topic")?;
        check_topic(&topic, span, options)?;
        let format = match options.take_choice("format", &["json", "ndjson", "debezium", "upsert"])? {
            "ndjson" => Format::Ndjson,
            "debezium" => Format::Debezium,
            "upsert" => Format::Upsert,
            _ => Format::Json,
        };
        let start = match options.take("from") {
            None => Start::Earliest,
            Some((text, span)) => start(&text).ok_or_else(|| {
                options.error(span, format!("option \"from\" of {} cannot be '{text}'", options.owner())).with_hint(
                    "write 'earliest', 'latest', an offset such as '1200' or a time such as '2024-01-31T12:00:00Z'",
                )
            })?,
        };
        let on_eviction = match options.take_choice("on_eviction", &["fail", "earliest"])? {
            "earliest" => OnEviction::Earliest,
            _ => OnEviction::Fail,
        };
        let time_unit_us = match options.take_choice("time_unit", &["microseconds", "milliseconds", "seconds"])? {
            "seconds" => 1_000_000,
            "milliseconds" => 1_000,
            _ => 1,
        };
        let owner = options.owner().to_owned();
        let relation = relation(declared, format, &owner)?;
        Ok(TopicOptions { owner, topic, format, start, on_eviction, time_unit_us, relation })
    }

    /// See [`catchment_contract::Source::definition`].
    pub fn definition(&self) -> String {
        let format = match self.format {
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Debezium => "debezium",
            Format::Upsert => "upsert",
        };
        let unit = match self.time_unit_us {
            1 => "",
            1_000 => " with times in milliseconds",
            _ => " with times in seconds",
        };
        format!("topic \"{}\" as {format}{unit}", self.topic)
    }
}

fn check_topic(topic: &str, span: Place, options: &Options) -> Result<()> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = topic.starts_with('-') || topic.ends_with('-');
    if !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && topic.chars().all(known) && !edge {
        return Ok(());
    }
    let message = format!("option \"topic\" of {} cannot be '{topic}'", options.owner());
    Err(options.error(span, message).with_hint(format!(
        "a topic's name is made of lower-case letters, digits and inner hyphens, at most {TOPIC_BYTES_MAX} of them"
    )))
}

/// `earliest`, `latest`, an offset, or a time.
fn start(text: &str) -> Option<Start> {
    match text.trim() {
        word if word.eq_ignore_ascii_case("earliest") => Some(Start::Earliest),
        word if word.eq_ignore_ascii_case("latest") => Some(Start::Latest),
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().map(Start::Offset)
        }
        time => micros(time).map(|time| Start::Time(time.div_euclid(1_000))),
    }
}

fn relation(declared: &Declaration, format: Format, owner: &str) -> Result<Relation> {
    let Some(columns) = declared.columns.as_ref().filter(|columns| !columns.fields().is_empty()) else {
        return Err(Error::user(format!("{owner} needs its columns: a topic does not say what is in its records"))
            .with_hint("write CREATE SOURCE name (id BIGINT, body TEXT, PRIMARY KEY (id)) WITH (…)"));
    };
    let key = declared.primary_key.iter().map(|name| {
        columns.index_of(name).map_err(|_| {
            Error::user(format!("the primary key of {owner} names \"{name}\", which is no column of it"))
                .with_hint("declare it with its type, or take it out of the key")
        })
    });
    let key = key.collect::<Result<Vec<usize>>>()?;
    if key.is_empty() && format.changes_rows() {
        let name = if format == Format::Debezium { "debezium" } else { "upsert" };
        return Err(Error::user(format!(
            "{owner} needs a primary key, because records of format '{name}' change rows"
        ))
        .with_hint("write PRIMARY KEY (column, …) after the columns"));
    }
    let field = |(index, field): (usize, &Arc<Field>)| {
        let (name, data_type) = (field.name(), field.data_type());
        let is_key = key.contains(&index);
        if !readable(data_type) || (is_key && matches!(data_type, DataType::List(_))) {
            let place = if is_key { "in the primary key " } else { "" };
            let shown =
                if *data_type == DataType::Null { "no type".to_owned() } else { format!("the type {data_type}") };
            return Err(Error::user(format!("column \"{name}\" {place}of {owner} cannot have {shown}")).with_hint(
                "types are booleans, integers, floats, DECIMAL(p, s), TEXT, DATE, TIMESTAMP and arrays of these; keys \
                 have no arrays",
            ));
        }
        fits_record(name, data_type, owner)?;
        Ok(Field::new(name, data_type.clone(), !is_key || format.changes_rows()))
    };
    let fields = columns.fields().iter().enumerate().map(field).collect::<Result<Vec<Field>>>()?;
    let replace = if key.is_empty() { Replace::Never } else { Replace::Row };
    Ok(Relation { schema: Arc::new(Schema::new(fields)), key, replace })
}

/// Whether a column can have this type.
fn readable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => readable(item.data_type()),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => &**zone == "UTC",
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8View
        | DataType::Date32 => true,
        _ => false,
    }
}

/// Whether a column that the record itself fills has a type that it can be filled with.
fn fits_record(name: &str, data_type: &DataType, owner: &str) -> Result<()> {
    let (fits, wanted) = match name {
        "_offset" => (*data_type == DataType::Int64, "BIGINT"),
        "_partition" => (matches!(data_type, DataType::Int32 | DataType::Int64), "INTEGER"),
        "_time" => (matches!(data_type, DataType::Timestamp(..)), "TIMESTAMP"),
        "_key" => (*data_type == DataType::Utf8View, "TEXT"),
        _ => (true, ""),
    };
    if fits {
        return Ok(());
    }
    Err(Error::user(format!("column \"{name}\" of {owner} cannot have the type {data_type}: the record fills it"))
        .with_hint(format!("declare {name} {wanted}, or give the column another name")))
}

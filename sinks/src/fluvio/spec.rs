//! The connector: what a person may write in `WITH (connector = 'fluvio', …)`, checked.
//!
//! ```sql
//! CREATE SINK buzz FROM video_buzz
//!     WITH (connector = 'fluvio', topic = 'video-buzz', format = 'debezium', key = 'video_id', partitions = '4');
//! ```
//!
//! | option | default | |
//! |---|---|---|
//! | `topic` | the relation's name, `_` as `-` | lower-case letters, digits and `-`, at most 63 |
//! | `format` | `debezium` | what records hold: see [`Format`] |
//! | `key` | the relation's key | columns, separated by commas; none for `append` |
//! | `delivery` | `exactly_once` | or `at_least_once` |
//! | `emit` | `all` | `first`: each key once, as it first appeared (only `append`) |
//! | `partitions`, `replication`, `retention` | 1, 1, the broker's | used when the topic is made; `7d`, `36h`, `90m`, `30s` |
//! | `batch_bytes` | 131072 | size that batches are filled to, 64 to 256 KiB |
//!
//! **Keys.** `debezium` and `upsert` speak of *the* row of a key, so the key must be unique in the relation. That is
//! proven when it holds all columns of a key that the planner knows; otherwise the sink is refused, also where the key is
//! given explicitly: two rows with one key would silently become one in every reader.
//!
//! `check` is pure; what it returns is all that opening needs.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::options::nearest;
use catchment_contract::{
    Error, Options, Place, Result, Sink, SinkConnector, SinkContext, SinkSpec, Staged, ViewFacts,
};
use catchment_topics::{TopicSpec, Topics};

use crate::fluvio::sink::FluvioSink;
use catchment_store::Lake;

/// A member of `upsert` and `append` values that holds the epoch.
pub const EPOCH_MEMBER: &str = "_epoch";
/// A member of `upsert` and `append` values that holds the wall time of publishing, ms since 1970.
pub const TIME_MEMBER: &str = "_ts_ms";

const BATCH_BYTES_MIN: usize = 64 << 10;
/// Larger batches make the stock client's losses larger, should it read the topic.
const BATCH_BYTES_MAX: usize = 256 << 10;
const BATCH_BYTES: usize = 128 << 10;
/// Longest name that Fluvio takes.
const TOPIC_CHARS_MAX: usize = 63;
const PARTITIONS_MAX: u32 = 1024;
const REPLICATION_MAX: u32 = 16;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{"before": row or null, "after": row or null, "op": "c", "u" or "d", "epoch": n, "ts_ms": t}`.
    Debezium,
    /// The row with `_epoch` and `_ts_ms`; the value `null` for a key that is gone.
    Upsert,
    /// The row with `_epoch` and `_ts_ms`, of a relation that only grows (or of its keys as they first appear).
    Append,
}

/// When records are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// With each checkpoint, once.
    ExactlyOnce,
    /// As each epoch closes; again after a crash.
    AtLeastOnce,
}

/// Makes sinks that write to topics.
#[derive(Clone, Default)]
pub struct FluvioConnector {
    topics: Topics,
    lake: Lake,
}

/// A checked sink.
#[derive(Clone)]
pub struct FluvioSpec {
    /// The sink's name.
    pub sink: String,
    /// The relation's name.
    pub relation: String,
    /// The relation's columns.
    pub schema: SchemaRef,
    /// The topic's name.
    pub topic: String,
    /// How the topic is made if it is missing.
    pub topic_spec: TopicSpec,
    /// Columns of the record's key; empty for records without one.
    pub key: Vec<usize>,
    /// What records hold.
    pub format: Format,
    /// When they are published.
    pub delivery: Delivery,
    /// Whether each key is published once, as it first appeared.
    pub emit_first: bool,
    /// Size that batches are filled to.
    pub batch_bytes: usize,
    pub(super) topics: Topics,
    lake: Lake,
}

impl FluvioConnector {
    /// A connector whose sinks ask `topics` for their broker when they are opened, and have their outboxes in `lake`.
    pub fn new(topics: &Topics, lake: &Lake) -> Self {
        FluvioConnector { topics: topics.clone(), lake: lake.clone() }
    }
}

impl SinkConnector for FluvioConnector {
    fn name(&self) -> &'static str {
        "fluvio"
    }

    fn check(&self, name: &str, view: &ViewFacts, options: &mut Options) -> Result<Box<dyn SinkSpec>> {
        Ok(Box::new(FluvioSpec::check(name, view, options, &self.topics, &self.lake)?))
    }
}

impl FluvioSpec {
    /// See [`SinkConnector::check`]; `topics` is where the broker will be, `lake` where the outbox will.
    ///
    /// # Errors
    /// For options that are wrong or do not fit the relation.
    pub fn check(name: &str, view: &ViewFacts, options: &mut Options, topics: &Topics, lake: &Lake) -> Result<Self> {
        let topic = check_topic(&view.name, options)?;
        let format_span = span_of("format", options);
        let format = match options.take_choice("format", &["debezium", "upsert", "append"])? {
            "upsert" => Format::Upsert,
            "append" => Format::Append,
            _ => Format::Debezium,
        };
        let delivery = match options.take_choice("delivery", &["exactly_once", "at_least_once"])? {
            "at_least_once" => Delivery::AtLeastOnce,
            _ => Delivery::ExactlyOnce,
        };
        let emit_first = check_emit(format, options)?;
        let key = check_key(view, format, emit_first, options)?;
        if format == Format::Append && !emit_first && !view.append_only {
            let message = format!("{} cannot append: \"{}\" can take rows back", options.owner(), view.name);
            return Err(options.error(format_span, message).with_hint(
                "write format = 'debezium' or 'upsert' to publish changes, or emit = 'first' to publish each key once, as it first appears",
            ));
        }
        check_members(view, format, options)?;
        let topic_spec = TopicSpec {
            partitions: take_number("partitions", 1, PARTITIONS_MAX, options)?.unwrap_or(1),
            replication: take_number("replication", 1, REPLICATION_MAX, options)?.unwrap_or(1),
            retention: check_retention(options)?,
        };
        let batch_bytes = take_number("batch_bytes", BATCH_BYTES_MIN, BATCH_BYTES_MAX, options)?.unwrap_or(BATCH_BYTES);
        Ok(FluvioSpec {
            sink: name.to_owned(),
            relation: view.name.clone(),
            schema: view.schema.clone(),
            topic,
            topic_spec,
            key,
            format,
            delivery,
            emit_first,
            batch_bytes,
            topics: topics.clone(),
            lake: lake.clone(),
        })
    }
}

impl FluvioSpec {
    /// What the topic's records are: `debezium keyed by video_id`. Those of one topic must not change.
    pub fn records(&self) -> String {
        let format = match self.format {
            Format::Debezium => "debezium",
            Format::Upsert => "upsert",
            Format::Append => "append",
        };
        let mut text = String::from(format);
        if !self.key.is_empty() {
            let names: Vec<&str> = self.key.iter().map(|index| self.schema.field(*index).name().as_str()).collect();
            text.push_str(&format!(" keyed by {}", names.join(", ")));
        }
        text.push_str(if self.emit_first { ", each key once" } else { "" });
        text
    }
}

impl SinkSpec for FluvioSpec {
    fn describe(&self) -> String {
        let delivery = match self.delivery {
            Delivery::ExactlyOnce => "exactly once",
            Delivery::AtLeastOnce => "at least once",
        };
        format!("{}, {}, {delivery}", self.target(), self.records())
    }

    fn target(&self) -> String {
        format!("topic \"{}\"", self.topic)
    }

    fn open(&self, context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>> {
        let lake = self.lake.open()?;
        Ok(Box::new(FluvioSink::open(self.clone(), lake, self.topics.broker()?, context, last)?))
    }
}

/// Where the option `name` stands, if it was given.
fn span_of(name: &'static str, options: &Options) -> Place {
    options.clone().take(name).map(|(_, span)| span).unwrap_or_default()
}

fn check_topic(relation: &str, options: &mut Options) -> Result<String> {
    let given = options.take("topic");
    let (topic, span) = given.unwrap_or_else(|| (relation.to_lowercase().replace('_', "-"), Place::default()));
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let edges = !topic.starts_with('-') && !topic.ends_with('-');
    if !topic.is_empty() && topic.len() <= TOPIC_CHARS_MAX && edges && topic.chars().all(letter) {
        return Ok(topic);
    }
    Err(options.error(span, format!("{} cannot use \"{topic}\" as the name of a topic", options.owner())).with_hint(
        format!("write topic = '…' with lower-case letters, digits and '-' between them, at most {TOPIC_CHARS_MAX}"),
    ))
}

fn check_emit(format: Format, options: &mut Options) -> Result<bool> {
    let span = span_of("emit", options);
    let first = options.take_choice("emit", &["all", "first"])? == "first";
    if first && format != Format::Append {
        let message = format!("{} has emit = 'first', which goes with format = 'append' only", options.owner());
        return Err(options.error(span, message).with_hint("write format = 'append', or leave emit out"));
    }
    Ok(first)
}

fn check_key(view: &ViewFacts, format: Format, emit_first: bool, options: &mut Options) -> Result<Vec<usize>> {
    let known = view.key.as_deref().filter(|key| !key.is_empty());
    let needs_unique = format != Format::Append;
    let Some((text, span)) = options.take("key") else {
        return match known {
            Some(key) if needs_unique || emit_first => Ok(key.to_vec()),
            None if needs_unique || emit_first => {
                Err(Error::user(format!("{} needs the option \"key\"", options.owner()))
                    .with_hint(format!("write key = '…' with the columns that name a row of \"{}\"", view.name)))
            }
            _ => Ok(Vec::new()),
        };
    };
    let mut key = Vec::new();
    for name in text.split(',').map(str::trim) {
        let index = find_column(name, view, span, options)?;
        if key.contains(&index) {
            let name = view.schema.field(index).name();
            return Err(options.error(span, format!("key of {} names \"{name}\" twice", options.owner())));
        }
        key.push(index);
    }
    let proven = view.key.as_ref().is_some_and(|unique| unique.iter().all(|column| key.contains(column)));
    if proven || !needs_unique {
        return Ok(key);
    }
    let message =
        format!("{} cannot be keyed by {text}: several rows of \"{}\" may share it", options.owner(), view.name);
    let hint = match known {
        Some(unique) => {
            let names: Vec<&str> = unique.iter().map(|index| view.schema.field(*index).name().as_str()).collect();
            format!("write key = '{}', which is unique in it", names.join(", "))
        }
        None => "GROUP BY these columns in the view, so that a row is the only one of its key, or write format = 'append' with emit = 'first' to publish each key once".to_owned(),
    };
    Err(options.error(span, message).with_hint(hint))
}

fn find_column(name: &str, view: &ViewFacts, span: Place, options: &Options) -> Result<usize> {
    let fields = view.schema.fields();
    if let Some(found) = fields.iter().position(|field| field.name().eq_ignore_ascii_case(name)) {
        return Ok(found);
    }
    let message = format!("key of {}: \"{}\" has no column \"{name}\"", options.owner(), view.name);
    let names = fields.iter().map(|field| field.name().as_str());
    Err(options.error(span, message).with_hint(match nearest(name, names.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("its columns are {}", names.collect::<Vec<_>>().join(", ")),
    }))
}

/// Refuses columns that would be members twice.
fn check_members(view: &ViewFacts, format: Format, options: &Options) -> Result<()> {
    let mut names: Vec<&str> = match format {
        Format::Debezium => Vec::new(),
        Format::Upsert | Format::Append => vec![EPOCH_MEMBER, TIME_MEMBER],
    };
    for field in view.schema.fields() {
        if names.contains(&field.name().as_str()) {
            return Err(Error::user(format!(
                "records of {} would have two fields named \"{}\"",
                options.owner(),
                field.name()
            ))
            .with_hint("give the view's column another name: … AS name"));
        }
        names.push(field.name());
    }
    Ok(())
}

fn take_number<T>(name: &'static str, min: T, max: T, options: &mut Options) -> Result<Option<T>>
where
    T: FromStr + PartialOrd + Display,
{
    let Some((text, span)) = options.take(name) else { return Ok(None) };
    match text.trim().parse::<T>() {
        Ok(number) if number >= min && number <= max => Ok(Some(number)),
        _ => Err(options
            .error(span, format!("option \"{name}\" of {} cannot be '{text}'", options.owner()))
            .with_hint(format!("write a number from {min} to {max}"))),
    }
}

fn check_retention(options: &mut Options) -> Result<Option<Duration>> {
    let Some((text, span)) = options.take("retention") else { return Ok(None) };
    let parsed = || {
        let trimmed = text.trim();
        let unit = trimmed.chars().last()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let number: u64 = trimmed[..trimmed.len() - unit.len_utf8()].trim().parse().ok()?;
        // A cluster keeps seconds in 32 bits.
        number.checked_mul(seconds).filter(|seconds| (1..=u64::from(u32::MAX)).contains(seconds))
    };
    match parsed() {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => Err(options
            .error(span, format!("option \"retention\" of {} cannot be '{text}'", options.owner()))
            .with_hint("write a whole number with s, m, h, d or w: '7d', '36h'")),
    }
}

/// The sinks of this module.
pub(crate) fn connector(topics: &Topics, lake: &Lake) -> Arc<dyn SinkConnector> {
    Arc::new(FluvioConnector::new(topics, lake))
}

//! What the tests of this crate share: connectors without an outside world, and a job's dataflow run on histories.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use catchment_contract::{
    Declaration, Decoder, Error, Options, Partition, PartitionReader, Position, Relation, Replace, Result, Sink,
    SinkConnector, SinkContext, SinkSpec, Source, SourceConnector, Staged, Unfinished, ViewFacts,
};
use catchment_sql::Registry;

pub mod history;

/// A source that only has a relation: its records come from the test.
pub struct Table(pub Relation);

impl Source for Table {
    fn relation(&self) -> &Relation {
        &self.0
    }

    fn definition(&self) -> String {
        "rows in memory".into()
    }

    fn discover(&self, _known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        Err(Error::bug("a test's table has no partitions"))
    }

    fn open(&self, _partition: &Partition, _unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        Err(Error::bug("a test's table has no partitions"))
    }

    fn decoder(&self, _projection: &[usize]) -> Arc<dyn Decoder> {
        unreachable!("a test's table is not decoded")
    }
}

/// The type of instants.
pub fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A schema of nullable columns, but for the first `keys`.
pub fn schema(columns: &[(&str, DataType)], keys: usize) -> SchemaRef {
    let field = |(index, (name, kind)): (usize, &(&str, DataType))| Field::new(*name, kind.clone(), index >= keys);
    Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()))
}

fn reddit(kind: &str) -> Relation {
    let mut columns = vec![
        ("id", DataType::Utf8View),
        ("subreddit", DataType::Utf8View),
        ("author", DataType::Utf8View),
        ("created_utc", instant()),
        ("score", DataType::Int64),
        ("edited_at", instant()),
    ];
    match kind {
        "comments" => columns.extend(["body", "link_id", "parent_id"].map(|name| (name, DataType::Utf8View))),
        _ => columns.extend(["title", "selftext", "url"].map(|name| (name, DataType::Utf8View))),
    }
    Relation { schema: schema(&columns, 1), key: vec![0], replace: Replace::Row }
}

fn youtube() -> Relation {
    let columns = [
        ("video_id", DataType::Utf8View),
        ("language_code", DataType::Utf8View),
        ("is_generated", DataType::Boolean),
        ("segment", DataType::Int64),
        ("start", DataType::Float64),
        ("duration", DataType::Float64),
        ("text", DataType::Utf8View),
    ];
    Relation { schema: schema(&columns, 2), key: vec![0, 1], replace: Replace::Payload }
}

/// Relations of the slt files and the oracle: a keyed one, one that grows only, and one of documents.
pub fn relation_of(kind: &str) -> Option<Relation> {
    let text = DataType::Utf8View;
    let (columns, keys, replace) = match kind {
        "posts" => (
            vec![
                ("id", DataType::Int64),
                ("grp", text.clone()),
                ("score", DataType::Int64),
                ("at", instant()),
                ("body", text),
            ],
            vec![0],
            Replace::Row,
        ),
        "events" => (
            vec![("name", text.clone()), ("grp", text), ("n", DataType::Int64), ("x", DataType::Float64)],
            vec![],
            Replace::Never,
        ),
        "docs" => (vec![("doc", text.clone()), ("line", DataType::Int64), ("word", text)], vec![0], Replace::Payload),
        _ => return None,
    };
    Some(Relation { schema: schema(&columns, keys.len()), key: keys, replace })
}

struct TestSource(&'static str);

impl SourceConnector for TestSource {
    fn name(&self) -> &'static str {
        self.0
    }

    fn check(&self, _name: &str, declared: &Declaration, options: &mut Options) -> Result<Arc<dyn Source>> {
        let relation = match self.0 {
            "reddit" => {
                options.require("path")?;
                reddit(options.take_choice("kind", &["comments", "submissions"])?)
            }
            "youtube" => {
                options.require("path")?;
                youtube()
            }
            _ => {
                let (kind, span) = options.require("kind")?;
                if let (true, Some(columns)) = (kind == "declared", &declared.columns) {
                    let key: Vec<usize> =
                        declared.primary_key.iter().filter_map(|name| columns.index_of(name).ok()).collect();
                    let replace = if key.is_empty() { Replace::Never } else { Replace::Row };
                    return Ok(Arc::new(Table(Relation { schema: columns.clone(), key, replace })));
                }
                relation_of(&kind).ok_or_else(|| options.error(span, format!("there is no kind '{kind}'")))?
            }
        };
        Ok(Arc::new(Table(relation)))
    }
}

struct TestSink(&'static str);

impl SinkConnector for TestSink {
    fn name(&self) -> &'static str {
        self.0
    }

    fn check(&self, name: &str, view: &ViewFacts, options: &mut Options) -> Result<Box<dyn SinkSpec>> {
        if self.0 == "fluvio" {
            let (topic, _) = options.require("topic")?;
            ["key", "format", "emit", "delivery"].iter().for_each(|option| drop(options.take(option)));
            let target = format!("topic \"{topic}\"");
            return Ok(Box::new(Spec { describe: target.clone(), target }));
        }
        let mode = options.take_choice("mode", &["current", "append", "changes"])?;
        if mode == "append" && !view.append_only {
            let message = format!("sink \"{name}\" cannot append: \"{}\" can retract", view.name);
            return Err(Error::user(message).with_hint("write mode = 'current'"));
        }
        let table = options.take("table").map_or(name.to_string(), |(table, _)| table);
        options.take("partition_by");
        let describe = format!("lake table \"{}\", mode {mode}", view.name);
        Ok(Box::new(Spec { describe, target: format!("lake table \"{table}\"") }))
    }
}

struct Spec {
    describe: String,
    target: String,
}

impl SinkSpec for Spec {
    fn describe(&self) -> String {
        self.describe.clone()
    }

    fn target(&self) -> String {
        self.target.clone()
    }

    fn open(&self, _context: &SinkContext, _last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>> {
        Err(Error::bug("a test's sink is not opened"))
    }
}

/// The connectors `reddit`, `youtube` and `table`, and the sinks `lake` and `fluvio`.
pub fn registry() -> Registry {
    let source = |name| Arc::new(TestSource(name)) as Arc<dyn SourceConnector>;
    let sink = |name| Arc::new(TestSink(name)) as Arc<dyn SinkConnector>;
    Registry {
        sources: ["reddit", "youtube", "table"].map(source).to_vec(),
        sinks: ["lake", "fluvio"].map(sink).to_vec(),
    }
}

/// Compares `written` with the file `name` of this crate's tests; with `CATCHMENT_RENEW=1` writes it instead.
#[track_caller]
pub fn golden(name: &str, written: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    if std::env::var_os("CATCHMENT_RENEW").is_some() {
        std::fs::write(&path, written).expect("the file can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = known.lines().zip(written.lines()).enumerate().find(|(_, (known, written))| known != written);
    let Some((line, (known, written))) = differs else {
        assert_eq!(known.lines().count(), written.lines().count(), "{name} is longer or shorter: CATCHMENT_RENEW=1");
        return;
    };
    let line = line + 1;
    panic!("{name}, line {line}, is\n{known}\nand should be\n{written}\nCATCHMENT_RENEW=1 writes it anew");
}

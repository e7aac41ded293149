//! The suite of all sinks, for the lake and for topics.
//!
//! Topics are those of the embedded broker; with `FLUVIO_ENDPOINT` set to a cluster's controller, of that cluster too.

use crate::common;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::broker::records;
use crate::common::{options, read};
use catchment_contract::suite::sink::{self, SinkFixture};
use catchment_contract::{Environment, SinkContext, SinkSpec};
use catchment_sinks::fluvio::FluvioSpec;
use catchment_sinks::lake::LakeSpec;
use catchment_store::Lake;
use catchment_topics::cluster::{ClusterOptions, connect};
use catchment_topics::{Broker, Embedded, EmbeddedOptions, Topics};
use serde_json::Value;
use tempfile::TempDir;

fn context(folder: &TempDir) -> SinkContext {
    SinkContext { scratch: folder.path().to_owned(), ..SinkContext::alone("suite") }
}

fn lake_in(folder: &TempDir) -> Lake {
    Lake::new(folder.path().join("lake").to_str().unwrap(), common::environment()).unwrap()
}

struct Table {
    folder: TempDir,
    mode: &'static str,
}

impl SinkFixture for Table {
    fn spec(&self) -> Box<dyn SinkSpec> {
        let mut options = options(&[("mode", self.mode)]);
        Box::new(LakeSpec::check("lake", &self.facts(), &mut options, &lake_in(&self.folder)).unwrap())
    }

    fn context(&self) -> SinkContext {
        context(&self.folder)
    }

    fn read(&mut self) -> Vec<String> {
        let lake = lake_in(&self.folder).open().unwrap();
        read(&lake, "suite").iter().flat_map(sink::batch_texts).collect()
    }

    fn is_append_only(&self) -> bool {
        self.mode == "append"
    }
}

#[test]
fn lake() {
    for seed in 0..8 {
        let mode = ["current", "append"][seed as usize % 2];
        println!("seed {seed}, {mode}");
        sink::run(&mut Table { folder: tempfile::tempdir().unwrap(), mode }, seed);
    }
}

/// A topic; of a broker that is started anew for another life of the job, if it is ours.
struct Topic {
    folder: TempDir,
    topic: String,
    given: &'static [(&'static str, &'static str)],
    broker: Option<Arc<dyn Broker>>,
    embedded: bool,
}

impl Topic {
    fn embedded(given: &'static [(&'static str, &'static str)]) -> Topic {
        let folder = tempfile::tempdir().unwrap();
        let broker: Arc<dyn Broker> = start(&folder);
        Topic { folder, topic: "suite".into(), given, broker: Some(broker), embedded: true }
    }

    fn broker(&self) -> &Arc<dyn Broker> {
        self.broker.as_ref().unwrap()
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.given.contains(&(name, value))
    }
}

fn start(folder: &TempDir) -> Arc<dyn Broker> {
    let folder = folder.path().join("topics");
    Embedded::start(EmbeddedOptions { folder, ..EmbeddedOptions::default() }, &Environment::system()).unwrap()
}

impl SinkFixture for Topic {
    fn spec(&self) -> Box<dyn SinkSpec> {
        let topics = Topics::of(Arc::clone(self.broker()));
        let mut given = self.given.to_vec();
        given.push(("topic", &self.topic));
        let spec =
            FluvioSpec::check("topic", &self.facts(), &mut options(&given), &topics, &lake_in(&self.folder)).unwrap();
        Box::new(spec)
    }

    fn context(&self) -> SinkContext {
        context(&self.folder)
    }

    fn read(&mut self) -> Vec<String> {
        let mut rows: BTreeMap<Option<String>, String> = BTreeMap::new();
        let mut texts = Vec::new();
        for record in records(&**self.broker(), &self.topic) {
            let mut value: Value = serde_json::from_str(&record.value).unwrap();
            if self.has("format", "debezium") {
                let before = value["before"].take();
                let known = rows.get(&record.key);
                assert_eq!(known.cloned(), (!before.is_null()).then(|| sink::row_text(&before)), "what was before");
                value = value["after"].take();
            }
            match value {
                Value::Null => drop(rows.remove(&record.key)),
                row if record.key.is_none() => texts.push(sink::row_text(&row)),
                row => drop(rows.insert(record.key, sink::row_text(&row))),
            }
        }
        texts.extend(rows.into_values());
        texts
    }

    fn is_append_only(&self) -> bool {
        self.has("format", "append")
    }

    fn restart(&mut self) {
        if self.embedded {
            self.broker = None;
            self.broker = Some(start(&self.folder));
        }
    }
}

const KINDS: [&[(&str, &str)]; 4] = [
    &[("format", "debezium"), ("partitions", "3")],
    &[("format", "upsert"), ("partitions", "2"), ("batch_bytes", "65536")],
    &[("format", "append"), ("partitions", "2"), ("batch_bytes", "65536")],
    &[("format", "append"), ("key", "id")],
];

#[test]
fn topics_of_the_embedded_broker() {
    for seed in 0..8 {
        let given = KINDS[seed as usize % KINDS.len()];
        println!("seed {seed}, {given:?}");
        sink::run(&mut Topic::embedded(given), seed);
    }
}

/// The embedded broker as a process of its own would be reached: by our client, over TCP.
#[test]
fn topics_over_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
    let broker = Embedded::start(options, &Environment::system()).unwrap();
    over_the_network(broker.controller().to_string());
}

#[test]
fn topics_of_a_cluster() {
    if let Ok(endpoint) = std::env::var("FLUVIO_ENDPOINT") {
        over_the_network(endpoint);
    }
}

fn over_the_network(endpoint: String) {
    let broker: Arc<dyn Broker> =
        connect(ClusterOptions { endpoint, ..ClusterOptions::default() }, &Environment::system()).unwrap();
    for seed in 0..KINDS.len() as u64 {
        let topic = format!("suite-{}-{seed}", std::process::id());
        let (folder, given) = (tempfile::tempdir().unwrap(), KINDS[seed as usize % KINDS.len()]);
        println!("seed {seed}, {given:?}, topic {topic} at {}", broker.describe());
        let mut fixture = Topic { folder, topic, given, broker: Some(Arc::clone(&broker)), embedded: false };
        sink::run(&mut fixture, seed);
        broker.delete(&fixture.topic).unwrap();
    }
}

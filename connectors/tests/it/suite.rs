//! The conformance suite of `catchment_contract` for every source here. A real cluster joins in when the environment
//! names one: `FLUVIO_ENDPOINT=host:port`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::suite::source::{SourceFixture, TestRecord, run};
use catchment_contract::{Declaration, Environment, Options, Source, SourceConnector};
use catchment_topics::cluster::{ClusterOptions, connect};
use catchment_topics::{Broker, TopicSpec, Topics};

use crate::topic::{Local, append, source};

/// A folder of files that a connector reads.
struct Files {
    folder: tempfile::TempDir,
    connector: Arc<dyn SourceConnector>,
    with: &'static [(&'static str, &'static str)],
    columns: [&'static str; 2],
    partitions: usize,
}

impl Files {
    fn new(
        connector: impl SourceConnector + 'static,
        with: &'static [(&'static str, &'static str)],
        columns: [&'static str; 2],
    ) -> Self {
        Files { folder: tempfile::tempdir().unwrap(), connector: Arc::new(connector), with, columns, partitions: 1 }
    }

    fn source(&self) -> Arc<dyn Source> {
        let mut options = Options::new("source \"s\"");
        options.insert("path", self.folder.path().to_str().unwrap(), Default::default());
        for (name, value) in self.with {
            options.insert(*name, *value, Default::default());
        }
        self.connector.check("s", &Declaration::default(), &mut options).unwrap()
    }

    fn columns(&self) -> [usize; 2] {
        let source = self.source();
        self.columns.map(|name| source.relation().schema.index_of(name).unwrap())
    }

    fn append(&self, file: &str, bytes: &[u8]) {
        let path: PathBuf = self.folder.path().join(file);
        fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
    }
}

/// Comments, one a line; a file is a partition.
struct Comments(Files);

impl Comments {
    fn line(record: &TestRecord) -> String {
        let TestRecord { id, text } = record;
        let (id, text) = (serde_json::to_string(id).unwrap(), serde_json::to_string(text).unwrap());
        format!("{{\"id\":{id},\"body\":{text},\"created_utc\":1704067200,\"author\":\"a\",\"subreddit\":\"s\"}}\n")
    }

    fn file(partition: usize) -> String {
        format!("part-{partition:03}.ndjson")
    }
}

impl SourceFixture for Comments {
    fn source(&self) -> Arc<dyn Source> {
        self.0.source()
    }

    fn columns(&self) -> [usize; 2] {
        self.0.columns()
    }

    fn partitions(&self) -> usize {
        self.0.partitions
    }

    fn append(&mut self, partition: usize, records: &[TestRecord]) {
        let lines: String = records.iter().map(Comments::line).collect();
        self.0.append(&Comments::file(partition), lines.as_bytes());
    }

    fn append_bad(&mut self, partition: usize) {
        self.0.append(&Comments::file(partition), b"{\"id\":\"half of a com\n");
    }

    fn add_partition(&mut self) -> bool {
        // The file comes with its first record: an empty file is a reject of its own.
        self.0.partitions += 1;
        true
    }

    fn append_part(&mut self, partition: usize, record: &TestRecord) -> bool {
        let line = Comments::line(record);
        self.0.append(&Comments::file(partition), &line.as_bytes()[..line.len() / 2]);
        true
    }

    fn append_rest(&mut self, partition: usize, record: &TestRecord) {
        let line = Comments::line(record);
        self.0.append(&Comments::file(partition), &line.as_bytes()[line.len() / 2..]);
    }
}

/// Transcripts of one segment, each a file and so a partition of its own.
struct Transcripts {
    files: Files,
    bad: usize,
}

impl SourceFixture for Transcripts {
    fn source(&self) -> Arc<dyn Source> {
        self.files.source()
    }

    fn columns(&self) -> [usize; 2] {
        self.files.columns()
    }

    fn partitions(&self) -> usize {
        1
    }

    fn append(&mut self, _: usize, records: &[TestRecord]) {
        for TestRecord { id, text } in records {
            let text = serde_json::to_string(text).unwrap();
            let document = format!("[{{\"text\":{text},\"start\":0.0,\"duration\":1.5}}]");
            self.files.append(&format!("{id}.en.json"), document.as_bytes());
        }
    }

    fn append_bad(&mut self, _: usize) {
        self.bad += 1;
        self.files.append(&format!("bad-{}.json", self.bad), b"[{\"text\":\"half of a trans");
    }

    fn records_max(&self) -> u64 {
        12
    }
}

/// A topic, on whichever broker.
struct Topic {
    broker: Arc<dyn Broker>,
    topics: Topics,
    topic: String,
    partitions: u32,
    /// Gives the topic more partitions, where the broker can.
    widen: Option<Box<dyn Fn(u32)>>,
}

impl SourceFixture for Topic {
    fn source(&self) -> Arc<dyn Source> {
        let columns = [("text", DataType::Utf8View), ("id", DataType::Utf8View)];
        source(&self.topics, &columns, &[], &[("topic", &self.topic)])
    }

    fn columns(&self) -> [usize; 2] {
        [1, 0]
    }

    fn partitions(&self) -> usize {
        self.partitions as usize
    }

    fn append(&mut self, partition: usize, records: &[TestRecord]) {
        for records in records.chunks(40) {
            let value = |TestRecord { id, text }: &TestRecord| {
                format!("{{\"id\":\"{id}\",\"text\":{}}}", serde_json::to_string(text).unwrap())
            };
            let records: Vec<String> = records.iter().map(value).collect();
            append(&*self.broker, &self.topic, partition as u32, &records, 1_000);
        }
    }

    fn append_bad(&mut self, partition: usize) {
        append(&*self.broker, &self.topic, partition as u32, &["half of a rec".to_owned()], 1_000);
    }

    fn add_partition(&mut self) -> bool {
        let Some(widen) = &self.widen else { return false };
        self.partitions += 1;
        widen(self.partitions);
        true
    }
}

#[test]
fn reddit_files() {
    for seed in 0..4 {
        let connector = catchment_connectors::reddit::Connector::new(&Environment::system());
        run(&mut Comments(Files::new(connector, &[("kind", "comments")], ["id", "body"])), seed);
    }
}

#[test]
fn youtube_files() {
    for seed in 0..4 {
        let connector = catchment_connectors::youtube::YoutubeConnector::new(&Environment::system());
        run(&mut Transcripts { files: Files::new(connector, &[], ["video_id", "text"]), bad: 0 }, seed);
    }
}

#[test]
fn topics_of_the_embedded_broker() {
    for seed in 0..4 {
        let local = Local::with_segments(1 << 20);
        local.create("suite", 2);
        let broker = local.broker.clone();
        let widen = move |partitions| broker.widen("suite", partitions).unwrap();
        let mut fixture = Topic {
            broker: local.broker.clone(),
            topics: local.topics.clone(),
            topic: "suite".to_owned(),
            partitions: 2,
            widen: Some(Box::new(widen)),
        };
        run(&mut fixture, seed);
    }
}

#[test]
fn topics_of_a_cluster() {
    let Ok(endpoint) = std::env::var("FLUVIO_ENDPOINT") else {
        println!("FLUVIO_ENDPOINT names no cluster: nothing is tested");
        return;
    };
    let broker = connect(ClusterOptions { endpoint, ..ClusterOptions::default() }, &Environment::system()).unwrap();
    for seed in 0..4 {
        let now = Environment::system().wall_micros();
        let topic = format!("suite-{now}-{seed}");
        broker.create(&topic, &TopicSpec { partitions: 3, ..TopicSpec::default() }).unwrap();
        let topics = Topics::of(broker.clone());
        let mut fixture = Topic { broker: broker.clone(), topics, topic, partitions: 3, widen: None };
        run(&mut fixture, seed);
        broker.delete(&fixture.topic).unwrap();
    }
}

//! The connector and the sink of the examples pass the suites that ours pass. Runs in the workspace, and outside of it.

#[path = "../../examples/own_sink.rs"]
mod own_sink;
#[path = "../../examples/own_source.rs"]
mod own_source;

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;

use catchment_contract::suite::sink::{self, SinkFixture};
use catchment_contract::suite::source::{self, SourceFixture, TestRecord};
use catchment_contract::{Declaration, Options, SinkConnector, SinkContext, SinkSpec, Source, SourceConnector};
use tempfile::TempDir;

/// A folder of logs; a record's id is the visitor, its text the page.
struct Logs {
    folder: TempDir,
    files: usize,
}

impl Logs {
    fn append(&self, partition: usize, text: &str) {
        let path = self.folder.path().join(format!("{partition:03}.log"));
        let file = File::options().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a log can be written");
    }
}

impl SourceFixture for Logs {
    fn source(&self) -> Arc<dyn Source> {
        let mut options = Options::new("source \"visits\"");
        options.insert("path", self.folder.path().to_string_lossy(), Default::default());
        own_source::Log.check("visits", &Declaration::default(), &mut options).expect("the options are right")
    }

    fn columns(&self) -> [usize; 2] {
        [0, 1]
    }

    fn partitions(&self) -> usize {
        self.files
    }

    fn append(&mut self, partition: usize, records: &[TestRecord]) {
        let lines: String = records.iter().map(|record| format!("{}\t{}\n", record.id, record.text)).collect();
        Logs::append(self, partition, &lines);
    }

    fn append_bad(&mut self, partition: usize) {
        Logs::append(self, partition, "no tab\n");
    }

    fn add_partition(&mut self) -> bool {
        self.files += 1;
        true
    }

    fn append_part(&mut self, partition: usize, record: &TestRecord) -> bool {
        Logs::append(self, partition, &record.id);
        true
    }

    fn append_rest(&mut self, partition: usize, record: &TestRecord) {
        Logs::append(self, partition, &format!("\t{}\n", record.text));
    }
}

#[test]
fn the_source_keeps_its_promises() {
    for seed in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        source::run(&mut Logs { folder, files: 1 }, seed);
    }
}

/// A file of JSON lines.
struct Lines(TempDir);

impl SinkFixture for Lines {
    fn spec(&self) -> Box<dyn SinkSpec> {
        let mut options = Options::new("sink \"suite\"");
        options.insert("path", self.0.path().join("suite.ndjson").to_string_lossy(), Default::default());
        own_sink::Files.check("suite", &self.facts(), &mut options).expect("the options are right")
    }

    fn context(&self) -> SinkContext {
        SinkContext { scratch: self.0.path().to_owned(), ..SinkContext::alone("suite") }
    }

    fn read(&mut self) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join("suite.ndjson")).unwrap_or_default();
        text.lines().map(|line| sink::row_text(&serde_json::from_str(line).expect("a line of JSON"))).collect()
    }
}

#[test]
fn the_sink_keeps_its_promises() {
    for seed in 0..10 {
        sink::run(&mut Lines(tempfile::tempdir().expect("a folder")), seed);
    }
}

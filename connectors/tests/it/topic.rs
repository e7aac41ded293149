//! Topics for tests: an embedded broker in a temporary folder, a broker in memory that can do what the embedded one
//! refuses (repeat batches, evict, fail), and shorthands.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use catchment_connectors::fluvio::Connector;
use catchment_contract::arrow::array::{Array, AsArray};
use catchment_contract::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use catchment_contract::arrow::util::display::array_value_to_string;
use catchment_contract::{
    Declaration, Environment, Error, Options, Partition, Payload, Position, Result, Source, SourceConnector, Unfinished,
};
use catchment_topics::batch::{BatchBuilder, BatchHeader, HEADER_BYTES, Producer, set_base_offset};
use catchment_topics::{
    Bounds, Broker, Embedded, EmbeddedOptions, Fetched, PartitionClient, TopicFacts, TopicSpec, Topics,
};

/// Longer than a test takes.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

/// An embedded broker.
pub struct Local {
    folder: tempfile::TempDir,
    segment_bytes: u64,
    pub broker: Arc<Embedded>,
    pub topics: Topics,
}

impl Local {
    /// With segments of a few records, so that retention has something to drop.
    pub fn new() -> Self {
        Local::with_segments(500)
    }

    pub fn with_segments(segment_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (broker, topics) = start(&folder, segment_bytes, WEEK);
        Local { folder, segment_bytes, broker, topics }
    }

    pub fn create(&self, topic: &str, partitions: u32) {
        self.broker.create(topic, &TopicSpec { partitions, ..TopicSpec::default() }).unwrap();
    }

    /// Changes `old` to `new` in the segment of `topic` that begins at offset `base`, as a disk may.
    pub fn damage(&self, topic: &str, partition: u32, base: i64, old: &[u8], new: &[u8]) {
        let file = self.folder.path().join(format!("topics/{topic}/{partition}/{base:020}.log"));
        let mut bytes = std::fs::read(&file).unwrap();
        let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
        bytes[at..at + new.len()].copy_from_slice(new);
        std::fs::write(&file, bytes).unwrap();
    }

    /// Ends the broker and starts it again on its folder, where it keeps records for `retention`; sources that were made
    /// before must be gone.
    pub fn restart(&mut self, retention: Duration) {
        let idle = tempfile::tempdir().unwrap();
        // The old one must let go of its folder before the new one takes it.
        (self.broker, self.topics) = start(&idle, self.segment_bytes, WEEK);
        (self.broker, self.topics) = start(&self.folder, self.segment_bytes, retention);
    }
}

fn start(folder: &tempfile::TempDir, segment_bytes: u64, retention: Duration) -> (Arc<Embedded>, Topics) {
    let folder = folder.path().to_owned();
    let options = EmbeddedOptions { folder, segment_bytes, retention, ..EmbeddedOptions::default() };
    let broker = Embedded::start(options, &Environment::system()).unwrap();
    let topics = Topics::of(broker.clone());
    (broker, topics)
}

/// A batch of records without keys.
pub fn encode(records: &[String], producer: Producer, sequence: i32, time: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    records.iter().for_each(|record| builder.push(None, record.as_bytes()));
    builder.finish(producer, sequence, time)
}

/// Appends one batch of records without keys, all of `time` (ms since 1970).
pub fn append(broker: &dyn Broker, topic: &str, partition: u32, records: &[String], time: i64) {
    let batch = encode(records, Producer::NONE, -1, time);
    broker.partition(topic, partition).unwrap().produce(&batch).unwrap();
}

/// Appends one batch of records with keys.
pub fn append_keyed(broker: &dyn Broker, topic: &str, partition: u32, records: &[(Option<&str>, &str)], time: i64) {
    let mut builder = BatchBuilder::new();
    records.iter().for_each(|(key, value)| builder.push(key.map(str::as_bytes), value.as_bytes()));
    let batch = builder.finish(Producer::NONE, -1, time);
    broker.partition(topic, partition).unwrap().produce(&batch).unwrap();
}

/// A batch of records without keys, compressed as the header's number says: 0 none, 1 gzip, 4 zstd.
pub fn compressed(records: &[String], compression: u8) -> Vec<u8> {
    let plain = encode(records, Producer::NONE, -1, 1_000);
    let (header, records) = plain.split_at(HEADER_BYTES);
    let packed = match compression {
        1 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(records).unwrap();
            encoder.finish().unwrap()
        }
        4 => zstd::encode_all(records, 1).unwrap(),
        _ => records.to_vec(),
    };
    let mut batch = [header, &packed].concat();
    let length = i32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[22] = compression;
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}

/// Columns that are just an id.
pub fn id_column() -> [(&'static str, DataType); 1] {
    [("id", DataType::Int64)]
}

pub fn declare(columns: &[(&str, DataType)], key: &[&str]) -> Declaration {
    let fields = columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    Declaration {
        columns: Some(Arc::new(Schema::new(fields.collect::<Vec<_>>()))),
        primary_key: key.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A source, as a job makes it: all options must be known.
pub fn try_source(topics: &Topics, declared: &Declaration, with: &[(&str, &str)]) -> Result<Arc<dyn Source>> {
    let mut options = Options::new("source \"s\"");
    for (name, value) in with {
        options.insert(*name, *value, Default::default());
    }
    let source = Connector::new(topics).check("s", declared, &mut options)?;
    options.finish()?;
    Ok(source)
}

pub fn source(topics: &Topics, columns: &[(&str, DataType)], key: &[&str], with: &[(&str, &str)]) -> Arc<dyn Source> {
    try_source(topics, &declare(columns, key), with).unwrap()
}

/// All payloads of a partition.
pub fn read(source: &dyn Source, partition: &Partition) -> Vec<Payload> {
    let mut reader = source.open(partition, Unfinished::Take).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

/// All payloads after a position.
pub fn read_from(source: &dyn Source, id: &str, from: &Position) -> Vec<Payload> {
    read(source, &Partition { id: id.to_owned(), bytes: None, from: Some(from.clone()) })
}

/// The first column of all rows.
pub fn ids(source: &dyn Source, payloads: &[Payload]) -> Vec<i64> {
    let decoder = source.decoder(&[0]);
    let decoded = payloads.iter().map(|payload| decoder.decode(payload).rows);
    decoded.flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// All rows as text, values with `|` between them, removals with `-` in front.
pub fn values(source: &dyn Source, payloads: &[Payload]) -> Vec<String> {
    let columns: Vec<usize> = (0..source.relation().schema.fields().len()).collect();
    let decoder = source.decoder(&columns);
    let mut shown = Vec::new();
    for decoded in payloads.iter().map(|payload| decoder.decode(payload)) {
        for row in 0..decoded.rows.num_rows() {
            let value = |column: &Arc<dyn Array>| match column.is_null(row) {
                true => "null".to_owned(),
                false => array_value_to_string(column, row).unwrap(),
            };
            let gone = decoded.tombstones.as_ref().is_some_and(|gone| gone.value(row));
            let row: Vec<String> = decoded.rows.columns().iter().map(value).collect();
            shown.push(format!("{}{}", if gone { "-" } else { "" }, row.join("|")));
        }
    }
    shown
}

/// A broker in memory with one topic, `fake`, of one partition. It takes whatever it is given.
#[derive(Clone, Default)]
pub struct Fake {
    log: Arc<Mutex<FakeLog>>,
}

#[derive(Default)]
struct FakeLog {
    batches: BTreeMap<i64, Vec<u8>>,
    start: i64,
    end: i64,
    failing: bool,
}

impl Fake {
    pub fn new() -> Self {
        Fake::default()
    }

    pub fn topics(&self) -> Topics {
        Topics::of(Arc::new(self.clone()))
    }

    /// Appends a batch of a writer.
    pub fn append(&self, records: &[String], producer: i64, sequence: i32) {
        let mut batch = encode(records, Producer { id: producer, epoch: 0 }, sequence, 1_000);
        let mut log = self.log.lock().unwrap();
        let end = log.end;
        set_base_offset(&mut batch, end);
        log.end = BatchHeader::read(&batch).unwrap().next_offset();
        log.batches.insert(end, batch);
    }

    /// Forgets the records below `start`.
    pub fn evict(&self, start: i64) {
        self.log.lock().unwrap().start = start;
    }

    /// Lets the next call fail.
    pub fn fail_next(&self) {
        self.log.lock().unwrap().failing = true;
    }

    fn log(&self) -> Result<std::sync::MutexGuard<'_, FakeLog>> {
        let mut log = self.log.lock().unwrap();
        match std::mem::take(&mut log.failing) {
            true => Err(Error::remote("could not reach the fake")),
            false => Ok(log),
        }
    }
}

impl Broker for Fake {
    fn describe(&self) -> String {
        "fake".to_owned()
    }

    fn address(&self) -> String {
        String::new()
    }

    fn topics(&self) -> Result<Vec<TopicFacts>> {
        Ok(self.topic("fake")?.into_iter().collect())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicFacts>> {
        let facts = TopicFacts { name: name.to_owned(), partitions: 1, retention: None, system: false, rebuilt: false };
        Ok((name == "fake").then_some(facts))
    }

    fn create(&self, _: &str, _: &TopicSpec) -> Result<()> {
        Err(Error::bug("the fake has one topic"))
    }

    fn delete(&self, _: &str) -> Result<()> {
        Err(Error::bug("the fake has one topic"))
    }

    fn partition(&self, _: &str, _: u32) -> Result<Box<dyn PartitionClient>> {
        Ok(Box::new(self.clone()))
    }
}

impl PartitionClient for Fake {
    fn bounds(&mut self) -> Result<Bounds> {
        self.log().map(|log| Bounds { start: log.start, end: log.end })
    }

    fn fetch(&mut self, from: i64, _: usize) -> Result<Fetched> {
        let log = self.log()?;
        if from < log.start {
            return Ok(Fetched::Evicted { start: log.start });
        }
        let first = log.batches.range(..=from).next_back().map_or(from, |(base, _)| *base);
        let bytes: Vec<u8> = log.batches.range(first..).flat_map(|(_, batch)| batch.iter().copied()).collect();
        Ok(Fetched::Batches { bytes: Bytes::from(bytes), next: log.end })
    }

    fn produce(&mut self, _: &[u8]) -> Result<i64> {
        Err(Error::bug("the fake is filled by the test"))
    }

    fn sync(&mut self) -> Result<()> {
        Err(Error::bug("the fake is filled by the test"))
    }

    fn wait(&mut self, end: i64, _: Duration) -> Result<bool> {
        self.log().map(|log| log.end > end)
    }
}

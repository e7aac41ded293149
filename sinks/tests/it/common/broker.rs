//! Brokers for tests: one in memory, and a wrapper that kills the process or loses replies at any call.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use catchment_contract::{Error, ErrorKind, Outcome, Result, Retry};
use catchment_topics::batch::{BatchBuilder, BatchHeader, Producer, batches, set_base_offset};
use catchment_topics::{Bounds, Broker, Fetched, PartitionClient, TopicFacts, TopicSpec};
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, DynObjectStore, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A broker that keeps everything in memory.
pub struct MemoryBroker {
    topics: Mutex<BTreeMap<String, MemoryTopic>>,
    /// Whether a repeated (producer, sequence) is refused, as the embedded broker does and a cluster does not.
    pub refuses_repeats: bool,
    /// What [`Broker::record_bytes_max`] says.
    pub says_bytes_max: usize,
    /// Batches larger than this are refused.
    pub bytes_max: usize,
    /// What it does wrong, to test those who test with it.
    pub lie: Option<Lie>,
}

/// What a broker that cannot be trusted does to every seventh batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Acknowledges it, and forgets it.
    Forgets,
    /// Appends it twice.
    Doubles,
}

#[derive(Clone)]
struct MemoryTopic {
    facts: TopicFacts,
    logs: Vec<Arc<Mutex<MemoryLog>>>,
}

#[derive(Default)]
struct MemoryLog {
    start: i64,
    end: i64,
    /// What is below is on disk.
    synced: i64,
    batches: Vec<Vec<u8>>,
    last: HashMap<i64, i32>,
    requests: u64,
    /// Whether the next batch meets something that is no broker.
    is_away: bool,
}

impl MemoryBroker {
    pub fn new(refuses_repeats: bool) -> Self {
        let topics = Mutex::default();
        MemoryBroker { topics, refuses_repeats, says_bytes_max: 16 << 20, bytes_max: 16 << 20, lie: None }
    }

    /// The next batch for `topic` meets something that is no broker.
    pub fn be_away_once(&self, topic: &str) {
        self.topics.lock().unwrap()[topic].logs.iter().for_each(|log| log.lock().unwrap().is_away = true);
    }

    /// Says that the server changes batches of `topic`.
    pub fn set_rebuilt(&self, topic: &str) {
        self.topics.lock().unwrap().get_mut(topic).unwrap().facts.rebuilt = true;
    }

    /// Adds partitions to `topic`.
    pub fn widen(&self, topic: &str, partitions: u32) {
        let mut topics = self.topics.lock().unwrap();
        let topic = topics.get_mut(topic).unwrap();
        topic.facts.partitions = partitions;
        topic.logs.resize_with(partitions as usize, Arc::default);
    }

    /// Loses all that partition 0 of `topic` holds, as if it never was.
    pub fn lose_all(&self, topic: &str) {
        let topics = self.topics.lock().unwrap();
        *topics[topic].logs[0].lock().unwrap() = MemoryLog::default();
    }

    /// Takes every later sequence of the known producers of partition 0 of `topic` for a repeated one.
    pub fn remember_too_much(&self, topic: &str) {
        let topics = self.topics.lock().unwrap();
        topics[topic].logs[0].lock().unwrap().last.values_mut().for_each(|last| *last = i32::MAX);
    }

    /// The power goes and comes back: what was not brought to disk is gone.
    pub fn lose_power(&self) {
        for log in self.topics.lock().unwrap().values().flat_map(|topic| &topic.logs) {
            let mut log = log.lock().unwrap();
            let synced = log.synced;
            log.batches.retain(|batch| BatchHeader::read(batch).unwrap().base_offset < synced);
            log.end = synced;
            let headers: Vec<_> = log.batches.iter().map(|batch| BatchHeader::read(batch).unwrap()).collect();
            log.last = headers.iter().map(|header| (header.producer_id, header.first_sequence)).collect();
        }
    }

    /// Everything that `topic` holds, partition after partition.
    pub fn bytes(&self, topic: &str) -> Vec<u8> {
        let topics = self.topics.lock().unwrap();
        topics[topic].logs.iter().flat_map(|log| log.lock().unwrap().batches.concat()).collect()
    }

    /// Forgets the whole batches of partition 0 of `topic`.
    pub fn evict_all(&self, topic: &str) {
        let topics = self.topics.lock().unwrap();
        let mut log = topics[topic].logs[0].lock().unwrap();
        log.start = log.end;
        log.batches.clear();
    }
}

impl Broker for MemoryBroker {
    fn describe(&self) -> String {
        "broker in memory".to_owned()
    }

    fn address(&self) -> String {
        "127.0.0.1:0".to_owned()
    }

    fn record_bytes_max(&self) -> usize {
        self.says_bytes_max
    }

    fn topics(&self) -> Result<Vec<TopicFacts>> {
        Ok(self.topics.lock().unwrap().values().map(|topic| topic.facts.clone()).collect())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicFacts>> {
        Ok(self.topics.lock().unwrap().get(name).map(|topic| topic.facts.clone()))
    }

    fn create(&self, name: &str, spec: &TopicSpec) -> Result<()> {
        let mut topics = self.topics.lock().unwrap();
        if topics.contains_key(name) {
            return Err(Error::user(format!("topic \"{name}\" exists")).with_kind(ErrorKind::Taken));
        }
        let TopicSpec { partitions, retention, .. } = *spec;
        let facts = TopicFacts { name: name.to_owned(), partitions, retention, system: false, rebuilt: false };
        let logs = (0..partitions).map(|_| Arc::default()).collect();
        topics.insert(name.to_owned(), MemoryTopic { facts, logs });
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.topics.lock().unwrap().remove(name);
        Ok(())
    }

    fn partition(&self, topic: &str, partition: u32) -> Result<Box<dyn PartitionClient>> {
        let topics = self.topics.lock().unwrap();
        let log = topics.get(topic).and_then(|topic| topic.logs.get(partition as usize)).cloned();
        let client = log.map(|log| MemoryClient {
            log,
            refuses: self.refuses_repeats,
            bytes_max: self.bytes_max,
            lie: self.lie,
        });
        let missing = || Error::user(format!("no partition {partition} of \"{topic}\"")).with_kind(ErrorKind::NotFound);
        Ok(Box::new(client.ok_or_else(missing)?))
    }
}

struct MemoryClient {
    log: Arc<Mutex<MemoryLog>>,
    refuses: bool,
    bytes_max: usize,
    lie: Option<Lie>,
}

impl PartitionClient for MemoryClient {
    fn bounds(&mut self) -> Result<Bounds> {
        let log = self.log.lock().unwrap();
        Ok(Bounds { start: log.start, end: log.end })
    }

    fn fetch(&mut self, from: i64, max_bytes: usize) -> Result<Fetched> {
        let log = self.log.lock().unwrap();
        if from < log.start {
            return Ok(Fetched::Evicted { start: log.start });
        }
        if from > log.end {
            return Err(Error::data(format!("{from} lies beyond the end")));
        }
        let (mut bytes, mut next) = (Vec::new(), from);
        for batch in &log.batches {
            let header = BatchHeader::read(batch).unwrap();
            if header.next_offset() <= from {
                continue;
            }
            if !bytes.is_empty() && bytes.len() + batch.len() > max_bytes {
                break;
            }
            bytes.extend_from_slice(batch);
            next = header.next_offset();
        }
        Ok(Fetched::Batches { bytes: Bytes::from(bytes), next })
    }

    fn produce(&mut self, batch: &[u8]) -> Result<i64> {
        let mut log = self.log.lock().unwrap();
        let header = BatchHeader::read(batch).unwrap();
        if std::mem::take(&mut log.is_away) {
            return Err(Error::user("what answers is no broker"));
        }
        if batch.len() > self.bytes_max {
            return Err(Error::user("the batch is too large").with_kind(ErrorKind::TooLarge));
        }
        if self.refuses && header.producer_id > 0 && header.first_sequence >= 0 {
            let last = log.last.entry(header.producer_id).or_insert(-1);
            if header.first_sequence <= *last {
                let error = Error::remote(format!("sequence {} is repeated", header.first_sequence));
                return Err(error.with_kind(ErrorKind::Taken).with_retry(Retry::Never));
            }
            *last = header.first_sequence;
        }
        let offset = log.end;
        log.requests += 1;
        let times = match self.lie.filter(|_| log.requests.is_multiple_of(7)) {
            None => 1,
            Some(Lie::Forgets) => 0,
            Some(Lie::Doubles) => 2,
        };
        for _ in 0..times {
            let mut batch = batch.to_vec();
            set_base_offset(&mut batch, log.end);
            log.batches.push(batch);
            log.end += i64::from(header.records);
        }
        Ok(offset)
    }

    fn sync(&mut self) -> Result<()> {
        let mut log = self.log.lock().unwrap();
        log.synced = log.end;
        Ok(())
    }

    fn wait(&mut self, end: i64, _timeout: Duration) -> Result<bool> {
        Ok(self.log.lock().unwrap().end > end)
    }
}

/// What a killed process leaves on the stack.
struct Killed;

/// Where the process dies, and how often replies are lost. A call has two places to die: before it and after it.
pub struct Fate {
    /// Places that are passed before the process dies; negative for never.
    places: AtomicI64,
    /// Calls that fail, in percent.
    rough: AtomicU32,
    random: Mutex<SmallRng>,
}

impl Fate {
    pub fn new(seed: u64) -> Arc<Fate> {
        let random = Mutex::new(SmallRng::seed_from_u64(seed));
        Arc::new(Fate { places: AtomicI64::new(-1), rough: AtomicU32::new(0), random })
    }

    /// Lets `percent` of all calls fail, done or not.
    pub fn set_rough(&self, percent: u32) {
        self.rough.store(percent, Ordering::SeqCst);
    }

    /// Runs `work`; `None` if the process died in it, `places` places on.
    pub fn run<T>(&self, places: i64, work: impl FnOnce() -> T) -> Option<T> {
        self.places.store(places, Ordering::SeqCst);
        let result = catch_unwind(AssertUnwindSafe(work));
        self.places.store(-1, Ordering::SeqCst);
        match result {
            Ok(done) => Some(done),
            Err(panic) if panic.is::<Killed>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }

    fn place(&self) {
        let left = self.places.load(Ordering::SeqCst);
        if left == 0 {
            // No hook is called: nothing is printed.
            resume_unwind(Box::new(Killed));
        }
        if left > 0 {
            self.places.store(left - 1, Ordering::SeqCst);
        }
    }

    fn chance(&self) -> bool {
        let rough = self.rough.load(Ordering::SeqCst);
        rough > 0 && self.random.lock().unwrap().random_range(0..100) < rough
    }

    fn call<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        self.place();
        if self.chance() {
            return Err(Error::remote("the request was never sent"));
        }
        if self.chance() {
            return Err(Error::remote("the request was lost").with_outcome(Outcome::Unknown));
        }
        let result = call();
        self.place();
        if self.chance() {
            return Err(Error::remote("the reply was lost").with_outcome(Outcome::Unknown));
        }
        result
    }
}

/// A broker under a [`Fate`].
pub struct FatefulBroker {
    pub inner: Arc<dyn Broker>,
    pub fate: Arc<Fate>,
}

impl Broker for FatefulBroker {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    fn record_bytes_max(&self) -> usize {
        self.inner.record_bytes_max()
    }

    fn topics(&self) -> Result<Vec<TopicFacts>> {
        self.fate.call(|| self.inner.topics())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicFacts>> {
        self.fate.call(|| self.inner.topic(name))
    }

    fn create(&self, name: &str, spec: &TopicSpec) -> Result<()> {
        self.fate.call(|| self.inner.create(name, spec))
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.fate.call(|| self.inner.delete(name))
    }

    fn partition(&self, topic: &str, partition: u32) -> Result<Box<dyn PartitionClient>> {
        let inner = self.fate.call(|| self.inner.partition(topic, partition))?;
        Ok(Box::new(FatefulClient { inner, fate: Arc::clone(&self.fate) }))
    }
}

struct FatefulClient {
    inner: Box<dyn PartitionClient>,
    fate: Arc<Fate>,
}

impl PartitionClient for FatefulClient {
    fn bounds(&mut self) -> Result<Bounds> {
        self.fate.call(|| self.inner.bounds())
    }

    fn fetch(&mut self, from: i64, max_bytes: usize) -> Result<Fetched> {
        // Small answers, so that looking takes several.
        self.fate.call(|| self.inner.fetch(from, max_bytes.min(600)))
    }

    fn produce(&mut self, batch: &[u8]) -> Result<i64> {
        self.fate.call(|| self.inner.produce(batch))
    }

    fn sync(&mut self) -> Result<()> {
        self.fate.call(|| self.inner.sync())
    }

    fn wait(&mut self, end: i64, timeout: Duration) -> Result<bool> {
        self.fate.call(|| self.inner.wait(end, timeout))
    }
}

/// An object store in which the process dies too. Its lost replies are the lake's own tests' business.
#[derive(Debug)]
pub struct FatefulStore {
    pub inner: Arc<DynObjectStore>,
    pub fate: Arc<Fate>,
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fate")
    }
}

impl fmt::Display for FatefulStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fateful {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FatefulStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.fate.place();
        let result = self.inner.put_opts(location, payload, opts).await;
        self.fate.place();
        result
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.fate.place();
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.fate.place();
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.fate.place();
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A record of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicRecord {
    pub partition: u32,
    pub offset: i64,
    pub producer: i64,
    pub sequence: i32,
    pub key: Option<String>,
    pub value: String,
}

/// All records that a topic keeps, partition by partition, in order.
pub fn records(broker: &dyn Broker, topic: &str) -> Vec<TopicRecord> {
    let Some(facts) = broker.topic(topic).unwrap() else { return Vec::new() };
    let mut found = Vec::new();
    for partition in 0..facts.partitions {
        let mut client = broker.partition(topic, partition).unwrap();
        let mut from = client.bounds().unwrap().start;
        loop {
            let Fetched::Batches { bytes, next } = client.fetch(from, 1 << 20).unwrap() else { panic!("evicted") };
            if next == from {
                break;
            }
            for batch in batches(&bytes) {
                assert!(batch.is_intact());
                let mut scratch = Vec::new();
                for record in batch.records(&mut scratch).unwrap() {
                    let record = record.unwrap();
                    found.push(TopicRecord {
                        partition,
                        offset: record.offset,
                        producer: batch.header.producer_id,
                        sequence: batch.header.first_sequence,
                        key: record.key.map(|key| String::from_utf8(key.to_vec()).unwrap()),
                        value: String::from_utf8(record.value.to_vec()).unwrap(),
                    });
                }
            }
            from = next;
        }
    }
    found
}

/// Writes a record as a stranger would.
pub fn write_stranger(broker: &dyn Broker, topic: &str, partition: u32, value: &str) {
    let mut builder = BatchBuilder::new();
    builder.push(Some(b"stranger"), value.as_bytes());
    let batch = builder.finish(Producer::NONE, -1, 0);
    let mut client = broker.partition(topic, partition).unwrap();
    client.produce(&batch).unwrap();
    client.sync().unwrap();
}

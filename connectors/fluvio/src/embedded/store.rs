//! The broker's folder: topics, their partitions' logs, consumers' offsets.
//!
//! ```text
//! lock                                     who has the folder
//! offsets.json                             managed offsets of consumers
//! topics/<name>/topic.json                 the topic's spec
//! topics/<name>/<partition>/<offset>.log   segments
//! topics/.new-<name>, topics/.gone-<name>  a topic being made or deleted; removed at start
//! ```
//!
//! A topic is made beside its place and renamed into it, and deleted the other way round: it is there whole or not at
//! all. `topic.json` is `{"format": 1, "partitions": 3, "retention_s": 604800, "segment_bytes": …, "bytes_max": …,
//! "compression": "any", "system": false}`, where `null` stands for the broker's default.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use catchment_contract::{Error, ErrorKind, Result};
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{info, warn};

use super::EmbeddedOptions;
use super::folder::{Lock, held, sync_folder, write_whole};
use super::log::{Limits, Log};
use super::offsets::Offsets;
use super::refused::Refused;

/// Holds nothing, and is always there: a client waits for its first metadata, and an empty set would not be one.
pub const OFFSETS_TOPIC: &str = "consumer-offset";

/// Partitions of one topic; each keeps a file open.
pub const PARTITIONS_MAX: u32 = 1024;

/// Longest name of a topic, bytes: what Fluvio allows.
const NAME_BYTES_MAX: usize = 63;

/// Smallest segment that a topic may ask for.
const SEGMENT_BYTES_MIN: u64 = 4096;

const FORMAT: u32 = 1;

/// How a topic was made; also the durable form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Of the durable form.
    pub format: u32,
    pub partitions: u32,
    pub retention_s: Option<u32>,
    pub segment_bytes: Option<u32>,
    /// Oldest segments of a partition go beyond this.
    pub bytes_max: Option<u64>,
    /// What producers are told to use: `any`, `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub compression: String,
    /// Whether only a forced call deletes it.
    pub system: bool,
}

impl Spec {
    /// A topic of so many partitions, the rest by default.
    pub fn new(partitions: u32) -> Spec {
        Spec {
            format: FORMAT,
            partitions,
            retention_s: None,
            segment_bytes: None,
            bytes_max: None,
            compression: "any".to_owned(),
            system: false,
        }
    }

    fn check(&self) -> std::result::Result<(), TopicRefused> {
        let refuse = |why: String| Err(TopicRefused::Spec(why));
        if self.partitions == 0 || self.partitions > PARTITIONS_MAX {
            return refuse(format!(
                "it has {} partitions, and the broker takes 1 to {PARTITIONS_MAX}",
                self.partitions
            ));
        }
        match self.segment_bytes {
            Some(bytes) if u64::from(bytes) < SEGMENT_BYTES_MIN => {
                refuse(format!("its segments of {bytes} bytes are under the least, {SEGMENT_BYTES_MIN}"))
            }
            _ => Ok(()),
        }
    }
}

/// A topic that can be used.
pub struct Topic {
    pub spec: Spec,
    pub partitions: Vec<Arc<Log>>,
}

/// Why a topic was not made or deleted.
#[derive(Debug)]
pub enum TopicRefused {
    Exists,
    NotFound,
    Name,
    Spec(String),
    System,
    Io { what: String, source: io::Error },
    Log(Refused),
}

impl fmt::Display for TopicRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicRefused::Exists => f.write_str("it exists already"),
            TopicRefused::NotFound => f.write_str("there is no such topic"),
            TopicRefused::Name => {
                write!(f, "a name has 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens, none at its ends")
            }
            TopicRefused::Spec(why) => f.write_str(why),
            TopicRefused::System => f.write_str("it belongs to the broker"),
            TopicRefused::Io { what, source } => write!(f, "could not {what}: {source}"),
            TopicRefused::Log(refused) => refused.fmt(f),
        }
    }
}

impl TopicRefused {
    fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> TopicRefused {
        let what = format!("{what} \"{}\"", path.display());
        move |source| TopicRefused::Io { what, source }
    }

    /// The same as the crate's error; `what` is what was tried: `create topic "orders"`.
    pub fn into_error(self, what: impl fmt::Display) -> Error {
        let text = format!("cannot {what}: {self}");
        match self {
            TopicRefused::Exists => Error::user(text).with_kind(ErrorKind::Taken),
            TopicRefused::NotFound => Error::user(text).with_kind(ErrorKind::NotFound),
            TopicRefused::Name | TopicRefused::Spec(_) => Error::user(text),
            TopicRefused::System => Error::user(text).with_kind(ErrorKind::Denied),
            TopicRefused::Io { what: call, source } => Error::io(call, source),
            TopicRefused::Log(refused) => refused.into_error(what),
        }
    }
}

/// See the module.
pub struct Store {
    pub offsets: Offsets,
    pub lock: Lock,
    folder: PathBuf,
    options: EmbeddedOptions,
    topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    /// Held over making and deleting a topic.
    making: Mutex<()>,
    /// Counts changes of the set of topics.
    version: watch::Sender<u64>,
}

impl Store {
    /// Opens the folder, made if missing, with everything in it.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] if another broker has it; [`catchment_contract::Fault::Data`] for files that are damaged.
    pub fn open(options: EmbeddedOptions) -> Result<Store> {
        let folder = options.folder.clone();
        let topics = folder.join("topics");
        fs::create_dir_all(&topics).map_err(|error| Error::io(format!("make \"{}\"", topics.display()), error))?;
        let lock = Lock::take(&folder)?;
        let store = Store {
            offsets: Offsets::open(&folder)?,
            lock,
            folder,
            options,
            topics: RwLock::default(),
            making: Mutex::default(),
            version: watch::channel(1).0,
        };
        store.open_topics(&topics)?;
        if store.topic(OFFSETS_TOPIC).is_none() {
            let spec = Spec { system: true, ..Spec::new(1) };
            let made = store.create(OFFSETS_TOPIC, spec, false);
            made.map_err(|refused| refused.into_error(format_args!("create topic \"{OFFSETS_TOPIC}\"")))?;
        }
        Ok(store)
    }

    fn open_topics(&self, topics: &Path) -> Result<()> {
        let listed = fs::read_dir(topics).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in listed.map_err(|error| Error::io(format!("list \"{}\"", topics.display()), error))? {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(".new-") || name.starts_with(".gone-") {
                fs::remove_dir_all(&path)
                    .map_err(|error| Error::io(format!("remove \"{}\"", path.display()), error))?;
                info!(folder = %path.display(), "what was left of a topic half made or deleted was removed");
            } else if is_name(&name) {
                let spec = read_spec(&path.join("topic.json"))?;
                let opened = self.open_topic(&name, spec);
                let topic = opened.map_err(|refused| refused.into_error(format_args!("open topic \"{name}\"")))?;
                self.topics_mut().insert(name, Arc::new(topic));
            } else {
                warn!(folder = %path.display(), "this is not a topic's folder: left alone");
            }
        }
        Ok(())
    }

    fn open_topic(&self, name: &str, spec: Spec) -> std::result::Result<Topic, Refused> {
        let limits = self.limits(&spec);
        let folder = self.place(name);
        let logs =
            (0..spec.partitions).map(|index| Log::open(&folder.join(index.to_string()), limits, self.lock.clone()));
        let partitions = logs.map(|log| log.map(Arc::new)).collect::<std::result::Result<_, _>>()?;
        Ok(Topic { spec, partitions })
    }

    fn limits(&self, spec: &Spec) -> Limits {
        Limits {
            segment_bytes: spec.segment_bytes.map_or(self.options.segment_bytes, u64::from),
            batch_bytes_max: self.options.request_bytes_max,
            fsync: self.options.fsync,
        }
    }

    /// Each partition keeps a file open, and the rest of the process needs some too.
    fn check_files(&self, added: u32) -> std::result::Result<(), TopicRefused> {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let have: u64 = self.topics().values().map(|topic| u64::from(topic.spec.partitions)).sum();
        if have + u64::from(added) > files / 2 {
            let why = format!(
                "the broker has {have} partitions, {added} more need a file each, and the process may open {files}: \
                 raise that limit with `ulimit -n`, or delete topics"
            );
            return Err(TopicRefused::Spec(why));
        }
        Ok(())
    }

    /// Makes a topic, or with `dry_run` only says whether it could be made.
    pub fn create(&self, name: &str, spec: Spec, dry_run: bool) -> std::result::Result<(), TopicRefused> {
        if !is_name(name) {
            return Err(TopicRefused::Name);
        }
        spec.check()?;
        let _making = held(&self.making);
        if self.topics().contains_key(name) {
            return Err(TopicRefused::Exists);
        }
        self.check_files(spec.partitions)?;
        if dry_run {
            return Ok(());
        }
        let (beside, place) = (self.folder.join("topics").join(format!(".new-{name}")), self.place(name));
        let made = self.make(&beside, &place, &spec);
        if made.is_err() {
            let _ = fs::remove_dir_all(&beside);
        }
        made?;
        let topic = self.open_topic(name, spec).map_err(|refused| {
            let _ = fs::remove_dir_all(&place);
            TopicRefused::Log(refused)
        })?;
        self.topics_mut().insert(name.to_owned(), Arc::new(topic));
        self.changed();
        Ok(())
    }

    fn make(&self, beside: &Path, place: &Path, spec: &Spec) -> std::result::Result<(), TopicRefused> {
        if beside.exists() {
            fs::remove_dir_all(beside).map_err(TopicRefused::io("remove", beside))?;
        }
        for index in 0..spec.partitions {
            let folder = beside.join(index.to_string());
            fs::create_dir_all(&folder).map_err(TopicRefused::io("make", &folder))?;
        }
        let file = beside.join("topic.json");
        let text = serde_json::to_vec(spec).map_err(io::Error::from).map_err(TopicRefused::io("write", &file))?;
        write_whole(&file, &text).map_err(TopicRefused::io("write", &file))?;
        fs::rename(beside, place).map_err(TopicRefused::io("make", place))?;
        sync_folder(&self.folder.join("topics")).map_err(TopicRefused::io("make", place))
    }

    /// Deletes a topic with its records; a system topic only if `forced`.
    pub fn delete(&self, name: &str, forced: bool) -> std::result::Result<(), TopicRefused> {
        let _making = held(&self.making);
        let topic = self.topic(name).ok_or(TopicRefused::NotFound)?;
        // Without it the folder would hold an empty set of topics.
        if name == OFFSETS_TOPIC || (topic.spec.system && !forced) {
            return Err(TopicRefused::System);
        }
        let (place, gone) = (self.place(name), self.folder.join("topics").join(format!(".gone-{name}")));
        if gone.exists() {
            fs::remove_dir_all(&gone).map_err(TopicRefused::io("remove", &gone))?;
        }
        fs::rename(&place, &gone).map_err(TopicRefused::io("remove", &place))?;
        self.topics_mut().remove(name);
        topic.partitions.iter().for_each(|log| log.delete());
        self.changed();
        self.offsets.remove_topic(name).map_err(TopicRefused::io("update offsets of", &place))?;
        fs::remove_dir_all(&gone).map_err(TopicRefused::io("remove", &gone))
    }

    /// Gives a topic `partitions` in all; those it has keep their records.
    pub fn widen(&self, name: &str, partitions: u32) -> std::result::Result<(), TopicRefused> {
        let _making = held(&self.making);
        let topic = self.topic(name).ok_or(TopicRefused::NotFound)?;
        if topic.spec.system {
            return Err(TopicRefused::System);
        }
        if partitions < topic.spec.partitions {
            let why = format!("it has {} partitions, and none can be taken away", topic.spec.partitions);
            return Err(TopicRefused::Spec(why));
        }
        let spec = Spec { partitions, ..topic.spec.clone() };
        spec.check()?;
        self.check_files(partitions - topic.spec.partitions)?;
        let limits = self.limits(&spec);
        let place = self.place(name);
        let mut logs = topic.partitions.clone();
        for index in topic.spec.partitions..partitions {
            let log =
                Log::open(&place.join(index.to_string()), limits, self.lock.clone()).map_err(TopicRefused::Log)?;
            logs.push(Arc::new(log));
        }
        let file = place.join("topic.json");
        let text = serde_json::to_vec(&spec).map_err(io::Error::from).map_err(TopicRefused::io("write", &file))?;
        write_whole(&file, &text).map_err(TopicRefused::io("write", &file))?;
        self.topics_mut().insert(name.to_owned(), Arc::new(Topic { spec, partitions: logs }));
        self.changed();
        Ok(())
    }

    /// Drops what is older than its topic keeps it.
    pub fn retain(&self, now: SystemTime) {
        for (name, topic) in self.all() {
            let keep =
                topic.spec.retention_s.map_or(self.options.retention, |seconds| Duration::from_secs(seconds.into()));
            for (partition, log) in topic.partitions.iter().enumerate() {
                match log.retain(now, keep, topic.spec.bytes_max) {
                    Ok(0) => {}
                    Ok(segments) => info!(topic = name, partition, segments, "old segments were dropped"),
                    Err(error) => warn!(topic = name, partition, %error, "old segments could not be dropped"),
                }
            }
        }
    }

    /// A topic, if there is one.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics().get(name).cloned()
    }

    /// A partition's log.
    pub fn log(&self, topic: &str, partition: u32) -> Option<Arc<Log>> {
        self.topic(topic)?.partitions.get(usize::try_from(partition).ok()?).cloned()
    }

    /// All topics in name order.
    pub fn all(&self) -> Vec<(String, Arc<Topic>)> {
        self.topics().iter().map(|(name, topic)| (name.clone(), Arc::clone(topic))).collect()
    }

    /// Whether records are on disk before they are acknowledged.
    pub fn fsync(&self) -> bool {
        self.options.fsync
    }

    /// A number that grows whenever the set of topics or their partitions changes.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join("topics").join(name)
    }

    fn topics(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_spec(file: &Path) -> Result<Spec> {
    let bytes = fs::read(file).map_err(|error| Error::io(format!("read \"{}\"", file.display()), error))?;
    let damaged = |why: String| {
        Error::data(format!("\"{}\" does not hold a topic's spec: {why}", file.display()))
            .with_hint("put the file back from a copy, or remove the topic's folder with its records")
    };
    let spec: Spec = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if spec.format != FORMAT {
        return Err(damaged(format!("it has format {}, and this broker reads {FORMAT}", spec.format)));
    }
    spec.check().map_err(|refused| damaged(refused.to_string()))?;
    Ok(spec)
}

fn is_name(name: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(byte)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

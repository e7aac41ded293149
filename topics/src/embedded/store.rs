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
//! Offsets in topics that are not there are forgotten at start.
//!
//! A topic is made beside its place and renamed into it, and deleted the other way round: it is there whole or not at
//! all. `topic.json` is, before its checksum, `{"format": 2, "partitions": 3, "retention_s": 604800, "segment_bytes": …, "bytes_max": …,
//! "compression": "any", "system": false}`, where `null` stands for the broker's default.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use catchment_contract::{Environment, Error, Result};
use rustix::process::{Resource, getrlimit};
use tokio::sync::watch;
use tracing::{info, warn};

use super::EmbeddedOptions;
use super::folder::{Lock, held, make_folders, sync_folder, write_whole};
use super::log::{Limits, Log};
use super::offsets::Offsets;
use super::refused::Refused;
use super::topic::{Spec, Topic, TopicRefused, is_name, read_spec};

/// Holds nothing, and is always there: a client waits for its first metadata, and an empty set would not be one.
pub const OFFSETS_TOPIC: &str = "consumer-offset";

/// See the module.
pub struct Store {
    pub offsets: Offsets,
    pub lock: Lock,
    folder: PathBuf,
    options: EmbeddedOptions,
    environment: Environment,
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
    /// [`catchment_contract::ErrorKind::Taken`] if another broker has it; [`catchment_contract::Fault::Data`] for files that are damaged.
    pub fn open(options: EmbeddedOptions, environment: &Environment) -> Result<Store> {
        let folder = options.folder.clone();
        let topics = folder.join("topics");
        make_folders(&topics).map_err(|error| Error::io(format!("make \"{}\"", topics.display()), error))?;
        let lock = Lock::take(&folder)?;
        let store = Store {
            offsets: Offsets::open(&folder, environment)?,
            lock,
            folder,
            options,
            environment: environment.clone(),
            topics: RwLock::default(),
            making: Mutex::default(),
            version: watch::channel(1).0,
        };
        store.open_topics(&topics)?;
        // Of a topic whose deletion a kill cut short: the next topic of that name would be read from there.
        let pruned = store.offsets.retain(|consumer| store.topic(&consumer.topic).is_some());
        pruned.map_err(|error| Error::io("forget consumers' offsets in topics that are gone", error))?;
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

    fn open_topic(&self, name: &str, mut spec: Spec) -> std::result::Result<Topic, Refused> {
        // Said, so that whoever lists topics knows.
        let usual = u32::try_from(self.options.retention.as_secs()).unwrap_or(u32::MAX);
        spec.retention_s = spec.retention_s.or((usual > 0).then_some(usual));
        let limits = self.limits(&spec);
        let folder = self.place(name);
        let logs = (0..spec.partitions).map(|index| self.open_log(&folder, index, limits));
        let partitions = logs.map(|log| log.map(Arc::new)).collect::<std::result::Result<_, _>>()?;
        Ok(Topic { spec, partitions })
    }

    fn open_log(&self, topic: &Path, index: u32, limits: Limits) -> std::result::Result<Log, Refused> {
        Log::open(&topic.join(index.to_string()), limits, self.lock.clone(), &self.environment)
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
            let log = self.open_log(&place, index, limits).map_err(TopicRefused::Log)?;
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
    pub fn retain(&self) {
        let now = self.environment.wall();
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

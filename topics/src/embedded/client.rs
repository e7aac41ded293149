//! The broker and its partitions for callers in the same process: the logs themselves, without TCP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use catchment_contract::{Error, ErrorKind, Result};

use super::log::Log;
use super::topic::{Spec, Topic};
use super::{Embedded, Refused};
use crate::broker::{Bounds, Broker, Fetched, PartitionClient, TopicFacts, TopicSpec};

impl Broker for Embedded {
    fn describe(&self) -> String {
        format!("embedded broker at {}, files in {}", self.controller(), self.folder.display())
    }

    fn address(&self) -> String {
        self.controller().to_string()
    }

    fn topics(&self) -> Result<Vec<TopicFacts>> {
        Ok(self.store.all().into_iter().map(|(name, topic)| facts(name, &topic)).collect())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicFacts>> {
        Ok(self.store.topic(name).map(|topic| facts(name.to_owned(), &topic)))
    }

    fn create(&self, name: &str, spec: &TopicSpec) -> Result<()> {
        let TopicSpec { partitions, replication, retention } = spec;
        if *replication > 1 {
            tracing::warn!(topic = name, replication, "the embedded broker keeps one copy of each partition");
        }
        // Rounded up: records are kept at least that long.
        let seconds = |keep: Duration| keep.as_secs() + u64::from(keep.subsec_nanos() > 0);
        let retention_s = retention.map(|keep| u32::try_from(seconds(keep)).unwrap_or(u32::MAX));
        let spec = Spec { retention_s, ..Spec::new(*partitions) };
        let created = self.store.create(name, spec, false);
        created.map_err(|refused| refused.into_error(format_args!("create topic \"{name}\"")))
    }

    fn delete(&self, name: &str) -> Result<()> {
        let deleted = self.store.delete(name, false);
        deleted.map_err(|refused| refused.into_error(format_args!("delete topic \"{name}\"")))
    }

    fn partition(&self, topic: &str, partition: u32) -> Result<Box<dyn PartitionClient>> {
        match self.store.log(topic, partition) {
            Some(log) => Ok(Box::new(Client { log, topic: topic.to_owned(), partition })),
            None => Err(self.missing(topic, partition)),
        }
    }
}

impl Embedded {
    fn missing(&self, topic: &str, partition: u32) -> Error {
        let (what, hint) = match self.store.topic(topic) {
            Some(found) => (
                format!("topic \"{topic}\" has no partition {partition}"),
                format!("its partitions are 0 to {}", found.spec.partitions - 1),
            ),
            None => (
                format!("there is no topic \"{topic}\" in {}", self.folder.display()),
                "create it, or write the name of one that `catchment topics list` shows".to_owned(),
            ),
        };
        Error::user(what).with_kind(ErrorKind::NotFound).with_hint(hint)
    }
}

fn facts(name: String, topic: &Topic) -> TopicFacts {
    TopicFacts {
        name,
        partitions: topic.spec.partitions,
        retention: topic.spec.retention_s.map(|seconds| Duration::from_secs(seconds.into())),
        system: topic.spec.system,
        rebuilt: false,
    }
}

/// One partition's log.
struct Client {
    log: Arc<Log>,
    topic: String,
    partition: u32,
}

impl Client {
    fn cannot(&self, verb: &str, refused: Refused) -> Error {
        let what: fmt::Arguments<'_> = format_args!("{verb} partition {} of topic \"{}\"", self.partition, self.topic);
        refused.into_error(what)
    }
}

impl PartitionClient for Client {
    fn bounds(&mut self) -> Result<Bounds> {
        self.log.bounds().map_err(|refused| self.cannot("look at", refused))
    }

    fn fetch(&mut self, from: i64, max_bytes: usize) -> Result<Fetched> {
        self.log.fetch(from, max_bytes).map_err(|refused| self.cannot("read", refused))
    }

    fn produce(&mut self, batch: &[u8]) -> Result<i64> {
        self.log.append(batch).map_err(|refused| self.cannot("write to", refused))
    }

    fn sync(&mut self) -> Result<()> {
        self.log.sync().map_err(|refused| self.cannot("bring to disk", refused))
    }

    fn wait(&mut self, end: i64, timeout: Duration) -> Result<bool> {
        self.log.wait(end, timeout).map_err(|refused| self.cannot("wait for", refused))
    }
}

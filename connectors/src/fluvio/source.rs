//! A checked source: one topic of a broker.
//!
//! Clients of partitions are kept and handed round: `discover`, a reader and `lag` use the same ones one after another,
//! so that looking for news costs one cheap request a partition and no connection. A client that failed is not given
//! back.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use catchment_contract::options::nearest;
use catchment_contract::source::PartitionReader;
use catchment_contract::{
    Decoder, Error, ErrorKind, Partition, PartitionLag, Position, Relation, Result, Source, Unfinished, Wake,
};
use catchment_fluvio::{Bounds, PartitionClient, Topics};

use super::decode::TopicDecoder;
use super::option::{OnEviction, TopicOptions};
use super::position::TopicPosition;
use super::reader::TopicReader;
use super::{start, watch};

/// Clients of one partition that are kept for the next one who needs them: a reader's and one to look with.
const IDLE_CLIENTS_MAX: usize = 2;

/// A topic to read.
pub(super) struct Topic {
    pub(super) options: Arc<TopicOptions>,
    pub(super) clients: Arc<Clients>,
}

/// Clients of a topic's partitions.
pub(super) struct Clients {
    topics: Topics,
    topic: String,
    idle: Mutex<HashMap<u32, Vec<Box<dyn PartitionClient>>>>,
}

impl Topic {
    pub(super) fn new(options: TopicOptions, topics: Topics) -> Self {
        let topic = options.topic.clone();
        let clients = Clients { topics, topic, idle: Mutex::new(HashMap::new()) };
        Topic { options: Arc::new(options), clients: Arc::new(clients) }
    }

    /// Where the partitions of the first look begin: recorded in the lowest one's position, or found now.
    fn starts(&self, known: &BTreeMap<u32, TopicPosition>, bounds: &[Bounds]) -> Result<Vec<i64>> {
        match known.first_key_value() {
            Some((_, first)) => Ok(first.starts.clone()),
            None => start::starts(&self.options, &self.clients, bounds),
        }
    }

    /// What is to be read of a partition from `position` on, or nothing.
    fn partition(&self, number: u32, position: TopicPosition, bounds: Bounds) -> Result<Option<Partition>> {
        let TopicOptions { topic, on_eviction, .. } = &*self.options;
        if position.offset > bounds.end {
            return Err(Error::data(format!(
                "cannot read on at offset {} of partition {number} of topic \"{topic}\": it ends at {}",
                position.offset, bounds.end
            ))
            .with_hint("the topic was made anew, or the job reads from another broker: run the job on a new lake"));
        }
        if position.offset < bounds.start && !position.new && *on_eviction == OnEviction::Fail {
            return Err(evicted(topic, number, position.offset, bounds.start));
        }
        let something = position.new || position.offset < bounds.end;
        Ok(something.then(|| Partition { id: number.to_string(), bytes: None, from: Some(position.encode()) }))
    }
}

/// Records were evicted before they were read.
pub(super) fn evicted(topic: &str, partition: u32, offset: i64, start: i64) -> Error {
    Error::data(format!(
        "cannot read partition {partition} of topic \"{topic}\" at offset {offset}: the first record kept is {start}, so \
         {} are lost",
        start - offset
    ))
    .with_hint("write on_eviction = 'earliest' to go on there, keep records longer, or run the job on a new lake")
}

impl Source for Topic {
    fn relation(&self) -> &Relation {
        &self.options.relation
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let positions = known.iter().map(|(id, position)| {
            Ok((number(id, &self.options.topic)?, TopicPosition::decode(position, &self.options.topic, id)?))
        });
        let mut positions = positions.collect::<Result<BTreeMap<u32, TopicPosition>>>()?;
        let partitions = self.clients.partitions()?;
        let bounds = (0..partitions).map(|number| self.clients.bounds(number)).collect::<Result<Vec<Bounds>>>()?;
        let starts = self.starts(&positions, &bounds)?;
        let found = (0_u32..).zip(&bounds).map(|(number, bounds)| {
            let position = positions.remove(&number).unwrap_or_else(|| {
                let start = starts.get(number as usize).copied().unwrap_or(bounds.start);
                TopicPosition::new(start, if number == 0 { starts.clone() } else { Vec::new() })
            });
            self.partition(number, position, *bounds)
        });
        found.filter_map(Result::transpose).collect()
    }

    fn open(&self, partition: &Partition, _unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        let number = number(&partition.id, &self.options.topic)?;
        let mut client = self.clients.client(number)?;
        let bounds = client.attempt(|client| client.bounds())?;
        let position = match &partition.from {
            Some(from) => TopicPosition::decode(from, &self.options.topic, &partition.id)?,
            None => TopicPosition::new(bounds.start, Vec::new()),
        };
        Ok(Box::new(TopicReader::new(self.options.clone(), client, number, position, bounds.end)))
    }

    fn decoder(&self, projection: &[usize]) -> Arc<dyn Decoder> {
        Arc::new(TopicDecoder::new(&self.options, projection))
    }

    fn watch(&self, wake: Wake) -> Result<Option<Box<dyn Send>>> {
        watch::watch(self.clients.clone(), wake).map(Some)
    }

    fn lag(&self, known: &BTreeMap<String, Position>) -> Result<Vec<PartitionLag>> {
        let topic = &self.options.topic;
        let lag = |(id, position): (&String, &Position)| {
            let offset = TopicPosition::decode(position, topic, id)?.offset;
            let behind = self.clients.bounds(number(id, topic)?)?.end.saturating_sub(offset);
            let count = |number: i64| u64::try_from(number).unwrap_or(0);
            Ok(PartitionLag { partition: id.clone(), offset: count(offset), behind: count(behind) })
        };
        let mut all = known.iter().map(lag).collect::<Result<Vec<PartitionLag>>>()?;
        all.sort_by_key(|lag| (lag.partition.len(), lag.partition.clone()));
        Ok(all)
    }
}

/// The number of the partition `id`.
fn number(id: &str, topic: &str) -> Result<u32> {
    id.parse().map_err(|_| {
        Error::data(format!("cannot resume topic \"{topic}\": \"{id}\" is no number of a partition"))
            .with_hint("the source's connector may have changed: run the job on a new lake")
    })
}

impl Clients {
    /// The topic's name.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// How many partitions the topic has.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such topic, and if the broker cannot be reached.
    pub(super) fn partitions(&self) -> Result<u32> {
        let broker = self.topics.broker()?;
        match broker.topic(&self.topic)? {
            Some(facts) => Ok(facts.partitions),
            None => {
                let topics = broker.topics()?;
                let names = topics.iter().filter(|facts| !facts.system).map(|facts| facts.name.as_str());
                let hint = match nearest(&self.topic, names) {
                    Some(name) => format!("did you mean \"{name}\"?"),
                    None => {
                        "create it, start the job that writes it first, or name another broker with --topics".to_owned()
                    }
                };
                let message = format!("there is no topic \"{}\" at the {}", self.topic, broker.describe());
                Err(Error::user(message).with_kind(ErrorKind::NotFound).with_hint(hint))
            }
        }
    }

    /// A client of partition `number`, which comes back when it is dropped.
    pub(super) fn client(self: &Arc<Self>, number: u32) -> Result<Lent> {
        let idle = self.idle().get_mut(&number).and_then(Vec::pop);
        let client = match idle {
            Some(client) => client,
            None => self.topics.broker()?.partition(&self.topic, number)?,
        };
        Ok(Lent { client: Some(client), owner: self.clone(), number, failed: false })
    }

    /// First offset and end of partition `number`.
    pub(super) fn bounds(self: &Arc<Self>, number: u32) -> Result<Bounds> {
        self.client(number)?.attempt(|client| client.bounds())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Vec<Box<dyn PartitionClient>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client on loan.
pub(super) struct Lent {
    /// There until it is dropped.
    client: Option<Box<dyn PartitionClient>>,
    owner: Arc<Clients>,
    number: u32,
    failed: bool,
}

impl Lent {
    /// Calls the client. One that fails is not given back: whoever needs the next one gets a new one.
    pub(super) fn attempt<T>(&mut self, call: impl FnOnce(&mut dyn PartitionClient) -> Result<T>) -> Result<T> {
        let client = self.client.as_deref_mut().expect("only dropping takes the client");
        let outcome = call(client);
        self.failed |= outcome.is_err();
        outcome
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.client.take().filter(|_| !self.failed) {
            let mut idle = self.owner.idle();
            let kept = idle.entry(self.number).or_default();
            if kept.len() < IDLE_CLIENTS_MAX {
                kept.push(client);
            }
        }
    }
}

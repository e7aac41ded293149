//! Clients of a topic's partitions, on loan: `discover`, a reader, `lag` and the watch use the same ones one after another,
//! so that looking for news costs one cheap request a partition and no connection. A client that failed is not
//! given back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use catchment_contract::options::nearest;
use catchment_contract::{Environment, Error, ErrorKind, Result};
use catchment_topics::{Bounds, PartitionClient, Topics};

/// Clients of one partition that are kept for the next one who needs them: a reader's and one to look with.
const IDLE_CLIENTS_MAX: usize = 2;

/// Clients of a topic's partitions.
pub(super) struct Clients {
    topics: Topics,
    topic: String,
    idle: Mutex<HashMap<u32, Vec<Box<dyn PartitionClient>>>>,
    /// How many partitions there are, kept up to date while somebody watches.
    watched: Mutex<Option<u32>>,
}

impl Clients {
    pub(super) fn new(topics: Topics, topic: String) -> Self {
        Clients { topics, topic, idle: Mutex::new(HashMap::new()), watched: Mutex::new(None) }
    }

    /// Says how many partitions there are to everybody who asks, instead of the controller; `None` when nobody watches
    /// any more.
    pub(super) fn watched(&self, partitions: Option<u32>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = partitions;
    }

    /// How many partitions the topic has, as the watch knows it, else as the controller does.
    ///
    /// # Errors
    /// As [`Clients::partitions`].
    pub(super) fn known_partitions(&self) -> Result<u32> {
        let watched = *self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.map_or_else(|| self.partitions(), Ok)
    }

    /// What time is taken from.
    pub(super) fn environment(&self) -> &Environment {
        self.topics.environment()
    }

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
    pub(super) fn client(self: &Arc<Self>, number: u32) -> Result<Loan> {
        let idle = self.idle().get_mut(&number).and_then(Vec::pop);
        let client = match idle {
            Some(client) => client,
            None => self.topics.broker()?.partition(&self.topic, number)?,
        };
        Ok(Loan { client: Some(client), owner: self.clone(), number, failed: false })
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
pub(super) struct Loan {
    /// There until it is dropped.
    client: Option<Box<dyn PartitionClient>>,
    owner: Arc<Clients>,
    number: u32,
    failed: bool,
}

impl Loan {
    /// Calls the client. One that fails is not given back: whoever needs the next one gets a new one.
    pub(super) fn attempt<T>(&mut self, call: impl FnOnce(&mut dyn PartitionClient) -> Result<T>) -> Result<T> {
        let client = self.client.as_deref_mut().expect("only dropping takes the client");
        let outcome = call(client);
        self.failed |= outcome.is_err();
        outcome
    }
}

impl Drop for Loan {
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

/// Records were evicted before they were read.
pub(super) fn evicted(topic: &str, partition: u32, offset: i64, start: i64) -> Error {
    Error::data(format!(
        "cannot read partition {partition} of topic \"{topic}\" at offset {offset}: the first record kept is {start}, so \
         {} are lost",
        start - offset
    ))
    .with_hint("write on_eviction = 'earliest' to go on there, keep records longer, or run the job on a new lake")
}

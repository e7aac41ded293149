//! A checked source: one topic of a broker.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::source::PartitionReader;
use catchment_contract::{
    Decoder, Error, Partition, PartitionLag, Position, Relation, Result, Source, Unfinished, Wake,
};
use catchment_topics::{Bounds, Topics};

use super::clients::{Clients, evicted};
use super::decode::TopicDecoder;
use super::option::{OnEviction, Start, TopicOptions};
use super::position::TopicPosition;
use super::reader::TopicReader;
use super::{start, watch};

/// A topic to read.
pub(super) struct Topic {
    pub(super) options: Arc<TopicOptions>,
    pub(super) clients: Arc<Clients>,
}

impl Topic {
    pub(super) fn new(options: TopicOptions, topics: Topics) -> Self {
        let topic = options.topic.clone();
        Topic { options: Arc::new(options), clients: Arc::new(Clients::new(topics, topic)) }
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
            .with_hint("the topic was made anew, or the job reads from another broker: give it its own again, or add --reset once to load everything anew"));
        }
        if position.offset < bounds.start && !position.new && *on_eviction == OnEviction::Fail {
            return Err(evicted(topic, number, position.offset, bounds.start));
        }
        let something = position.new || position.offset < bounds.end;
        Ok(something.then(|| Partition { id: number.to_string(), bytes: None, from: Some(position.encode()) }))
    }
}

impl Source for Topic {
    fn relation(&self) -> &Relation {
        &self.options.relation
    }

    fn definition(&self) -> String {
        self.options.definition()
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let positions = known.iter().map(|(id, position)| {
            Ok((number(id, &self.options.topic)?, TopicPosition::decode(position, &self.options.topic, id)?))
        });
        let mut positions = positions.collect::<Result<BTreeMap<u32, TopicPosition>>>()?;
        let partitions = self.clients.known_partitions()?;
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
        let TopicOptions { topic, format, start, .. } = &*self.options;
        if position.new && *start == Start::Earliest && format.changes_rows() && bounds.start > 0 {
            tracing::warn!(
                topic,
                partition = number,
                evicted = bounds.start,
                "the topic no longer holds all of its changes: rows that came before and have not changed since are missing"
            );
        }
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
            .with_hint("the source's connector may have changed: add --reset once to load everything anew")
    })
}

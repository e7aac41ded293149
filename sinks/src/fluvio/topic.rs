//! The topic that a sink finds or makes when it is opened.

use catchment_contract::{Error, ErrorKind, Result};
use catchment_topics::{Broker, TopicFacts, TopicSpec};

use crate::fluvio::spec::FluvioSpec;
use crate::fluvio::staged::StagedRecords;

/// Makes the topic of `spec` if it is missing, and says how many partitions to write to: those of `last`, the last
/// checkpoint, if there is one.
///
/// # Errors
/// [`catchment_contract::Fault::User`] for a topic that cannot be written, [`catchment_contract::Fault::Data`] for one that
/// is not what the checkpoint knows; else if the broker cannot be reached.
pub fn ready(spec: &FluvioSpec, broker: &dyn Broker, last: Option<&StagedRecords>) -> Result<u32> {
    let topic = &spec.topic;
    let known = last.map(|last| last.partitions.len() as u32);
    let has_records = last.is_some_and(|last| last.partitions.iter().any(|part| part.offset > 0));
    let facts = match broker.topic(topic)? {
        Some(facts) => facts,
        None if has_records => {
            return Err(Error::data(format!("topic \"{topic}\" is gone, and the last checkpoint had published to it")));
        }
        None => {
            let partitions = known.unwrap_or(spec.topic_spec.partitions);
            make(topic, broker, &TopicSpec { partitions, ..spec.topic_spec.clone() })?
        }
    };
    if facts.system {
        return Err(
            Error::user(format!("topic \"{topic}\" is a system topic of the server")).with_hint("write topic = '…'")
        );
    }
    if facts.rebuilt {
        return Err(Error::user(format!(
            "topic \"{topic}\" has transforms or deduplication: the server rewrites our batches and drops the headers by which each record is published once"
        ))
        .with_hint("make the topic without them, and transform in the view or in what reads the topic"));
    }
    match known {
        None => {
            let wanted = spec.topic_spec.partitions;
            if facts.partitions != wanted && wanted != 1 {
                tracing::warn!(
                    topic,
                    is = facts.partitions,
                    wanted,
                    "the topic already exists with another number of partitions"
                );
            }
            Ok(facts.partitions)
        }
        Some(known) if facts.partitions < known => Err(Error::data(format!(
            "topic \"{topic}\" has {} partitions, and the last checkpoint knows {known}: it was deleted and made anew",
            facts.partitions
        ))),
        Some(known) => {
            if facts.partitions > known {
                tracing::warn!(
                    topic,
                    written = known,
                    is = facts.partitions,
                    "the topic has gained partitions: they stay empty, so that each key's records stay in one"
                );
            }
            Ok(known)
        }
    }
}

fn make(topic: &str, broker: &dyn Broker, wanted: &TopicSpec) -> Result<TopicFacts> {
    match broker.create(topic, wanted) {
        Ok(()) => {}
        // Made meanwhile, or by an attempt whose answer was lost.
        Err(error) if error.kind() == ErrorKind::Taken => {}
        Err(error) => return Err(error),
    }
    broker.topic(topic)?.ok_or_else(|| Error::remote(format!("topic \"{topic}\" was made, and is not there")))
}

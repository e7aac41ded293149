//! `catchment topics list`.

use catchment_topics::{Broker, TopicFacts};
use clap::Args;

use super::super::{Failure, print};
use super::Source;

/// List topics, with their partitions and records
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    source: Source,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
    /// List the broker's own topics too
    #[arg(long)]
    system: bool,
}

impl List {
    /// Prints a line a topic, in name order.
    pub fn execute(&self) -> Result<(), Failure> {
        let broker = self.source.broker()?;
        let topics = broker.topics()?;
        if !self.json {
            print(format_args!("{:<32} {:>10} {:>14} {:>14} retention", "topic", "partitions", "records", "end"))?;
        }
        for topic in topics.iter().filter(|topic| self.system || !topic.system) {
            let (records, end) = count(&*broker, topic)?;
            self.print(topic, records, end)?;
        }
        Ok(())
    }

    fn print(&self, topic: &TopicFacts, records: i64, end: i64) -> Result<(), Failure> {
        let TopicFacts { name, partitions, retention, .. } = topic;
        if self.json {
            let seconds = retention.map(|retention| retention.as_secs());
            let object = serde_json::json!({
                "topic": name, "partitions": partitions, "records": records, "end": end, "retention_seconds": seconds,
            });
            print(object)
        } else {
            let retention = retention.map_or("broker's".to_string(), |kept| {
                jiff::SignedDuration::try_from(kept).map_or_else(|_| format!("{kept:?}"), |kept| format!("{kept:#}"))
            });
            print(format_args!("{name:<32} {partitions:>10} {records:>14} {end:>14} {retention}"))
        }
    }
}

/// Records that a topic keeps, and all that it ever had.
fn count(broker: &dyn Broker, topic: &TopicFacts) -> catchment_contract::Result<(i64, i64)> {
    let (mut records, mut ends) = (0, 0);
    for partition in 0..topic.partitions {
        let bounds = broker.partition(&topic.name, partition)?.bounds()?;
        records += bounds.end - bounds.start;
        ends += bounds.end;
    }
    Ok((records, ends))
}

//! Where a partition of a topic goes on.
//!
//! A position is JSON text, one object:
//!
//! ```json
//! {"offset":1048230,"producers":[[91823,0,17]],"starts":[0,0,512]}
//! ```
//!
//! - `offset`: of the next record to read.
//! - `producers`: of the writers that number their batches (`producer_id` above 0 and a sequence), the last sequence that
//!   was read: id, epoch (which life of the writer), sequence; the one seen last stands last. A broker without
//!   transactions takes a batch twice when its writer repeats it, for example after a reply was lost; the second one has a
//!   sequence that was read already and is skipped. At most [`PRODUCERS_MAX`] are kept, those seen last.
//! - `starts`: in the partition with the lowest number only: the offsets at which the partitions began that were there at
//!   the first look, by their numbers. Arrival order is partition order, so whatever of a topic is known, this is: a job
//!   that was stopped during its first round begins the partitions it had not reached where it would have.
//! - `new`: nothing was read or recorded yet. Only `discover` gives such positions, readers never.
//!
//! Missing fields are empty. Two positions of a partition are equal when no record lies between them.

use catchment_contract::{Error, Position, Result};
use catchment_topics::batch::BatchHeader;
use serde::{Deserialize, Serialize};

/// How many writers of one partition are remembered: more than jobs that publish to one topic.
pub const PRODUCERS_MAX: usize = 64;

/// A position, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPosition {
    /// Offset of the next record.
    pub offset: i64,
    /// Id, epoch and last sequence of the writers that number their batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub producers: Vec<(i64, i16, i32)>,
    /// Where the partitions of the first look began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<i64>,
    /// Nothing was read or recorded yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new: bool,
}

impl TopicPosition {
    /// The position of a partition that nothing was read of.
    pub fn new(offset: i64, starts: Vec<i64>) -> Self {
        TopicPosition { offset, producers: Vec::new(), starts, new: true }
    }

    /// The position as the contract carries it.
    pub fn encode(&self) -> Position {
        Position(serde_json::to_string(self).expect("numbers and lists of them always encode"))
    }

    /// The position in `text`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is none of ours.
    pub fn decode(text: &Position, topic: &str, partition: &str) -> Result<Self> {
        let wrong = || {
            Error::data(format!(
                "cannot resume partition {partition} of topic \"{topic}\": its position is not one of a topic"
            ))
            .with_hint("the source's connector may have changed: add --reset once to load everything anew")
        };
        let read: TopicPosition = serde_json::from_str(&text.0).map_err(|error| wrong().with_source(error))?;
        if read.offset < 0 { Err(wrong()) } else { Ok(read) }
    }

    /// Moves past a batch; false if its writer has repeated it, so that it is to be skipped.
    pub fn pass(&mut self, header: &BatchHeader) -> bool {
        self.offset = self.offset.max(header.next_offset());
        if header.producer_id <= 0 || header.first_sequence < 0 {
            return true;
        }
        let known = self.producers.iter().position(|(id, ..)| *id == header.producer_id);
        let last = known.map(|at| self.producers.remove(at));
        let repeated = last
            .is_some_and(|(_, epoch, sequence)| (header.producer_epoch, header.first_sequence) <= (epoch, sequence));
        let now = (header.producer_id, header.producer_epoch, header.first_sequence);
        self.producers.push(if repeated { last.unwrap_or(now) } else { now });
        if self.producers.len() > PRODUCERS_MAX {
            self.producers.remove(0);
        }
        !repeated
    }
}

#[cfg(test)]
mod tests {
    use catchment_topics::batch::{BatchBuilder, Producer};

    use super::*;

    fn header(offset: i64, id: i64, epoch: i16, sequence: i32) -> BatchHeader {
        let mut builder = BatchBuilder::new();
        builder.push(None, b"x");
        let mut batch = builder.finish(Producer { id, epoch }, sequence, 1);
        catchment_topics::batch::set_base_offset(&mut batch, offset);
        BatchHeader::read(&batch).unwrap()
    }

    #[test]
    fn a_position_is_json_that_says_no_more_than_it_must() {
        let position = TopicPosition { offset: 7, ..TopicPosition::default() };
        assert_eq!(position.encode().0, r#"{"offset":7}"#);
        let full = TopicPosition { offset: 1, producers: vec![(5, 0, 9)], starts: vec![0, 3], new: true };
        assert_eq!(full.encode().0, r#"{"offset":1,"producers":[[5,0,9]],"starts":[0,3],"new":true}"#);
        assert_eq!(TopicPosition::decode(&full.encode(), "t", "0").unwrap(), full);
        for wrong in ["", "{}", "{\"offset\":-1}", "{\"lines\":{\"offset\":3}}", "7"] {
            let error = TopicPosition::decode(&Position(wrong.to_owned()), "t", "3").unwrap_err();
            assert!(error.chain().starts_with("cannot resume partition 3 of topic \"t\""), "{}", error.chain());
        }
    }

    #[test]
    fn a_repeated_batch_is_told_by_its_numbers() {
        let mut position = TopicPosition::default();
        assert!(position.pass(&header(0, 9, 0, 0)));
        assert!(position.pass(&header(1, 9, 0, 1)));
        assert!(!position.pass(&header(2, 9, 0, 0)), "repeated");
        assert!(!position.pass(&header(3, 9, 0, 1)), "repeated");
        assert!(position.pass(&header(4, 9, 1, 0)), "the next life of the writer numbers anew");
        assert!(!position.pass(&header(5, 9, 0, 7)), "the life before is over");
        assert!(position.pass(&header(6, -1, -1, -1)) && position.pass(&header(7, -1, -1, -1)), "nobody in particular");
        assert_eq!(position, TopicPosition { offset: 8, producers: vec![(9, 1, 0)], ..TopicPosition::default() });
    }

    #[test]
    fn the_writers_seen_last_are_remembered() {
        let mut position = TopicPosition::default();
        for id in 1..=PRODUCERS_MAX as i64 {
            assert!(position.pass(&header(id, id, 0, 3)));
        }
        assert!(position.pass(&header(100, 1, 0, 4)), "seen again, so it stays");
        assert!(position.pass(&header(101, 1_000, 0, 0)));
        assert_eq!(position.producers.len(), PRODUCERS_MAX);
        assert!(!position.pass(&header(102, 1, 0, 4)));
        assert!(position.pass(&header(103, 2, 0, 3)), "the one that was silent longest is forgotten");
    }
}

//! Whole batches out of what a server sends, which it cuts wherever the byte limit falls.
//!
//! A reply holds batches back to back, beginning with the one that holds the offset asked for (or before), the last one
//! cut anywhere. Whole batches are kept, the rest is asked for again; when none is whole, the cut one's header says how
//! much to ask for. So nothing is lost by a cut, whatever the size of batches.

use bytes::Bytes;
use fluvio_protocol::link::ErrorCode;
use fluvio_spu_schema::Isolation;
use fluvio_spu_schema::fetch::{FetchPartition, FetchRequest, FetchablePartitionResponse, FetchableTopic};

use crate::batch::{BatchHeader, HEADER_BYTES, batches};
use crate::broker::Fetched;
use crate::cluster::failure::Failure;
use crate::cluster::link::Link;
use crate::cluster::wire::RawRecords;

/// Most bytes that are asked for at once, and so the largest batch that can be read. No server takes a batch half as
/// large.
pub const FETCH_BYTES_MAX: usize = 64 << 20;

/// What a reply holds besides records.
const REPLY_SLACK_BYTES: usize = 64 << 10;
/// How the byte limit grows while not even a header was whole.
const GROWTH: usize = 4;

/// Which partition is asked about.
pub(super) struct Asked<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: u32,
}

/// Batches from the one that holds `from`. With `committed` those that are not yet on all replicas are left out.
pub(super) fn fetch(
    link: &mut Link,
    asked: &Asked<'_>,
    from: i64,
    max_bytes: usize,
    committed: bool,
) -> Result<Fetched, Failure> {
    let mut ask = max_bytes.clamp(HEADER_BYTES, FETCH_BYTES_MAX);
    loop {
        let reply = request(link, asked, from, ask)?;
        match reply.error_code {
            ErrorCode::None => {}
            ErrorCode::OffsetEvicted { next_available, .. } => return Ok(Fetched::Evicted { start: next_available }),
            code => return Err(Failure::Code { code, message: None }),
        }
        let high = committed.then_some(reply.high_watermark);
        match select(&reply.records.0, from, high)? {
            Selected::Batches { bytes, next } => return Ok(Fetched::Batches { bytes, next }),
            Selected::Evicted { start } => return Ok(Fetched::Evicted { start }),
            Selected::Damaged { next, why } => return Ok(Fetched::Damaged { next, why }),
            Selected::More { bytes } => {
                let more = bytes.unwrap_or(ask.saturating_mul(GROWTH)).max(ask + 1);
                if more > FETCH_BYTES_MAX {
                    return Err(Failure::Huge { offset: from, bytes: more, limit: FETCH_BYTES_MAX });
                }
                ask = more;
            }
        }
    }
}

/// The offset after the last batch that the server has at or after `from`, by the headers of as much as it sends;
/// `from` if there is none.
pub(super) fn last_seen(link: &mut Link, asked: &Asked<'_>, from: i64, ask: usize) -> Result<(i64, i64), Failure> {
    let reply = request(link, asked, from, ask)?;
    if reply.error_code.is_error() {
        return Err(Failure::Code { code: reply.error_code, message: None });
    }
    let mut seen = batches(&reply.records.0);
    let whole = seen.by_ref().last().map(|batch| batch.header.next_offset());
    // A cut batch is in the log as well: its header is enough.
    let cut = BatchHeader::read(seen.remaining()).map(|header| header.next_offset());
    match cut.or(whole) {
        Some(next) if next > from => Ok((next, reply.high_watermark)),
        Some(_) | None if reply.records.0.is_empty() => Ok((from, reply.high_watermark)),
        _ => Err(Failure::Damaged { offset: from, why: "what stands there is no batch".into() }),
    }
}

/// One Fetch. Read uncommitted, because a server that was killed comes back with a watermark behind what it has
/// acknowledged; whoever wants less looks at the watermark in the reply.
fn request(
    link: &mut Link,
    asked: &Asked<'_>,
    from: i64,
    ask: usize,
) -> Result<FetchablePartitionResponse<RawRecords>, Failure> {
    let max_bytes = ask as i32;
    let request = FetchRequest::<RawRecords> {
        max_bytes,
        isolation_level: Isolation::ReadUncommitted,
        topics: vec![FetchableTopic {
            name: asked.topic.to_string(),
            fetch_partitions: vec![FetchPartition {
                partition_index: asked.partition,
                fetch_offset: from,
                max_bytes,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    // A server that never cuts a batch answers with more than was asked for.
    let reply = link.request_sized(&request, 256, FETCH_BYTES_MAX + REPLY_SLACK_BYTES, ask + REPLY_SLACK_BYTES)?;
    if reply.error_code.is_error() {
        return Err(Failure::Code { code: reply.error_code, message: None });
    }
    let found = reply.find_partition(asked.topic, asked.partition);
    found.ok_or_else(|| Failure::Reply("it does not mention the partition".into()))
}

/// What a reply was good for.
#[derive(Debug, PartialEq, Eq)]
enum Selected {
    /// Whole batches, maybe none, and the offset after them.
    Batches { bytes: Bytes, next: i64 },
    /// The log begins later.
    Evicted { start: i64 },
    /// The first batch does not match its checksum; the next one begins at `next`.
    Damaged { next: i64, why: String },
    /// No batch is whole: so many bytes must be asked for, if that can be told.
    More { bytes: Option<usize> },
}

/// The whole, intact batches from offset `from` on, below the watermark `high` if there is one.
fn select(reply: &Bytes, from: i64, high: Option<i64>) -> Result<Selected, Failure> {
    let mut all = batches(reply);
    let (mut start, mut end, mut next) = (0, 0, from);
    loop {
        let at = reply.len() - all.remaining().len();
        let Some(batch) = all.next() else { break };
        let header = batch.header;
        if end == 0 && header.next_offset() <= from {
            continue;
        }
        if end == 0 && header.base_offset > from {
            return Ok(Selected::Evicted { start: header.base_offset });
        }
        if high.is_some_and(|high| header.next_offset() > high) {
            return Ok(Selected::Batches { bytes: reply.slice(start..end), next });
        }
        let wrong = match batch.is_intact() {
            false => Some("a batch does not match its checksum".to_string()),
            true if end > 0 && header.base_offset != next => {
                Some(format!("a batch says it begins at {}", header.base_offset))
            }
            true => None,
        };
        match wrong {
            // What stands before it is good; the next fetch begins with it.
            Some(_) if end > 0 => return Ok(Selected::Batches { bytes: reply.slice(start..end), next }),
            Some(why) => return Ok(Selected::Damaged { next: header.next_offset(), why }),
            None => {}
        }
        if end == 0 {
            start = at;
        }
        end = at + header.bytes;
        next = header.next_offset();
    }
    let rest = all.remaining();
    match BatchHeader::read(rest) {
        _ if end > 0 || reply.is_empty() => Ok(Selected::Batches { bytes: reply.slice(start..end), next }),
        Some(header) => Ok(Selected::More { bytes: (reply.len() - rest.len()).checked_add(header.bytes) }),
        None if rest.len() < HEADER_BYTES => Ok(Selected::More { bytes: None }),
        None => Err(Failure::Damaged { offset: from, why: "what stands there is no batch".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, Producer, set_base_offset};

    /// Batches of `sizes` records from offset `base` on.
    fn log(base: i64, sizes: &[usize]) -> (Bytes, Vec<usize>) {
        let (mut bytes, mut ends, mut offset) = (Vec::new(), vec![0], base);
        for size in sizes {
            let mut builder = BatchBuilder::new();
            (0..*size).for_each(|record| builder.push(None, format!("record {record}").as_bytes()));
            let mut batch = builder.finish(Producer::NONE, -1, 1);
            set_base_offset(&mut batch, offset);
            offset += *size as i64;
            bytes.extend(batch);
            ends.push(bytes.len());
        }
        (bytes.into(), ends)
    }

    #[test]
    fn every_cut_keeps_the_whole_batches_and_says_what_is_missing() {
        let (bytes, ends) = log(10, &[3, 1, 4]);
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let selected = select(&bytes.slice(..cut), 10, None).unwrap();
            let expect = match whole {
                0 if cut == 0 => Selected::Batches { bytes: Bytes::new(), next: 10 },
                0 if cut < HEADER_BYTES => Selected::More { bytes: None },
                0 => Selected::More { bytes: Some(ends[1]) },
                _ => Selected::Batches { bytes: bytes.slice(..ends[whole]), next: [13, 14, 18][whole - 1] },
            };
            assert_eq!(selected, expect, "cut at {cut}");
        }
    }

    #[test]
    fn batches_before_the_offset_are_passed_over() {
        let (bytes, ends) = log(10, &[3, 1, 4]);
        let from = |offset| select(&bytes, offset, None).unwrap();
        assert_eq!(from(12), Selected::Batches { bytes: bytes.clone(), next: 18 }, "it holds the offset");
        assert_eq!(from(13), Selected::Batches { bytes: bytes.slice(ends[1]..), next: 18 });
        let cut = bytes.slice(..ends[1] + HEADER_BYTES);
        assert_eq!(select(&cut, 13, None).unwrap(), Selected::More { bytes: Some(ends[2]) });
        assert_eq!(from(9), Selected::Evicted { start: 10 });
    }

    #[test]
    fn what_is_above_the_watermark_is_left_out() {
        let (bytes, ends) = log(0, &[3, 1, 4]);
        let below = |high| select(&bytes, 0, Some(high)).unwrap();
        assert_eq!(below(8), Selected::Batches { bytes: bytes.clone(), next: 8 });
        assert_eq!(below(7), Selected::Batches { bytes: bytes.slice(..ends[2]), next: 4 });
        assert_eq!(below(0), Selected::Batches { bytes: Bytes::new(), next: 0 });
    }

    #[test]
    fn damage_is_reported_with_what_follows_it_once_it_is_first() {
        let (bytes, ends) = log(0, &[3, 1, 4]);
        let mut damaged = bytes.to_vec();
        damaged[ends[2] - 1] ^= 1;
        let damaged = Bytes::from(damaged);
        assert_eq!(select(&damaged, 0, None).unwrap(), Selected::Batches { bytes: bytes.slice(..ends[1]), next: 3 });
        let why = "a batch does not match its checksum".to_string();
        assert_eq!(select(&damaged.slice(ends[1]..), 3, None).unwrap(), Selected::Damaged { next: 4, why });
        let failure = select(&Bytes::from(vec![0xff; 100]), 5, None).unwrap_err();
        assert_eq!(failure.to_string(), "damage at offset 5: what stands there is no batch");
    }

    #[test]
    fn a_gap_between_batches_is_not_jumped() {
        let (first, _) = log(0, &[3]);
        let (second, _) = log(5, &[2]);
        let both = Bytes::from([first.clone(), second].concat());
        assert_eq!(select(&both, 0, None).unwrap(), Selected::Batches { bytes: first, next: 3 });
    }
}

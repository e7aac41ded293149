//! Where a job begins that has read nothing yet.
//!
//! A time is looked for by bisection over the batches' times, a few fetches of one batch a partition, and then among the
//! records of the batch that was found. That is exact as long as times do not go back within a partition; where they do,
//! the start is one of the places where time passes the one that is wanted. A batch that says no time counts as late
//! enough: rather too many records than too few.

use std::sync::Arc;

use catchment_contract::{Error, Result};
use catchment_topics::batch::{Batch, batches};
use catchment_topics::{Bounds, Fetched};

use super::clients::{Clients, Loan};
use super::option::{Start, TopicOptions};

/// Enough for a header and small batches; a fetch gives at least one whole batch.
const FETCH_BYTES: usize = 4096;

/// The offset at which each partition begins.
///
/// # Errors
/// For an offset beyond a partition's end, and if the broker cannot be reached.
pub(super) fn starts(options: &TopicOptions, clients: &Arc<Clients>, bounds: &[Bounds]) -> Result<Vec<i64>> {
    let start = |(number, bounds): (u32, &Bounds)| match options.start {
        Start::Earliest => Ok(bounds.start),
        Start::Latest => Ok(bounds.end),
        Start::Offset(offset) if offset > bounds.end => Err(beyond(options, number, offset, *bounds)),
        Start::Offset(offset) => Ok(offset),
        Start::Time(time) => of_time(clients.client(number)?, time, *bounds),
    };
    (0..).zip(bounds).map(start).collect()
}

fn beyond(options: &TopicOptions, number: u32, offset: i64, bounds: Bounds) -> Error {
    let TopicOptions { owner, topic, .. } = options;
    Error::user(format!(
        "{owner} cannot start at offset {offset}: partition {number} of topic \"{topic}\" ends at {}",
        bounds.end
    ))
    .with_hint("write an offset that every partition has, a time, or from = 'latest'")
}

/// Offset of the first record written at `time` or later; the end if there is none.
fn of_time(mut client: Loan, time: i64, bounds: Bounds) -> Result<i64> {
    // Everything below `low` is too early; what is at `high` is late enough, or `high` is the end.
    let (mut low, mut high) = (bounds.start, bounds.end);
    while low < high {
        let middle = low + (high - low) / 2;
        match look(&mut client, middle, time)? {
            Seen::Early { next } => low = next.max(middle + 1),
            Seen::Late { offset, .. } if offset > low => high = offset.min(middle),
            Seen::Late { first, .. } => return Ok(first.clamp(bounds.start, bounds.end)),
            Seen::Evicted { start } => low = start.max(middle + 1),
            Seen::End => high = middle,
        }
    }
    // The batch at `low` is late enough, and it may begin with records that are not.
    match look(&mut client, low, time)? {
        Seen::Late { first, .. } if low < bounds.end => Ok(first.clamp(low, bounds.end)),
        _ => Ok(low.min(bounds.end)),
    }
}

/// What is known of the batch that holds an offset.
enum Seen {
    /// All of it is too early.
    Early { next: i64 },
    /// It begins at `offset`, and `first` is its first record that is late enough.
    Late { offset: i64, first: i64 },
    /// It is no longer kept.
    Evicted { start: i64 },
    /// There is none.
    End,
}

fn look(client: &mut Loan, offset: i64, time: i64) -> Result<Seen> {
    Ok(match client.attempt(|client| client.fetch(offset, FETCH_BYTES))? {
        Fetched::Evicted { start } => Seen::Evicted { start },
        // Nobody can tell how late it is; what follows will be looked at.
        Fetched::Damaged { next, .. } => Seen::Early { next },
        Fetched::Batches { bytes, .. } => match batches(&bytes).next() {
            None => Seen::End,
            Some(batch) if (0..time).contains(&batch.header.max_time) => {
                Seen::Early { next: batch.header.next_offset() }
            }
            Some(batch) => Seen::Late { offset: batch.header.base_offset, first: first_late(&batch, time) },
        },
    })
}

/// The first record of a batch that is late enough; the first of all if they cannot be read, which the decoder rejects.
fn first_late(batch: &Batch<'_>, time: i64) -> i64 {
    let mut scratch = Vec::new();
    let base = batch.header.base_offset;
    let Ok(records) = batch.records(&mut scratch) else { return base };
    let late = records.flatten().find(|record| !(0..time).contains(&record.time));
    late.map_or(base, |record| record.offset)
}

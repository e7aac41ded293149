//! Appending chunks to a partition, each once.
//!
//! A *run* of chunks has one producer id and sequences without gaps. One chunk is one batch is one request, and the next
//! one is sent when the one before is acknowledged at the offset where it should be. Whenever that is not so, what is in
//! the partition is looked up before anything is sent again:
//!
//! | what came back | what is known | what follows |
//! |---|---|---|
//! | the expected offset | appended | the next chunk |
//! | a later offset | appended; somebody else writes here | look, go on after the last sequence found |
//! | an earlier offset | the partition lost records | the error comes out |
//! | refused as repeated | the partition should have it | look, go on after it; if it is not there, the error comes out |
//! | too large, and the chunk is one record | it never will be | the record is left out and handed back |
//! | not applied, may be repeated | nothing was appended | pause, send again |
//! | outcome unknown | nothing | connect anew, pause, look, go on after the last sequence found |
//! | anything else | | the error comes out |
//!
//! To *look* is to read the partition from the offset that the checkpoint knows and to take the greatest sequence of our
//! producer id. What was there may have been evicted since, if the job slept for longer than the topic keeps its records:
//! then the end tells, if nobody else wrote.
//!
//! How long and how often is the [`RetryPolicy`] of the job's [`Topics`](catchment_topics::Topics): when calls have failed
//! for as long as its patience since the last success, the error comes out.

use std::sync::Arc;

use bytes::Bytes;
use catchment_contract::{Environment, Error, ErrorKind, Outcome, Result, Retries, Retry, RetryPolicy};
use catchment_topics::batch::{Batch, batches};
use catchment_topics::{Broker, Fetched, PartitionClient};

/// How much is asked for at once when a partition is looked at.
const LOOK_BYTES: usize = 1 << 20;

/// Chunks of one producer for one partition.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The offset from which on they can be, if they are in the partition.
    pub from: i64,
    /// Their producer id, above 0.
    pub producer: i64,
    /// Sequence of the first.
    pub sequence: i32,
    /// How many there are.
    pub chunks: u32,
    /// Records in them.
    pub records: u64,
    /// The encoded batches; none where the partition is only to be looked at.
    pub encoded: &'a [Bytes],
}

/// What is in a partition of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Chunks that are there.
    pub done: u32,
    /// The partition's end.
    pub end: i64,
}

/// What appending came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// The partition's end, as far as known.
    pub end: i64,
    /// Chunks of one record that the broker does not take.
    pub refused: Vec<Bytes>,
}

/// Writes one partition.
pub struct Writer {
    broker: Arc<dyn Broker>,
    topic: String,
    partition: u32,
    client: Option<Box<dyn PartitionClient>>,
    policy: RetryPolicy,
    environment: Environment,
}

impl Writer {
    /// A writer of `partition` of `topic`; connects when it is first needed.
    pub fn new(
        broker: Arc<dyn Broker>,
        topic: &str,
        partition: u32,
        policy: RetryPolicy,
        environment: &Environment,
    ) -> Self {
        let environment = environment.clone();
        Writer { broker, topic: topic.to_owned(), partition, client: None, policy, environment }
    }

    fn retries(&self) -> Retries {
        Retries::new(self.policy, self.environment.clone())
    }

    /// The partition's end.
    ///
    /// # Errors
    /// If the broker cannot be reached for as long as the policy allows.
    pub fn end(&mut self) -> Result<i64> {
        let mut retries = self.retries();
        loop {
            match self.with_client(|client| client.bounds()) {
                Ok(bounds) => return Ok(bounds.end),
                Err(error) => retries.wait(&format!("find the end of {}", self.place()), error)?,
            }
        }
    }

    /// Brings what was appended to disk, as far as the broker can be asked to.
    ///
    /// # Errors
    /// If it cannot, or the broker cannot be reached for as long as the policy allows.
    pub fn sync(&mut self) -> Result<()> {
        let mut retries = self.retries();
        loop {
            match self.with_client(|client| client.sync()) {
                Ok(()) => return Ok(()),
                Err(error) => retries.wait(&format!("bring {} to disk", self.place()), error)?,
            }
        }
    }

    /// What of `run` is in the partition.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if the partition ends before the run begins, cannot tell any more, or holds
    /// batches of ours that come after the run; else if the broker cannot be reached
    /// for as long as the policy allows.
    pub fn look(&mut self, run: &Run<'_>) -> Result<Standing> {
        let mut retries = self.retries();
        loop {
            match self.look_once(run) {
                Ok(standing) => return Ok(standing),
                Err(error) => retries.wait(&format!("look into {}", self.place()), error)?,
            }
        }
    }

    /// Appends what is left of `run`. `standing` says what is in the partition, if that is known.
    ///
    /// # Errors
    /// As [`Writer::look`], and what the broker answers to a request that cannot be repeated.
    pub fn append(&mut self, run: &Run<'_>, standing: Option<Standing>) -> Result<Appended> {
        if run.encoded.len() != run.chunks as usize {
            return Err(Error::data(format!(
                "an outbox holds {} batches for {}, and should hold {}",
                run.encoded.len(),
                self.place(),
                run.chunks
            )));
        }
        let mut retries = self.retries();
        let mut refused = Vec::new();
        // The chunks before `done` need nothing any more, and the others cannot be before the offset `end`.
        let (mut done, mut end, mut is_known) = match standing {
            Some(standing) => (standing.done as usize, standing.end, true),
            None => (0, run.from, false),
        };
        loop {
            if !is_known {
                let standing = self.look(&rest(run, done, end))?;
                (done, end, is_known) = (done + standing.done as usize, standing.end, true);
            }
            let Some(chunk) = run.encoded.get(done) else { return Ok(Appended { end, refused }) };
            match self.with_client(|client| client.produce(chunk)) {
                Ok(offset) => {
                    self.check_end(end, offset)?;
                    if offset != end {
                        let place = self.place();
                        tracing::warn!(place, offset, expected = end, "somebody else writes to the topic");
                        is_known = false;
                    }
                    end = offset.saturating_add_unsigned(records_in(chunk));
                    done += 1;
                    retries.progress();
                }
                Err(error) if error.kind() == ErrorKind::Taken => {
                    let standing = self.look(&rest(run, done, end))?;
                    if standing.done == 0 {
                        return Err(Error::data(format!(
                            "{} refuses a batch as repeated, and does not hold it: its broker lost records",
                            self.place()
                        )));
                    }
                    (done, end, is_known) = (done + standing.done as usize, standing.end, true);
                }
                Err(error) if is_too_large(&error, chunk) => {
                    refused.push(chunk.clone());
                    done += 1;
                }
                Err(error) => {
                    is_known = error.outcome() == Outcome::NotApplied;
                    retries.wait(&format!("write to {}", self.place()), error)?;
                }
            }
        }
    }

    /// Reads the partition from `run.from` on.
    fn look_once(&mut self, run: &Run<'_>) -> Result<Standing> {
        let bounds = self.with_client(|client| client.bounds())?;
        self.check_end(run.from, bounds.end)?;
        let (mut from, mut evicted) = (run.from, false);
        let mut last: Option<i32> = None;
        loop {
            match self.with_client(|client| client.fetch(from, LOOK_BYTES))? {
                Fetched::Evicted { start } => {
                    // A start that does not move on would be asked for for ever.
                    if start <= from {
                        return Err(Error::remote(format!("could not read {} from offset {from}", self.place())));
                    }
                    (from, evicted) = (start, true);
                }
                Fetched::Damaged { why, .. } => {
                    return Err(Error::data(format!(
                        "cannot tell what {} holds at offset {from}: {why}",
                        self.place()
                    )));
                }
                Fetched::Batches { bytes, next } => {
                    for batch in batches(&bytes).filter(|batch| batch.header.base_offset >= run.from) {
                        last = self.greater(last, run, &batch)?;
                    }
                    if next <= from {
                        break;
                    }
                    from = next;
                }
            }
        }
        let done = match last {
            Some(last) => last.abs_diff(run.sequence).saturating_add(1).min(run.chunks),
            None if evicted && run.chunks > 0 => self.done_by_end(run, from)?,
            None => 0,
        };
        Ok(Standing { done, end: from })
    }

    /// The greater of `last` and the sequence of `batch`, if it is one of the run's. One of ours that comes after the run is
    /// refused: only what a checkpoint knows is published.
    fn greater(&self, last: Option<i32>, run: &Run<'_>, batch: &Batch<'_>) -> Result<Option<i32>> {
        let (sequence, offset) = (batch.header.first_sequence, batch.header.base_offset);
        let index = i64::from(sequence) - i64::from(run.sequence);
        if batch.header.producer_id != run.producer || index < 0 {
            return Ok(last);
        }
        if index >= i64::from(run.chunks) {
            return Err(Error::data(format!(
                "{} holds records at offset {offset} that the sink published after its last checkpoint",
                self.place()
            ))
            .with_hint("the job's checkpoints in _catchment are an older copy: put the newest ones back"));
        }
        if last.is_some_and(|last| sequence <= last) {
            let place = self.place();
            tracing::error!(place, sequence, offset, "a batch is in the topic twice");
        }
        Ok(last.max(Some(sequence)))
    }

    /// The chunks that must have been there before they were evicted, if nobody else wrote.
    fn done_by_end(&self, run: &Run<'_>, end: i64) -> Result<u32> {
        let mut at = run.from;
        let ends = run.encoded.iter().map(|chunk| {
            at = at.saturating_add_unsigned(records_in(chunk));
            at
        });
        let reached = std::iter::once(run.from).chain(ends).position(|at| at == end);
        let whole = (end == run.from.saturating_add_unsigned(run.records)).then_some(run.chunks);
        reached.map(|chunks| chunks as u32).or(whole).ok_or_else(|| {
            Error::data(format!(
                "{} no longer keeps its records from offset {}, so that nobody can tell which of the last checkpoint's are in it (retention is shorter than the job's pause)",
                self.place(),
                run.from
            ))
        })
    }

    /// Refuses a partition that ends before `known`, where it has ended before.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`].
    pub fn check_end(&self, known: i64, end: i64) -> Result<()> {
        if end >= known {
            return Ok(());
        }
        Err(Error::data(format!(
            "{} ends at offset {end}, but ended at {known} before: it was deleted and made anew, or its broker lost records",
            self.place()
        )))
    }

    fn place(&self) -> String {
        format!("partition {} of topic \"{}\"", self.partition, self.topic)
    }

    /// Calls with the client, which an error costs: the next call connects anew.
    fn with_client<T>(&mut self, call: impl FnOnce(&mut dyn PartitionClient) -> Result<T>) -> Result<T> {
        let mut client = match self.client.take() {
            Some(client) => client,
            // What could not be connected was not sent.
            None => self.broker.partition(&self.topic, self.partition)?,
        };
        let result = call(client.as_mut());
        let keeps = result.as_ref().err().is_none_or(|error| error.retry() == Retry::Never);
        self.client = keeps.then_some(client);
        result
    }
}

/// What is left of `run` after `done` of its chunks, none of it before the offset `from`.
fn rest<'a>(run: &Run<'a>, done: usize, from: i64) -> Run<'a> {
    let left = run.encoded.get(done..).unwrap_or_default();
    Run {
        from,
        producer: run.producer,
        sequence: run.sequence.saturating_add_unsigned(done as u32),
        chunks: left.len() as u32,
        records: left.iter().map(|chunk| records_in(chunk)).sum(),
        encoded: left,
    }
}

/// How many records a chunk holds.
pub fn records_in(chunk: &[u8]) -> u64 {
    batches(chunk).map(|batch| u64::from(batch.header.records)).sum()
}

/// Whether the broker does not take `chunk` for its size, which nothing can make smaller.
fn is_too_large(error: &Error, chunk: &[u8]) -> bool {
    error.kind() == ErrorKind::TooLarge && error.outcome() == Outcome::NotApplied && records_in(chunk) == 1
}

//! The sink: updates in, records out.
//!
//! To *stage* is to make records of the net changes since the last checkpoint, cut them into chunks and put these into an
//! outbox in the lake. To *publish* is to append the chunks ([`Writer`]). An open looks into the partitions for what the
//! last checkpoint's outbox still owes them.
//!
//! The producer id is drawn when a sink starts without a checkpoint, and kept in checkpoints from then on: an id that
//! followed from the names alone would make a broker that refuses repeated sequences take the records of a job that is
//! loaded anew for those of its first life. When sequences come near the end of their 31 bits, another id is drawn and
//! they begin at 0.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use catchment_contract::{
    Environment, Epoch, Error, Fault, Reject, Result, Sink, SinkContext, SinkFigures, Staged, TopicPosition,
    UpdateBatch,
};
use catchment_topics::Broker;
use catchment_topics::batch::batches;

use crate::fluvio::chunks::{Chunks, Lane, Routing};
use crate::fluvio::first::FirstKeys;
use crate::fluvio::outbox::Outbox;
use crate::fluvio::pending::{Change, Pairing, Pending};
use crate::fluvio::publish::{Appended, Run, Standing, Writer, records_in};
use crate::fluvio::record::Encoder;
use crate::fluvio::spec::{Delivery, FluvioSpec, Format};
use crate::fluvio::staged::{Object, StagedPartition, StagedRecords};
use crate::fluvio::topic;
use catchment_store::LakeStore;

/// From this sequence on another producer id is drawn: 2²⁴ chunks, 1 TiB at least, are left for the checkpoint then.
const SEQUENCE_MAX: i32 = i32::MAX - (1 << 24);

/// An open sink.
pub struct FluvioSink {
    spec: FluvioSpec,
    broker: Arc<dyn Broker>,
    environment: Environment,
    outbox: Outbox,
    producer: i64,
    partitions: Vec<Partition>,
    pending: Pending,
    first: Option<FirstKeys>,
    /// The last checkpoint's object of published keys.
    keys: Option<Object>,
    /// Chunks of stages that were not published yet, the partitions' one after the other, by checkpoint.
    waiting: BTreeMap<u64, Vec<Bytes>>,
    /// The checkpoint whose publishing was begun last: what it left is unknown until it has ended well.
    begun: u64,
    /// The last checkpoint that is published.
    published: u64,
    /// Objects that the last published checkpoint needs.
    kept: Vec<String>,
    /// Whether the last checkpoint's note has records in it, which are published by now (`exactly_once`).
    is_settled: bool,
    /// Whether records were published since the last stage (`at_least_once`).
    is_dirty: bool,
    records: u64,
    rejects: Vec<Reject>,
}

/// Where a partition stands.
struct Partition {
    writer: Writer,
    /// Sequence of the next chunk to be staged.
    sequence: i32,
    /// The end once everything staged is published.
    staged: i64,
    /// The end as far as known.
    end: i64,
    /// Records staged and not published.
    behind: u64,
    /// Whether what was published, in this run or before, is on the broker's disk.
    is_synced: bool,
}

impl FluvioSink {
    /// Opens the sink of `spec` with its topic at `broker` and its outbox in `lake`, at the state of checkpoint `last`;
    /// see [`catchment_contract::SinkSpec::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(
        spec: FluvioSpec,
        lake: LakeStore,
        broker: Arc<dyn Broker>,
        context: &SinkContext,
        last: Option<(u64, &Staged)>,
    ) -> Result<Self> {
        let name = spec.sink.clone();
        let last = match last {
            Some((_, staged)) => {
                let read = StagedRecords::from_staged(staged, &spec.topic, &spec.records());
                Some(read.map_err(|error| or_reset(error, &name))?)
            }
            None => None,
        };
        FluvioSink::open_at(spec, lake, broker, context, last).map_err(|error| way_out(error, &name))
    }

    fn open_at(
        spec: FluvioSpec,
        lake: LakeStore,
        broker: Arc<dyn Broker>,
        context: &SinkContext,
        last: Option<StagedRecords>,
    ) -> Result<Self> {
        let partitions = topic::ready(&spec, &*broker, last.as_ref())?;
        let (policy, environment) = (spec.topics.policy(), spec.topics.environment().clone());
        let writer = |partition| Writer::new(Arc::clone(&broker), &spec.topic, partition, policy, &environment);
        let partition =
            |number| Partition { writer: writer(number), sequence: 0, staged: 0, end: 0, behind: 0, is_synced: false };
        let mut sink = FluvioSink {
            outbox: Outbox::new(lake, &context.job, &spec.sink, environment.clone()),
            producer: new_producer(&environment),
            partitions: (0..partitions).map(partition).collect(),
            pending: Pending::new(&spec.relation, &spec.key, spec.pairing(), spec.delivery == Delivery::AtLeastOnce),
            first: spec.emit_first.then(FirstKeys::default),
            keys: None,
            waiting: BTreeMap::new(),
            begun: 0,
            published: 0,
            kept: Vec::new(),
            is_settled: false,
            is_dirty: false,
            records: 0,
            rejects: Vec::new(),
            broker,
            environment,
            spec,
        };
        match last {
            Some(last) => sink.resume(last)?,
            None => sink.start_over()?,
        }
        sink.outbox.remove_others(&sink.kept, &*context.lease)?;
        Ok(sink)
    }

    /// Publishes what the last checkpoint still owes the topic, and goes on from there.
    fn resume(&mut self, last: StagedRecords) -> Result<()> {
        if self.spec.delivery == Delivery::ExactlyOnce {
            self.producer = last.producer;
        }
        self.kept = last.paths();
        if self.first.is_some() {
            let lost = || Error::data(format!("the checkpoint's note about topic \"{}\" names no keys", last.topic));
            let keys = last.keys.as_ref().ok_or_else(lost)?;
            self.first = Some(FirstKeys::decode(&self.outbox.get(keys)?)?);
            self.keys = Some(keys.clone());
        }
        for (partition, part) in self.partitions.iter_mut().zip(&last.partitions) {
            let end = partition.writer.end()?;
            partition.writer.check_end(part.offset, end)?;
            (partition.sequence, partition.end, partition.staged) = (part.next_sequence(), end, end);
            if self.spec.delivery == Delivery::ExactlyOnce && part.chunks == 0 && end > part.offset {
                // Somebody has written since. It must have been somebody else.
                partition.writer.look(&part.run(self.producer))?;
            }
        }
        (self.begun, self.published) = (last.checkpoint, last.checkpoint.saturating_sub(1));
        if last.outbox.is_some() {
            self.publish_staged(&last)?;
        }
        self.published = last.checkpoint;
        self.is_settled = last.outbox.is_some();
        Ok(())
    }

    /// No checkpoint knows the topic: whatever is in it stays.
    fn start_over(&mut self) -> Result<()> {
        for (number, partition) in self.partitions.iter_mut().enumerate() {
            let end = partition.writer.end()?;
            (partition.end, partition.staged) = (end, end);
            if end > 0 {
                tracing::warn!(
                    topic = self.spec.topic,
                    partition = number,
                    records = end,
                    ours = self.spec.records(),
                    "the topic holds records that no checkpoint of this sink knows, perhaps of another form: they stay, and \
                     ours follow"
                );
            }
        }
        Ok(())
    }

    /// Makes lanes of records out of `changes` at `epoch`; those over the broker's limit become rejects.
    fn encode(&mut self, changes: &[Change], epoch_of: impl Fn(&Change) -> Epoch) -> Result<Vec<Lane>> {
        let time_ms = self.environment.wall_micros() / 1000;
        let encoder = Encoder::new(self.pending.batches(), &self.spec.key, self.spec.format, time_ms)?;
        let sequences: Vec<i32> = self.partitions.iter().map(|partition| partition.sequence).collect();
        let routing = if self.spec.key.is_empty() { Routing::Turns } else { Routing::Keys };
        let limit = self.broker.record_bytes_max();
        let mut chunks = Chunks::new(routing, self.producer, &sequences, time_ms, self.spec.batch_bytes, limit);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for change in changes {
            let Some(place) = change.after.or(change.before) else { continue };
            key.clear();
            value.clear();
            let has_key = encoder.write_key(place, &mut key);
            encoder.write_value(change, epoch_of(change), &mut value);
            let key = has_key.then_some(key.as_slice());
            if let Some(bytes) = chunks.push(key, &value)? {
                let reason = format!(
                    "a record of {bytes} bytes for topic \"{}\", whose broker takes {limit} at most",
                    self.spec.topic
                );
                self.rejects.push(reject(&self.spec.topic, key, &value, reason));
            }
        }
        chunks.finish()
    }

    /// The changes that are to be records.
    fn changes(&mut self) -> Result<Vec<Change>> {
        let mut changes = self.pending.changes()?;
        if let Some(first) = &mut self.first {
            changes.retain(|change| first.insert(change.key));
        }
        Ok(changes)
    }

    /// The note of a checkpoint, with the published keys made durable. It no longer holds what the one before had published:
    /// that is on the broker's disk by then.
    fn note(&mut self, n: u64, epoch: Epoch) -> Result<StagedRecords> {
        for partition in self.partitions.iter_mut().filter(|partition| !partition.is_synced) {
            partition.writer.sync()?;
            partition.is_synced = true;
        }
        let mut staged = StagedRecords::new(&self.spec.topic, &self.spec.records(), self.producer, n, epoch);
        if let Some(first) = &mut self.first {
            if first.take_changed() || self.keys.is_none() {
                self.keys = Some(self.outbox.put(n, "keys", &[first.encode().into()])?);
            }
            staged.keys.clone_from(&self.keys);
        }
        let part = |partition: &Partition| StagedPartition {
            offset: partition.staged,
            sequence: partition.sequence,
            chunks: 0,
            records: 0,
        };
        staged.partitions = self.partitions.iter().map(part).collect();
        Ok(staged)
    }

    fn stage_records(&mut self, n: u64, epoch: Epoch) -> Result<Option<Staged>> {
        if self.pending.is_empty() {
            return self.stage_nothing(n, epoch);
        }
        if self.partitions.iter().any(|partition| partition.sequence > SEQUENCE_MAX) {
            self.producer = new_producer(&self.environment);
            self.partitions.iter_mut().for_each(|partition| partition.sequence = 0);
        }
        let changes = self.changes()?;
        if changes.is_empty() {
            self.pending.clear();
            return self.stage_nothing(n, epoch);
        }
        let lanes = self.encode(&changes, |_| epoch)?;
        self.pending.clear();
        let mut staged = self.note(n, epoch)?;
        let mut outbox = Vec::new();
        for ((lane, part), partition) in lanes.into_iter().zip(&mut staged.partitions).zip(&mut self.partitions) {
            (part.chunks, part.records) = (lane.chunks.len() as u32, lane.records);
            outbox.extend(lane.chunks);
            partition.sequence = part.next_sequence();
            partition.staged = part.next_offset();
            partition.behind += part.records;
        }
        if !outbox.is_empty() {
            staged.outbox = Some(self.outbox.put(n, "bin", &outbox)?);
            self.waiting.insert(n, outbox);
        }
        self.is_settled = false;
        staged.to_staged().map(Some)
    }

    /// Says once that everything is published, where the last checkpoint's note leaves that open: else an open would look
    /// for its records however long they and the sink have rested, and among strangers' records in vain once they are
    /// evicted.
    fn stage_nothing(&mut self, n: u64, epoch: Epoch) -> Result<Option<Staged>> {
        match std::mem::take(&mut self.is_settled) {
            true => self.note(n, epoch)?.to_staged().map(Some),
            false => Ok(None),
        }
    }

    /// Appends what the partitions do not have yet of `staged`.
    fn publish_staged(&mut self, staged: &StagedRecords) -> Result<()> {
        let is_new = self.begun < staged.checkpoint;
        self.begun = self.begun.max(staged.checkpoint);
        let mut outbox = self.waiting.get(&staged.checkpoint).cloned();
        let mut next = 0;
        for (number, part) in staged.partitions.iter().enumerate() {
            let own = next..next + part.chunks as usize;
            next = own.end;
            if part.chunks == 0 {
                continue;
            }
            let mut run = part.run(staged.producer);
            let partition = &mut self.partitions[number];
            let mut standing = is_new.then_some(Standing { done: 0, end: partition.end });
            if outbox.is_none() {
                // After a crash the partition most likely has it all, and the outbox need not be read.
                standing = match partition.writer.look(&run) {
                    Ok(standing) => Some(standing),
                    // What was evicted meanwhile is told by the outbox, if it can be told at all.
                    Err(error) if error.fault() == Fault::Data => None,
                    Err(error) => return Err(error),
                };
                if let Some(Standing { end, .. }) = standing.filter(|standing| standing.done == part.chunks) {
                    (partition.end, partition.staged) = (end, partition.staged.max(end));
                    continue;
                }
                outbox = staged.outbox.as_ref().map(|object| self.outbox.chunks(object)).transpose()?;
            }
            run.encoded = outbox.as_ref().and_then(|chunks| chunks.get(own)).unwrap_or_default();
            let done = standing.map_or(0, |standing| standing.done);
            let appended = partition.writer.append(&run, standing)?;
            self.take_appended(number, &run, done, appended)?;
        }
        Ok(())
    }

    /// Notes what became of a run of which `done` chunks had been there before.
    fn take_appended(&mut self, number: usize, run: &Run<'_>, done: u32, appended: Appended) -> Result<()> {
        let partition = &mut self.partitions[number];
        let before: u64 = run.encoded.iter().take(done as usize).map(|chunk| records_in(chunk)).sum();
        self.records += run.records - before.min(run.records) - appended.refused.len() as u64;
        partition.behind = partition.behind.saturating_sub(run.records);
        partition.end = appended.end;
        partition.is_synced = false;
        // Others may have written too; nothing of ours is waiting behind what was just published.
        if partition.behind == 0 {
            partition.staged = appended.end;
        }
        for chunk in appended.refused {
            for batch in batches(&chunk) {
                let mut scratch = Vec::new();
                for record in batch.records(&mut scratch)? {
                    let record = record?;
                    let reason = format!("a record that is too large for the broker of topic \"{}\"", self.spec.topic);
                    self.rejects.push(reject(&self.spec.topic, record.key, record.value, reason));
                }
            }
        }
        Ok(())
    }

    /// Publishes the held changes at once, an epoch's after the other's.
    fn publish_now(&mut self) -> Result<()> {
        let changes = self.changes()?;
        let lanes = self.encode(&changes, |change| change.epoch)?;
        self.pending.clear();
        for (number, lane) in lanes.iter().enumerate().filter(|(_, lane)| !lane.chunks.is_empty()) {
            let partition = &mut self.partitions[number];
            let run = Run {
                from: partition.end,
                producer: self.producer,
                sequence: lane.sequence,
                chunks: lane.chunks.len() as u32,
                records: lane.records,
                encoded: &lane.chunks,
            };
            partition.sequence = lane.sequence.saturating_add_unsigned(run.chunks);
            let appended = partition.writer.append(&run, Some(Standing { done: 0, end: partition.end }))?;
            self.take_appended(number, &run, 0, appended)?;
            self.is_dirty = true;
        }
        if self.partitions.iter().any(|partition| partition.sequence > SEQUENCE_MAX) {
            self.producer = new_producer(&self.environment);
            self.partitions.iter_mut().for_each(|partition| partition.sequence = 0);
        }
        Ok(())
    }
}

impl Sink for FluvioSink {
    fn write(&mut self, updates: Vec<UpdateBatch>, _upto: Epoch) -> Result<()> {
        self.pending.add(updates)?;
        match self.spec.delivery {
            Delivery::AtLeastOnce if !self.pending.is_empty() => self.publish_now(),
            Delivery::AtLeastOnce | Delivery::ExactlyOnce => Ok(()),
        }
    }

    fn stage(&mut self, n: u64, epoch: Epoch) -> Result<Option<Staged>> {
        let _span = tracing::info_span!("stage", topic = self.spec.topic, checkpoint = n).entered();
        match self.spec.delivery {
            Delivery::ExactlyOnce => self.stage_records(n, epoch),
            Delivery::AtLeastOnce if std::mem::take(&mut self.is_dirty) => {
                let mut staged = self.note(n, epoch)?;
                // Should the sink go on with exactly_once: what this run publishes after its last checkpoint has used
                // sequences that no checkpoint knows.
                staged.producer = new_producer(&self.environment);
                staged.partitions.iter_mut().for_each(|part| part.sequence = 0);
                staged.to_staged().map(Some)
            }
            Delivery::AtLeastOnce => Ok(None),
        }
    }

    fn publish(&mut self, n: u64, staged: &Staged) -> Result<()> {
        let _span = tracing::info_span!("publish", topic = self.spec.topic, checkpoint = n).entered();
        if n <= self.published {
            return Ok(());
        }
        let staged = StagedRecords::from_staged(staged, &self.spec.topic, &self.spec.records())?;
        if staged.outbox.is_some() {
            self.publish_staged(&staged).map_err(|error| way_out(error, &self.spec.sink))?;
        }
        self.published = n;
        self.is_settled = staged.outbox.is_some();
        self.waiting.retain(|other, _| *other > n);
        let needed = staged.paths();
        for path in std::mem::replace(&mut self.kept, needed.clone()) {
            if !needed.contains(&path) {
                self.outbox.remove(&path);
            }
        }
        Ok(())
    }

    fn figures(&self) -> SinkFigures {
        let position = |(number, partition): (usize, &Partition)| TopicPosition {
            partition: number as u32,
            offset: partition.end.max(0).unsigned_abs(),
            behind: partition.behind,
        };
        SinkFigures { rows: self.records, partitions: self.partitions.iter().enumerate().map(position).collect() }
    }

    fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }
}

impl FluvioSpec {
    /// How updates make records.
    fn pairing(&self) -> Pairing {
        match self.format {
            Format::Debezium | Format::Upsert => Pairing::Unique,
            Format::Append if self.emit_first => Pairing::First,
            Format::Append => Pairing::Rows,
        }
    }
}

fn reject(topic: &str, key: Option<&[u8]>, value: &[u8], reason: String) -> Reject {
    let key = key.map_or("no key".into(), |key| {
        let cut = &key[..key.len().min(Reject::RAW_BYTES_MAX)];
        format!("key {}", String::from_utf8_lossy(cut))
    });
    Reject::new(format!("topic {topic}, {key}"), Some(value), reason)
}

/// What can be done when topic, outbox and checkpoint no longer fit together.
fn way_out(error: Error, sink: &str) -> Error {
    if error.fault() == Fault::Data { or_reset(error, sink) } else { error }
}

/// The same error with another way out behind the one that it has.
fn or_reset(error: Error, sink: &str) -> Error {
    let first = error.hint().map_or(String::new(), |hint| format!("{hint}, or "));
    error.with_hint(format!(
        "{first}add --reset-sink {sink} once: the topic gets everything again behind what it holds, and all else goes on"
    ))
}

/// A producer id: above 0, unlike any other.
fn new_producer(environment: &Environment) -> i64 {
    // Within the range of what it is made of.
    environment.random_in(1..=i64::MAX as u64) as i64
}

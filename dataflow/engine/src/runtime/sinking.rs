//! One thread a sink: opens it, takes captured updates, hands them over as epochs close, stages and publishes.
//!
//! What waits for a sink is counted in bytes; the coordinator feeds nothing new while it is too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catchment_contract::arrow::array::{Array, AsArray, RecordBatch};
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::{Epoch, Reject, Result, Run, Sink, SinkContext, SinkFigures, Staged, UpdateBatch};

use super::board::{Board, panicked};
use super::job::JobSink;
use crate::host::{Answer, Host, Queue, Reply, caught, reply};

/// What a sink's thread is told, in order.
pub(crate) enum SinkMessage {
    /// Updates of epochs that are not closed yet, and their bytes; from any worker.
    Updates(UpdateBatch, usize),
    /// No update of an epoch up to this one will follow.
    Closed(Epoch),
    /// Make everything durable for a checkpoint. Answered with what was refused since the one before, too.
    Stage { number: u64, epoch: Epoch, reply: Reply<StageAnswer> },
    /// Make a checkpoint visible.
    Publish { number: u64, staged: Staged, reply: Reply<Result<()>> },
    /// What a reader sees.
    Figures(Reply<SinkFigures>),
}

/// What was staged, and what the sink refused since the last time.
pub(crate) type StageAnswer = Result<(Option<Staged>, Vec<Refused>)>;

/// The other end of a sink's thread.
pub(crate) struct SinkThread {
    host: Host,
    messages: SinkQueue,
    /// Never given: it is dropped when the thread ends.
    ended: Option<Answer<()>>,
}

/// The way to a sink's thread. Clones lead to the same one.
#[derive(Clone)]
pub(crate) struct SinkQueue {
    queue: Arc<Queue<SinkMessage>>,
    /// Bytes of updates that the sink has not written yet.
    waiting: Arc<AtomicUsize>,
}

impl SinkQueue {
    pub fn push(&self, message: SinkMessage) {
        self.queue.push(message);
    }

    /// Updates of epochs that are not closed yet.
    pub fn push_updates(&self, updates: UpdateBatch) {
        let bytes = bytes(&updates);
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.push(SinkMessage::Updates(updates, bytes));
    }

    /// Bytes of updates that the sink has not written yet.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Rows that a sink's system refused.
#[derive(Clone)]
pub(crate) struct Refused {
    /// The sink's name.
    pub sink: String,
    /// Counts, from 1, the times that it refused some in this run.
    pub time: u64,
    pub rejects: Vec<Reject>,
}

impl SinkThread {
    /// Starts a thread that opens `sink` at the checkpoint `last`, and then does what it is told. The second answer is how
    /// the opening went. An error of a write ends the run; what the sink's system refuses goes to `board` at once.
    ///
    /// # Errors
    /// If the system has no room for the thread.
    pub fn start(
        board: &Board,
        sink: &JobSink,
        context: SinkContext,
        last: Option<(u64, Staged)>,
    ) -> Result<(SinkThread, Answer<Result<()>>)> {
        let host = board.host();
        let messages = SinkQueue { queue: Arc::new(Queue::new(host)), waiting: Arc::default() };
        let (running, ended) = reply(host);
        let (opening, opened) = reply(host);
        let (name, spec) = (sink.name.clone(), sink.spec.clone());
        let (queue, board_of_thread) = (messages.clone(), board.clone());
        let body = move || {
            let _running: Reply<()> = running;
            let span = tracing::info_span!("open", sink = name).entered();
            let sink = caught(|| spec.open(&context, last.as_ref().map(|(number, staged)| (*number, staged))));
            let sink = sink.unwrap_or_else(|payload| Err(panicked(&format!("sink-{name}"), payload)));
            drop((span, context, last));
            match sink {
                Err(error) => opening.give(Err(error)),
                Ok(sink) => {
                    opening.give(Ok(()));
                    Thread {
                        name,
                        sink,
                        messages: queue,
                        board: board_of_thread,
                        open: Vec::new(),
                        time: 0,
                        since: Vec::new(),
                    }
                    .run();
                }
            }
        };
        board.start(&format!("sink-{}", sink.name), body)?;
        Ok((SinkThread { host: host.clone(), messages, ended: Some(ended) }, opened))
    }

    /// The way to the thread.
    pub fn queue(&self) -> &SinkQueue {
        &self.messages
    }

    /// Asks for something that is answered by `question`'s reply; `None` if the thread has ended.
    pub fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> SinkMessage) -> Option<T> {
        let (reply, answer) = reply(&self.host);
        self.messages.push(question(reply));
        answer.wait()
    }

    /// Ends the thread once it has done what it was told.
    pub fn finish(mut self) {
        self.messages.queue.close();
        if let Some(ended) = self.ended.take() {
            let _ = ended.wait();
        }
    }
}

/// A run that failed waits for nobody; what it has told its sinks does not count any more.
impl Drop for SinkThread {
    fn drop(&mut self) {
        self.messages.queue.close();
    }
}

struct Thread {
    name: String,
    sink: Box<dyn Sink>,
    messages: SinkQueue,
    board: Board,
    /// Updates of epochs that are not closed, and their bytes.
    open: Vec<(UpdateBatch, usize)>,
    /// How many times the sink has refused something.
    time: u64,
    /// What it has refused since the last stage.
    since: Vec<Refused>,
}

/// Whoever waits for an answer sees that the thread has ended.
impl Drop for Thread {
    fn drop(&mut self) {
        self.messages.queue.abandon();
    }
}

impl Thread {
    fn run(mut self) {
        // What the last checkpoint still had to publish.
        self.pass_on_refused();
        while let Some(message) = self.messages.queue.pop() {
            match message {
                SinkMessage::Updates(updates, bytes) => self.open.push((updates, bytes)),
                SinkMessage::Closed(epoch) => {
                    if let Err(error) = self.write(epoch) {
                        self.board.fail(error);
                        return;
                    }
                }
                SinkMessage::Stage { number, epoch, reply } => {
                    let span = tracing::debug_span!("stage", sink = self.name, number, epoch).entered();
                    let staged = self.sink.stage(number, epoch);
                    drop(span);
                    self.pass_on_refused();
                    reply.give(staged.map(|staged| (staged, std::mem::take(&mut self.since))));
                }
                SinkMessage::Publish { number, staged, reply } => {
                    let span = tracing::debug_span!("commit", sink = self.name, number).entered();
                    let published = self.sink.publish(number, &staged);
                    drop(span);
                    self.pass_on_refused();
                    reply.give(published);
                }
                SinkMessage::Figures(reply) => reply.give(self.sink.figures()),
            }
        }
    }

    fn write(&mut self, epoch: Epoch) -> Result<()> {
        let (closed, bytes) = split_closed(&mut self.open, epoch);
        self.sink.write(closed, epoch)?;
        self.messages.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.pass_on_refused();
        self.board.ring();
        Ok(())
    }

    fn pass_on_refused(&mut self) {
        let rejects = self.sink.take_rejects();
        if rejects.is_empty() {
            return;
        }
        tracing::warn!(sink = self.name, rows = rejects.len(), "rows were refused, they become rejects");
        self.time += 1;
        let some = Refused { sink: self.name.clone(), time: self.time, rejects };
        self.since.push(some.clone());
        // The coordinator may have ended: then the last checkpoint has them, or the next run refuses them again.
        self.board.post(|news| news.refused.push(some));
    }
}

/// What a column of a batch takes beside its values.
const COLUMN_COST: usize = 256;

/// About what an update takes in memory, of its own: what batches share is not counted for each.
fn bytes(updates: &UpdateBatch) -> usize {
    let UpdateBatch { rows, epochs, diffs } = updates;
    if rows.num_rows() == 0 {
        return 0;
    }
    let each = |is_constant: bool| if is_constant { 0 } else { size_of::<u64>() * rows.num_rows() };
    column_bytes(rows) + each(matches!(epochs, Run::One(_))) + each(matches!(diffs, Run::One(_)))
}

fn column_bytes(rows: &RecordBatch) -> usize {
    let column = |column: &dyn Array| match column.data_type() {
        DataType::Utf8View => {
            column.as_string_view().views().iter().map(|view| size_of::<u128>() + text_bytes(*view)).sum()
        }
        DataType::Boolean => column.len() / 8,
        fixed => match fixed.primitive_width() {
            Some(width) => width * column.len(),
            None => column.to_data().get_slice_memory_size().unwrap_or(0),
        },
    };
    rows.columns().iter().map(|values| COLUMN_COST + column(values)).sum()
}

/// Bytes of a text that do not fit into its view, which begins with its length.
fn text_bytes(view: u128) -> usize {
    let len = view as u32 as usize;
    if len > 12 { len } else { 0 }
}
/// Takes the updates of epochs up to `epoch` out of `open`, and their bytes.
fn split_closed(open: &mut Vec<(UpdateBatch, usize)>, epoch: Epoch) -> (Vec<UpdateBatch>, usize) {
    let (mut closed, mut closed_bytes) = (Vec::with_capacity(open.len()), 0);
    let mut later = Vec::new();
    for (batch, bytes_before) in open.drain(..) {
        match batch.epochs.constant(batch.len()) {
            Some(at) if at > epoch => later.push((batch, bytes_before)),
            Some(_) => {
                closed.push(batch);
                closed_bytes += bytes_before;
            }
            None => {
                let (early, late): (Vec<u32>, Vec<u32>) =
                    (0..batch.len() as u32).partition(|row| batch.epochs.at(*row as usize) <= epoch);
                closed.push(take(&batch, &early));
                let late = take(&batch, &late);
                let late_bytes = bytes(&late).min(bytes_before);
                closed_bytes += bytes_before - late_bytes;
                if !late.is_empty() {
                    later.push((late, late_bytes));
                }
            }
        }
    }
    *open = later;
    (closed, closed_bytes)
}

fn take(batch: &UpdateBatch, rows: &[u32]) -> UpdateBatch {
    let indices = catchment_contract::arrow::array::UInt32Array::from(rows.to_vec());
    let taken =
        catchment_contract::arrow::compute::take_record_batch(&batch.rows, &indices).expect("positions are in range");
    let diffs: Run<_> = batch.diffs.take(rows);
    UpdateBatch { rows: taken, epochs: batch.epochs.take(rows), diffs }
}

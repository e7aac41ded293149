//! One thread a sink: takes captured updates, hands them over as epochs close, stages and publishes.

use std::thread::JoinHandle;

use catchment_contract::{Epoch, Reject, Result, Run, Sink, SinkFigures, Staged, UpdateBatch};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::reading::spawn;

/// What a sink's thread is told, in order.
pub(crate) enum SinkMessage {
    /// Updates of epochs that are not closed yet; from any worker.
    Updates(UpdateBatch),
    /// No update of an epoch up to this one will follow.
    Closed(Epoch),
    /// Make everything durable for a checkpoint. Answered with what was refused since the one before, too.
    Stage { number: u64, epoch: Epoch, reply: Sender<Result<(Option<Staged>, Vec<Refused>)>> },
    /// Make a checkpoint visible.
    Publish { number: u64, staged: Staged, reply: Sender<Result<()>> },
    /// What a reader sees.
    Figures(Sender<SinkFigures>),
}

/// The other end of a sink's thread.
pub(crate) struct SinkThread {
    pub messages: Sender<SinkMessage>,
    pub thread: JoinHandle<()>,
}

/// Rows that a sink's system refused.
#[derive(Clone)]
pub(crate) struct Refused {
    /// The sink's name.
    pub sink: String,
    /// The how-manieth time, from 1, that it refused some in this run.
    pub time: u64,
    pub rejects: Vec<Reject>,
}

/// Starts the thread of `sink`. An error of a write is answered at the next stage, which is when it matters; what the
/// sink's system refuses is told to `refused` at once.
pub(crate) fn start(name: &str, sink: Box<dyn Sink>, refused: Sender<Refused>) -> SinkThread {
    let (messages, queue) = unbounded();
    let label = name.to_string();
    let thread = spawn(format!("sink-{name}"), move || run(&label, sink, queue, &refused));
    SinkThread { messages, thread }
}

impl SinkThread {
    /// Asks, and waits for the answer.
    pub fn figures(&self) -> SinkFigures {
        let (reply, answer) = bounded(1);
        let _ = self.messages.send(SinkMessage::Figures(reply));
        answer.recv().unwrap_or_default()
    }
}

fn run(name: &str, mut sink: Box<dyn Sink>, queue: Receiver<SinkMessage>, refused: &Sender<Refused>) {
    let mut open: Vec<UpdateBatch> = Vec::new();
    let mut failure = None;
    let (mut time, mut since) = (0, Vec::new());
    let mut tell = |sink: &mut Box<dyn Sink>, since: &mut Vec<Refused>| {
        let rejects = sink.take_rejects();
        if !rejects.is_empty() {
            tracing::warn!(sink = name, rows = rejects.len(), "rows were refused, they become rejects");
            time += 1;
            let some = Refused { sink: name.to_string(), time, rejects };
            since.push(some.clone());
            // The coordinator may have ended: then the last checkpoint has them, or the next run refuses them again.
            let _ = refused.send(some);
        }
    };
    // What the last checkpoint still had to publish.
    tell(&mut sink, &mut since);
    for message in queue {
        match message {
            SinkMessage::Updates(updates) => open.push(updates),
            SinkMessage::Closed(epoch) => {
                let closed = split_closed(&mut open, epoch);
                if failure.is_none() {
                    failure = sink.write(closed, epoch).err();
                    tell(&mut sink, &mut since);
                }
            }
            SinkMessage::Stage { number, epoch, reply } => {
                let staged = match failure.take() {
                    Some(error) => Err(error),
                    None => {
                        let _span = tracing::debug_span!("stage", sink = name, number, epoch).entered();
                        sink.stage(number, epoch)
                    }
                };
                tell(&mut sink, &mut since);
                let _ = reply.send(staged.map(|staged| (staged, std::mem::take(&mut since))));
            }
            SinkMessage::Publish { number, staged, reply } => {
                let _span = tracing::debug_span!("commit", sink = name, number).entered();
                let published = sink.publish(number, &staged);
                tell(&mut sink, &mut since);
                let _ = reply.send(published);
            }
            SinkMessage::Figures(reply) => {
                let _ = reply.send(sink.figures());
            }
        }
    }
}

/// Takes the updates of epochs up to `epoch` out of `open`.
fn split_closed(open: &mut Vec<UpdateBatch>, epoch: Epoch) -> Vec<UpdateBatch> {
    let mut closed = Vec::with_capacity(open.len());
    let mut later = Vec::new();
    for batch in open.drain(..) {
        match batch.epochs.constant(batch.len()) {
            Some(at) if at <= epoch => closed.push(batch),
            Some(_) => later.push(batch),
            None => {
                let (early, late): (Vec<u32>, Vec<u32>) =
                    (0..batch.len() as u32).partition(|row| batch.epochs.at(*row as usize) <= epoch);
                closed.push(take(&batch, &early));
                later.push(take(&batch, &late));
            }
        }
    }
    later.retain(|batch| !batch.is_empty());
    *open = later;
    closed
}

fn take(batch: &UpdateBatch, rows: &[u32]) -> UpdateBatch {
    let indices = catchment_contract::arrow::array::UInt32Array::from(rows.to_vec());
    let taken =
        catchment_contract::arrow::compute::take_record_batch(&batch.rows, &indices).expect("positions are in range");
    let diffs: Run<_> = batch.diffs.take(rows);
    UpdateBatch { rows: taken, epochs: batch.epochs.take(rows), diffs }
}

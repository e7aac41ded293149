//! Partitions to decoded batches, in arrival order, over bounded queues.
//!
//! A few *readers* take partitions in order and cut them into payloads; a pool of *decoders* turns payloads into rows on
//! all cores; a *collector* puts the answers back in order: a reader leaves in its partition's queue, for each payload,
//! the receiving end of a one-shot channel whose other end travels with the payload to a decoder. A reader of a later
//! partition runs ahead by at most [`PAYLOADS_AHEAD`] payloads.
//!
//! Memory: (readers + 1) × `PAYLOADS_AHEAD` payloads of about 1 MiB and their rows, a source.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use catchment_contract::{Decoded, Decoder, Error, Partition, Position, Result, Retry, Source, Unfinished};
use crossbeam_channel::{Receiver, Sender, bounded};

/// How many payloads of one partition may wait to be collected.
pub const PAYLOADS_AHEAD: usize = 4;

/// How often a reader opens a partition again after an error that may pass, with pauses of 0.1, 0.2, 0.4, … seconds.
const REOPENS_MAX: u32 = 5;

/// A decoded payload on its way to the coordinator.
pub struct Batch {
    /// The partition's id.
    pub partition: Arc<str>,
    /// Where to resume after it.
    pub position: Position,
    /// Bytes read for it.
    pub bytes_read: u64,
    /// Rows and rejects.
    pub decoded: Decoded,
}

/// What a source tells the coordinator.
pub enum Reading {
    /// The next batch in arrival order.
    Batch(Box<Batch>),
    /// Everything discovered was read.
    Done,
    /// Reading failed for good.
    Failed(Error),
}

struct Task {
    payload: catchment_contract::Payload,
    decoder: Arc<dyn Decoder>,
    answer: Sender<Batch>,
}

/// Threads that decode for all sources of a job. They end when the pool and every reading are gone.
pub struct DecodePool {
    tasks: Sender<Task>,
}

impl DecodePool {
    /// A pool of `threads` decoders.
    pub fn new(threads: usize) -> Self {
        let (tasks, queue) = bounded::<Task>(threads * 2);
        for index in 0..threads {
            let queue = queue.clone();
            spawn(format!("decode-{index}"), move || {
                for Task { payload, decoder, answer } in queue {
                    let decoded = decoder.decode(&payload);
                    let batch = Batch {
                        partition: payload.partition,
                        position: payload.position,
                        bytes_read: payload.bytes_read,
                        decoded,
                    };
                    // A collector that has gone away no longer wants the answer.
                    let _ = answer.send(batch);
                }
            });
        }
        DecodePool { tasks }
    }
}

type Slot = Result<Receiver<Batch>>;

/// Partitions of one source, to be read in order.
pub struct Round<'a> {
    /// The source's name, for its threads'.
    pub name: &'a str,
    /// The source.
    pub source: Arc<dyn Source>,
    /// The columns to decode.
    pub projection: &'a [usize],
    /// What to read, in arrival order.
    pub partitions: Vec<Partition>,
    /// What to do with a record that is still being written.
    pub unfinished: Unfinished,
}

impl Round<'_> {
    /// Reads with up to `readers` threads and calls `deliver` with what comes of it, last [`Reading::Done`] or
    /// [`Reading::Failed`]. `deliver` blocks to hold the source back, and answers false when nobody listens any more.
    /// When `stop` is set, reading ends early, with no gap in what was delivered.
    pub fn read(
        self,
        readers: usize,
        pool: &DecodePool,
        stop: Arc<AtomicBool>,
        deliver: impl Fn(Reading) -> bool + Send + 'static,
    ) -> JoinHandle<()> {
        let Round { name, source, projection, partitions, unfinished } = self;
        let decoder = source.decoder(projection);
        let (ends, queues): (Vec<_>, Vec<_>) = partitions
            .iter()
            .map(|_| bounded(PAYLOADS_AHEAD))
            .map(|(end, queue)| (Mutex::new(Some(end)), queue))
            .unzip();
        let shared = Shared { source, partitions, unfinished, ends, next: AtomicUsize::new(0), stop: stop.clone() };
        let shared = Arc::new(shared);
        for index in 0..readers.min(queues.len()) {
            let (shared, tasks, decoder) = (shared.clone(), pool.tasks.clone(), decoder.clone());
            spawn(format!("read-{name}-{index}"), move || shared.run(&tasks, &decoder));
        }
        spawn(format!("collect-{name}"), move || collect(queues, &stop, deliver))
    }
}

/// Takes answers partition by partition, payload by payload. After a partition that was cut short no later one is taken,
/// although its reader may have run ahead: arrival order is partition order.
fn collect(queues: Vec<Receiver<Slot>>, stop: &AtomicBool, deliver: impl Fn(Reading) -> bool) {
    for queue in queues {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for slot in queue {
            let reading = match slot.map(|answer| answer.recv()) {
                Ok(Ok(batch)) => Reading::Batch(Box::new(batch)),
                Ok(Err(_)) => Reading::Failed(Error::bug("a decoder ended before it answered")),
                Err(error) => Reading::Failed(error),
            };
            let failed = matches!(reading, Reading::Failed(_));
            if !deliver(reading) || failed {
                return;
            }
        }
    }
    deliver(Reading::Done);
}

struct Shared {
    source: Arc<dyn Source>,
    partitions: Vec<Partition>,
    unfinished: Unfinished,
    /// The queue of each partition, taken by the reader that takes the partition.
    ends: Vec<Mutex<Option<Sender<Slot>>>>,
    next: AtomicUsize,
    stop: Arc<AtomicBool>,
}

impl Shared {
    /// Takes partitions in order until none is left.
    fn run(&self, tasks: &Sender<Task>, decoder: &Arc<dyn Decoder>) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(partition) = self.partitions.get(index) else { return };
            let end = self.ends[index].lock().ok().and_then(|mut end| end.take());
            let Some(end) = end else { return };
            if self.stop.load(Ordering::Relaxed) {
                continue;
            }
            if let Err(error) = self.read_partition(partition, tasks, decoder, &end) {
                // The collector may have gone away: then nobody needs to know.
                let _ = end.send(Err(error));
            }
        }
    }

    /// Reads one partition to its present end, opening it again after errors that may pass.
    fn read_partition(
        &self,
        partition: &Partition,
        tasks: &Sender<Task>,
        decoder: &Arc<dyn Decoder>,
        end: &Sender<Slot>,
    ) -> Result<()> {
        let mut partition = partition.clone();
        let mut failures = 0;
        loop {
            let outcome = self.read_from(&mut partition, tasks, decoder, end);
            let Err(error) = outcome else { return Ok(()) };
            if error.retry() == Retry::Never || failures == REOPENS_MAX {
                return Err(error);
            }
            tracing::warn!(partition = partition.id, error = error.chain(), "reading failed, opening again");
            std::thread::sleep(Duration::from_millis(100 << failures));
            failures += 1;
        }
    }

    fn read_from(
        &self,
        partition: &mut Partition,
        tasks: &Sender<Task>,
        decoder: &Arc<dyn Decoder>,
        end: &Sender<Slot>,
    ) -> Result<()> {
        let mut reader = self.source.open(partition, self.unfinished)?;
        while !self.stop.load(Ordering::Relaxed) {
            let Some(payload) = reader.next()? else { return Ok(()) };
            partition.from = Some(payload.position.clone());
            let (answer, answered) = bounded(1);
            let task = Task { payload, decoder: decoder.clone(), answer };
            if end.send(Ok(answered)).is_err() || tasks.send(task).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A named thread.
pub(crate) fn spawn<T: Send + 'static>(name: String, body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new().name(name).spawn(body).expect("the system has room for a thread")
}

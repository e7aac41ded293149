//! Threads that decode for all sources of a job.
//!
//! Sources are served in turn: one with much to read delays the others by the payloads that are being decoded, not by
//! those that wait. What waits is bounded by the lanes, whose payloads they are.

use std::collections::VecDeque;
use std::sync::Arc;

use catchment_contract::arrow::array::Array;
use catchment_contract::{Decoded, Decoder, Payload, Result};

use super::Batch;
use super::lane::Lane;
use crate::host::Monitor;
use crate::runtime::board::Board;
use crate::runtime::rejects::Rejects;

/// A payload to decode.
pub(super) struct Task {
    /// The source.
    pub source: usize,
    pub payload: Payload,
    pub decoder: Arc<dyn Decoder>,
    pub lane: Arc<Lane>,
    /// Its part of the lane, and its place there.
    pub part: u64,
    pub place: u64,
}

struct Tasks {
    by_source: Vec<VecDeque<Task>>,
    /// Whose turn it is.
    turn: usize,
    closed: bool,
}

/// The decoders of a job. Clones are the same ones.
#[derive(Clone)]
pub(in crate::runtime) struct Decoders(Arc<Monitor<Tasks>>);

impl Decoders {
    /// Starts `threads` decoders for `sources` sources.
    ///
    /// # Errors
    /// If the system has no room for a thread.
    pub fn start(board: &Board, threads: usize, sources: usize) -> Result<Decoders> {
        let by_source = (0..sources).map(|_| VecDeque::new()).collect();
        let tasks = Arc::new(Monitor::new(board.host(), Tasks { by_source, turn: 0, closed: false }));
        for index in 0..threads {
            let tasks = tasks.clone();
            board.start(&format!("decode-{index}"), move || decode_all(&tasks))?;
        }
        Ok(Decoders(tasks))
    }

    pub(super) fn push(&self, task: Task) {
        self.0.update_one(|tasks| {
            if !tasks.closed {
                tasks.by_source[task.source].push_back(task);
            }
        });
    }

    /// Ends the threads; what waits is not decoded any more.
    pub fn close(&self) {
        self.0.update(|tasks| {
            tasks.closed = true;
            tasks.by_source.iter_mut().for_each(VecDeque::clear);
        });
    }
}

impl Tasks {
    fn next(&mut self) -> Option<Task> {
        let sources = self.by_source.len();
        let found = (0..sources).map(|step| (self.turn + step) % sources).find(|at| !self.by_source[*at].is_empty())?;
        self.turn = (found + 1) % sources;
        self.by_source[found].pop_front()
    }
}

fn decode_all(tasks: &Monitor<Tasks>) {
    let next = || tasks.wait(|tasks| if tasks.closed { Some(None) } else { tasks.next().map(Some) });
    while let Some(Task { source: _, payload, decoder, lane, part, place }) = next() {
        let mut decoded = decoder.decode(&payload);
        let rejects = Rejects::new(std::mem::take(&mut decoded.rejects));
        let bytes = memory(&decoded) + rejects.bytes();
        let Payload { partition, position, bytes_read, .. } = payload;
        lane.fill(part, place, Box::new(Batch { partition, position, bytes_read, decoded, rejects }), bytes);
    }
}

/// About what the rows take in memory.
fn memory(decoded: &Decoded) -> usize {
    let Decoded { rows, versions, tombstones, rejects: _, records: _, passed_over: _ } = decoded;
    rows.get_array_memory_size()
        + versions.as_ref().map_or(0, |versions| versions.get_array_memory_size())
        + tombstones.as_ref().map_or(0, |tombstones| tombstones.get_array_memory_size())
}

//! The queue of one source: decoded batches in arrival order, bounded in bytes.
//!
//! Readers *begin* partitions in order, and each partition that is begun and not yet taken whole is a *part* of the lane.
//! The part at the head is the one that the coordinator takes from. The others hold what readers have read ahead.
//!
//! **Bound.** Let *n* be [`read_ahead_bytes`](crate::runtime::RunOptions::read_ahead_bytes). A part is read on while it
//! holds less than *n*; all parts but the head together hold less than *n* for each reader. The head may always go on when
//! it holds nothing. So a lane holds at most `(readers + 1) × n`, and for each reader the payload that it was reading when
//! the bound was reached, as it was read or decoded. A part is counted with [`PART_COST`] beside what it holds, so that a million partitions of one record keep to the same bound.
//! What waits to be decoded counts as it was read, what is decoded as it lies in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use catchment_contract::{Error, Partition};

use super::{Asked, Batch, Unread};
use crate::host::Monitor;
use crate::runtime::board::Board;
use crate::runtime::report::Progress;

/// What a part is counted with beside its payloads: its name, its position, its places in queues.
const PART_COST: usize = 1 << 10;

/// The queue of one source.
pub(in crate::runtime) struct Lane {
    state: Monitor<State>,
    board: Board,
    /// The source's place in the job.
    source: usize,
    progress: Arc<Progress>,
    /// What a part may hold, and what all parts but the head may hold together.
    part_bytes: usize,
    ahead_bytes: usize,
}

#[derive(Default)]
struct State {
    closed: bool,
    asked: Option<Asked>,
    woken: bool,
    /// Whether a round has found something since the run began.
    found: bool,
    /// Partitions of the round that no reader has begun.
    waiting: VecDeque<Partition>,
    /// The head is first.
    parts: VecDeque<Part>,
    /// Number of the head.
    first: u64,
    /// What all parts hold.
    bytes: usize,
    /// Parts that are being read.
    reading: usize,
    unread: Unread,
}

#[derive(Default)]
struct Part {
    /// Payloads that were read and not taken; `None` for those that are not decoded.
    payloads: VecDeque<(Option<Box<Batch>>, usize)>,
    /// Number of the first of them.
    first: u64,
    bytes: usize,
    ended: bool,
}

impl State {
    fn part(&mut self, number: u64) -> Option<&mut Part> {
        self.parts.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// What the parts behind the head hold.
    fn ahead(&self) -> usize {
        self.bytes - self.parts.front().map_or(0, |head| head.bytes)
    }

    /// Whether nothing is left to read or to take of what was asked for.
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.reading == 0 && self.parts.is_empty()
    }

    /// Takes parts away that were taken whole.
    fn drop_ended(&mut self) {
        while let Some(part) = self.parts.pop_front_if(|head| head.ended && head.payloads.is_empty()) {
            self.bytes -= part.bytes;
            self.first += 1;
        }
    }
}

/// How a lane stands, for the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Standing {
    /// Whether the source has found something to read since the run began.
    pub found: bool,
    /// Whether everything that was found was read and taken.
    pub idle: bool,
    /// Whether everything that was asked for was.
    pub done: bool,
}

impl Lane {
    /// An empty lane that `readers` fill.
    pub fn new(board: Board, source: usize, progress: Arc<Progress>, readers: usize, part_bytes: usize) -> Self {
        let state = Monitor::new(board.host(), State::default());
        Lane { state, board, source, progress, part_bytes, ahead_bytes: readers.saturating_mul(part_bytes) }
    }

    fn hold(&self, state: &mut State, bytes: usize) {
        state.bytes += bytes;
        let most = &self.progress.sources[self.source].ahead_bytes_most;
        most.fetch_max(state.bytes as u64, Ordering::Relaxed);
    }

    // The coordinator's side.

    /// Asks the feeder for something. What an earlier round could not read is forgotten.
    pub fn ask(&self, asked: Asked) {
        self.state.update(|state| {
            state.asked = Some(asked);
            state.unread = Unread::default();
        });
    }

    /// The next batch in arrival order, if it is decoded.
    pub fn take(&self) -> Option<Box<Batch>> {
        // Looking wakes nobody.
        let is_there = |state: &mut State| {
            matches!(state.parts.front().and_then(|head| head.payloads.front()), Some((Some(_), _)))
        };
        if !self.state.with(is_there) {
            return None;
        }
        self.state.update(|state| {
            let head = state.parts.front_mut()?;
            let (batch, bytes) = head.payloads.pop_front()?;
            head.first += 1;
            head.bytes -= bytes;
            state.bytes -= bytes;
            state.drop_ended();
            batch
        })
    }

    /// How the lane stands.
    pub fn standing(&self) -> Standing {
        self.state.with(|state| {
            let idle = state.is_idle();
            Standing { found: state.found, idle, done: idle && state.asked.is_none() }
        })
    }

    /// What the last round could not read.
    pub fn take_unread(&self) -> Unread {
        self.state.with(|state| std::mem::take(&mut state.unread))
    }

    /// Nobody takes any more: feeder and readers end as soon as their source answers.
    pub fn close(&self) {
        self.state.update(|state| {
            state.closed = true;
            state.waiting.clear();
            state.parts.clear();
        });
    }

    // The feeder's side.

    /// Waits until something is asked for; `None` when the lane is closed.
    pub fn await_asked(&self) -> Option<Asked> {
        self.state.wait(|state| match state.asked {
            _ if state.closed => Some(None),
            None => None,
            asked => Some(asked),
        })
    }

    /// Forgets earlier wakes: what comes from now on wakes the next round.
    pub fn begin_round(&self) {
        self.state.with(|state| state.woken = false);
    }

    /// The source may have something new.
    pub fn wake(&self) {
        self.state.update(|state| state.woken = true);
    }

    /// Waits until the source is woken, or until `deadline`; false if it is not to be followed any more.
    pub fn await_wake(&self, deadline: Instant) -> bool {
        let is_followed = |state: &State| !state.closed && state.asked == Some(Asked::Follow);
        self.state.wait_until(Some(deadline), |state| (state.woken || !is_followed(state)).then_some(()));
        self.state.with(|state| is_followed(state))
    }

    /// Waits until `deadline`; false if the lane was closed meanwhile.
    pub fn pause(&self, deadline: Instant) -> bool {
        self.state.wait_until(Some(deadline), |state| state.closed.then_some(())).is_none()
    }

    /// Lets readers begin these partitions.
    pub fn offer(&self, partitions: Vec<Partition>) {
        if partitions.is_empty() {
            return;
        }
        self.state.update(|state| {
            if !state.closed {
                state.found = true;
                state.waiting = partitions.into();
            }
        });
        self.board.ring();
    }

    /// Waits until every partition that was offered is read; false if the lane was closed.
    pub fn await_read(&self) -> bool {
        self.state
            .wait(|state| (state.closed || (state.waiting.is_empty() && state.reading == 0)).then_some(!state.closed))
    }

    /// The round that was asked for once is over.
    pub fn end_round(&self) {
        self.state.update(|state| {
            if state.asked == Some(Asked::Once) {
                state.asked = None;
            }
        });
        self.board.ring();
    }

    /// A partition could not be read in this round, or, for `None`, the source could not be asked for any.
    pub fn leave_unread(&self, partition: Option<&str>, error: Error) {
        self.state.with(|state| {
            state.unread.count += 1;
            state.unread.first.get_or_insert_with(|| (partition.map(str::to_owned), error));
        });
    }

    /// The source cannot be read any more. Once the lane is closed nobody minds.
    pub fn fail(&self, error: Error) {
        if !self.is_closed() {
            self.board.fail(error);
        }
    }

    pub fn is_closed(&self) -> bool {
        self.state.with(|state| state.closed)
    }

    // The readers' side.

    /// Begins the next partition, once there is room for another part; its number. `None` when there is none left, which
    /// helpers wait for until the lane is closed.
    pub fn begin(&self, helper: bool) -> Option<(u64, Partition)> {
        self.state.wait(|state| {
            if state.closed || (state.waiting.is_empty() && !helper) {
                return Some(None);
            }
            if !state.parts.is_empty() && state.ahead() >= self.ahead_bytes {
                return None;
            }
            let partition = state.waiting.pop_front()?;
            let number = state.first + state.parts.len() as u64;
            state.parts.push_back(Part { bytes: PART_COST, ..Part::default() });
            self.hold(state, PART_COST);
            state.reading += 1;
            Some(Some((number, partition)))
        })
    }

    /// Waits until the part has room for another payload; false when the lane is closed.
    pub fn await_room(&self, number: u64) -> bool {
        self.state.wait(|state| {
            if state.closed {
                return Some(false);
            }
            let (is_head, ahead) = (number == state.first, state.ahead());
            let part = state.part(number)?;
            let room = part.bytes < self.part_bytes && (is_head || ahead < self.ahead_bytes);
            (room || (is_head && part.payloads.is_empty())).then_some(true)
        })
    }

    /// Adds a payload of `bytes` that is not decoded; its number in the part.
    pub fn push(&self, number: u64, bytes: usize) -> Option<u64> {
        self.state.with(|state| {
            let part = state.part(number)?;
            part.payloads.push_back((None, bytes));
            part.bytes += bytes;
            let payload = part.first + part.payloads.len() as u64 - 1;
            self.hold(state, bytes);
            Some(payload)
        })
    }

    /// A payload is decoded.
    pub fn fill(&self, number: u64, payload: u64, batch: Box<Batch>, bytes: usize) {
        let is_next = self.state.update(|state| {
            let is_head = number == state.first;
            let part = state.part(number)?;
            let at = usize::try_from(payload.checked_sub(part.first)?).ok()?;
            let place = part.payloads.get_mut(at)?;
            let before = std::mem::replace(&mut place.1, bytes);
            place.0 = Some(batch);
            part.bytes = part.bytes - before + bytes;
            state.bytes -= before;
            self.hold(state, bytes);
            (is_head && at == 0).then_some(())
        });
        if is_next.is_some() {
            self.board.ring();
        }
    }

    /// A part is read to its end, or as far as it can be.
    pub fn end(&self, number: u64) {
        let is_head = self.state.update(|state| {
            state.reading -= 1;
            if let Some(part) = state.part(number) {
                part.ended = true;
            }
            let is_head = number == state.first;
            state.drop_ended();
            is_head
        });
        if is_head {
            self.board.ring();
        }
    }
}

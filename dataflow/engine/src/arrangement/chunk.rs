//! Our implementation of differential's [`Chunk`]: a sorted, consolidated run of Arrow rows.
//!
//! Rows are sorted by (key hash, row hash, epoch), and no two rows of a chunk agree in all three. Merging and
//! consolidating read these integers alone; columns are touched once, when the rows of an output chunk are gathered.
//! Chunks that do not overlap with the other input pass through a merge without a copy.
//!
//! See the module above for what the 128 bits of (key hash, row hash) stand for.

use std::collections::VecDeque;
use std::sync::Arc;

use catchment_contract::Epoch;
use differential_dataflow::trace::chunk::Chunk;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::assemble::Assembler;
use super::rows::Rows;

/// A sorted, consolidated run of rows; cloning copies a reference.
#[derive(Clone, Debug, Default)]
pub struct RowChunk(Arc<Rows>);

impl RowChunk {
    /// A chunk of rows that are sorted and consolidated.
    pub(super) fn new(rows: Rows) -> Self {
        debug_assert!((1..rows.len()).all(|row| rows.place(row - 1) < rows.place(row)), "chunks are sorted");
        debug_assert!(rows.diffs.iter().all(|diff| *diff != 0), "chunks are consolidated");
        RowChunk(Arc::new(rows))
    }

    /// The rows.
    pub fn rows(&self) -> &Rows {
        &self.0
    }

    fn last(&self) -> usize {
        self.0.len() - 1
    }

    /// The rows from `row` on; the chunk itself for all of them.
    fn tail(self, row: usize) -> Self {
        if row == 0 { self } else { RowChunk::new(self.0.slice(row, self.0.len() - row)) }
    }
}

/// The next unread row of a queue of chunks.
struct Reader<'a> {
    chunks: &'a [RowChunk],
    /// Number of the first chunk among the sources of the assembler.
    base: usize,
    chunk: usize,
    row: usize,
}

impl Reader<'_> {
    fn done(&self) -> bool {
        self.chunk == self.chunks.len()
    }

    #[inline]
    fn rows(&self) -> &Rows {
        &self.chunks[self.chunk].0
    }

    #[inline]
    fn step(&mut self) {
        self.row += 1;
        if self.row == self.rows().len() {
            (self.chunk, self.row) = (self.chunk + 1, 0);
        }
    }

    /// Moves the smaller of two next rows to `assembler`, or its whole chunk where that lies before `other`'s next row.
    #[inline]
    fn advance_before(&mut self, other: &Reader<'_>, assembler: &mut Assembler<'_>) {
        let chunk = &self.chunks[self.chunk];
        if self.row == 0 && chunk.0.place(chunk.last()) < other.rows().place(other.row) {
            assembler.pass(chunk.clone());
            (self.chunk, self.row) = (self.chunk + 1, 0);
        } else {
            self.push(assembler);
        }
    }

    #[inline]
    fn push(&mut self, assembler: &mut Assembler<'_>) {
        assembler.push(self.base + self.chunk, self.row, self.rows().epochs[self.row]);
        self.step();
    }

    /// What was not read.
    fn rest(&self) -> VecDeque<RowChunk> {
        let mut rest: VecDeque<RowChunk> = self.chunks[self.chunk..].iter().cloned().collect();
        if let Some(first) = rest.pop_front() {
            rest.push_front(first.tail(self.row));
        }
        rest
    }
}

impl Chunk for RowChunk {
    type Time = Epoch;

    /// 8,192 rows: large enough that a gather amortises its set-up, small enough that one step of a merge stays under a
    /// few milliseconds for wide rows.
    const TARGET: usize = 8192;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn merge(in1: &mut VecDeque<Self>, in2: &mut VecDeque<Self>, out: &mut VecDeque<Self>) {
        let (left, right): (Vec<_>, Vec<_>) = (in1.drain(..).collect(), in2.drain(..).collect());
        let mut assembler = Assembler::new(left.iter().chain(&right).map(RowChunk::rows).collect());
        let mut a = Reader { chunks: &left, base: 0, chunk: 0, row: 0 };
        let mut b = Reader { chunks: &right, base: left.len(), chunk: 0, row: 0 };
        // The input that ends first has the smaller last row: everything up to it is merged, nothing past it.
        while !a.done() && !b.done() {
            match a.rows().place(a.row).cmp(&b.rows().place(b.row)) {
                std::cmp::Ordering::Less => a.advance_before(&b, &mut assembler),
                std::cmp::Ordering::Greater => b.advance_before(&a, &mut assembler),
                std::cmp::Ordering::Equal => {
                    a.push(&mut assembler);
                    b.push(&mut assembler);
                }
            }
        }
        out.extend(assembler.finish());
        *in1 = a.rest();
        *in2 = b.rest();
    }

    fn extract(
        input: &mut VecDeque<Self>,
        frontier: AntichainRef<'_, Epoch>,
        residual: &mut Antichain<Epoch>,
        keep: &mut VecDeque<Self>,
        ship: &mut VecDeque<Self>,
    ) {
        let Some(chunk) = input.pop_front() else { return };
        let rows = chunk.rows();
        let (kept, shipped): (Vec<u32>, Vec<u32>) =
            (0..rows.len() as u32).partition(|row| frontier.less_equal(&rows.epochs[*row as usize]));
        for row in &kept {
            residual.insert(rows.epochs[*row as usize]);
        }
        if kept.is_empty() {
            ship.push_back(chunk);
        } else if shipped.is_empty() {
            keep.push_back(chunk);
        } else {
            keep.push_back(RowChunk::new(rows.select(&kept)));
            ship.push_back(RowChunk::new(rows.select(&shipped)));
        }
    }

    fn advance(input: &mut VecDeque<Self>, frontier: AntichainRef<'_, Epoch>, done: bool, out: &mut VecDeque<Self>) {
        if input.is_empty() {
            return;
        }
        // An empty frontier says that nobody reads any more: any epoch is right, and the present ones cost nothing.
        let since = frontier.first().copied().unwrap_or(Epoch::MIN);
        let chunks: Vec<RowChunk> = input.drain(..).collect();
        let (end, row) = if done { (chunks.len(), 0) } else { last_group(&chunks) };
        let mut ready: Vec<RowChunk> = chunks[..end].to_vec();
        if row > 0 {
            ready.push(RowChunk::new(chunks[end].0.slice(0, row)));
        }
        if collapses(&ready, since) {
            out.extend(consolidated(&ready, since));
        } else {
            out.extend(ready.into_iter().map(|chunk| advanced(chunk, since)));
        }
        let mut held: Vec<RowChunk> = chunks[end..].to_vec();
        if let Some(first) = held.first_mut() {
            *first = std::mem::take(first).tail(row);
        }
        // A group that spans many chunks is held again and again: fold it, so that its cost stays linear.
        if held.len() > HELD_CHUNKS_MAX {
            held = consolidated(&held, since).into();
        }
        input.extend(held);
    }

    fn settle(input: &mut VecDeque<Self>, done: bool, out: &mut VecDeque<Self>) {
        let mut group: Vec<RowChunk> = Vec::new();
        let mut rows = 0;
        while let Some(chunk) = input.pop_front() {
            debug_assert!(chunk.len() <= Self::TARGET, "no operation makes a chunk over the target");
            if rows + chunk.len() > Self::TARGET {
                out.push_back(joined(std::mem::take(&mut group)));
                rows = 0;
            }
            rows += chunk.len();
            group.push(chunk);
            if rows == Self::TARGET {
                out.push_back(joined(std::mem::take(&mut group)));
                rows = 0;
            }
        }
        if done && !group.is_empty() {
            out.push_back(joined(group));
        } else {
            input.extend(group);
        }
    }
}

/// How many chunks of one unfinished group are held before they are folded.
const HELD_CHUNKS_MAX: usize = 4;

/// Where the last group of rows with one (key hash, row hash) begins, as (chunk, row).
fn last_group(chunks: &[RowChunk]) -> (usize, usize) {
    let identity = |chunk: usize, row: usize| (chunks[chunk].0.keys[row], chunks[chunk].0.identities[row]);
    let (mut chunk, mut row) = (chunks.len() - 1, chunks[chunks.len() - 1].last());
    let group = identity(chunk, row);
    loop {
        let before = match (chunk, row) {
            (0, 0) => return (chunk, row),
            (_, 0) => (chunk - 1, chunks[chunk - 1].last()),
            _ => (chunk, row - 1),
        };
        if identity(before.0, before.1) != group {
            return (chunk, row);
        }
        (chunk, row) = before;
    }
}

/// Whether two rows become one when epochs before `since` become `since`.
fn collapses(chunks: &[RowChunk], since: Epoch) -> bool {
    let mut last = None;
    for chunk in chunks {
        for row in 0..chunk.len() {
            let (key, identity, epoch) = chunk.0.place(row);
            let place = Some((key, identity, epoch.max(since)));
            if place == last {
                return true;
            }
            last = place;
        }
    }
    false
}

/// The chunks with epochs moved up to `since`, summed where that makes rows equal.
fn consolidated(chunks: &[RowChunk], since: Epoch) -> VecDeque<RowChunk> {
    let mut assembler = Assembler::new(chunks.iter().map(RowChunk::rows).collect());
    for (source, chunk) in chunks.iter().enumerate() {
        for row in 0..chunk.len() {
            assembler.push(source, row, chunk.0.epochs[row].max(since));
        }
    }
    assembler.finish()
}

/// The chunk with epochs moved up to `since`, its columns shared; only where that makes no two rows equal.
fn advanced(chunk: RowChunk, since: Epoch) -> RowChunk {
    if chunk.0.epochs.iter().all(|epoch| *epoch >= since) {
        return chunk;
    }
    let epochs = chunk.0.epochs.iter().map(|epoch| (*epoch).max(since)).collect();
    RowChunk::new(Rows { epochs, ..Rows::clone(&chunk.0) })
}

/// Chunks in order as one.
fn joined(mut chunks: Vec<RowChunk>) -> RowChunk {
    if chunks.len() == 1
        && let Some(one) = chunks.pop()
    {
        return one;
    }
    let rows: Vec<&Rows> = chunks.iter().map(RowChunk::rows).collect();
    RowChunk::new(Rows::concat(&rows))
}

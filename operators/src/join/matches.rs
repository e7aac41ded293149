//! Matching of a new batch of one side with all batches of the other.
//!
//! Both are sorted by key hash, so one forward sweep finds the rows that meet; only integers are read. References to
//! pairs are collected until there are [`PAIRS_MAX`], then key columns are gathered and compared (a tie of 64-bit hashes
//! is no match), then the output's. The sweep can stop between any two pairs: a key with 10⁵ × 10³ pairs is yielded
//! 8,192 at a time, and differential's driver lets others run between.
//!
//! Epochs are totally ordered: a pair exists from the later of its rows' epochs on.

use catchment_contract::arrow::array::{ArrayRef, BooleanArray};
use catchment_contract::arrow::datatypes::ArrowNativeType;
use catchment_contract::hash::has_floats;
use catchment_contract::{Diff, Epoch, Run};
use catchment_engine::Updates;
use catchment_engine::arrangement::{RowBatch, RowChunk, Seeker, gather_column};
use differential_dataflow::operators::join::{Fresh, JoinTactic};

use super::prepare::Side;
use super::same::same_values;

/// Rows of an output container at most: as many as a chunk has.
pub(super) const PAIRS_MAX: usize = 8192;

/// Matches rows by key; the tactic of differential's join driver.
pub(super) struct MatchTactic {
    left: Side,
    right: Side,
}

impl MatchTactic {
    /// Puts out the output columns of `left`, then those of `right`.
    pub(super) fn new(left: Side, right: Side) -> Self {
        MatchTactic { left, right }
    }
}

impl JoinTactic<RowBatch, RowBatch, Updates> for MatchTactic {
    fn prep(
        &mut self,
        left: Vec<RowBatch>,
        right: Vec<RowBatch>,
        fresh: Fresh,
        meet: Epoch,
    ) -> Box<dyn Iterator<Item = Updates>> {
        let (left_side, right_side) = (self.left.clone(), self.right.clone());
        let fresh_is_left = matches!(fresh, Fresh::Input0);
        let mut sweep = if fresh_is_left { Sweep::new(left, right, meet) } else { Sweep::new(right, left, meet) };
        Box::new(std::iter::from_fn(move || {
            loop {
                let mut pairs = Pairs::new(sweep.held.len());
                let more = sweep.fill(&mut pairs);
                let Pairs { fresh, held, epochs, diffs } = pairs;
                let (left, right) = if fresh_is_left { (fresh, held) } else { (held, fresh) };
                match output((&left_side, left), (&right_side, right), epochs, diffs) {
                    None if more => continue,
                    container => return container,
                }
            }
        }))
    }
}

/// References to rows of one side: chunks, and rows as (chunk, row).
#[derive(Default)]
pub(super) struct References {
    chunks: Vec<RowChunk>,
    at: Vec<(usize, usize)>,
    /// The chunk that was referred to last, a batch each: its index there and here.
    last: Vec<Option<(usize, usize)>>,
}

impl References {
    fn new(batches: usize) -> Self {
        References { chunks: Vec::new(), at: Vec::new(), last: vec![None; batches] }
    }

    #[inline]
    fn push(&mut self, batches: &[RowBatch], batch: usize, (chunk, row): (usize, usize)) {
        let slot = match self.last[batch] {
            Some((last, slot)) if last == chunk => slot,
            _ => {
                self.chunks.push(batches[batch].chunks[chunk].clone());
                self.last[batch] = Some((chunk, self.chunks.len() - 1));
                self.chunks.len() - 1
            }
        };
        self.at.push((slot, row));
    }

    fn gather(&self, column: usize) -> ArrayRef {
        let sources: Vec<&ArrayRef> = self.chunks.iter().map(|chunk| &chunk.rows().columns()[column]).collect();
        gather_column(&sources, &self.at)
    }

    fn retain(&mut self, mask: &BooleanArray) {
        retain(&mut self.at, mask);
    }
}

/// Pairs of rows whose key hashes agree.
struct Pairs {
    fresh: References,
    held: References,
    epochs: Vec<Epoch>,
    diffs: Vec<Diff>,
}

impl Pairs {
    fn new(held: usize) -> Self {
        Pairs { fresh: References::new(1), held: References::new(held), epochs: Vec::new(), diffs: Vec::new() }
    }
}

/// Rows of one chunk of the fresh batch with one key hash.
#[derive(Clone, Copy)]
struct KeyRun {
    chunk: usize,
    start: usize,
    end: usize,
}

/// Rows of one held batch being paired with a [`KeyRun`].
#[derive(Clone, Copy)]
struct Walk {
    batch: usize,
    /// The next held row.
    seeker: Seeker,
    /// The held row being paired, and the next row of the run to pair it with.
    pairing: Option<(Held, usize)>,
}

/// A held row: where it is, since when, and how often.
#[derive(Clone, Copy)]
struct Held {
    at: (usize, usize),
    epoch: Epoch,
    diff: Diff,
}

/// A sweep of fresh batches over held ones that can stop between any two pairs.
struct Sweep {
    fresh: Vec<RowBatch>,
    held: Vec<RowBatch>,
    /// No fresh row is of an earlier epoch.
    meet: Epoch,
    run: Option<KeyRun>,
    /// One a held batch, at the first row of the run's key or after it.
    seekers: Vec<Seeker>,
    /// The held batch to look into next.
    probe: usize,
    walk: Option<Walk>,
}

impl Sweep {
    fn new(fresh: Vec<RowBatch>, held: Vec<RowBatch>, meet: Epoch) -> Self {
        let held: Vec<RowBatch> = held.into_iter().filter(|batch| !batch.chunks.is_empty()).collect();
        let fresh: Vec<RowBatch> = fresh.into_iter().rev().filter(|batch| !batch.chunks.is_empty()).collect();
        let seekers = vec![Seeker::default(); held.len()];
        let mut sweep = Sweep { fresh, held, meet, run: None, seekers, probe: 0, walk: None };
        sweep.run = sweep.run_at(0, 0);
        sweep
    }

    /// Adds pairs until there are [`PAIRS_MAX`] or no more; whether there may be more. The pairs are of one fresh batch.
    fn fill(&mut self, pairs: &mut Pairs) -> bool {
        while let Some(run) = self.run {
            if let Some(walk) = self.walk {
                self.walk = self.walk_on(run, walk, pairs);
                if self.walk.is_some() {
                    return true;
                }
            }
            while self.walk.is_none() && self.probe < self.held.len() {
                self.probe_next(run);
            }
            if self.walk.is_none() {
                self.probe = 0;
                self.run = self.run_at(run.chunk, run.end);
                if self.run.is_none() {
                    self.fresh.pop();
                    self.seekers.fill(Seeker::default());
                    self.run = self.run_at(0, 0);
                    return self.run.is_some();
                }
            }
        }
        false
    }

    /// The run that begins at `row` of chunk `chunk` of the present fresh batch, or in the chunk after.
    fn run_at(&self, chunk: usize, row: usize) -> Option<KeyRun> {
        let chunks = &self.fresh.last()?.chunks;
        let (chunk, start) = if row < chunks.get(chunk)?.rows().len() { (chunk, row) } else { (chunk + 1, 0) };
        let keys = chunks.get(chunk)?.rows().keys();
        let len = keys[start..].iter().take_while(|key| **key == keys[start]).count();
        Some(KeyRun { chunk, start, end: start + len })
    }

    /// Looks for the run's key in the next held batch.
    fn probe_next(&mut self, run: KeyRun) {
        let batch = self.probe;
        self.probe += 1;
        let Some(fresh) = self.fresh.last() else { return };
        let key = fresh.chunks[run.chunk].rows().keys()[run.start];
        if self.seekers[batch].seek(&self.held[batch].chunks, key) {
            self.walk = Some(Walk { batch, seeker: self.seekers[batch], pairing: None });
        }
    }

    /// Pairs on; what is left to walk if the pairs are full.
    fn walk_on(&self, run: KeyRun, mut walk: Walk, pairs: &mut Pairs) -> Option<Walk> {
        let chunks = &self.fresh.last()?.chunks;
        let fresh = chunks[run.chunk].rows();
        let key = fresh.keys()[run.start];
        loop {
            let (held, from) = match walk.pairing.take() {
                Some(pairing) => pairing,
                None => (self.next_held(&mut walk, key)?, run.start),
            };
            for row in from..run.end {
                if pairs.diffs.len() == PAIRS_MAX {
                    walk.pairing = Some((held, row));
                    return Some(walk);
                }
                pairs.fresh.push(&self.fresh[self.fresh.len() - 1..], 0, (run.chunk, row));
                pairs.held.push(&self.held, walk.batch, held.at);
                pairs.epochs.push(held.epoch.max(fresh.epochs()[row]));
                pairs.diffs.push(held.diff * fresh.diffs()[row]);
            }
        }
    }

    /// The next held row of key hash `key`. Updates of one row before `meet` are all in the past of every fresh row, so
    /// they count as one, and as none if they cancel.
    fn next_held(&self, walk: &mut Walk, key: u64) -> Option<Held> {
        let chunks = &self.held[walk.batch].chunks;
        let here = |seeker: &Seeker| {
            let (chunk, row) = seeker.at(chunks)?;
            let rows = chunks[chunk].rows();
            (rows.keys()[row] == key).then(|| {
                let held = Held { at: (chunk, row), epoch: rows.epochs()[row], diff: rows.diffs()[row] };
                (rows.identities()[row], held)
            })
        };
        loop {
            let (identity, mut held) = here(&walk.seeker)?;
            walk.seeker.step(chunks);
            while let Some((next, later)) = here(&walk.seeker)
                && next == identity
                && later.epoch <= self.meet
            {
                held.diff += later.diff;
                walk.seeker.step(chunks);
            }
            if held.diff != 0 {
                return Some(held);
            }
        }
    }
}

/// The container of the pairs whose keys are equal, not only their hashes; `None` for none.
fn output(
    (left_side, mut left): (&Side, References),
    (right_side, mut right): (&Side, References),
    mut epochs: Vec<Epoch>,
    mut diffs: Vec<Diff>,
) -> Option<Updates> {
    if diffs.is_empty() {
        return None;
    }
    // Key columns are gathered once, as the left side has them: after the comparison both sides agree, but for zeros' signs.
    let mut keys: Vec<ArrayRef> = left_side.key.iter().map(|column| left.gather(*column)).collect();
    let mut mismatched = false;
    for (position, column) in right_side.key.iter().enumerate() {
        let mask = same_values(&keys[position], &right.gather(*column));
        if mask.true_count() < mask.len() {
            mismatched = true;
            left.retain(&mask);
            right.retain(&mask);
            retain(&mut epochs, &mask);
            retain(&mut diffs, &mask);
            keys = left_side.key.iter().map(|column| left.gather(*column)).collect();
        }
    }
    if mismatched && diffs.is_empty() {
        return None;
    }
    let columns = |side: &Side, references: &References| -> Vec<ArrayRef> {
        let column = |column: &usize| {
            let key = side.key.iter().position(|key| key == column).map(|position| &keys[position]);
            match key.filter(|key| !has_floats(key.data_type())) {
                Some(key) => key.clone(),
                None => references.gather(*column),
            }
        };
        side.out.iter().map(column).collect()
    };
    let columns = [columns(left_side, &left), columns(right_side, &right)].concat();
    Some(Updates::new(diffs.len(), columns, run_of(epochs), run_of(diffs)))
}

fn retain<T: Copy>(values: &mut Vec<T>, mask: &BooleanArray) {
    let mut row = 0;
    values.retain(|_| {
        row += 1;
        mask.value(row - 1)
    });
}

fn run_of<T: ArrowNativeType>(values: Vec<T>) -> Run<T> {
    match values.first() {
        Some(first) if values.iter().all(|value| value == first) => Run::One(*first),
        _ => Run::Each(values.into()),
    }
}

//! Joins of two update streams, kept exactly right at every epoch.
//!
//! ```text
//! left  ── prepare ── arrange ─┬─ match ── inner and semi joins
//! right ── prepare ── arrange ─┘
//! anti join = left − semi join        semi join = left ⋈ the distinct keys of the right side
//! left join = inner join + anti join with nulls; right and full joins likewise
//! ```
//!
//! `prepare` keeps the columns that the join needs and drops rows that can match nothing (a null in the key, unless
//! nulls are equal). Both sides are arranged by the hash of their key ([`catchment_engine::arrangement`]), and each new
//! batch of one side is matched with all of the other; see the module `matches` for how, and for the bound on what is yielded at once.
//!
//! **State**: the needed columns of both sides and 32 bytes a row; 24 bytes a distinct right key more for semi and anti
//! joins, which keep no right rows. A side whose other side has ended (its frontier is empty: a list of constants)
//! is kept no longer: its rows are sorted, matched and forgotten.
//!
//! **Output** is not consolidated: an anti join yields a row and its retraction in the same epoch where it matches, and
//! a join of two sides that change together yields each change of one with each of the other.

mod matches;
mod prepare;
mod presence;
pub(crate) mod same;
#[cfg(test)]
pub(crate) mod tests;

use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::UpdateStream;
use catchment_engine::arrangement::{ArrangedRows, Arranger};
use differential_dataflow::operators::join::join_with_tactic;
use timely::dataflow::operators::Concat;

use matches::MatchTactic;
use prepare::Side;

/// Which rows a join yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Every pair of rows with equal keys.
    Inner,
    /// Left rows whose key the right side has.
    LeftSemi,
    /// Left rows whose key the right side has not.
    LeftAnti,
    /// `Inner`, and left rows without a match with nulls on the right.
    Left,
    /// `Inner`, and right rows without a match with nulls on the left.
    Right,
    /// `Inner`, and rows of either side without a match with nulls on the other.
    Full,
}

/// What to join and what to keep.
#[derive(Clone, Debug)]
pub struct JoinSpec {
    /// Which rows the join yields.
    pub kind: JoinKind,
    /// Key columns of the left side; none on either side is a cross join.
    pub left_key: Vec<usize>,
    /// Key columns of the right side, pairwise of the left key's types.
    pub right_key: Vec<usize>,
    /// Types of all left columns.
    pub left_types: Vec<DataType>,
    /// Types of all right columns.
    pub right_types: Vec<DataType>,
    /// Left columns of the output, in order.
    pub left_out: Vec<usize>,
    /// Right columns of the output, behind the left ones; empty for semi and anti joins.
    pub right_out: Vec<usize>,
    /// Whether two null keys are equal (`IS NOT DISTINCT FROM`); in SQL's `=` they are not.
    pub nulls_equal: bool,
}

/// Whether [`join`] can keep joins of this kind.
pub fn supported(kind: JoinKind) -> bool {
    match kind {
        JoinKind::Inner
        | JoinKind::LeftSemi
        | JoinKind::LeftAnti
        | JoinKind::Left
        | JoinKind::Right
        | JoinKind::Full => true,
    }
}

/// Joins `left` and `right`. The output has the columns `left_out`, then `right_out`, without dictionaries; it is not
/// consolidated. Of float keys both zeros are equal and so are all NaNs; each side shows its own.
pub fn join<'s>(left: UpdateStream<'s>, right: UpdateStream<'s>, name: &str, spec: JoinSpec) -> UpdateStream<'s> {
    Join::new(name, spec, u64::BITS).build(left, right)
}

/// A join being built.
struct Join<'a> {
    name: &'a str,
    spec: JoinSpec,
    left: Side,
    right: Side,
    /// See [`Arranger::key_hash_bits`].
    key_hash_bits: u32,
}

impl<'a> Join<'a> {
    fn new(name: &'a str, spec: JoinSpec, key_hash_bits: u32) -> Self {
        debug_assert_eq!(spec.left_key.len(), spec.right_key.len(), "keys of a join are pairs");
        let left = Side::new(&spec.left_key, &spec.left_out);
        let right = Side::new(&spec.right_key, &spec.right_out);
        Join { name, spec, left, right, key_hash_bits }
    }

    fn build<'s>(&self, left: UpdateStream<'s>, right: UpdateStream<'s>) -> UpdateStream<'s> {
        match self.spec.kind {
            JoinKind::Inner => self.inner(self.arrange_left(left), self.arrange_right(right)),
            JoinKind::LeftSemi => self.semi(&self.left, self.arrange_left(left), &self.spec.right_key, right),
            JoinKind::LeftAnti => {
                let lefts = self.arrange_left(left.clone());
                self.left_anti(left, right, lefts)
            }
            JoinKind::Left => {
                let (lefts, rights) = (self.arrange_left(left.clone()), self.arrange_right(right.clone()));
                self.inner(lefts.clone(), rights).concat(self.left_anti(left, right, lefts))
            }
            JoinKind::Right => {
                let (lefts, rights) = (self.arrange_left(left.clone()), self.arrange_right(right.clone()));
                self.inner(lefts, rights.clone()).concat(self.right_anti(left, right, rights))
            }
            JoinKind::Full => {
                let (lefts, rights) = (self.arrange_left(left.clone()), self.arrange_right(right.clone()));
                let pairs = self.inner(lefts.clone(), rights.clone());
                let unmatched = self.left_anti(left.clone(), right.clone(), lefts);
                pairs.concat(unmatched).concat(self.right_anti(left, right, rights))
            }
        }
    }

    fn arrange_left<'s>(&self, left: UpdateStream<'s>) -> ArrangedRows<'s> {
        self.arrange(left, &self.left, "left")
    }

    fn arrange_right<'s>(&self, right: UpdateStream<'s>) -> ArrangedRows<'s> {
        self.arrange(right, &self.right, "right")
    }

    fn arrange<'s>(&self, stream: UpdateStream<'s>, side: &Side, which: &str) -> ArrangedRows<'s> {
        let name = format!("{}: {which}", self.name);
        let prepared = side.prepare(stream, &format!("{name} columns"), !self.spec.nulls_equal);
        Arranger { key: side.key.clone(), routed: false, key_hash_bits: self.key_hash_bits }.arrange(prepared, &name)
    }

    fn inner<'s>(&self, left: ArrangedRows<'s>, right: ArrangedRows<'s>) -> UpdateStream<'s> {
        join_with_tactic(left, right, MatchTactic::new(self.left.clone(), self.right.clone()))
    }

    /// Rows of `side`, arranged, whose key is among the columns `key` of `other`; the columns that `side` puts out.
    fn semi<'s>(
        &self,
        side: &Side,
        arranged: ArrangedRows<'s>,
        key: &[usize],
        other: UpdateStream<'s>,
    ) -> UpdateStream<'s> {
        let name = format!("{}: keys", self.name);
        let keys = Side::new(key, &[]);
        let prepared = keys.prepare(other, &format!("{name} columns"), !self.spec.nulls_equal);
        let present = presence::distinct_keys(prepared, &format!("{name} present"), keys.key.clone());
        let arranger = Arranger { key: keys.key.clone(), routed: true, key_hash_bits: self.key_hash_bits };
        join_with_tactic(arranged, arranger.arrange(present, &name), MatchTactic::new(side.clone(), keys))
    }

    /// Left rows without a match, nulls for the right columns.
    fn left_anti<'s>(
        &self,
        left: UpdateStream<'s>,
        right: UpdateStream<'s>,
        arranged: ArrangedRows<'s>,
    ) -> UpdateStream<'s> {
        let semi = self.semi(&self.left, arranged, &self.spec.right_key, right);
        let right_nulls: Vec<DataType> =
            self.spec.right_out.iter().map(|column| self.spec.right_types[*column].clone()).collect();
        let all =
            prepare::pad(left, &self.pad_name("left"), self.spec.left_out.clone(), Vec::new(), right_nulls.clone());
        let width = self.spec.left_out.len();
        all.concat(prepare::negate(semi, &self.pad_name("matched left"), (0..width).collect(), Vec::new(), right_nulls))
    }

    /// Right rows without a match, nulls for the left columns.
    fn right_anti<'s>(
        &self,
        left: UpdateStream<'s>,
        right: UpdateStream<'s>,
        arranged: ArrangedRows<'s>,
    ) -> UpdateStream<'s> {
        let semi = self.semi(&self.right, arranged, &self.spec.left_key, left);
        let left_nulls: Vec<DataType> =
            self.spec.left_out.iter().map(|column| self.spec.left_types[*column].clone()).collect();
        let all =
            prepare::pad(right, &self.pad_name("right"), self.spec.right_out.clone(), left_nulls.clone(), Vec::new());
        let width = self.spec.right_out.len();
        all.concat(prepare::negate(semi, &self.pad_name("matched right"), (0..width).collect(), left_nulls, Vec::new()))
    }

    fn pad_name(&self, which: &str) -> String {
        format!("{}: {which} rows", self.name)
    }
}

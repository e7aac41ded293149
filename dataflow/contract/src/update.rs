//! The unit at the edge: Arrow rows, each with an epoch and a diff.

use arrow::array::RecordBatch;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::ArrowNativeType;

/// The dataflow's logical time: everything stamped with one epoch becomes visible at once.
///
/// Epoch 0 is reserved for state restored at start; the first epoch of new input is 1.
pub type Epoch = u64;

/// Signed multiplicity of a row in an update; a negative one is a retraction.
pub type Diff = i64;

/// One value for each row of a batch, or one value that all its rows share.
#[derive(Clone, Debug, PartialEq)]
pub enum Run<T: ArrowNativeType> {
    /// All rows carry this value.
    One(T),
    /// Row `i` carries the `i`-th value.
    Each(ScalarBuffer<T>),
}

impl<T: ArrowNativeType> Run<T> {
    /// The value of row `row`. A constant run answers for any row.
    #[inline]
    pub fn at(&self, row: usize) -> T {
        match self {
            Run::One(value) => *value,
            Run::Each(values) => values[row],
        }
    }

    /// The values of `len` rows from `offset` on, without copying.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        match self {
            Run::One(value) => Run::One(*value),
            Run::Each(values) => Run::Each(values.slice(offset, len)),
        }
    }

    /// The values of the rows named by `indices`, in that order.
    pub fn take(&self, indices: &[u32]) -> Self {
        match self {
            Run::One(value) => Run::One(*value),
            Run::Each(values) => Run::Each(indices.iter().map(|i| values[*i as usize]).collect()),
        }
    }

    /// The value that all of the first `len` rows share, if they do; `None` for no rows of a varying run.
    pub fn constant(&self, len: usize) -> Option<T>
    where
        T: PartialEq,
    {
        match self {
            Run::One(value) => Some(*value),
            Run::Each(values) => {
                let first = *values[..len].first()?;
                values[..len].iter().all(|value| *value == first).then_some(first)
            }
        }
    }

    /// The values of `len` rows, one each.
    pub fn expand(&self, len: usize) -> ScalarBuffer<T> {
        match self {
            Run::One(value) => vec![*value; len].into(),
            Run::Each(values) => values.slice(0, len),
        }
    }
}

/// Updates as sinks see them: rows of the relation's schema, not necessarily consolidated.
///
/// Strings are `Utf8View` by default; no column is dictionary-encoded here.
#[derive(Clone, Debug)]
pub struct UpdateBatch {
    /// The rows, in the relation's schema.
    pub rows: RecordBatch,
    /// Epoch of each row.
    pub epochs: Run<Epoch>,
    /// Diff of each row; never 0.
    pub diffs: Run<Diff>,
}

impl UpdateBatch {
    /// The number of updates.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there is no update.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

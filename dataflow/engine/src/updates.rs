//! The stream container: a run of updates as Arrow columns.
//!
//! A container has no schema; the operators at both ends of an edge know it. Cloning and slicing copy nothing.
//!
//! **Encodings.** A column whose logical type is `Utf8View` may travel as `Dictionary(UInt32, Utf8View)`: decoders and
//! `words()` produce such columns because hashing, filtering and routing then touch each distinct value once. An
//! operator that cannot use that calls [`flatten`]. State never keeps a dictionary.
//!
//! **Epochs.** All rows carry epochs not before the timely time of the message that holds the container, and may carry
//! later ones (a join's output does). [`crate::EpochStash`] sorts that out for operators that work epoch by epoch.
//!
//! **Hashes** are present when an exchange or an operator upstream computed them: [`Updates::key_hashes`] belongs to the
//! key columns of the edge, which both ends know.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, DictionaryArray, UInt32Array};
use catchment_contract::arrow::buffer::ScalarBuffer;
use catchment_contract::arrow::compute::{concat, interleave, take};
use catchment_contract::arrow::datatypes::{DataType, UInt32Type};
use catchment_contract::hash::hash_keys;
use catchment_contract::{Diff, Epoch, Run};
use timely::Accountable;
use timely::dataflow::Stream;

/// A stream of updates in the scope of one dataflow.
pub type UpdateStream<'scope> = Stream<'scope, Epoch, Updates>;

/// A run of updates; see the module's documentation.
#[derive(Clone, Debug)]
pub struct Updates {
    len: usize,
    columns: Vec<ArrayRef>,
    epochs: Run<Epoch>,
    diffs: Run<Diff>,
    key_hashes: Option<ScalarBuffer<u64>>,
}

impl Default for Updates {
    fn default() -> Self {
        Updates { len: 0, columns: Vec::new(), epochs: Run::One(0), diffs: Run::One(1), key_hashes: None }
    }
}

/// Timely counts these to know when a channel is drained.
impl Accountable for Updates {
    fn record_count(&self) -> i64 {
        self.len as i64
    }
}

impl Updates {
    /// `len` updates over `columns`, each column `len` long.
    pub fn new(len: usize, columns: Vec<ArrayRef>, epochs: Run<Epoch>, diffs: Run<Diff>) -> Self {
        debug_assert!(columns.iter().all(|column| column.len() == len), "columns are {len} long");
        Updates { len, columns, epochs, diffs, key_hashes: None }
    }

    /// The same updates with the key hashes of their edge, one a row.
    pub fn with_key_hashes(mut self, hashes: impl Into<ScalarBuffer<u64>>) -> Self {
        let hashes = hashes.into();
        debug_assert_eq!(hashes.len(), self.len);
        self.key_hashes = Some(hashes);
        self
    }

    /// The same rows and key hashes with other diffs.
    pub fn with_diffs(mut self, diffs: Run<Diff>) -> Self {
        self.diffs = diffs;
        self
    }

    /// The number of updates.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no update.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rows, column by column.
    pub fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    /// Column `index`.
    pub fn column(&self, index: usize) -> &ArrayRef {
        &self.columns[index]
    }

    /// Epoch of each row.
    pub fn epochs(&self) -> &Run<Epoch> {
        &self.epochs
    }

    /// Diff of each row.
    pub fn diffs(&self) -> &Run<Diff> {
        &self.diffs
    }

    /// Takes the container apart: columns, epochs, diffs.
    pub fn into_parts(self) -> (Vec<ArrayRef>, Run<Epoch>, Run<Diff>) {
        (self.columns, self.epochs, self.diffs)
    }

    /// Other columns for the same updates. Key hashes are dropped: the key may have changed.
    pub fn with_columns(self, columns: Vec<ArrayRef>) -> Self {
        Updates::new(self.len, columns, self.epochs, self.diffs)
    }

    /// The columns named by `indices`, in that order, flattened where they are dictionaries.
    pub fn project_flat(&self, indices: &[usize]) -> Vec<ArrayRef> {
        indices.iter().map(|index| flatten(&self.columns[*index])).collect()
    }

    /// The key hashes that travelled with the updates, if any did.
    pub fn carried_key_hashes(&self) -> Option<&ScalarBuffer<u64>> {
        self.key_hashes.as_ref()
    }

    /// The hashes of the key columns `key`: those that travelled with the updates, else computed now. The same `key` must
    /// be asked for at both ends of an edge.
    pub fn key_hashes(&self, key: &[usize]) -> ScalarBuffer<u64> {
        match &self.key_hashes {
            Some(hashes) => hashes.clone(),
            None => {
                let columns: Vec<ArrayRef> = key.iter().map(|index| self.columns[*index].clone()).collect();
                hash_keys(&columns, self.len).into()
            }
        }
    }

    /// Forgets the key hashes, where the edge behind has another key.
    pub fn without_key_hashes(mut self) -> Self {
        self.key_hashes = None;
        self
    }

    /// `len` updates from `offset` on.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        Updates {
            len,
            columns: self.columns.iter().map(|column| column.slice(offset, len)).collect(),
            epochs: self.epochs.slice(offset, len),
            diffs: self.diffs.slice(offset, len),
            key_hashes: self.key_hashes.as_ref().map(|hashes| hashes.slice(offset, len)),
        }
    }

    /// The updates named by `indices`, in that order.
    pub fn take(&self, indices: &[u32]) -> Self {
        let positions = UInt32Array::from(indices.to_vec());
        Updates {
            len: indices.len(),
            columns: self.columns.iter().map(|column| take_rows(column, &positions)).collect(),
            epochs: self.epochs.take(indices),
            diffs: self.diffs.take(indices),
            key_hashes: self
                .key_hashes
                .as_ref()
                .map(|hashes| indices.iter().map(|index| hashes[*index as usize]).collect()),
        }
    }

    /// All updates of `parts` in order, as one container; dictionaries are flattened. Key hashes survive if all carry them.
    pub fn concat(parts: &[Updates]) -> Updates {
        match parts {
            [] => Updates::default(),
            [one] => one.clone(),
            [first, ..] => {
                let len = parts.iter().map(Updates::len).sum();
                let columns = (0..first.columns.len())
                    .map(|index| {
                        let flat: Vec<ArrayRef> = parts.iter().map(|part| flatten(&part.columns[index])).collect();
                        let refs: Vec<&dyn Array> = flat.iter().map(|column| column.as_ref()).collect();
                        concat(&refs).expect("columns of one edge have one type")
                    })
                    .collect();
                let epochs = join_runs(parts.iter().map(|part| (&part.epochs, part.len)), len);
                let diffs = join_runs(parts.iter().map(|part| (&part.diffs, part.len)), len);
                let key_hashes = parts
                    .iter()
                    .map(|part| part.key_hashes.as_deref())
                    .collect::<Option<Vec<_>>>()
                    .map(|hashes| hashes.concat().into());
                Updates { len, columns, epochs, diffs, key_hashes }
            }
        }
    }

    /// Bytes of memory that the columns and hashes hold (shared buffers count fully).
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.get_array_memory_size()).sum::<usize>() + self.len * 24
    }
}

fn join_runs<'a, T>(parts: impl Iterator<Item = (&'a Run<T>, usize)> + Clone, len: usize) -> Run<T>
where
    T: catchment_contract::arrow::datatypes::ArrowNativeType + PartialEq + 'a,
{
    let mut ones = parts.clone().map(|(run, _)| match run {
        Run::One(value) => Some(*value),
        Run::Each(_) => None,
    });
    if let Some(Some(first)) = ones.next()
        && ones.all(|one| one == Some(first))
    {
        return Run::One(first);
    }
    let mut values = Vec::with_capacity(len);
    for (run, len) in parts {
        match run {
            Run::One(value) => values.resize(values.len() + len, *value),
            Run::Each(each) => values.extend_from_slice(&each[..len]),
        }
    }
    Run::Each(values.into())
}

/// The column without dictionary encoding.
pub fn flatten(column: &ArrayRef) -> ArrayRef {
    let DataType::Dictionary(_, _) = column.data_type() else {
        return Arc::clone(column);
    };
    let dictionary = column
        .as_any()
        .downcast_ref::<DictionaryArray<UInt32Type>>()
        .expect("dictionaries on an edge have UInt32 keys");
    take(dictionary.values(), dictionary.keys(), None).expect("keys of a dictionary are in range")
}

/// Rows of a column by position.
pub fn take_rows(column: &ArrayRef, positions: &UInt32Array) -> ArrayRef {
    take(column, positions, None).expect("positions are in range")
}

/// Rows `(source, row)` of several arrays of one type.
pub fn gather(sources: &[&dyn Array], rows: &[(usize, usize)]) -> ArrayRef {
    interleave(sources, rows).expect("sources have one type and rows are in range")
}

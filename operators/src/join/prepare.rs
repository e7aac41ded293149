//! The stateless ends of a join: which columns and rows enter, and the rows without a match.

use std::sync::Arc;

use catchment_contract::Run;
use catchment_contract::arrow::array::{Array, ArrayRef, new_null_array};
use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::{UpdateStream, Updates};
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// What a join keeps of one side.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// Columns of the stream that are kept: the key's, then the output's others.
    keep: Vec<usize>,
    /// Key columns among those kept.
    pub(super) key: Vec<usize>,
    /// Output columns among those kept.
    pub(super) out: Vec<usize>,
}

impl Side {
    pub(super) fn new(key: &[usize], out: &[usize]) -> Self {
        let mut keep: Vec<usize> = Vec::new();
        let mut place = |column: &usize| {
            keep.iter().position(|kept| kept == column).unwrap_or_else(|| {
                keep.push(*column);
                keep.len() - 1
            })
        };
        let key: Vec<usize> = key.iter().map(&mut place).collect();
        let out: Vec<usize> = out.iter().map(&mut place).collect();
        Side { keep, key, out }
    }

    /// The kept columns of `stream`; without rows that have a null in their key if `drop_nulls`.
    pub(super) fn prepare<'s>(&self, stream: UpdateStream<'s>, name: &str, drop_nulls: bool) -> UpdateStream<'s> {
        let Side { keep, key, .. } = self.clone();
        map(stream, name, move |updates| {
            let columns: Vec<ArrayRef> = keep.iter().map(|column| Arc::clone(updates.column(*column))).collect();
            let updates = updates.with_columns(columns);
            if drop_nulls { without_null_keys(updates, &key) } else { updates }
        })
    }
}

fn without_null_keys(updates: Updates, key: &[usize]) -> Updates {
    let nulls: Vec<_> = key.iter().filter_map(|column| updates.column(*column).logical_nulls()).collect();
    if nulls.iter().all(|nulls| nulls.null_count() == 0) {
        return updates;
    }
    let valid = |row: &u32| nulls.iter().all(|nulls| nulls.is_valid(*row as usize));
    let rows: Vec<u32> = (0..updates.len() as u32).filter(valid).collect();
    updates.take(&rows)
}

/// The columns `keep` of `stream`, without dictionaries, between columns of nulls of the types `before` and `after`.
pub(super) fn pad<'s>(
    stream: UpdateStream<'s>,
    name: &str,
    keep: Vec<usize>,
    before: Vec<DataType>,
    after: Vec<DataType>,
) -> UpdateStream<'s> {
    map(stream, name, move |updates| {
        let nulls = |types: &[DataType]| -> Vec<ArrayRef> {
            types.iter().map(|kind| new_null_array(kind, updates.len())).collect()
        };
        let columns = [nulls(&before), updates.project_flat(&keep), nulls(&after)].concat();
        updates.with_columns(columns)
    })
}

/// As [`pad`], with the sign of every diff turned.
pub(super) fn negate<'s>(
    stream: UpdateStream<'s>,
    name: &str,
    keep: Vec<usize>,
    before: Vec<DataType>,
    after: Vec<DataType>,
) -> UpdateStream<'s> {
    let negated = map(stream, name, |updates| {
        let diffs = match updates.diffs() {
            Run::One(diff) => Run::One(-diff),
            Run::Each(diffs) => Run::Each(diffs.iter().take(updates.len()).map(|diff| -diff).collect()),
        };
        updates.with_diffs(diffs)
    });
    pad(negated, name, keep, before, after)
}

/// `logic` on every container.
fn map<'s>(
    stream: UpdateStream<'s>,
    name: &str,
    mut logic: impl FnMut(Updates) -> Updates + 'static,
) -> UpdateStream<'s> {
    stream.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, name, move |_, _| {
        move |input, output| {
            input.for_each(|capability, updates| {
                let mut made = logic(std::mem::take(updates));
                if !made.is_empty() {
                    output.session_with_builder(&capability).give_container(&mut made);
                }
            });
        }
    })
}

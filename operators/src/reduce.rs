//! Results that are recomputed for each group that changes: always right, whatever the function, and slower than
//! [`mod@crate::aggregate`], since a change reads all rows of its group.
//!
//! The input is arranged by its key ([`catchment_engine::arrangement`]). When a batch closes, the groups that it touches
//! are looked up in the trace and `logic` is asked for their rows before and after each epoch of the batch; the
//! difference goes out. No output is kept: `logic` gives the same rows for the same input, so it says again what it
//! said before. It is called with rows in an order that depends on nothing but the rows themselves.
//!
//! **Cost**: a changed group of n rows costs n gathered rows and two calls. **State**: the input, 32 bytes and its
//! columns a row.

mod groups;
#[cfg(test)]
mod tests;

use catchment_contract::arrow::array::ArrayRef;
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::{Diff, Epoch};
use catchment_engine::arrangement::{ArrangedRows, Arranger, RowBatch};
use catchment_engine::{UpdateStream, Updates};
use differential_dataflow::trace::{BatchReader, TraceReader};
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::progress::Antichain;

use groups::Groups;

/// The rows that a group puts out: given all columns of its rows and how often each row is there (1 or more; at least
/// one row), the output's columns, any number of rows. Equal input gives equal output.
pub type GroupLogic = Box<dyn FnMut(&[ArrayRef], &[Diff]) -> Vec<ArrayRef>>;

/// Keeps `logic` of every group of `input` by the columns `key` (no columns: one group). `types` are the input's columns,
/// `out_types` the output's; neither has dictionaries. A group without rows puts out nothing, a group without key
/// columns too.
pub fn reduce<'s>(
    input: UpdateStream<'s>,
    name: &str,
    key: Vec<usize>,
    types: Vec<DataType>,
    out_types: Vec<DataType>,
    logic: GroupLogic,
) -> UpdateStream<'s> {
    debug_assert!(key.iter().all(|column| *column < types.len()), "key columns are columns of the input");
    let arranger = Arranger { key: key.clone(), routed: false, key_hash_bits: u64::BITS };
    let arranged = arranger.arrange(input, &format!("{name}: input"));
    reduce_arranged(arranged, name, Groups::new(key, out_types, logic))
}

fn reduce_arranged<'s>(arranged: ArrangedRows<'s>, name: &str, mut groups: Groups) -> UpdateStream<'s> {
    let mut trace = arranged.trace;
    arranged.stream.unary_frontier::<NoopBuilder<Updates>, _, _, _>(Pipeline, name, move |_, _| {
        let mut upper = Antichain::from_elem(Epoch::MIN);
        move |(input, _), output| {
            let lower = upper.clone();
            let mut hold: Option<Capability<Epoch>> = None;
            let mut fresh: Vec<RowBatch> = Vec::new();
            input.for_each(|capability, batches| {
                if hold.as_ref().is_none_or(|held| capability.time() < held.time()) {
                    hold = Some(capability.retain(0));
                }
                for batch in batches.drain(..) {
                    upper.clone_from(batch.upper());
                    fresh.push(batch);
                }
            });
            // Empty batches are not sent: the trace tells of them. The input's frontier may lie inside a batch to come.
            trace.advance_upper(&mut upper);
            if upper == lower {
                return;
            }
            if let Some(capability) = hold {
                let held = trace.batches_through(lower.borrow()).expect("the handle is at the batches' lower bound");
                let mut session = output.session_with_builder(&capability);
                groups.changes(&held, &fresh, |mut updates| session.give_container(&mut updates));
            }
            trace.set_logical_compaction(upper.borrow());
            trace.set_physical_compaction(upper.borrow());
        }
    })
}

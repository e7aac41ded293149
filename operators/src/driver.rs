//! The timely side of an operator: exchange by key, hold back until an epoch is complete, hand it over, send the answer.
//!
//! An operator's rules live in a [`Logic`], which is tested without a worker; programs write operators of their own as one.
//! The driver calls it once an epoch, in epoch order, with everything that the epoch brought this worker; an epoch that
//! brought nothing is not seen. What the logic returns is cut into containers of at most 32,768 rows.

use catchment_contract::hash::hash_keys;
use catchment_contract::{Epoch, Run};
use catchment_engine::{EpochStash, UpdateStream, Updates, by_key};
use timely::container::NoopBuilder;
use timely::dataflow::operators::generic::operator::Operator;

/// Rows of an output container: enough to pay for a message, few enough to stay in the second-level cache.
pub(crate) const CONTAINER_ROWS_MAX: usize = 32 * 1024;

/// The first epoch of new input.
const FIRST_EPOCH: Epoch = 1;

/// What an operator does with a complete epoch.
pub trait Logic: 'static {
    /// Takes the epoch's updates (in any order, not consolidated) and returns the change of the result, consolidated.
    /// Epochs of what is returned are set by the driver.
    fn apply(&mut self, input: Vec<Updates>) -> Vec<Updates>;

    /// Called now and then while epochs bring nothing: what is kept may be brought down to what memory allows.
    fn rest(&mut self) {}

    /// Whether the result has rows before there is any input; then `apply` is called with nothing at the first epoch, on
    /// the worker that owns the empty key.
    fn starts_unasked(&self) -> bool {
        false
    }
}

/// Runs `logic` over `input`, routed by the columns `key`: rows with equal values of these go to one worker, all rows to one
/// if there are none. Every worker has a logic of its own.
pub fn drive<'s>(input: UpdateStream<'s>, name: &str, key: Vec<usize>, mut logic: impl Logic) -> UpdateStream<'s> {
    let (worker, peers) = (input.scope().index(), input.scope().peers());
    let unasked = logic.starts_unasked() && hash_keys(&[], 1)[0] % peers as u64 == worker as u64;
    input.unary_frontier::<NoopBuilder<Updates>, _, _, _>(by_key(key), name, move |capability, _| {
        let mut first = unasked.then(|| capability.delayed(&FIRST_EPOCH));
        let mut stash = EpochStash::default();
        move |(input, frontier), output| {
            input.for_each(|capability, updates| {
                let mut updates = std::mem::take(updates);
                if peers == 1 {
                    // Nothing was exchanged: hashes that came along belong to the key of some edge upstream.
                    updates = updates.without_key_hashes();
                }
                stash.push(&capability.retain(0), updates);
            });
            let mut answer = |capability: &_, epoch, input| {
                let mut session = output.session_with_builder(capability);
                for mut container in logic.apply(input).into_iter().flat_map(|part| bounded(part, epoch)) {
                    session.give_container(&mut container);
                }
            };
            let mut rests = true;
            while let Some((epoch, capability, updates)) = stash.pop(&[frontier.frontier()]) {
                rests = false;
                if let Some(first) = first.take()
                    && epoch > FIRST_EPOCH
                {
                    answer(&first, FIRST_EPOCH, Vec::new());
                }
                answer(&capability, epoch, updates);
            }
            if !frontier.less_equal(&FIRST_EPOCH)
                && let Some(first) = first.take()
            {
                answer(&first, FIRST_EPOCH, Vec::new());
            }
            if rests {
                logic.rest();
            }
        }
    })
}

/// `updates` at `epoch`, in containers of bounded size.
fn bounded(updates: Updates, epoch: Epoch) -> impl Iterator<Item = Updates> {
    let rows = updates.len();
    let (columns, _, diffs) = updates.into_parts();
    let updates = Updates::new(rows, columns, Run::One(epoch), diffs);
    (0..rows).step_by(CONTAINER_ROWS_MAX).map(move |from| {
        let len = CONTAINER_ROWS_MAX.min(rows - from);
        if len == rows { updates.clone() } else { updates.slice(from, len) }
    })
}

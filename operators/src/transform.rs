//! Stages without state: whatever the planner fuses into one closure, and unions.
//!
//! A stage sees each container once, keeps its epochs and diffs, and may drop or repeat rows. Nothing is exchanged.

use catchment_engine::{UpdateStream, Updates};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

pub use crate::unnest::unnest;

/// What a stage makes of a run of updates.
#[derive(Clone, Debug, Default)]
pub struct Transformed {
    /// The stage's output.
    pub updates: Updates,
    /// Rows of the rejects relation, with the diffs of the rows that they stand for, so that retracting a row retracts
    /// its fault.
    pub faults: Option<Updates>,
}

/// A fused stage.
pub type TransformFn = Box<dyn FnMut(Updates) -> Transformed>;

/// Applies `stage` to every container of `input`: the stage's output, then its faults. Empty containers vanish.
pub fn transform<'s>(
    input: UpdateStream<'s>,
    name: &str,
    mut stage: TransformFn,
) -> (UpdateStream<'s>, UpdateStream<'s>) {
    let mut builder = OperatorBuilder::new(name.to_owned(), input.scope());
    let mut input = builder.new_input(input, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (rows, rows_stream) = builder.new_output::<Updates>();
    let (faults, faults_stream) = builder.new_output::<Updates>();
    let mut rows = OutputBuilder::<_, timely::container::NoopBuilder<Updates>>::from(rows);
    let mut faults = OutputBuilder::<_, timely::container::NoopBuilder<Updates>>::from(faults);
    builder.build(move |_capabilities| {
        move |_frontiers| {
            let (mut rows, mut faults) = (rows.activate(), faults.activate());
            input.for_each(|capability, updates| {
                let updates = std::mem::take(updates);
                if updates.is_empty() {
                    return;
                }
                let mut made = stage(updates);
                if !made.updates.is_empty() {
                    let capability = capability.delayed(capability.time(), 0);
                    rows.session_with_builder(&capability).give_container(&mut made.updates);
                }
                if let Some(mut made) = made.faults
                    && !made.is_empty()
                {
                    let capability = capability.delayed(capability.time(), 1);
                    faults.session_with_builder(&capability).give_container(&mut made);
                }
            });
        }
    });
    (rows_stream, faults_stream)
}

/// All updates of all `inputs` (`UNION ALL`).
///
/// # Panics
/// If there is no input: a union of nothing has no scope to live in.
pub fn union<'s>(inputs: Vec<UpdateStream<'s>>, name: &str) -> UpdateStream<'s> {
    let scope = inputs.first().expect("a union has at least one input").scope();
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let mut inputs: Vec<_> = inputs.into_iter().map(|input| builder.new_input(input, Pipeline)).collect();
    (0..inputs.len()).for_each(|input| builder.set_notify_for(input, FrontierInterest::Never));
    let (mut output, stream) = builder.new_output::<Updates>();
    builder.build(move |_capabilities| {
        move |_frontiers| {
            let mut output = output.activate();
            for input in &mut inputs {
                input.for_each(|capability, updates| output.give(&capability, updates));
            }
        }
    });
    stream
}

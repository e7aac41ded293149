//! Stages without state: projections, filters, unions, lists unnested.

use catchment_engine::{UpdateStream, Updates};

/// What a stage makes of a run of updates.
#[derive(Clone, Debug, Default)]
pub struct Transformed {
    /// The stage's output.
    pub updates: Updates,
    /// Rows of the rejects relation, with the diffs of the rows that they stand for.
    pub faults: Option<Updates>,
}

/// A fused stage.
pub type TransformFn = Box<dyn FnMut(Updates) -> Transformed>;

/// Applies `stage` to every container of `input`: the stage's output, then its faults. Empty containers vanish.
pub fn transform<'s>(
    _input: UpdateStream<'s>,
    _name: &str,
    _stage: TransformFn,
) -> (UpdateStream<'s>, UpdateStream<'s>) {
    unimplemented!()
}

/// All updates of all `inputs`, of which there is at least one.
pub fn union<'s>(_inputs: Vec<UpdateStream<'s>>, _name: &str) -> UpdateStream<'s> {
    unimplemented!()
}

/// Rows repeated by the lists of `column`, the column replaced by the lists' values.
pub fn unnest(_updates: Updates, _column: usize, _preserve_nulls: bool) -> Updates {
    unimplemented!()
}

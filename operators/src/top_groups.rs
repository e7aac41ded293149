//! The first groups of each partition, counted and ranked in one state.

use catchment_engine::UpdateStream;

use crate::aggregate::AggregateSpec;
use crate::top_k::TopKSpec;

/// An aggregate and the groups kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopGroupsSpec {
    /// The groups.
    pub aggregate: AggregateSpec,
    /// Which groups are kept; columns refer to the aggregate's output.
    pub top: TopKSpec,
}

impl TopGroupsSpec {
    /// Whether [`top_groups`] can keep it up to date.
    pub fn fits(&self) -> bool {
        unimplemented!()
    }
}

/// The first groups of each partition.
pub fn top_groups<'s>(_input: UpdateStream<'s>, _name: &str, _spec: TopGroupsSpec) -> UpdateStream<'s> {
    unimplemented!()
}

//! Groups and their aggregates.

use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::UpdateStream;

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `count(*)`
    CountRows,
    /// `count(x)`: values that are not null.
    Count,
    /// `sum(x)`
    Sum,
    /// `avg(x)`
    Avg,
    /// `min(x)`
    Min,
    /// `max(x)`
    Max,
}

/// One aggregate of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// What is computed.
    pub function: Function,
    /// The column that it is computed of; none for [`Function::CountRows`].
    pub input: Option<usize>,
    /// Whether equal values count once.
    pub distinct: bool,
    /// A `Boolean` column: only rows where it is true count.
    pub filter: Option<usize>,
    /// The type of the result.
    pub output: DataType,
}

/// Group keys and aggregates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateSpec {
    /// The columns of the group's key.
    pub keys: Vec<usize>,
    /// The aggregates, in the order of the output's columns.
    pub aggregates: Vec<Aggregate>,
    /// The types of all input columns.
    pub input_types: Vec<DataType>,
}

/// Groups with their aggregates: key columns, then aggregates.
pub fn aggregate<'s>(_input: UpdateStream<'s>, _name: &str, _spec: AggregateSpec) -> UpdateStream<'s> {
    unimplemented!()
}

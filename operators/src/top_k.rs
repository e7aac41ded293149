//! The first rows of each partition.

use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::UpdateStream;

/// One column of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// The column.
    pub column: usize,
    /// Whether great values come first.
    pub descending: bool,
    /// Whether nulls come first.
    pub nulls_first: bool,
}

/// Whether the output carries the row's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// It does not.
    None,
    /// A `UInt64` column at the end: 1 for the partition's first row (that of the whole order, before `offset`).
    RowNumber,
}

/// Which rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopKSpec {
    /// The columns of the partition's key; none for one partition.
    pub partition: Vec<usize>,
    /// The order; ties are broken by the remaining columns, ascending.
    pub order: Vec<Order>,
    /// Rows of each partition passed over.
    pub offset: usize,
    /// Rows of each partition kept.
    pub limit: usize,
    /// Whether the output carries the row's place.
    pub ranking: Ranking,
    /// The types of all input columns.
    pub types: Vec<DataType>,
}

/// The first rows of each partition.
pub fn top_k<'s>(_input: UpdateStream<'s>, _name: &str, _spec: TopKSpec) -> UpdateStream<'s> {
    unimplemented!()
}

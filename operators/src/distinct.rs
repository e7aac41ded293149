//! Each row once.

use catchment_contract::arrow::datatypes::DataType;
use catchment_engine::UpdateStream;

/// Each row of `input` once, whose columns have the types `types`.
pub fn distinct<'s>(_input: UpdateStream<'s>, _name: &str, _types: Vec<DataType>) -> UpdateStream<'s> {
    unimplemented!()
}

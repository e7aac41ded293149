//! A keyed source's arrivals to current rows.

use catchment_engine::UpdateStream;

/// How arrivals become rows.
#[derive(Clone, Debug)]
pub struct UpsertSpec {
    /// The columns of the key, within the value columns.
    pub key: Vec<usize>,
    /// The first `columns` columns are the row's values.
    pub columns: usize,
    /// A nullable `Int64` column: the later version of a key wins where both carry one.
    pub version: Option<usize>,
    /// A `UInt64` column: the place in the order of arrival.
    pub arrival: usize,
    /// A `Boolean` column: true removes the key.
    pub tombstone: Option<usize>,
    /// Whether all rows of a key that share the upper 32 bits of `arrival` replace the key's rows as a whole.
    pub whole_payload: bool,
}

/// Current rows of a keyed source.
pub fn upsert<'s>(_input: UpdateStream<'s>, _name: &str, _spec: UpsertSpec) -> UpdateStream<'s> {
    unimplemented!()
}

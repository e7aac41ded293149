//! What one projection needs of a record: which fields go to which slot of a row, and how columns are made of slots.
//!
//! The key's columns come first, in the key's order, then the other projected ones; columns that no view reads have no
//! slot.

use catchment_contract::arrow::datatypes::{DataType, SchemaRef};

use super::super::option::{Format, TopicOptions};
use crate::json::cell::{TimeUnit, Type};
use crate::json::names::Names;

/// Columns that the record itself fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// `_offset`.
    Offset,
    /// `_partition`.
    Partition,
    /// `_time`, in microseconds.
    Time,
    /// `_key`.
    Key,
    /// `_epoch` of a debezium envelope.
    Epoch,
    /// `_ts_ms` of a debezium envelope.
    TsMs,
}

impl Own {
    /// What fills the column `name` of a source of `format`, if the record does.
    fn of(name: &str, format: Format) -> Option<Own> {
        Some(match name {
            "_offset" => Own::Offset,
            "_partition" => Own::Partition,
            "_time" => Own::Time,
            "_key" => Own::Key,
            "_epoch" if format == Format::Debezium => Own::Epoch,
            "_ts_ms" if format == Format::Debezium => Own::TsMs,
            _ => return None,
        })
    }
}

/// A column that is read.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub name: String,
    pub data_type: DataType,
    pub ty: Type,
    pub own: Option<Own>,
}

/// What one projection needs.
#[derive(Debug)]
pub(super) struct Plan {
    pub format: Format,
    pub slots: Vec<Slot>,
    /// The first `keys` slots are the primary key.
    pub keys: usize,
    /// The slot of each projected column.
    pub columns: Vec<usize>,
    /// The relation's columns that are projected.
    pub schema: SchemaRef,
    /// Slots that the record itself fills.
    pub own: Vec<(Own, usize)>,
    names: Names<u16>,
}

impl Plan {
    /// A plan for the columns `projection` of a source.
    ///
    /// # Panics
    /// If an index is not one of a column.
    pub(super) fn new(options: &TopicOptions, projection: &[usize]) -> Self {
        let TopicOptions { relation, format, time_unit_us, .. } = options;
        let mut wanted = relation.key.clone();
        for index in projection {
            if !wanted.contains(index) {
                wanted.push(*index);
            }
        }
        let slot = |index: &usize| {
            let field = relation.schema.field(*index);
            let (name, data_type) = (field.name().clone(), field.data_type().clone());
            let unit = match name.as_str() {
                "_ts_ms" => 1_000,
                "_time" => 1,
                _ => *time_unit_us,
            };
            Slot { ty: Type::of(&data_type, TimeUnit::Micros(unit)), own: Own::of(&name, *format), name, data_type }
        };
        let slots: Vec<Slot> = wanted.iter().map(slot).collect();
        let place =
            |index: &usize| wanted.iter().position(|at| at == index).expect("every projected column has a slot");
        let columns = projection.iter().map(place).collect();
        let own = slots.iter().enumerate().filter_map(|(at, slot)| Some((slot.own?, at))).collect();
        let schema = relation.schema.project(projection).expect("a projection names columns of the relation");
        let read = slots.iter().zip(0..).filter(|(slot, _)| slot.own.is_none());
        let names = Names::new(read.map(|(slot, at)| (slot.name.clone(), at)));
        Plan { format: *format, keys: relation.key.len(), slots, columns, schema: schema.into(), own, names }
    }

    /// The slot of the field `name`.
    #[inline]
    pub(super) fn slot(&self, name: &str) -> Option<usize> {
        self.names.get(name).map(usize::from)
    }
}

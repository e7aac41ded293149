//! What one projection needs of a record: which fields go to which slot of a row, and how columns are made of slots.
//!
//! The key's columns come first, in the key's order, then the other projected ones; columns that no view reads have no
//! slot. Names are looked up for every field of every record, wanted or not: a small open-addressed table, at most a
//! quarter full, over the length, the first and the last bytes.

use catchment_contract::arrow::datatypes::{DataType, SchemaRef};

use super::super::option::{Format, TopicOptions};
use super::cell::Type;

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
    table: Vec<Option<u16>>,
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
            Slot { ty: Type::of(&data_type, unit), own: Own::of(&name, *format), name, data_type }
        };
        let slots: Vec<Slot> = wanted.iter().map(slot).collect();
        let place =
            |index: &usize| wanted.iter().position(|at| at == index).expect("every projected column has a slot");
        let columns = projection.iter().map(place).collect();
        let own = slots.iter().enumerate().filter_map(|(at, slot)| Some((slot.own?, at))).collect();
        let schema = relation.schema.project(projection).expect("a projection names columns of the relation");
        let mut plan = Plan {
            format: *format,
            keys: relation.key.len(),
            slots,
            columns,
            schema: schema.into(),
            own,
            table: Vec::new(),
        };
        plan.index();
        plan
    }

    /// The slot of the field `name`.
    #[inline]
    pub(super) fn slot(&self, name: &str) -> Option<usize> {
        let mask = self.table.len() - 1;
        let mut at = hash(name) & mask;
        while let Some(slot) = self.table[at] {
            if self.slots[usize::from(slot)].name == name {
                return Some(usize::from(slot));
            }
            at = (at + 1) & mask;
        }
        None
    }

    fn index(&mut self) {
        let len = (self.slots.len() * 4).next_power_of_two().max(8);
        let mut table = vec![None; len];
        for (slot, read) in self.slots.iter().enumerate().filter(|(_, slot)| slot.own.is_none()) {
            let mut at = hash(&read.name) & (len - 1);
            while table[at].is_some() {
                at = (at + 1) & (len - 1);
            }
            table[at] = Some(u16::try_from(slot).expect("a relation has fewer than 65 536 columns"));
        }
        self.table = table;
    }
}

#[inline]
fn hash(name: &str) -> usize {
    let bytes = name.as_bytes();
    let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(head), Some(tail)) => (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail))),
            _ => (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
        },
    };
    let mixed = (head ^ tail.rotate_left(29) ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize
}

//! What a table's log says of one data file, and what a version's files add up to.
//!
//! A [`FileEntry`] is an `add` action that counts: no later version removed it or gave it another deletion vector. The
//! [`Totals`] of a version are three numbers over its entries. The digest is a sum, so that a commit changes it by what
//! it adds and removes, whatever the order.

use std::collections::BTreeMap;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use catchment_contract::arrow::datatypes::{Int32Type, Int64Type};
use catchment_contract::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

use crate::lake::columns::PartitionValues;
use crate::lake::staged::Vector;

/// A data file of a version of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct FileEntry {
    /// Its path as in the log: below the table, URL-encoded.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, in milliseconds since 1970.
    pub modified_ms: i64,
    /// Rows in it, deleted ones too.
    pub rows: u64,
    /// Its partition.
    pub partition: PartitionValues,
    /// The deletion vector that hides rows of it.
    pub vector: Option<Vector>,
}

impl FileEntry {
    /// Rows that readers see.
    pub fn live_rows(&self) -> u64 {
        let hidden = self.vector.as_ref().map_or(0, |vector| vector.cardinality.max(0) as u64);
        self.rows.saturating_sub(hidden)
    }

    /// A hash of all that readers go by: everything but the time.
    fn digest(&self) -> u128 {
        let mut text = format!("{}\n{}\n{}\n", self.path, self.bytes, self.rows);
        for (name, value) in &self.partition {
            if let Some(value) = value {
                text.push_str(&format!("{}={}{name}{value}\n", name.len(), value.len()));
            }
        }
        if let Some(Vector { storage_type, path_or_inline_dv, offset, size_in_bytes, cardinality }) = &self.vector {
            let offset = offset.unwrap_or(-1);
            text.push_str(&format!("{storage_type}{path_or_inline_dv} {offset} {size_in_bytes} {cardinality}"));
        }
        xxh3_128(text.as_bytes())
    }
}

/// What the data files of a version add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many there are.
    pub files: u64,
    /// Rows that readers see in them.
    pub rows: u64,
    /// The sum, modulo 2¹²⁸, of a hash of each file's entry.
    #[serde(serialize_with = "write_hex", deserialize_with = "read_hex")]
    pub digest: u128,
}

impl Totals {
    /// With one more file.
    pub fn add(&mut self, entry: &FileEntry) {
        self.files += 1;
        self.rows += entry.live_rows();
        self.digest = self.digest.wrapping_add(entry.digest());
    }

    /// Without a file that is in it.
    pub fn remove(&mut self, entry: &FileEntry) {
        self.files = self.files.saturating_sub(1);
        self.rows = self.rows.saturating_sub(entry.live_rows());
        self.digest = self.digest.wrapping_sub(entry.digest());
    }

    /// Of all of `entries`.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a FileEntry>) -> Self {
        let mut totals = Totals::default();
        entries.into_iter().for_each(|entry| totals.add(entry));
        totals
    }
}

fn write_hex<S: Serializer>(digest: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{digest:032x}"))
}

fn read_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = String::deserialize(deserializer)?;
    u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
}

/// Statistics of a file, as far as entries need them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    num_records: u64,
}

/// The entries in a part of a scan's answer, each with its row there; rows that `live` leaves out are none.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if an entry has no path, size or number of rows.
pub fn scanned_entries(rows: &RecordBatch, live: &[bool], columns: &[String]) -> Result<Vec<(usize, FileEntry)>> {
    let missing = || Error::data("the table's log names a data file without saying enough of it");
    let path = rows.column_by_name("path").and_then(|column| column.as_string_opt::<i32>()).ok_or_else(missing)?;
    let size = rows.column_by_name("size").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let size = size.ok_or_else(missing)?;
    let modified = rows.column_by_name("modificationTime").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let modified = modified.ok_or_else(missing)?;
    let stats = rows.column_by_name("stats").and_then(|column| column.as_string_opt::<i32>()).ok_or_else(missing)?;
    let vectors = rows.column_by_name("deletionVector").and_then(|column| column.as_struct_opt());
    let vectors = vectors.ok_or_else(missing)?;
    let constants = rows.column_by_name("fileConstantValues").and_then(|column| column.as_struct_opt());
    let partitions = constants.and_then(|constants| constants.column_by_name("partitionValues"));
    let mut found = Vec::new();
    for row in (0..rows.num_rows()).filter(|row| live.get(*row).copied().unwrap_or(true)) {
        if path.is_null(row) {
            continue;
        }
        let statistics = (!stats.is_null(row)).then(|| serde_json::from_str::<Statistics>(stats.value(row)).ok());
        let rows = statistics.flatten().ok_or_else(missing)?.num_records;
        found.push((
            row,
            FileEntry {
                path: path.value(row).to_owned(),
                bytes: u64::try_from(size.value(row)).map_err(|_| missing())?,
                modified_ms: if modified.is_null(row) { 0 } else { modified.value(row) },
                rows,
                partition: partition_at(partitions, row, columns),
                vector: vector_at(vectors, row),
            },
        ));
    }
    Ok(found)
}

/// The values of the partition columns `columns` in row `row` of a column of maps; null where the map has none.
fn partition_at(maps: Option<&ArrayRef>, row: usize, columns: &[String]) -> PartitionValues {
    let mut values: PartitionValues = columns.iter().map(|name| (name.clone(), None)).collect();
    let Some(maps) = maps.and_then(|maps| maps.as_map_opt()).filter(|maps| maps.is_valid(row)) else {
        return values;
    };
    let entries = maps.value(row);
    let texts = |index: usize| entries.column(index).as_string_opt::<i32>();
    if let (Some(keys), Some(texts)) = (texts(0), texts(1)) {
        let given: BTreeMap<&str, usize> = (0..keys.len()).map(|at| (keys.value(at), at)).collect();
        for (name, value) in &mut values {
            *value = given.get(name.as_str()).filter(|at| texts.is_valid(**at)).map(|at| texts.value(*at).to_owned());
        }
    }
    values
}

/// The deletion vector in row `row` of a column of them.
pub fn vector_at(vectors: &StructArray, row: usize) -> Option<Vector> {
    if vectors.is_null(row) {
        return None;
    }
    let text = |name: &str| {
        let column = vectors.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let integer = |name: &str| {
        let column = vectors.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
        column.is_valid(row).then(|| column.value(row))
    };
    Some(Vector {
        storage_type: text("storageType")?,
        path_or_inline_dv: text("pathOrInlineDv")?,
        offset: integer("offset"),
        size_in_bytes: integer("sizeInBytes")?,
        cardinality: vectors.column_by_name("cardinality")?.as_primitive_opt::<Int64Type>()?.value(row),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, rows: u64, hidden: i64) -> FileEntry {
        let vector = (hidden > 0).then(|| Vector {
            storage_type: "u".into(),
            path_or_inline_dv: "dvx".into(),
            offset: Some(1),
            size_in_bytes: 40,
            cardinality: hidden,
        });
        FileEntry { path: path.into(), bytes: 100, modified_ms: 5, rows, partition: PartitionValues::new(), vector }
    }

    #[test]
    fn totals_follow_changes_in_any_order_and_see_every_difference() {
        let (a, b, c) = (entry("a", 10, 0), entry("b", 20, 3), entry("c", 7, 0));
        let mut totals = Totals::of([&a, &b]);
        totals.remove(&a);
        totals.add(&c);
        assert_eq!(totals, Totals::of([&c, &b]));
        assert_eq!((totals.files, totals.rows), (2, 24));
        assert_ne!(totals.digest, Totals::of([&c, &entry("b", 20, 4)]).digest);
        let text = serde_json::to_string(&totals).unwrap();
        assert_eq!(serde_json::from_str::<Totals>(&text).unwrap(), totals);
    }
}

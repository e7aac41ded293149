//! A net change as the key and the value of a record.

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::{Epoch, Result};

use crate::fluvio::json::{Cells, Named, write_members};
use crate::fluvio::pending::{Change, Place};
use crate::fluvio::spec::{EPOCH_MEMBER, Format, TIME_MEMBER};
use crate::fluvio::text::{write_i64, write_u64};

/// Writes keys and values of the rows of some batches.
pub struct Encoder<'a> {
    format: Format,
    /// Wall time of publishing, ms since 1970.
    time_ms: i64,
    batches: Vec<Rows<'a>>,
}

/// The columns of a batch.
struct Rows<'a> {
    key: Vec<Cells<'a>>,
    members: Vec<Named<'a>>,
}

impl<'a> Encoder<'a> {
    /// Makes `batches` ready, which have the relation's columns, `key` among them.
    ///
    /// # Errors
    /// If Arrow cannot print a column.
    pub fn new(
        batches: impl Iterator<Item = &'a RecordBatch>,
        key: &[usize],
        format: Format,
        time_ms: i64,
    ) -> Result<Self> {
        let rows = |batch: &'a RecordBatch| {
            let schema = batch.schema_ref();
            let members = schema.fields().iter().zip(batch.columns());
            let members = members.map(|(field, column)| Named::new(field.name(), column)).collect::<Result<_>>()?;
            let key = key.iter().map(|index| Cells::new(batch.column(*index))).collect::<Result<_>>()?;
            Ok(Rows { key, members })
        };
        Ok(Encoder { format, time_ms, batches: batches.map(rows).collect::<Result<_>>()? })
    }

    /// Writes the key of the row at `place`, and says whether there is one: of one column its plain text, none if that is
    /// null; of several a JSON array of their values.
    pub fn write_key(&self, place: Place, out: &mut Vec<u8>) -> bool {
        let row = place.row as usize;
        match self.batches[place.batch as usize].key.as_slice() {
            [] => false,
            [only] if only.is_null(row) => false,
            [only] => {
                only.write_plain(row, out);
                true
            }
            several => {
                for (index, cells) in several.iter().enumerate() {
                    out.push(if index == 0 { b'[' } else { b',' });
                    cells.write(row, out);
                }
                out.push(b']');
                true
            }
        }
    }

    /// Writes the value that tells of `change` at `epoch`.
    pub fn write_value(&self, change: &Change, epoch: Epoch, out: &mut Vec<u8>) {
        match self.format {
            Format::Debezium => self.write_debezium(change, epoch, out),
            Format::Upsert | Format::Append => self.write_upsert(change, epoch, out),
        }
    }

    fn write_debezium(&self, change: &Change, epoch: Epoch, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"before\":");
        self.write_row(change.before, out);
        out.extend_from_slice(b",\"after\":");
        self.write_row(change.after, out);
        out.extend_from_slice(match (change.before, change.after) {
            (None, _) => b",\"op\":\"c\",\"epoch\":",
            (Some(_), Some(_)) => b",\"op\":\"u\",\"epoch\":",
            (Some(_), None) => b",\"op\":\"d\",\"epoch\":",
        });
        write_u64(epoch, out);
        out.extend_from_slice(b",\"ts_ms\":");
        write_i64(self.time_ms, out);
        out.push(b'}');
    }

    fn write_row(&self, place: Option<Place>, out: &mut Vec<u8>) {
        let Some(place) = place else {
            out.extend_from_slice(b"null");
            return;
        };
        out.push(b'{');
        write_members(&self.batches[place.batch as usize].members, place.row as usize, out);
        out.push(b'}');
    }

    fn write_upsert(&self, change: &Change, epoch: Epoch, out: &mut Vec<u8>) {
        let Some(place) = change.after else {
            out.extend_from_slice(b"null");
            return;
        };
        let members = &self.batches[place.batch as usize].members;
        out.push(b'{');
        write_members(members, place.row as usize, out);
        if !members.is_empty() {
            out.push(b',');
        }
        for (name, lead) in [(EPOCH_MEMBER, &b"\""[..]), (TIME_MEMBER, &b",\""[..])] {
            out.extend_from_slice(lead);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            if name == EPOCH_MEMBER { write_u64(epoch, out) } else { write_i64(self.time_ms, out) }
        }
        out.push(b'}');
    }
}

//! The container's wire form between processes: one Arrow IPC stream, padded to 8 bytes.
//!
//! ```text
//! u64 little-endian: length of the IPC stream (0 for an empty container)
//! IPC stream: one batch; columns "epoch" (UInt64), "diff" (Int64), "hash" (UInt64, only if carried), then "0", "1", …
//! zero bytes up to a multiple of 8
//! ```
//!
//! Dictionaries are flattened. A constant epoch or diff travels as schema metadata `epoch` or `diff` instead of a column.
//! Timely asks for the length and then for the bytes, so the encoding is made twice; within one process it is never made.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::sync::Arc;

use catchment_contract::Run;
use catchment_contract::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use catchment_contract::arrow::datatypes::{Field, Int64Type, Schema, UInt64Type};
use catchment_contract::arrow::error::ArrowError;
use catchment_contract::arrow::ipc::reader::StreamReader;
use catchment_contract::arrow::ipc::writer::StreamWriter;
use timely::dataflow::channels::ContainerBytes;

use crate::updates::{Updates, flatten};

/// The updates as an Arrow IPC stream.
///
/// # Errors
/// If a column's type has no IPC form.
pub fn encode(updates: &Updates) -> Result<Vec<u8>, ArrowError> {
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    let mut metadata = HashMap::new();
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    let mut push = |name: String, column: ArrayRef| {
        fields.push(Field::new(name, column.data_type().clone(), true));
        columns.push(column);
    };
    match updates.epochs() {
        Run::One(epoch) => drop(metadata.insert("epoch".to_string(), epoch.to_string())),
        Run::Each(epochs) => push("epoch".into(), Arc::new(UInt64Array::new(epochs.clone(), None))),
    }
    match updates.diffs() {
        Run::One(diff) => drop(metadata.insert("diff".to_string(), diff.to_string())),
        Run::Each(diffs) => push("diff".into(), Arc::new(Int64Array::new(diffs.clone(), None))),
    }
    if let Some(hashes) = updates.carried_key_hashes() {
        push("hash".into(), Arc::new(UInt64Array::new(hashes.clone(), None)));
    }
    for (index, column) in updates.columns().iter().enumerate() {
        push(index.to_string(), flatten(column));
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let options = RecordBatchOptions::new().with_row_count(Some(updates.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    writer.into_inner()
}

/// Updates from what [`encode`] made.
///
/// # Errors
/// If the bytes are not that.
pub fn decode(bytes: &[u8]) -> Result<Updates, ArrowError> {
    if bytes.is_empty() {
        return Ok(Updates::default());
    }
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let batch = reader.next().ok_or_else(|| ArrowError::IpcError("no batch".into()))??;
    let schema = batch.schema();
    let constant = |name: &str| -> Result<Option<i128>, ArrowError> {
        let parse = |text: &String| text.parse().map_err(|_| ArrowError::IpcError(format!("{name} is not a number")));
        schema.metadata().get(name).map(parse).transpose()
    };
    let (mut epochs, mut diffs, mut hashes, mut columns) = (None, None, None, Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        match field.name().as_str() {
            "epoch" => epochs = Some(Run::Each(column.as_primitive::<UInt64Type>().values().clone())),
            "diff" => diffs = Some(Run::Each(column.as_primitive::<Int64Type>().values().clone())),
            "hash" => hashes = Some(column.as_primitive::<UInt64Type>().values().clone()),
            _ => columns.push(column.clone()),
        }
    }
    let missing = |name: &str| ArrowError::IpcError(format!("no {name}"));
    let epochs = match epochs {
        Some(epochs) => epochs,
        None => Run::One(constant("epoch")?.ok_or_else(|| missing("epoch"))? as u64),
    };
    let diffs = match diffs {
        Some(diffs) => diffs,
        None => Run::One(constant("diff")?.ok_or_else(|| missing("diff"))? as i64),
    };
    let updates = Updates::new(batch.num_rows(), columns, epochs, diffs);
    Ok(match hashes {
        Some(hashes) => updates.with_key_hashes(hashes),
        None => updates,
    })
}

const ENCODABLE: &str = "the planner lets only types with an IPC form onto an edge";

impl ContainerBytes for Updates {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        let len = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        decode(&bytes[8..8 + len]).expect("bytes between our own processes are what encode made")
    }

    fn length_in_bytes(&self) -> usize {
        8 + encode(self).expect(ENCODABLE).len().next_multiple_of(8)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let stream = encode(self).expect(ENCODABLE);
        let padding = stream.len().next_multiple_of(8) - stream.len();
        writer
            .write_all(&(stream.len() as u64).to_le_bytes())
            .and_then(|()| writer.write_all(&stream))
            .and_then(|()| writer.write_all(&[0; 8][..padding]))
            .expect("timely's buffers take length_in_bytes bytes");
    }
}

#[cfg(test)]
mod tests {
    use catchment_contract::arrow::array::{DictionaryArray, ListArray, StringViewArray, UInt32Array};
    use catchment_contract::arrow::datatypes::{Int32Type, UInt32Type};

    use super::*;

    fn columns() -> Vec<ArrayRef> {
        let long = "a text that does not fit into a view";
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("short"), None, Some(long)]));
        let keys = UInt32Array::from(vec![Some(1), None, Some(0)]);
        let values = Arc::new(StringViewArray::from(vec!["x", long]));
        let dictionary: ArrayRef = Arc::new(DictionaryArray::<UInt32Type>::new(keys, values));
        let lists =
            ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
        vec![texts, dictionary, Arc::new(lists)]
    }

    /// Through the calls that timely makes, with the length it was told.
    fn sent(updates: &Updates) -> Updates {
        let mut bytes = Vec::new();
        updates.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), updates.length_in_bytes());
        assert_eq!(bytes.len() % 8, 0);
        Updates::from_bytes(timely::bytes::arc::BytesMut::from(bytes).freeze())
    }

    fn check(updates: Updates) {
        let received = sent(&updates);
        assert_eq!(received.len(), updates.len());
        assert_eq!((received.epochs(), received.diffs()), (updates.epochs(), updates.diffs()));
        assert_eq!(received.carried_key_hashes(), updates.carried_key_hashes());
        for (received, sent) in received.columns().iter().zip(updates.columns()) {
            assert_eq!(received.as_ref(), flatten(sent).as_ref());
        }
    }

    #[test]
    fn what_is_sent_arrives() {
        let constant = Updates::new(3, columns(), Run::One(7), Run::One(-2));
        check(constant.clone().with_key_hashes(vec![1, u64::MAX, 3]));
        check(constant.slice(1, 2));
        check(Updates::new(3, columns(), Run::Each(vec![1, 2, u64::MAX].into()), Run::Each(vec![-1, 1, 5].into())));
        check(Updates::new(4, Vec::new(), Run::One(1), Run::One(1)));
        check(Updates::default());
    }

    #[test]
    fn damage_is_an_error() {
        let bytes = encode(&Updates::new(3, columns(), Run::One(1), Run::One(1))).expect("it has an IPC form");
        for cut in [1, 8, bytes.len() / 2] {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}

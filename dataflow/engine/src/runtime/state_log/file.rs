//! A state file's bytes.

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::arrow::error::ArrowError;
use catchment_contract::arrow::ipc::reader::StreamReader;
use catchment_contract::{Error, Result, Store};

use super::super::arrivals::column_names;
use crate::checkpoint::StateFile;

const WHAT: &str = "state file";

pub(super) fn not_encoded(error: ArrowError) -> Error {
    Error::bug("could not encode arrivals as Arrow IPC").with_source(error)
}

/// Reads a state file back, batch by batch, as the columns of `schema`. Nothing is decoded that is not what was written.
///
/// # Errors
/// [`catchment_contract::Fault::Data`] if it is missing or damaged.
pub(in crate::runtime) fn read(store: &dyn Store, file: &StateFile, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let bytes = file.read(store, WHAT)?;
    let undecodable = |error| file.damaged(WHAT, "it cannot be decoded").with_source(error);
    let reader = StreamReader::try_new(std::io::Cursor::new(bytes), None).map_err(undecodable)?;
    // It may hold columns that the job does not read any more.
    let found = column_names(&reader.schema());
    let places = column_names(schema).iter().map(|name| found.iter().position(|other| other == name)).collect();
    let places: Option<Vec<usize>> = places;
    let places = places.ok_or_else(|| file.damaged(WHAT, "its columns are not those that the checkpoint names"))?;
    let batches = reader.map(|batch| batch.and_then(|batch| batch.project(&places)));
    let batches: Vec<RecordBatch> = batches.collect::<Result<_, ArrowError>>().map_err(undecodable)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows as u64 != file.rows {
        return Err(file.damaged(WHAT, &format!("it holds {rows} rows where the checkpoint counts {}", file.rows)));
    }
    Ok(batches)
}

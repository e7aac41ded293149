//! Payloads of encoded batches to rows: records are decompressed, scanned onto a sheet of cells, settled, and built into
//! the projected columns.
//!
//! A row on the sheet has the key's and the projected columns only; what no view reads is skipped in the text. Nothing is
//! copied on the way but strings with escapes. A record that is wrong is a reject; so is a batch that cannot be read.
//!
//! Memory: compressed batches are held decompressed until their rows are built, at most [`HELD_BYTES_MAX`] of them and
//! one batch more (which the batch's own limit bounds).

mod plan;
mod record;
mod scan;
#[cfg(test)]
mod tests;

use catchment_contract::arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use catchment_contract::arrow::compute::concat_batches;
use catchment_contract::{Decoded, Decoder, Payload, Reject};
use catchment_topics::batch::{Batch, batches};

use super::option::TopicOptions;
use crate::json::build;
use plan::Plan;
use record::Work;

/// How many bytes of records may wait decompressed for their rows: 16 MiB.
const HELD_BYTES_MAX: usize = 16 << 20;

/// How many rows room is made for at once, whatever headers say: those of 16 bytes a record.
const ROWS_GUESS_MAX: usize = 1 << 16;

/// Decodes payloads of one topic for one projection.
#[derive(Debug)]
pub struct TopicDecoder {
    plan: Plan,
}

impl TopicDecoder {
    /// A decoder for the columns `projection` of the options' relation, in that order.
    ///
    /// # Panics
    /// If an index is not one of a column.
    pub fn new(options: &TopicOptions, projection: &[usize]) -> Self {
        TopicDecoder { plan: Plan::new(options, projection) }
    }

    /// Rows and rejects of as many batches as may be held at once, at least one; and how many they were.
    fn some(&self, all: &[Batch<'_>], payload: &Payload) -> (Piece, usize) {
        let from = i64::try_from(payload.first_record).unwrap_or(i64::MAX).saturating_sub(1);
        let rows = all.iter().map(|batch| batch.header.records as usize).sum::<usize>().min(ROWS_GUESS_MAX);
        let mut scratches: Vec<Vec<u8>> = all.iter().map(|_| Vec::new()).collect();
        let mut work = Work::new(&self.plan, payload.partition.parse().unwrap_or(-1), rows);
        let (mut taken, mut held) = (0, 0);
        for (batch, scratch) in all.iter().zip(&mut scratches) {
            taken += 1;
            let packed = batch.header.compression != 0;
            let records = match batch.records(scratch) {
                Ok(records) => records,
                Err(error) => {
                    broken(&mut work, &payload.partition, batch, batch.header.base_offset, error.chain());
                    continue;
                }
            };
            let mut next = batch.header.base_offset;
            for record in records {
                match record {
                    Ok(record) => {
                        next = record.offset + 1;
                        if record.offset >= from {
                            work.record(&record);
                        }
                        held += if packed { record.value.len() } else { 0 };
                    }
                    Err(error) => broken(&mut work, &payload.partition, batch, next, error.chain()),
                }
            }
            if held > HELD_BYTES_MAX {
                break;
            }
        }
        (self.piece(&work), taken)
    }

    /// Builds the columns.
    fn piece(&self, work: &Work<'_>) -> Piece {
        let mut cells = Vec::with_capacity(work.kept.len());
        let columns = self.plan.columns.iter().map(|slot| {
            cells.clear();
            cells.extend(work.kept.iter().map(|(row, _)| work.sheet.cell(*row, *slot)));
            build::column(&self.plan.slots[*slot].data_type, &cells, &work.sheet.arena)
        });
        let columns: Vec<ArrayRef> = columns.collect();
        let options = RecordBatchOptions::new().with_row_count(Some(work.kept.len()));
        let rows = RecordBatch::try_new_with_options(self.plan.schema.clone(), columns, &options)
            .expect("every column was built with its field's type, one value a row kept, and keys are never null");
        let tombstones = work.kept.iter().map(|(_, removes)| *removes).collect();
        Piece { rows, tombstones, rejects: work.rejects.clone(), records: work.records }
    }
}

/// What a part of a payload came to.
struct Piece {
    rows: RecordBatch,
    tombstones: Vec<bool>,
    rejects: Vec<Reject>,
    records: u64,
}

/// A batch whose records from `offset` on cannot be read is one reject.
fn broken(work: &mut Work<'_>, partition: &str, batch: &Batch<'_>, offset: i64, reason: String) {
    let last = batch.header.next_offset() - 1;
    work.reject(format!("partition {partition}, offsets {offset} to {last}"), None, reason);
}

impl Decoder for TopicDecoder {
    fn decode(&self, payload: &Payload) -> Decoded {
        let mut walk = batches(&payload.bytes);
        let all: Vec<Batch<'_>> = walk.by_ref().collect();
        let (mut whole, mut at) = self.some(&all, payload);
        let mut parts = vec![whole.rows.clone()];
        while at < all.len() {
            let (next, taken) = self.some(&all[at..], payload);
            at += taken;
            parts.push(next.rows);
            whole.tombstones.extend(next.tombstones);
            whole.rejects.extend(next.rejects);
            whole.records += next.records;
        }
        if !walk.remaining().is_empty() {
            let place =
                format!("partition {}, byte {}", payload.partition, payload.bytes.len() - walk.remaining().len());
            whole.rejects.push(Reject::new(place, None, "bytes that are no whole batch"));
            whole.records += 1;
        }
        let rows = match parts.len() {
            1 => whole.rows,
            _ => concat_batches(&self.plan.schema, &parts).expect("all parts have the plan's columns"),
        };
        let tombstones = whole.tombstones.contains(&true).then(|| BooleanArray::from(whole.tombstones));
        let mut rejects = payload.rejects.clone();
        let records = whole.records + rejects.len() as u64;
        rejects.extend(whole.rejects);
        Decoded { rows, versions: None, tombstones, rejects, records, passed_over: 0 }
    }
}

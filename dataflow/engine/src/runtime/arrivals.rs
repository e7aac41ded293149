//! Decoded batches as arrivals: numbered rows on a dataflow's inputs, rejects as rows of their own relation.
//!
//! Input `i` belongs to source `i` of the job; the input after the last is that of the rejects.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray, UInt64Array, new_null_array,
};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use catchment_contract::reject::{REJECTS, rejects_schema};
use catchment_contract::{Decoded, Epoch, Reject, Run};

use super::definitions;
use super::feeding::Batch;
use super::job::{JobSource, JobSpec};
use crate::checkpoint::{Ledger, Manifest, SourceState};
use crate::updates::{Updates, flatten};

/// The inputs of a job.
pub(super) struct Inbox {
    inputs: Vec<Input>,
}

struct Input {
    name: String,
    /// What it is, in the manifest's words.
    definition: String,
    schema: SchemaRef,
}

/// What a batch brought.
pub(super) struct Arrived {
    /// Rows for inputs, by index.
    pub rows: Vec<(usize, RecordBatch)>,
    /// What to add to the account.
    pub ledger: Ledger,
    /// Bytes read for it.
    pub bytes_read: u64,
}

impl Inbox {
    pub fn new(spec: &JobSpec) -> Self {
        let input = |source: &JobSource| Input {
            name: source.name.clone(),
            definition: definitions::source_definition(&source.source.definition(), source.source.relation()),
            schema: arrival_schema(source),
        };
        let rejects = Input { name: REJECTS.into(), definition: REJECTS.into(), schema: rejects_schema() };
        Inbox { inputs: spec.sources.iter().map(input).chain([rejects]).collect() }
    }

    /// Names and columns of the inputs.
    pub fn inputs(&self) -> Vec<(String, SchemaRef)> {
        self.inputs.iter().map(|input| (input.name.clone(), input.schema.clone())).collect()
    }

    /// Name of input `index`.
    pub fn input_name(&self, index: usize) -> &str {
        &self.inputs[index].name
    }

    /// The state of every input before anything arrived.
    pub fn fresh(&self) -> BTreeMap<String, SourceState> {
        let fresh = |input: &Input| SourceState {
            definition: input.definition.clone(),
            columns: column_names(&input.schema),
            ..SourceState::default()
        };
        self.inputs.iter().map(|input| (input.name.clone(), fresh(input))).collect()
    }

    /// The state of every input at the start: what the manifest knows, else nothing.
    pub fn states(&self, manifest: &Manifest) -> BTreeMap<String, SourceState> {
        let mut states = self.fresh();
        for (name, state) in &mut states {
            if let Some(kept) = manifest.sources.get(name) {
                *state = SourceState { columns: std::mem::take(&mut state.columns), ..kept.clone() };
            }
        }
        states
    }

    /// Numbers the rows of a batch and moves its source's state on.
    pub fn accept(&self, source: usize, batch: Batch, state: &mut SourceState) -> Arrived {
        let Batch { partition, position, bytes_read, decoded, rejects } = batch;
        let Decoded { rows, versions, tombstones, rejects: _, records, passed_over } = decoded;
        let ledger = Ledger { records, rows: rows.num_rows() as u64, rejects: rejects.count, passed_over };
        state.ledger.records += ledger.records;
        state.ledger.rows += ledger.rows;
        state.ledger.rejects += ledger.rejects;
        state.ledger.passed_over += ledger.passed_over;
        state.positions.insert(partition.to_string(), position);
        let mut arrived = Vec::new();
        if rows.num_rows() > 0 {
            arrived.push((source, self.numbered(source, rows, versions, tombstones, state.payloads)));
            state.payloads += 1;
        }
        if rejects.count > 0 {
            let kept = rejects.keep(state.alike.entry(partition.to_string()).or_default());
            if !kept.is_empty() {
                arrived.push((self.inputs.len() - 1, reject_rows(self.input_name(source), &partition, &kept)));
            }
        }
        Arrived { rows: arrived, ledger, bytes_read }
    }

    fn numbered(
        &self,
        source: usize,
        rows: RecordBatch,
        versions: Option<Int64Array>,
        tombstones: Option<BooleanArray>,
        payload: u64,
    ) -> RecordBatch {
        let len = rows.num_rows();
        let (_, mut columns, _) = rows.into_parts();
        columns.push(match versions {
            Some(versions) => Arc::new(versions),
            None => new_null_array(&DataType::Int64, len),
        });
        columns.push(Arc::new(UInt64Array::from_iter_values((0..len as u64).map(|row| payload << 32 | row))));
        columns.push(Arc::new(tombstones.unwrap_or_else(|| BooleanArray::from(vec![false; len]))));
        encoded_batch(&self.inputs[source].schema, columns, len)
    }
}

/// The projected columns of a source, then `version`, `arrival` and `tombstone`.
fn arrival_schema(source: &JobSource) -> SchemaRef {
    let columns = &source.source.relation().schema;
    let mut fields: Vec<Field> = source.projection.iter().map(|index| columns.field(*index).clone()).collect();
    // State files do not promise what a decoder may one day break.
    fields.iter_mut().for_each(|field| *field = field.clone().with_nullable(true));
    fields.push(Field::new("version", DataType::Int64, true));
    fields.push(Field::new("arrival", DataType::UInt64, false));
    fields.push(Field::new("tombstone", DataType::Boolean, false));
    Arc::new(Schema::new(fields))
}

/// Rejects as rows of [`rejects_schema`].
pub(super) fn reject_rows(source: &str, partition: &str, rejects: &[Reject]) -> RecordBatch {
    let same = |text: &str| -> ArrayRef { Arc::new(StringViewArray::from_iter_values(rejects.iter().map(|_| text))) };
    let columns: Vec<ArrayRef> = vec![
        same(source),
        same(partition),
        Arc::new(rejects.iter().map(|reject| Some(reject.position.as_str())).collect::<StringViewArray>()),
        Arc::new(rejects.iter().map(|reject| reject.raw.as_deref()).collect::<StringViewArray>()),
        Arc::new(rejects.iter().map(|reject| Some(reject.reason.as_str())).collect::<StringViewArray>()),
    ];
    encoded_batch(&rejects_schema(), columns, rejects.len())
}

/// A batch whose columns may be dictionaries of what `schema` says.
fn encoded_batch(schema: &SchemaRef, columns: Vec<ArrayRef>, len: usize) -> RecordBatch {
    let fields = schema.fields().iter().zip(&columns);
    let fields: Vec<Field> = fields
        .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()).with_nullable(true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(len));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .expect("a decoder's columns are as long as its rows")
}

/// The same rows without dictionaries.
pub(super) fn flat(rows: &RecordBatch) -> RecordBatch {
    let columns: Vec<ArrayRef> = rows.columns().iter().map(flatten).collect();
    let fields: Vec<Field> = rows
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .expect("flattening changes no length")
}

/// Arrivals as insertions at `epoch`.
pub(super) fn updates(rows: RecordBatch, epoch: Epoch) -> Updates {
    let len = rows.num_rows();
    let (_, columns, _) = rows.into_parts();
    Updates::new(len, columns, Run::One(epoch), Run::One(1))
}

/// Columns of a source's arrivals, by name and type, as manifests keep them.
pub(super) fn column_names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect()
}

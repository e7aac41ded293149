//! What the runtime is given: sources, sinks, and how to build what lies between.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::datatypes::SchemaRef;
use catchment_contract::{Epoch, SinkSpec, Source};
use catchment_state::Memory;
use timely::dataflow::Scope;

use crate::updates::UpdateStream;

/// A source of a job.
pub struct JobSource {
    /// The relation's name.
    pub name: String,
    /// The checked source.
    pub source: Arc<dyn Source>,
    /// The columns that the job reads, always with the key.
    pub projection: Vec<usize>,
}

/// A sink of a job.
pub struct JobSink {
    /// The sink's name.
    pub name: String,
    /// The relation whose changes it takes.
    pub from: String,
    /// The checked sink.
    pub spec: Arc<dyn SinkSpec>,
    /// The relation's columns.
    pub schema: SchemaRef,
    /// Changes whenever the relation's definition does, so that a restart notices: `format:definition`, and behind a `+` that
    /// of the rejects where the relation reads them, directly or not.
    pub fingerprint: String,
}

/// A checked job.
pub struct JobSpec {
    /// Owner of its tables and checkpoints.
    pub name: String,
    /// Its sources.
    pub sources: Vec<JobSource>,
    /// Its sinks.
    pub sinks: Vec<JobSink>,
    /// What lies between.
    pub dataflow: Arc<dyn Dataflow>,
}

/// Builds the operators between sources and sinks.
pub trait Dataflow: Send + Sync {
    /// Adds the job's operators to `scope`. Called once on each worker, with the same result on each.
    ///
    /// `inputs` holds, by source name, the arrivals: the projected columns, then `version` (Int64, null where the record
    /// carries none), `arrival` (UInt64: payload number << 32 | row) and `tombstone` (Boolean). `rejects` holds what
    /// decoders refused, as [`catchment_contract::reject::rejects_schema`]. The answer holds every relation that a sink
    /// takes, [`catchment_contract::reject::REJECTS`] among them if one does. Operators keep their states within `memory`.
    fn build<'s>(
        &self,
        scope: Scope<'s, Epoch>,
        inputs: BTreeMap<String, UpdateStream<'s>>,
        rejects: UpdateStream<'s>,
        memory: &Memory,
    ) -> BTreeMap<String, UpdateStream<'s>>;
}

//! A checked job: what can be opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catchment_contract::{Epoch, Result};
use catchment_engine::Memory;
use catchment_engine::UpdateStream;
use catchment_engine::host::Host;
use catchment_engine::runtime::{Dataflow, JobSink, JobSource, JobSpec, RunOptions, Runtime};
use catchment_store::Lake;
use catchment_topics::{Broker, Topics};
use timely::dataflow::Scope;

use crate::builder::JobBuilder;

/// The connector of sources and sinks that are topics.
const TOPICS: &str = "fluvio";

/// A checked job. It can be opened as often as wanted, one run after the other.
pub struct Job {
    name: String,
    checked: Arc<catchment_sql::Job>,
    topics: Topics,
    lake: Lake,
}

/// Tells a run to stop: it ends at an epoch's end, after a last checkpoint. Clones tell the same run.
#[derive(Clone, Debug, Default)]
pub struct StopHandle(Arc<AtomicBool>);

impl StopHandle {
    /// For a run that is to be opened.
    pub fn new() -> StopHandle {
        StopHandle::default()
    }

    /// Tells the run to stop.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Job {
    /// A job that a program puts together. `name` owns its tables and checkpoints in the lake: letters, digits, `_`, `-` and
    /// `.`.
    pub fn builder(name: &str) -> JobBuilder {
        JobBuilder::new(name)
    }

    /// A job whose text is a file's; its name is the file's without its ending.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn file(path: &Path) -> Result<JobBuilder> {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let mut builder = JobBuilder::new(name);
        builder.sql_file(path)?;
        Ok(builder)
    }

    pub(crate) fn new(name: &str, checked: catchment_sql::Job, topics: Topics, lake: Lake) -> Job {
        Job { name: name.to_owned(), checked: Arc::new(checked), topics, lake }
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was checked.
    pub fn checked(&self) -> &catchment_sql::Job {
        &self.checked
    }

    /// Where its tables and checkpoints go.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The broker of the job's topics, started or connected to; `None` if it has no topics.
    ///
    /// # Errors
    /// If it cannot be started or reached.
    pub fn broker(&self) -> Result<Option<Arc<dyn Broker>>> {
        let wanted = self.checked.connectors.contains(TOPICS);
        wanted.then(|| self.topics.broker()).transpose()
    }

    /// Opens the job at its last checkpoint in its lake. A run that is still open loses its right to write.
    ///
    /// # Errors
    /// If the lake cannot be used, holds tables of another job, or does not fit the job any more.
    pub fn open(&self, options: RunOptions, stop: &StopHandle) -> Result<Runtime> {
        self.broker()?;
        let lake = self.lake.open()?;
        lake.probe()?;
        let host = Host::new(self.lake.environment().clone());
        Runtime::open(&host, self.spec(), Arc::new(lake), options, stop.0.clone())
    }

    fn spec(&self) -> JobSpec {
        let sinks = self.checked.sinks.iter().map(|sink| JobSink {
            name: sink.name.clone(),
            from: sink.from.clone(),
            spec: sink.spec.clone(),
            schema: sink.facts.schema.clone(),
            fingerprint: sink.fingerprint.clone(),
        });
        let sources = self.checked.sources.iter().filter(|source| source.read).map(|source| JobSource {
            name: source.name.clone(),
            source: source.source.clone(),
            projection: source.projection.clone(),
        });
        let dataflow = Arc::new(Operators(self.checked.clone()));
        JobSpec { name: self.name.clone(), sources: sources.collect(), sinks: sinks.collect(), dataflow }
    }
}

struct Operators(Arc<catchment_sql::Job>);

impl Dataflow for Operators {
    fn build<'s>(
        &self,
        scope: Scope<'s, Epoch>,
        inputs: BTreeMap<String, UpdateStream<'s>>,
        rejects: UpdateStream<'s>,
        memory: &Memory,
    ) -> BTreeMap<String, UpdateStream<'s>> {
        self.0.build(scope, inputs, rejects, memory)
    }
}

//! A job: one SQL text, checked, that can be opened as often as there are runs of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use catchment_contract::arrow::array::{ArrayRef, StringArray};
use catchment_contract::hash::hash_rows;
use catchment_contract::{Epoch, Error, Result};
use catchment_engine::UpdateStream;
use catchment_engine::runtime::job::REJECTS;
use catchment_engine::runtime::{Dataflow, JobSink, JobSource, JobSpec, RunOptions, Runtime};
use catchment_sql::Extensions;
use catchment_store::Lake;
use catchment_topics::{Broker, Topics};
use timely::dataflow::Scope;

use crate::registry::registry;
use crate::topics::TopicsLocation;

/// A checked job with its name.
pub struct Job {
    name: String,
    checked: catchment_sql::Job,
    topics: Topics,
    lake: Lake,
}

impl Job {
    /// Checks the job `text` without touching disk or network. `name` owns its tables and checkpoints in `lake`;
    /// `variables` fills `${NAME}`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::User`] with line and column of what is wrong and what to write instead.
    pub fn from_sql(name: &str, text: &str, lake: &Lake, variables: &dyn Fn(&str) -> Option<String>) -> Result<Job> {
        Job::from_sql_with(name, text, lake, variables, &Extensions::new())
    }

    /// As [`Job::from_sql`], for a text that also names the functions and operators in `extensions`. A table that is made of
    /// an operator belongs to its version, as it belongs to the text of a view.
    ///
    /// # Errors
    /// As [`Job::from_sql`]; without a place for what is wrong with an extension.
    pub fn from_sql_with(
        name: &str,
        text: &str,
        lake: &Lake,
        variables: &dyn Fn(&str) -> Option<String>,
        extensions: &Extensions,
    ) -> Result<Job> {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        // Below `_catchment`, beside the folders of jobs, the embedded broker has its own.
        let taken = name == "topics";
        if name.is_empty() || name.starts_with('.') || !name.chars().all(valid) || taken {
            return Err(Error::user(format!("a job cannot be named \"{name}\"")).with_hint(
                "name the job's file with letters, digits, \"_\", \"-\" and \".\" only, and not \"topics\"",
            ));
        }
        let topics = Topics::default();
        let checked = catchment_sql::check_with(text, variables, &registry(&topics, lake), extensions)?;
        Ok(Job { name: name.to_string(), checked, topics, lake: lake.clone() })
    }

    /// Reads and checks a job file; the job's name is the file's without its ending.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`Job::from_sql`].
    pub fn from_file(path: &Path, lake: &Lake, variables: &dyn Fn(&str) -> Option<String>) -> Result<Job> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(format_args!("read the job file \"{}\"", path.display()), error))?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        Job::from_sql(name, &text, lake, variables)
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was checked.
    pub fn checked(&self) -> &catchment_sql::Job {
        &self.checked
    }

    /// Starts or connects to the broker of the job's topics, unless it has none. An embedded broker's files go below the lake
    /// if `location` does not say. [`Job::open`] does so too, with the default location, if nobody else has.
    ///
    /// # Errors
    /// As [`TopicsLocation::reach`].
    pub fn reach_topics(&mut self, location: &TopicsLocation) -> Result<Option<Arc<dyn Broker>>> {
        if !self.topics.wanted() {
            return Ok(None);
        }
        if self.topics.broker().is_err() {
            self.topics.bind(location.reach(self.lake.folder().map(Path::to_owned))?);
        }
        self.topics.broker().map(Some)
    }

    /// Opens the job at its last checkpoint in its lake. `stop`, once true, ends a drain early.
    ///
    /// # Errors
    /// If the lake cannot be used, holds tables of another job, or does not fit the job any more.
    pub fn open(mut self, options: RunOptions, stop: Arc<AtomicBool>) -> Result<Runtime> {
        self.reach_topics(&TopicsLocation::default())?;
        let lake = self.lake.open()?;
        lake.probe()?;
        Runtime::open(self.into_spec(), Arc::new(lake), options, stop)
    }

    fn into_spec(self) -> JobSpec {
        let Job { name, mut checked, topics: _, lake: _ } = self;
        let mut sinks = Vec::new();
        for sink in std::mem::take(&mut checked.sinks) {
            let fingerprint = fingerprint(&checked, &sink.from);
            let catchment_sql::JobSink { name, from, spec, facts } = sink;
            sinks.push(JobSink { name, from, spec, schema: facts.schema, fingerprint });
        }
        let read = checked.sources.iter().filter(|source| source.read);
        let sources = read.map(|source| JobSource {
            name: source.name.clone(),
            source: source.source.clone(),
            projection: source.projection.clone(),
        });
        JobSpec { name, sources: sources.collect(), sinks, dataflow: Arc::new(Operators(checked)) }
    }
}

/// A relation's definition in short: another one means that its table does not fit any more. It is made of the plans of
/// the relation and of every view that it reads, so views that are added beside them do not count. Any view can add to the
/// rejects.
fn fingerprint(checked: &catchment_sql::Job, relation: &str) -> String {
    if relation == REJECTS {
        return short(checked.views.iter().filter(|view| view.read).map(|view| view.plan.as_str()).collect());
    }
    let mut read = BTreeSet::from([relation]);
    let mut open = vec![relation];
    let mut plans = Vec::new();
    while let Some(name) = open.pop() {
        let Some(view) = checked.views.iter().find(|view| view.facts.name == name) else { continue };
        plans.push(view.plan.as_str());
        for other in checked.views.iter().map(|view| view.facts.name.as_str()) {
            if scans(&view.plan, other) && read.insert(other) {
                open.push(other);
            }
        }
    }
    plans.push(relation);
    short(plans)
}

fn short(mut plans: Vec<&str>) -> String {
    plans.sort_unstable();
    let text: ArrayRef = Arc::new(StringArray::from(vec![plans.join("\n")]));
    format!("{:032x}", hash_rows(&[text], 1).identity(0))
}

/// Whether a plan has `relation` as a leaf.
fn scans(plan: &str, relation: &str) -> bool {
    let leaf = format!("TableScan: {relation}");
    plan.lines()
        .map(str::trim_start)
        .any(|line| line.strip_prefix(&leaf).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ','])))
}

struct Operators(catchment_sql::Job);

impl Dataflow for Operators {
    fn build<'s>(
        &self,
        scope: Scope<'s, Epoch>,
        inputs: BTreeMap<String, UpdateStream<'s>>,
        rejects: UpdateStream<'s>,
    ) -> BTreeMap<String, UpdateStream<'s>> {
        self.0.build(scope, inputs, rejects)
    }
}

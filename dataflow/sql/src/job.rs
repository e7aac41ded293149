//! A checked job: what the facade runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use catchment_contract::{SinkSpec, Source, ViewFacts};

use crate::catalog::RelationId;
use crate::graph::{Graph, NodeId};

/// A source of a job.
#[derive(Clone)]
pub struct JobSource {
    /// Its name in the job.
    pub name: String,
    /// The checked source.
    pub source: Arc<dyn Source>,
    /// The columns that some view or sink reads, always with the key, ascending; at least one. What a decoder is asked for.
    pub projection: Vec<usize>,
    /// Whether any sink needs it.
    pub read: bool,
}

/// A view of a job.
#[derive(Clone)]
pub struct JobView {
    /// Its columns, its key if one is known, and whether it can retract.
    pub facts: ViewFacts,
    /// Whether any sink needs it.
    pub read: bool,
    /// Its optimised plan with the views that it reads as leaves, as text.
    pub plan: String,
    /// What its rows follow from, in the notation of [`crate::identity`].
    pub identity: String,
    /// Whether it is made by code of the program's own instead of a query.
    pub operator: bool,
}

/// A sink of a job.
#[derive(Clone)]
pub struct JobSink {
    /// Its name in the job.
    pub name: String,
    /// The relation that it takes.
    pub from: String,
    /// The checked sink.
    pub spec: Arc<dyn SinkSpec>,
    /// What is known of the relation.
    pub facts: ViewFacts,
    /// The relation's definition in short ([`crate::identity`]): another one means that what is kept of it does not fit any
    /// more.
    pub fingerprint: String,
}

/// A checked job, in the job file's order. [`Job::build`] renders its dataflow.
pub struct Job {
    /// The sources.
    pub sources: Vec<JobSource>,
    /// The views.
    pub views: Vec<JobView>,
    /// The sinks.
    pub sinks: Vec<JobSink>,
    /// Names of the connectors that sources and sinks are of.
    pub connectors: BTreeSet<String>,
    /// The operators.
    pub graph: Graph,
    /// The relations that sinks take, and their nodes.
    pub(crate) outputs: Vec<(String, NodeId)>,
    /// The node of the rejects.
    pub(crate) rejects: NodeId,
    /// The views that several readers share, each with its plan after the others were inlined: what [`Graph`] was made of.
    pub(crate) built: Vec<Built>,
}

/// A plan that was lowered.
pub(crate) struct Built {
    pub relation: RelationId,
    pub node: NodeId,
    pub plan: String,
}

impl Job {
    /// What people want to know of a checked job: sources, views, sinks, one line each.
    pub fn describe(&self) -> String {
        let mut lines = Vec::new();
        lines.extend(self.sources.iter().map(JobSource::describe));
        lines.extend(self.views.iter().map(JobView::describe));
        lines.extend(self.sinks.iter().map(JobSink::describe));
        lines.join("\n")
    }

    /// The relations that sinks take, each once.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|(name, _)| name.as_str())
    }
}

impl JobSource {
    /// `source comments: id, subreddit, …`; the columns are those that the job reads.
    pub fn describe(&self) -> String {
        let schema = &self.source.relation().schema;
        let columns: Vec<&str> = self.projection.iter().map(|column| schema.field(*column).name().as_str()).collect();
        match self.read {
            true => format!(
                "source {}: reads {} of {} columns: {}",
                self.name,
                columns.len(),
                schema.fields().len(),
                columns.join(", ")
            ),
            false => format!("source {}: no sink needs it", self.name),
        }
    }
}

impl JobView {
    /// `view buzz (video_id Utf8View, …): key (video_id), retracts`
    pub fn describe(&self) -> String {
        let unread = if self.read { "" } else { "; no sink needs it" };
        let kind = if self.operator { "operator" } else { "view" };
        format!("{kind} {}{unread}", describe_facts(&self.facts))
    }
}

impl JobSink {
    /// `sink buzz from video_buzz: lake table "buzz", mode current`
    pub fn describe(&self) -> String {
        format!("sink {} from {}: {}", self.name, self.from, self.spec.describe())
    }
}

fn describe_facts(facts: &ViewFacts) -> String {
    let columns: Vec<&str> = facts.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let key = match &facts.key {
        Some(key) if key.is_empty() => "one row".to_string(),
        Some(key) => format!("key ({})", key.iter().map(|column| columns[*column]).collect::<Vec<_>>().join(", ")),
        None => "no key".to_string(),
    };
    let retracts = if facts.append_only { "never retracts" } else { "can retract" };
    format!("{} ({}): {key}, {retracts}", facts.name, columns.join(", "))
}

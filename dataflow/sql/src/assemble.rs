//! A job put together: its parts as they were checked, its graph, and what tells the relations of its sinks from others.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::Result;
use catchment_contract::reject::REJECTS;

use crate::catalog::RelationId;
use crate::checked::{Checked, Sink};
use crate::graph::{Column, NodeId, Op};
use crate::identity;
use crate::job::{Job, JobSink, JobSource, JobView};
use crate::shared::{Lowered, Shared};

/// The job of `checked`, of which `shared` says what is read and `lowered` is the graph.
///
/// # Errors
/// If the graph holds what has no notation.
pub(crate) fn job(checked: Checked<'_>, shared: &Shared, lowered: Lowered) -> Result<Job> {
    let rejects = rejects_identity(&checked, &lowered)?;
    let sources = checked.sources.iter().enumerate().map(|(index, (name, source))| {
        let (projection, read) = shared.projection(index, source.as_ref());
        JobSource { name: name.clone(), source: source.clone(), projection, read }
    });
    let views = checked.views.iter().enumerate().map(|(index, view)| JobView {
        facts: view.facts.clone(),
        read: shared.live.contains(&RelationId::View(index)),
        plan: view.alone.clone(),
        identity: view.identity.text.clone(),
        operator: view.operator,
    });
    let sinks = checked.sinks.iter().map(|sink| {
        Ok(JobSink {
            name: sink.name.clone(),
            from: sink.facts.name.clone(),
            spec: Arc::clone(&sink.spec),
            facts: sink.facts.clone(),
            fingerprint: fingerprint(&checked, sink, &rejects)?,
        })
    });
    let (sources, views, sinks) = (sources.collect(), views.collect(), sinks.collect::<Result<_>>()?);
    let Lowered { graph, built, outputs, rejects } = lowered;
    Ok(Job { sources, views, sinks, connectors: checked.connectors, graph, outputs, rejects, built })
}

/// The definition of the relation that `sink` takes, in short; `rejects` that of the rejects.
fn fingerprint(checked: &Checked<'_>, sink: &Sink, rejects: &str) -> Result<String> {
    let own = match sink.relation {
        RelationId::View(index) => checked.views[index].identity.fingerprint(),
        RelationId::Source(_) => identity::of_source(&sink.facts.name, &Column::all(&sink.facts.schema))?,
        RelationId::Rejects => identity::of_rejects(),
    };
    Ok(if checked.reads_rejects(sink.relation) { identity::with_rejects(&own, rejects) } else { own })
}

/// What the rejects follow from: all that is run.
fn rejects_identity(checked: &Checked<'_>, lowered: &Lowered) -> Result<String> {
    let graph = &lowered.graph;
    let mut written = BTreeMap::new();
    for (id, node) in graph.nodes.iter().enumerate() {
        match node.op {
            Op::Source(index) => written.insert(id, identity::source(&checked.sources[index].0, &node.columns)?),
            Op::Rejects => written.insert(id, identity::rejects_leaf(&node.columns)?),
            _ => None,
        };
    }
    let outputs = lowered.outputs.iter().map(|(name, node)| (name.as_str(), *node));
    let built = lowered.built.iter().map(|built| match built.relation {
        RelationId::View(index) => (checked.views[index].name.as_str(), built.node),
        RelationId::Source(_) | RelationId::Rejects => (REJECTS, built.node),
    });
    // By name: in what order a job's text has them means nothing.
    let mut roots: Vec<(&str, NodeId)> = outputs.chain(built).collect();
    roots.sort_unstable();
    let roots: Vec<NodeId> = roots.into_iter().map(|(_, node)| node).collect();
    identity::rejects(graph, &roots, &written)
}

//! The job as a whole, from its sinks back to its sources.
//!
//! A view that only one other view reads is inlined into it, unless a column of it may fail. A view that a sink or several
//! views read becomes a node of its own, with just the columns that its readers want, and those that may fail: a row that
//! fails is missing from the view, whoever reads it. What the plans scan in the end is what the sources are asked to decode.

use std::collections::{BTreeMap, BTreeSet};

use catchment_contract::reject::rejects_schema;
use catchment_contract::{Error, Result, Source};
use datafusion_common::DataFusionError;
use datafusion_expr::LogicalPlan;

use crate::catalog::RelationId;
use crate::checked::{Checked, View};
use crate::graph::{Graph, NodeId};
use crate::job::Built;
use crate::lower::{Flow, Leaf, Lowering};
use crate::plan::{columns_read, inline, narrow, relations_of};
use crate::rewrite::{columns_that_may_fail, optimise};

/// The plans of all relations that are nodes of their own.
pub(crate) struct Shared {
    /// Optimised plans of the views that are nodes, with what they read as leaves.
    roots: BTreeMap<RelationId, LogicalPlan>,
    /// The columns of each relation that some reader wants.
    wanted: BTreeMap<RelationId, BTreeSet<usize>>,
    /// Relations that a sink needs, directly or not.
    pub live: BTreeSet<RelationId>,
}

/// A job's graph, and where things are in it.
pub(crate) struct Lowered {
    pub graph: Graph,
    /// The views that are nodes.
    pub built: Vec<Built>,
    /// The relations that sinks take.
    pub outputs: Vec<(String, NodeId)>,
    pub rejects: NodeId,
}

impl Shared {
    pub fn of(checked: &Checked<'_>) -> Result<Shared> {
        let mut shared = Shared { roots: BTreeMap::new(), wanted: BTreeMap::new(), live: BTreeSet::new() };
        let mut readers: BTreeMap<RelationId, usize> = BTreeMap::new();
        for relation in checked.sinks.iter().map(|sink| &sink.relation) {
            shared.live.insert(*relation);
            // A sink's relation is a node, however many others read it.
            *readers.entry(*relation).or_default() += 2;
            shared.wanted.entry(*relation).or_default().extend(checked.listed(*relation));
        }
        for (index, view) in checked.views.iter().enumerate().rev() {
            if shared.live.contains(&RelationId::View(index)) {
                for relation in relations_of(&view.plan).map_err(|error| checked.fault(index, &error))? {
                    shared.live.insert(relation);
                    *readers.entry(relation).or_default() += 1;
                }
            }
        }
        let failing: Vec<Vec<usize>> = checked.views.iter().map(failing_columns).collect();
        let is_shared = |relation: &RelationId| match relation {
            RelationId::View(index) if !failing[*index].is_empty() => true,
            relation => readers.get(relation).is_some_and(|readers| *readers > 1),
        };
        for index in (0..checked.views.len()).rev() {
            let relation = RelationId::View(index);
            if !is_shared(&relation) {
                continue;
            }
            if let Some(wanted) = shared.wanted.get_mut(&relation) {
                wanted.extend(&failing[index]);
                let plan = shared.root(checked, index, &is_shared).map_err(|error| checked.fault(index, &error))?;
                shared.roots.insert(relation, plan);
            }
        }
        Ok(shared)
    }

    /// The plan of a view that is a node; notes what it reads.
    fn root(
        &mut self,
        checked: &Checked<'_>,
        index: usize,
        is_shared: &dyn Fn(&RelationId) -> bool,
    ) -> Result<LogicalPlan, DataFusionError> {
        let relation = RelationId::View(index);
        let wanted: Vec<usize> = self.wanted[&relation].iter().copied().collect();
        let plan = inline_unshared(checked, checked.views[index].plan.clone(), is_shared)?;
        let plan = optimise(narrow(plan, &wanted)?, checked.catalog.config())?;
        for (relation, columns) in columns_read(&plan)? {
            self.wanted.entry(relation).or_default().extend(columns);
        }
        Ok(plan)
    }

    /// The columns that a decoder is asked for, and whether the source is read at all.
    pub fn projection(&self, index: usize, source: &dyn Source) -> (Vec<usize>, bool) {
        let relation = source.relation();
        let wanted = self.wanted.get(&RelationId::Source(index));
        let mut columns: BTreeSet<usize> = wanted.cloned().unwrap_or_default();
        columns.extend(&relation.key);
        if columns.is_empty() {
            columns.insert(0);
        }
        (columns.into_iter().collect(), wanted.is_some())
    }

    /// Lowers all plans into one graph.
    ///
    /// # Errors
    /// For a construct that cannot be kept up to date.
    pub fn lower(&self, checked: &Checked<'_>) -> Result<Lowered> {
        let mut graph = Graph::default();
        let mut leaves = self.leaves(checked, &mut graph);
        let rejects = leaves[&RelationId::Rejects].node;
        let mut built = Vec::new();
        for (relation, plan) in &self.roots {
            let RelationId::View(index) = *relation else { continue };
            let subject = checked.subject(index);
            let node = Lowering::new(&mut graph, &leaves, &subject, checked.catalog.config()).view(plan)?;
            let columns = self.wanted[relation].iter().copied().collect();
            leaves.insert(*relation, Leaf { node, columns });
            built.push(Built { relation: *relation, node, plan: plan.display_indent().to_string() });
        }
        let mut outputs: Vec<(String, NodeId)> = Vec::new();
        for relation in checked.sinks.iter().map(|sink| sink.relation) {
            let name = checked.facts_of(relation).name;
            if !outputs.iter().any(|(known, _)| *known == name) {
                let node = only(&mut graph, &leaves[&relation], &checked.listed(relation), &name)?;
                outputs.push((name, node));
            }
        }
        let roots: Vec<NodeId> = [rejects].into_iter().chain(outputs.iter().map(|(_, node)| *node)).collect();
        // Each root is an output, or the input of a later one, so none of them is pruned.
        let kept: Vec<NodeId> = roots.iter().copied().chain(built.iter().map(|built| built.node)).collect();
        let moved = graph.prune(&kept);
        let (outer, inner) = moved.split_at(roots.len());
        outputs.iter_mut().zip(&outer[1..]).for_each(|((_, node), moved)| *node = *moved);
        built.iter_mut().zip(inner).for_each(|(built, moved)| built.node = *moved);
        Ok(Lowered { graph, built, outputs, rejects: outer[0] })
    }

    /// The rejects and the sources that are read.
    fn leaves(&self, checked: &Checked<'_>, graph: &mut Graph) -> BTreeMap<RelationId, Leaf> {
        let mut leaves = BTreeMap::new();
        let mut add = |relation: RelationId, columns: Vec<usize>| {
            leaves.insert(relation, Leaf::add(graph, relation, &checked.facts_of(relation), columns));
        };
        add(RelationId::Rejects, (0..rejects_schema().fields().len()).collect());
        for (index, (_, source)) in checked.sources.iter().enumerate() {
            let (columns, read) = self.projection(index, source.as_ref());
            if read {
                add(RelationId::Source(index), columns);
            }
        }
        leaves
    }
}

/// The node of `leaf` with the columns `listed` alone: views may have wanted more of them.
fn only(graph: &mut Graph, leaf: &Leaf, listed: &[usize], relation: &str) -> Result<NodeId> {
    let places = listed.iter().map(|column| leaf.columns.iter().position(|known| known == column));
    let places: Vec<usize> = places.collect::<Option<_>>().expect("a sink wants all listed columns");
    let picked = Flow::of(graph, leaf.node, relation).pick(&places).node(graph, relation);
    picked.map_err(|error| Error::bug(format!("cannot pick columns of \"{relation}\": {error}")))
}

/// The columns of a view that may fail for some row.
fn failing_columns(view: &View) -> Vec<usize> {
    if view.constant {
        return Vec::new();
    }
    let columns = columns_that_may_fail(&view.plan).into_iter().enumerate();
    columns.filter_map(|(column, may_fail)| may_fail.then_some(column)).collect()
}

/// `plan` with the views inlined that it alone reads, and constants.
fn inline_unshared(
    checked: &Checked<'_>,
    plan: LogicalPlan,
    is_shared: &dyn Fn(&RelationId) -> bool,
) -> Result<LogicalPlan, DataFusionError> {
    inline(plan, &|relation| match relation {
        RelationId::View(index) if checked.views[index].constant => checked.constant_view(relation),
        RelationId::View(index) if !is_shared(&relation) => {
            let inner = checked.views[index].plan.clone();
            Some(inline_unshared(checked, inner.clone(), is_shared).unwrap_or(inner))
        }
        _ => None,
    })
}

//! A view looked at alone, with the relations that it reads as leaves: what is known of its rows, and its identity.
//!
//! What a view is found to be here depends on nothing but its own definition and those of what it reads: not on who else
//! reads these, nor on what sinks want.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::{Result, ViewFacts};
use datafusion_common::config::ConfigOptions;
use datafusion_expr::LogicalPlan;

use crate::catalog::RelationId;
use crate::fault::Subject;
use crate::graph::{Column, Graph, Op};
use crate::identity::{self, Identity};
use crate::lower::{Leaf, Lowering};
use crate::plan::columns_read;
use crate::stage::Stage;

/// What is known of a relation that a view reads.
pub(crate) struct Known {
    /// Its columns, key and name.
    pub facts: ViewFacts,
    /// Its identity; of views alone.
    pub identity: Option<Identity>,
}

/// What is found.
pub(crate) struct Alone {
    /// Output columns whose values together are unique.
    pub key: Option<Vec<usize>>,
    /// Whether it never retracts.
    pub append_only: bool,
    /// Whether no fault of its rows is ever retracted.
    pub faults_append_only: bool,
    /// What its rows follow from.
    pub identity: Identity,
}

/// Looks at the view with the optimised plan `plan` and the columns `columns`; `known` says what it reads.
///
/// # Errors
/// For a construct that cannot be kept up to date.
pub(crate) fn alone(
    plan: &LogicalPlan,
    columns: &[Column],
    subject: &Subject<'_>,
    config: &Arc<ConfigOptions>,
    known: &dyn Fn(RelationId) -> Known,
) -> Result<Alone> {
    let mut graph = Graph::default();
    let (mut leaves, mut written) = (BTreeMap::new(), BTreeMap::new());
    for (relation, wanted) in columns_read(plan).map_err(|error| subject.planning(&error))? {
        let Known { facts, identity } = known(relation);
        let leaf = Leaf::add(&mut graph, relation, &facts, wanted.into_iter().collect());
        let read = &graph.nodes[leaf.node].columns;
        let text = match &identity {
            Some(identity) => identity::view(identity, &leaf.columns, read)?,
            None if relation == RelationId::Rejects => identity::rejects_leaf(read)?,
            None => identity::source(&facts.name, read)?,
        };
        written.insert(leaf.node, text);
        leaves.insert(relation, leaf);
    }
    let root = Lowering::new(&mut graph, &leaves, subject, config).view(plan)?;
    let identity = Identity::of(&graph, root, columns, &written)?;
    let faults_append_only = faults_append_only(&graph);
    let root = &graph.nodes[root];
    Ok(Alone { key: root.key.clone(), append_only: root.append_only, faults_append_only, identity })
}

/// Whether no fault of a transform can be retracted.
fn faults_append_only(graph: &Graph) -> bool {
    graph.nodes.iter().all(|node| match &node.op {
        Op::Transform { stages, .. } => {
            let fallible = stages.iter().any(|stage| match stage {
                Stage::Filter(condition) => condition.fallible(),
                Stage::Project(columns) => columns.iter().any(|column| column.fallible()),
                Stage::Unnest { .. } | Stage::InSet(_) => false,
            });
            !fallible || node.inputs.iter().all(|input| graph.nodes[*input].append_only)
        }
        _ => true,
    })
}

//! Leaves: where the rows of the relations that a plan reads come from in the graph.

use catchment_contract::ViewFacts;

use crate::catalog::RelationId;
use crate::graph::{Column, Graph, Node, NodeId, Op};

/// Where a relation's rows come from in the graph.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// The node.
    pub node: NodeId,
    /// The node's columns, as positions in the relation's schema.
    pub columns: Vec<usize>,
}

impl Leaf {
    /// Adds a node that is the relation itself, of which `facts` are known, with its columns `columns`.
    pub fn add(graph: &mut Graph, relation: RelationId, facts: &ViewFacts, columns: Vec<usize>) -> Leaf {
        let ViewFacts { name, schema, key, append_only } = facts;
        let key = key.as_ref().and_then(|key| {
            key.iter().map(|column| columns.iter().position(|known| known == column)).collect::<Option<Vec<_>>>()
        });
        let all = Column::all(schema);
        let (name, op) = match relation {
            RelationId::Source(index) => (format!("Source: {name}"), Op::Source(index)),
            RelationId::View(index) => (format!("View: {name}"), Op::View(index)),
            RelationId::Rejects => ("Rejects".to_string(), Op::Rejects),
        };
        let node = graph.add(Node {
            name,
            op,
            inputs: Vec::new(),
            columns: columns.iter().map(|column| all[*column].clone()).collect(),
            key,
            append_only: *append_only,
        });
        Leaf { node, columns }
    }
}

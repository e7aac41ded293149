//! The operator graph of a job: plain data, made by lowering, drawn by `explain`, rendered to timely by
//! [`crate::Job::build`].
//!
//! Nodes stand in an order in which each comes after its inputs.

use std::sync::Arc;

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::arrow::datatypes::{DataType, Field, Schema};
use catchment_operators::join::JoinSpec;
use catchment_operators::{AggregateSpec, TopGroupsSpec, TopKSpec, WindowSpec};

use crate::extensions::Operator;
use crate::stage::Stage;

/// A node of a [`Graph`], by its index.
pub type NodeId = usize;

/// A column of a node's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, for people.
    pub name: String,
    /// Its logical type: a `Utf8View` column may be dictionary-encoded on the edge.
    pub data_type: DataType,
}

impl Column {
    /// The columns of a relation.
    pub fn all(schema: &Schema) -> Vec<Column> {
        let column = |field: &Arc<Field>| Column { name: field.name().clone(), data_type: field.data_type().clone() };
        schema.fields().iter().map(column).collect()
    }
}

/// What an operator does.
#[derive(Clone, Debug)]
pub enum Op {
    /// The rows of the job's n-th source, current ones where the source replaces rows.
    Source(usize),
    /// The rows of the job's n-th view: only where another view is looked at alone.
    View(usize),
    /// The rejects: those of the sources, and the faults of all transforms.
    Rejects,
    /// Rows that are there from the first epoch on.
    Constant(RecordBatch),
    /// Fused stages without state.
    Transform {
        /// The view whose faults these are.
        view: String,
        /// The stages.
        stages: Vec<Stage>,
    },
    /// All rows of all inputs.
    Union,
    /// Two inputs joined.
    Join(JoinSpec),
    /// Groups.
    Aggregate(AggregateSpec),
    /// Each row once.
    Distinct,
    /// The first rows of partitions.
    TopK(TopKSpec),
    /// The first groups of partitions.
    TopGroups(TopGroupsSpec),
    /// Aggregates of the rows around each row.
    Window(WindowSpec),
    /// Code of the program that the job is part of.
    Custom(Arc<Operator>),
}

/// An operator with its inputs and what is known of its output.
#[derive(Clone, Debug)]
pub struct Node {
    /// What a person calls it: `Join: mentions ⋈ transcripts`.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Where its input comes from.
    pub inputs: Vec<NodeId>,
    /// The output's columns.
    pub columns: Vec<Column>,
    /// Output columns whose values together are unique at every epoch, if known.
    pub key: Option<Vec<usize>>,
    /// Whether it never retracts.
    pub append_only: bool,
}

impl Node {
    /// The output's types.
    pub fn types(&self) -> Vec<DataType> {
        self.columns.iter().map(|column| column.data_type.clone()).collect()
    }
}

/// Operators and how they are connected.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The operators, inputs first.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// Adds a node.
    pub fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Removes the nodes that none of `roots` needs; returns where each of the roots is now.
    pub fn prune(&mut self, roots: &[NodeId]) -> Vec<NodeId> {
        let mut needed = vec![false; self.nodes.len()];
        roots.iter().for_each(|root| needed[*root] = true);
        for id in (0..self.nodes.len()).rev() {
            if needed[id] {
                self.nodes[id].inputs.iter().for_each(|input| needed[*input] = true);
            }
        }
        let mut moved = vec![0; self.nodes.len()];
        let mut kept = Vec::new();
        for (id, mut node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            if needed[id] {
                moved[id] = kept.len();
                node.inputs.iter_mut().for_each(|input| *input = moved[*input]);
                kept.push(node);
            }
        }
        self.nodes = kept;
        roots.iter().map(|root| moved[*root]).collect()
    }

    /// The nodes that read `id`.
    pub fn readers(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().enumerate().filter(move |(_, node)| node.inputs.contains(&id)).map(|(reader, _)| reader)
    }
}

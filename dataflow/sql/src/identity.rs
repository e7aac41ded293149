//! What a relation's rows follow from, in writing and in short: its *identity*.
//!
//! A lake keeps the identity of each relation that a sink took. A run whose job means something else by that relation is
//! refused, so an identity must differ wherever rows may differ, and must not differ for any other reason: it is the same in
//! each run and each build, whatever the planner calls things, however the text is laid out, whatever else the job holds.
//!
//! It is made of the operators that the view alone has, with the relations that it reads as leaves, in the notation of
//! `crate::notation`. An identity's text is, in lines:
//!
//! ```text
//! catchment relation 1                                         the format
//! n0 source 'comments': "body" text, "score" int64             a source's columns that are read
//! n1 view 8e3f…: #0 int64, #2 text                             a view's, by position; the hash of that view's own lines
//! n2 transform n0: filter #1 > int64 5; project #0             an operator, its inputs, what it does
//! rows of n2: "body" text                                      the relation's columns
//! ```
//!
//! Operators are numbered as they are met on the way from the relation's root, inputs first, equal ones once. The hash of the
//! lines ([`hash_rows`], 128 bits in hexadecimal digits) behind the format's number and a colon is what is kept. The
//! *rejects* hold what any transform of the job could not compute, with names: their identity is that of the whole graph as
//! it is run, each transform with its view and the names of its input's columns. Of a relation that reads the rejects,
//! directly or not, that is kept too, behind a `+`.
//!
//! To change anything in this notation is to change [`FORMAT`]: lakes of the earlier one are refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, StringArray};
use catchment_contract::hash::hash_rows;
use catchment_contract::{Error, Result};

use crate::graph::{Column, Graph, Node, NodeId, Op};
use crate::notation::{Names, Style, named, operator, quoted, type_name};

/// The format of identities.
pub const FORMAT: u32 = 1;

/// The identity of one view.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Its text.
    pub text: String,
    /// The hash of its rows alone, whatever the columns are called: what its readers are made of.
    pub rows: String,
}

impl Identity {
    /// The identity of the relation at `root` of `graph`, whose leaves are written as in `leaves`.
    ///
    /// # Errors
    /// If the graph holds what has no notation.
    pub fn of(graph: &Graph, root: NodeId, columns: &[Column], leaves: &BTreeMap<NodeId, String>) -> Result<Identity> {
        let mut writer = Writer::new(graph, leaves, false);
        let root = writer.node(root)?;
        let rows = format!("{}\nrows of n{root}", writer.text("relation"));
        let text = format!("{rows}: {}", with_types(columns)?);
        Ok(Identity { text, rows: digest(&rows) })
    }

    /// What is kept of it.
    pub fn fingerprint(&self) -> String {
        format!("{FORMAT}:{}", digest(&self.text))
    }
}

/// What is kept of the rejects of a job whose relations stand at `roots` of `graph`, in an order that is the job's.
///
/// # Errors
/// As [`Identity::of`].
pub(crate) fn rejects(graph: &Graph, roots: &[NodeId], leaves: &BTreeMap<NodeId, String>) -> Result<String> {
    let mut writer = Writer::new(graph, leaves, true);
    for root in roots {
        writer.node(*root)?;
    }
    Ok(digest(&writer.text("rejects")))
}

/// What is kept of the source `name`, whose columns are `columns`.
pub(crate) fn of_source(name: &str, columns: &[Column]) -> Result<String> {
    let text = format!("catchment source {FORMAT}\n{}", source(name, columns)?);
    Ok(format!("{FORMAT}:{}", digest(&text)))
}

/// What is kept of the relation of rejects itself.
pub(crate) fn of_rejects() -> String {
    format!("{FORMAT}:rejects")
}

/// What is kept of a relation that reads the rejects, which are what `rejects` says.
pub(crate) fn with_rejects(own: &str, rejects: &str) -> String {
    format!("{own}+{rejects}")
}

/// A leaf that is the source `name`, of which `columns` are read.
pub(crate) fn source(name: &str, columns: &[Column]) -> Result<String> {
    Ok(format!("source {}: {}", quoted(name), with_types(columns)?))
}

/// A leaf that is a view of which the columns at `places`, `columns`, are read.
pub(crate) fn view(identity: &Identity, places: &[usize], columns: &[Column]) -> Result<String> {
    let column = |(place, column): (&usize, &Column)| Ok(format!("#{place} {}", type_name(&column.data_type)?));
    let columns = places.iter().zip(columns).map(column).collect::<Result<Vec<_>>>()?;
    Ok(format!("view {}: {}", identity.rows, columns.join(", ")))
}

/// A leaf that is the rejects, of which `columns` are read.
pub(crate) fn rejects_leaf(columns: &[Column]) -> Result<String> {
    Ok(format!("rejects: {}", with_types(columns)?))
}

fn with_types(columns: &[Column]) -> Result<String> {
    let columns = columns.iter().map(|column| Ok(format!("{} {}", named(&column.name), type_name(&column.data_type)?)));
    Ok(columns.collect::<Result<Vec<_>>>()?.join(", "))
}

/// 128 bits of a text, in hexadecimal digits.
pub(crate) fn digest(text: &str) -> String {
    let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
    format!("{:032x}", hash_rows(&[text], 1).identity(0))
}

/// Writes the operators of a graph, each below its inputs.
struct Writer<'a> {
    graph: &'a Graph,
    leaves: &'a BTreeMap<NodeId, String>,
    /// Whether faults matter: what a transform says of them.
    faults: bool,
    /// Every operator in writing, and its number.
    lines: BTreeMap<String, usize>,
    numbers: BTreeMap<NodeId, usize>,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph, leaves: &'a BTreeMap<NodeId, String>, faults: bool) -> Self {
        Writer { graph, leaves, faults, lines: BTreeMap::new(), numbers: BTreeMap::new() }
    }

    /// The number of the node `id`, which is written if it is not yet.
    fn node(&mut self, id: NodeId) -> Result<usize> {
        if let Some(number) = self.numbers.get(&id) {
            return Ok(*number);
        }
        let node = &self.graph.nodes[id];
        let inputs = node.inputs.iter().map(|input| self.node(*input)).collect::<Result<Vec<_>>>()?;
        let line = self.line(id, node, &inputs)?;
        let next = self.lines.len();
        let number = *self.lines.entry(line).or_insert(next);
        self.numbers.insert(id, number);
        Ok(number)
    }

    fn line(&self, id: NodeId, node: &Node, inputs: &[usize]) -> Result<String> {
        let kind = match &node.op {
            Op::Source(_) | Op::View(_) | Op::Rejects => {
                let leaf = self.leaves.get(&id).cloned();
                return leaf.ok_or_else(|| Error::bug(format!("the leaf \"{}\" is not written", node.name)));
            }
            Op::Constant(_) => "constant",
            Op::Transform { .. } => "transform",
            Op::Union => "union",
            Op::Join(_) => "join",
            Op::Aggregate(_) => "aggregate",
            Op::Distinct => "distinct",
            Op::TopK(_) => "top",
            Op::TopGroups(_) => "top groups",
            Op::Window(_) => "window",
            Op::Custom(_) => "operator",
        };
        let column = |column: usize| format!("#{column}");
        let names = Names { style: Style::Stable, input: &|_, place| column(place), output: &column };
        let mut line = kind.to_string();
        inputs.iter().for_each(|input| line += &format!(" n{input}"));
        let mut does = operator(node, &names)?;
        if let (true, Op::Transform { view, .. }) = (self.faults, &node.op) {
            let read = node.inputs.iter().flat_map(|input| &self.graph.nodes[*input].columns);
            let read: Vec<String> = read.map(|column| named(&column.name)).collect();
            does.push(format!("faults of {} with {}", quoted(view), read.join(", ")));
        }
        Ok(if does.is_empty() { line } else { format!("{line}: {}", does.join("; ")) })
    }

    fn text(&self, what: &str) -> String {
        let mut lines: Vec<(&usize, &String)> = self.lines.iter().map(|(line, number)| (number, line)).collect();
        lines.sort_unstable();
        let lines: Vec<String> = lines.into_iter().map(|(number, line)| format!("n{number} {line}")).collect();
        format!("catchment {what} {FORMAT}\n{}", lines.join("\n"))
    }
}

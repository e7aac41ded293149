//! A job's plans and operators, drawn for people.

use std::fmt::Write;

use catchment_contract::options::nearest;
use catchment_contract::{Error, Replace, Result};

use crate::catalog::RelationId;
use crate::graph::{Node, NodeId, Op};
use crate::job::Job;
use crate::notation::{self, Names, Style};

/// How a dataflow is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Indented text.
    #[default]
    Text,
    /// A Mermaid flowchart.
    Mermaid,
}

/// The optimised plans and the operators of `job`, or of what `view` (a view, source or `rejects`) is made of.
///
/// # Errors
/// If the job has no relation called `view`.
pub fn explain(job: &Job, view: Option<&str>, format: Format) -> Result<String> {
    let nodes = match view {
        None => (0..job.graph.nodes.len()).collect(),
        Some(view) => job.nodes_of(view)?,
    };
    Ok(match format {
        Format::Mermaid => mermaid(job, &nodes),
        Format::Text => {
            let mut text = plans(job, view);
            text.push_str("dataflow\n");
            nodes.iter().try_for_each(|id| operator(job, *id, &mut text))?;
            text
        }
    })
}

impl Job {
    /// The nodes that the relation `name` is made of, in order.
    fn nodes_of(&self, name: &str) -> Result<Vec<NodeId>> {
        let views = self.views.iter().map(|view| view.facts.name.as_str());
        let sources = self.sources.iter().map(|source| source.name.as_str());
        let mut names = views.chain(sources);
        if !names.clone().any(|known| known == name) && !self.outputs().any(|known| known == name) {
            let hint = match nearest(name, names.clone()) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("its relations are {}", names.by_ref().collect::<Vec<_>>().join(", ")),
            };
            return Err(Error::user(format!("the job has no relation \"{name}\"")).with_hint(hint));
        }
        let mut needed: Vec<bool> = self.graph.nodes.iter().map(|node| self.belongs(node, name)).collect();
        for (relation, node) in self.built.iter().map(|built| (built.relation, built.node)) {
            needed[node] |= self.relation_name(relation) == name;
        }
        for (output, node) in &self.outputs {
            needed[*node] |= output == name;
        }
        for id in (0..needed.len()).rev() {
            if needed[id] {
                self.graph.nodes[id].inputs.iter().for_each(|input| needed[*input] = true);
            }
        }
        Ok((0..needed.len()).filter(|id| needed[*id]).collect())
    }

    fn belongs(&self, node: &Node, name: &str) -> bool {
        match &node.op {
            Op::Source(index) => self.sources[*index].name == name,
            Op::Transform { view, .. } => view == name,
            _ => false,
        }
    }

    fn relation_name(&self, relation: RelationId) -> &str {
        match relation {
            RelationId::View(index) => &self.views[index].facts.name,
            RelationId::Source(index) => &self.sources[index].name,
            RelationId::Rejects => catchment_contract::reject::REJECTS,
        }
    }
}

fn plans(job: &Job, view: Option<&str>) -> String {
    let mut text = String::new();
    for built in &job.built {
        let name = job.relation_name(built.relation);
        if view.is_none_or(|view| view == name) {
            let _ = writeln!(text, "plan of {name}\n{}\n", indent(&built.plan));
        }
    }
    for inlined in &job.views {
        let name = inlined.facts.name.as_str();
        if view == Some(name) && !job.built.iter().any(|built| job.relation_name(built.relation) == name) {
            let _ = writeln!(text, "plan of {name}, part of its readers' plans\n{}\n", indent(&inlined.plan));
        }
    }
    text
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn operator(job: &Job, id: NodeId, text: &mut String) -> Result<()> {
    let node = &job.graph.nodes[id];
    let inputs: Vec<String> = node.inputs.iter().map(|input| format!("#{input}")).collect();
    let from = if inputs.is_empty() { String::new() } else { format!(" ← {}", inputs.join(", ")) };
    let _ = writeln!(text, "  #{id} {}{from}", node.name);
    for line in details(job, node)? {
        let _ = writeln!(text, "       {line}");
    }
    let columns: Vec<String> = node.columns.iter().map(|column| column.name.clone()).collect();
    let _ = writeln!(text, "       → {}", columns.join(", "));
    Ok(())
}

/// What an operator does, line by line.
fn details(job: &Job, node: &Node) -> Result<Vec<String>> {
    if let Op::Source(index) = &node.op {
        let relation = job.sources[*index].source.relation();
        let key: Vec<&str> = relation.key.iter().map(|key| relation.schema.field(*key).name().as_str()).collect();
        return Ok(vec![match relation.replace {
            Replace::Never => "every row is added".to_string(),
            Replace::Row => format!("rows replace by {}", key.join(", ")),
            Replace::Payload => format!("documents replace by {}", key.join(", ")),
        }]);
    }
    let name = |node: &Node, column: usize| {
        node.columns.get(column).map_or_else(|| format!("column {column}"), |column| column.name.clone())
    };
    let input = |number: usize, column: usize| name(&job.graph.nodes[node.inputs[number]], column);
    let output = |column: usize| name(node, column);
    notation::operator(node, &Names { style: Style::Plain, input: &input, output: &output })
}

fn mermaid(job: &Job, nodes: &[NodeId]) -> String {
    let mut text = String::from("flowchart LR\n");
    for id in nodes {
        let node = &job.graph.nodes[*id];
        let label = node.name.replace('"', "#quot;");
        let _ = match node.op {
            Op::Source(_) | Op::Rejects | Op::Constant(_) => writeln!(text, "  n{id}([\"{label}\"])"),
            _ => writeln!(text, "  n{id}[\"{label}\"]"),
        };
        for input in &node.inputs {
            let _ = writeln!(text, "  n{input} --> n{id}");
        }
    }
    for sink in &job.sinks {
        if let Some((_, node)) = job.outputs.iter().find(|(name, node)| *name == sink.from && nodes.contains(node)) {
            let label = sink.spec.describe().replace('"', "#quot;");
            let _ = writeln!(text, "  s_{}[/\"{label}\"/]\n  n{node} --> s_{}", sink.name, sink.name);
        }
    }
    text
}

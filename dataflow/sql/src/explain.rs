//! A job's plans and operators, drawn for people.

use std::fmt::Write;

use catchment_contract::arrow::datatypes::{DataType, TimeUnit};
use catchment_contract::options::nearest;
use catchment_contract::{Error, Result};
use catchment_operators::WindowSpec;
use catchment_operators::window::{Bound, Frame};

use crate::catalog::RelationId;
use crate::expr::Expression;
use crate::graph::{Node, NodeId, Op};
use crate::job::Job;
use crate::stage::Stage;

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
            nodes.iter().for_each(|id| operator(job, *id, &mut text));
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
        for id in (0..needed.len()).rev().filter(|id| needed[*id]).collect::<Vec<_>>() {
            self.mark(id, &mut needed);
        }
        Ok((0..needed.len()).filter(|id| needed[*id]).collect())
    }

    fn mark(&self, id: NodeId, needed: &mut [bool]) {
        needed[id] = true;
        self.graph.nodes[id].inputs.iter().for_each(|input| self.mark(*input, needed));
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

fn operator(job: &Job, id: NodeId, text: &mut String) {
    let node = &job.graph.nodes[id];
    let inputs: Vec<String> = node.inputs.iter().map(|input| format!("#{input}")).collect();
    let from = if inputs.is_empty() { String::new() } else { format!(" ← {}", inputs.join(", ")) };
    let _ = writeln!(text, "  #{id} {}{from}", node.name);
    for line in details(job, node) {
        let _ = writeln!(text, "       {line}");
    }
    let columns: Vec<String> = node.columns.iter().map(|column| column.name.clone()).collect();
    let _ = writeln!(text, "       → {}", columns.join(", "));
}

/// What an operator does, line by line.
fn details(job: &Job, node: &Node) -> Vec<String> {
    let input = |number: usize, column: usize| {
        let input = &job.graph.nodes[node.inputs[number]];
        input.columns.get(column).map_or_else(|| format!("column {column}"), |column| column.name.clone())
    };
    match &node.op {
        Op::Source(index) => {
            let relation = job.sources[*index].source.relation();
            let key: Vec<&str> = relation.key.iter().map(|key| relation.schema.field(*key).name().as_str()).collect();
            match relation.replace {
                catchment_contract::Replace::Never => vec!["every row is added".to_string()],
                catchment_contract::Replace::Row => vec![format!("rows replace by {}", key.join(", "))],
                catchment_contract::Replace::Payload => vec![format!("documents replace by {}", key.join(", "))],
            }
        }
        Op::Transform { stages, .. } => stages.iter().map(stage).collect(),
        Op::Join(spec) => {
            let pairs = spec.left_key.iter().zip(&spec.right_key);
            let on: Vec<String> =
                pairs.map(|(left, right)| format!("{} = {}", input(0, *left), input(1, *right))).collect();
            vec![format!("{:?} on {}", spec.kind, if on.is_empty() { "everything".to_string() } else { on.join(", ") })]
        }
        Op::Aggregate(spec) => vec![aggregates(spec, &|column| input(0, column))],
        Op::TopK(spec) => vec![top(spec, &|column| input(0, column))],
        Op::TopGroups(spec) => {
            let columns =
                |column: usize| node.columns.get(column).map_or_else(String::new, |column| column.name.clone());
            vec![aggregates(&spec.aggregate, &|column| input(0, column)), top(&spec.top, &columns)]
        }
        Op::Custom(operator) => vec![format!("code of version {}", operator.spec.version)],
        Op::Window(spec) => windows(spec, &|column| input(0, column)),
        Op::Constant(_) | Op::Union | Op::Distinct | Op::Rejects => Vec::new(),
    }
}

fn aggregates(spec: &catchment_operators::AggregateSpec, name: &dyn Fn(usize) -> String) -> String {
    let calls = spec.aggregates.iter().map(|aggregate| {
        let distinct = if aggregate.distinct { "distinct " } else { "" };
        let argument = aggregate.input.map_or_else(|| "*".to_string(), name);
        let filter = aggregate.filter.map_or_else(String::new, |filter| format!(" where {}", name(filter)));
        format!("{:?}({distinct}{argument}){filter}", aggregate.function)
    });
    let calls: Vec<String> = calls.collect();
    let keys: Vec<String> = spec.keys.iter().map(|key| name(*key)).collect();
    format!("{} by ({})", calls.join(", "), keys.join(", "))
}

fn top(spec: &catchment_operators::TopKSpec, name: &dyn Fn(usize) -> String) -> String {
    let order = spec.order.iter().map(|order| {
        let direction = if order.descending { " desc" } else { "" };
        format!("{}{direction}", name(order.column))
    });
    let order: Vec<String> = order.collect();
    let partition: Vec<String> = spec.partition.iter().map(|column| name(*column)).collect();
    let offset = if spec.offset > 0 { format!(", after {}", spec.offset) } else { String::new() };
    format!("first {}{offset} of each ({}) by {}", spec.limit, partition.join(", "), order.join(", "))
}

/// A line for each function over a window.
fn windows(spec: &WindowSpec, name: &dyn Fn(usize) -> String) -> Vec<String> {
    let partition: Vec<String> = spec.partition.iter().map(|column| name(*column)).collect();
    let order = spec.order.map_or_else(String::new, |order| {
        format!(" by {}{}", name(order.column), if order.descending { " desc" } else { "" })
    });
    let unit = spec.order.map(|order| &spec.types[order.column]);
    let lines = spec.functions.iter().map(|function| {
        let argument = function.input.map_or_else(|| "*".to_string(), name);
        let filter = function.filter.map_or_else(String::new, |filter| format!(" where {}", name(filter)));
        let Frame { start, end } = function.frame;
        let (start, end) = (bound(start, "the first", unit), bound(end, "the last", unit));
        let of = partition.join(", ");
        format!("{:?}({argument}){filter} of each ({of}){order}, from {start} to {end}", function.function)
    });
    lines.collect()
}

fn bound(bound: Bound, open: &str, unit: Option<&DataType>) -> String {
    let Bound::Offset(offset) = bound else { return open.to_string() };
    let (size, unit) = match unit {
        Some(DataType::Timestamp(TimeUnit::Microsecond, _)) if offset % 3_600_000_000 == 0 => (3_600_000_000, " h"),
        Some(DataType::Timestamp(TimeUnit::Microsecond, _)) if offset % 1_000_000 == 0 => (1_000_000, " s"),
        Some(DataType::Timestamp(TimeUnit::Microsecond, _)) => (1, " µs"),
        Some(DataType::Date32) => (1, " days"),
        _ => (1, ""),
    };
    match offset {
        0 => "its own".to_string(),
        _ => format!("{}{unit} {}", offset.unsigned_abs() / size, if offset < 0 { "before" } else { "after" }),
    }
}

fn stage(stage: &Stage) -> String {
    let list = |columns: &[Expression]| columns.iter().map(expression).collect::<Vec<_>>().join(", ");
    match stage {
        Stage::Filter(condition) => format!("filter {}", expression(condition)),
        Stage::Project(columns) => format!("project {}", list(columns)),
        Stage::Unnest { column, .. } => format!("unnest column {column}"),
        Stage::InSet(set) => format!("column {:?} {:?} a set of {} rows", set.columns, set.rule, set.rows()),
    }
}

/// An expression without the positions that DataFusion writes behind columns' names: `body` for `body@4`.
fn expression(expression: &Expression) -> String {
    let text = expression.to_string();
    if text.starts_with("row_number()") {
        return crate::lower::readable(&text);
    }
    let text = crate::lower::without_windows(&text);
    let mut parts = text.split('@');
    let mut plain = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            plain.push('@');
        }
        plain.push_str(&part[digits..]);
    }
    plain
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

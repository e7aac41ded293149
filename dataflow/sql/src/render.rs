//! The operator graph as a timely dataflow.
//!
//! Every worker renders the same graph. Sources arrive as raw streams, in which rows still replace one another; where a
//! source replaces rows, an upsert makes current rows of them. Faults of transforms are gathered into the rejects; those of
//! transforms that themselves read the rejects go past their readers, straight to the sinks, so that nothing goes round in
//! a circle.

use std::collections::BTreeMap;

use catchment_contract::arrow::array::RecordBatch;
use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::reject::REJECTS;
use catchment_contract::{Epoch, Replace, Run};
use catchment_engine::{UpdateStream, Updates, flatten};
use catchment_operators::join::join;
use catchment_operators::transform::{transform, union};
use catchment_operators::{Memory, UpsertSpec, aggregate, distinct, top_groups, top_k, upsert, window};
use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::source;

use crate::extensions::Operator;
use crate::graph::{Node, NodeId, Op};
use crate::job::{Job, JobSource};
use crate::stage::{Stage, run_with_faults};

/// The epoch in which constants appear: the first of a run.
const FIRST_EPOCH: Epoch = 1;

impl Job {
    /// Renders the job's dataflow on one worker.
    ///
    /// `inputs` holds, by name, the raw stream of every source with [`JobSource::read`]: the columns of its `projection`,
    /// then the version (`Int64`, nullable), the arrival number (`UInt64`) and whether the row removes its key (`Boolean`).
    /// `rejects` holds the rejects of all sources, with the columns of [`rejects_schema`](catchment_contract::reject::rejects_schema).
    ///
    /// Operators keep their states within `memory`.
    ///
    /// Returns the stream of every relation that a sink takes, and of the rejects, by name. Strings may be
    /// dictionary-encoded; nothing is consolidated.
    pub fn build<'s>(
        &self,
        scope: Scope<'s, Epoch>,
        inputs: BTreeMap<String, UpdateStream<'s>>,
        rejects: UpdateStream<'s>,
        memory: &Memory,
    ) -> BTreeMap<String, UpdateStream<'s>> {
        let (streams, faults) = (BTreeMap::new(), Vec::new());
        let mut rendering = Rendering { job: self, scope, inputs, streams, faults, memory };
        let reads_rejects = self.reads_rejects();
        for id in (0..self.graph.nodes.len()).filter(|id| !reads_rejects[*id]) {
            rendering.node(id);
        }
        let known = std::mem::take(&mut rendering.faults);
        let rejected = union([vec![rejects], known].concat(), "Rejects");
        rendering.streams.insert(self.rejects, rejected.clone());
        for id in (0..self.graph.nodes.len()).filter(|id| reads_rejects[*id] && *id != self.rejects) {
            rendering.node(id);
        }
        let late = std::mem::take(&mut rendering.faults);
        let all = if late.is_empty() { rejected } else { union([vec![rejected], late].concat(), "Rejects: all") };
        let mut outputs: BTreeMap<String, UpdateStream<'s>> =
            self.outputs.iter().map(|(name, node)| (name.clone(), rendering.streams[node].clone())).collect();
        outputs.insert(REJECTS.to_string(), all);
        outputs
    }

    /// For each node, whether it is the rejects or depends on them.
    fn reads_rejects(&self) -> Vec<bool> {
        let mut reads = vec![false; self.graph.nodes.len()];
        for (id, node) in self.graph.nodes.iter().enumerate() {
            reads[id] = matches!(node.op, Op::Rejects) || node.inputs.iter().any(|input| reads[*input]);
        }
        reads
    }
}

struct Rendering<'a, 's> {
    job: &'a Job,
    scope: Scope<'s, Epoch>,
    inputs: BTreeMap<String, UpdateStream<'s>>,
    streams: BTreeMap<NodeId, UpdateStream<'s>>,
    faults: Vec<UpdateStream<'s>>,
    memory: &'a Memory,
}

impl<'s> Rendering<'_, 's> {
    fn node(&mut self, id: NodeId) {
        let node = &self.job.graph.nodes[id];
        let name = node.name.as_str();
        let stream = match &node.op {
            Op::Source(index) => self.source(&self.job.sources[*index].clone()),
            Op::Rejects => return,
            Op::View(_) => unreachable!("a view is a leaf only where another one is looked at alone"),
            Op::Constant(rows) => constant(self.scope, name, rows.clone()),
            Op::Transform { view, stages } => self.transform(node, view, stages),
            Op::Union => union(node.inputs.iter().map(|input| self.streams[input].clone()).collect(), name),
            Op::Join(spec) => join(self.input(node, 0), self.input(node, 1), name, spec.clone()),
            Op::Aggregate(spec) => aggregate(self.input(node, 0), name, spec.clone(), self.memory),
            Op::Distinct => distinct(self.input(node, 0), name, node.types(), self.memory),
            Op::TopK(spec) => top_k(self.input(node, 0), name, spec.clone(), self.memory),
            Op::TopGroups(spec) => top_groups(self.input(node, 0), name, spec.clone(), self.memory),
            Op::Custom(operator) => self.custom(node, operator),
            Op::Window(spec) => window(self.input(node, 0), name, spec.clone()),
        };
        self.streams.insert(id, stream);
    }

    fn input(&self, node: &Node, number: usize) -> UpdateStream<'s> {
        self.streams[&node.inputs[number]].clone()
    }

    fn source(&mut self, source: &JobSource) -> UpdateStream<'s> {
        let raw = self.inputs.remove(&source.name).expect("the caller has a stream for every source that is read");
        let relation = source.source.relation();
        let columns = source.projection.len();
        if relation.replace == Replace::Never {
            let drop_extra = move |updates: Updates| {
                let kept = updates.columns()[..columns].to_vec();
                catchment_operators::Transformed { updates: updates.with_columns(kept), faults: None }
            };
            return transform(raw, &format!("Rows: {}", source.name), Box::new(drop_extra)).0;
        }
        let place = |column: &usize| source.projection.iter().position(|read| read == column);
        let spec = UpsertSpec {
            key: relation.key.iter().filter_map(place).collect(),
            columns,
            version: Some(columns),
            arrival: columns + 1,
            tombstone: Some(columns + 2),
            whole_payload: relation.replace == Replace::Payload,
        };
        upsert(raw, &format!("Upsert: {}", source.name), spec, self.memory)
    }

    /// An operator of one's own: plain columns in, and what comes out is what it said.
    fn custom(&self, node: &Node, operator: &Operator) -> UpdateStream<'s> {
        let plain = |(number, input): (usize, &NodeId)| {
            let flat = |updates: Updates| {
                let columns = updates.columns().iter().map(flatten).collect();
                catchment_operators::Transformed { updates: updates.with_columns(columns), faults: None }
            };
            transform(self.streams[input].clone(), &format!("{}: input {number}", node.name), Box::new(flat)).0
        };
        let inputs = node.inputs.iter().enumerate().map(plain).collect();
        let made = (operator.build)(self.scope, inputs);
        let (name, types) = (node.name.clone(), node.types());
        let checked = move |updates: Updates| {
            let found = updates.columns().iter().map(|column| flat_type(column.data_type()));
            let found: Vec<DataType> = found.collect();
            assert!(found == types, "{name} yields columns of the types {found:?}, not {types:?} as it says");
            catchment_operators::Transformed { updates, faults: None }
        };
        transform(made, &node.name, Box::new(checked)).0
    }

    fn transform(&mut self, node: &Node, view: &str, stages: &[Stage]) -> UpdateStream<'s> {
        let input = &self.job.graph.nodes[node.inputs[0]];
        let names: Vec<String> = input.columns.iter().map(|column| column.name.clone()).collect();
        let (view, stages) = (view.to_string(), stages.to_vec());
        let stage = Box::new(move |updates: Updates| run_with_faults(&stages, &view, &names, updates));
        let (rows, faults) = transform(self.input(node, 0), &node.name, stage);
        self.faults.push(faults);
        rows
    }
}

/// The type of a column's values, whatever its encoding.
fn flat_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => flat_type(values),
        other => other.clone(),
    }
}

/// Rows that worker 0 adds in the first epoch.
fn constant<'s>(scope: Scope<'s, Epoch>, name: &str, rows: RecordBatch) -> UpdateStream<'s> {
    let mine = scope.index() == 0 && rows.num_rows() > 0;
    source::<_, NoopBuilder<Updates>, _, _>(scope, name, move |capability: Capability<Epoch>, _info| {
        let mut once = mine.then(|| (capability.delayed(&FIRST_EPOCH), rows));
        move |output| {
            if let Some((capability, rows)) = once.take() {
                let columns = rows.columns().to_vec();
                let mut updates = Updates::new(rows.num_rows(), columns, Run::One(FIRST_EPOCH), Run::One(1));
                output.session_with_builder(&capability).give_container(&mut updates);
            }
        }
    })
}

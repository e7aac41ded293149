//! A stream under construction: a node, and the stages that will run on it.
//!
//! Projections, filters and unnests are only noted; they become one transform node when an operator with state, a union or
//! a sink takes the stream. Stages over constants run at once.

use std::sync::Arc;

use catchment_contract::Run;
use catchment_contract::arrow::array::{RecordBatch, RecordBatchOptions};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema};
use catchment_engine::{Updates, flatten};
use datafusion_common::Result;

use crate::expr::Expression;
use crate::graph::{Column, Graph, Node, NodeId, Op};
use crate::stage::{Stage, run};

/// A stream under construction.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// The node that the stages run on.
    pub base: NodeId,
    /// What is still to be done to it.
    pub stages: Vec<Stage>,
    /// The columns after all stages.
    pub columns: Vec<Column>,
    /// Columns that are unique together, if known.
    pub key: Option<Vec<usize>>,
    /// Whether no row is ever retracted.
    pub append_only: bool,
    /// What a person calls the stream.
    pub label: String,
}

impl Flow {
    /// The output of the node `base`.
    pub fn of(graph: &Graph, base: NodeId, label: impl Into<String>) -> Self {
        let Node { columns, key, append_only, .. } = graph.nodes[base].clone();
        Flow { base, stages: Vec::new(), columns, key, append_only, label: label.into() }
    }

    /// The same stream under the name `label`, unless that is one that the planner made up.
    pub fn labelled(mut self, label: &str) -> Self {
        if !label.starts_with("__") {
            self.label = label.to_string();
        }
        self
    }

    /// The columns' types.
    pub fn types(&self) -> Vec<DataType> {
        self.columns.iter().map(|column| column.data_type.clone()).collect()
    }

    /// Computes the columns anew, as `columns` names them.
    pub fn project(mut self, expressions: Vec<Expression>, columns: Vec<Column>) -> Self {
        let kept: Vec<Option<usize>> = expressions.iter().map(Expression::as_column).collect();
        let identity = kept.iter().copied().eq((0..self.columns.len()).map(Some));
        self.key = self
            .key
            .and_then(|key| key.iter().map(|column| kept.iter().position(|place| *place == Some(*column))).collect());
        self.columns = columns;
        if !identity {
            self.push_projection(expressions, &kept);
        }
        self
    }

    /// Two projections in a row are one if either of them only picks columns.
    fn push_projection(&mut self, expressions: Vec<Expression>, kept: &[Option<usize>]) {
        let picked: Option<Vec<usize>> = kept.iter().copied().collect();
        let Some(Stage::Project(before)) = self.stages.last_mut() else {
            return self.stages.push(Stage::Project(expressions));
        };
        let below: Option<Vec<usize>> = before.iter().map(Expression::as_column).collect();
        match (below, picked) {
            (Some(below), _) => *before = expressions.iter().map(|expression| expression.through(&below)).collect(),
            (None, Some(picked)) => *before = picked.iter().map(|place| before[*place].clone()).collect(),
            (None, None) => self.stages.push(Stage::Project(expressions)),
        }
    }

    /// Picks the columns `places`, in that order.
    pub fn pick(self, places: &[usize]) -> Self {
        let columns: Vec<Column> = places.iter().map(|place| self.columns[*place].clone()).collect();
        let expressions = places
            .iter()
            .map(|place| Expression::column(*place, &self.columns[*place].name, &self.columns[*place].data_type))
            .collect();
        self.project(expressions, columns)
    }

    /// The same columns, then `extra`: where each of those stands. An extra that is a plain column is not added again.
    pub fn extended(self, extra: Vec<Expression>) -> (Self, Vec<usize>) {
        let mut columns = self.columns.clone();
        let mut expressions: Vec<Expression> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| Expression::column(place, &column.name, &column.data_type))
            .collect();
        let mut places = Vec::new();
        for (number, expression) in extra.into_iter().enumerate() {
            let same = |known: &Expression| known.as_column().is_none() && known.is_same(&expression);
            let known = expressions.iter().position(same);
            places.push(match expression.as_column().or(known) {
                Some(place) => place,
                None => {
                    let data_type = expression.output().clone();
                    columns.push(Column { name: format!("key {}", number + 1), data_type });
                    expressions.push(expression);
                    columns.len() - 1
                }
            });
        }
        (self.project(expressions, columns), places)
    }

    /// Adds a stage that keeps rows whole.
    pub fn filter(mut self, stage: Stage) -> Self {
        self.stages.push(stage);
        self
    }

    /// The constant that the stream is, if it is one, its stages done.
    pub fn constant(&self, graph: &Graph) -> Option<Result<RecordBatch>> {
        let Op::Constant(rows) = &graph.nodes[self.base].op else { return None };
        let updates = Updates::new(rows.num_rows(), rows.columns().to_vec(), Run::One(1), Run::One(1));
        Some(run(&self.stages, updates).and_then(|updates| batch(&self.columns, &updates)))
    }

    /// The column of the base node that each column is, if the stages only pick columns; and for one that is a sum on its
    /// way to its type, the cast, over a batch of that column alone.
    pub fn picks(&self) -> Option<Vec<(usize, Option<Expression>)>> {
        let mut picks: Vec<(usize, Option<Expression>)> =
            (0..self.columns.len().max(self.base_width())).map(|place| (place, None)).collect();
        for stage in &self.stages {
            let Stage::Project(columns) = stage else { return None };
            let pick = |column: &Expression| match (column.as_column(), column.narrowed()) {
                (Some(place), _) => picks.get(place).cloned(),
                (None, Some(place)) => match picks.get(place)? {
                    (place, None) => Some((*place, Some(column.through_only(0)))),
                    _ => None,
                },
                _ => None,
            };
            picks = columns.iter().map(pick).collect::<Option<_>>()?;
        }
        picks.truncate(self.columns.len());
        Some(picks)
    }

    /// How many columns the first stage may read.
    fn base_width(&self) -> usize {
        match self.stages.first() {
            Some(Stage::Project(columns)) => {
                columns.iter().flat_map(|column| column.reads().iter().copied()).max().map_or(0, |last| last + 1)
            }
            _ => 0,
        }
    }

    /// The node whose output the stream is: the base, or a new transform for the view `view`.
    pub fn node(self, graph: &mut Graph, view: &str) -> Result<NodeId> {
        if let Some(rows) = self.constant(graph) {
            let columns = self.columns;
            return Ok(add_constant(graph, rows?, columns, &self.label));
        }
        if self.stages.is_empty() {
            return Ok(self.base);
        }
        let name = match self.label == view {
            true => format!("Transform: {view}"),
            false => format!("Transform: {} → {view}", self.label),
        };
        let Flow { base, stages, columns, key, append_only, label: _ } = self;
        let op = Op::Transform { view: view.to_string(), stages };
        Ok(graph.add(Node { name, op, inputs: vec![base], columns, key, append_only }))
    }
}

/// Adds a node of constant rows.
pub(crate) fn add_constant(graph: &mut Graph, rows: RecordBatch, columns: Vec<Column>, label: &str) -> NodeId {
    let name = format!("Constant: {label} ({} rows)", rows.num_rows());
    graph.add(Node { name, op: Op::Constant(rows), inputs: Vec::new(), columns, key: None, append_only: true })
}

/// The rows of `updates`, dictionaries flattened.
pub(crate) fn batch(columns: &[Column], updates: &Updates) -> Result<RecordBatch> {
    let field = |column: &Column| Field::new(&column.name, column.data_type.clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    if updates.is_empty() {
        return Ok(RecordBatch::new_empty(schema));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(updates.len()));
    let arrays = updates.columns().iter().map(flatten).collect();
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
}

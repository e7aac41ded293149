//! Joins: by key with state on both sides, or, against constants, by a look-up in a set.
//!
//! The operators compare keys and nothing else. What a join asks beside that is made of several of them:
//!
//! ```text
//! semi and anti joins with a condition    left ⋉ the distinct left columns of (left ⋈ right where the condition holds)
//! outer joins with a condition            (left ⋈ right where it holds) and the rows of a side that stand in none of these
//! NOT IN where nulls may be               not among the values; no null among them; if null itself, no value at all
//! ```

mod condition;
mod not_in;

use catchment_contract::arrow::datatypes::DataType;
use catchment_contract::{Error, Result};
use catchment_operators::join::{JoinKind, JoinSpec, supported};
use datafusion_common::{JoinType, NullEquality};
use datafusion_expr::{Expr, Join};

use super::{Flow, Lowering, columns_of};
use crate::expr::Expression;
use crate::graph::{Column, Node, Op};
use crate::inspect::Construct;
use crate::stage::{KeySet, SetRule, Stage};

impl Lowering<'_> {
    pub(super) fn join(&mut self, join: &Join) -> Result<Flow> {
        let kind = self.kind(join.join_type)?;
        let left = self.flow(&join.left)?;
        let right = self.flow(&join.right)?;
        let left_keys: Vec<&Expr> = join.on.iter().map(|(left, _)| left).collect();
        let right_keys: Vec<&Expr> = join.on.iter().map(|(_, right)| right).collect();
        let left_width = left.columns.len();
        let right_width = right.columns.len();
        let (left, left_key) = keyed(left, self.compile_all(left_keys, join.left.schema())?);
        let (right, right_key) = keyed(right, self.compile_all(right_keys, join.right.schema())?);
        self.comparable(&left, &left_key)?;
        let sides = Sides { left, left_key, left_width, right, right_key, right_width };
        match kind {
            JoinKind::LeftSemi | JoinKind::LeftAnti => self.semi(join, kind, sides),
            _ => self.pairs(join, kind, sides),
        }
    }

    /// The operator's kind of join.
    fn kind(&self, join_type: JoinType) -> Result<JoinKind> {
        let kind = match join_type {
            JoinType::Inner => JoinKind::Inner,
            JoinType::Left => JoinKind::Left,
            JoinType::Right => JoinKind::Right,
            JoinType::Full => JoinKind::Full,
            JoinType::LeftSemi => JoinKind::LeftSemi,
            JoinType::LeftAnti => JoinKind::LeftAnti,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::LeftMark | JoinType::RightMark => {
                return Err(Error::bug(format!("no rule makes a {join_type} join")));
            }
        };
        if !supported(kind) {
            let what = format!("{} JOIN", join_type.to_string().to_uppercase());
            let hint =
                "write an inner JOIN, and UNION ALL the rows WHERE NOT EXISTS (…) if you need those without a match";
            return Err(self.refuse(Construct::Join, &what, hint));
        }
        Ok(kind)
    }

    /// Refuses keys whose equal values are not the same bytes.
    fn comparable(&self, flow: &Flow, key: &[usize]) -> Result<()> {
        let is_interval = |column: &&usize| matches!(flow.columns[**column].data_type, DataType::Interval(_));
        match key.iter().find(is_interval) {
            Some(_) => Err(self.refuse(Construct::Join, "a join by an interval", "join by the two times instead")),
            None => Ok(()),
        }
    }

    fn semi(&mut self, join: &Join, kind: JoinKind, sides: Sides) -> Result<Flow> {
        if let Some(filter) = &join.filter {
            return self.semi_with_condition(join, kind, sides, filter);
        }
        let nulls_equal = join.null_equality == NullEquality::NullEqualsNull;
        if let Some(rows) = sides.right.constant(self.graph)
            && !nulls_equal
            && (!join.null_aware || sides.left_key.len() == 1)
        {
            let rows = rows.map_err(|error| self.planning(&error))?;
            let Sides { left, left_key, left_width, right_key, .. } = sides;
            let rule = match (kind, join.null_aware) {
                (JoinKind::LeftSemi, _) => SetRule::In,
                (_, true) => SetRule::NotIn,
                (_, false) => SetRule::NotExists,
            };
            let keys: Vec<_> = right_key.iter().map(|column| rows.column(*column).clone()).collect();
            let set = KeySet::new(left_key, &keys, rows.num_rows(), rule);
            let key = left.key.clone();
            let places: Vec<usize> = (0..left_width).collect();
            let mut flow = left.filter(Stage::InSet(set)).pick(&places);
            flow.key = key;
            return Ok(flow);
        }
        if join.null_aware {
            return self.not_in(join, sides);
        }
        self.present(kind, sides, nulls_equal, columns_of(&join.schema))
    }

    /// The left rows whose key the right side has (`LeftSemi`) or has not (`LeftAnti`), as `columns`.
    fn present(&mut self, kind: JoinKind, sides: Sides, nulls_equal: bool, columns: Vec<Column>) -> Result<Flow> {
        let Sides { left, left_key, left_width, right, right_key, .. } = sides;
        let key = left.key.clone();
        // A semi join's row goes when its partner does; an anti join's when one comes.
        let append_only = left.append_only && kind == JoinKind::LeftSemi && right.append_only;
        let sign = if kind == JoinKind::LeftSemi { "⋉" } else { "▷" };
        let spec = JoinSpec {
            kind,
            left_key,
            right_key,
            left_types: left.types(),
            right_types: right.types(),
            left_out: (0..left_width).collect(),
            right_out: Vec::new(),
            nulls_equal,
        };
        self.join_node(spec, left, right, sign, Known { columns, key, append_only })
    }

    fn pairs(&mut self, join: &Join, kind: JoinKind, sides: Sides) -> Result<Flow> {
        // With a side that always is one row, every row has a match.
        let one_row = join.on.is_empty() && join.filter.is_none() && kind == JoinKind::Left;
        let kind = if one_row && self.one_group(&sides.right) { JoinKind::Inner } else { kind };
        if join.on.is_empty() && (kind != JoinKind::Inner || !self.bounded(&sides.left) && !self.bounded(&sides.right))
        {
            let hint = "add a condition with = between a column of each side: JOIN … ON a.id = b.id";
            return Err(self.refuse(Construct::Join, "a join without an equality", hint));
        }
        match &join.filter {
            Some(filter) if kind != JoinKind::Inner => self.outer_with_condition(join, kind, sides, filter),
            filter => {
                let flow = self.matched(join, kind, sides)?;
                match filter {
                    Some(filter) => self.filtered(flow, filter, &join.schema),
                    None => Ok(flow),
                }
            }
        }
    }

    /// The join by its keys alone, and the columns of pairs.
    fn matched(&mut self, join: &Join, kind: JoinKind, sides: Sides) -> Result<Flow> {
        let Sides { left, left_key, left_width, right, right_key, right_width } = sides;
        let key = match kind {
            JoinKind::Inner => pair_key(&left, &left_key, &right, &right_key, left_width),
            JoinKind::Left if within(&right.key, &right_key) => left.key.clone(),
            _ => None,
        };
        let append_only = kind == JoinKind::Inner && left.append_only && right.append_only;
        let columns = match left_width + right_width == join.schema.fields().len() {
            true => columns_of(&join.schema),
            false => left.columns[..left_width].iter().chain(&right.columns[..right_width]).cloned().collect(),
        };
        let spec = JoinSpec {
            kind,
            left_key,
            right_key,
            left_types: left.types(),
            right_types: right.types(),
            left_out: (0..left_width).collect(),
            right_out: (0..right_width).collect(),
            nulls_equal: join.null_equality == NullEquality::NullEqualsNull,
        };
        self.join_node(spec, left, right, "⋈", Known { columns, key, append_only })
    }

    /// Whether the stream always is exactly one row: an aggregate without groups, its columns computed at most.
    fn one_group(&self, flow: &Flow) -> bool {
        let computed = flow.stages.iter().all(|stage| matches!(stage, Stage::Project(_)));
        computed && matches!(&self.graph.nodes[flow.base].op, Op::Aggregate(spec) if spec.keys.is_empty())
    }

    /// Whether a side of a cross join stays small: constants, and aggregates without groups.
    fn bounded(&self, flow: &Flow) -> bool {
        self.is_bounded(flow.base)
    }

    fn is_bounded(&self, node: usize) -> bool {
        let node = &self.graph.nodes[node];
        match &node.op {
            Op::Constant(_) => true,
            Op::Aggregate(spec) => spec.keys.is_empty(),
            Op::TopK(spec) => spec.partition.is_empty(),
            // The product of two small sides, or rows computed from a small one.
            Op::Join(spec) => spec.left_key.is_empty() && node.inputs.iter().all(|input| self.is_bounded(*input)),
            Op::Transform { .. } => node.inputs.iter().all(|input| self.is_bounded(*input)),
            _ => false,
        }
    }

    fn join_node(&mut self, spec: JoinSpec, left: Flow, right: Flow, sign: &str, known: Known) -> Result<Flow> {
        if spec.left_key.iter().zip(&spec.right_key).any(|(l, r)| spec.left_types[*l] != spec.right_types[*r]) {
            return Err(Error::bug(format!("view \"{}\": a join's keys have different types", self.subject.view)));
        }
        let label = format!("{} {sign} {}", left.label, right.label);
        let view = self.subject.view;
        let left = left.node(self.graph, view).map_err(|error| self.planning(&error))?;
        let right = right.node(self.graph, view).map_err(|error| self.planning(&error))?;
        let Known { columns, key, append_only } = known;
        let (name, inputs) = (format!("Join: {label}"), vec![left, right]);
        let id = self.graph.add(Node { name, op: Op::Join(spec), inputs, columns, key, append_only });
        Ok(Flow::of(self.graph, id, label))
    }

    /// `flow` as the output of a node, to be read more than once.
    fn settled(&mut self, flow: Flow) -> Result<Flow> {
        let (label, columns, key) = (flow.label.clone(), flow.columns.clone(), flow.key.clone());
        let node = flow.node(self.graph, self.subject.view).map_err(|error| self.planning(&error))?;
        Ok(Flow { columns, key, ..Flow::of(self.graph, node, label) })
    }
}

/// What is known of a join's output.
struct Known {
    columns: Vec<Column>,
    key: Option<Vec<usize>>,
    append_only: bool,
}

#[derive(Clone)]
struct Sides {
    left: Flow,
    left_key: Vec<usize>,
    /// How many of the left columns the output has; those behind them are keys that were computed.
    left_width: usize,
    right: Flow,
    right_key: Vec<usize>,
    right_width: usize,
}

/// `flow` with the keys `expressions`, each a column of its own: one that is compared twice stands there twice.
fn keyed(flow: Flow, expressions: Vec<Expression>) -> (Flow, Vec<usize>) {
    let (mut flow, mut places) = flow.extended(expressions);
    for place in 0..places.len() {
        if places[..place].contains(&places[place]) {
            let all: Vec<usize> = (0..flow.columns.len()).chain([places[place]]).collect();
            let key = flow.key.clone();
            flow = flow.pick(&all);
            flow.key = key;
            places[place] = all.len() - 1;
        }
    }
    (flow, places)
}

/// The key of an inner join's output: one side's key alone where each of its rows meets at most one of the other side.
fn pair_key(
    left: &Flow,
    left_key: &[usize],
    right: &Flow,
    right_key: &[usize],
    left_width: usize,
) -> Option<Vec<usize>> {
    let shift = |key: &Vec<usize>| key.iter().map(|column| column + left_width).collect::<Vec<_>>();
    if within(&right.key, right_key) {
        return left.key.clone();
    }
    if within(&left.key, left_key) {
        return right.key.as_ref().map(shift);
    }
    let (left, right) = (left.key.clone()?, right.key.as_ref()?);
    Some([left, shift(right)].concat())
}

/// Whether a side's key is among the columns that it is joined by, so that a row of the other side meets at most one.
fn within(key: &Option<Vec<usize>>, joined: &[usize]) -> bool {
    key.as_ref().is_some_and(|key| key.iter().all(|column| joined.contains(column)))
}

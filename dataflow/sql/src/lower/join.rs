//! Joins: by key with state on both sides, or, against constants, by a look-up in a set.

use catchment_contract::{Error, Result};
use catchment_operators::join::{JoinKind, JoinSpec, supported};
use datafusion_common::{JoinType, NullEquality};
use datafusion_expr::{Expr, Join};

use super::{Flow, Lowering, columns_of};
use crate::graph::{Node, Op};
use crate::inspect::Construct;
use crate::stage::{KeySet, SetRule, Stage};

impl Lowering<'_> {
    pub(super) fn join(&mut self, join: &Join) -> Result<Flow> {
        let (kind, swapped) = self.kind(join.join_type)?;
        let left = self.flow(&join.left)?;
        let right = self.flow(&join.right)?;
        let left_keys: Vec<&Expr> = join.on.iter().map(|(left, _)| left).collect();
        let right_keys: Vec<&Expr> = join.on.iter().map(|(_, right)| right).collect();
        let left_width = left.columns.len();
        let right_width = right.columns.len();
        let (left, left_key) = left.extended(self.compile_all(left_keys, join.left.schema())?);
        let (right, right_key) = right.extended(self.compile_all(right_keys, join.right.schema())?);
        let sides = match swapped {
            false => Sides { left, left_key, left_width, right, right_key, right_width },
            true => Sides {
                left: right,
                left_key: right_key,
                left_width: right_width,
                right: left,
                right_key: left_key,
                right_width: left_width,
            },
        };
        match kind {
            JoinKind::LeftSemi | JoinKind::LeftAnti => self.semi(join, kind, sides),
            _ => self.pairs(join, kind, sides),
        }
    }

    /// The operator's kind of join, and whether the plan's sides are swapped for it.
    fn kind(&self, join_type: JoinType) -> Result<(JoinKind, bool)> {
        let (kind, swapped) = match join_type {
            JoinType::Inner => (JoinKind::Inner, false),
            JoinType::Left => (JoinKind::Left, false),
            JoinType::Right => (JoinKind::Right, false),
            JoinType::Full => (JoinKind::Full, false),
            JoinType::LeftSemi => (JoinKind::LeftSemi, false),
            JoinType::RightSemi => (JoinKind::LeftSemi, true),
            JoinType::LeftAnti => (JoinKind::LeftAnti, false),
            JoinType::RightAnti => (JoinKind::LeftAnti, true),
            JoinType::LeftMark | JoinType::RightMark => {
                let hint = "write one SELECT for each alternative and put UNION between them";
                return Err(self.refuse(Construct::Subquery, "IN or EXISTS inside OR, NOT or CASE", hint));
            }
        };
        if !supported(kind) {
            let what = format!("{} JOIN", join_type.to_string().to_uppercase());
            let construct = match self.subject.landmarks.construct(Construct::Join) {
                Some(_) => Construct::Join,
                None => Construct::Subquery,
            };
            let what = if construct == Construct::Join { what } else { "a subquery used as a value".to_string() };
            let hint =
                "write an inner JOIN, and UNION ALL the rows WHERE NOT EXISTS (…) if you need those without a match";
            return Err(self.refuse(construct, &what, hint));
        }
        Ok((kind, swapped))
    }

    fn semi(&mut self, join: &Join, kind: JoinKind, sides: Sides) -> Result<Flow> {
        let Sides { left, left_key, left_width, right, right_key, .. } = sides;
        let places: Vec<usize> = (0..left_width).collect();
        if join.filter.is_some() {
            let hint = "compare with = in the subquery, or write the condition as a JOIN";
            return Err(self.refuse(Construct::Subquery, "a subquery with a condition other than =", hint));
        }
        let (key, append_only) = (left.key.clone(), left.append_only);
        if let Some(rows) = right.constant(self.graph) {
            let rows = rows.map_err(|error| self.planning(&error))?;
            let rule = match (kind, join.null_aware) {
                (JoinKind::LeftSemi, _) => SetRule::In,
                (_, true) => SetRule::NotIn,
                (_, false) => SetRule::NotExists,
            };
            if join.null_equality == NullEquality::NullEqualsNothing {
                let keys: Vec<_> = right_key.iter().map(|column| rows.column(*column).clone()).collect();
                let set = KeySet::new(left_key, &keys, rows.num_rows(), rule);
                let mut flow = left.filter(Stage::InSet(set)).pick(&places);
                flow.key = key;
                return Ok(flow);
            }
        }
        if join.null_aware {
            let hint = "write NOT EXISTS (SELECT 1 FROM … WHERE … = …), which says what a null means";
            return Err(self.refuse(Construct::Subquery, "NOT IN over a column that may be null", hint));
        }
        let spec = JoinSpec {
            kind,
            left_key,
            right_key,
            left_types: left.types(),
            right_types: right.types(),
            left_out: places,
            right_out: Vec::new(),
            nulls_equal: join.null_equality == NullEquality::NullEqualsNull,
        };
        // A semi join's row goes when its partner does; an anti join's when one comes.
        let append_only = append_only && kind == JoinKind::LeftSemi && right.append_only;
        let sign = if kind == JoinKind::LeftSemi { "⋉" } else { "▷" };
        self.join_node(join, spec, left, right, sign, key, append_only)
    }

    fn pairs(&mut self, join: &Join, kind: JoinKind, sides: Sides) -> Result<Flow> {
        let Sides { left, left_key, left_width, right, right_key, right_width } = sides;
        // With a side that always is one row, every row has a match.
        let one_row = join.on.is_empty() && kind == JoinKind::Left && self.one_group(&right);
        let kind = if one_row { JoinKind::Inner } else { kind };
        if join.filter.is_some() && kind != JoinKind::Inner {
            let hint = "put conditions on one side into a subquery of that side";
            return Err(self.refuse(Construct::Join, "an outer join with a condition other than =", hint));
        }
        if join.on.is_empty() && (kind != JoinKind::Inner || !self.bounded(&left) && !self.bounded(&right)) {
            let hint = "add a condition with = between a column of each side: JOIN … ON a.id = b.id";
            return Err(self.refuse(Construct::Join, "a join without an equality", hint));
        }
        let key = match kind {
            JoinKind::Inner => pair_key(&left, &left_key, &right, &right_key, left_width),
            JoinKind::Left if within(&right.key, &right_key) => left.key.clone(),
            _ => None,
        };
        let append_only = kind == JoinKind::Inner && left.append_only && right.append_only;
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
        let flow = self.join_node(join, spec, left, right, "⋈", key, append_only)?;
        match &join.filter {
            Some(filter) => Ok(flow.filter(Stage::Filter(self.compile(filter, &join.schema)?))),
            None => Ok(flow),
        }
    }

    /// Whether the stream always is exactly one row: an aggregate without groups, its columns computed at most.
    fn one_group(&self, flow: &Flow) -> bool {
        let computed = flow.stages.iter().all(|stage| matches!(stage, Stage::Project(_)));
        computed && matches!(&self.graph.nodes[flow.base].op, Op::Aggregate(spec) if spec.keys.is_empty())
    }

    /// Whether a side of a cross join stays small: constants, and aggregates without groups.
    fn bounded(&self, flow: &Flow) -> bool {
        match &self.graph.nodes[flow.base].op {
            Op::Constant(_) => true,
            Op::Aggregate(spec) => spec.keys.is_empty(),
            Op::TopK(spec) => spec.partition.is_empty(),
            _ => false,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the two callers compute these; a struct would only rename them")]
    fn join_node(
        &mut self,
        join: &Join,
        spec: JoinSpec,
        left: Flow,
        right: Flow,
        sign: &str,
        key: Option<Vec<usize>>,
        append_only: bool,
    ) -> Result<Flow> {
        if spec.left_key.iter().zip(&spec.right_key).any(|(l, r)| spec.left_types[*l] != spec.right_types[*r]) {
            return Err(Error::bug(format!("view \"{}\": a join's keys have different types", self.subject.view)));
        }
        let label = format!("{} {sign} {}", left.label, right.label);
        let view = self.subject.view;
        let left = left.node(self.graph, view).map_err(|error| self.planning(&error))?;
        let right = right.node(self.graph, view).map_err(|error| self.planning(&error))?;
        let columns = columns_of(&join.schema);
        let (name, inputs) = (format!("Join: {label}"), vec![left, right]);
        let id = self.graph.add(Node { name, op: Op::Join(spec), inputs, columns, key, append_only });
        Ok(Flow::of(self.graph, id, label))
    }
}

struct Sides {
    left: Flow,
    left_key: Vec<usize>,
    left_width: usize,
    right: Flow,
    right_key: Vec<usize>,
    right_width: usize,
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

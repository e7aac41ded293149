//! Joins that ask more than equal keys.

use catchment_contract::Result;
use catchment_operators::join::JoinKind;
use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, Join};

use super::super::{Flow, Lowering, columns_of};
use super::{Sides, within};
use crate::expr::Expression;
use crate::graph::{Column, Node, Op};
use crate::inspect::Construct;
use crate::stage::Stage;

/// The pairs of rows of two sides with equal keys for which a condition holds, all columns of both.
struct Pairs {
    flow: Flow,
    /// What the condition reads of them.
    reads: Vec<usize>,
}

impl Lowering<'_> {
    /// The left rows that have a partner for which `filter` holds (`LeftSemi`), or that have none (`LeftAnti`).
    pub(super) fn semi_with_condition(
        &mut self,
        join: &Join,
        kind: JoinKind,
        mut sides: Sides,
        filter: &Expr,
    ) -> Result<Flow> {
        if sides.left_key.is_empty() && !self.bounded(&sides.left) && !self.bounded(&sides.right) {
            let hint = "compare with = in the subquery too, or write it as a JOIN";
            return Err(self.refuse(Construct::Subquery, "a subquery with no condition that is an equality", hint));
        }
        sides.left = self.settled(sides.left)?;
        let pairs = self.conditioned(join, sides.clone(), filter)?;
        let columns = columns_of(&join.schema);
        self.with_partner(kind, sides.left, &sides.left_key, sides.left_width, &pairs, 0, columns)
    }

    /// An outer join whose pairs must meet `filter`.
    pub(super) fn outer_with_condition(
        &mut self,
        join: &Join,
        kind: JoinKind,
        mut sides: Sides,
        filter: &Expr,
    ) -> Result<Flow> {
        sides.left = self.settled(sides.left)?;
        sides.right = self.settled(sides.right)?;
        let mut pairs = self.conditioned(join, sides.clone(), filter)?;
        pairs.flow = self.settled(pairs.flow)?;
        let Sides { left, left_key, left_width, right, right_key, right_width } = sides;
        let columns = columns_of(&join.schema);
        let (of_left, of_right) = columns.split_at(left_width);
        let key = (kind == JoinKind::Left && within(&right.key, &right_key)).then(|| left.key.clone()).flatten();
        let label = format!("{} ⋈ {}", left.label, right.label);
        let shift = left.columns.len();
        let kept: Vec<usize> = (0..left_width).chain(shift..shift + right_width).collect();
        let mut parts = vec![pairs.flow.clone().pick(&kept)];
        if matches!(kind, JoinKind::Left | JoinKind::Full) {
            let alone =
                self.with_partner(JoinKind::LeftAnti, left, &left_key, left_width, &pairs, 0, of_left.to_vec())?;
            parts.push(padded(alone, &[], of_right));
        }
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            let columns = of_right.to_vec();
            let alone =
                self.with_partner(JoinKind::LeftAnti, right, &right_key, right_width, &pairs, shift, columns)?;
            parts.push(padded(alone, of_left, &[]));
        }
        let flow = self.together(parts, columns, &label)?;
        Ok(Flow { key, ..flow })
    }

    /// Pairs of all columns of both sides, computed keys among them.
    fn conditioned(&mut self, join: &Join, mut sides: Sides, filter: &Expr) -> Result<Pairs> {
        let both = join.left.schema().join(join.right.schema()).map_err(|error| self.planning(&error))?;
        let (width, shift) = (sides.left_width, sides.left.columns.len());
        // The condition is over the sides' own columns; here keys that were computed stand behind them.
        let moved: Vec<usize> = (0..width).chain(shift..shift + sides.right_width).collect();
        let parts = self.parts(filter, &both)?;
        let parts: Vec<Expression> = parts.into_iter().map(|part| part.through(&moved)).collect();
        let reads = parts.iter().flat_map(|part| part.reads().to_vec()).collect();
        (sides.left_width, sides.right_width) = (shift, sides.right.columns.len());
        let flow = self.matched(join, JoinKind::Inner, sides)?;
        let flow = parts.into_iter().fold(flow, |flow, part| flow.filter(Stage::Filter(part)));
        Ok(Pairs { flow, reads })
    }

    /// The rows of one side of `pairs`, whose columns stand there from `shift` on, that stand in some pair (`LeftSemi`) or
    /// in none (`LeftAnti`); its first `width` columns, as `columns`. All rows that agree in what is compared fare alike.
    #[expect(clippy::too_many_arguments, reason = "a side of a join, and where it stands in its pairs")]
    fn with_partner(
        &mut self,
        kind: JoinKind,
        side: Flow,
        side_key: &[usize],
        width: usize,
        pairs: &Pairs,
        shift: usize,
        columns: Vec<Column>,
    ) -> Result<Flow> {
        let of_side = |column: &usize| (shift..shift + side.columns.len()).contains(column);
        let reads = pairs.reads.iter().copied().filter(of_side).map(|column| column - shift);
        let mut compared: Vec<usize> = reads.chain(side_key.iter().copied()).collect();
        compared.sort_unstable();
        compared.dedup();
        let places: Vec<usize> = compared.iter().map(|column| column + shift).collect();
        let paired = pairs.flow.clone().pick(&places);
        let paired_columns = paired.columns.clone();
        let paired = self.distinct_rows(paired, paired_columns)?;
        let right_key: Vec<usize> = (0..compared.len()).collect();
        let right_width = right_key.len();
        let sides = Sides { left: side, left_key: compared, left_width: width, right: paired, right_key, right_width };
        self.present(kind, sides, true, columns)
    }

    /// All rows of `parts`, whose columns are `columns`.
    pub(super) fn together(&mut self, parts: Vec<Flow>, columns: Vec<Column>, label: &str) -> Result<Flow> {
        let append_only = parts.iter().all(|part| part.append_only);
        let mut inputs = Vec::new();
        for part in parts {
            inputs.push(part.node(self.graph, self.subject.view).map_err(|error| self.planning(&error))?);
        }
        let name = format!("Union: {label}");
        let id = self.graph.add(Node { name, op: Op::Union, inputs, columns, key: None, append_only });
        Ok(Flow::of(self.graph, id, label))
    }
}

/// `flow` between columns of nulls.
fn padded(flow: Flow, before: &[Column], after: &[Column]) -> Flow {
    let null = |column: &Column| {
        let null = ScalarValue::try_new_null(&column.data_type).unwrap_or(ScalarValue::Null);
        Expression::constant(null)
    };
    let own = flow.columns.iter().enumerate();
    let own = own.map(|(place, column)| Expression::column(place, &column.name, &column.data_type));
    let expressions = before.iter().map(null).chain(own).chain(after.iter().map(null)).collect();
    let columns = before.iter().chain(&flow.columns).chain(after).cloned().collect();
    flow.project(expressions, columns)
}

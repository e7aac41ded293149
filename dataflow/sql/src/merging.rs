//! Names of columns that `USING` and `NATURAL` merge, where the planner finds them ambiguous: in `WHERE`, in the conditions of
//! further joins, and wherever more than two columns are merged.
//!
//! Such a name gets a mark before the query is planned ([`marked`]): an operator of our own between it and the number of
//! columns that are merged under it. When the planner meets the operator ([`Merged`]) it knows the columns: if there are as
//! many of that name, the name means the first. In right and full joins that one has the merged value in the end (`using` in
//! [`crate::rewrite`]).

use std::ops::ControlFlow;

use datafusion_common::{Column, DFSchema, Result, ScalarValue};
use datafusion_expr::Expr;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr as Text, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, Query, Select, SelectItem,
    TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};

use crate::statement::plain;

/// `query` with such names marked.
pub(crate) fn marked(mut query: Query) -> Query {
    let _ = query.visit(&mut Marking);
    query
}

struct Marking;

impl VisitorMut for Marking {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut merges = Merges::default();
        for tables in &mut select.from {
            merges.tables(tables);
        }
        if !merges.is_known() {
            return ControlFlow::Continue(());
        }
        let mut mark = Mark { merges: &merges, depth: 0 };
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                expr.visit(&mut mark)?;
            }
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            keys.iter_mut().try_for_each(|key| key.visit(&mut mark))?;
        }
        let mut conditions = select.selection.iter_mut().chain(&mut select.having);
        conditions.try_for_each(|condition| condition.visit(&mut mark))
    }
}

/// The columns that the joins of a `SELECT` merge.
#[derive(Clone, Debug, Default)]
struct Merges {
    /// Those of `USING`, once for each join that merges them.
    named: Vec<String>,
    natural: usize,
    other: usize,
}

impl Merges {
    /// Adds the joins of `tables`; their conditions are marked with what the joins before them merge.
    fn tables(&mut self, tables: &mut TableWithJoins) {
        self.factor(&mut tables.relation);
        for join in &mut tables.joins {
            self.factor(&mut join.relation);
            self.join(join);
        }
    }

    fn factor(&mut self, factor: &mut TableFactor) {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.tables(table_with_joins);
        }
    }

    fn join(&mut self, join: &mut Join) {
        use JoinOperator::*;
        let (Join(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on) | FullOuter(on)) =
            &mut join.join_operator
        else {
            self.other += 1;
            return;
        };
        match on {
            JoinConstraint::Using(names) => {
                let last = names.iter().filter_map(|name| name.0.last()?.as_ident());
                self.named.extend(last.map(plain));
            }
            JoinConstraint::Natural => self.natural += 1,
            JoinConstraint::On(condition) => {
                let _ = condition.visit(&mut Mark { merges: self, depth: 0 });
                self.other += 1;
            }
            JoinConstraint::None => self.other += 1,
        }
    }

    /// Whether it is known which columns are merged: where some joins are `NATURAL`, only if all are.
    fn is_known(&self) -> bool {
        match self.natural {
            0 => !self.named.is_empty(),
            _ => self.named.is_empty() && self.other == 0,
        }
    }

    /// How many columns are merged under the name of `ident`; 0 for all that have it, `None` if none are.
    fn count(&self, ident: &Ident) -> Option<usize> {
        let name = plain(ident);
        match self.named.iter().filter(|known| **known == name).count() {
            0 if self.natural > 0 && self.is_known() => Some(0),
            0 => None,
            joins => Some(joins + 1),
        }
    }
}

struct Mark<'a> {
    merges: &'a Merges,
    /// How many queries inside of expressions this is in: their names are theirs.
    depth: usize,
}

impl VisitorMut for Mark<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Text) -> ControlFlow<()> {
        if let Text::Identifier(ident) = expr
            && self.depth == 0
            && let Some(count) = self.merges.count(ident)
        {
            let count = Text::value(Value::Number(count.to_string(), false));
            let name = Text::Identifier(ident.clone());
            *expr = Text::BinaryOp { left: Box::new(name), op: mark(), right: Box::new(count) };
        }
        ControlFlow::Continue(())
    }
}

fn mark() -> BinaryOperator {
    BinaryOperator::Custom("merged".to_string())
}

/// Plans marked names.
#[derive(Debug)]
pub(crate) struct Merged;

impl ExprPlanner for Merged {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != mark() {
            return Ok(PlannerResult::Original(expr));
        }
        let (Expr::Column(name @ Column { relation: None, .. }), Expr::Literal(ScalarValue::Int64(Some(count)), _)) =
            (&expr.left, &expr.right)
        else {
            return Ok(PlannerResult::Planned(expr.left));
        };
        let columns = schema.columns_with_unqualified_name(&name.name);
        let is_merged = *count == 0 || usize::try_from(*count).is_ok_and(|count| count == columns.len());
        match columns.into_iter().next().filter(|_| is_merged) {
            Some(mut column) => {
                column.spans = name.spans.clone();
                Ok(PlannerResult::Planned(Expr::Column(column)))
            }
            None => Ok(PlannerResult::Planned(expr.left)),
        }
    }
}

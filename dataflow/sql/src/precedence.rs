//! `IS [NOT] DISTINCT FROM` binds tighter than `AND`, `OR` and `NOT`.
//!
//! The parser reads everything behind it as its right side: `a IS DISTINCT FROM b AND c` as `a IS DISTINCT FROM (b AND c)`.
//! Here chains of these operators are put together again as SQL has them. What the query has in parentheses stays.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion_sql::sqlparser::ast::{BinaryOperator, Expr, Query, UnaryOperator, VisitMut, VisitorMut};

/// `query` with such chains in order.
pub(crate) fn restored(mut query: Box<Query>) -> Box<Query> {
    let _ = query.visit(&mut Restoring { met: false });
    query
}

struct Restoring {
    /// Whether a chain behind `IS DISTINCT FROM` was met; without one the parser is right.
    met: bool,
}

impl VisitorMut for Restoring {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.met |= match expr {
            Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => is_chain(right),
            _ => false,
        };
        let in_chain = is_chain(expr)
            || matches!(
                expr,
                Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) | Expr::UnaryOp { op: UnaryOperator::Not, .. }
            );
        if self.met && in_chain {
            let whole = std::mem::replace(expr, Expr::Wildcard(AttachedToken::empty()));
            *expr = joined(links(whole));
        }
        ControlFlow::Continue(())
    }
}

fn is_chain(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

/// A chain as it is written: its first operand, and the others with the operators before them.
struct Links {
    first: Expr,
    rest: Vec<(BinaryOperator, Expr)>,
}

fn links(expr: Expr) -> Links {
    match expr {
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            let Links { first, mut rest } = links(*left);
            let right = links(*right);
            rest.push((op, right.first));
            rest.extend(right.rest);
            Links { first, rest }
        }
        Expr::IsDistinctFrom(left, right) => {
            let Links { first, rest } = links(*right);
            Links { first: Expr::IsDistinctFrom(left, Box::new(first)), rest }
        }
        Expr::IsNotDistinctFrom(left, right) => {
            let Links { first, rest } = links(*right);
            Links { first: Expr::IsNotDistinctFrom(left, Box::new(first)), rest }
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            let Links { first, rest } = links(*expr);
            Links { first: Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(first) }, rest }
        }
        other => Links { first: other, rest: Vec::new() },
    }
}

/// `AND` binds tighter than `OR`; both go from left to right.
fn joined(links: Links) -> Expr {
    let binary = |left, op, right| Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) };
    let mut alternatives = vec![links.first];
    for (op, operand) in links.rest {
        match (op, alternatives.pop()) {
            (BinaryOperator::And, Some(last)) => alternatives.push(binary(last, BinaryOperator::And, operand)),
            (_, last) => alternatives.extend(last.into_iter().chain([operand])),
        }
    }
    let whole = alternatives.into_iter().reduce(|left, right| binary(left, BinaryOperator::Or, right));
    whole.expect("a chain has a first operand")
}

//! Numbers in a query beside decimals are decimals.
//!
//! `1.5` is read as a double, and a decimal beside a double becomes one: `price = 99999.99` would compare two doubles that
//! are no such number. In SQL the literal is exact, so here it becomes a decimal where its other side is one.

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::InList;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan};

/// `plan` with its literals made exact.
pub(super) fn exact(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let exact = expr.transform_up(|expr| beside_decimals(expr, &schema))?;
            Ok(Transformed::new_transformed(name.restore(exact.data), exact.transformed))
        })?;
        if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })?;
    Ok(plan.data)
}

fn beside_decimals(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    // A type that is not known yet (a reference to a query around this one) is no reason to fail.
    let is_decimal = |expr: &Expr| expr.get_type(schema).is_ok_and(|kind| kind.is_decimal());
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (of_left, of_right) = (is_decimal(&left), is_decimal(&right));
            let (left, right) = match (of_left, of_right) {
                (true, false) => (*left, decimal(*right)),
                (false, true) => (decimal(*left), *right),
                _ => (*left, *right),
            };
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::Between(Between { expr, negated, low, high }) if is_decimal(&expr) => {
            let (low, high) = (Box::new(decimal(*low)), Box::new(decimal(*high)));
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InList(InList { expr, list, negated }) if is_decimal(&expr) => {
            let list = list.into_iter().map(decimal).collect();
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        other => Transformed::no(other),
    })
}

/// A double that was written as a number, as the decimal that was written; anything else as it is.
fn decimal(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => match as_written(*value) {
            Some(decimal) => Expr::Literal(decimal, None),
            None => expr,
        },
        Expr::Negative(inner) => Expr::Negative(Box::new(decimal(inner.as_ref().clone()))),
        _ => expr,
    }
}

/// The shortest decimal that reads as `value`: what was written, up to 15 digits.
fn as_written(value: f64) -> Option<ScalarValue> {
    let text = format!("{value}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i8::try_from(fraction.len()).ok()?;
    let precision = u8::try_from(digits.unsigned_abs().to_string().len()).ok()?.max(scale.unsigned_abs());
    (precision <= 38).then_some(ScalarValue::Decimal128(Some(digits), precision, scale))
}

//! Numbers in a query are exact where that can be seen.
//!
//! `1.5` is read as a double, and a decimal beside a double becomes one: `price = 99999.99` would compare two doubles that
//! are no such number. In SQL the literal is exact, so here it becomes a decimal where its other side is one, and where
//! arithmetic of exact numbers is compared, rounded, cast or written: `0.1 + 0.2 = 0.3`, `CAST(n / 2.0 AS INT)`,
//! `1.50 || ''`. A result that is only shown stays a double.

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::metadata::FieldMetadata;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::{Cast, InList};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use super::functions::ANY;
use super::meaning::is_comparison;
use super::types::is_arithmetic;
use super::with_expressions;
use crate::written::{as_written, has_text};

/// `plan` with its literals made exact.
pub(super) fn exact(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        with_expressions(node, |expr| beside_decimals(expr, &schema))
    })?;
    let plan = plan.data.transform_up_with_subqueries(|node| with_expressions(node, |expr| Ok(alone(expr))))?;
    Ok(plan.data)
}

/// `expr` without a text beside it.
fn alone(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::Literal(number, beside) if has_text(&beside) => Transformed::yes(Expr::Literal(number, None)),
        other => Transformed::no(other),
    }
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
                (false, false) if is_comparison(op) => all_exact([*left, *right], schema).into(),
                (false, false) if op == Operator::StringConcat => {
                    let [left, right] = [*left, *right].map(|side| exact_number(&side, schema).unwrap_or(side));
                    (left, right)
                }
                _ => (*left, *right),
            };
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        }
        Expr::Between(Between { expr, negated, low, high }) if is_decimal(&expr) => {
            let (low, high) = (Box::new(decimal(*low)), Box::new(decimal(*high)));
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let [expr, low, high] = all_exact([*expr, *low, *high], schema).map(Box::new);
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InList(InList { expr, list, negated }) if is_decimal(&expr) => {
            let list = list.into_iter().map(decimal).collect();
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let all: Option<Vec<Expr>> =
                [expr.as_ref()].into_iter().chain(&list).map(|item| exact_number(item, schema)).collect();
            let (expr, list) = match all {
                Some(mut all) => (Box::new(all.remove(0)), all),
                None => (expr, list),
            };
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        Expr::Cast(Cast { expr, field }) if !field.data_type().is_floating() => {
            let [expr] = all_exact([*expr], schema).map(Box::new);
            Transformed::yes(Expr::Cast(Cast { expr, field }))
        }
        Expr::ScalarFunction(mut function)
            if matches!(function.func.name(), "round" | "ceil" | "floor" | "trunc") && !function.args.is_empty() =>
        {
            let [number] = all_exact([function.args[0].clone()], schema);
            function.args[0] = number;
            Transformed::yes(Expr::ScalarFunction(function))
        }
        Expr::ScalarFunction(mut function) if matches!(function.func.name(), "concat" | "concat_ws") => {
            let exact = function.args.into_iter().map(|arg| exact_number(&arg, schema).unwrap_or(arg));
            function.args = exact.collect();
            Transformed::yes(Expr::ScalarFunction(function))
        }
        Expr::ScalarFunction(mut function)
            if function.func.name() == ANY
                && elements(&function.args[2], schema).is_some_and(|kind| !kind.is_floating()) =>
        {
            let [number] = all_exact([function.args[1].clone()], schema);
            function.args[1] = number;
            Transformed::yes(Expr::ScalarFunction(function))
        }
        other => Transformed::no(other),
    })
}

/// The type of the elements of `list`.
fn elements(list: &Expr, schema: &DFSchema) -> Option<DataType> {
    match list.get_type(schema).ok()? {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type().clone())
        }
        _ => None,
    }
}

/// `exprs` as exact numbers, if all can be; else as they are.
fn all_exact<const N: usize>(exprs: [Expr; N], schema: &DFSchema) -> [Expr; N] {
    let exact: Option<Vec<Expr>> = exprs.iter().map(|expr| exact_number(expr, schema)).collect();
    exact.and_then(|exact| exact.try_into().ok()).unwrap_or(exprs)
}

/// `expr` with its literals as decimals, if it is arithmetic of literals, integers and decimals.
fn exact_number(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(value)), beside) => Some(Expr::Literal(read(*value, beside)?, None)),
        Expr::Negative(inner) => Some(Expr::Negative(Box::new(exact_number(inner, schema)?))),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_arithmetic(*op) => {
            let (left, right) = (exact_number(left, schema)?, exact_number(right, schema)?);
            Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right))))
        }
        other => {
            let is_exact = other.get_type(schema).is_ok_and(|kind| kind.is_integer() || kind.is_decimal());
            is_exact.then(|| other.clone())
        }
    }
}

/// A double that was written as a number, as the decimal that was written; anything else as it is.
fn decimal(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Float64(Some(value)), beside) => match read(*value, beside) {
            Some(decimal) => Expr::Literal(decimal, None),
            None => expr,
        },
        Expr::Negative(inner) => Expr::Negative(Box::new(decimal(inner.as_ref().clone()))),
        _ => expr,
    }
}

/// The decimal that was written, of which `value` is the double.
fn read(value: f64, beside: &Option<FieldMetadata>) -> Option<ScalarValue> {
    if has_text(beside) { as_written(beside) } else { shortest(value) }
}

/// The shortest decimal that reads as `value`: what was written, up to 15 digits.
fn shortest(value: f64) -> Option<ScalarValue> {
    let text = format!("{value}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i8::try_from(fraction.len()).ok()?;
    let precision = u8::try_from(digits.unsigned_abs().to_string().len()).ok()?.max(scale.unsigned_abs());
    (precision <= 38).then_some(ScalarValue::Decimal128(Some(digits), precision, scale))
}

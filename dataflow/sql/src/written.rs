//! Numbers that a double does not hold as they are written: `1.50`, `12345678901234567.89`.
//!
//! The planner reads a number with a point as a double. Such a number gets a mark before the query is planned ([`marked`]): an
//! operator of our own between it and its text. The planner then makes a double of it that has its text beside it
//! ([`Written`]), until `literals` in [`crate::rewrite`] has decided where it is a decimal.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion_common::metadata::FieldMetadata;
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::Expr;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr as Text, Function, Query, SetExpr, Value, VisitMut, VisitorMut, WindowFrameBound, WindowType,
};

/// Digits that every double holds as they are written.
const DOUBLE_DIGITS: usize = 15;

/// `query` with such numbers marked.
pub(crate) fn marked(mut query: Box<Query>) -> Box<Query> {
    let _ = query.visit(&mut Marking { in_values: Vec::new() });
    query
}

struct Marking {
    /// Of the queries that this is in, whether each is a list of VALUES, whose columns the planner wants to be alike.
    in_values: Vec<bool>,
}

impl VisitorMut for Marking {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.in_values.push(has_values(&query.body));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.in_values.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Text) -> ControlFlow<()> {
        match expr {
            Text::Value(value) if self.in_values.last() == Some(&false) => {
                if let Value::Number(number, false) = &value.value
                    && is_more_than_a_double(number)
                {
                    let text = Text::value(Value::SingleQuotedString(number.clone()));
                    let number = Text::Value(value.clone());
                    *expr = Text::BinaryOp { left: Box::new(number), op: mark(), right: Box::new(text) };
                }
            }
            // What has to be a number to the planner.
            Text::Function(Function { over: Some(WindowType::WindowSpec(window)), .. }) => {
                if let Some(frame) = &mut window.window_frame {
                    unmark_bound(&mut frame.start_bound);
                    frame.end_bound.as_mut().into_iter().for_each(unmark_bound);
                }
            }
            Text::Interval(interval) => unmark(&mut interval.value),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn has_values(body: &SetExpr) -> bool {
    match body {
        SetExpr::Values(_) => true,
        SetExpr::SetOperation { left, right, .. } => has_values(left) || has_values(right),
        _ => false,
    }
}

fn unmark_bound(bound: &mut WindowFrameBound) {
    if let WindowFrameBound::Preceding(Some(distance)) | WindowFrameBound::Following(Some(distance)) = bound {
        unmark(distance);
    }
}

fn unmark(expr: &mut Text) {
    if let Text::BinaryOp { left, op, .. } = expr
        && *op == mark()
    {
        *expr = left.as_ref().clone();
    }
}

/// Whether `number` has a point or an exponent, and more to it than a double.
fn is_more_than_a_double(number: &str) -> bool {
    let Some((digits, scale)) = decimal(number) else { return false };
    let is_integer = number.parse::<u64>().is_ok();
    !is_integer && (scale > 0 && digits % 10 == 0 || digits.to_string().len() > DOUBLE_DIGITS)
}

/// `number` as a whole number and how many of its digits are behind the point; `None` if it has more than 38 digits.
fn decimal(number: &str) -> Option<(i128, i8)> {
    let number = number.replace('_', "").to_lowercase();
    let (number, exponent) = number.split_once('e').map_or((number.as_str(), "0"), |(number, e)| (number, e));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()? - exponent;
    let digits = digits.checked_mul(10_i128.checked_pow(u32::try_from(-scale.min(0)).ok()?)?)?;
    let is_short = digits < 10_i128.pow(38) && scale <= 38;
    is_short.then_some((digits, i8::try_from(scale.max(0)).ok()?))
}

fn mark() -> BinaryOperator {
    BinaryOperator::Custom("written".to_string())
}

/// Under what a number's text stands beside it.
const TEXT: &str = "written";

/// Plans marked numbers.
#[derive(Debug)]
pub(crate) struct Written;

impl ExprPlanner for Written {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != mark() {
            return Ok(PlannerResult::Original(expr));
        }
        match (&expr.left, &expr.right) {
            (Expr::Literal(number @ ScalarValue::Float64(_), _), Expr::Literal(text, _)) => {
                let text = text.try_as_str().flatten().unwrap_or_default().to_string();
                let text = FieldMetadata::new(BTreeMap::from([(TEXT.to_string(), text)]));
                Ok(PlannerResult::Planned(Expr::Literal(number.clone(), Some(text))))
            }
            _ => Ok(PlannerResult::Planned(expr.left)),
        }
    }
}

/// Whether a number has its text beside it.
pub(crate) fn has_text(beside: &Option<FieldMetadata>) -> bool {
    beside.as_ref().is_some_and(|beside| beside.inner().contains_key(TEXT))
}

/// The number whose text is `beside` it, as the decimal that was written.
pub(crate) fn as_written(beside: &Option<FieldMetadata>) -> Option<ScalarValue> {
    let (digits, scale) = decimal(beside.as_ref()?.inner().get(TEXT)?)?;
    let precision = u8::try_from(digits.to_string().len()).ok()?.max(scale.unsigned_abs());
    Some(ScalarValue::Decimal128(Some(digits), precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimals_as_they_are_written() {
        assert_eq!(decimal("1.50"), Some((150, 2)));
        assert_eq!(decimal(".50"), Some((50, 2)));
        assert_eq!(decimal("1.50e1"), Some((150, 1)));
        assert_eq!(decimal("1.5E3"), Some((1500, 0)));
        assert_eq!(decimal("25e-1"), Some((25, 1)));
        assert_eq!(decimal("1_000.0"), Some((10_000, 1)));
        assert_eq!(decimal("1e38"), None);
        assert_eq!(decimal("1e-39"), None);
        assert_eq!(decimal("1e999999999999"), None);
    }

    #[test]
    fn those_that_a_double_holds_need_no_text() {
        for plain in ["1", "1.5", "0.001", "1e5", "18446744073709551615", "123456789.012345", "1e300"] {
            assert!(!is_more_than_a_double(plain), "{plain}");
        }
        for more in ["1.50", "2.0", "0.00", "12345678901234567.89", "18446744073709551616", "1.50e1"] {
            assert!(is_more_than_a_double(more), "{more}");
        }
    }
}

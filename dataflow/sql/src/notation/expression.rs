//! Expressions in writing.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Schema};
use catchment_contract::{Error, Result};
use datafusion_expr::Operator;
use datafusion_physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NegativeExpr,
    NotExpr, TryCastExpr,
};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::value::value;
use super::{Style, type_name};
use crate::expr::Expression;
use crate::lower::readable;

/// An expression in writing.
///
/// # Errors
/// If it holds a kind of expression, operator or value that has no notation.
pub(crate) fn expression(expression: &Expression, style: Style) -> Result<String> {
    let (expr, reads, schema) = expression.physical();
    Writer { style, reads, schema }.bare(expr)
}

struct Writer<'a> {
    style: Style,
    /// Where the expression's columns stand in the input.
    reads: &'a [usize],
    schema: &'a Schema,
}

type Expr = Arc<dyn PhysicalExpr>;

impl Writer<'_> {
    /// What is one operand of others: in parentheses where it has several parts.
    fn operand(&self, expr: &Expr) -> Result<String> {
        let text = self.bare(expr)?;
        let is_whole = expr.is::<Column>()
            || expr.is::<Literal>()
            || expr.is::<ScalarFunctionExpr>()
            || expr.is::<CastExpr>()
            || expr.is::<TryCastExpr>();
        Ok(if is_whole { text } else { format!("({text})") })
    }

    fn bare(&self, expr: &Expr) -> Result<String> {
        if let Some(column) = expr.downcast_ref::<Column>() {
            return self.column(column);
        }
        if let Some(literal) = expr.downcast_ref::<Literal>() {
            let written = value(literal.value())?;
            return Ok(match self.style {
                Style::Stable => format!("{} {written}", type_name(&literal.value().data_type())?),
                Style::Plain => written,
            });
        }
        if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            return self.binary(binary);
        }
        if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
            return Ok(format!("{}({})", call.fun().name(), self.list(call.args())?));
        }
        if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            return self.cast("cast", cast.expr(), cast.cast_type());
        }
        if let Some(cast) = expr.downcast_ref::<TryCastExpr>() {
            return self.cast("try_cast", cast.expr(), cast.cast_type());
        }
        if let Some(case) = expr.downcast_ref::<CaseExpr>() {
            return self.case(case);
        }
        if let Some(list) = expr.downcast_ref::<InListExpr>() {
            let (operand, not) = (self.operand(list.expr())?, not(list.negated()));
            return Ok(format!("{operand} {not}in ({})", self.list(list.list())?));
        }
        if let Some(like) = expr.downcast_ref::<LikeExpr>() {
            let (text, pattern) = (self.operand(like.expr())?, self.operand(like.pattern())?);
            let word = if like.case_insensitive() { "ilike" } else { "like" };
            return Ok(format!("{text} {}{word} {pattern}", not(like.negated())));
        }
        if let Some(test) = expr.downcast_ref::<IsNullExpr>() {
            return Ok(format!("{} is null", self.operand(test.arg())?));
        }
        if let Some(test) = expr.downcast_ref::<IsNotNullExpr>() {
            return Ok(format!("{} is not null", self.operand(test.arg())?));
        }
        if let Some(not) = expr.downcast_ref::<NotExpr>() {
            return Ok(format!("not {}", self.operand(not.arg())?));
        }
        if let Some(negative) = expr.downcast_ref::<NegativeExpr>() {
            return Ok(format!("- {}", self.operand(negative.arg())?));
        }
        Err(Error::bug(format!("the expression \"{expr}\" has no notation")))
    }

    fn list(&self, exprs: &[Expr]) -> Result<String> {
        let exprs = exprs.iter().map(|expr| self.bare(expr)).collect::<Result<Vec<_>>>()?;
        Ok(exprs.join(", "))
    }

    fn column(&self, column: &Column) -> Result<String> {
        match self.style {
            Style::Plain => Ok(readable(column.name())),
            Style::Stable => match self.reads.get(column.index()) {
                Some(place) => Ok(format!("#{place}")),
                None => Err(Error::bug(format!("an expression reads \"{column}\", which its input has not"))),
            },
        }
    }

    /// Chains of AND and OR are flat: how they are nested means nothing.
    fn binary(&self, binary: &BinaryExpr) -> Result<String> {
        let symbol = symbol(*binary.op());
        let mut operands = Vec::new();
        for side in [binary.left(), binary.right()] {
            match side.downcast_ref::<BinaryExpr>() {
                Some(inner) if inner.op() == binary.op() && binary.op().is_logic_operator() => {
                    operands.push(self.binary(inner)?);
                }
                _ => operands.push(self.operand(side)?),
            }
        }
        Ok(operands.join(&format!(" {symbol} ")))
    }

    fn cast(&self, word: &str, expr: &Expr, to: &DataType) -> Result<String> {
        let to = type_name(to)?;
        let from = expr.data_type(self.schema).ok().map(|from| type_name(&from)).transpose()?;
        if from.is_some_and(|from| from == to) {
            return self.bare(expr);
        }
        Ok(format!("{word}({} as {to})", self.bare(expr)?))
    }

    fn case(&self, case: &CaseExpr) -> Result<String> {
        let mut text = "case".to_string();
        if let Some(operand) = case.expr() {
            text += &format!(" {}", self.operand(operand)?);
        }
        for (when, then) in case.when_then_expr() {
            text += &format!(" when {} then {}", self.bare(when)?, self.bare(then)?);
        }
        if let Some(otherwise) = case.else_expr() {
            text += &format!(" else {}", self.bare(otherwise)?);
        }
        Ok(text + " end")
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "=",
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        Operator::Plus => "+",
        Operator::Minus => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Modulo => "%",
        Operator::And => "and",
        Operator::Or => "or",
        Operator::IsDistinctFrom => "is distinct from",
        Operator::IsNotDistinctFrom => "is not distinct from",
        Operator::RegexMatch => "~",
        Operator::RegexIMatch => "~*",
        Operator::RegexNotMatch => "!~",
        Operator::RegexNotIMatch => "!~*",
        Operator::LikeMatch => "~~",
        Operator::ILikeMatch => "~~*",
        Operator::NotLikeMatch => "!~~",
        Operator::NotILikeMatch => "!~~*",
        Operator::BitwiseAnd => "&",
        Operator::BitwiseOr => "|",
        Operator::BitwiseXor => "^",
        Operator::BitwiseShiftRight => ">>",
        Operator::BitwiseShiftLeft => "<<",
        Operator::StringConcat => "||",
        Operator::AtArrow => "@>",
        Operator::ArrowAt => "<@",
        Operator::Arrow => "->",
        Operator::LongArrow => "->>",
        Operator::HashArrow => "#>",
        Operator::HashLongArrow => "#>>",
        Operator::AtAt => "@@",
        Operator::IntegerDivide => "//",
        Operator::HashMinus => "#-",
        Operator::AtQuestion => "@?",
        Operator::Question => "?",
        Operator::QuestionAnd => "?&",
        Operator::QuestionPipe => "?|",
        Operator::Colon => ":",
    }
}

#[cfg(test)]
mod tests {
    use datafusion_physical_expr::expressions::NoOp;

    use super::*;

    #[test]
    fn what_is_not_known_is_an_error() {
        let unknown: Expr = Arc::new(NotExpr::new(Arc::new(NoOp::new())));
        let writer = Writer { style: Style::Stable, reads: &[], schema: &Schema::empty() };
        let error = writer.bare(&unknown).expect_err("a kind of expression that no plan holds").chain();
        assert!(error.contains("has no notation"), "{error}");
    }
}

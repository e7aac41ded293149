//! PostgreSQL's notation that the planner does not know, written with what it knows.
//!
//! | query | planned as |
//! |---|---|
//! | `(a, b) = (c, d)`, and `<>`, `<`, …, `IS NOT DISTINCT FROM` | `a = c AND b = d`, and so on: a null decides as it does in each comparison |
//! | `(a, b) IN ((c, d), …)` | `(a, b) = (c, d) OR …` |
//! | `(a, b) IS NULL` | all are null; `IS NOT NULL`: none is |
//! | `mod(a, b)`, `sign(a)` | `a % b`, a `CASE` |
//! | `a = ANY (ARRAY[b, c])`, and other comparisons, and `ALL` | `a IN (b, c)`, `a < b OR a < c` |
//! | `a = ANY (list)`, and other comparisons; `a = ALL (list)` | an operator of our own; `NOT a <> ANY (list)` |
//! | `CAST(x AS FLOAT)` | `CAST(x AS DOUBLE PRECISION)` |
//! | `CAST(x AS VARCHAR(n))` | `left(CAST(x AS VARCHAR), n)` |
//! | `INTERVAL '1 day 02:30'` | `INTERVAL '1 day 2 hours 30 minutes'` |
//! | `SELECT generate_series(…)` | `SELECT unnest(generate_series(…))` |

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CharacterLength, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, UnaryOperator, Value,
    VisitMut, VisitorMut,
};

use crate::rewrite::any_operator;

/// `query` in the planner's notation.
pub(crate) fn translated(mut query: Box<Query>) -> Box<Query> {
    let _ = query.visit(&mut Translating);
    query
}

struct Translating;

impl VisitorMut for Translating {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.clone())),
                _ => continue,
            };
            if let Expr::Function(function) = expr
                && is_named(function, "generate_series")
            {
                let series = std::mem::replace(expr, Expr::Wildcard(AttachedToken::empty()));
                let alias = alias.unwrap_or_else(|| Ident::new("generate_series"));
                *item = SelectItem::ExprWithAlias { expr: call("unnest", vec![series]), alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(translated) = translation(expr) {
            *expr = translated;
        }
        ControlFlow::Continue(())
    }
}

fn translation(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp { left, op, right } => compared(&row(left)?, op, &row(right)?),
        Expr::IsDistinctFrom(left, right) => same(&row(left)?, &row(right)?).map(not),
        Expr::IsNotDistinctFrom(left, right) => same(&row(left)?, &row(right)?),
        Expr::IsNull(of) => all(row(of)?.iter().map(|part| Expr::IsNull(Box::new(part.clone())))),
        Expr::IsNotNull(of) => all(row(of)?.iter().map(|part| Expr::IsNotNull(Box::new(part.clone())))),
        Expr::InList { expr, list, negated } => {
            let of = row(expr)?;
            let equal = list.iter().map(|item| compared(&of, &BinaryOperator::Eq, &row(item)?));
            let found = any(equal.collect::<Option<Vec<_>>>()?.into_iter())?;
            Some(if *negated { not(found) } else { found })
        }
        Expr::Function(function) if is_named(function, "mod") => match arguments(function)?.as_slice() {
            [left, right] => Some(nested(binary(nested(left.clone()), BinaryOperator::Modulo, nested(right.clone())))),
            _ => None,
        },
        Expr::Function(function) if is_named(function, "sign") => match arguments(function)?.as_slice() {
            [of] => Some(sign(of)),
            _ => None,
        },
        Expr::AnyOp { left, compare_op, right, .. } => match (compare_op, elements(right)) {
            (BinaryOperator::Eq, Some(items)) => Some(in_list(left, items, false)),
            (op, Some(items)) => any(items.into_iter().map(|item| binary(left.as_ref().clone(), op.clone(), item))),
            (op, None) if is_list(right) => {
                opposite(op)?;
                Some(nested(binary(nested(left.as_ref().clone()), any_operator(op), nested(right.as_ref().clone()))))
            }
            _ => None,
        },
        Expr::AllOp { left, compare_op, right } => match (compare_op, elements(right)) {
            (BinaryOperator::NotEq, Some(items)) => Some(in_list(left, items, true)),
            (op, Some(items)) => all(items.into_iter().map(|item| binary(left.as_ref().clone(), op.clone(), item))),
            (op, None) if is_list(right) => {
                let op = any_operator(&opposite(op)?);
                Some(not(binary(nested(left.as_ref().clone()), op, nested(right.as_ref().clone()))))
            }
            _ => None,
        },
        Expr::Cast { kind, expr, data_type: DataType::Float(digits), array, format } => {
            let data_type = match digits {
                ExactNumberInfo::Precision(..=24) => DataType::Real,
                _ => DataType::DoublePrecision,
            };
            let (kind, expr, format) = (kind.clone(), expr.clone(), format.clone());
            Some(Expr::Cast { kind, expr, data_type, array: *array, format })
        }
        Expr::Cast { kind, expr, data_type, array: false, format: None } => {
            let length = text_length(data_type)?;
            let expr = Expr::Cast {
                kind: kind.clone(),
                expr: expr.clone(),
                data_type: DataType::Text,
                array: false,
                format: None,
            };
            Some(call("left", vec![expr, number(&length.to_string())]))
        }
        Expr::Interval(interval) => {
            let Expr::Value(value) = interval.value.as_ref() else { return None };
            let Value::SingleQuotedString(text) = &value.value else { return None };
            let spelled = spelled(text)?;
            let mut value = value.clone();
            value.value = Value::SingleQuotedString(spelled);
            let mut interval = interval.clone();
            interval.value = Box::new(Expr::Value(value));
            Some(Expr::Interval(interval))
        }
        _ => None,
    }
}

/// The elements of a list that is written out and not empty.
fn elements(list: &Expr) -> Option<Vec<Expr>> {
    match list {
        Expr::Nested(inner) => elements(inner),
        Expr::Array(array) if !array.elem.is_empty() => Some(array.elem.clone()),
        _ => None,
    }
}

/// Whether the right side of `ANY` is a list: it is no query.
fn is_list(list: &Expr) -> bool {
    match list {
        Expr::Nested(inner) => is_list(inner),
        other => !matches!(other, Expr::Subquery(_)),
    }
}

/// The comparison that holds where `op` does not.
fn opposite(op: &BinaryOperator) -> Option<BinaryOperator> {
    use BinaryOperator::*;
    Some(match op {
        Eq => NotEq,
        NotEq => Eq,
        Lt => GtEq,
        GtEq => Lt,
        Gt => LtEq,
        LtEq => Gt,
        _ => return None,
    })
}

fn in_list(expr: &Expr, list: Vec<Expr>, negated: bool) -> Expr {
    nested(Expr::InList { expr: Box::new(nested(expr.clone())), list, negated })
}

/// The parts of a row: `(a, b)` or `ROW(a, b)`.
fn row(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(parts) => Some(parts.clone()),
        Expr::Function(function) if is_named(function, "row") => arguments(function),
        _ => None,
    }
}

/// A comparison of two rows, part by part.
fn compared(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::*;
    if left.len() != right.len() {
        return None;
    }
    let pairs = || left.iter().cloned().zip(right.iter().cloned());
    match op {
        Eq => all(pairs().map(|(a, b)| binary(a, Eq, b))),
        NotEq => any(pairs().map(|(a, b)| binary(a, NotEq, b))),
        Lt | LtEq | Gt | GtEq => {
            let strict = if matches!(op, Lt | LtEq) { Lt } else { Gt };
            let ([a, rest_a @ ..], [b, rest_b @ ..]) = (left, right) else { return None };
            if rest_a.is_empty() {
                return Some(nested(binary(a.clone(), op.clone(), b.clone())));
            }
            let first = nested(binary(a.clone(), strict, b.clone()));
            let equal = nested(binary(a.clone(), Eq, b.clone()));
            let rest = nested(binary(equal, And, compared(rest_a, op, rest_b)?));
            Some(nested(binary(first, Or, rest)))
        }
        _ => None,
    }
}

/// Whether two rows are the same, nulls being equal.
fn same(left: &[Expr], right: &[Expr]) -> Option<Expr> {
    let pairs = left.iter().cloned().zip(right.iter().cloned());
    let same = |(a, b)| Expr::IsNotDistinctFrom(Box::new(a), Box::new(b));
    if left.len() == right.len() { all(pairs.map(same)) } else { None }
}

fn all(parts: impl Iterator<Item = Expr>) -> Option<Expr> {
    parts.map(nested).reduce(|left, right| binary(left, BinaryOperator::And, right)).map(nested)
}

fn any(parts: impl Iterator<Item = Expr>) -> Option<Expr> {
    parts.map(nested).reduce(|left, right| binary(left, BinaryOperator::Or, right)).map(nested)
}

fn sign(of: &Expr) -> Expr {
    let zero = || number("0");
    let when =
        |op: BinaryOperator, result: Expr| CaseWhen { condition: binary(nested(of.clone()), op, zero()), result };
    let minus = Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(number("1")) };
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![
            when(BinaryOperator::Gt, number("1")),
            when(BinaryOperator::Lt, minus),
            when(BinaryOperator::Eq, zero()),
        ],
        else_result: None,
    }
}

/// The length that a cast to `kind` cuts texts to.
fn text_length(kind: &DataType) -> Option<u64> {
    match kind {
        DataType::Varchar(Some(length))
        | DataType::CharacterVarying(Some(length))
        | DataType::CharVarying(Some(length))
        | DataType::Nvarchar(Some(length)) => match length {
            CharacterLength::IntegerLength { length, .. } => Some(*length),
            CharacterLength::Max => None,
        },
        _ => None,
    }
}

/// `text`, an interval, with its time of day in words; `None` if it has none.
fn spelled(text: &str) -> Option<String> {
    let mut found = false;
    let words = text.split_whitespace().map(|word| {
        let (sign, time) = match word.as_bytes().first() {
            Some(b'-') => ("-", &word[1..]),
            Some(b'+') => ("", &word[1..]),
            _ => ("", word),
        };
        let parts: Vec<&str> = time.split(':').collect();
        let is_number =
            |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let (hours, minutes, seconds) = match parts.as_slice() {
            [hours, minutes] => (*hours, *minutes, "0"),
            [hours, minutes, seconds] => (*hours, *minutes, *seconds),
            _ => return word.to_string(),
        };
        if ![hours, minutes, seconds].iter().all(is_number) {
            return word.to_string();
        }
        found = true;
        format!("{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds")
    });
    let words: Vec<String> = words.collect();
    found.then(|| words.join(" "))
}

fn is_named(function: &Function, name: &str) -> bool {
    matches!(function.name.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| ident.value.eq_ignore_ascii_case(name)))
        && function.over.is_none()
        && function.filter.is_none()
}

/// The arguments of a plain call.
fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(argument).collect()
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn number(text: &str) -> Expr {
    Expr::value(Value::Number(text.to_string(), false))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn not(expr: Expr) -> Expr {
    nested(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(expr)) })
}

#[cfg(test)]
mod tests {
    use datafusion_sql::sqlparser::dialect::GenericDialect;
    use datafusion_sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn postgresqls_notation_is_translated() {
        let check = |query: &str, expect: &str| {
            let mut parser = Parser::new(&GenericDialect {}).try_with_sql(query).expect(query);
            assert_eq!(translated(parser.parse_query().expect(query)).to_string(), expect);
        };
        check("SELECT (a, b) = (1, 2)", "SELECT ((a = 1) AND (b = 2))");
        check("SELECT (a, b) <> (1, 2)", "SELECT ((a <> 1) OR (b <> 2))");
        check("SELECT (a, b) <= (1, 2)", "SELECT ((a < 1) OR ((a = 1) AND (b <= 2)))");
        check("SELECT (a, b) NOT IN ((1, 2))", "SELECT (NOT (((((a = 1) AND (b = 2))))))");
        check("SELECT ROW(a, b) = (1, 2)", "SELECT ((a = 1) AND (b = 2))");
        check("SELECT (a, b) IS NULL", "SELECT ((a IS NULL) AND (b IS NULL))");
        check("SELECT mod(a, b + 1)", "SELECT ((a) % (b + 1))");
        check("SELECT sign(a)", "SELECT CASE WHEN (a) > 0 THEN 1 WHEN (a) < 0 THEN -1 WHEN (a) = 0 THEN 0 END");
        check("SELECT CAST(a AS VARCHAR(3))", "SELECT left(CAST(a AS TEXT), 3)");
        check(
            "SELECT INTERVAL '1 day -02:30:04.5'",
            "SELECT INTERVAL '1 day -02 hours -30 minutes -4.5 seconds'".replace("-4.5", "-04.5").as_str(),
        );
        check("SELECT generate_series(1, a)", "SELECT unnest(generate_series(1, a)) AS generate_series");
        check("SELECT a = ANY (ARRAY[1, b])", "SELECT ((a) IN (1, b))");
        check("SELECT a <= ALL (ARRAY[1, b])", "SELECT ((a <= 1) AND (a <= b))");
        check("SELECT a < ANY (b)", "SELECT ((a) < ANY (b))");
        check("SELECT a < ALL (b)", "SELECT (NOT ((a) >= ANY (b)))");
        check("SELECT a < ANY (SELECT b)", "SELECT a < ANY(SELECT b)");
        check("SELECT CAST(a AS FLOAT), b::float(10)", "SELECT CAST(a AS DOUBLE PRECISION), b::REAL");
        check("SELECT a = 1, (a) IN (1)", "SELECT a = 1, (a) IN (1)");
    }
}

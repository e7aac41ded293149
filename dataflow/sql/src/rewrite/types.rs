//! What depends on the types that a query has before DataFusion makes them fit: `date + INTERVAL '1 hour'` is a time, not a
//! date; the quotient of decimals has 16 digits behind the point, not those of its dividend and four more.
//!
//! | query | evaluated as |
//! |---|---|
//! | a date plus or minus an interval | of the date's midnight |
//! | places and lengths, which have no sign, beside whole numbers that have one, and their differences | of `BIGINT`s |
//! | an interval times a whole number | the interval as often ([`Intervals`], as soon as it is planned) |
//! | a quotient of decimals | rounded to 16 digits behind the point |
//! | sums, differences and products of decimals | a fault where a result has more than 38 digits |
//! | `avg` of decimals | with 16 digits behind the point |
//! | `median` of decimals | of floats |
//! | a decimal beside a float | as a float |
//! | `round(float)` | halves to the even number |
//! | `ceil`, `floor`, `round` of decimals | with one digit more, so that the result fits |
//! | `date_trunc`, `date_bin`, `date_part`, `extract`, `to_char` | for every time, with PostgreSQL's units, parts and patterns |
//! | `ln`, `log` | a fault for what has no logarithm |
//! | `to_hex` of an `INT` | of its 32 bits |
//! | `concat`, `concat_ws` | of texts as PostgreSQL writes them |
//! | a union of dates and times | of times |
//! | lists: `array_remove`, `array_replace`, `array_length`, `x[i]` | of all that is equal; null for an empty list; null below 1 |

mod lists;
mod times;

use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, Result, internal_err, plan_err};
use datafusion_expr::expr::{InList, InSubquery};
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Projection, Union, bitwise_and, cast, lit,
};
use datafusion_sql::sqlparser::ast::BinaryOperator;

use super::meaning::is_comparison;
use super::{functions, with_expressions};
use crate::catalog::timestamp_type;

/// `plan` with such expressions replaced.
pub(super) fn settled(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        // What stands below may have got another type.
        let node = super::outer::typed(super::retyped(node)?)?;
        let schema = merge_schema(&node.inputs());
        let node = with_expressions(node, |expr| meant(expr, &schema))?;
        match node.data {
            LogicalPlan::Union(union) => Ok(Transformed::yes(of_instants(union)?)),
            LogicalPlan::Join(mut join) => {
                let (left, right) = (join.left.schema().clone(), join.right.schema().clone());
                for (a, b) in &mut join.on {
                    match (a.get_type(&left)?, b.get_type(&right)?) {
                        (a_kind, b_kind) if a_kind.is_decimal() && b_kind.is_floating() => {
                            *a = cast(a.clone(), DataType::Float64);
                        }
                        (a_kind, b_kind) if a_kind.is_floating() && b_kind.is_decimal() => {
                            *b = cast(b.clone(), DataType::Float64);
                        }
                        _ => {}
                    }
                }
                Ok(Transformed::yes(LogicalPlan::Join(join)))
            }
            other => Ok(Transformed::new_transformed(other, node.transformed)),
        }
    })?;
    Ok(plan.data)
}

/// `union` with dates as times where other inputs have times.
fn of_instants(union: Union) -> Result<LogicalPlan> {
    let is_time = |input: &Arc<LogicalPlan>, place: usize| {
        matches!(input.schema().field(place).data_type(), DataType::Timestamp(..))
    };
    let columns = 0..union.schema.fields().len();
    let mixed: Vec<bool> = columns
        .map(|place| {
            let same = |input| is_time(input, place) == is_time(&union.inputs[0], place);
            !union.inputs.iter().all(same)
        })
        .collect();
    if !mixed.contains(&true) {
        return Ok(LogicalPlan::Union(union));
    }
    let inputs = union.inputs.into_iter().map(|input| {
        let exprs = super::columns(input.schema()).into_iter().zip(&mixed).zip(input.schema().iter());
        let exprs = exprs.map(|((column, mixed), (relation, field))| match field.data_type() {
            DataType::Date32 if *mixed => {
                cast(column, timestamp_type()).alias_qualified(relation.cloned(), field.name())
            }
            _ => column,
        });
        Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(exprs.collect(), input)?)))
    });
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs.collect::<Result<_>>()?)?))
}

fn meant(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(binary) => operation(binary, schema),
        Expr::Between(Between { expr, negated, low, high }) => {
            let mut all = of_floats(vec![*expr, *low, *high], schema).into_iter().map(Box::new);
            let (Some(expr), Some(low), Some(high)) = (all.next(), all.next(), all.next()) else {
                return internal_err!("BETWEEN has three operands");
            };
            Ok(Transformed::yes(Expr::Between(Between { expr, negated, low, high })))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let mut all = of_floats([*expr].into_iter().chain(list).collect(), schema);
            let expr = Box::new(all.remove(0));
            Ok(Transformed::yes(Expr::InList(InList { expr, list: all, negated })))
        }
        Expr::InSubquery(InSubquery { expr, mut subquery, negated }) => {
            let (of_expr, inner) = (expr.get_type(schema), subquery.subquery.schema().field(0).data_type().clone());
            let expr = match of_expr {
                Ok(kind) if kind.is_decimal() && inner.is_floating() => Box::new(cast(*expr, DataType::Float64)),
                Ok(kind) if kind.is_floating() && inner.is_decimal() => {
                    let value = super::columns(subquery.subquery.schema())[0].clone();
                    let value = cast(value, DataType::Float64).alias("value");
                    let made = Projection::try_new(vec![value], subquery.subquery.clone())?;
                    subquery.subquery = Arc::new(LogicalPlan::Projection(made));
                    expr
                }
                _ => expr,
            };
            Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated })))
        }
        Expr::ScalarFunction(mut function) => {
            // What has no type yet (a reference to a query around this one) is left to DataFusion.
            let types: Result<Vec<DataType>> = function.args.iter().map(|arg| arg.get_type(schema)).collect();
            let Ok(types) = types else { return Ok(Transformed::no(Expr::ScalarFunction(function))) };
            if let Some(time) = times::function(&function, &types)? {
                return Ok(Transformed::yes(time));
            }
            if let Some(list) = lists::function(&function, &types)? {
                return Ok(Transformed::yes(list));
            }
            match (function.func.name(), types.as_slice()) {
                ("round", [kind]) if kind.is_floating() => {
                    return Ok(Transformed::yes(functions::to_even(function.args.remove(0))));
                }
                ("ceil" | "floor" | "round", [DataType::Decimal128(digits @ ..38, scale), ..]) => {
                    let wider = DataType::Decimal128(digits + 1, *scale);
                    function.args[0] = cast(function.args[0].clone(), wider);
                }
                ("ln" | "log" | "log2" | "log10", kinds) if kinds.iter().all(DataType::is_numeric) => {
                    let args = function.args.into_iter();
                    function.args = args.map(|arg| functions::positive(cast(arg, DataType::Float64))).collect();
                }
                ("to_hex", [DataType::Int8 | DataType::Int16 | DataType::Int32]) => {
                    let wide = cast(function.args.remove(0), DataType::Int64);
                    function.args.push(bitwise_and(wide, lit(i64::from(u32::MAX))));
                }
                ("coalesce" | "greatest" | "least" | "nullif" | "nvl", _) => {
                    function.args = of_integers(function.args, schema);
                }
                ("concat" | "concat_ws", kinds) => {
                    let texts = function.args.into_iter().zip(kinds).map(|(arg, kind)| text(arg, kind));
                    function.args = texts.collect::<Result<_>>()?;
                }
                _ => return Ok(Transformed::no(Expr::ScalarFunction(function))),
            }
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        Expr::Case(mut case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            let mut results = of_integers(results.map(|result| (**result).clone()).collect(), schema).into_iter();
            for result in case.when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut case.else_expr) {
                **result = results.next().unwrap_or_else(|| (**result).clone());
            }
            Ok(Transformed::yes(Expr::Case(case)))
        }
        Expr::AggregateFunction(mut function) => {
            let name = function.func.name().to_string();
            aggregated(&name, &mut function.params.args, schema);
            Ok(Transformed::yes(Expr::AggregateFunction(function)))
        }
        Expr::WindowFunction(mut function) => {
            let name = function.fun.name().to_string();
            aggregated(&name, &mut function.params.args, schema);
            Ok(Transformed::yes(Expr::WindowFunction(function)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The arguments `args` of the aggregate function `name` as it takes them: decimals with the digits that an average has, or
/// as floats.
fn aggregated(name: &str, args: &mut [Expr], schema: &DFSchema) {
    let Some(arg) = args.first_mut() else { return };
    let Ok(DataType::Decimal128(digits, scale)) = arg.get_type(schema) else { return };
    let wider = match name {
        "median" => DataType::Float64,
        // The average has four digits more.
        "avg" if scale < AVERAGE_SCALE - 4 => {
            let more = AVERAGE_SCALE - 4 - scale;
            DataType::Decimal128(digits.saturating_add(more.unsigned_abs()).min(38), scale + more)
        }
        _ => return,
    };
    *arg = cast(arg.clone(), wider);
}

/// `exprs`, which are compared: decimals beside a float as floats.
fn of_floats(exprs: Vec<Expr>, schema: &DFSchema) -> Vec<Expr> {
    let is = |expr: &Expr, wanted: fn(&DataType) -> bool| expr.get_type(schema).is_ok_and(|kind| wanted(&kind));
    if !exprs.iter().any(|expr| is(expr, DataType::is_floating)) {
        return exprs;
    }
    let float = |expr| if is(&expr, DataType::is_decimal) { cast(expr, DataType::Float64) } else { expr };
    exprs.into_iter().map(float).collect()
}

/// `exprs`, one of which is chosen: unsigned 64-bit integers (ranks, lengths) beside signed ones as one type of integers, where
/// DataFusion makes decimals of both. Unsigned ones if the others are written numbers that are not negative.
fn of_integers(exprs: Vec<Expr>, schema: &DFSchema) -> Vec<Expr> {
    let Ok(kinds) = exprs.iter().map(|expr| expr.get_type(schema)).collect::<Result<Vec<DataType>>>() else {
        return exprs;
    };
    let mixed = kinds.contains(&DataType::UInt64) && kinds.iter().any(DataType::is_signed_integer);
    if !mixed || !kinds.iter().all(|kind| kind.is_integer() || kind.is_null()) {
        return exprs;
    }
    let fits = |(expr, kind): (&Expr, &DataType)| match expr {
        Expr::Literal(value, _) => value.cast_to(&DataType::UInt64).is_ok(),
        _ => !kind.is_signed_integer(),
    };
    let unsigned = exprs.iter().zip(&kinds).all(fits);
    let wanted = if unsigned { DataType::UInt64 } else { DataType::Int64 };
    let one = |(expr, kind): (Expr, DataType)| if kind == wanted { expr } else { cast(expr, wanted.clone()) };
    exprs.into_iter().zip(kinds).map(one).collect()
}

/// Digits behind the point of an average of decimals.
const AVERAGE_SCALE: i8 = 16;

fn operation(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    let (Ok(of_left), Ok(of_right)) = (left.get_type(schema), right.get_type(schema)) else {
        return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
    };
    let is_interval = |kind: &DataType| matches!(kind, DataType::Interval(_));
    let binary = |left: Expr, right: Expr| {
        Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))))
    };
    match (op, &of_left, &of_right) {
        (Operator::Plus | Operator::Minus, DataType::Date32, length) if is_interval(length) => {
            binary(cast(*left, timestamp_type()), *right)
        }
        (Operator::Plus, length, DataType::Date32) if is_interval(length) => {
            binary(*left, cast(*right, timestamp_type()))
        }
        (op, DataType::UInt64, other) if is_arithmetic(op) && (other.is_signed_integer() || op == Operator::Minus) => {
            let right = if *other == DataType::UInt64 { cast(*right, DataType::Int64) } else { *right };
            binary(cast(*left, DataType::Int64), right)
        }
        (op, other, DataType::UInt64) if is_arithmetic(op) && other.is_signed_integer() => {
            binary(*left, cast(*right, DataType::Int64))
        }
        (Operator::Divide, left_kind, right_kind) if left_kind.is_decimal() || right_kind.is_decimal() => {
            match (as_decimal(*left.clone(), left_kind), as_decimal(*right.clone(), right_kind)) {
                (Some(left), Some(right)) => Ok(Transformed::yes(functions::quotient(left, right))),
                _ => binary(*left, *right),
            }
        }
        (Operator::Plus | Operator::Minus | Operator::Multiply, left_kind, right_kind)
            if digits(op, left_kind, right_kind).is_some_and(|digits| digits > DIGITS_MAX) =>
        {
            let result = Expr::BinaryExpr(BinaryExpr { left, op, right });
            Ok(Transformed::yes(functions::fitting(result)))
        }
        (op, left_kind, right_kind) if is_comparison(op) && left_kind.is_decimal() && right_kind.is_floating() => {
            binary(cast(*left, DataType::Float64), *right)
        }
        (op, left_kind, right_kind) if is_comparison(op) && left_kind.is_floating() && right_kind.is_decimal() => {
            binary(*left, cast(*right, DataType::Float64))
        }
        _ => Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
    }
}

/// Whether `op` adds, subtracts, multiplies or divides.
pub(crate) fn is_arithmetic(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

/// Digits of a decimal.
const DIGITS_MAX: i16 = 38;

/// How many digits a sum, difference or product of exact numbers may have, one of which is a decimal.
fn digits(op: Operator, left: &DataType, right: &DataType) -> Option<i16> {
    let of = |kind: &DataType| match decimal_of(kind)? {
        DataType::Decimal128(digits, scale) => Some((i16::from(digits), i16::from(scale))),
        _ => None,
    };
    let ((left_digits, left_scale), (right_digits, right_scale)) = (of(left)?, of(right)?);
    if !left.is_decimal() && !right.is_decimal() {
        return None;
    }
    Some(match op {
        Operator::Multiply => left_digits + right_digits,
        _ => (left_digits - left_scale).max(right_digits - right_scale) + left_scale.max(right_scale) + 1,
    })
}

/// `op ANY` as the parser's own operator: what the notation of a comparison with a list's elements is translated to.
pub(crate) fn any_operator(op: &BinaryOperator) -> BinaryOperator {
    BinaryOperator::Custom(format!("{op} ANY"))
}

/// `value op ANY (list)`.
#[derive(Debug)]
pub(crate) struct Elements;

impl ExprPlanner for Elements {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        const COMPARISONS: [(BinaryOperator, Operator); 6] = [
            (BinaryOperator::Eq, Operator::Eq),
            (BinaryOperator::NotEq, Operator::NotEq),
            (BinaryOperator::Lt, Operator::Lt),
            (BinaryOperator::LtEq, Operator::LtEq),
            (BinaryOperator::Gt, Operator::Gt),
            (BinaryOperator::GtEq, Operator::GtEq),
        ];
        let compared = COMPARISONS.into_iter().find(|(op, _)| any_operator(op) == expr.op);
        match compared.and_then(|(_, op)| functions::any(op, expr.left.clone(), expr.right.clone())) {
            Some(found) => Ok(PlannerResult::Planned(found)),
            None => Ok(PlannerResult::Original(expr)),
        }
    }
}

/// Operators that DataFusion has no types for.
#[derive(Debug)]
pub(crate) struct Intervals;

impl ExprPlanner for Intervals {
    /// An interval times a number.
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let is_interval = |kind: &DataType| matches!(kind, DataType::Interval(_));
        let (interval, times, kind) = match (&expr.op, is_interval(&left), is_interval(&right)) {
            (BinaryOperator::Multiply | BinaryOperator::Divide, true, false) => (expr.left, expr.right, right),
            (BinaryOperator::Multiply, false, true) => (expr.right, expr.left, left),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        if expr.op != BinaryOperator::Multiply || !kind.is_integer() {
            return plan_err!(
                "an interval can only be multiplied by a whole number; \
                 write an interval of a smaller unit, such as INTERVAL '1 minute' * 90"
            );
        }
        Ok(PlannerResult::Planned(functions::multiple(interval, cast(times, DataType::Int64))))
    }
}

/// `expr` of the type `kind` as a decimal, if it is an exact number.
fn as_decimal(expr: Expr, kind: &DataType) -> Option<Expr> {
    let decimal = decimal_of(kind)?;
    Some(if decimal == *kind { expr } else { cast(expr, decimal) })
}

/// The decimals that hold all values of the type `kind`, if these are exact numbers.
fn decimal_of(kind: &DataType) -> Option<DataType> {
    let digits = match kind {
        DataType::Decimal128(..) => return Some(kind.clone()),
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 | DataType::UInt64 => 20,
        _ => return None,
    };
    Some(DataType::Decimal128(digits, 0))
}

/// `expr` of the type `kind` as `concat` writes it.
fn text(expr: Expr, kind: &DataType) -> Result<Expr> {
    Ok(match kind {
        DataType::Boolean | DataType::Float32 | DataType::Float64 => functions::text_of(expr),
        DataType::Timestamp(..) => functions::text_of(cast(expr, timestamp_type())),
        DataType::Interval(_) | DataType::Duration(_) => return no_text(),
        _ => expr,
    })
}

/// Intervals have no text.
pub(super) fn no_text<T>() -> Result<T> {
    plan_err!("an interval cannot be written as a text; write extract(epoch FROM …), its length in seconds")
}

//! `sum`, of whose integers the result is as wide as PostgreSQL's: of `BIGINT` it is a decimal of 38 digits, which no number of
//! rows exceeds; of narrower integers it is a `BIGINT`.
//!
//! To the planner every integer that a query writes down is a `BIGINT`, in SQL only one that needs more than 32 bits:
//! `sum(CASE WHEN … THEN 1 ELSE 0 END)` is a `BIGINT`. So a sum has a second argument where that matters, which nothing
//! computes: the first one with its literals as `INTEGER`, whose type is the one that SQL sees.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::tree_node::TreeNode;
use datafusion_common::{Result, ScalarValue, internal_err, plan_err};
use datafusion_expr::expr::{AggregateFunctionParams, Case, ScalarFunction, WindowFunctionParams};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawWindowExpr};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, BinaryExpr, Expr, Signature, Volatility, WindowFunctionDefinition,
};

use crate::rewrite::is_arithmetic;

/// The function's name.
const NAME: &str = "sum";

/// The type of a sum of 64-bit integers.
const WIDE: DataType = DataType::Decimal128(38, 0);

/// `function`, DataFusion's sum, with such results. For the planner: it has no accumulator.
pub(super) fn sum(function: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    if function.name() != NAME {
        return function;
    }
    Arc::new(AggregateUDF::from(Sum { function, signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    function: Arc<AggregateUDF>,
    signature: Signature,
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        NAME
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.function.schema_name(&as_written(params))
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.function.display_name(&as_written(params))
    }

    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.function.human_display(&as_written(params))
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.function.window_function_schema_name(&as_written_over(params))
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.function.window_function_display_name(&as_written_over(params))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let mut types = arguments.to_vec();
        match types.first_mut() {
            Some(first) if first.is_integer() => {}
            Some(first) => {
                let field: FieldRef = Arc::new(Field::new(NAME, first.clone(), true));
                let coerced = fields_with_udf(&[field], self.function.as_ref());
                let Ok([coerced]) = coerced.as_deref() else {
                    return plan_err!("it adds up numbers, not {first}; CAST(… AS type) makes one of another type");
                };
                *first = coerced.data_type().clone();
            }
            None => {}
        }
        Ok(types)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let is_narrow = |kind: &DataType| {
            kind.is_integer() && !matches!(kind, DataType::Int64 | DataType::UInt64) || kind.is_null()
        };
        match arguments {
            [first, ..] if first.is_integer() && is_narrow(first) => Ok(DataType::Int64),
            // Lengths of lists, which have no sign, beside integers that have one are decimals to the planner.
            [first, narrow] if (first.is_integer() || first.is_decimal()) && is_narrow(narrow) => Ok(DataType::Int64),
            [DataType::Int64, ..] => Ok(WIDE),
            [first, ..] => self.function.return_type(std::slice::from_ref(first)),
            [] => internal_err!("a sum has an argument"),
        }
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        internal_err!("this sum is the planner's")
    }

    fn state_fields(&self, _arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        internal_err!("this sum is the planner's")
    }
}

fn as_written(params: &AggregateFunctionParams) -> AggregateFunctionParams {
    let mut params = params.clone();
    params.args.truncate(1);
    params
}

fn as_written_over(params: &WindowFunctionParams) -> WindowFunctionParams {
    let mut params = params.clone();
    params.args.truncate(1);
    params
}

/// Gives sums their second argument.
#[derive(Debug)]
pub(crate) struct Sums;

impl ExprPlanner for Sums {
    fn plan_aggregate(&self, mut call: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        if call.func.name() == NAME {
            call.args = typed(call.args)?;
        }
        Ok(PlannerResult::Original(call))
    }

    fn plan_window(&self, mut call: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if matches!(&call.func_def, WindowFunctionDefinition::AggregateUDF(function) if function.name() == NAME) {
            call.args = typed(call.args)?;
        }
        Ok(PlannerResult::Original(call))
    }
}

fn typed(mut arguments: Vec<Expr>) -> Result<Vec<Expr>> {
    let [summed] = arguments.as_slice() else {
        return plan_err!("sum() takes one argument, not {}; add several up with +", arguments.len());
    };
    let of_subquery = |expr: &Expr| {
        Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)))
    };
    if !summed.exists(of_subquery)? {
        arguments.extend(narrowed(summed));
    }
    Ok(arguments)
}

/// `expr` with values of 32 bits in the place of integers that SQL knows as such; `None` if it has none.
fn narrowed(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) if i32::try_from(*number).is_ok() => Some(narrow()),
        Expr::Negative(inner) => narrowed(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_arithmetic(*op) => {
            let mut sides = some_narrowed(&[left.as_ref(), right.as_ref()])?.into_iter().map(Box::new);
            Some(Expr::BinaryExpr(BinaryExpr { left: sides.next()?, op: *op, right: sides.next()? }))
        }
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            let results = when_then_expr.iter().map(|(_, then)| then).chain(else_expr);
            let results: Vec<&Expr> = results.map(AsRef::as_ref).collect();
            let mut results = some_narrowed(&results)?;
            let otherwise = else_expr.as_ref().and_then(|_| results.pop()).map(Box::new);
            let branches = when_then_expr.iter().zip(results).map(|((when, _), then)| (when.clone(), Box::new(then)));
            Some(Expr::Case(Case { expr: expr.clone(), when_then_expr: branches.collect(), else_expr: otherwise }))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => match func.name() {
            "coalesce" | "greatest" | "least" | "nullif" | "abs" => {
                let args = some_narrowed(&args.iter().collect::<Vec<_>>())?;
                Some(Expr::ScalarFunction(ScalarFunction { func: func.clone(), args }))
            }
            "array_length" | "array_ndims" | "array_position" | "cardinality" => Some(narrow()),
            _ => None,
        },
        _ => None,
    }
}

/// A value of the type `INTEGER`.
fn narrow() -> Expr {
    Expr::Literal(ScalarValue::Int32(None), None)
}

/// `exprs` narrowed as far as they can be; `None` if none can.
fn some_narrowed(exprs: &[&Expr]) -> Option<Vec<Expr>> {
    let narrowed: Vec<Option<Expr>> = exprs.iter().map(|expr| narrowed(expr)).collect();
    let is_any = narrowed.iter().any(Option::is_some);
    let all = narrowed.into_iter().zip(exprs).map(|(narrowed, expr)| narrowed.unwrap_or_else(|| (*expr).clone()));
    is_any.then(|| all.collect())
}

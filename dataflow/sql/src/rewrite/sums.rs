//! Which sums are of numbers that SQL knows as `INTEGER`s.
//!
//! To the planner every integer that a query writes down is a `BIGINT`, in SQL only one that needs more than 32 bits, and so
//! is what is computed of it: `sum(flag)` of `CASE WHEN … THEN 1 ELSE 0 END AS flag` in a derived table is a `BIGINT`. Here a
//! sum gets a second argument where that matters, which nothing computes: the first one with an `INTEGER` for each such
//! number, whose type is the one that SQL sees. What a view gives is a `BIGINT` to those who read it.

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion_expr::expr::{AggregateFunction, Case, ScalarFunction};
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, WindowFunctionDefinition};
use datafusion_optimizer::analyzer::type_coercion::TypeCoercionRewriter;

use super::is_arithmetic;
use crate::functions::{SUM, is_narrow};

/// `plan` with the types of its sums.
///
/// # Errors
/// If a sum has not one argument.
pub(super) fn typed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        // What stands below may have got another type.
        let node = super::outer::typed(super::retyped(node)?)?;
        if !matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) {
            return Ok(Transformed::no(node));
        }
        let scope = Scope::above(&node);
        super::with_expressions(node, |expr| summed(expr, &scope))
    })?;
    Ok(plan.data)
}

fn summed(mut expr: Expr, scope: &Scope) -> Result<Transformed<Expr>> {
    let args = match &mut expr {
        Expr::AggregateFunction(AggregateFunction { func, params }) if func.name() == SUM => &mut params.args,
        Expr::WindowFunction(window) => match &window.fun {
            WindowFunctionDefinition::AggregateUDF(func) if func.name() == SUM => &mut window.params.args,
            _ => return Ok(Transformed::no(expr)),
        },
        _ => return Ok(Transformed::no(expr)),
    };
    let [argument] = args.as_slice() else {
        return plan_err!("sum() takes one argument, not {}; add several up with +", args.len());
    };
    let of_subquery = |expr: &Expr| {
        Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)))
    };
    if argument.exists(of_subquery)? {
        return Ok(Transformed::no(expr));
    }
    match scope.narrowed(argument) {
        Some(narrowed) => {
            args.push(narrowed);
            Ok(Transformed::yes(expr))
        }
        None => Ok(Transformed::no(expr)),
    }
}

/// What expressions of a node may name.
struct Scope {
    schema: DFSchema,
    /// Whether SQL knows a column as an `INTEGER` that is a wider one here, by place.
    narrow: Vec<bool>,
}

impl Scope {
    /// Of the expressions of `node`.
    fn above(node: &LogicalPlan) -> Scope {
        let narrow = node.inputs().into_iter().flat_map(narrow_columns).collect();
        Scope { schema: merge_schema(&node.inputs()), narrow }
    }

    /// Whether `expr` is an `INTEGER` to SQL and not here.
    fn is_narrow(&self, expr: &Expr) -> bool {
        let Some(narrowed) = self.narrowed(expr) else { return false };
        let coerced = narrowed.rewrite(&mut TypeCoercionRewriter::new(&self.schema));
        let kind = coerced.and_then(|coerced| coerced.data.get_type(&self.schema));
        kind.is_ok_and(|kind| is_narrow(&kind))
    }

    /// `expr` with values of 32 bits in the place of integers that SQL knows as such; `None` if it has none.
    fn narrowed(&self, expr: &Expr) -> Option<Expr> {
        match expr {
            Expr::Literal(ScalarValue::Int64(Some(number)), _) if i32::try_from(*number).is_ok() => Some(narrow()),
            Expr::Column(column) => {
                let place = self.schema.maybe_index_of_column(column)?;
                self.narrow.get(place).copied().unwrap_or(false).then(narrow)
            }
            Expr::Alias(alias) => self.narrowed(&alias.expr),
            Expr::Negative(inner) => self.narrowed(inner),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_arithmetic(*op) => {
                let mut sides = self.some_narrowed(&[left.as_ref(), right.as_ref()])?.into_iter().map(Box::new);
                Some(Expr::BinaryExpr(BinaryExpr { left: sides.next()?, op: *op, right: sides.next()? }))
            }
            Expr::Case(Case { expr, when_then_expr, else_expr }) => {
                let results = when_then_expr.iter().map(|(_, then)| then).chain(else_expr);
                let results: Vec<&Expr> = results.map(AsRef::as_ref).collect();
                let mut results = self.some_narrowed(&results)?;
                let otherwise = else_expr.as_ref().and_then(|_| results.pop()).map(Box::new);
                let branches =
                    when_then_expr.iter().zip(results).map(|((when, _), then)| (when.clone(), Box::new(then)));
                Some(Expr::Case(Case { expr: expr.clone(), when_then_expr: branches.collect(), else_expr: otherwise }))
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) => match func.name() {
                "coalesce" | "greatest" | "least" | "nullif" | "abs" => {
                    let args = self.some_narrowed(&args.iter().collect::<Vec<_>>())?;
                    Some(Expr::ScalarFunction(ScalarFunction { func: func.clone(), args }))
                }
                "array_length" | "array_ndims" | "array_position" | "cardinality" => Some(narrow()),
                _ => None,
            },
            // The least and the greatest are some of the values.
            Expr::AggregateFunction(call) if matches!(call.func.name(), "min" | "max") => {
                self.narrowed(call.params.args.first()?)
            }
            Expr::WindowFunction(call) if matches!(call.fun.name(), "min" | "max") => {
                self.narrowed(call.params.args.first()?)
            }
            _ => None,
        }
    }

    /// `exprs` narrowed as far as they can be; `None` if none can.
    fn some_narrowed(&self, exprs: &[&Expr]) -> Option<Vec<Expr>> {
        let narrowed: Vec<Option<Expr>> = exprs.iter().map(|expr| self.narrowed(expr)).collect();
        let is_any = narrowed.iter().any(Option::is_some);
        let all = narrowed.into_iter().zip(exprs).map(|(narrowed, expr)| narrowed.unwrap_or_else(|| (*expr).clone()));
        is_any.then(|| all.collect())
    }
}

/// Whether SQL knows a column of `plan` as an `INTEGER` that is a wider one here, by place.
fn narrow_columns(plan: &LogicalPlan) -> Vec<bool> {
    let of_all = |exprs: &mut dyn Iterator<Item = &Expr>| -> Vec<bool> {
        let scope = Scope::above(plan);
        exprs.map(|expr| scope.is_narrow(expr)).collect()
    };
    let mut narrow = match plan {
        LogicalPlan::Projection(projection) => of_all(&mut projection.expr.iter()),
        LogicalPlan::Aggregate(aggregate) => of_all(&mut aggregate.group_expr.iter().chain(&aggregate.aggr_expr)),
        LogicalPlan::Window(window) => {
            let mut narrow = narrow_columns(&window.input);
            narrow.extend(of_all(&mut window.window_expr.iter()));
            narrow
        }
        LogicalPlan::Values(values) => {
            // A column's type is the widest of its rows.
            let columns = 0..plan.schema().fields().len();
            columns.map(|place| values.values.iter().all(|row| row.get(place).is_some_and(is_written))).collect()
        }
        LogicalPlan::Union(union) => {
            let inputs: Vec<Vec<bool>> = union.inputs.iter().map(|input| narrow_columns(input)).collect();
            let is_null = |input: usize, place: usize| union.inputs[input].schema().field(place).data_type().is_null();
            let kind = |input: usize, place: usize| is_narrow(union.inputs[input].schema().field(place).data_type());
            let columns = 0..plan.schema().fields().len();
            columns
                .map(|place| {
                    let all = 0..inputs.len();
                    let fits = |input: usize| inputs[input][place] || kind(input, place);
                    all.clone().all(fits) && !all.clone().all(|input| is_null(input, place))
                })
                .collect()
        }
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Join(_) => plan.inputs().into_iter().flat_map(narrow_columns).collect(),
        _ => Vec::new(),
    };
    narrow.resize(plan.schema().fields().len(), false);
    narrow
}

/// Whether `expr` is a number as the query writes it, and an `INTEGER`, or null.
fn is_written(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => {
            value.is_null() || matches!(value, ScalarValue::Int64(Some(number)) if i32::try_from(*number).is_ok())
        }
        Expr::Negative(inner) => is_written(inner),
        _ => false,
    }
}

/// A value of the type `INTEGER`.
fn narrow() -> Expr {
    Expr::Literal(ScalarValue::Int32(None), None)
}

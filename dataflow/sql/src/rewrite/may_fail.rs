//! Whether computing an expression may fail for some row.
//!
//! A predicate that may fail is not moved in front of another, nor below a join: rows that the query excludes must not
//! become rejects.

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_common::Result;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF};

use super::functions::is_total;
use crate::functions;

/// Whether computing `expr` over rows of `schema` may fail for some row. Errs on the side of yes.
pub(crate) fn may_fail(expr: &Expr, schema: &DFSchema) -> bool {
    let mut fails = false;
    let walked = expr.apply(|node| {
        fails |= node_may_fail(node, schema)?;
        Ok(if fails { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    fails || walked.is_err()
}

/// Whether the column `column` of `plan` may fail for some row. Errs on the side of yes. A row that fails is missing from the
/// view, whether a reader wants the column or not: who else reads the view never changes an answer.
pub(crate) fn column_may_fail(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_) | LogicalPlan::Extension(_) => false,
        LogicalPlan::SubqueryAlias(alias) => column_may_fail(&alias.input, column),
        LogicalPlan::Projection(projection) => computed_may_fail(&projection.expr[column], &projection.input),
        LogicalPlan::Filter(filter) => column_may_fail(&filter.input, column),
        LogicalPlan::Sort(sort) => column_may_fail(&sort.input, column),
        LogicalPlan::Limit(limit) => column_may_fail(&limit.input, column),
        LogicalPlan::Distinct(Distinct::All(input)) => column_may_fail(input, column),
        LogicalPlan::Union(union) => union.inputs.iter().any(|input| column_may_fail(input, column)),
        LogicalPlan::Unnest(unnest) => {
            let of = unnest.dependency_indices.get(column);
            of.is_none_or(|column| column_may_fail(&unnest.input, *column))
        }
        LogicalPlan::Window(window) => match column.checked_sub(window.input.schema().fields().len()) {
            None => column_may_fail(&window.input, column),
            Some(function) => computed_may_fail(&window.window_expr[function], &window.input),
        },
        LogicalPlan::Aggregate(aggregate) => {
            let mut columns = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            columns.nth(column).is_none_or(|expr| computed_may_fail(expr, &aggregate.input))
        }
        LogicalPlan::Join(join) => match column.checked_sub(join.left.schema().fields().len()) {
            None => column_may_fail(&join.left, column),
            Some(column) => column_may_fail(&join.right, column),
        },
        _ => true,
    }
}

/// Whether `expr` over the output of `plan` may fail for some row, or something that it is made of.
fn computed_may_fail(expr: &Expr, plan: &LogicalPlan) -> bool {
    let one_row_at_most = |expr: &Expr| Ok(matches!(expr, Expr::ScalarSubquery(_)));
    may_fail(expr, plan.schema())
        || expr.exists(one_row_at_most).unwrap_or(true)
        || expr
            .column_refs()
            .into_iter()
            .any(|column| plan.schema().index_of_column(column).map_or(true, |column| column_may_fail(plan, column)))
}

fn node_may_fail(node: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(match node {
        Expr::ScalarFunction(function) => function_may_fail(&function.func),
        Expr::HigherOrderFunction(_) | Expr::Unnest(_) | Expr::SimilarTo(_) => true,
        Expr::Cast(cast) => cast_may_fail(&cast.expr.get_type(schema)?, cast.field.data_type()),
        Expr::Negative(inner) => negation_may_fail(&inner.get_type(schema)?),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let is_constant = matches!(right.as_ref(), Expr::Literal(..));
            operator_may_fail(*op, &left.get_type(schema)?, &right.get_type(schema)?, is_constant)
        }
        _ => false,
    })
}

/// Whether a function may fail for some values.
pub(crate) fn function_may_fail(function: &ScalarUDF) -> bool {
    functions::may_fail(function.name()) && !is_total(function)
}

/// Whether an operator may fail for some values of the types `left` and `right`; `is_constant` of the right one. A pattern that
/// is a row's may be none.
pub(crate) fn operator_may_fail(op: Operator, left: &DataType, right: &DataType, is_constant: bool) -> bool {
    match op {
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
            !(left.is_floating() && right.is_floating())
        }
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => {
            !is_constant
        }
        Operator::StringConcat => false,
        op => !(op.supports_propagation() || op.is_logic_operator()),
    }
}

/// Whether the negation of some value may fail.
pub(crate) fn negation_may_fail(of: &DataType) -> bool {
    !of.is_floating()
}

/// Whether a cast may fail for some value; times are of the years 1 to 9999.
pub(crate) fn cast_may_fail(from: &DataType, to: &DataType) -> bool {
    if from == to || from.is_null() {
        return false;
    }
    match to {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => from.is_nested(),
        DataType::Float64 => !from.is_numeric(),
        DataType::Float32 => !from.is_integer(),
        DataType::Int64 => !matches!(
            from,
            DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::UInt8
                | DataType::UInt16
                | DataType::UInt32
                | DataType::Boolean
        ),
        DataType::Int32 => !matches!(from, DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16),
        DataType::Date32 => !matches!(from, DataType::Timestamp(..)),
        DataType::Decimal128(precision, scale) => {
            let digits = match from {
                DataType::Int8 | DataType::UInt8 => 3,
                DataType::Int16 | DataType::UInt16 => 5,
                DataType::Int32 | DataType::UInt32 => 10,
                DataType::Int64 | DataType::UInt64 => 20,
                DataType::Decimal128(from, known) if known <= scale => i16::from(*from) - i16::from(*known),
                _ => return true,
            };
            i16::from(*precision) - i16::from(*scale) < digits
        }
        DataType::Dictionary(_, values) => cast_may_fail(from, values),
        _ => true,
    }
}

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

/// Which columns of `plan` may fail for some row. Errs on the side of yes. A row that fails is missing from the view, whether
/// a reader wants the column or not: who else reads the view never changes an answer.
///
/// Each node is looked at once, however many of its columns are made of one.
pub(crate) fn columns_that_may_fail(plan: &LogicalPlan) -> Vec<bool> {
    let width = plan.schema().fields().len();
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_) | LogicalPlan::Extension(_) => vec![false; width],
        LogicalPlan::SubqueryAlias(alias) => columns_that_may_fail(&alias.input),
        LogicalPlan::Filter(filter) => columns_that_may_fail(&filter.input),
        LogicalPlan::Sort(sort) => columns_that_may_fail(&sort.input),
        LogicalPlan::Limit(limit) => columns_that_may_fail(&limit.input),
        LogicalPlan::Distinct(Distinct::All(input)) => columns_that_may_fail(input),
        LogicalPlan::Projection(projection) => {
            let inner = columns_that_may_fail(&projection.input);
            computed(&projection.expr, &projection.input, &inner).collect()
        }
        LogicalPlan::Union(union) => {
            let inputs: Vec<Vec<bool>> = union.inputs.iter().map(|input| columns_that_may_fail(input)).collect();
            (0..width).map(|column| inputs.iter().any(|input| input[column])).collect()
        }
        LogicalPlan::Unnest(unnest) => {
            let inner = columns_that_may_fail(&unnest.input);
            unnest.dependency_indices.iter().map(|column| inner[*column]).collect()
        }
        LogicalPlan::Window(window) => {
            let inner = columns_that_may_fail(&window.input);
            let functions: Vec<bool> = computed(&window.window_expr, &window.input, &inner).collect();
            inner.into_iter().chain(functions).collect()
        }
        LogicalPlan::Aggregate(aggregate) => {
            let inner = columns_that_may_fail(&aggregate.input);
            let exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            let mut columns: Vec<bool> = computed(exprs, &aggregate.input, &inner).collect();
            columns.resize(width, true);
            columns
        }
        LogicalPlan::Join(join) => {
            let sides = [&join.left, &join.right].map(|side| columns_that_may_fail(side));
            let columns = sides.concat();
            if columns.len() == width { columns } else { vec![columns.contains(&true); width] }
        }
        _ => vec![true; width],
    }
}

/// Which of `exprs` over the output of `plan`, of which the columns `inner` may fail, may fail.
fn computed<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    plan: &LogicalPlan,
    inner: &[bool],
) -> impl Iterator<Item = bool> {
    let one_row_at_most = |expr: &Expr| Ok(matches!(expr, Expr::ScalarSubquery(_)));
    let schema = plan.schema();
    exprs.into_iter().map(move |expr| {
        let mut columns = expr.column_refs().into_iter().map(|column| schema.index_of_column(column));
        may_fail(expr, schema)
            || expr.exists(one_row_at_most).unwrap_or(true)
            || columns.any(|column| column.map_or(true, |column| inner[column]))
    })
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

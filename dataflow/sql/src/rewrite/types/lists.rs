//! Functions of lists that mean something else in PostgreSQL, and comparisons with their elements.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field};
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::type_coercion::binary::comparison_coercion;
use datafusion_expr::{Expr, cast, lit, when};

use crate::catalog::timestamp_type;
use crate::rewrite::functions;

/// What `function`, whose arguments are of `types`, means; `None` if DataFusion means the same.
pub(super) fn function(function: &ScalarFunction, types: &[DataType]) -> Result<Option<Expr>> {
    let args = || function.args.clone();
    let all = |func| Some(Expr::ScalarFunction(ScalarFunction::new_udf(func, args())));
    let is_list =
        matches!(types.first(), Some(DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)));
    Ok(match (function.func.name(), function.args.as_slice()) {
        ("array_remove", [list, value]) => match comparable(&types[1], &types[0]) {
            Some(kind) => {
                Some(functions::without(elements_as(list, &types[0], &kind), as_type(value, &types[1], &kind)))
            }
            None => all(datafusion_functions_nested::remove::array_remove_all_udf()),
        },
        (functions::ANY, [op, value, list]) => {
            let Some(kind) = comparable(&types[1], &types[2]) else {
                return plan_err!(
                    "ANY and ALL compare a value with the elements of a list, not {} with {}; write ARRAY[…]",
                    types[1],
                    types[2]
                );
            };
            let args = vec![op.clone(), as_type(value, &types[1], &kind), elements_as(list, &types[2], &kind)];
            Some(Expr::ScalarFunction(ScalarFunction::new_udf(function.func.clone(), args)))
        }
        ("array_replace", [_, _, _]) => all(datafusion_functions_nested::replace::array_replace_all_udf()),
        ("array_length" | "array_ndims", [list, ..]) => {
            // An empty list has no dimension, and no length in any.
            let empty = Expr::ScalarFunction(ScalarFunction::new_udf(
                datafusion_functions_nested::cardinality::cardinality_udf(),
                vec![list.clone()],
            ));
            let some = empty.gt(lit(0_u64));
            Some(when(some, Expr::ScalarFunction(function.clone())).end()?)
        }
        ("array_element", [_, Expr::Literal(place, _)]) if is_list => match place.cast_to(&DataType::Int64)? {
            ScalarValue::Int64(Some(place)) if place < 1 => {
                let nothing = function.args[0].clone();
                Some(Expr::ScalarFunction(ScalarFunction::new_udf(
                    function.func.clone(),
                    vec![nothing, Expr::Literal(ScalarValue::Int64(None), None)],
                )))
            }
            _ => None,
        },
        ("array_element", [_, place]) if is_list => {
            Some(when(place.clone().gt(lit(0_i64)), Expr::ScalarFunction(function.clone())).end()?)
        }
        _ => None,
    })
}

/// The type in which a value of the type `value` is compared with the elements of a list of the type `list`; `None` if that is
/// no list, or they cannot be compared.
fn comparable(value: &DataType, list: &DataType) -> Option<DataType> {
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) = list else {
        return None;
    };
    let item = item.data_type();
    let kind = match (value, item) {
        (value, item) if value.is_null() => item.clone(),
        (value, item) if item.is_null() => value.clone(),
        (DataType::Timestamp(..), _) | (_, DataType::Timestamp(..)) => timestamp_type(),
        (value, item) if value.is_decimal() && item.is_floating() || value.is_floating() && item.is_decimal() => {
            DataType::Float64
        }
        (value, item) => comparison_coercion(value, item)?,
    };
    let is_plain = !kind.is_nested() && !matches!(kind, DataType::Interval(_) | DataType::Duration(_) | DataType::Null);
    is_plain.then_some(kind)
}

fn as_type(expr: &Expr, from: &DataType, to: &DataType) -> Expr {
    if from == to { expr.clone() } else { cast(expr.clone(), to.clone()) }
}

/// `list`, of the type `from`, with elements of the type `to`.
fn elements_as(list: &Expr, from: &DataType, to: &DataType) -> Expr {
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) = from else {
        return list.clone();
    };
    as_type(list, from, &DataType::List(Arc::new(Field::new(item.name(), to.clone(), true))))
}

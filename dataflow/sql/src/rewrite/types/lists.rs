//! Functions of lists that mean something else in PostgreSQL.

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr, lit, when};

/// What `function`, whose arguments are of `types`, means; `None` if DataFusion means the same.
pub(super) fn function(function: &ScalarFunction, types: &[DataType]) -> Result<Option<Expr>> {
    let args = || function.args.clone();
    let all = |func| Some(Expr::ScalarFunction(ScalarFunction::new_udf(func, args())));
    let is_list =
        matches!(types.first(), Some(DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)));
    Ok(match (function.func.name(), function.args.as_slice()) {
        ("array_remove", [_, _]) => all(datafusion_functions_nested::remove::array_remove_all_udf()),
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

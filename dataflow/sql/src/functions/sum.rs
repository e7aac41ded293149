//! `sum`, of whose integers the result is as wide as PostgreSQL's: of `BIGINT` it is a decimal of 38 digits, which no number of
//! rows exceeds; of narrower integers it is a `BIGINT`.
//!
//! A sum has a second argument where the planner's type of the first one is not SQL's (`sums` in [`crate::rewrite`]): nothing
//! computes it, its type is the one that SQL sees.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, internal_err, plan_err};
use datafusion_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// The function's name.
pub(crate) const NAME: &str = "sum";

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
            Some(first) if first.is_null() => *first = DataType::Int64,
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
        match arguments {
            [first, ..] if first.is_integer() && is_narrow(first) => Ok(DataType::Int64),
            // Lengths of lists, which have no sign, beside integers that have one are decimals to the planner.
            [first, narrow] if (first.is_integer() || first.is_decimal()) && is_narrow(narrow) => Ok(DataType::Int64),
            // A null's type may come from what stands beside it in a union.
            [DataType::Int64 | DataType::Null, ..] => Ok(WIDE),
            [first, ..] => self.function.return_type(std::slice::from_ref(first)),
            [] => plan_err!("sum() takes one argument, not 0; count(*) counts rows"),
        }
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        internal_err!("this sum is the planner's")
    }

    fn state_fields(&self, _arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        internal_err!("this sum is the planner's")
    }
}

/// Whether a sum of values of the type `kind` has 64 bits.
pub(crate) fn is_narrow(kind: &DataType) -> bool {
    kind.is_integer() && !matches!(kind, DataType::Int64 | DataType::UInt64) || kind.is_null()
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

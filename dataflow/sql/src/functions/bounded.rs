//! A function of DataFusion's whose result is bounded: [`Limit`] is checked, then the function runs. Where the function takes
//! an argument amiss, it is put right first.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, AsArray, BooleanArray, Int64Array, new_empty_array};
use catchment_contract::arrow::buffer::NullBuffer;
use catchment_contract::arrow::compute::nullif;
use catchment_contract::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::limits::Limit;

/// `function` with `limit`.
pub(super) fn bounded(function: Arc<ScalarUDF>, limit: Limit) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Bounded { function, limit }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    limit: Limit,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.inner().return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if self.limit == Limit::Order && arguments.scalar_arguments[1..].iter().any(Option::is_none) {
            return plan_err!("the order of {}() must be a constant; write 'ASC' or 'DESC'", self.name());
        }
        self.function.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arguments)
    }

    fn simplify(&self, arguments: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.function.simplify(arguments, info)
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.limit == Limit::Rows && arguments.number_rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(arguments.return_type())));
        }
        if let (Limit::Pad, [_, length, ..]) = (self.limit, arguments.args.as_mut_slice()) {
            *length = at_least_zero(length)?;
        }
        if self.limit == Limit::Pad && arguments.number_rows == 1 && has_null(&arguments.args) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(arguments.return_type())?));
        }
        self.limit.check(self.name(), &arguments)?;
        if self.limit != Limit::Pairs {
            return self.function.invoke_with_args(arguments);
        }
        let (rows, given) = (arguments.number_rows, arguments.args.clone());
        null_of_null(self.function.invoke_with_args(arguments)?, &given, rows)
    }
}

/// Lengths without negative ones: to SQL these are 0, to the function a panic.
fn at_least_zero(length: &ColumnarValue) -> Result<ColumnarValue> {
    Ok(match length {
        ColumnarValue::Scalar(ScalarValue::Int64(Some(length))) => {
            ColumnarValue::Scalar(ScalarValue::Int64(Some(0.max(*length))))
        }
        ColumnarValue::Array(lengths) if *lengths.data_type() == DataType::Int64 => {
            let lengths: Int64Array = lengths.as_primitive::<Int64Type>().unary(|length| 0.max(length));
            ColumnarValue::Array(Arc::new(lengths))
        }
        other => other.clone(),
    })
}

/// `result`, null in rows in which an argument is: the function makes false of two lists that are null.
fn null_of_null(result: ColumnarValue, arguments: &[ColumnarValue], rows: usize) -> Result<ColumnarValue> {
    let nulls = arguments.iter().map(|argument| Ok(argument.to_array(rows)?.logical_nulls()));
    let nulls = nulls.collect::<Result<Vec<_>>>()?;
    let Some(nulls) = nulls.iter().fold(None, |all, nulls| NullBuffer::union(all.as_ref(), nulls.as_ref())) else {
        return Ok(result);
    };
    let is_null = BooleanArray::new(!nulls.inner(), None);
    Ok(ColumnarValue::Array(nullif(&result.into_array(rows)?, &is_null)?))
}

/// Whether the only row of `arguments` has a null among them.
fn has_null(arguments: &[ColumnarValue]) -> bool {
    arguments.iter().any(|argument| match argument {
        ColumnarValue::Array(array) => array.is_null(0),
        ColumnarValue::Scalar(value) => value.is_null(),
    })
}

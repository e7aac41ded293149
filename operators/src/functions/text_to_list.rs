//! The `ScalarUDF` around a function from one text to a list of texts: signature, types, scalars and errors.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use catchment_contract::arrow::compute::cast;
use catchment_contract::arrow::datatypes::{DataType, Field, FieldRef};
use catchment_contract::{Error, Result};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The element of every list that these functions return: `item`, `Utf8View`, nullable as in DataFusion's own lists
/// (though no element is ever null).
pub(super) fn item_field() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Utf8View, true))
}

/// `text` as views: a cast for the other string types and for dictionaries, a cheap clone for views themselves.
pub(super) fn views(name: &str, text: &ArrayRef) -> Result<StringViewArray> {
    if let Some(views) = text.as_string_view_opt() {
        return Ok(views.clone());
    }
    let cast = cast(text, &DataType::Utf8View).map_err(|error| {
        Error::bug(format!("{name}() cannot read a column of type {}", text.data_type())).with_source(error)
    })?;
    Ok(cast.as_string_view().clone())
}

/// A function from one text to a list of texts. Two are the same if their names are.
#[derive(Debug)]
pub(super) struct TextToList {
    name: &'static str,
    signature: Signature,
    evaluate: fn(&ArrayRef) -> Result<ArrayRef>,
}

impl TextToList {
    /// The function `name`, computed by `evaluate`: a list column as long as its argument.
    pub(super) fn udf(name: &'static str, evaluate: fn(&ArrayRef) -> Result<ArrayRef>) -> Arc<ScalarUDF> {
        let signature = Signature::exact(vec![DataType::Utf8View], Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(TextToList { name, signature, evaluate }))
    }
}

impl PartialEq for TextToList {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TextToList {}

impl Hash for TextToList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for TextToList {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> datafusion_common::Result<DataType> {
        Ok(DataType::List(item_field()))
    }

    /// A null text gives a null list and no other text does.
    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> datafusion_common::Result<ColumnarValue> {
        let evaluate = |text: &ArrayRef| (self.evaluate)(text).map_err(|e| DataFusionError::External(Box::new(e)));
        match arguments.args.as_slice() {
            [ColumnarValue::Array(text)] => Ok(ColumnarValue::Array(evaluate(text)?)),
            [ColumnarValue::Scalar(text)] => {
                let list = evaluate(&text.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&list, 0)?))
            }
            other => datafusion_common::exec_err!("{}() takes one text, not {} arguments", self.name, other.len()),
        }
    }
}

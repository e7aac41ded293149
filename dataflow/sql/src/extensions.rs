//! What a program adds to the SQL of its jobs: functions and operators of its own.
//!
//! A *function* is computed from the values of one row, on columns. It must depend on them alone; a row for which it fails
//! becomes a reject.
//!
//! An *operator* is a relation that code computes from other relations of the job, as a stream of updates: what SQL cannot
//! say, or not fast enough. It is there for the job's views and sinks as soon as the relations that it reads are declared.
//! What it is asked to do is what every operator of catchment does: at each epoch the sum of its output's updates is the
//! answer over the sum of its inputs' updates, so it takes back what it said when a row that it read is retracted. The
//! pieces in `catchment_operators` do so: `reduce` recomputes any function of a group's rows, and `drive` runs a
//! `Logic` of one's own.
//!
//! An operator has a *version*: tables that are made of it belong to one, as they belong to the text of a view. Change it
//! when the operator's answer changes.

use std::fmt;
use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef};
use catchment_contract::arrow::datatypes::{DataType, SchemaRef};
use catchment_contract::{Epoch, Error, Result};
use catchment_engine::UpdateStream;
use datafusion_common::{DataFusionError, exec_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use timely::dataflow::Scope;

/// Functions and operators of one's own; see the module's documentation.
#[derive(Clone, Default)]
pub struct Extensions {
    pub(crate) functions: Vec<Arc<ScalarUDF>>,
    pub(crate) operators: Vec<Arc<Operator>>,
}

/// What an operator reads and yields.
#[derive(Clone, Debug)]
pub struct OperatorSpec {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) inputs: Vec<(String, Vec<String>)>,
    pub(crate) schema: SchemaRef,
    pub(crate) key: Option<Vec<usize>>,
    pub(crate) append_only: bool,
}

/// Makes the operator's stream of its inputs' streams, once on every worker; in the order of [`OperatorSpec::reads`], each
/// with exactly the columns that it names, strings as `Utf8View`. Rows are spread over the workers anyhow and nothing is
/// consolidated. The output has the declared columns, at the epochs of the input that they follow from.
pub type Build = dyn for<'s> Fn(Scope<'s, Epoch>, Vec<UpdateStream<'s>>) -> UpdateStream<'s> + Send + Sync;

/// An operator of one's own.
pub struct Operator {
    pub(crate) spec: OperatorSpec,
    pub(crate) build: Box<Build>,
}

impl Extensions {
    /// Nothing is added.
    pub fn new() -> Self {
        Extensions::default()
    }

    /// Adds the function `name`. `logic` gets a column of each of the types `arguments`, all of one length, strings as
    /// `Utf8View` if that is what is asked for, and returns a column of that length and of the type `result`. It may get
    /// values that no row of the result has. Tables in a lake are not told when its code changes: give it another name if it
    /// answers differently.
    pub fn function(
        &mut self,
        name: &str,
        arguments: &[DataType],
        result: DataType,
        logic: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> &mut Self {
        let signature = match arguments {
            [] => Signature::nullary(Volatility::Immutable),
            types => Signature::exact(types.to_vec(), Volatility::Immutable),
        };
        let function = Function { name: name.to_string(), signature, result, logic: Logic(Arc::new(logic)) };
        self.udf(ScalarUDF::from(function))
    }

    /// Adds a scalar function as DataFusion has them. It must be immutable.
    pub fn udf(&mut self, function: ScalarUDF) -> &mut Self {
        self.functions.push(Arc::new(function));
        self
    }

    /// Adds the relation that `spec` describes and `build` makes.
    pub fn operator(
        &mut self,
        spec: OperatorSpec,
        build: impl for<'s> Fn(Scope<'s, Epoch>, Vec<UpdateStream<'s>>) -> UpdateStream<'s> + Send + Sync + 'static,
    ) -> &mut Self {
        self.operators.push(Arc::new(Operator { spec, build: Box::new(build) }));
        self
    }
}

impl OperatorSpec {
    /// The relation `name` with the columns `schema` (strings `Utf8View`, instants `Timestamp(µs, "UTC")`), computed by the
    /// code of `version`.
    pub fn new(name: &str, version: &str, schema: SchemaRef) -> Self {
        let (name, version) = (name.to_string(), version.to_string());
        OperatorSpec { name, version, inputs: Vec::new(), schema, key: None, append_only: false }
    }

    /// It reads the columns `columns` of `relation`, a source or a view of the job; one more input.
    pub fn reads(mut self, relation: &str, columns: &[&str]) -> Self {
        self.inputs.push((relation.to_string(), columns.iter().map(|column| column.to_string()).collect()));
        self
    }

    /// The values of the columns `key`, positions in the schema, are unique together at every epoch.
    pub fn key(mut self, key: &[usize]) -> Self {
        self.key = Some(key.to_vec());
        self
    }

    /// It never retracts a row.
    pub fn append_only(mut self) -> Self {
        self.append_only = true;
        self
    }
}

impl Operator {
    /// Whether the operator can be part of a job.
    ///
    /// # Errors
    /// If its name is none that SQL finds, or its key names a column that it has not.
    pub(crate) fn check(&self) -> Result<()> {
        check_name("operator", &self.spec.name)?;
        let OperatorSpec { name, schema, key, .. } = &self.spec;
        let columns = schema.fields().len();
        if key.iter().flatten().any(|column| *column >= columns) || columns == 0 {
            return Err(Error::user(format!("the key of operator \"{name}\" names a column beyond its {columns}"))
                .with_hint("give the key as positions in the schema, the first of which is 0"));
        }
        Ok(())
    }
}

/// Unquoted names in SQL are lower-cased: another one would never be found.
pub(crate) fn check_name(kind: &str, name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(plain) && name.starts_with(|c: char| !c.is_ascii_digit()) {
        return Ok(());
    }
    Err(Error::user(format!("{kind} \"{name}\" cannot be referred to in SQL by that name"))
        .with_hint("use lower-case letters, digits and \"_\", not starting with a digit"))
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operator").field(&self.spec).finish()
    }
}

/// A function's code: its arguments' columns to its result's.
type OverColumns = dyn Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync;

/// A function's code as part of a plan. Two are the same if they are one.
#[derive(Clone)]
struct Logic(Arc<OverColumns>);

/// A scalar function made of code over columns.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    name: String,
    signature: Signature,
    result: DataType,
    logic: Logic,
}

impl fmt::Debug for Logic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logic")
    }
}

impl PartialEq for Logic {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Logic {}

impl std::hash::Hash for Logic {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<()>().hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> datafusion_common::Result<DataType> {
        Ok(self.result.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> datafusion_common::Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let columns = arguments.args.into_iter().map(|argument| argument.into_array(rows));
        let columns: Vec<ArrayRef> = columns.collect::<datafusion_common::Result<_>>()?;
        let made = (self.logic.0)(&columns).map_err(|error| DataFusionError::Execution(error.chain()))?;
        if made.len() != rows || *made.data_type() != self.result {
            let (len, found) = (made.len(), made.data_type());
            return exec_err!("function {} made {len} × {found} of {rows} rows, not {}", self.name, self.result);
        }
        Ok(ColumnarValue::Array(made))
    }
}

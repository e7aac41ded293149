//! Expressions compiled for batches whose strings may be dictionary-encoded.
//!
//! DataFusion's physical expressions know logical types: a column of type `Utf8View` is an array of views. On our edges it
//! may be a `Dictionary(UInt32, Utf8View)` instead. An [`Expression`] bridges that:
//!
//! - a plain column passes through untouched, and a constant text is a dictionary of one value;
//! - an expression of one column that arrives as a dictionary is evaluated once for each of the dictionary's values, and
//!   the result is spread over the rows by key;
//! - anything else sees flat columns.
//!
//! Evaluating all of a dictionary's values may fail at a value that no row holds; the caller evaluates failed batches again
//! in smaller pieces, and for pieces with fewer rows than values the dictionary is flattened first.

use std::collections::BTreeSet;
use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, RecordBatch, RecordBatchOptions, UInt32Array,
    new_empty_array, new_null_array,
};
use catchment_contract::arrow::compute::{concat, take};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use catchment_engine::flatten;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::InList;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, Operator, binary_expr};
use datafusion_physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal, NegativeExpr};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr, create_physical_expr};

use crate::notation::{Style, expression};
use crate::rewrite::{cast_may_fail, function_may_fail, negation_may_fail, operator_may_fail};

/// An expression over the columns of a batch.
#[derive(Clone, Debug)]
pub struct Expression {
    /// What is evaluated; its column `i` is `reads[i]`.
    expr: Arc<dyn PhysicalExpr>,
    /// The batch's columns that it reads.
    reads: Vec<usize>,
    /// The logical types of those.
    schema: SchemaRef,
    /// The logical type of the result.
    output: DataType,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Column(usize),
    Constant(ScalarValue),
    Computed,
    /// A function whose list values may stay dictionary-encoded, in that form, and its argument.
    Encoded(catchment_operators::functions::Encoded, Arc<dyn PhysicalExpr>),
}

impl Expression {
    /// Compiles `expr` over a plan's output `schema`.
    ///
    /// # Errors
    /// If the expression has no physical form (a subquery, an aggregate).
    pub fn compile(expr: &Expr, schema: &DFSchema, props: &ExecutionProps) -> Result<Self> {
        let expr = expr.clone().transform_up(split_list)?.data;
        let physical = create_physical_expr(&expr, schema, props, &PhysicalPlanningContext::default())?;
        Self::of(checked(physical)?, &nullable(schema.as_arrow()))
    }

    /// The column `index` of a batch, whose type is `data_type`.
    pub fn column(index: usize, name: &str, data_type: &DataType) -> Self {
        let schema = Arc::new(Schema::new(vec![Field::new(name, data_type.clone(), true)]));
        let (reads, shape, output) = (vec![index], Shape::Column(index), data_type.clone());
        Expression { expr: Arc::new(Column::new(name, 0)), reads, schema, output, shape }
    }

    /// The same value for every row.
    pub fn constant(value: ScalarValue) -> Self {
        let (output, expr) = (value.data_type(), Arc::new(Literal::new(value.clone())));
        Expression { expr, reads: Vec::new(), schema: Arc::new(Schema::empty()), output, shape: Shape::Constant(value) }
    }

    /// Evaluates it over no rows, which fails where its constants alone make it fail: an unknown part of a date, a regular
    /// expression that is none.
    ///
    /// # Errors
    /// Why no row can be computed.
    pub fn try_out(&self) -> Result<()> {
        if matches!(self.shape, Shape::Computed | Shape::Encoded(..)) {
            let columns = self.schema.fields().iter().map(|field| new_empty_array(field.data_type())).collect();
            self.expr.evaluate(&self.batch(columns, 0)?)?;
        }
        Ok(())
    }

    fn of(expr: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Self> {
        let mut reads = BTreeSet::new();
        expr.apply(|node| {
            if let Some(column) = node.downcast_ref::<Column>() {
                reads.insert(column.index());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let output = expr.data_type(schema)?;
        let shape = match (expr.downcast_ref::<Column>(), expr.downcast_ref::<Literal>()) {
            (Some(column), _) => Shape::Column(column.index()),
            (_, Some(literal)) => Shape::Constant(literal.value().clone()),
            _ => Shape::Computed,
        };
        let reads: Vec<usize> = reads.into_iter().collect();
        let schema = Arc::new(schema.project(&reads)?);
        let expr = expr.transform_up(|node| match node.downcast_ref::<Column>() {
            Some(column) => {
                let place = reads.iter().position(|read| *read == column.index()).unwrap_or_default();
                Ok(Transformed::yes(Arc::new(Column::new(column.name(), place)) as Arc<dyn PhysicalExpr>))
            }
            None => Ok(Transformed::no(node)),
        })?;
        Ok(Expression { expr: expr.data, reads, schema, output, shape })
    }

    /// The expression as DataFusion has it, where the columns that it reads stand in the input, and of which types they are.
    pub(crate) fn physical(&self) -> (&Arc<dyn PhysicalExpr>, &[usize], &Schema) {
        (&self.expr, &self.reads, &self.schema)
    }

    /// Whether it yields lists of dictionary-encoded values.
    pub(crate) fn is_encoded(&self) -> bool {
        matches!(self.shape, Shape::Encoded(..))
    }

    /// The column that the expression is, if it is one.
    pub fn as_column(&self) -> Option<usize> {
        match self.shape {
            Shape::Column(index) => Some(index),
            _ => None,
        }
    }

    /// The logical type of the result.
    pub fn output(&self) -> &DataType {
        &self.output
    }

    /// The same expression reading columns through `map`: its column `i` is `map[i]` of another batch.
    pub fn through(&self, map: &[usize]) -> Self {
        let mut moved = self.clone();
        moved.reads.iter_mut().for_each(|read| *read = map[*read]);
        if let Shape::Column(index) = &mut moved.shape {
            *index = map[*index];
        }
        moved
    }

    /// The column that the expression casts from a number of many digits to an integer, if that is what it does.
    pub fn narrowed(&self) -> Option<usize> {
        let cast = self.expr.downcast_ref::<CastExpr>()?;
        let wide = self.schema.fields().first().is_some_and(|field| *field.data_type() == DataType::Decimal128(38, 0));
        let plain = cast.expr().downcast_ref::<Column>().is_some();
        (wide && plain && self.output.is_integer()).then(|| self.reads[0])
    }

    /// The same expression of one column, over the column `place` of another batch.
    pub fn through_only(&self, place: usize) -> Self {
        let mut moved = self.clone();
        moved.reads = vec![place];
        moved
    }

    /// Whether it computes the same of the same columns, whatever these are called.
    pub(crate) fn is_same(&self, other: &Expression) -> bool {
        let written = |one: &Expression| expression(one, Style::Stable).ok();
        self.reads == other.reads
            && self.output == other.output
            && written(self).is_some_and(|it| written(other) == Some(it))
    }

    /// The columns that it reads, ascending as compiled.
    pub fn reads(&self) -> &[usize] {
        &self.reads
    }

    /// For a list that is about to be unnested: lets the list's values stay dictionary-encoded if the expression is a
    /// function of ours that can do that.
    pub fn keep_encoded(&mut self) {
        let Some(function) = self.expr.downcast_ref::<ScalarFunctionExpr>() else { return };
        if let (Some(encoded), [argument]) = (catchment_operators::functions::encoded(function.name()), function.args())
        {
            self.shape = Shape::Encoded(encoded, argument.clone());
        }
    }

    /// Whether evaluation may fail for some row, its times being of the years 1 to 9999.
    pub fn fallible(&self) -> bool {
        let mut fallible = false;
        let type_of = |expr: &Arc<dyn PhysicalExpr>| expr.data_type(&self.schema);
        let walked = self.expr.apply(|node| {
            if let Some(function) = node.downcast_ref::<ScalarFunctionExpr>() {
                fallible |= function_may_fail(function.fun());
            } else if let Some(binary) = node.downcast_ref::<BinaryExpr>() {
                let (left, right) = (type_of(binary.left())?, type_of(binary.right())?);
                fallible |= operator_may_fail(*binary.op(), &left, &right, binary.right().is::<Literal>());
            } else if let Some(negative) = node.downcast_ref::<NegativeExpr>() {
                fallible |= negation_may_fail(&type_of(negative.arg())?);
            } else if let Some(cast) = node.downcast_ref::<CastExpr>() {
                fallible |= cast_may_fail(&type_of(cast.expr())?, cast.cast_type());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        fallible || walked.is_err()
    }

    /// The expression's values for `len` rows of `columns`. May be a dictionary where the type is `Utf8View`.
    ///
    /// # Errors
    /// If the evaluation of some row, or of some value of a dictionary, fails.
    pub fn evaluate(&self, columns: &[ArrayRef], len: usize) -> Result<ArrayRef> {
        match &self.shape {
            Shape::Column(index) => return Ok(columns[*index].clone()),
            Shape::Constant(value) => return constant_array(value, len),
            Shape::Encoded(encoded, argument) => {
                let argument = flatten(&self.computed(argument, columns, len)?);
                return encoded(&argument).map_err(|error| DataFusionError::Execution(error.chain()));
            }
            Shape::Computed => {}
        }
        match self.dictionary(columns, len) {
            Some(dictionary) => self.spread(dictionary),
            None => self.computed(&self.expr, columns, len),
        }
    }

    /// Whether the expression is true, row by row. Null is not true.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn matches(&self, columns: &[ArrayRef], len: usize) -> Result<Mask> {
        if let Some(dictionary) = self.dictionary(columns, len) {
            let (values, keys) = values_with_null(dictionary)?;
            let mask = self.computed(&self.expr, &self.only(&values, columns), values.len())?;
            return Ok(Mask::ByKey(truths(mask.as_boolean()), keys));
        }
        let mask = match &self.shape {
            Shape::Column(index) => columns[*index].clone(),
            _ => self.computed(&self.expr, columns, len)?,
        };
        Ok(Mask::ByRow(truths(mask.as_boolean())))
    }

    /// The dictionary that is the expression's only input, if evaluating it by value pays.
    fn dictionary<'a>(&self, columns: &'a [ArrayRef], len: usize) -> Option<&'a DictionaryArray<UInt32Type>> {
        let [only] = self.reads.as_slice() else { return None };
        let dictionary = columns[*only].as_dictionary_opt::<UInt32Type>()?;
        (dictionary.values().len() <= len).then_some(dictionary)
    }

    /// Columns of which only the one that is read is `values`.
    fn only(&self, values: &ArrayRef, columns: &[ArrayRef]) -> Vec<ArrayRef> {
        let mut columns = columns.to_vec();
        columns[self.reads[0]] = values.clone();
        columns
    }

    fn spread(&self, dictionary: &DictionaryArray<UInt32Type>) -> Result<ArrayRef> {
        let (values, keys) = values_with_null(dictionary)?;
        let batch = self.batch(vec![values.clone()], values.len())?;
        let result = self.expr.evaluate(&batch)?.into_array(values.len())?;
        match result.data_type() {
            DataType::Utf8View => Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, result)?)),
            _ => Ok(take(&result, &keys, None)?),
        }
    }

    fn computed(&self, expr: &Arc<dyn PhysicalExpr>, columns: &[ArrayRef], len: usize) -> Result<ArrayRef> {
        let read = self.reads.iter().map(|index| flatten(&columns[*index])).collect();
        let batch = self.batch(read, len)?;
        expr.evaluate(&batch)?.into_array(len)
    }

    fn batch(&self, columns: Vec<ArrayRef>, len: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// Which rows a condition holds for.
pub enum Mask {
    /// One answer a row.
    ByRow(Vec<bool>),
    /// One answer for each value of a dictionary, and each row's key.
    ByKey(Vec<bool>, UInt32Array),
}

impl Mask {
    /// The rows for which it holds, ascending.
    pub fn rows(&self) -> Vec<u32> {
        match self {
            Mask::ByRow(answers) => chosen(answers.len(), |row| answers[row]),
            Mask::ByKey(answers, keys) => {
                let keys = keys.values();
                chosen(keys.len(), |row| answers[keys[row] as usize])
            }
        }
    }
}

/// The rows of `len` that `holds` chooses. Every row is written and the place moves on if it is chosen: no branch to mispredict.
fn chosen(len: usize, holds: impl Fn(usize) -> bool) -> Vec<u32> {
    let mut rows = vec![0; len];
    let mut count = 0;
    for row in 0..len {
        rows[count] = row as u32;
        count += usize::from(holds(row));
    }
    rows.truncate(count);
    rows
}

fn truths(mask: &BooleanArray) -> Vec<bool> {
    (0..mask.len()).map(|index| mask.is_valid(index) && mask.value(index)).collect()
}

/// A dictionary's values and keys without null keys: they refer to a null among the values instead.
pub(crate) fn values_with_null(dictionary: &DictionaryArray<UInt32Type>) -> Result<(ArrayRef, UInt32Array)> {
    let keys = dictionary.keys();
    if keys.null_count() == 0 {
        return Ok((dictionary.values().clone(), UInt32Array::new(keys.values().clone(), None)));
    }
    let null = new_null_array(dictionary.values().data_type(), 1);
    let values = concat(&[dictionary.values().as_ref(), null.as_ref()])?;
    let last = dictionary.values().len() as u32;
    Ok((values, keys.iter().map(|key| key.unwrap_or(last)).collect::<Vec<u32>>().into()))
}

/// A constant text is a dictionary of one value; other constants are repeated.
fn constant_array(value: &ScalarValue, len: usize) -> Result<ArrayRef> {
    if matches!(value, ScalarValue::Utf8View(Some(_)) | ScalarValue::Utf8(Some(_))) {
        let keys = UInt32Array::from(vec![0; len]);
        return Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, value.to_array()?)?));
    }
    value.to_array_of_size(len)
}

fn nullable(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

/// `x IN (1, y)` as `x IN (1) OR x = y`: what is compared with a column is no list to DataFusion, which takes an item for
/// constant if it gives one value for no rows, as `CASE WHEN y THEN 1 END` does.
fn split_list(expr: Expr) -> Result<Transformed<Expr>> {
    let InList { expr, list, negated } = match expr {
        Expr::InList(list) if list.list.iter().any(Expr::any_column_refs) => list,
        other => return Ok(Transformed::no(other)),
    };
    let (read, constant): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(Expr::any_column_refs);
    let (equals, joins) = if negated { (Operator::NotEq, Operator::And) } else { (Operator::Eq, Operator::Or) };
    let rest = (!constant.is_empty()).then(|| Expr::InList(InList::new(expr.clone(), constant, negated)));
    let compared = read.into_iter().map(|item| binary_expr((*expr).clone(), equals, item));
    let all = rest.into_iter().chain(compared).reduce(|all, one| binary_expr(all, joins, one));
    Ok(Transformed::yes(all.expect("an item of the list reads a column")))
}

/// The expression with arithmetic that fails on overflow instead of wrapping: a wrong figure is worse than a reject.
fn checked(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let checked = expr.transform_up(|node| match node.downcast_ref::<BinaryExpr>() {
        Some(binary) if matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply) => {
            let binary = BinaryExpr::new(binary.left().clone(), *binary.op(), binary.right().clone());
            Ok(Transformed::yes(Arc::new(binary.with_fail_on_overflow(true)) as Arc<dyn PhysicalExpr>))
        }
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(checked.data)
}

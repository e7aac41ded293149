//! `GROUP BY`, aggregates and `DISTINCT`.

use catchment_contract::arrow::datatypes::{DataType, Field, Schema};
use catchment_contract::{Error, Result};
use catchment_operators::{Aggregate as AggregateColumn, AggregateSpec, Function};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::{Aggregate, Distinct, Expr, ExprSchemable, cast, when};

use super::{Flow, Lowering, columns_of, readable};
use crate::expr::Expression;
use crate::functions;
use crate::graph::{Column, Node, Op};
use crate::inspect::Construct;
use crate::rewrite::{PLAIN_FLOAT, may_fail};

/// In what sums and averages of values of the type `input` are computed: no number of rows makes it overflow. What `output`
/// cannot hold is a reject.
pub(super) fn wide(function: Function, input: Option<&DataType>, output: DataType) -> DataType {
    match (function, &output) {
        (Function::Sum, kind) if kind.is_integer() => DataType::Decimal128(38, 0),
        (Function::Sum, DataType::Decimal128(38, 0)) if input.is_some_and(DataType::is_integer) => output,
        (Function::Sum | Function::Avg, DataType::Decimal128(_, scale)) => DataType::Decimal256(76, *scale),
        _ => output,
    }
}

/// What an average is computed of: integers as they are, though the planner casts them to doubles; decimals too, which were
/// given digits behind the point that large ones have no room for.
pub(super) fn averaged<'e>(argument: &'e Expr, schema: &DFSchema) -> &'e Expr {
    match argument {
        // One zero and one NaN, as different values are counted by.
        Expr::ScalarFunction(function) if function.func.name() == PLAIN_FLOAT => match function.args.as_slice() {
            [cast @ Expr::Cast(_)] => match averaged(cast, schema) {
                inner if inner != cast => inner,
                _ => argument,
            },
            _ => argument,
        },
        Expr::Cast(cast) => match (cast.expr.get_type(schema), cast.field.data_type()) {
            (Ok(kind), _) if kind.is_integer() => &cast.expr,
            (Ok(DataType::Decimal128(_, scale)), DataType::Decimal128(38, wider)) if *wider > scale => &cast.expr,
            _ => argument,
        },
        other => other,
    }
}

/// `argument` where `filter` is true: what does not count must not fail.
pub(super) fn guarded(argument: &Expr, filter: Option<&Expr>, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    match filter {
        Some(filter) if may_fail(argument, schema) => when(filter.clone(), argument.clone()).end(),
        _ => Ok(argument.clone()),
    }
}

impl Lowering<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Flow> {
        let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
        if group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            let hint = "write one GROUP BY for each set and put UNION ALL between them";
            return Err(self.refuse(Construct::GroupBy, "GROUPING SETS, ROLLUP or CUBE", hint));
        }
        let mut flow = self.flow(input)?;
        let mut inputs = Inputs::default();
        for expr in group_expr {
            inputs.columns.push(self.compile(expr, input.schema())?);
        }
        let keys = group_expr.len();
        let mut aggregates = Vec::new();
        for (index, expr) in aggr_expr.iter().enumerate() {
            let output = schema.field(keys + index).data_type().clone();
            let mut column = self.aggregate_column(expr, output, input.schema(), &mut inputs)?;
            let input = column.input.map(|input| inputs.columns[input].output());
            column.output = wide(column.function, input, column.output);
            aggregates.push(column);
        }
        let names = inputs.columns.iter().enumerate().map(|(index, expression)| {
            let name = match index < keys {
                true => readable(schema.field(index).name()),
                false => match expression.as_column() {
                    Some(column) => flow.columns[column].name.clone(),
                    None => format!("argument {}", index - keys + 1),
                },
            };
            Column { name, data_type: expression.output().clone() }
        });
        let names = names.collect();
        flow = flow.project(inputs.columns, names);
        if aggregates.is_empty() {
            return self.distinct_rows(flow, columns_of(schema));
        }
        let spec = AggregateSpec { keys: (0..keys).collect(), aggregates, input_types: flow.types() };
        spec.check().map_err(|error| {
            let place = self.subject.landmarks.construct(Construct::GroupBy).unwrap_or(self.subject.place);
            let hint = error.hint().unwrap_or_default().to_string();
            self.subject.text.error(place, format!("view \"{}\": {error}", self.subject.view), hint)
        })?;
        let named = columns_of(schema);
        let mut columns = named.clone();
        columns[keys..].iter_mut().zip(&spec.aggregates).for_each(|(c, one)| c.data_type = one.output.clone());
        let by: Vec<&str> = columns[..keys].iter().map(|column| column.name.as_str()).collect();
        let view = self.subject.view;
        let name = match by.is_empty() {
            true => format!("Aggregate: {view}"),
            false => format!("Aggregate: {view} by {}", by.join(", ")),
        };
        let input = flow.node(self.graph, view).map_err(|error| self.planning(&error))?;
        let key = Some((0..keys).collect());
        let node = Node { name, op: Op::Aggregate(spec), inputs: vec![input], columns, key, append_only: false };
        let id = self.graph.add(node);
        self.narrowed(Flow::of(self.graph, id, view), named)
    }

    /// `flow` as `columns`. A sum of integers that its type cannot hold is a reject: it is computed with more digits.
    pub(super) fn narrowed(&self, flow: Flow, columns: Vec<Column>) -> Result<Flow> {
        if flow.columns.iter().zip(&columns).all(|(wide, column)| wide.data_type == column.data_type) {
            return Ok(Flow { columns, ..flow });
        }
        let mut expressions = Vec::new();
        for (place, (wide, column)) in flow.columns.iter().zip(&columns).enumerate() {
            let field = Field::new(&column.name, wide.data_type.clone(), true);
            let schema = DFSchema::try_from(Schema::new(vec![field])).map_err(|error| self.planning(&error))?;
            let value = Expr::Column(datafusion_common::Column::new_unqualified(&column.name));
            expressions.push(match wide.data_type == column.data_type {
                true => Expression::column(place, &column.name, &column.data_type),
                false => self.compile(&cast(value, column.data_type.clone()), &schema)?.through(&[place]),
            });
        }
        Ok(flow.project(expressions, columns))
    }

    fn aggregate_column(
        &self,
        expr: &Expr,
        output: DataType,
        schema: &DFSchema,
        inputs: &mut Inputs,
    ) -> Result<AggregateColumn> {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = expr.clone().unalias_nested().data else {
            return Err(Error::bug(format!("\"{expr}\" is no aggregate")));
        };
        let argument = match (func.name(), params.args.first()) {
            ("avg", Some(argument)) => Some(averaged(argument, schema)),
            (_, argument) => argument,
        };
        let counts_rows = match argument {
            Some(Expr::Literal(value, _)) => !value.is_null(),
            Some(_) => false,
            None => true,
        };
        let function = match func.name() {
            "count" if counts_rows && !params.distinct => Function::CountRows,
            "count" if params.args.len() <= 1 => Function::Count,
            "sum" => Function::Sum,
            "avg" => Function::Avg,
            "min" => Function::Min,
            "max" => Function::Max,
            "median" => Function::Median,
            "mad" => Function::Mad,
            name => {
                let place = self.subject.landmarks.function(name).unwrap_or(self.subject.place);
                let what = match params.args.len() {
                    0 | 1 => format!("view \"{}\": aggregate function \"{name}\"", self.subject.view),
                    n => format!("view \"{}\": \"{name}\" of {n} columns", self.subject.view),
                };
                let known = functions::aggregates();
                let hint = format!("aggregates that can be: {known} of one column, with DISTINCT and FILTER");
                return Err(self.subject.text.error(place, format!("{what} cannot be kept up to date"), hint));
            }
        };
        let input = match (function, argument) {
            (Function::CountRows, _) | (_, None) => None,
            (_, Some(argument)) => {
                let argument = guarded(argument, params.filter.as_deref(), schema).map_err(|e| self.planning(&e))?;
                Some(inputs.place(self.compile(&argument, schema)?, &argument))
            }
        };
        let filter = match &params.filter {
            Some(filter) => Some(inputs.place(self.compile(filter, schema)?, filter)),
            None => None,
        };
        Ok(AggregateColumn { function, input, distinct: params.distinct, filter, output })
    }

    pub(super) fn distinct(&mut self, distinct: &Distinct) -> Result<Flow> {
        match distinct {
            Distinct::All(input) => {
                let flow = self.flow(input)?;
                let columns = flow.columns.clone();
                self.distinct_rows(flow, columns)
            }
            Distinct::On(_) => {
                let hint = "write row_number() OVER (PARTITION BY … ORDER BY …) AS n in a subquery and WHERE n = 1";
                Err(self.subject.unsupported(None, "DISTINCT ON", hint))
            }
        }
    }

    pub(super) fn distinct_rows(&mut self, flow: Flow, columns: Vec<Column>) -> Result<Flow> {
        let view = self.subject.view;
        let (append_only, label) = (flow.append_only, flow.label.clone());
        let input = flow.node(self.graph, view).map_err(|error| self.planning(&error))?;
        let key = Some((0..columns.len()).collect());
        let name = format!("Distinct: {label}");
        let id = self.graph.add(Node { name, op: Op::Distinct, inputs: vec![input], columns, key, append_only });
        Ok(Flow::of(self.graph, id, view))
    }
}

/// The columns that an aggregate needs: the group's, then arguments and filters, each once.
#[derive(Default)]
struct Inputs {
    columns: Vec<Expression>,
    seen: Vec<(Expr, usize)>,
}

impl Inputs {
    fn place(&mut self, expression: Expression, expr: &Expr) -> usize {
        if let Some((_, place)) = self.seen.iter().find(|(seen, _)| seen == expr) {
            return *place;
        }
        let same = |known: &Expression| known.as_column().is_some() && known.as_column() == expression.as_column();
        let place = match self.columns.iter().position(same) {
            Some(place) => place,
            None => {
                self.columns.push(expression);
                self.columns.len() - 1
            }
        };
        self.seen.push((expr.clone(), place));
        place
    }
}

/// A bound or count in a plan, as a number.
pub(super) fn number(expr: &Expr) -> Option<u64> {
    let Expr::Literal(value, _) = expr else { return None };
    match value.cast_to(&DataType::UInt64).ok()? {
        ScalarValue::UInt64(number) => number,
        _ => None,
    }
}

//! Aggregates with `OVER`.

use catchment_contract::arrow::datatypes::{DataType, TimeUnit};
use catchment_contract::{Error, Result};
use catchment_operators::window::{Bound, Frame};
use catchment_operators::{Function, Order, WindowFunction as Column, WindowSpec};
use datafusion_common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion_expr::expr::{NullTreatment, WindowFunction, WindowFunctionParams};
use datafusion_expr::{Expr, SortExpr, Window, WindowFrame, WindowFrameBound, WindowFrameUnits};

use super::group::{averaged, guarded, wide};
use super::{Flow, Lowering, columns_of};
use crate::functions;
use crate::graph::{Node, Op};
use crate::inspect::Construct;

/// Whether `expr` is a `row_number()`, which is lowered with its bound.
pub(super) fn is_row_number(expr: &Expr) -> bool {
    match expr.clone().unalias_nested().data {
        Expr::WindowFunction(function) => function.fun.name() == "row_number",
        _ => false,
    }
}

impl Lowering<'_> {
    /// The input's columns, then those of the window's functions.
    pub(super) fn window(&mut self, window: &Window) -> Result<Flow> {
        if window.window_expr.iter().any(is_row_number) {
            return Err(self.refuse(
                Construct::Window,
                "row_number() without a bound",
                "filter by it in the same view: SELECT … FROM (SELECT …, row_number() OVER (…) AS n FROM …) WHERE n <= 10",
            ));
        }
        let mut calls = Vec::new();
        for expr in &window.window_expr {
            let Expr::WindowFunction(call) = expr.clone().unalias_nested().data else {
                return Err(Error::bug(format!("\"{expr}\" is no window function")));
            };
            calls.push(*call);
        }
        let mut flow = self.flow(&window.input)?;
        let width = flow.columns.len();
        // One node of the plan may hold functions over several orders.
        let mut places = vec![0; calls.len()];
        let mut open: Vec<usize> = (0..calls.len()).collect();
        let mut done = 0;
        while let Some(first) = open.first().copied() {
            let over = |call: usize| (&calls[call].params.partition_by, &calls[call].params.order_by);
            let (same, rest): (Vec<usize>, Vec<usize>) = open.iter().partition(|call| over(**call) == over(first));
            let together: Vec<&WindowFunction> = same.iter().map(|call| &calls[*call]).collect();
            flow = self.windowed(flow, width + done, window, &together)?;
            for call in same {
                places[call] = width + done;
                done += 1;
            }
            open = rest;
        }
        let kept: Vec<usize> = (0..width).chain(places).collect();
        let flow = flow.pick(&kept);
        self.narrowed(flow, columns_of(&window.schema))
    }

    /// `flow`, of which the first `width` columns are kept, with the functions `calls` over one partitioning and order.
    fn windowed(&mut self, flow: Flow, width: usize, window: &Window, calls: &[&WindowFunction]) -> Result<Flow> {
        let schema = window.input.schema();
        let WindowFunctionParams { partition_by, order_by, .. } = &calls[0].params;
        // A constant orders nothing, but a frame's distance is of its type, and a frame may leave all its peers out.
        let is_constant = |sort: &SortExpr| matches!(sort.expr, Expr::Literal(..));
        let is_measured = order_by.iter().all(is_constant) && calls.iter().any(|call| has_distance(call));
        let order_by: Vec<_> = match order_by.first().filter(|_| is_measured) {
            Some(first) => vec![first],
            None => order_by.iter().filter(|sort| !is_constant(sort)).collect(),
        };
        if order_by.len() > 1 {
            return Err(self.refuse_call(calls[0], "with ORDER BY of several columns", "order by one column"));
        }
        let mut expressions = self.compile_all(partition_by, schema)?;
        expressions.extend(self.compile_all(order_by.iter().map(|sort| &sort.expr), schema)?);
        for call in calls {
            let filter = call.params.filter.as_deref();
            let argument = argument(call).map(|argument| guarded(exact(call, argument, schema), filter, schema));
            let argument = argument.transpose().map_err(|error| self.planning(&error))?;
            expressions.extend(self.compile_all(argument.as_ref(), schema)?);
            expressions.extend(self.compile_all(filter, schema)?);
        }
        let (label, key) = (flow.label.clone(), flow.key.clone());
        let (flow, places) = flow.extended(expressions);
        let (partition, rest) = places.split_at(partition_by.len());
        let (ordered, rest) = rest.split_at(order_by.len());
        let order = ordered.first().zip(order_by.first()).map(|(column, sort)| Order {
            column: *column,
            descending: !sort.asc,
            nulls_first: sort.nulls_first,
        });
        // Whether no two rows are peers.
        let unique = key.is_some_and(|key| key.iter().all(|key| partition.contains(key) || ordered.contains(key)));
        let types = flow.types();
        let order_type = order.map(|order| types[order.column].clone());
        let mut places = rest.iter().copied();
        let mut functions = Vec::new();
        for call in calls {
            let frame = self.frame(call, order_type.as_ref(), unique)?;
            let input = argument(call).and_then(|_| places.next());
            let filter = call.params.filter.as_ref().and_then(|_| places.next());
            let function = self.window_function(call)?;
            let output = wide(function, input.map(|input| &types[input]), output_type(call, window, schema)?);
            functions.push(Column { function, input, filter, frame, output });
        }
        let spec = WindowSpec { partition: partition.to_vec(), order, functions, types };
        spec.check().map_err(|error| {
            let hint = error.hint().unwrap_or_default().to_string();
            self.subject.unsupported_at(self.place_of(calls[0]), &error.to_string(), &hint)
        })?;
        self.window_node(flow, width, spec, &label)
    }

    /// The node of `spec` over `flow`: its first `width` columns, then those of the functions.
    fn window_node(&mut self, flow: Flow, width: usize, spec: WindowSpec, label: &str) -> Result<Flow> {
        let view = self.subject.view;
        let names = spec.functions.iter().enumerate().map(|(index, function)| crate::graph::Column {
            name: format!("{:?} {}", function.function, index + 1).to_lowercase(),
            data_type: function.output.clone(),
        });
        let columns: Vec<_> = flow.columns.iter().cloned().chain(names).collect();
        let by: Vec<&str> = spec.partition.iter().map(|column| flow.columns[*column].name.as_str()).collect();
        let name = match by.is_empty() {
            true => format!("Window: {label}"),
            false => format!("Window: {label} by {}", by.join(", ")),
        };
        let key = flow.key.clone();
        let extended = flow.columns.len();
        let input = flow.node(self.graph, view).map_err(|error| self.planning(&error))?;
        let added = spec.functions.len();
        let op = Op::Window(spec);
        let id = self.graph.add(Node { name, op, inputs: vec![input], columns, key, append_only: false });
        let kept: Vec<usize> = (0..width).chain(extended..extended + added).collect();
        Ok(Flow::of(self.graph, id, label).pick(&kept))
    }

    fn window_function(&self, call: &WindowFunction) -> Result<Function> {
        let params = &call.params;
        if params.distinct {
            return Err(self.refuse_call(
                call,
                "with DISTINCT",
                "count distinct values with GROUP BY and join the result",
            ));
        }
        if params.null_treatment == Some(NullTreatment::IgnoreNulls) {
            return Err(self.refuse_call(call, "with IGNORE NULLS", "leave it out: aggregates pass over nulls"));
        }
        Ok(match (call.fun.name(), argument(call)) {
            ("count", None) => Function::CountRows,
            ("count", Some(_)) if params.args.len() == 1 => Function::Count,
            ("sum", Some(_)) => Function::Sum,
            ("avg", Some(_)) => Function::Avg,
            ("min", Some(_)) => Function::Min,
            ("max", Some(_)) => Function::Max,
            ("median", Some(_)) => Function::Median,
            ("mad", Some(_)) => Function::Mad,
            _ => return Err(self.refuse_call(call, "", &functions::over_windows())),
        })
    }

    fn frame(&self, call: &WindowFunction, order: Option<&DataType>, unique: bool) -> Result<Frame> {
        let WindowFrame { units, start_bound, end_bound, .. } = &call.params.window_frame;
        let is_open = start_bound.is_unbounded() && end_bound.is_unbounded();
        let is_plain = |bound: &WindowFrameBound| bound.is_unbounded() || *bound == WindowFrameBound::CurrentRow;
        match units {
            WindowFrameUnits::Range => {}
            WindowFrameUnits::Rows if is_open => {}
            // Where no two rows are peers, the rows up to this one are those up to its value.
            WindowFrameUnits::Rows if unique && order.is_some() && is_plain(start_bound) && is_plain(end_bound) => {}
            WindowFrameUnits::Rows | WindowFrameUnits::Groups => {
                let hint = "write RANGE BETWEEN … AND … with a distance in the column's values, such as INTERVAL '7 days' PRECEDING";
                return Err(self.refuse_call(call, &format!("over a frame of {units}"), hint));
            }
        }
        let bound = |bound: &WindowFrameBound| {
            Ok(match bound {
                _ if bound.is_unbounded() => Bound::Unbounded,
                WindowFrameBound::CurrentRow => Bound::Offset(0),
                WindowFrameBound::Preceding(by) => Bound::Offset(-self.distance(call, by, order)?),
                WindowFrameBound::Following(by) => Bound::Offset(self.distance(call, by, order)?),
            })
        };
        Ok(Frame { start: bound(start_bound)?, end: bound(end_bound)? })
    }

    /// A frame's distance in units of the order column of type `order`; not negative.
    fn distance(&self, call: &WindowFunction, by: &ScalarValue, order: Option<&DataType>) -> Result<i64> {
        let refuse = |what: &str, hint: &str| Err(self.refuse_call(call, what, hint));
        let ScalarValue::IntervalMonthDayNano(Some(interval)) = by else {
            let units = match (order, by) {
                // In the order's last digit.
                (Some(decimal @ DataType::Decimal128(_, _)), by) if by.data_type().is_numeric() => {
                    match by.cast_to(decimal) {
                        Ok(ScalarValue::Decimal128(units, _, _)) => {
                            ScalarValue::Int64(units.and_then(|units| i64::try_from(units).ok()))
                        }
                        _ => by.clone(),
                    }
                }
                _ => by.clone(),
            };
            return match units.cast_to(&DataType::Int64) {
                Ok(ScalarValue::Int64(Some(distance))) if distance >= 0 && units.data_type().is_integer() => {
                    Ok(distance)
                }
                _ => refuse(&format!("over a distance of {by}"), "write a whole number that is not negative"),
            };
        };
        if interval.months != 0 {
            return refuse("over a distance in months", "write days: months are of different lengths");
        }
        let nanoseconds = i128::from(interval.days) * DAY_NANOSECONDS + i128::from(interval.nanoseconds);
        let unit = match order {
            Some(DataType::Timestamp(TimeUnit::Second, _)) => 1_000_000_000,
            Some(DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64) => 1_000_000,
            Some(DataType::Timestamp(TimeUnit::Microsecond, _)) => 1_000,
            Some(DataType::Timestamp(TimeUnit::Nanosecond, _)) => 1,
            Some(DataType::Date32) => DAY_NANOSECONDS,
            _ => return refuse("with an interval over a column that is not a time", "write a number"),
        };
        match i64::try_from(nanoseconds / unit) {
            Ok(distance) if nanoseconds >= 0 && nanoseconds % unit == 0 => Ok(distance),
            _ => refuse("over this distance", "write one that is not negative, in whole days for dates"),
        }
    }

    /// `function "sum" over a window …`, refused where it is called.
    fn refuse_call(&self, call: &WindowFunction, what: &str, hint: &str) -> Error {
        let gap = if what.is_empty() { "" } else { " " };
        let message = format!("window function \"{}\"{gap}{what}", call.fun.name());
        self.subject.unsupported_at(self.place_of(call), &message, hint)
    }

    fn place_of(&self, call: &WindowFunction) -> crate::text::Place {
        let landmarks = self.subject.landmarks;
        let place = landmarks.function(call.fun.name()).or_else(|| landmarks.construct(Construct::Window));
        place.unwrap_or(self.subject.place)
    }
}

const DAY_NANOSECONDS: i128 = 86_400_000_000_000;

/// Whether a bound of the frame of `call` is some distance away.
fn has_distance(call: &WindowFunction) -> bool {
    let WindowFrame { start_bound, end_bound, .. } = &call.params.window_frame;
    let is_distant = |bound: &WindowFrameBound| !bound.is_unbounded() && *bound != WindowFrameBound::CurrentRow;
    is_distant(start_bound) || is_distant(end_bound)
}

/// What a function is computed of; none where rows are counted.
fn argument(call: &WindowFunction) -> Option<&Expr> {
    match call.params.args.first() {
        Some(Expr::Literal(value, _)) if call.fun.name() == "count" && !value.is_null() => None,
        argument => argument,
    }
}

/// `argument` of `call`, integers as they are.
fn exact<'e>(call: &WindowFunction, argument: &'e Expr, schema: &DFSchema) -> &'e Expr {
    if call.fun.name() == "avg" { averaged(argument, schema) } else { argument }
}

/// The type of a function's column.
fn output_type(call: &WindowFunction, window: &Window, schema: &DFSchemaRef) -> Result<DataType> {
    let place = window.window_expr.iter().position(|expr| match expr.clone().unalias_nested().data {
        Expr::WindowFunction(known) => *known == *call,
        _ => false,
    });
    let place = place.ok_or_else(|| Error::bug("a window function is not among its node's"))?;
    Ok(window.schema.field(schema.fields().len() + place).data_type().clone())
}

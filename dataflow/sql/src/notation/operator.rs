//! Operators in writing: what each does with the columns of its inputs.

use catchment_contract::Result;
use catchment_contract::arrow::datatypes::{DataType, TimeUnit};
use catchment_operators::join::{JoinKind, JoinSpec};
use catchment_operators::window::{Bound, Frame};
use catchment_operators::{
    Aggregate, AggregateSpec, Function, Order, Ranking, TopGroupsSpec, TopKSpec, WindowFunction, WindowSpec,
};

use super::{Style, expression, named, row, type_name};
use crate::expr::Expression;
use crate::graph::{Node, Op};
use crate::stage::{KeySet, SetRule, Stage};

/// How an operator's columns are named.
pub(crate) struct Names<'a> {
    /// For whom.
    pub style: Style,
    /// A column of the n-th input.
    pub input: &'a dyn Fn(usize, usize) -> String,
    /// A column of the output.
    pub output: &'a dyn Fn(usize) -> String,
}

/// What the operator of `node` does, in lines; none where its kind says all. What sources, views and rejects are is not
/// known here.
///
/// # Errors
/// If an expression has no notation.
pub(crate) fn operator(node: &Node, names: &Names<'_>) -> Result<Vec<String>> {
    Ok(match &node.op {
        Op::Source(_) | Op::View(_) | Op::Rejects | Op::Union | Op::Distinct => Vec::new(),
        Op::Constant(_) if names.style == Style::Plain => Vec::new(),
        Op::Constant(batch) => {
            let mut rows = (0..batch.num_rows()).map(|at| row(batch, at)).collect::<Result<Vec<_>>>()?;
            // A multiset: in whatever order it was written.
            rows.sort_unstable();
            vec![rows.join(", "), types(node)?]
        }
        Op::Transform { view: _, stages } => {
            stages.iter().map(|stage| self::stage(stage, names.style)).collect::<Result<_>>()?
        }
        Op::Join(spec) => vec![join(spec, names)],
        Op::Aggregate(spec) => vec![aggregate(spec, names)?],
        Op::TopK(spec) => vec![top(spec, &|column| (names.input)(0, column))],
        Op::TopGroups(TopGroupsSpec { aggregate, top }) => {
            vec![self::aggregate(aggregate, names)?, self::top(top, names.output)]
        }
        Op::Window(spec) => windows(spec, names)?,
        Op::Custom(operator) => {
            let version = format!("code of version {}", operator.spec.version);
            match names.style {
                Style::Stable => vec![named(&operator.spec.name), version, types(node)?],
                Style::Plain => vec![version],
            }
        }
    })
}

/// The output's types.
fn types(node: &Node) -> Result<String> {
    let types = node.columns.iter().map(|column| type_name(&column.data_type)).collect::<Result<Vec<_>>>()?;
    Ok(format!("as ({})", types.join(", ")))
}

fn stage(stage: &Stage, style: Style) -> Result<String> {
    Ok(match stage {
        Stage::Filter(condition) => format!("filter {}", expression(condition, style)?),
        Stage::Project(columns) => {
            let columns = columns.iter().map(|column| projected(column, style)).collect::<Result<Vec<_>>>()?;
            format!("project {}", columns.join(", "))
        }
        Stage::Unnest { column, preserve_nulls } => {
            let kept = if *preserve_nulls { ", rows without one kept" } else { "" };
            format!("unnest column {column}{kept}")
        }
        Stage::InSet(set) => in_set(set, style),
    })
}

/// For people also how the column travels.
fn projected(column: &Expression, style: Style) -> Result<String> {
    let written = expression(column, style)?;
    Ok(if style == Style::Plain && column.is_encoded() { format!("encoded {written}") } else { written })
}

fn in_set(set: &KeySet, style: Style) -> String {
    let columns: Vec<String> = set.columns.iter().map(usize::to_string).collect();
    let rule = match set.rule {
        SetRule::In => "in",
        SetRule::NotExists => "not exists in",
        SetRule::NotIn => "not in",
    };
    let content = match style {
        Style::Stable => format!(", {}", set.digest()),
        Style::Plain => String::new(),
    };
    format!("columns {} {rule} a set of {} rows{content}", columns.join(", "), set.rows())
}

fn join(spec: &JoinSpec, names: &Names<'_>) -> String {
    let JoinSpec { kind, left_key, right_key, left_types: _, right_types: _, left_out, right_out, nulls_equal } = spec;
    let kind = match kind {
        JoinKind::Inner => "inner",
        JoinKind::LeftSemi => "semi",
        JoinKind::LeftAnti => "anti",
        JoinKind::Left => "left",
        JoinKind::Right => "right",
        JoinKind::Full => "full",
    };
    let pairs = left_key.iter().zip(right_key);
    let on: Vec<String> =
        pairs.map(|(left, right)| format!("{} = {}", (names.input)(0, *left), (names.input)(1, *right))).collect();
    let on = if on.is_empty() { "everything".to_string() } else { on.join(", ") };
    let nulls = if *nulls_equal { ", nulls being equal" } else { "" };
    let kept = match names.style {
        Style::Plain => String::new(),
        Style::Stable => {
            let left = left_out.iter().map(|column| (names.input)(0, *column)).collect::<Vec<_>>().join(", ");
            let right = right_out.iter().map(|column| (names.input)(1, *column)).collect::<Vec<_>>().join(", ");
            format!(", yields ({left}) and ({right})")
        }
    };
    format!("{kind} on {on}{nulls}{kept}")
}

fn aggregate(spec: &AggregateSpec, names: &Names<'_>) -> Result<String> {
    let AggregateSpec { keys, aggregates, input_types: _ } = spec;
    let name = |column: &usize| (names.input)(0, *column);
    let calls = aggregates.iter().map(|aggregate| {
        let Aggregate { function, input, distinct, filter, output } = aggregate;
        let distinct = if *distinct { "distinct " } else { "" };
        let argument = input.as_ref().map_or_else(|| "*".to_string(), name);
        let filter = filter.as_ref().map_or_else(String::new, |filter| format!(" where {}", name(filter)));
        Ok(format!("{}({distinct}{argument}){filter}{}", function_name(*function), typed(output, names.style)?))
    });
    let calls = calls.collect::<Result<Vec<_>>>()?;
    Ok(format!("{} by ({})", calls.join(", "), keys.iter().map(name).collect::<Vec<_>>().join(", ")))
}

fn typed(output: &DataType, style: Style) -> Result<String> {
    Ok(match style {
        Style::Stable => format!(" as {}", type_name(output)?),
        Style::Plain => String::new(),
    })
}

fn function_name(function: Function) -> &'static str {
    match function {
        Function::CountRows | Function::Count => "count",
        Function::Sum => "sum",
        Function::Avg => "avg",
        Function::Min => "min",
        Function::Max => "max",
        Function::Median => "median",
        Function::Mad => "mad",
    }
}

fn top(spec: &TopKSpec, name: &dyn Fn(usize) -> String) -> String {
    let TopKSpec { partition, order, offset, limit, ranking, types: _ } = spec;
    let order: Vec<String> = order.iter().map(|order| ordered(order, name)).collect();
    let partition: Vec<String> = partition.iter().map(|column| name(*column)).collect();
    let after = if *offset > 0 { format!(", after {offset}") } else { String::new() };
    let numbered = match ranking {
        Ranking::None => "",
        Ranking::RowNumber => ", numbered",
    };
    format!("first {limit}{after} of each ({}) by {}{numbered}", partition.join(", "), order.join(", "))
}

/// `hour desc`; where nulls stand is said if it is not where SQL puts them.
fn ordered(order: &Order, name: &dyn Fn(usize) -> String) -> String {
    let Order { column, descending, nulls_first } = order;
    let direction = if *descending { " desc" } else { "" };
    let nulls = match (descending, nulls_first) {
        (true, true) | (false, false) => "",
        (true, false) => " nulls last",
        (false, true) => " nulls first",
    };
    format!("{}{direction}{nulls}", name(*column))
}

/// A line for each function over a window.
fn windows(spec: &WindowSpec, names: &Names<'_>) -> Result<Vec<String>> {
    let WindowSpec { partition, order, functions, types } = spec;
    let name = |column: &usize| (names.input)(0, *column);
    let of = partition.iter().map(name).collect::<Vec<_>>().join(", ");
    let by =
        order.as_ref().map_or_else(String::new, |order| format!(" by {}", ordered(order, &|column| name(&column))));
    let unit = order.map(|order| &types[order.column]);
    let line = |function: &WindowFunction| {
        let WindowFunction { function, input, filter, frame: Frame { start, end }, output } = function;
        let argument = input.as_ref().map_or_else(|| "*".to_string(), name);
        let filter = filter.as_ref().map_or_else(String::new, |filter| format!(" where {}", name(filter)));
        let (start, end) = (bound(*start, "the first", unit), bound(*end, "the last", unit));
        let call = format!("{}({argument}){filter}{}", function_name(*function), typed(output, names.style)?);
        Ok(format!("{call} of each ({of}){by}, from {start} to {end}"))
    };
    functions.iter().map(line).collect()
}

fn bound(bound: Bound, open: &str, unit: Option<&DataType>) -> String {
    let Bound::Offset(offset) = bound else { return open.to_string() };
    let (size, unit) = match unit {
        Some(DataType::Timestamp(TimeUnit::Microsecond, _)) if offset % 3_600_000_000 == 0 => (3_600_000_000, " h"),
        Some(DataType::Timestamp(TimeUnit::Microsecond, _)) if offset % 1_000_000 == 0 => (1_000_000, " s"),
        Some(DataType::Timestamp(TimeUnit::Microsecond, _)) => (1, " µs"),
        Some(DataType::Date32) => (1, " days"),
        _ => (1, ""),
    };
    match offset {
        0 => "its own".to_string(),
        _ => format!("{}{unit} {}", offset.unsigned_abs() / size, if offset < 0 { "before" } else { "after" }),
    }
}

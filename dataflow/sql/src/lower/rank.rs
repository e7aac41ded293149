//! The first rows: `ORDER BY … LIMIT`, and `row_number()` with a bound.

use catchment_contract::{Error, Result};
use catchment_operators::{Order, Ranking, TopGroupsSpec, TopKSpec};
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::expr::{Sort as SortExpr, WindowFunction, WindowFunctionParams};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{
    BinaryExpr, Expr, Filter, Limit, LogicalPlan, Operator, Projection, Sort, Window, WindowFunctionDefinition,
};

use super::group::number;
use super::window::is_row_number;
use super::{Flow, Lowering, columns_of};
use crate::expr::Expression;
use crate::graph::{Column, Node, Op};
use crate::inspect::Construct;
use crate::stage::Stage;

impl Lowering<'_> {
    /// `LIMIT` over `ORDER BY`, with projections between them.
    pub(super) fn limit(&mut self, limit: &Limit) -> Result<Flow> {
        let skip = limit.skip.as_deref().map_or(Some(0), number);
        let fetch = limit.fetch.as_deref().map_or(Some(u64::from(u32::MAX)), number);
        let (Some(skip), Some(fetch)) = (skip, fetch) else {
            return Err(self.refuse(Construct::Limit, "a LIMIT that is not a number", "write a number: LIMIT 10"));
        };
        self.limited(&limit.input, skip as usize, fetch as usize)
    }

    fn limited(&mut self, plan: &LogicalPlan, offset: usize, limit: usize) -> Result<Flow> {
        match plan {
            LogicalPlan::Projection(Projection { expr, input, schema, .. }) => {
                let flow = self.limited(input, offset, limit)?;
                let expressions = self.compile_all(expr, input.schema())?;
                Ok(flow.project(expressions, columns_of(schema)))
            }
            LogicalPlan::SubqueryAlias(alias) => self.limited(&alias.input, offset, limit),
            LogicalPlan::Sort(Sort { expr, input, .. }) => {
                let flow = self.flow(input)?;
                let wanted = Wanted { partition: &[], order: expr, offset, limit, ranking: Ranking::None };
                self.top(flow, input, wanted)
            }
            _ => Err(self.refuse(
                Construct::Limit,
                "LIMIT without ORDER BY",
                "add ORDER BY: otherwise the chosen rows are arbitrary",
            )),
        }
    }

    /// A filter over `row_number()` that bounds it: the first rows of each partition. `None` if the plan is something else.
    /// With `rank` the number is computed, else its column is null.
    pub(super) fn ranked(&mut self, filter: &Filter, rank: bool) -> Result<Option<Flow>> {
        let Some(numbered) = Numbered::find(filter).map_err(|error| self.planning(&error))? else { return Ok(None) };
        let Numbered { window, between, predicate, column } = &numbered;
        let params = self.row_number(window)?;
        let bounds = split_conjunction(predicate).into_iter().map(|part| upper_bound(part, column));
        let Some(limit) = bounds.flatten().min() else {
            let hint = "add a bound: WHERE n <= 10, where n is the name that row_number() has";
            return Err(self.refuse(Construct::Window, "row_number() without a bound", hint));
        };
        let ranking = if rank { Ranking::RowNumber } else { Ranking::None };
        let input = self.flow(&window.input)?;
        let (partition, order) = (&params.partition_by, &params.order_by);
        let wanted = Wanted { partition, order, offset: 0, limit: limit as usize, ranking };
        let mut flow = self.top(input, &window.input, wanted)?;
        if !rank {
            flow = with_null_rank(flow);
        }
        flow.columns = columns_of(&window.schema);
        let done = |part: &Expr| !rank || upper_bound(part, column) == Some(limit) && !equals(part);
        for part in split_conjunction(predicate).into_iter().filter(|part| !done(part)) {
            let condition = self.compile(part, &window.schema)?;
            flow = flow.filter(Stage::Filter(condition));
        }
        for projection in between.iter().rev() {
            let expressions = self.compile_all(&projection.expr, projection.input.schema())?;
            flow = flow.project(expressions, columns_of(&projection.schema));
        }
        Ok(Some(flow))
    }

    /// As [`Lowering::ranked`] for a projection that does not use the number: ranks need not be kept up to date.
    pub(super) fn unranked(&mut self, projected: &[Expr], input: &LogicalPlan) -> Result<Option<Flow>> {
        let LogicalPlan::Filter(filter) = input else { return Ok(None) };
        let Some(numbered) = Numbered::find(filter).map_err(|error| self.planning(&error))? else { return Ok(None) };
        let Numbered { between, predicate, column, .. } = &numbered;
        let Expr::Column(number) = column else { return Ok(None) };
        for expr in projected {
            let below = substituted(expr.clone(), between).map_err(|error| self.planning(&error))?;
            if below.column_refs().contains(number) {
                return Ok(None);
            }
        }
        // Alone and a bound from above only; `= 1` is one too, since no number is less.
        let bound = upper_bound(predicate, column);
        let alone =
            bound.is_some_and(|bound| !equals(predicate) || bound == 1 && !matches!(predicate, Expr::Between(_)));
        if alone { self.ranked(filter, false) } else { Ok(None) }
    }

    /// The parameters of the only `row_number()` of a window node.
    fn row_number(&self, window: &Window) -> Result<WindowFunctionParams> {
        let [only] = window.window_expr.as_slice() else {
            let hint = "number rows in one order in each view";
            return Err(self.refuse(Construct::Window, "several window functions at once", hint));
        };
        match only.clone().unalias_nested().data {
            Expr::WindowFunction(function) => {
                let WindowFunction { fun, params } = *function;
                match fun {
                    WindowFunctionDefinition::WindowUDF(udf) if udf.name() == "row_number" => Ok(params),
                    other => {
                        let what = format!("window function \"{}\"", other.name());
                        let hint = "row_number() with a bound (WHERE n <= 10) works";
                        Err(self.refuse(Construct::Window, &what, hint))
                    }
                }
            }
            other => Err(Error::bug(format!("\"{other}\" is no window function"))),
        }
    }

    /// The first rows of `flow`, whose columns are those of `input`.
    fn top(&mut self, flow: Flow, input: &LogicalPlan, wanted: Wanted<'_>) -> Result<Flow> {
        if wanted.order.is_empty() {
            let hint = "add ORDER BY to OVER (…): which rows come first must be certain";
            return Err(self.refuse(Construct::Window, "row_number() without ORDER BY", hint));
        }
        let width = flow.columns.len();
        let mut expressions = self.compile_all(wanted.partition, input.schema())?;
        expressions.extend(self.compile_all(wanted.order.iter().map(|sort| &sort.expr), input.schema())?);
        let (input_key, label) = (flow.key.clone(), flow.label.clone());
        let (flow, places) = flow.extended(expressions);
        let (partition, ordered) = places.split_at(wanted.partition.len());
        let order = ordered
            .iter()
            .zip(wanted.order)
            .map(|(column, sort)| Order { column: *column, descending: !sort.asc, nulls_first: sort.nulls_first })
            .collect();
        let spec = TopKSpec {
            partition: partition.to_vec(),
            order,
            offset: wanted.offset,
            limit: wanted.limit,
            ranking: wanted.ranking,
            types: flow.types(),
        };
        let ranked = wanted.ranking == Ranking::RowNumber;
        let top = match self.top_of_groups(&flow, &spec)? {
            Some(flow) => flow,
            None => self.top_of_rows(flow, spec, &label)?,
        };
        // The computed columns of the order leave; the rank, which stands last, stays.
        let mut kept: Vec<usize> = (0..width).collect();
        kept.extend(ranked.then(|| top.columns.len() - 1));
        let mut top = top.pick(&kept);
        top.key = input_key;
        Ok(top)
    }

    fn top_of_rows(&mut self, flow: Flow, spec: TopKSpec, label: &str) -> Result<Flow> {
        let view = self.subject.view;
        let columns = with_rank(&flow.columns, spec.ranking);
        let input = flow.node(self.graph, view).map_err(|error| self.planning(&error))?;
        let name = format!("Top {}: {label}", spec.limit);
        let op = Op::TopK(spec);
        let id = self.graph.add(Node { name, op, inputs: vec![input], columns, key: None, append_only: false });
        Ok(Flow::of(self.graph, id, label))
    }

    /// The first groups of an aggregate, in one operator, if the rows are an aggregate's with columns picked at most.
    fn top_of_groups(&mut self, flow: &Flow, spec: &TopKSpec) -> Result<Option<Flow>> {
        let Op::Aggregate(aggregate) = &self.graph.nodes[flow.base].op else { return Ok(None) };
        let Some(picks) = flow.picks() else { return Ok(None) };
        let (picks, narrowed): (Vec<usize>, Vec<Option<Expression>>) = picks.into_iter().unzip();
        let grouped = &self.graph.nodes[flow.base];
        let top = TopKSpec {
            partition: spec.partition.iter().map(|column| picks[*column]).collect(),
            order: spec.order.iter().map(|order| Order { column: picks[order.column], ..*order }).collect(),
            types: grouped.types(),
            ..spec.clone()
        };
        let spec = TopGroupsSpec { aggregate: aggregate.clone(), top };
        if !spec.fits() {
            return Ok(None);
        }
        let columns = with_rank(&grouped.columns, spec.top.ranking);
        let (inputs, width) = (grouped.inputs.clone(), grouped.columns.len());
        let name = format!("Top {} groups: {}", spec.top.limit, grouped.name.trim_start_matches("Aggregate: "));
        let ranked = spec.top.ranking == Ranking::RowNumber;
        let node = Node { name, op: Op::TopGroups(spec), inputs, columns, key: None, append_only: false };
        let id = self.graph.add(node);
        let mut kept = picks;
        kept.extend(ranked.then_some(width));
        let top = Flow::of(self.graph, id, flow.label.clone()).pick(&kept);
        // Sums that were compared as they are become values of their type.
        let mut columns = top.columns.clone();
        let expressions = (0..kept.len()).map(|place| {
            let column = &mut columns[place];
            match narrowed.get(place).and_then(Option::as_ref) {
                Some(narrow) => {
                    column.data_type = narrow.output().clone();
                    narrow.through(&[place])
                }
                None => Expression::column(place, &column.name, &column.data_type),
            }
        });
        let expressions = expressions.collect();
        Ok(Some(top.project(expressions, columns)))
    }
}

/// A filter over `row_number()`, with projections between them.
struct Numbered<'a> {
    window: &'a Window,
    /// Outermost first.
    between: Vec<&'a Projection>,
    /// The filter's predicate, over the window's output.
    predicate: Expr,
    /// The number, in the window's output.
    column: Expr,
}

impl<'a> Numbered<'a> {
    fn find(filter: &'a Filter) -> datafusion_common::Result<Option<Self>> {
        let mut between = Vec::new();
        let mut plan = filter.input.as_ref();
        while let LogicalPlan::Projection(projection) = plan {
            between.push(projection);
            plan = projection.input.as_ref();
        }
        let LogicalPlan::Window(window) = plan else { return Ok(None) };
        if !window.window_expr.iter().any(is_row_number) {
            return Ok(None);
        }
        let predicate = substituted(filter.predicate.clone(), &between)?;
        let column = Expr::Column(window.schema.columns()[window.input.schema().fields().len()].clone());
        Ok(Some(Numbered { window, between, predicate, column }))
    }
}

/// `expr`, which is over the output of the first of `projections`, over the input of the last.
fn substituted(expr: Expr, projections: &[&Projection]) -> datafusion_common::Result<Expr> {
    projections.iter().try_fold(expr, |expr, projection| {
        let below = expr.transform_up(|node| match &node {
            Expr::Column(column) => {
                let index = projection.schema.index_of_column(column)?;
                Ok(Transformed::yes(projection.expr[index].clone().unalias()))
            }
            _ => Ok(Transformed::no(node)),
        })?;
        Ok(below.data)
    })
}

struct Wanted<'a> {
    partition: &'a [Expr],
    order: &'a [SortExpr],
    offset: usize,
    limit: usize,
    ranking: Ranking,
}

fn with_rank(columns: &[Column], ranking: Ranking) -> Vec<Column> {
    let rank = Column { name: "rank".to_string(), data_type: catchment_contract::arrow::datatypes::DataType::UInt64 };
    let rank = (ranking == Ranking::RowNumber).then_some(rank);
    columns.iter().cloned().chain(rank).collect()
}

fn with_null_rank(flow: Flow) -> Flow {
    let null = Expression::constant(ScalarValue::UInt64(None));
    flow.extended(vec![null]).0
}

/// The greatest number that `part` lets `column` have, if it bounds it.
fn upper_bound(part: &Expr, column: &Expr) -> Option<u64> {
    if let Expr::Between(between) = part {
        return (!between.negated && between.expr.as_ref() == column).then(|| number(&between.high)).flatten();
    }
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = part else { return None };
    let (op, bound) = match (left.as_ref() == column, right.as_ref() == column) {
        (true, _) => (*op, right),
        (_, true) => (op.swap()?, left),
        _ => return None,
    };
    let bound = number(bound)?;
    match op {
        Operator::LtEq | Operator::Eq => Some(bound),
        Operator::Lt => Some(bound.saturating_sub(1)),
        _ => None,
    }
}

/// Whether a bound also holds from below, so that it must stay as a filter.
fn equals(part: &Expr) -> bool {
    match part {
        Expr::Between(_) => true,
        Expr::BinaryExpr(BinaryExpr { op, .. }) => *op == Operator::Eq,
        _ => false,
    }
}

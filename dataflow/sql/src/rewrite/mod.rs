//! Plans rewritten: what a query means, and then the same in a form that is cheap to keep up to date.
//!
//! Most of this is our own. DataFusion's rules serve a batch engine: they lose rows with nulls, fold predicates by
//! nullability that they guess, turn counts over nothing into nulls, and let predicates that fail overtake those that
//! guard them. A rule here changes no answer, whatever the rows hold, and none makes a row fail that would not have.
//!
//! [`analyse`], on a view's query alone:
//! 1. `unnest`: an order of columns that is the same in each run;
//!    `grouped`: keys of groups that have each expression once;
//!    `using`: the columns of `USING` in outer joins;
//! 2. `sums`: which sums are of `INTEGER`s;
//! 3. `literals`: numbers are exact where that can be seen;
//! 4. `types`: what depends on the types of the query as it is written;
//! 5. DataFusion's type coercion;
//! 6. `meaning`: operators and casts whose evaluation means something else in SQL;
//! 7. `floats`: floats are compared by value;
//! 8. `ties`: orders that no reader can change.
//!
//! [`optimise`], on a view's query with others inlined:
//! 1. `fold`: constants;
//! 2. `subquery`: subqueries become joins;
//! 3. `push`: filters move towards the sources, equalities become keys of joins, outer joins inner ones;
//! 4. of DataFusion's rules: `EliminateFilter` and `PropagateEmptyRelation`, which drop what never has a row,
//!    `OptimizeUnions`, which flattens them, and `OptimizeProjections`, which drops columns that nobody reads.

mod floats;
mod fold;
mod functions;
mod grouped;
mod literals;
mod may_fail;
mod meaning;
mod nulls;
mod outer;
mod push;
mod strict;
mod subquery;
mod sums;
mod ties;
mod types;
mod unnest;
mod unwrap;
mod using;

use std::sync::Arc;

use catchment_contract::arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, FunctionalDependencies, Result};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, Union, Values};
use datafusion_optimizer::analyzer::Analyzer;
use datafusion_optimizer::eliminate_filter::EliminateFilter;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::optimize_unions::OptimizeUnions;
use datafusion_optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion_optimizer::{Optimizer, OptimizerContext, OptimizerRule};

pub(crate) use functions::PLAIN_FLOAT;
pub(crate) use may_fail::{
    cast_may_fail, columns_that_may_fail, function_may_fail, may_fail, negation_may_fail, operator_may_fail,
};
pub(crate) use nulls::column_never_null;
pub(crate) use ties::Keys;
pub(crate) use types::{Elements, Intervals, any_operator, is_arithmetic};
pub(crate) use using::own;

/// What the query `plan` means, its types made to fit. `keys` are those of the relations that it reads.
///
/// # Errors
/// For what has no meaning, in the form `message; hint`.
pub(crate) fn analyse(plan: LogicalPlan, config: &Arc<ConfigOptions>, keys: &Keys<'_>) -> Result<LogicalPlan> {
    let plan = unnest::ordered(plan)?;
    let plan = grouped::once(plan)?;
    let plan = using::merged(plan)?;
    let plan = sums::typed(plan)?;
    let plan = literals::exact(plan)?;
    let plan = types::settled(plan)?;
    // The rules alone: the analyzer's checks are of what DataFusion's executor can do.
    let rules = Analyzer::new().rules;
    let plan = rules.iter().try_fold(plan, |plan, rule| rule.analyze(plan, config))?;
    let plan = meaning::settled(plan)?;
    let plan = floats::plain(plan)?;
    ties::settled(plan, keys)
}

/// `node` with each of its expressions, and what they are made of from the inside out, as `settle` makes it; under the names
/// that they had.
fn with_expressions(
    node: LogicalPlan,
    mut settle: impl FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let node = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let settled = expr.transform_up(&mut settle)?;
        Ok(Transformed::new_transformed(name.restore(settled.data), settled.transformed))
    })?;
    if node.transformed { node.map_data(retyped) } else { Ok(node) }
}

/// `node` with the schema of its inputs and expressions, which may have got other types.
fn retyped(node: LogicalPlan) -> Result<LogicalPlan> {
    match node.recompute_schema()? {
        // To DataFusion these two keep the types that they were made with.
        LogicalPlan::Union(Union { inputs, schema }) => {
            // A null has no type of its own.
            let types = (0..schema.fields().len()).map(|place| {
                let mut types = inputs.iter().map(|input| input.schema().field(place).data_type());
                types.find(|kind| !kind.is_null()).unwrap_or(&DataType::Null).clone()
            });
            let types = types.collect();
            let schema = with_types(&schema, types)?;
            Ok(LogicalPlan::Union(Union { inputs, schema }))
        }
        LogicalPlan::Values(Values { schema, values }) => {
            let empty = DFSchema::empty();
            let types = schema.fields().iter().enumerate().map(|(place, field)| {
                let mut types = values.iter().filter_map(|row| row.get(place)?.get_type(&empty).ok());
                types.find(|kind| !kind.is_null()).unwrap_or_else(|| field.data_type().clone())
            });
            let types = types.collect();
            let schema = with_types(&schema, types)?;
            Ok(LogicalPlan::Values(Values { schema, values }))
        }
        node => Ok(node),
    }
}

fn with_types(schema: &DFSchema, types: Vec<DataType>) -> Result<Arc<DFSchema>> {
    let fields = schema
        .iter()
        .zip(types)
        .map(|((relation, field), kind)| (relation.cloned(), Arc::new(field.as_ref().clone().with_data_type(kind))));
    Ok(Arc::new(DFSchema::new_with_metadata(fields.collect(), schema.metadata().clone())?))
}

/// The plan that is lowered.
///
/// # Errors
/// For a subquery that no join can stand for, in the form `message; hint`.
pub(crate) fn optimise(plan: LogicalPlan, config: &Arc<ConfigOptions>) -> Result<LogicalPlan> {
    let plan = fold::constants(plan, config)?;
    let plan = subquery::joined(plan)?;
    let plan = fold::constants(plan, config)?;
    let plan = push::filters(plan)?;
    let mut options = ConfigOptions::clone(config);
    options.optimizer.skip_failed_rules = false;
    let context = OptimizerContext::new_with_config_options(Arc::new(options)).without_query_execution_start_time();
    let rules: [Arc<dyn OptimizerRule + Send + Sync>; 3] =
        [Arc::new(EliminateFilter::new()), Arc::new(PropagateEmptyRelation::new()), Arc::new(OptimizeUnions::new())];
    let plan = Optimizer::with_rules(rules.into()).optimize(plan, &context, |_, _| {})?;
    // One pass at a time: nodes that are made anew have functional dependencies again, which the next pass would believe.
    let context = context.with_max_passes(1);
    (0..COLUMN_PASSES).try_fold(plan, |plan, _| {
        let rules: [Arc<dyn OptimizerRule + Send + Sync>; 1] = [Arc::new(OptimizeProjections::new())];
        Optimizer::with_rules(rules.into()).optimize(without_dependencies(plan)?, &context, |_, _| {})
    })
}

/// How often columns that nobody reads are dropped: what one pass leaves, such as a projection over a projection, the next
/// one sees.
const COLUMN_PASSES: usize = 2;

/// `plan` without functional dependencies: DataFusion derives some that do not hold behind outer joins, and drops columns
/// of a `GROUP BY` by them.
fn without_dependencies(plan: LogicalPlan) -> Result<LogicalPlan> {
    let bare = |schema: &Arc<DFSchema>| -> Result<Arc<DFSchema>> {
        if schema.functional_dependencies().is_empty() {
            return Ok(schema.clone());
        }
        let schema = DFSchema::clone(schema);
        Ok(Arc::new(schema.with_functional_dependencies(FunctionalDependencies::empty())?))
    };
    let plan = plan.transform_up(|mut node| {
        match &mut node {
            LogicalPlan::Projection(node) => node.schema = bare(&node.schema)?,
            LogicalPlan::Window(node) => node.schema = bare(&node.schema)?,
            LogicalPlan::Aggregate(node) => node.schema = bare(&node.schema)?,
            LogicalPlan::Join(node) => node.schema = bare(&node.schema)?,
            LogicalPlan::Union(node) => node.schema = bare(&node.schema)?,
            LogicalPlan::SubqueryAlias(node) => node.schema = bare(&node.schema)?,
            LogicalPlan::Unnest(node) => node.schema = bare(&node.schema)?,
            _ => return Ok(Transformed::no(node)),
        }
        Ok(Transformed::yes(node))
    })?;
    Ok(plan.data)
}

/// The parts of a condition that all must hold.
fn conjuncts(predicate: Expr) -> Vec<Expr> {
    datafusion_expr::utils::split_conjunction_owned(predicate)
}

/// The columns of `schema` as expressions.
fn columns(schema: &DFSchema) -> Vec<Expr> {
    schema.columns().into_iter().map(Expr::Column).collect()
}

//! Operators of one's own in logical plans: a node that DataFusion's optimiser leaves as it is, over its inputs.
//!
//! A job's view of such an operator has this node as its plan, so that it is inlined, shared, drawn and told apart like any
//! other view. Its text holds the operator's version.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use catchment_contract::options::nearest;
use catchment_contract::{Error, Result};
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError, plan_err};
use datafusion_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, TableSource, UserDefinedLogicalNodeCore, col};

use crate::catalog::Catalog;
use crate::extensions::{Operator, OperatorSpec};

/// An operator of one's own over its inputs.
#[derive(Clone, Debug)]
pub(crate) struct Custom {
    pub operator: Arc<Operator>,
    pub inputs: Vec<LogicalPlan>,
    schema: DFSchemaRef,
}

/// The plan of `operator`, whose inputs are all declared.
///
/// # Errors
/// If an input has not a column that the operator reads.
pub(crate) fn plan_operator(operator: &Arc<Operator>, catalog: &Catalog) -> Result<LogicalPlan> {
    let OperatorSpec { name, inputs, schema, .. } = &operator.spec;
    let mut plans = Vec::new();
    for (relation, columns) in inputs {
        let table = catalog.table(relation);
        let table = table.ok_or_else(|| Error::bug(format!("operator \"{name}\" reads \"{relation}\" too early")))?;
        let known: Vec<&str> = table.schema.fields().iter().map(|field| field.name().as_str()).collect();
        if let Some(missing) = columns.iter().find(|column| !known.contains(&column.as_str())) {
            let hint = match nearest(missing, known.iter().copied()) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("its columns are {}", known.join(", ")),
            };
            let message = format!("operator \"{name}\" reads column \"{missing}\", which \"{relation}\" does not have");
            return Err(Error::user(message).with_hint(hint));
        }
        if columns.is_empty() {
            return Err(Error::user(format!("operator \"{name}\" reads no column of \"{relation}\""))
                .with_hint("name at least one"));
        }
        let source: Arc<dyn TableSource> = table.clone();
        let plan = LogicalPlanBuilder::scan(relation.as_str(), source, None)
            .and_then(|scan| scan.project(columns.iter().map(|column| col(quoted(column)))))
            .and_then(LogicalPlanBuilder::build);
        plans.push(plan.map_err(planning)?);
    }
    let schema = DFSchema::try_from(schema.as_ref().clone()).map_err(planning)?;
    let node = Custom { operator: operator.clone(), inputs: plans, schema: Arc::new(schema) };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

fn planning(error: DataFusionError) -> Error {
    Error::user(format!("an operator cannot be planned: {}", error.message()))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Custom {
    /// What tells two nodes apart.
    fn identity(&self) -> (&str, &str, &[LogicalPlan]) {
        (&self.operator.spec.name, &self.operator.spec.version, &self.inputs)
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Custom {}

impl Hash for Custom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for Custom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.identity().partial_cmp(&other.identity())
    }
}

impl UserDefinedLogicalNodeCore for Custom {
    fn name(&self) -> &str {
        "Operator"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OperatorSpec { name, version, schema, .. } = &self.operator.spec;
        let columns = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
        write!(f, "Operator: {name} version={version} columns=[{}]", columns.collect::<Vec<_>>().join(", "))
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> datafusion_common::Result<Self> {
        if inputs.len() != self.inputs.len() {
            return plan_err!("operator \"{}\" has {} inputs", self.operator.spec.name, self.inputs.len());
        }
        Ok(Custom { inputs, ..self.clone() })
    }
}

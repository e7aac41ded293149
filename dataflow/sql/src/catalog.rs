//! What queries may name: relations, and functions.
//!
//! Functions are DataFusion's and our own. A relation is a source, a view, or the built-in `rejects`; each is a leaf of the
//! plans that read it ([`Table`]), so that planning decides later whether a view is inlined or shared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchment_contract::Error;
use catchment_contract::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, TableReference, plan_datafusion_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};

use crate::extensions::check_name;
use crate::functions::table::{Function, Kind};
use crate::functions::{self, Library};
use crate::merging::Merged;
use crate::rewrite::{Elements, Intervals};
use crate::written::Written;

// The relation of input that could not become rows, and of rows that a view could not compute.
use catchment_contract::reject::{REJECTS, rejects_schema};

/// Which relation a plan's leaf reads: an index among the job's sources or views, or the rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelationId {
    /// The job's n-th source.
    Source(usize),
    /// The job's n-th view.
    View(usize),
    /// Rows of [`rejects_schema`].
    Rejects,
}

/// The only type of instants on an edge.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A relation as a leaf of a plan.
#[derive(Debug)]
pub struct Table {
    /// Which relation it is.
    pub id: RelationId,
    /// Its columns.
    pub schema: SchemaRef,
}

impl TableSource for Table {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Relations and functions by name.
pub struct Catalog {
    tables: BTreeMap<String, Arc<Table>>,
    /// Columns of sources that `*` leaves out, by source.
    unlisted: BTreeMap<String, Vec<String>>,
    functions: Library,
    /// The names of functions that are a program's.
    added: BTreeSet<String>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    options: Arc<ConfigOptions>,
}

impl Default for Catalog {
    fn default() -> Self {
        Catalog::new()
    }
}

impl Catalog {
    /// All functions, and the relation [`REJECTS`].
    pub fn new() -> Self {
        let mut options = ConfigOptions::default();
        options.execution.time_zone = Some("UTC".to_string());
        let mut catalog = Catalog {
            tables: BTreeMap::new(),
            unlisted: BTreeMap::new(),
            functions: Library::new(),
            added: BTreeSet::new(),
            planners: planners(),
            options: Arc::new(options),
        };
        catalog.add(REJECTS, RelationId::Rejects, rejects_schema());
        catalog
    }

    /// Adds a scalar function.
    ///
    /// # Errors
    /// If there is a function of its name, or SQL does not find one of that name.
    pub fn add_function(&mut self, function: &Arc<ScalarUDF>) -> catchment_contract::Result<()> {
        for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
            check_name("function", name)?;
            if self.functions.scalars.contains_key(name) || functions::find(name).is_some() {
                return Err(
                    Error::user(format!("there is a function \"{name}\" already")).with_hint("give yours another name")
                );
            }
            self.functions.scalars.insert(name.to_string(), function.clone());
            self.added.insert(name.to_string());
        }
        Ok(())
    }

    /// Adds a relation; false if the name is taken.
    pub fn add(&mut self, name: &str, id: RelationId, schema: SchemaRef) -> bool {
        self.tables.insert(name.to_string(), Arc::new(Table { id, schema })).is_none()
    }

    /// Takes note that `*` leaves these columns of the source `name` out.
    pub fn set_unlisted(&mut self, name: &str, columns: Vec<String>) {
        self.unlisted.insert(name.to_string(), columns);
    }

    /// The columns of the relation `name` that `*` leaves out.
    pub fn unlisted(&self, name: &str) -> &[String] {
        self.unlisted.get(name).map_or(&[], Vec::as_slice)
    }

    /// The relation called `name`.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// The names of all relations.
    pub fn table_names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// How a query may use the function `name`; `None` if there is none.
    pub fn function(&self, name: &str) -> Option<Kind> {
        if self.added.contains(name) {
            return Some(Kind::Scalar { fails: Some(""), limit: None });
        }
        functions::find(name).map(|function| function.kind)
    }

    /// The names of all functions that a query may call.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        let offered = functions::all().filter(|function| function.is_offered());
        let mut names: Vec<&str> = offered.flat_map(Function::names).collect();
        names.extend(self.added.iter().map(String::as_str));
        names.into_iter()
    }

    /// DataFusion's settings: UTC, strings as `Utf8View`.
    pub fn config(&self) -> &Arc<ConfigOptions> {
        &self.options
    }
}

/// Ours, and the planners that DataFusion's own sessions use: they give operators, `EXTRACT` and the like their functions.
fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(Elements),
        Arc::new(Intervals),
        Arc::new(Merged),
        Arc::new(Written),
        Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
        Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
        Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
        Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
        Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
        Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
        Arc::new(datafusion_functions_window::planner::WindowFunctionPlanner),
    ]
}

impl ContextProvider for Catalog {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let table = self.tables.get(name.table());
        table.map(|table| table.clone() as _).ok_or_else(|| plan_datafusion_err!("there is no relation \"{name}\""))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalars.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.windows.get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.functions.windows.keys().cloned().collect()
    }
}

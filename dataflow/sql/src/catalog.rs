//! What queries may name: relations, and functions.
//!
//! Functions are DataFusion's and our own. A relation is a source, a view, or the built-in `rejects`; each is a leaf of the
//! plans that read it ([`Table`]), so that planning decides later whether a view is inlined or shared.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use catchment_contract::Error;
use catchment_contract::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, TableReference, plan_datafusion_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, Volatility, WindowUDF};

use crate::extensions::check_name;
use crate::functions;

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

/// How a function may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionUse {
    /// Its result depends on its arguments alone.
    Scalar,
    /// Its result depends on the clock or on chance.
    Volatile,
    /// It aggregates, and the result can be kept up to date.
    Aggregate,
    /// It aggregates, and nothing keeps it up to date.
    UnsupportedAggregate,
    /// Only with `OVER`.
    Window,
}

/// Aggregates that can be kept up to date.
pub const AGGREGATES: [&str; 7] = ["count", "sum", "avg", "min", "max", "median", "mad"];

/// Relations and functions by name.
pub struct Catalog {
    tables: BTreeMap<String, Arc<Table>>,
    scalars: HashMap<String, Arc<ScalarUDF>>,
    higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    aggregates: HashMap<String, Arc<AggregateUDF>>,
    windows: HashMap<String, Arc<WindowUDF>>,
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
        let mut scalars: HashMap<String, Arc<ScalarUDF>> = HashMap::new();
        for function in functions::scalars() {
            let names = function.aliases().iter().cloned().chain([function.name().to_string()]);
            names.for_each(|name| drop(scalars.insert(name, function.clone())));
        }
        let higher_order = datafusion_functions_nested::all_default_higher_order_functions();
        let mut aggregates = datafusion_functions_aggregate::all_default_aggregate_functions();
        aggregates.extend(catchment_operators::functions::aggregates());
        let windows = datafusion_functions_window::all_default_window_functions();
        let mut catalog = Catalog {
            tables: BTreeMap::new(),
            scalars,
            higher_order: named(higher_order, |f| (f.name().to_string(), f.aliases().to_vec())),
            aggregates: named(aggregates, |f| (f.name().to_string(), f.aliases().to_vec())),
            windows: named(windows, |f| (f.name().to_string(), f.aliases().to_vec())),
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
            if self.function(name).is_some() {
                return Err(
                    Error::user(format!("there is a function \"{name}\" already")).with_hint("give yours another name")
                );
            }
            self.scalars.insert(name.to_string(), function.clone());
        }
        Ok(())
    }

    /// Adds a relation; false if the name is taken.
    pub fn add(&mut self, name: &str, id: RelationId, schema: SchemaRef) -> bool {
        self.tables.insert(name.to_string(), Arc::new(Table { id, schema })).is_none()
    }

    /// The relation called `name`.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// The names of all relations.
    pub fn table_names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// How the function `name` may be used; `None` if there is none.
    pub fn function(&self, name: &str) -> Option<FunctionUse> {
        if let Some(function) = self.scalars.get(name) {
            return Some(match function.signature().volatility {
                Volatility::Immutable => FunctionUse::Scalar,
                Volatility::Stable | Volatility::Volatile => FunctionUse::Volatile,
            });
        }
        if let Some(function) = self.aggregates.get(name) {
            let known = AGGREGATES.contains(&function.name());
            return Some(if known { FunctionUse::Aggregate } else { FunctionUse::UnsupportedAggregate });
        }
        // `unnest` is no function to DataFusion but a form of its own.
        let scalar = self.higher_order.contains_key(name) || name == "unnest";
        scalar.then_some(FunctionUse::Scalar).or_else(|| self.windows.contains_key(name).then_some(FunctionUse::Window))
    }

    /// The names of all functions.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        let scalars = self.scalars.keys().chain(self.higher_order.keys());
        scalars.chain(self.aggregates.keys()).chain(self.windows.keys()).map(String::as_str).chain(["unnest"])
    }

    /// DataFusion's settings: UTC, strings as `Utf8View`.
    pub fn config(&self) -> &Arc<ConfigOptions> {
        &self.options
    }
}

fn named<T>(functions: Vec<Arc<T>>, names: impl Fn(&T) -> (String, Vec<String>)) -> HashMap<String, Arc<T>> {
    let mut map = HashMap::new();
    for function in functions {
        let (name, aliases) = names(&function);
        for name in aliases.into_iter().chain([name]) {
            map.insert(name, function.clone());
        }
    }
    map
}

/// The planners that DataFusion's own sessions use: they give operators, `EXTRACT` and the like their functions.
fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
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
        self.scalars.get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.higher_order.get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.windows.get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.higher_order.keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.windows.keys().cloned().collect()
    }
}

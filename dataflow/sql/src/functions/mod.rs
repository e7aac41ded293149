//! Functions: which there are, what can fail, and what bounds their results.
//!
//! All of it stands in one [`table`], a line each: the planner finds functions by it, messages name them from it, and
//! `docs/functions.md` is [written](markdown()) from it. What is not in the table is no function, whatever DataFusion has.

mod bounded;
mod limits;
mod markdown;
mod sum;
pub mod table;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub use limits::{BATCH_BYTES_MAX, COMPARISONS_MAX, LIST_ELEMENTS_MAX, PATTERN_BYTES_MAX, VALUE_BYTES_MAX};
pub use markdown::markdown;
pub(crate) use sum::{NAME as SUM, is_narrow};
use table::{Function, Kind, SECTIONS};

/// Every function of the table.
pub fn all() -> impl Iterator<Item = &'static Function> {
    SECTIONS.iter().flat_map(|section| section.functions)
}

/// The function that a query or a plan calls `name`.
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.names().any(|known| known == name))
}

/// Whether the scalar function that a query calls `name` may fail for some row. What is not in the table may: it is a
/// program's.
pub(crate) fn may_fail(name: &str) -> bool {
    !matches!(find(name).map(|function| function.kind), Some(Kind::Scalar { fails: None, .. }))
}

/// The aggregate functions, for messages: `count, sum, …`.
pub(crate) fn aggregates() -> String {
    let names = all().filter(|function| function.kind == Kind::Aggregate).map(Function::name);
    names.collect::<Vec<_>>().join(", ")
}

/// What works with `OVER`, for messages.
pub(crate) fn over_windows() -> String {
    format!("{} work, and row_number() with a bound (WHERE n <= 10)", aggregates())
}

/// The code of the functions that queries may call, each under all of its names.
pub(crate) struct Library {
    pub scalars: HashMap<String, Arc<ScalarUDF>>,
    pub aggregates: HashMap<String, Arc<AggregateUDF>>,
    pub windows: HashMap<String, Arc<WindowUDF>>,
}

impl Library {
    /// DataFusion's functions and our own, as far as the table has them, bounded as it says.
    pub fn new() -> Library {
        let theirs = datafusion_functions::all_default_functions().into_iter();
        let nested = datafusion_functions_nested::all_default_nested_functions();
        let scalars = theirs.chain(nested).chain(catchment_operators::functions::all());
        let aggregates = datafusion_functions_aggregate::all_default_aggregate_functions().into_iter();
        let aggregates = aggregates.chain(catchment_operators::functions::aggregates());
        let windows = datafusion_functions_window::all_default_window_functions().into_iter();
        let scalars = scalars.filter_map(|code| match find_own(code.name())?.kind {
            Kind::Scalar { limit: Some(limit), .. } => Some((code.name().to_string(), bounded::bounded(code, limit))),
            Kind::Scalar { limit: None, .. } => Some((code.name().to_string(), code)),
            _ => None,
        });
        let is = |name: &str, kind: Kind| find_own(name).is_some_and(|function| function.kind == kind);
        let aggregates = aggregates.map(|code| (code.name().to_string(), sum::sum(code)));
        let windows = windows.map(|code| (code.name().to_string(), code));
        Library {
            scalars: under_all_names(scalars),
            aggregates: under_all_names(aggregates.filter(|(name, _)| is(name, Kind::Aggregate))),
            windows: under_all_names(windows.filter(|(name, _)| is(name, Kind::Window))),
        }
    }
}

/// The function whose own name is `name`.
fn find_own(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name() == name)
}

fn under_all_names<T>(functions: impl Iterator<Item = (String, Arc<T>)>) -> HashMap<String, Arc<T>> {
    let names = |(name, code): (String, Arc<T>)| {
        let names = find_own(&name).into_iter().flat_map(Function::names);
        names.map(move |name| (name.to_string(), code.clone())).collect::<Vec<_>>()
    };
    functions.flat_map(names).collect()
}

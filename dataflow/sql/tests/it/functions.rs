//! The table of functions: it is DataFusion's and ours without a gap, and the page about it is up to date.

use std::collections::BTreeSet;

use catchment_sql::catalog::Catalog;
use catchment_sql::functions::table::Kind;
use catchment_sql::functions::{all, find, markdown};
use datafusion_expr::Volatility;
use datafusion_expr::planner::ContextProvider;

use crate::common;

/// `CATCHMENT_RENEW=1` writes the page anew.
#[test]
fn the_page_is_up_to_date() {
    common::golden("../../../docs/functions.md", &markdown());
}

/// What DataFusion has, by kind, with its names.
fn theirs() -> Vec<(&'static str, Vec<String>)> {
    let with = |name: &str, aliases: &[String]| [vec![name.to_string()], aliases.to_vec()].concat();
    let scalars = datafusion_functions::all_default_functions().into_iter();
    let scalars = scalars.chain(datafusion_functions_nested::all_default_nested_functions());
    let scalars = scalars.chain(catchment_operators::functions::all());
    let higher = datafusion_functions_nested::all_default_higher_order_functions().into_iter();
    let aggregates = datafusion_functions_aggregate::all_default_aggregate_functions().into_iter();
    let aggregates = aggregates.chain(catchment_operators::functions::aggregates());
    let windows = datafusion_functions_window::all_default_window_functions().into_iter();
    let scalars = scalars.map(|code| ("scalar", with(code.name(), code.aliases())));
    let higher = higher.map(|code| ("higher", with(code.name(), code.aliases())));
    let aggregates = aggregates.map(|code| ("aggregate", with(code.name(), code.aliases())));
    let windows = windows.map(|code| ("window", with(code.name(), code.aliases())));
    scalars.chain(higher).chain(aggregates).chain(windows).collect()
}

/// A new version of DataFusion brings no function, and takes none away, unseen.
#[test]
fn every_function_that_datafusion_has_is_offered_or_refused() {
    let mut known = BTreeSet::new();
    for (kind, names) in theirs() {
        let function =
            find(&names[0]).unwrap_or_else(|| panic!("the {kind} function {} is not in the table", names[0]));
        known.insert(function.name());
        let ours: Vec<&str> = function.names().collect();
        assert!(names.iter().all(|name| ours.contains(&name.as_str())), "{ours:?} lacks a name of {names:?}");
        assert_eq!(function.name(), names[0]);
        let fits = match function.kind {
            Kind::Scalar { .. } => kind == "scalar",
            Kind::Aggregate => kind == "aggregate",
            Kind::Window => kind == "window",
            Kind::Refused { .. } => true,
            Kind::Rows => false,
        };
        assert!(fits, "{} is a {kind} function, not {:?}", function.name(), function.kind);
    }
    let coded = all().filter(|function| function.kind != Kind::Rows).map(|function| function.name());
    let gone: Vec<&str> = coded.filter(|name| !known.contains(name)).collect();
    assert!(gone.is_empty(), "nothing computes {gone:?}");
}

#[test]
fn names_are_unique_and_lines_are_whole() {
    let mut seen = BTreeSet::new();
    for function in all() {
        for name in function.names() {
            assert!(seen.insert(name), "{name} stands there twice");
        }
        let written = !function.usage.is_empty() && !function.gives.is_empty();
        match function.kind {
            Kind::Refused { instead, .. } => assert!(!instead.is_empty() && !written, "{}", function.name()),
            _ => assert!(written, "{}", function.name()),
        }
    }
}

/// What a query may call depends on its arguments alone.
#[test]
fn what_is_offered_is_immutable() {
    let catalog = Catalog::new();
    for name in catalog.function_names() {
        let code = catalog.get_function_meta(name);
        if let Some(code) = &code {
            assert_eq!(code.signature().volatility, Volatility::Immutable, "{name}");
        }
        let known = code.is_some()
            || catalog.get_aggregate_meta(name).is_some()
            || catalog.get_window_meta(name).is_some()
            || name == "unnest";
        assert!(known, "{name} has no code");
    }
    for hidden in ["plain_float", "now", "random", "array_agg", "rank"] {
        assert!(catalog.function_names().all(|name| name != hidden), "{hidden}");
    }
}

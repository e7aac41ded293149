//! Functions: which there are, what can fail, and what bounds their results.

mod bounded;
mod limits;

use std::sync::Arc;

use datafusion_expr::ScalarUDF;

use limits::Limit;
pub use limits::{BATCH_BYTES_MAX, COMPARISONS_MAX, LIST_ELEMENTS_MAX, PATTERN_BYTES_MAX, VALUE_BYTES_MAX};

/// Scalar functions that never fail on well-typed input.
const INFALLIBLE: [&str; 22] = [
    "btrim",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "greatest",
    "least",
    "left",
    "lower",
    "ltrim",
    "nullif",
    "nvl",
    "octet_length",
    "reverse",
    "rtrim",
    "starts_with",
    "strpos",
    "upper",
    "words",
    "youtube_video_ids",
];

/// Scalar functions whose results may be far larger than their arguments, or take far longer than reading these.
const LIMITS: [(&str, Limit); 19] = [
    ("array_has_all", Limit::Pairs),
    ("array_has_any", Limit::Pairs),
    ("array_repeat", Limit::ListRepeat),
    ("array_resize", Limit::ListResize),
    ("array_sort", Limit::Order),
    ("array_to_string", Limit::Join),
    ("generate_series", Limit::Series),
    ("levenshtein", Limit::Distance),
    ("lpad", Limit::Pad),
    ("range", Limit::Series),
    ("regexp_count", Limit::Regex),
    ("regexp_instr", Limit::Regex),
    ("regexp_like", Limit::Regex),
    ("regexp_match", Limit::Regex),
    ("regexp_replace", Limit::RegexReplace),
    ("repeat", Limit::Repeat),
    ("replace", Limit::Replace),
    ("rpad", Limit::Pad),
    ("string_to_array", Limit::Split),
];

/// Whether the scalar function `name` may fail for some row.
pub(crate) fn fallible(name: &str) -> bool {
    !INFALLIBLE.contains(&name)
}

/// Every scalar function that a query may call, by its own name.
pub(crate) fn scalars() -> Vec<Arc<ScalarUDF>> {
    let theirs = datafusion_functions::all_default_functions().into_iter();
    let nested = datafusion_functions_nested::all_default_nested_functions();
    let all = theirs.chain(nested).chain(catchment_operators::functions::all());
    let limit = |function: Arc<ScalarUDF>| match LIMITS.iter().find(|(name, _)| *name == function.name()) {
        Some((_, limit)) => bounded::bounded(function, *limit),
        None => function,
    };
    all.map(limit).collect()
}

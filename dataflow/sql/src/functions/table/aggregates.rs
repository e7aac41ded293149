//! Functions of groups and windows.

use super::{Function, Kind, functions, refused};

/// Those that messages name, in this order.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Function] = functions! { Kind::Aggregate =>
    "count", "any or * → int", "how many are not null; of `*` how many rows";
    "sum", "number → number", "the sum of those that are not null, exact; null of none";
    "avg mean", "number → number", "the average of those that are not null, exact and rounded once";
    "min", "any → any", "the least";
    "max", "any → any", "the greatest";
    "median", "number → number", "the middle one, or the mean of the two";
    "mad", "number → float", "the median of the distances from the median";
};

/// By name.
#[rustfmt::skip]
pub(super) const WINDOWS: &[Function] = functions! { Kind::Window =>
    "row_number", "→ int", "the row's place in its partition, with a bound: `WHERE n <= 10`";
};

/// What cannot be kept up to date.
#[rustfmt::skip]
pub(super) const REFUSED: &[Function] = refused! { "aggregate function" =>
    "any_value", "", "write min(x) or max(x)";
    "approx_distinct", "", "write count(DISTINCT x), which is exact";
    "approx_median", "", "write median(x), which is exact";
    "approx_percentile_cont", "", "write median(x)";
    "approx_percentile_cont_with_weight", "", "write median(x)";
    "array_agg", "", "keep the rows, and gather them where the table is read";
    "bit_and", "", "keep the rows, and gather them where the table is read";
    "bit_or", "", "keep the rows, and gather them where the table is read";
    "bit_xor", "", "keep the rows, and gather them where the table is read";
    "bool_and", "", "write count(*) FILTER (WHERE NOT x) = 0";
    "bool_or", "", "write count(*) FILTER (WHERE x) > 0";
    "corr", "", "keep avg(x * y), avg(x), avg(y), avg(x * x) and avg(y * y), and compute it where the table is read";
    "covar_pop", "", "write avg(x * y) - avg(x) * avg(y)";
    "covar_samp covar", "", "keep avg(x * y) - avg(x) * avg(y), and compute it where the table is read";
    "grouping", "", "write one GROUP BY for each set and put UNION ALL between them";
    "percentile_cont quantile_cont", "", "write median(x)";
    "regr_avgx", "", "write avg(x) FILTER (WHERE y IS NOT NULL)";
    "regr_avgy", "", "write avg(y) FILTER (WHERE x IS NOT NULL)";
    "regr_count", "", "write count(x) FILTER (WHERE y IS NOT NULL)";
    "regr_intercept", "", "keep avg(x * y), avg(x), avg(y) and avg(x * x), and compute it where the table is read";
    "regr_r2", "", "keep avg(x * y), avg(x), avg(y) and avg(x * x), and compute it where the table is read";
    "regr_slope", "", "keep avg(x * y), avg(x), avg(y) and avg(x * x), and compute it where the table is read";
    "regr_sxx", "", "keep sum(x * x), sum(x) and count(x), and compute it where the table is read";
    "regr_sxy", "", "keep sum(x * y), sum(x), sum(y) and count(x), and compute it where the table is read";
    "regr_syy", "", "keep sum(y * y), sum(y) and count(y), and compute it where the table is read";
    "stddev stddev_samp", "", "write mad(x), or keep avg(x * x) - avg(x) * avg(x) and compute it where the table is read";
    "stddev_pop", "", "write mad(x), or keep avg(x * x) - avg(x) * avg(x) and compute it where the table is read";
    "string_agg", "", "keep the rows, and gather them where the table is read";
    "var var_samp var_sample", "", "keep avg(x * x) - avg(x) * avg(x), and compute it where the table is read";
    "var_pop var_population", "", "write avg(x * x) - avg(x) * avg(x)";
};

/// What cannot be kept up to date.
#[rustfmt::skip]
pub(super) const REFUSED_WINDOWS: &[Function] = refused! { "window function" =>
    "cume_dist", "", "keep the rows, and rank them where the table is read";
    "dense_rank", "", "write row_number() with a bound (WHERE n <= 10)";
    "first_value", "", "write row_number() OVER (…) AS n in a subquery and WHERE n = 1";
    "lag", "", "join the view with itself by the value of the row before";
    "last_value", "", "write row_number() OVER (… ORDER BY … DESC) AS n in a subquery and WHERE n = 1";
    "lead", "", "join the view with itself by the value of the row behind";
    "nth_value", "", "write row_number() OVER (…) AS n in a subquery and WHERE n = 2";
    "ntile", "", "keep the rows, and rank them where the table is read";
    "percent_rank", "", "keep the rows, and rank them where the table is read";
    "rank", "", "write row_number() with a bound (WHERE n <= 10)";
};

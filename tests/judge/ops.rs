//! The vocabulary: what expressions are made of, in both dialects.
//!
//! Only what both engines define the same way is here, and nothing that fails for a row: a divisor is never zero, a cast
//! never meets a text that is no number.

use super::sql::Type;

/// What an operation takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value of the type.
    Of(Type),
    /// Any type, the same in all places of an operation.
    Same,
    /// A literal number from 0 to 3.
    Small,
    /// A literal number from 1 to 3.
    Count,
    /// A literal number by which any other divides without rounding, 0 among them.
    Divisor,
    /// A literal pattern of `LIKE`.
    Like,
    /// A literal regular expression.
    Regex,
    /// A literal text of one letter or two.
    Letters,
}

/// An operation: its result, its arguments, its templates (DuckDB's is empty where both are the same).
pub type Op = (Kind, &'static [Kind], &'static str, &'static str);

const I: Kind = Kind::Of(Type::Int);
const F: Kind = Kind::Of(Type::Float);
const T: Kind = Kind::Of(Type::Text);
const B: Kind = Kind::Of(Type::Bool);
const S: Kind = Kind::Of(Type::Time);
const D: Kind = Kind::Of(Type::Date);
const N: Kind = Kind::Of(Type::Decimal);
const A: Kind = Kind::Same;

/// Scalar operations.
pub const SCALARS: &[Op] = &[
    // Any type.
    (A, &[B, A, A], "CASE WHEN {0} THEN {1} ELSE {2} END", ""),
    (A, &[B, A], "CASE WHEN {0} THEN {1} END", ""),
    (A, &[A, A, A, A], "CASE {0} WHEN {1} THEN {2} ELSE {3} END", ""),
    (A, &[A, A], "coalesce({0}, {1})", ""),
    (A, &[A, A], "nullif({0}, {1})", ""),
    (A, &[A, A], "greatest({0}, {1})", ""),
    (A, &[A, A, A], "least({0}, {1}, {2})", ""),
    // Conditions.
    (B, &[A, A], "({0} = {1})", ""),
    (B, &[A, A], "({0} <> {1})", ""),
    (B, &[A, A], "({0} < {1})", ""),
    (B, &[A, A], "({0} <= {1})", ""),
    (B, &[A, A], "({0} > {1})", ""),
    (B, &[A, A], "({0} >= {1})", ""),
    (B, &[A, A, A], "({0} BETWEEN {1} AND {2})", ""),
    (B, &[A, A, A], "({0} NOT BETWEEN {1} AND {2})", ""),
    (B, &[A, A], "({0} IN ({1}))", ""),
    (B, &[A, A, A], "({0} IN ({1}, {2}))", ""),
    (B, &[A, A, A, A, A], "({0} IN ({1}, {2}, {3}, {4}))", ""),
    (B, &[A, A], "({0} NOT IN ({1}))", ""),
    (B, &[A, A, A], "({0} NOT IN ({1}, {2}))", ""),
    (B, &[A], "({0} IS NULL)", ""),
    (B, &[A], "({0} IS NOT NULL)", ""),
    (B, &[A, A], "({0} IS DISTINCT FROM {1})", ""),
    (B, &[A, A], "({0} IS NOT DISTINCT FROM {1})", ""),
    (B, &[B], "(NOT {0})", ""),
    (B, &[B, B], "({0} AND {1})", ""),
    (B, &[B, B], "({0} OR {1})", ""),
    (B, &[B, B], "({0} AND {1})", ""),
    (B, &[B, B], "({0} OR {1})", ""),
    (B, &[B], "({0} IS TRUE)", ""),
    (B, &[B], "({0} IS NOT TRUE)", ""),
    (B, &[B], "({0} IS FALSE)", ""),
    (B, &[B], "({0} IS NOT FALSE)", ""),
    (B, &[B], "({0} IS UNKNOWN)", "({0} IS NULL)"),
    (B, &[I, F], "({0} = {1})", ""),
    (B, &[I, F], "({0} < {1})", ""),
    (B, &[T, Kind::Like], "({0} LIKE {1})", ""),
    (B, &[T, Kind::Like], "({0} NOT LIKE {1})", ""),
    (B, &[T, Kind::Like], "({0} ILIKE {1})", ""),
    (B, &[T, Kind::Like], "({0} NOT ILIKE {1})", ""),
    (B, &[T, Kind::Regex], "({0} ~ {1})", "regexp_matches({0}, {1})"),
    (B, &[T, Kind::Regex], "({0} !~ {1})", "(NOT regexp_matches({0}, {1}))"),
    (B, &[T, T], "starts_with({0}, {1})", ""),
    (B, &[T, Kind::Letters], "contains({0}, {1})", ""),
    (B, &[D, S], "({0} <= {1})", "(CAST({0} AS TIMESTAMP) <= {1})"),
    // Whole numbers.
    (I, &[I, I], "({0} + {1})", ""),
    (I, &[I, I], "({0} - {1})", ""),
    (I, &[I, Kind::Small], "({0} * {1})", ""),
    (I, &[I, Kind::Count], "({0} / {1})", "({0} // {1})"),
    (I, &[I, I], "({0} / nullif({1}, 0))", "({0} // nullif({1}, 0))"),
    (I, &[I, Kind::Count], "({0} % {1})", ""),
    (I, &[I, I], "({0} % nullif({1}, 0))", ""),
    (I, &[I], "(-{0})", "(- {0})"),
    (I, &[I], "abs({0})", ""),
    (I, &[T], "CAST(length({0}) AS BIGINT)", "length({0})"),
    (I, &[T, Kind::Letters], "CAST(strpos({0}, {1}) AS BIGINT)", "strpos({0}, {1})"),
    (I, &[S], "CAST(EXTRACT(DAY FROM {0}) AS BIGINT)", "EXTRACT(DAY FROM {0})"),
    (I, &[S], "CAST(date_part('hour', {0}) AS BIGINT)", "date_part('hour', {0})"),
    (I, &[D], "CAST(EXTRACT(YEAR FROM {0}) AS BIGINT)", "EXTRACT(YEAR FROM {0})"),
    (I, &[D], "CAST(EXTRACT(DOW FROM {0}) AS BIGINT)", "EXTRACT(DOW FROM {0})"),
    (I, &[B], "CAST({0} AS BIGINT)", ""),
    (
        I,
        &[T],
        "CASE WHEN {0} ~ '^[0-9]$' THEN CAST({0} AS BIGINT) END",
        "CASE WHEN regexp_matches({0}, '^[0-9]$') THEN CAST({0} AS BIGINT) END",
    ),
    // Numbers with a point.
    (F, &[I], "CAST({0} AS DOUBLE)", ""),
    (F, &[F, F], "({0} + {1})", ""),
    (F, &[F, F], "({0} - {1})", ""),
    (F, &[F, F], "({0} * {1})", ""),
    (F, &[F, Kind::Divisor], "({0} / {1})", ""),
    (F, &[F, I], "({0} + {1})", ""),
    (F, &[F], "(-{0})", "(- {0})"),
    (F, &[F], "abs({0})", ""),
    (F, &[F], "floor({0})", ""),
    (F, &[F], "ceil({0})", ""),
    (F, &[F], "round({0})", "round_even({0}, 0)"),
    // Decimals.
    (N, &[I], "CAST({0} AS DECIMAL(38, 0))", ""),
    (N, &[N, N], "({0} + {1})", ""),
    (N, &[N, I], "({0} - {1})", ""),
    (N, &[N], "(-{0})", "(- {0})"),
    (N, &[N], "abs({0})", ""),
    (I, &[N], "CAST({0} AS BIGINT)", ""),
    (F, &[N], "CAST({0} AS DOUBLE)", ""),
    (T, &[N], "CAST({0} AS VARCHAR)", ""),
    (B, &[N, I], "({0} = {1})", ""),
    (B, &[N, I], "({0} < {1})", ""),
    (B, &[F, N], "({0} <= {1})", ""),
    // Text.
    (T, &[T, T], "({0} || {1})", ""),
    (T, &[T, T], "concat({0}, {1})", ""),
    (T, &[T, T], "concat_ws('-', {0}, {1})", ""),
    (T, &[T], "upper({0})", ""),
    (T, &[T], "lower({0})", ""),
    (T, &[T, Kind::Count], "substr({0}, {1})", ""),
    (T, &[T, Kind::Count, Kind::Small], "substr({0}, {1}, {2})", ""),
    (T, &[T, Kind::Letters, Kind::Letters], "replace({0}, {1}, {2})", ""),
    (T, &[T], "trim({0})", ""),
    (T, &[T], "ltrim({0})", ""),
    (T, &[T, Kind::Small], "left({0}, {1})", ""),
    (T, &[T, Kind::Small], "right({0}, {1})", ""),
    (T, &[T, Kind::Small], "lpad({0}, {1}, 'x')", ""),
    (T, &[T, Kind::Small], "rpad({0}, {1}, 'xy')", ""),
    (T, &[T, Kind::Small], "repeat({0}, {1})", ""),
    (T, &[T], "reverse({0})", ""),
    (T, &[T, Kind::Count], "split_part({0}, ' ', {1})", ""),
    (T, &[I], "CAST({0} AS VARCHAR)", ""),
    (T, &[B], "CAST({0} AS VARCHAR)", ""),
    (T, &[D], "CAST({0} AS VARCHAR)", ""),
    // Time.
    (S, &[S], "date_trunc('hour', {0})", ""),
    (S, &[S], "date_trunc('week', {0})", ""),
    (S, &[S], "({0} + INTERVAL '36 hours')", ""),
    (S, &[S], "({0} - INTERVAL '2 days')", ""),
    (S, &[S], "({0} + INTERVAL '1 month')", ""),
    (S, &[D], "CAST({0} AS TIMESTAMP)", ""),
    (D, &[S], "CAST({0} AS DATE)", ""),
    (D, &[D], "CAST({0} + INTERVAL '1 day' AS DATE)", ""),
    (D, &[D], "CAST(date_trunc('month', {0}) AS DATE)", ""),
    // What was answered wrongly once.
    (B, &[S, S], "({0} - {1} > INTERVAL '2 days')", ""),
    (B, &[S, S], "({0} - {1} < INTERVAL '30 hours')", ""),
    (B, &[S, S], "({0} - {1} >= INTERVAL '1 day')", ""),
    (B, &[T], "({0} ~ '.*')", "regexp_matches({0}, '.*')"),
    (B, &[F, F], "({0} = -{1})", "({0} = - {1})"),
];

/// Aggregates.
pub const AGGREGATES: &[Op] = &[
    (I, &[], "count(*)", ""),
    (I, &[A], "count({0})", ""),
    (I, &[A], "count(DISTINCT {0})", ""),
    (I, &[B], "count(*) FILTER (WHERE {0})", ""),
    (I, &[A, B], "count({0}) FILTER (WHERE {1})", ""),
    (N, &[I], "sum(CAST({0} AS BIGINT))", "CAST(sum({0}) AS DECIMAL(38, 0))"),
    (N, &[N], "sum({0})", ""),
    (I, &[I, B], "CAST(sum({0}) FILTER (WHERE {1}) AS BIGINT)", ""),
    (N, &[N], "sum(DISTINCT {0})", ""),
    (I, &[B], "sum(CASE WHEN {0} THEN 1 ELSE 0 END)", ""),
    (F, &[F], "sum({0})", ""),
    (F, &[I], "avg({0})", ""),
    (F, &[F], "avg({0})", ""),
    (A, &[A], "min({0})", ""),
    (A, &[A], "max({0})", ""),
    (A, &[A, B], "max({0}) FILTER (WHERE {1})", ""),
    (F, &[F], "median({0})", ""),
    (F, &[F], "mad({0})", ""),
];

/// Functions of windows, their partition and order among the arguments.
pub const WINDOWS: &[Op] = &[
    (I, &[A], "count(*) OVER (PARTITION BY {0})", ""),
    (I, &[I, B], "CAST(sum({0}) OVER (PARTITION BY {1}) AS BIGINT)", ""),
    (N, &[N, B], "sum({0}) OVER (PARTITION BY {1})", ""),
    (N, &[N, B, N], "min({0}) OVER (PARTITION BY {1} ORDER BY {2} DESC NULLS LAST)", ""),
    (I, &[N, N], "count({0}) OVER (ORDER BY {1} NULLS FIRST)", ""),
    (F, &[F, I], "max({0}) OVER (PARTITION BY {1})", ""),
    (I, &[], "count(*) OVER ()", ""),
    (I, &[A, T, I], "count({0}) OVER (PARTITION BY {1} ORDER BY {2} NULLS FIRST)", ""),
    (I, &[I, T, A], "CAST(sum({0}) OVER (PARTITION BY {1} ORDER BY {2} DESC NULLS LAST) AS BIGINT)", ""),
    (
        S,
        &[S, B, I],
        "min({0}) OVER (PARTITION BY {1} ORDER BY {2} NULLS LAST RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING)",
        "",
    ),
    (
        I,
        &[I, T, S],
        "CAST(sum({0}) OVER (PARTITION BY {1} ORDER BY {2} NULLS LAST RANGE BETWEEN INTERVAL '36 hours' PRECEDING AND CURRENT ROW) AS BIGINT)",
        "",
    ),
];

/// Divisors.
pub const DIVISORS: [&str; 5] = ["0", "1", "2", "-0.5", "4"];

/// Patterns of `LIKE`.
pub const LIKES: [&str; 10] = ["'%'", "'a%'", "'%b'", "'%a%'", "'_'", "'a_'", "''", "'%_%'", "'A'", "'%é%'"];

/// Regular expressions.
pub const REGEXES: [&str; 7] = ["'^a'", "'b$'", "'^[0-9]+$'", "'a|b'", "'^$'", "'(?i)A'", "'[^a]'"];

/// Short texts.
pub const LETTERS: [&str; 5] = ["'a'", "'b'", "'ab'", "' '", "'A'"];

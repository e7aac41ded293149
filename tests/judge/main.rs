//! The second judge: random well-typed queries over random histories, against DuckDB and against their own other forms.
//!
//! The oracle beside this test lets DataFusion's executor judge. What that shares with our planner and evaluator, a fault of
//! either, it cannot see; DuckDB shares nothing. A case is one seed: tables, a history of inserts, updates and deletes cut
//! into epochs, and queries. At every epoch each maintained view must equal DuckDB's answer over the rows so far, and the
//! query's other forms ([`forms`]). Both engines get the same text but where they spell a thing differently ([`ops`]).
//!
//! - `JUDGE_SEED=n` runs that seed alone, and makes each finding small;
//! - `JUDGE_SECONDS=n` runs seeds from `JUDGE_FROM` (default 1000) on for so many seconds, and makes each finding small;
//! - without either, the seeds of CI.
//!
//! Without DuckDB the forms are still compared.

#![allow(clippy::disallowed_methods, reason = "the long mode ends by the clock")]

mod case;
mod cells;
#[path = "../../dataflow/sql/tests/it/common/mod.rs"]
mod common;
mod duckdb;
mod forms;
mod generate;
mod ops;
mod shrink;
mod sql;
mod world;

use std::time::{Duration, Instant};

use case::{Case, Report};
use catchment_tests::DuckDb;
use duckdb::Session;
use shrink::shrink;
use sql::{Dialect, Expr, Query, Type};

/// How many seeds CI runs.
const SEEDS: u64 = 40;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn session() -> Session {
    Session::start(DuckDb::find().python())
}

fn fail(report: &Report, findings: &[String]) {
    println!("{} queries, {} checks", report.queries, report.checks);
    for (title, messages) in [("refused", &report.refused), ("DuckDB does not answer", &report.unanswered)] {
        messages.iter().for_each(|(message, count)| println!("{title}, {count} ×: {message}"));
    }
    assert!(findings.is_empty(), "{} findings\n\n{}", findings.len(), findings.join("\n\n"));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn queries_equal_duckdbs_and_their_other_forms() {
    let mut duckdb = Some(session());
    if let Some(seconds) = variable("JUDGE_SECONDS") {
        return long(&mut duckdb, Duration::from_secs(seconds));
    }
    let (mut all, mut findings) = (Report::default(), Vec::new());
    match variable("JUDGE_SEED") {
        Some(seed) => findings.extend(one(seed, &mut all, &mut duckdb)),
        None => (1..=SEEDS).for_each(|seed| all.add(Case::random(seed).examine(&mut duckdb))),
    }
    findings.extend(all.findings.iter().map(|finding| finding.text.clone()));
    fail(&all, &findings);
}

/// What is found at `seed`, each finding small.
fn one(seed: u64, all: &mut Report, duckdb: &mut Option<Session>) -> Vec<String> {
    let case = Case::random(seed);
    let mut report = case.examine(duckdb);
    let small = std::mem::take(&mut report.findings)
        .into_iter()
        .map(|finding| shrink(&case, finding.query, finding.kind, duckdb).unwrap_or_else(|| finding.text.clone()));
    let small = small.collect();
    all.add(report);
    small
}

/// Seeds until the time is over. Findings are printed at once, small; the test fails at its end if there are any.
fn long(duckdb: &mut Option<Session>, time: Duration) {
    let (start, first) = (Instant::now(), variable("JUDGE_FROM").unwrap_or(1000));
    let (mut all, mut small) = (Report::default(), Vec::new());
    let mut seed = first;
    while start.elapsed() < time {
        for text in one(seed, &mut all, duckdb) {
            println!("{text}\n");
            small.push(text);
        }
        seed += 1;
        if seed % 100 == 0 {
            println!("to seed {seed}: {} queries, {} checks, {} findings", all.queries, all.checks, small.len());
        }
    }
    println!("seeds {first}..{seed}");
    fail(&all, &small);
}

/// The canary: an answer that is wrong by one predicate must be found, by DuckDB and by the forms.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_wrong_answer_is_found() {
    let mut duckdb = Some(session());
    let mut found = 0;
    for seed in 1..=6 {
        let mut case = Case::random(seed);
        case.queries.retain(|query| matches!(query, Query::Select(select) if select.filter.is_none()));
        for query in &mut case.queries {
            // To DuckDB the predicate is another one.
            let wrong = Expr { duckdb: "TRUE".to_string(), ..Expr::plain(Type::Bool, "FALSE") };
            if let Query::Select(select) = query {
                select.filter = Some(wrong);
            }
        }
        found += case.examine(&mut duckdb).findings.len();
    }
    assert!(found > 0, "the judge does not notice a predicate that is another one to each engine");
}

/// Equal seeds are equal cases: what a person is told to run again is what failed.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_seed_is_a_case() {
    for seed in 1..=20 {
        let texts = |case: Case| -> Vec<String> {
            let queries = case.queries.iter().map(|query| query.text(Dialect::Ours));
            queries.chain([format!("{:?}", case.history)]).collect()
        };
        assert_eq!(texts(Case::random(seed)), texts(Case::random(seed)));
    }
}

//! One case: random tables, their history, and queries; and what the judges say of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use catchment_contract::arrow::array::ArrayRef;
use catchment_sql::{Job, check};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::cells;
use super::common;
use super::common::history::{Arrival, EpochInput, Multiset, Ran, State, run, texts};
use super::duckdb::{Answer, Session};
use super::forms::{Check, Forms};
use super::generate::Generator;
use super::sql::{Dialect, Query, Type};
use super::world::{Table, history};

/// What a seed stands for.
#[derive(Clone, Debug)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// The sources.
    pub tables: Vec<Table>,
    /// What arrives.
    pub history: Vec<EpochInput>,
    /// The queries.
    pub queries: Vec<Query>,
}

/// Queries in a case.
const QUERIES: usize = 5;

/// What was found out about some cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Queries that were run.
    pub queries: usize,
    /// Checks that were made, each at every epoch.
    pub checks: usize,
    /// Queries that are refused, by message.
    pub refused: BTreeMap<String, usize>,
    /// Queries that DuckDB does not answer, by message.
    pub unanswered: BTreeMap<String, usize>,
    /// What does not hold.
    pub findings: Vec<Finding>,
}

/// Something that does not hold.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The query's place in its case.
    pub query: usize,
    /// What kind of fault it is.
    pub kind: Kind,
    /// What a person wants to know.
    pub text: String,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A panic of planner or operators.
    Panic,
    /// Rows that should not have failed are rejects.
    Reject,
    /// A wrong answer, by DuckDB or by another form of the query.
    Answer,
    /// The same rows in other epochs give something else.
    Cut,
}

impl Case {
    /// The case of `seed`.
    pub fn random(seed: u64) -> Case {
        let mut random = StdRng::seed_from_u64(seed);
        let tables: Vec<Table> =
            (0..random.random_range(1..4)).map(|number| Table::random(&format!("s{number}"), &mut random)).collect();
        let history = history(&tables, &mut random);
        let relations = tables.iter().map(|table| (table.name.clone(), table.columns.clone())).collect();
        let mut generator = Generator::new(&mut random, relations);
        let queries = (0..QUERIES).map(|_| generator.query(2)).collect();
        Case { seed, tables, history, queries }
    }

    /// What the judges say of it; without DuckDB the forms of each query are compared alone.
    pub fn examine(&self, duckdb: &mut Option<Session>) -> Report {
        let mut report = Report::default();
        let Some((forms, job)) = self.job(&mut report) else { return report };
        report.queries = forms.len();
        report.checks = forms.iter().map(|(_, forms)| forms.checks.len()).sum();
        let workers = 1 + (self.seed % 4 == 3) as usize;
        let job = Arc::new(job);
        let Some(ran) = self.run(&job, &self.history, workers, &mut report) else {
            return self.one_by_one(duckdb, report);
        };
        self.compare(&forms, &ran, duckdb, &mut report);
        if self.seed.is_multiple_of(3)
            && let Some(other) = self.run(&job, &[merged(&self.history)], workers, &mut report)
        {
            let last = self.history.len() as u64;
            for (query, forms) in &forms {
                let name = &forms.views[0].0;
                let (cut, whole) = (ran.at(name, last), other.at(name, 1));
                if cut != whole {
                    let text = self.difference(*query, "in other cuts", last, &cut, &whole);
                    report.findings.push(Finding { query: *query, kind: Kind::Cut, text });
                }
            }
        }
        report
    }

    /// After a panic, which belongs to nobody: each query alone, and the panic itself only if none of them shows it.
    fn one_by_one(&self, duckdb: &mut Option<Session>, whole: Report) -> Report {
        if self.queries.len() == 1 {
            return whole;
        }
        let mut report = Report::default();
        for (number, query) in self.queries.iter().enumerate() {
            let mut one = Case { queries: vec![query.clone()], ..self.clone() }.examine(duckdb);
            one.findings.iter_mut().for_each(|finding| finding.query = number);
            report.add(one);
        }
        if !report.findings.iter().any(|finding| finding.kind == Kind::Panic) {
            report.findings.extend(whole.findings);
        }
        report
    }

    /// The forms that are accepted, and the job of them.
    fn job(&self, report: &mut Report) -> Option<(Vec<(usize, Forms)>, Job)> {
        let inner_sinks = self.seed.is_multiple_of(2);
        let mut forms: Vec<(usize, Forms)> = self
            .queries
            .iter()
            .enumerate()
            .map(|(number, query)| (number, Forms::all(&format!("q{number}"), query, inner_sinks)))
            .collect();
        if let Ok(Ok(job)) = self.check(&forms) {
            return Some((forms, job));
        }
        forms = forms.into_iter().filter_map(|(number, all)| self.accepted(number, all, report)).collect();
        match self.check(&forms) {
            _ if forms.is_empty() => None,
            Ok(Ok(job)) => Some((forms, job)),
            Ok(Err(message)) | Err(message) => {
                let text = format!("seed {}: each query is accepted, all together are not: {message}", self.seed);
                report.findings.push(Finding { query: forms[0].0, kind: Kind::Panic, text });
                None
            }
        }
    }

    /// `all`, or the query alone, whichever is accepted.
    fn accepted(&self, number: usize, all: Forms, report: &mut Report) -> Option<(usize, Forms)> {
        if let Ok(Ok(_)) = self.check(&[(number, all.clone())]) {
            return Some((number, all));
        }
        let plain = Forms::plain(&format!("q{number}"), &self.queries[number]);
        match self.check(&[(number, plain.clone())]) {
            Ok(Ok(_)) => Some((number, plain)),
            Ok(Err(message)) if !message.starts_with("the planner failed") => {
                *report.refused.entry(message).or_default() += 1;
                None
            }
            Ok(Err(message)) | Err(message) => {
                let text = format!("{}panic while planning: {message}", self.title(number));
                report.findings.push(Finding { query: number, kind: Kind::Panic, text });
                None
            }
        }
    }

    /// The checked job of `forms`; the inner error is a refusal, the outer one a panic.
    fn check(&self, forms: &[(usize, Forms)]) -> Result<Result<Job, String>, String> {
        let mut statements: Vec<String> = self.tables.iter().map(Table::source).collect();
        statements.extend(forms.iter().flat_map(|(_, forms)| forms.statements()));
        let text = statements.join(";\n");
        let checked = catch_unwind(|| check(&text, &|_| None, &common::registry()));
        match checked {
            Ok(checked) => Ok(checked.map_err(|error| without_place(&error.to_string()))),
            Err(panic) => Err(said(&*panic)),
        }
    }

    fn run(&self, job: &Arc<Job>, history: &[EpochInput], workers: usize, report: &mut Report) -> Option<Ran> {
        let ran = catch_unwind(AssertUnwindSafe(|| run(job.clone(), history.to_vec(), workers, self.seed)));
        match ran {
            Ok(ran) => Some(ran),
            Err(panic) => {
                let text = format!("{}a worker panics: {}", self.title(0), said(&*panic));
                report.findings.push(Finding { query: 0, kind: Kind::Panic, text });
                None
            }
        }
    }

    fn compare(&self, forms: &[(usize, Forms)], ran: &Ran, duckdb: &mut Option<Session>, report: &mut Report) {
        let mut states: BTreeMap<String, State> =
            self.tables.iter().map(|table| (table.name.clone(), table.state())).collect();
        for (index, input) in self.history.iter().enumerate() {
            let epoch = index as u64 + 1;
            states.iter_mut().for_each(|(name, state)| state.apply(&input[name]));
            let answers = duckdb.as_mut().map(|session| self.answers(session, &states, forms));
            for (place, (query, forms)) in forms.iter().enumerate() {
                if report.findings.iter().any(|finding| finding.query == *query) {
                    continue;
                }
                let answer = answers.as_ref().map(|answers| &answers[place]);
                self.rejects(*query, epoch, ran, answer, report);
                for check in &forms.checks {
                    self.hold(*query, check, epoch, ran, answer, report);
                }
            }
        }
    }

    fn answers(
        &self,
        session: &mut Session,
        states: &BTreeMap<String, State>,
        forms: &[(usize, Forms)],
    ) -> Vec<Answer> {
        let setup: String = self.tables.iter().map(|table| table.in_duckdb(&states[&table.name].batch())).collect();
        let queries: Vec<String> = forms.iter().map(|(query, _)| self.queries[*query].text(Dialect::DuckDb)).collect();
        session.ask(&setup, &queries)
    }

    /// No row of a query may have failed.
    fn rejects(&self, query: usize, epoch: u64, ran: &Ran, answer: Option<&Answer>, report: &mut Report) {
        let rejects = ran.written("rejects", epoch, &texts);
        let own = |row: &&String| {
            row.split(" | ").next().is_some_and(|view| view.split('_').next() == Some(&format!("q{query}")))
        };
        if let Some(row) = rejects.keys().find(own)
            && !matches!(answer, Some(Err(_)))
        {
            let text = format!("{}epoch {epoch}: a reject {row}", self.title(query));
            report.findings.push(Finding { query, kind: Kind::Reject, text });
        }
    }

    fn hold(&self, query: usize, check: &Check, epoch: u64, ran: &Ran, answer: Option<&Answer>, report: &mut Report) {
        let at = |view: &str, types: &[Type]| {
            ran.written(view, epoch, &|columns: &[ArrayRef], len| cells::ours(columns, len, types))
        };
        let (left, right, what) = match check {
            Check::Judged { view, query } => {
                let types: Vec<Type> = query.columns().into_iter().map(|(_, data_type)| data_type).collect();
                match answer {
                    None => return,
                    Some(Err(message)) => {
                        *report.unanswered.entry(message.clone()).or_default() += 1;
                        return;
                    }
                    Some(Ok(rows)) => (at(view, &types), cells::theirs(rows, &types), "DuckDB"),
                }
            }
            Check::Parts { whole, parts, types } => {
                let mut sum = Multiset::new();
                for (row, count) in parts.iter().flat_map(|part| at(part, types)) {
                    *sum.entry(row).or_default() += count;
                }
                (sum, at(whole, types), "the query without its predicate")
            }
            Check::Flagged { flagged, filtered, types } => {
                let with: Vec<Type> = types.iter().copied().chain([Type::Bool]).collect();
                let mut kept = Multiset::new();
                for (row, count) in at(flagged, &with) {
                    if let Some(row) = row.strip_suffix(" | true") {
                        *kept.entry(row.to_string()).or_default() += count;
                    }
                }
                (at(filtered, types), kept, "the predicate as a column")
            }
            Check::Same { left, right, types } => (at(left, types), at(right, types), "derived tables as views"),
        };
        if left != right {
            let text = self.difference(query, what, epoch, &left, &right);
            report.findings.push(Finding { query, kind: Kind::Answer, text });
        }
    }

    fn title(&self, query: usize) -> String {
        let tables = self.tables.iter().map(Table::source).collect::<Vec<_>>().join("\n  ");
        let text = self.queries[query].text(Dialect::Ours);
        format!("seed {}, query {query}\n  {tables}\n  {text}\n  {}", self.seed, self.arrivals())
    }

    /// What arrives, if it is little.
    fn arrivals(&self) -> String {
        let mut lines = Vec::new();
        for (epoch, input) in self.history.iter().enumerate() {
            for (name, arrivals) in input {
                for Arrival { row, tombstone, diff, .. } in arrivals {
                    let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
                    let sign = if *tombstone || *diff < 0 { '-' } else { '+' };
                    lines.push(format!("epoch {}: {name} {sign} ({})\n  ", epoch + 1, cells.join(", ")));
                }
            }
        }
        if lines.len() <= 12 { lines.concat() } else { String::new() }
    }

    fn difference(&self, query: usize, what: &str, epoch: u64, left: &Multiset, right: &Multiset) -> String {
        let only = |a: &Multiset, b: &Multiset| {
            let rows = a.iter().filter(|(row, n)| b.get(*row) != Some(n)).map(|(row, n)| format!("    {n} × {row}"));
            rows.take(6).collect::<Vec<_>>().join("\n")
        };
        format!("{}epoch {epoch}, ours:\n{}\n  {what}:\n{}", self.title(query), only(left, right), only(right, left))
    }
}

/// A refusal without the place and the view, which differ from case to case.
fn without_place(message: &str) -> String {
    message.split_once("\": ").map_or(message, |(_, rest)| rest).to_string()
}

/// A panic's message.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default()
}

/// All that arrives, in one epoch.
pub fn merged(history: &[EpochInput]) -> EpochInput {
    let mut all = EpochInput::new();
    for (name, arrivals) in history.iter().flatten() {
        all.entry(name.clone()).or_default().extend(arrivals.iter().cloned());
    }
    all
}

impl Report {
    /// Adds what another report says.
    pub fn add(&mut self, other: Report) {
        let Report { queries, checks, refused, unanswered, findings } = other;
        self.queries += queries;
        self.checks += checks;
        refused.into_iter().for_each(|(message, count)| *self.refused.entry(message).or_default() += count);
        unanswered.into_iter().for_each(|(message, count)| *self.unanswered.entry(message).or_default() += count);
        self.findings.extend(findings);
    }
}

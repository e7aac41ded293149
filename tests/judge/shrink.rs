//! A finding made small: the shortest query and history that still show it, by trying one removal after another.

use super::case::{Case, Kind, merged};
use super::duckdb::Session;
use super::sql::{Arg, Expr, From, Item, Query, Select};

/// Tries at most so many candidates.
const TRIES_MAX: usize = 400;

/// The smallest case that still shows a fault of kind `kind` in its only query, and what is said of it.
pub fn shrink(case: &Case, query: usize, kind: Kind, duckdb: &mut Option<Session>) -> Option<String> {
    let mut tries = 0;
    let mut shows = |case: &Case| {
        tries += 1;
        let report = case.examine(duckdb);
        let found = report.findings.into_iter().find(|finding| finding.kind == kind);
        (tries <= TRIES_MAX).then_some(found.map(|finding| finding.text)).flatten()
    };
    let mut best = Case { queries: vec![case.queries[query].clone()], ..case.clone() };
    let mut text = shows(&best)?;
    'again: loop {
        for smaller in candidates(&best) {
            if let Some(found) = shows(&smaller) {
                (best, text) = (smaller, found);
                continue 'again;
            }
        }
        return Some(text);
    }
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    if case.history.len() > 1 {
        found.push(Case { history: vec![merged(&case.history)], ..case.clone() });
        found.push(Case { history: case.history[..case.history.len() - 1].to_vec(), ..case.clone() });
    }
    found.extend(queries(&case.queries[0]).into_iter().map(|query| Case { queries: vec![query], ..case.clone() }));
    for (epoch, input) in case.history.iter().enumerate() {
        for (name, arrivals) in input {
            // Only rows that no later one takes back may go.
            for place in (0..arrivals.len()).filter(|place| arrivals[*place].diff == 1).rev() {
                let row = &arrivals[place].row;
                let gone = case.history.iter().flat_map(|input| &input[name]).any(|a| a.diff == -1 && a.row == *row);
                if !gone {
                    let mut smaller = case.clone();
                    smaller.history[epoch].get_mut(name).expect("it is there").remove(place);
                    found.push(smaller);
                }
            }
        }
    }
    found
}

fn queries(query: &Query) -> Vec<Query> {
    match query {
        Query::Set { op, left, right } => {
            let set = |left: Query, right: Query| Query::Set { op, left: Box::new(left), right: Box::new(right) };
            let mut found = vec![left.as_ref().clone(), right.as_ref().clone()];
            found.extend(queries(left).into_iter().map(|left| set(left, right.as_ref().clone())));
            found.extend(queries(right).into_iter().map(|right| set(left.as_ref().clone(), right)));
            found
        }
        Query::Select(select) => {
            let mut found = parts(select);
            found.extend(selects(select).into_iter().map(|select| Query::Select(Box::new(select))));
            found
        }
    }
}

/// The queries that a `SELECT` reads.
fn parts(select: &Select) -> Vec<Query> {
    match &select.from {
        From::Derived { query, .. } => vec![query.as_ref().clone()],
        _ => Vec::new(),
    }
}

fn selects(select: &Select) -> Vec<Select> {
    let mut found = Vec::new();
    let with = |change: &dyn Fn(&mut Select)| {
        let mut changed = select.clone();
        change(&mut changed);
        changed
    };
    if select.filter.is_some() {
        found.push(with(&|select| select.filter = None));
    }
    if select.having.is_some() {
        found.push(with(&|select| select.having = None));
    }
    if select.first.is_some() {
        found.push(with(&|select| select.first = None));
    }
    if select.distinct {
        found.push(with(&|select| select.distinct = false));
    }
    for place in (0..select.items.len()).filter(|_| select.items.len() > 1) {
        found.push(with(&|select| {
            select.items.remove(place);
            if let Some((order, _)) = &mut select.first {
                order.remove(place);
            }
            select.keys = select.keys.map(|keys| keys - usize::from(place < keys));
        }));
    }
    found.extend(froms(&select.from).into_iter().map(|from| with(&|select| select.from = from.clone())));
    if let Some(filter) = &select.filter {
        found.extend(exprs(filter).into_iter().map(|expr| with(&|select| select.filter = Some(expr.clone()))));
    }
    for (place, Item { expr, .. }) in select.items.iter().enumerate() {
        found.extend(exprs(expr).into_iter().map(|expr| with(&|select| select.items[place].expr = expr.clone())));
    }
    found
}

fn froms(from: &From) -> Vec<From> {
    match from {
        From::Relation { .. } => Vec::new(),
        From::Derived { query, alias } => {
            let smaller = queries(query).into_iter();
            smaller.map(|query| From::Derived { query: Box::new(query), alias: alias.clone() }).collect()
        }
        From::Join { kind, left, right, on } => {
            let join = |left: From, right: From, on: Option<Expr>| From::Join {
                kind,
                left: Box::new(left),
                right: Box::new(right),
                on,
            };
            let mut found = vec![left.as_ref().clone(), right.as_ref().clone()];
            found.extend(froms(left).into_iter().map(|left| join(left, right.as_ref().clone(), on.clone())));
            found.extend(froms(right).into_iter().map(|right| join(left.as_ref().clone(), right, on.clone())));
            let ons = on.iter().flat_map(exprs);
            found.extend(ons.map(|on| join(left.as_ref().clone(), right.as_ref().clone(), Some(on))));
            found
        }
    }
}

/// Expressions of the same type that are smaller: an argument, a literal, or the same with a smaller argument.
fn exprs(expr: &Expr) -> Vec<Expr> {
    if expr.args.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Expr> = expr
        .args
        .iter()
        .filter_map(|arg| match arg {
            Arg::Expr(arg) if arg.data_type == expr.data_type => Some(arg.clone()),
            _ => None,
        })
        .collect();
    for (place, arg) in expr.args.iter().enumerate() {
        let smaller: Vec<Arg> = match arg {
            Arg::Expr(arg) => exprs(arg).into_iter().map(Arg::Expr).collect(),
            Arg::Query(query) => queries(query).into_iter().map(|query| Arg::Query(Box::new(query))).collect(),
        };
        for arg in smaller {
            let mut changed = expr.clone();
            changed.args[place] = arg;
            found.push(changed);
        }
    }
    found
}

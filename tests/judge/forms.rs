//! A query in its other forms, which must agree with it.
//!
//! | form | must equal |
//! |---|---|
//! | the rows for which the predicate is true, those for which it is false, those for which it is null | together the rows without it |
//! | the predicate as a column instead of in `WHERE`: nothing can be pushed or folded | where that column is true: the filtered rows |
//! | each derived table a view of its own | the query in one piece |

use super::sql::{Arg, Dialect, Expr, From, Item, Query, Select, Type};

/// Two relations, or sums of them, that must be the same at every epoch. Relations are named by view.
#[derive(Clone, Debug)]
pub enum Check {
    /// The view equals DuckDB's answer to the query.
    Judged { view: String, query: Query },
    /// The rows of the parts together are those of the whole.
    Parts { whole: String, parts: Vec<String>, types: Vec<Type> },
    /// The rows of `flagged` whose last column is true are those of `filtered`.
    Flagged { flagged: String, filtered: String, types: Vec<Type> },
    /// Both views are the same.
    Same { left: String, right: String, types: Vec<Type> },
}

/// The views of one query, and what must hold of them.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    /// Name and query of each view, inner ones first; those that a sink takes are marked.
    pub views: Vec<(String, Query, bool)>,
    /// What must hold.
    pub checks: Vec<Check>,
}

impl Forms {
    /// The query alone, as the view `name`.
    pub fn plain(name: &str, query: &Query) -> Forms {
        let view = (name.to_string(), query.clone(), true);
        Forms { views: vec![view], checks: vec![Check::Judged { view: name.to_string(), query: query.clone() }] }
    }

    /// The query with all forms that it has.
    pub fn all(name: &str, query: &Query, inner_sinks: bool) -> Forms {
        let mut forms = Forms::plain(name, query);
        let types: Vec<Type> = query.columns().into_iter().map(|(_, data_type)| data_type).collect();
        if let Query::Select(select) = query
            && let Some(filter) = select.filter.as_ref().filter(|filter| divisible(select, filter))
        {
            forms.partitions(name, select, filter, &types);
            forms.flagged(name, select, filter, &types);
        }
        let mut inner = Vec::new();
        let split = split(query, name, &mut inner);
        if !inner.is_empty() {
            let right = format!("{name}_split");
            forms.views.extend(inner.into_iter().map(|(name, query)| (name, query, inner_sinks)));
            forms.views.push((right.clone(), split, true));
            forms.checks.push(Check::Same { left: name.to_string(), right, types });
        }
        forms
    }

    fn partitions(&mut self, name: &str, select: &Select, filter: &Expr, types: &[Type]) {
        let mut add = |suffix: &str, filter: Option<Expr>| {
            let view = format!("{name}_{suffix}");
            let query = Query::Select(Box::new(Select { filter, ..select.clone() }));
            self.views.push((view.clone(), query, true));
            view
        };
        let whole = add("whole", None);
        let over = |template: &str| Some(Expr::of(Type::Bool, template, vec![filter.clone()]));
        let parts = vec![name.to_string(), add("not", over("(NOT {0})")), add("null", over("({0} IS NULL)"))];
        self.checks.push(Check::Parts { whole, parts, types: types.to_vec() });
    }

    fn flagged(&mut self, name: &str, select: &Select, filter: &Expr, types: &[Type]) {
        let flagged = format!("{name}_flagged");
        let mut with = Select { filter: None, ..select.clone() };
        with.items.push(Item { expr: filter.clone(), name: "flag".to_string() });
        self.views.push((flagged.clone(), Query::Select(Box::new(with)), true));
        self.checks.push(Check::Flagged { flagged, filtered: name.to_string(), types: types.to_vec() });
    }

    /// The statements that create the views, and sinks for those that are compared.
    pub fn statements(&self) -> Vec<String> {
        let create =
            |(name, query, _): &(String, Query, bool)| format!("CREATE VIEW {name} AS {}", query.text(Dialect::Ours));
        let sinks = self.views.iter().filter(|(_, _, sink)| *sink);
        let sinks = sinks.map(|(name, ..)| format!("CREATE SINK {name} FROM {name} WITH (connector = 'lake')"));
        self.views.iter().map(create).chain(sinks).collect()
    }
}

/// Whether rows can be told apart by `filter`: nothing counts or compares rows after it, and it holds no subquery, which
/// may stand in `WHERE` alone.
fn divisible(select: &Select, filter: &Expr) -> bool {
    let windows = select.items.iter().any(|item| item.expr.ours.contains(" OVER ("));
    !select.distinct && select.keys.is_none() && select.first.is_none() && !windows && !holds_query(filter)
}

fn holds_query(expr: &Expr) -> bool {
    expr.args.iter().any(|arg| match arg {
        Arg::Query(_) => true,
        Arg::Expr(expr) => holds_query(expr),
    })
}

/// `query` with each derived table replaced by a view, which is added to `inner`.
fn split(query: &Query, name: &str, inner: &mut Vec<(String, Query)>) -> Query {
    match query {
        Query::Select(select) => {
            let from = split_from(&select.from, name, inner);
            Query::Select(Box::new(Select { from, ..select.as_ref().clone() }))
        }
        Query::Set { op, left, right } => {
            let (left, right) = (split(left, name, inner), split(right, name, inner));
            Query::Set { op, left: Box::new(left), right: Box::new(right) }
        }
    }
}

fn split_from(from: &From, name: &str, inner: &mut Vec<(String, Query)>) -> From {
    match from {
        From::Relation { .. } => from.clone(),
        From::Derived { query, alias } => {
            let query = split(query, name, inner);
            let view = format!("{name}_{alias}");
            inner.push((view.clone(), query));
            From::Relation { name: view, alias: alias.clone() }
        }
        From::Join { kind, left, right, on } => {
            let left = Box::new(split_from(left, name, inner));
            let right = Box::new(split_from(right, name, inner));
            From::Join { kind, left, right, on: on.clone() }
        }
    }
}

//! Queries as values that are written in two dialects.
//!
//! An [`Expr`] is a template per dialect with places `{0}`, `{1}`, … for its arguments. A template holds no braces but these.

/// The types that random columns and expressions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `BIGINT`
    Int,
    /// `DOUBLE`
    Float,
    /// `VARCHAR`
    Text,
    /// `BOOLEAN`
    Bool,
    /// `TIMESTAMP`
    Time,
    /// `DATE`
    Date,
    /// `DECIMAL(38, 0)`, what sums of whole numbers are.
    Decimal,
}

impl Type {
    /// Those that occur.
    pub const ALL: [Type; 7] = [Type::Int, Type::Text, Type::Bool, Type::Time, Type::Date, Type::Float, Type::Decimal];

    /// The type's name in both dialects.
    pub fn name(self) -> &'static str {
        match self {
            Type::Int => "BIGINT",
            Type::Float => "DOUBLE",
            Type::Text => "VARCHAR",
            Type::Bool => "BOOLEAN",
            Type::Time => "TIMESTAMP",
            Type::Date => "DATE",
            Type::Decimal => "DECIMAL(38, 0)",
        }
    }
}

/// Who reads a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The engine under test.
    Ours,
    /// The judge.
    DuckDb,
}

/// An argument of an expression.
#[derive(Clone, Debug)]
pub enum Arg {
    /// An expression.
    Expr(Expr),
    /// A query, written without parentheses.
    Query(Box<Query>),
}

/// A scalar, aggregate or window expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Its type.
    pub data_type: Type,
    /// Its template in our dialect.
    pub ours: String,
    /// Its template in DuckDB's; the same if empty.
    pub duckdb: String,
    /// What stands in the places.
    pub args: Vec<Arg>,
}

impl Expr {
    /// A text without places that is the same in both dialects.
    pub fn plain(data_type: Type, text: impl Into<String>) -> Expr {
        Expr { data_type, ours: text.into(), duckdb: String::new(), args: Vec::new() }
    }

    /// A template that is the same in both dialects.
    pub fn of(data_type: Type, template: impl Into<String>, args: Vec<Expr>) -> Expr {
        Expr { args: args.into_iter().map(Arg::Expr).collect(), ..Expr::plain(data_type, template) }
    }

    /// The expression in `dialect`.
    pub fn text(&self, dialect: Dialect) -> String {
        let template = if dialect == Dialect::Ours || self.duckdb.is_empty() { &self.ours } else { &self.duckdb };
        let args: Vec<String> = self
            .args
            .iter()
            .map(|arg| match arg {
                Arg::Expr(expr) => expr.text(dialect),
                Arg::Query(query) => query.text(dialect),
            })
            .collect();
        let (mut text, mut rest) = (String::new(), template.as_str());
        while let Some((head, tail)) = rest.split_once('{') {
            let (number, tail) = tail.split_once('}').expect("places are closed");
            text.push_str(head);
            text.push_str(&args[number.parse::<usize>().expect("places are numbers")]);
            rest = tail;
        }
        text + rest
    }
}

/// A column of a query's output.
#[derive(Clone, Debug)]
pub struct Item {
    /// What is computed.
    pub expr: Expr,
    /// Its name.
    pub name: String,
}

/// A query.
#[derive(Clone, Debug)]
pub enum Query {
    /// `SELECT …`
    Select(Box<Select>),
    /// `left UNION right` and its like.
    Set {
        /// `UNION ALL`, …
        op: &'static str,
        /// Before the operator.
        left: Box<Query>,
        /// Behind it; its columns have the types of the left ones.
        right: Box<Query>,
    },
}

/// One `SELECT`.
#[derive(Clone, Debug)]
pub struct Select {
    /// `SELECT DISTINCT`
    pub distinct: bool,
    /// Its output.
    pub items: Vec<Item>,
    /// `FROM`
    pub from: From,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// The first so many items are what is grouped by; `None` without grouping and aggregates.
    pub keys: Option<usize>,
    /// `HAVING`
    pub having: Option<Expr>,
    /// `ORDER BY` all items, each with whether it descends and whether nulls are first; then `LIMIT`.
    pub first: Option<(Vec<(bool, bool)>, u32)>,
}

/// What a `SELECT` reads.
#[derive(Clone, Debug)]
pub enum From {
    /// A table or view.
    Relation {
        /// Its name.
        name: String,
        /// How the query calls it.
        alias: String,
    },
    /// A query.
    Derived {
        /// The query.
        query: Box<Query>,
        /// How it is called.
        alias: String,
    },
    /// Two of these.
    Join {
        /// `JOIN`, `LEFT JOIN`, …
        kind: &'static str,
        /// Before it.
        left: Box<From>,
        /// Behind it.
        right: Box<From>,
        /// `ON`
        on: Option<Expr>,
    },
}

impl From {
    fn text(&self, dialect: Dialect) -> String {
        match self {
            From::Relation { name, alias } => format!("{name} AS {alias}"),
            From::Derived { query, alias } => format!("({}) AS {alias}", query.text(dialect)),
            From::Join { kind, left, right, on } => {
                let on = on.as_ref().map_or(String::new(), |on| format!(" ON {}", on.text(dialect)));
                format!("{} {kind} {}{on}", left.text(dialect), right.text(dialect))
            }
        }
    }
}

impl Query {
    /// Its columns.
    pub fn columns(&self) -> Vec<(String, Type)> {
        match self {
            Query::Select(select) => select.items.iter().map(|item| (item.name.clone(), item.expr.data_type)).collect(),
            Query::Set { left, .. } => left.columns(),
        }
    }

    /// The query in `dialect`.
    pub fn text(&self, dialect: Dialect) -> String {
        match self {
            Query::Select(select) => select.text(dialect),
            Query::Set { op, left, right } => format!("{} {op} {}", side(left, dialect), side(right, dialect)),
        }
    }
}

/// A side of a set operation: what is more than a plain `SELECT` becomes a subquery.
fn side(query: &Query, dialect: Dialect) -> String {
    match query {
        Query::Select(select) if select.first.is_none() => select.text(dialect),
        other => format!("SELECT * FROM ({}) AS s", other.text(dialect)),
    }
}

impl Select {
    /// The `SELECT` in `dialect`.
    pub fn text(&self, dialect: Dialect) -> String {
        let Select { distinct, items, from, filter, keys, having, first } = self;
        let items: Vec<String> =
            items.iter().map(|item| format!("{} AS {}", item.expr.text(dialect), item.name)).collect();
        let mut text = format!(
            "SELECT {}{} FROM {}",
            if *distinct { "DISTINCT " } else { "" },
            items.join(", "),
            from.text(dialect)
        );
        if let Some(filter) = filter {
            text += &format!(" WHERE {}", filter.text(dialect));
        }
        if let Some(keys @ 1..) = keys {
            let places: Vec<String> = (1..=*keys).map(|place| place.to_string()).collect();
            text += &format!(" GROUP BY {}", places.join(", "));
        }
        if let Some(having) = having {
            text += &format!(" HAVING {}", having.text(dialect));
        }
        if let Some((order, limit)) = first {
            let order = order.iter().enumerate().map(|(place, (descending, nulls_first))| {
                let way = if *descending { "DESC" } else { "ASC" };
                format!("{} {way} NULLS {}", place + 1, if *nulls_first { "FIRST" } else { "LAST" })
            });
            text += &format!(" ORDER BY {} LIMIT {limit}", order.collect::<Vec<_>>().join(", "));
        }
        text
    }
}

//! A look at a query before it is planned: what it names must exist, and what nothing can keep up to date is refused
//! here, where every construct still knows its place in the text.
//!
//! What passes is remembered as [`Landmarks`], so that later stages, which see plans instead of text, can say where a
//! construct stands.

use std::collections::HashSet;
use std::ops::ControlFlow;

use catchment_contract::options::nearest;
use catchment_contract::{Error, Result};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, DataType, Distinct, Expr, Function, GroupByExpr, Join, JoinOperator, ObjectName, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetQuantifier, Spanned, TableFactor, UnaryOperator, Visit,
    Visitor,
};
use datafusion_sql::sqlparser::tokenizer::Span;

use crate::catalog::Catalog;
use crate::functions;
use crate::functions::table::Kind;
use crate::merging::From;
use crate::statement::plain;
use crate::text::{Place, Text};

/// A construct whose place is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Construct {
    /// A join's right side.
    Join,
    /// A query inside an expression.
    Subquery,
    /// `OVER`
    Window,
    /// `ORDER BY`
    OrderBy,
    /// `LIMIT`, `OFFSET`, `FETCH`
    Limit,
    /// `GROUP BY`
    GroupBy,
    /// `UNION`, `INTERSECT`, `EXCEPT`
    SetOperation,
}

/// Where things stand in a view's query.
#[derive(Clone, Debug, Default)]
pub struct Landmarks {
    constructs: Vec<(Construct, Place)>,
    functions: Vec<(String, Place)>,
    names: Vec<(String, Place)>,
    relations: Vec<String>,
}

impl Landmarks {
    /// Where `construct` stands first.
    pub fn construct(&self, construct: Construct) -> Option<Place> {
        self.constructs.iter().find(|(known, _)| *known == construct).map(|(_, place)| *place)
    }

    /// Where the function `name` is called first.
    pub fn function(&self, name: &str) -> Option<Place> {
        self.functions.iter().find(|(known, _)| known == name).map(|(_, place)| *place)
    }

    /// Where the name `name` stands first.
    pub fn name(&self, name: &str) -> Option<Place> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, place)| *place)
    }

    /// Where the first function stands that `message` quotes.
    pub fn function_in(&self, message: &str) -> Option<Place> {
        let quoted = |name: &str| message.contains(&format!("'{name}'")) || message.contains(&format!("{name}("));
        self.functions.iter().find(|(name, _)| quoted(name)).map(|(_, place)| *place)
    }

    /// The relations that the query reads, each as often as it is named.
    pub fn relations(&self) -> &[String] {
        &self.relations
    }
}

/// Looks at `query`, whose view's statement begins at `place`.
///
/// # Errors
/// For a relation or function that does not exist, and a construct that cannot be kept up to date.
pub fn inspect(query: &Query, place: Place, text: &Text, catalog: &Catalog) -> Result<Landmarks> {
    let mut inspector = Inspector { text, catalog, place, ctes: HashSet::new(), landmarks: Landmarks::default() };
    match query.visit(&mut inspector) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(inspector.landmarks),
    }
}

struct Inspector<'a> {
    text: &'a Text,
    catalog: &'a Catalog,
    place: Place,
    /// Names of common table expressions seen so far. Their scopes are left to the planner.
    ctes: HashSet<String>,
    landmarks: Landmarks,
}

type Step = ControlFlow<Error>;

impl Inspector<'_> {
    /// Where `span` begins; the view's place if it is nowhere.
    fn at(&self, span: Span) -> Place {
        match span.start.line {
            0 => self.place,
            line => self.text.place(line, span.start.column),
        }
    }

    fn refuse(&self, span: Span, what: &str, hint: &str) -> Step {
        let message = format!("{what} cannot be kept up to date");
        ControlFlow::Break(self.text.error(self.at(span), message, hint))
    }

    fn mark(&mut self, construct: Construct, span: Span) {
        let place = self.at(span);
        self.landmarks.constructs.push((construct, place));
    }

    fn order_and_limit(&mut self, query: &Query) -> Step {
        let limit = query.limit_clause.as_ref().map(Spanned::span).or(query.fetch.as_ref().map(Spanned::span));
        if let Some(order) = &query.order_by {
            self.mark(Construct::OrderBy, order.span());
            if limit.is_none() {
                let hint = "leave it out (a view is a set of rows; order it where it is read), or add LIMIT";
                return self.refuse(order.span(), "ORDER BY without LIMIT", hint);
            }
        }
        if let Some(span) = limit {
            self.mark(Construct::Limit, span);
            if query.order_by.is_none() {
                return self.refuse(
                    span,
                    "LIMIT without ORDER BY",
                    "add ORDER BY: otherwise the chosen rows are arbitrary",
                );
            }
        }
        ControlFlow::Continue(())
    }

    fn set_operation(&mut self, body: &SetExpr) -> Step {
        let SetExpr::SetOperation { left, op, set_quantifier, right } = body else {
            return ControlFlow::Continue(());
        };
        self.mark(Construct::SetOperation, right.span());
        let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
        if all && op.to_string() != "UNION" {
            return self.refuse(right.span(), &format!("{op} ALL"), &format!("write {op}"));
        }
        self.set_operation(left)?;
        self.set_operation(right)
    }

    fn call(&mut self, function: &Function) -> Step {
        let [.., last] = function.name.0.as_slice() else { return ControlFlow::Continue(()) };
        let Some(ident) = last.as_ident() else { return ControlFlow::Continue(()) };
        let (name, span) = (plain(ident), ident.span);
        self.landmarks.functions.push((name.clone(), self.at(span)));
        if function.over.is_some() {
            self.mark(Construct::Window, span);
            return match self.catalog.function(&name) {
                Some(Kind::Aggregate | Kind::Window) => ControlFlow::Continue(()),
                Some(Kind::Refused { instead, .. }) => {
                    let hint = format!("{instead}; {}", functions::over_windows());
                    self.refuse(span, &format!("window function \"{name}\""), &hint)
                }
                Some(_) => self.refuse(span, &format!("window function \"{name}\""), &functions::over_windows()),
                None => self.no_function(&name, span),
            };
        }
        match self.catalog.function(&name) {
            Some(Kind::Scalar { .. } | Kind::Aggregate | Kind::Rows) => ControlFlow::Continue(()),
            Some(Kind::Refused { what, why: "", instead }) => self.refuse(span, &format!("{what} \"{name}\""), instead),
            Some(Kind::Refused { what, why, instead }) => {
                self.refuse(span, &format!("{what} \"{name}\", which {why},"), instead)
            }
            Some(Kind::Window) => {
                let hint = format!("write {name}() OVER (PARTITION BY … ORDER BY …)");
                let message = format!("function \"{name}\" needs OVER");
                ControlFlow::Break(self.text.error(self.at(span), message, hint))
            }
            None => self.no_function(&name, span),
        }
    }

    /// A cast that the planner would take for another one.
    fn cast(&self, data_type: &DataType, span: Span) -> Step {
        let (message, hint) = match data_type {
            DataType::Char(_) | DataType::Character(_) => {
                (format!("a cast to {data_type} pads texts, which is not done"), "write CAST(… AS VARCHAR(n))")
            }
            DataType::Timestamp(Some(digits), _) if *digits != 6 => (
                format!("a cast to {data_type} rounds times, which is not done"),
                "write CAST(… AS TIMESTAMP), and date_trunc('second', …) around it",
            ),
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(self.text.error(self.at(span), message, hint))
    }

    /// Refuses `expr`, which is written another way.
    fn replaced(&self, expr: &Expr, what: &str, hint: &str) -> Step {
        ControlFlow::Break(self.text.error(self.at(expr.span()), what, hint))
    }

    fn no_function(&self, name: &str, span: Span) -> Step {
        let word = name.split('_').next();
        let alike: Vec<&str> = self.catalog.function_names().filter(|known| known.split('_').next() == word).collect();
        let hint = match (nearest(name, self.catalog.function_names()), alike.as_slice()) {
            (Some(known), _) | (None, &[known]) => format!("did you mean \"{known}\"?"),
            (None, _) => "docs/functions.md lists the functions".to_string(),
        };
        ControlFlow::Break(self.text.error(self.at(span), format!("there is no function \"{name}\""), hint))
    }

    /// `p.*` needs to know which columns a join merges.
    fn wildcards(&self, select: &Select) -> Step {
        let from = From::of(&select.from);
        for item in &select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && let Some(last) = name.0.last().and_then(|part| part.as_ident())
                && from.own_columns(&plain(last)).is_none()
            {
                let what = format!("{name}.* beside a RIGHT or FULL JOIN that merges some of its columns");
                return self.refuse(name.span(), &what, "name the columns that you want, or write the join with ON");
            }
        }
        ControlFlow::Continue(())
    }

    fn joins(&mut self, joins: &[Join]) -> Step {
        for join in joins {
            self.mark(Construct::Join, join.relation.span());
            let refused = match &join.join_operator {
                JoinOperator::AsOf { .. } => "ASOF JOIN",
                JoinOperator::CrossApply | JoinOperator::OuterApply => "APPLY",
                _ => continue,
            };
            return self.refuse(join.relation.span(), refused, "write a join with equality conditions");
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Inspector<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        if let Some(with) = &query.with {
            if with.recursive {
                return self.refuse(with.span(), "WITH RECURSIVE", "write the levels that you need as joins");
            }
            self.ctes.extend(with.cte_tables.iter().map(|cte| plain(&cte.alias.name)));
        }
        self.order_and_limit(query)?;
        self.set_operation(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        if let Some(Distinct::On(columns)) = &select.distinct {
            let span = columns.first().map(Spanned::span).unwrap_or(Span::empty());
            let hint =
                "write row_number() OVER (PARTITION BY … ORDER BY …) AS n in a subquery and WHERE n = 1 around it";
            return self.refuse(span, "DISTINCT ON", hint);
        }
        if let GroupByExpr::Expressions(columns, modifiers) = &select.group_by {
            if let Some(column) = columns.first() {
                self.mark(Construct::GroupBy, column.span());
            }
            let sets = columns.iter().find(|e| matches!(e, Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_)));
            if sets.is_some() || !modifiers.is_empty() {
                let span = columns.first().map(Spanned::span).unwrap_or(Span::empty());
                let hint = "write one GROUP BY for each set and put UNION ALL between them";
                return self.refuse(span, "GROUPING SETS, ROLLUP or CUBE", hint);
            }
        }
        self.wildcards(select)?;
        if let [_, second, ..] = select.from.as_slice() {
            self.mark(Construct::Join, second.relation.span());
        }
        select.from.iter().try_for_each(|from| self.joins(&from.joins))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Step {
        let span = relation.span();
        if let [.., part] = relation.0.as_slice()
            && let Some(ident) = part.as_ident()
        {
            let name = plain(ident);
            if relation.0.len() > 1 {
                let message = format!("there is no relation \"{relation}\"");
                return ControlFlow::Break(self.text.error(self.at(span), message, "names of relations have one part"));
            }
            if self.ctes.contains(&name) {
                return ControlFlow::Continue(());
            }
            if self.catalog.table(&name).is_none() {
                let error = unknown_relation(&name, self.at(span), self.text, self.catalog);
                return ControlFlow::Break(error);
            }
            self.landmarks.relations.push(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        let what = match factor {
            TableFactor::Table { args: Some(_), .. } | TableFactor::TableFunction { .. } => "a table function",
            TableFactor::Function { .. } => "a table function",
            TableFactor::Table { sample: Some(_), .. } => "TABLESAMPLE",
            TableFactor::Derived { lateral: true, .. } => {
                let hint = "write a join: JOIN (SELECT key, max(x) AS x FROM … GROUP BY key) q ON q.key = …";
                return self.refuse(factor.span(), "LATERAL", hint);
            }
            TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => "PIVOT",
            TableFactor::MatchRecognize { .. } => "MATCH_RECOGNIZE",
            TableFactor::UNNEST { .. } => {
                let hint = "write unnest(…) in the SELECT list: SELECT id, unnest(list) AS item FROM …";
                return self.refuse(factor.span(), "UNNEST in FROM", hint);
            }
            _ => return ControlFlow::Continue(()),
        };
        self.refuse(factor.span(), what, "name a source, a view or a subquery")
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Step {
        match expr {
            Expr::Function(function) => return self.call(function),
            Expr::Identifier(ident) => self.landmarks.names.push((plain(ident), self.at(ident.span))),
            Expr::CompoundIdentifier(idents) => {
                if let Some(last) = idents.last() {
                    self.landmarks.names.push((plain(last), self.at(expr.span())));
                }
            }
            Expr::Cast { data_type, .. } => return self.cast(data_type, expr.span()),
            Expr::BinaryOp { op: BinaryOperator::BitwiseXor, .. } => {
                let what = "the operator ^ is a power in some databases and an exclusive or in others";
                return self.replaced(expr, what, "write power(a, b), or (a | b) - (a & b)");
            }
            Expr::BinaryOp { op: BinaryOperator::PGOverlap, .. } => {
                return self.replaced(expr, "there is no operator &&", "write array_has_any(a, b)");
            }
            Expr::UnaryOp { op: UnaryOperator::BitwiseNot, .. } => {
                return self.replaced(expr, "there is no operator ~ of numbers", "write -1 - a");
            }
            Expr::Collate { .. } => {
                let what = "texts have no collation: they are compared by their bytes";
                return self.replaced(expr, what, "leave COLLATE out");
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                self.mark(Construct::Subquery, expr.span());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The error for a relation that does not exist.
pub fn unknown_relation(name: &str, place: Place, text: &Text, catalog: &Catalog) -> Error {
    let hint = match nearest(name, catalog.table_names()) {
        Some(known) => format!("did you mean \"{known}\"?"),
        None => {
            let names: Vec<&str> = catalog.table_names().collect();
            format!("known here are {}; a relation must be created above its use", names.join(", "))
        }
    };
    text.error(place, format!("there is no relation \"{name}\""), hint)
}

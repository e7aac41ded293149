//! Columns that `*` leaves out: those that a source gives to whoever names them
//! ([`Source::unlisted`](catchment_contract::Source::unlisted)).
//!
//! Each `*` and `t.*` over such a source gets an `EXCLUDE` of them before it is planned. Over several such sources `*`
//! becomes `a.*, b.*`, each with its own; over `USING` it is that already ([`crate::merging`]). Where `NATURAL`, a semi or an
//! anti join decide what `*` is, it stays and lists all.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    ExcludeSelectItem, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use crate::catalog::Catalog;
use crate::statement::plain;

/// `query` with the unlisted columns of the sources in `catalog` excluded from its wildcards.
pub(crate) fn excluded(mut query: Query, catalog: &Catalog) -> Query {
    let _ = query.visit(&mut Excluding { catalog, scopes: Vec::new() });
    query
}

struct Excluding<'a> {
    catalog: &'a Catalog,
    /// Names of common table expressions, by the query that they belong to.
    scopes: Vec<Vec<String>>,
}

impl VisitorMut for Excluding<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let names = query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| plain(&cte.alias.name));
        self.scopes.push(names.collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut from = From { factors: Vec::new(), mixed: false };
        select.from.iter().for_each(|tables| self.tables(tables, &mut from));
        if from.unlisted().next().is_some() {
            let items = std::mem::take(&mut select.projection);
            select.projection = items.into_iter().flat_map(|item| from.item(item)).collect();
        }
        ControlFlow::Continue(())
    }
}

impl Excluding<'_> {
    fn tables(&self, tables: &TableWithJoins, from: &mut From) {
        self.factor(&tables.relation, from);
        for join in &tables.joins {
            self.factor(&join.relation, from);
            from.mixed |= match &join.join_operator {
                JoinOperator::Join(on)
                | JoinOperator::Inner(on)
                | JoinOperator::Left(on)
                | JoinOperator::LeftOuter(on)
                | JoinOperator::Right(on)
                | JoinOperator::RightOuter(on)
                | JoinOperator::FullOuter(on)
                | JoinOperator::CrossJoin(on) => matches!(on, JoinConstraint::Using(_) | JoinConstraint::Natural),
                _ => true,
            };
        }
    }

    fn factor(&self, factor: &TableFactor, from: &mut From) {
        match factor {
            TableFactor::Table { name, alias, .. } => {
                let relation = name.0.last().and_then(|part| part.as_ident()).map(plain).unwrap_or_default();
                let is_cte = self.scopes.iter().flatten().any(|cte| *cte == relation);
                let unlisted = if is_cte { &[][..] } else { self.catalog.unlisted(&relation) };
                let qualifier = alias.as_ref().map_or_else(|| name.clone(), |alias| alias.name.clone().into());
                from.factors.push(Factor { qualifier: Some(qualifier), unlisted: unlisted.to_vec() });
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.tables(table_with_joins, from),
            TableFactor::Derived { alias, .. } => {
                let qualifier = alias.as_ref().map(|alias| alias.name.clone().into());
                from.factors.push(Factor { qualifier, unlisted: Vec::new() });
            }
            _ => from.factors.push(Factor { qualifier: None, unlisted: Vec::new() }),
        }
    }
}

/// What a `SELECT` reads.
struct From {
    factors: Vec<Factor>,
    /// A join decides which columns of both sides `*` lists.
    mixed: bool,
}

struct Factor {
    /// What its columns are qualified with.
    qualifier: Option<ObjectName>,
    unlisted: Vec<String>,
}

impl From {
    fn unlisted(&self) -> impl Iterator<Item = &Factor> {
        self.factors.iter().filter(|factor| !factor.unlisted.is_empty())
    }

    /// An item of the list as it is to be planned.
    fn item(&self, item: SelectItem) -> Vec<SelectItem> {
        match item {
            SelectItem::Wildcard(options) => self.wildcard(options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let unlisted = self.unlisted().find(|factor| factor.is_called(&name));
                let options = unlisted.map_or(options.clone(), |factor| without(options, &factor.unlisted));
                vec![SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)]
            }
            other => vec![other],
        }
    }

    fn wildcard(&self, options: WildcardAdditionalOptions) -> Vec<SelectItem> {
        let mut unlisted = self.unlisted();
        if let (Some(factor), None) = (unlisted.next(), unlisted.next()) {
            return vec![SelectItem::Wildcard(without(options, &factor.unlisted))];
        }
        let is_plain =
            WildcardAdditionalOptions { wildcard_token: options.wildcard_token.clone(), ..Default::default() };
        let qualified = self.factors.iter().map(|factor| factor.qualifier.clone()).collect::<Option<Vec<_>>>();
        let Some(qualified) = qualified.filter(|_| !self.mixed && options == is_plain) else {
            return vec![SelectItem::Wildcard(options)];
        };
        let items = qualified.into_iter().zip(&self.factors).map(|(name, factor)| {
            let options = without(options.clone(), &factor.unlisted);
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
        });
        items.collect()
    }
}

impl Factor {
    fn is_called(&self, name: &ObjectName) -> bool {
        let last = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).map(plain);
        self.qualifier.as_ref().is_some_and(|qualifier| last(qualifier) == last(name))
    }
}

/// `options` that exclude `columns` too.
fn without(mut options: WildcardAdditionalOptions, columns: &[String]) -> WildcardAdditionalOptions {
    let excepted = options
        .opt_except
        .iter()
        .flat_map(|except| [&except.first_element].into_iter().chain(&except.additional_elements));
    let excepted: Vec<String> = excepted.map(plain).collect();
    let mut names = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
        None => Vec::new(),
    };
    for column in columns {
        let is_known =
            |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).map(plain).as_ref() == Some(column);
        if !names.iter().any(is_known) && !excepted.contains(column) {
            names.push(Ident::new(column).into());
        }
    }
    options.opt_exclude = (!names.is_empty()).then_some(ExcludeSelectItem::Multiple(names));
    options
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use catchment_contract::arrow::datatypes::Schema;
    use datafusion_sql::sqlparser::ast::Statement;
    use datafusion_sql::sqlparser::dialect::GenericDialect;
    use datafusion_sql::sqlparser::parser::Parser;

    use super::*;
    use crate::catalog::RelationId;

    #[test]
    fn wildcards_leave_unlisted_columns_out() {
        let mut catalog = Catalog::new();
        for (index, name) in ["c", "s", "v"].into_iter().enumerate() {
            catalog.add(name, RelationId::Source(index), Arc::new(Schema::empty()));
        }
        catalog.set_unlisted("c", vec!["raw".into(), "_file".into()]);
        catalog.set_unlisted("s", vec!["raw".into()]);
        let check = |query: &str, expect: &str| {
            let statement = Parser::parse_sql(&GenericDialect {}, query).expect("SQL").remove(0);
            let Statement::Query(query) = statement else { panic!("no query") };
            assert_eq!(excluded(*query, &catalog).to_string(), expect);
        };
        check("SELECT * FROM c", "SELECT * EXCLUDE (raw, _file) FROM c");
        check("SELECT *, raw FROM c AS x", "SELECT * EXCLUDE (raw, _file), raw FROM c AS x");
        check("SELECT x.* FROM C AS x, v", "SELECT x.* EXCLUDE (raw, _file) FROM C AS x, v");
        check("SELECT * FROM c JOIN v ON true", "SELECT * EXCLUDE (raw, _file) FROM c JOIN v ON true");
        check(
            "SELECT * FROM c, s AS t JOIN v ON true",
            "SELECT c.* EXCLUDE (raw, _file), t.* EXCLUDE (raw), v.* FROM c, s AS t JOIN v ON true",
        );
        check("SELECT * EXCLUDE (raw) FROM c", "SELECT * EXCLUDE (raw, _file) FROM c");
        check("SELECT * FROM (SELECT * FROM s) AS c", "SELECT * FROM (SELECT * EXCLUDE (raw) FROM s) AS c");
        check(
            "SELECT id FROM v WHERE EXISTS (SELECT * FROM s)",
            "SELECT id FROM v WHERE EXISTS (SELECT * EXCLUDE (raw) FROM s)",
        );
        for same in [
            "SELECT * FROM v",
            "SELECT raw, count(*) FROM c GROUP BY raw",
            "WITH c AS (SELECT 1 AS a) SELECT * FROM c",
            "SELECT * FROM c JOIN s USING(id)",
        ] {
            check(same, same);
        }
    }
}

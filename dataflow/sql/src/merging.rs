//! Names of columns that `USING` and `NATURAL` merge.
//!
//! The planner knows such a column by one side's, and which columns are merged it forgets. So `*` is listed, merged columns
//! first, and names get a mark before the query is planned ([`marked`]), an operator of our own:
//!
//! - One without a relation, where the planner would find it ambiguous (in `WHERE`, in conditions of further joins, wherever more
//!   than two columns are merged), gets the [`From`] around it. When the planner meets the operator ([`Merged`]) it knows the
//!   columns: if all that have the name are merged, it means the first of them.
//! - One with a relation, beside a right or full join, becomes a call of [`own`]: the column as the relation has it. The name
//!   without a relation has the merged value in the end (`using` in [`crate::rewrite`], which knows both).

mod from;

use std::ops::ControlFlow;

use datafusion_common::{Column, DFSchema, Result, ScalarValue};
use datafusion_expr::Expr;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr as Text, GroupByExpr, Ident, JoinConstraint, ObjectName, OrderByKind,
    Query, ReplaceSelectElement, ReplaceSelectItem, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableFactor, TableWithJoins, Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

pub(crate) use self::from::From;
use self::from::Part;
use crate::rewrite::own;
use crate::statement::plain;

/// `query` with such names marked.
pub(crate) fn marked(mut query: Query) -> Query {
    let _ = query.visit(&mut Marking);
    query
}

struct Marking;

impl VisitorMut for Marking {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_ref() else { return ControlFlow::Continue(()) };
        let from = From::of(&select.from);
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(exprs) = &mut order.kind
        {
            let mut mark = Mark { from: &from, depth: 0, bare: false };
            exprs.iter_mut().try_for_each(|order| order.expr.visit(&mut mark))?;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let from = From::of(&select.from);
        if !from.merges() {
            return ControlFlow::Continue(());
        }
        let mut mark = Mark { from: &from, depth: 0, bare: true };
        select.from.iter_mut().try_for_each(|tables| mark.conditions(tables))?;
        let items = std::mem::take(&mut select.projection);
        select.projection = items.into_iter().flat_map(|item| listed(item, &from)).collect();
        for item in &mut select.projection {
            mark.item(item)?;
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            keys.iter_mut().try_for_each(|key| key.visit(&mut mark))?;
        }
        let mut conditions = select.selection.iter_mut().chain(&mut select.having);
        conditions.try_for_each(|condition| condition.visit(&mut mark))
    }
}

/// Marks the names of expressions over `from`.
struct Mark<'a> {
    from: &'a From,
    /// How many queries inside of expressions this is in: their names are theirs, but for those with a relation of `from`.
    depth: usize,
    /// Whether names without a relation get a mark.
    bare: bool,
}

impl Mark<'_> {
    fn conditions(&mut self, tables: &mut TableWithJoins) -> ControlFlow<()> {
        self.nested(&mut tables.relation)?;
        for join in &mut tables.joins {
            self.nested(&mut join.relation)?;
            if let Some(JoinConstraint::On(condition)) = from::constraint_mut(&mut join.join_operator) {
                condition.visit(self)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn nested(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => self.conditions(table_with_joins),
            _ => ControlFlow::Continue(()),
        }
    }

    fn item(&mut self, item: &mut SelectItem) -> ControlFlow<()> {
        if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(relation), options) = item {
            self.wildcard(relation.clone(), options);
            return ControlFlow::Continue(());
        }
        // The name of a column is the last part of what is about to get a mark.
        if let SelectItem::UnnamedExpr(Text::CompoundIdentifier(name)) = item
            && self.is_own(name)
            && let Some(alias) = name.last().cloned()
        {
            *item = SelectItem::ExprWithAlias { expr: Text::CompoundIdentifier(name.clone()), alias };
        }
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr.visit(self),
            _ => ControlFlow::Continue(()),
        }
    }

    /// `relation.*` has the relation's own columns in the place of those that are merged.
    fn wildcard(&self, relation: ObjectName, options: &mut WildcardAdditionalOptions) {
        let Some(last) = relation.0.last().and_then(|part| part.as_ident()) else { return };
        let mut items = options.opt_replace.take().map(|replace| replace.items).unwrap_or_default();
        for column in self.from.own_columns(&plain(last)).unwrap_or_default() {
            let column = Ident::with_quote('"', column);
            if items.iter().any(|item| plain(&item.column_name) == column.value) || excludes(options, &column.value) {
                continue;
            }
            let expr = owned(Text::CompoundIdentifier(vec![last.clone(), column.clone()]));
            items.push(Box::new(ReplaceSelectElement { expr, column_name: column, as_keyword: true }));
        }
        options.opt_replace = (!items.is_empty()).then_some(ReplaceSelectItem { items });
    }

    /// Whether `name` is a relation's column, of which a join makes another one.
    fn is_own(&self, name: &[Ident]) -> bool {
        let [relation, column] = name else { return false };
        self.from.is_own(&plain(relation), &plain(column))
    }
}

impl VisitorMut for Mark<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Text) -> ControlFlow<()> {
        match expr {
            Text::Identifier(ident) if self.depth == 0 && self.bare => {
                if let Some(joins) = self.from.joins_of(&plain(ident)) {
                    *expr = operation(expr.clone(), MERGED, Value::SingleQuotedString(joins));
                }
            }
            Text::CompoundIdentifier(name) if self.is_own(name) => *expr = owned(expr.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `item`, with what `*` lists if it is one: to the planner a merged column stands where one side's did, depending on names.
fn listed(item: SelectItem, from: &From) -> Vec<SelectItem> {
    let SelectItem::Wildcard(options) = &item else { return vec![item] };
    let is_plain = WildcardAdditionalOptions { wildcard_token: options.wildcard_token.clone(), ..Default::default() };
    let Some(parts) = from.listed().filter(|_| *options == is_plain) else { return vec![item] };
    let quoted = |name: String| Ident::with_quote('"', name);
    let parts = parts.into_iter().map(|part| match part {
        Part::Merged(column) => SelectItem::UnnamedExpr(Text::Identifier(quoted(column))),
        Part::Rest(relation, merged) => {
            let merged: Vec<ObjectName> = merged.into_iter().map(|column| quoted(column).into()).collect();
            let opt_exclude = (!merged.is_empty()).then_some(ExcludeSelectItem::Multiple(merged));
            let relation = SelectItemQualifiedWildcardKind::ObjectName(quoted(relation).into());
            SelectItem::QualifiedWildcard(relation, WildcardAdditionalOptions { opt_exclude, ..is_plain.clone() })
        }
    });
    parts.collect()
}

/// Whether `options` leave `column` out.
fn excludes(options: &WildcardAdditionalOptions, column: &str) -> bool {
    let mut excluded = Vec::new();
    if let Some(except) = &options.opt_except {
        excluded.extend([&except.first_element].into_iter().chain(&except.additional_elements).map(plain));
    }
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => excluded.extend(last_of(name)),
        Some(ExcludeSelectItem::Multiple(names)) => {
            excluded.extend(names.iter().filter_map(last_of));
        }
        None => {}
    }
    excluded.iter().any(|known| known == column)
}

fn last_of(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(plain)
}

const MERGED: &str = "merged";
const OWN: &str = "own";

fn owned(name: Text) -> Text {
    operation(name, OWN, Value::SingleQuotedString(String::new()))
}

fn operation(left: Text, op: &str, right: Value) -> Text {
    let op = BinaryOperator::Custom(op.to_string());
    Text::BinaryOp { left: Box::new(left), op, right: Box::new(Text::value(right)) }
}

/// Plans marked names.
#[derive(Debug)]
pub(crate) struct Merged;

impl ExprPlanner for Merged {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        match &expr.op {
            BinaryOperator::Custom(op) if op == OWN => Ok(PlannerResult::Planned(own(expr.left))),
            BinaryOperator::Custom(op) if op == MERGED => {
                let merged = match (&expr.left, &expr.right) {
                    (Expr::Column(name), Expr::Literal(ScalarValue::Utf8(Some(joins)), _)) => {
                        first(name, joins, schema)
                    }
                    _ => None,
                };
                Ok(PlannerResult::Planned(merged.unwrap_or(expr.left)))
            }
            _ => Ok(PlannerResult::Original(expr)),
        }
    }
}

/// The first of the columns that are merged as `name`; `None` if not all that are called so are.
fn first(name: &Column, joins: &str, schema: &DFSchema) -> Option<Expr> {
    if name.relation.is_some() {
        return None;
    }
    let columns = schema.columns_with_unqualified_name(&name.name);
    let has = |relation: &str| {
        columns.iter().any(|column| column.relation.as_ref().map_or("", |known| known.table()) == relation)
    };
    let relation = from::only_one(joins, &has)?;
    let mut columns = columns.iter();
    let mut column =
        columns.find(|column| column.relation.as_ref().map_or("", |known| known.table()) == relation)?.clone();
    column.spans = name.spans.clone();
    Some(Expr::Column(column))
}

#[cfg(test)]
mod tests {
    use datafusion_sql::sqlparser::ast::Statement;
    use datafusion_sql::sqlparser::dialect::GenericDialect;
    use datafusion_sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn stars_list_merged_columns_first_where_the_text_tells() {
        let check = |query: &str, expect: &str| {
            let statement = Parser::parse_sql(&GenericDialect {}, query).expect("SQL").remove(0);
            let Statement::Query(query) = statement else { panic!("no query") };
            let text = marked(*query).to_string();
            // Marks are operators, which no query writes.
            let text = text.replace('\0', "").replace(" merged '=a=bu'", "").replace(" merged '=a=bu=cu'", "");
            assert_eq!(text.split(" FROM ").next(), Some(expect));
        };
        check("SELECT * FROM a JOIN b USING (k)", r#"SELECT "k", "a".* EXCLUDE ("k"), "b".* EXCLUDE ("k")"#);
        check(
            "SELECT * FROM a JOIN b USING (k) LEFT JOIN c USING (k)",
            r#"SELECT "k", "a".* EXCLUDE ("k"), "b".* EXCLUDE ("k"), "c".* EXCLUDE ("k")"#,
        );
        check("SELECT a.* FROM a FULL JOIN b USING (k)", r#"SELECT a.* REPLACE (a."k" own '' AS "k")"#);
        check("SELECT b.*, a.k FROM a RIGHT JOIN b USING (k)", "SELECT b.*, a.k own '' AS k");
        for same in ["SELECT *", "SELECT a.*, b.k"] {
            for from in ["a NATURAL JOIN b", "a, b", "a JOIN b ON a.k = b.k", "a JOIN b ON a.i = b.i JOIN c USING (k)"]
            {
                check(&format!("{same} FROM {from}"), same);
            }
        }
    }
}

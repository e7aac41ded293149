//! Random well-typed queries.

use rand::Rng;
use rand::rngs::StdRng;

use super::ops::{AGGREGATES, DIVISORS, Kind, LETTERS, LIKES, Op, REGEXES, SCALARS, WINDOWS};
use super::sql::{Arg, Expr, From, Item, Query, Select, Type};
use super::world::TEXTS;

/// What can be named where an expression stands: columns by qualified name.
pub type Scope = Vec<(String, Type)>;

/// Makes queries over relations.
pub struct Generator<'a> {
    /// Where chance comes from.
    pub random: &'a mut StdRng,
    /// What can be read.
    pub relations: Vec<(String, Vec<(String, Type)>)>,
    aliases: usize,
}

impl<'a> Generator<'a> {
    /// A generator of queries over `relations`.
    pub fn new(random: &'a mut StdRng, relations: Vec<(String, Vec<(String, Type)>)>) -> Self {
        Generator { random, relations, aliases: 0 }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.random_range(0..of.len())]
    }

    fn any_type(&mut self) -> Type {
        self.pick(&Type::ALL)
    }

    /// A query; derived tables nest at most `depth` deep.
    pub fn query(&mut self, depth: usize) -> Query {
        match self.random.random_range(0..12) {
            0 if depth > 0 => self.set(depth - 1),
            1 | 2 => self.grouped(depth, None),
            3 => self.windowed(depth),
            4 => self.first_rows(depth),
            5 if depth > 0 => self.numbered(depth - 1),
            _ => Query::Select(Box::new(self.plain(depth, None))),
        }
    }

    /// A query whose columns have the types `types`.
    fn query_of(&mut self, depth: usize, types: &[Type]) -> Query {
        if self.chance(0.2) {
            return self.grouped(depth, Some(types));
        }
        Query::Select(Box::new(self.plain(depth, Some(types))))
    }

    fn types(&mut self) -> Vec<Type> {
        (0..self.random.random_range(1..4)).map(|_| self.any_type()).collect()
    }

    fn plain(&mut self, depth: usize, types: Option<&[Type]>) -> Select {
        let types = types.map_or_else(|| self.types(), <[Type]>::to_vec);
        let (from, scope) = self.from(depth);
        let items = self.items(&types, &scope, 2);
        let filter = self.filter(&scope, depth);
        let distinct = self.chance(0.15);
        Select { distinct, items, from, filter, keys: None, having: None, first: None }
    }

    fn items(&mut self, types: &[Type], scope: &Scope, depth: usize) -> Vec<Item> {
        let exprs: Vec<Expr> = types.iter().map(|data_type| self.expr(*data_type, scope, depth)).collect();
        named(exprs)
    }

    fn set(&mut self, depth: usize) -> Query {
        let op = self.pick(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT"]);
        let types = self.types();
        let (left, right) = (self.query_of(depth, &types), self.query_of(depth, &types));
        Query::Set { op, left: Box::new(left), right: Box::new(right) }
    }

    /// `GROUP BY` with aggregates; with `types`, every column is an aggregate or key of that type.
    fn grouped(&mut self, depth: usize, types: Option<&[Type]>) -> Query {
        let (from, scope) = self.from(depth);
        let mut exprs = Vec::new();
        let keys = match types {
            Some(types) => {
                exprs.extend(types.iter().map(|data_type| self.expr(*data_type, &scope, 1)));
                types.len()
            }
            None => {
                let keys = self.random.random_range(0..3);
                for _ in 0..keys {
                    let data_type = self.any_type();
                    exprs.push(self.expr(data_type, &scope, 1));
                }
                keys
            }
        };
        if types.is_none() {
            for _ in 0..self.random.random_range(1..4) {
                exprs.push(self.operation(AGGREGATES, None, &scope, 1));
            }
        }
        let having = (keys > 0 && self.chance(0.25)).then(|| {
            let of = self.pick(&[Type::Int, Type::Decimal]);
            let aggregate = self.operation(AGGREGATES, Some(of), &scope, 1);
            Expr::of(Type::Bool, "({0} > {1})", vec![aggregate, Expr::plain(Type::Int, "1")])
        });
        // A key that is a constant would be a place of the select list to both engines, and is left out.
        let filter = self.filter(&scope, depth);
        let keys = Some(keys);
        let items = named(exprs);
        Query::Select(Box::new(Select { distinct: false, items, from, filter, keys, having, first: None }))
    }

    fn windowed(&mut self, depth: usize) -> Query {
        let (from, scope) = self.from(depth);
        let types = self.types();
        let mut exprs: Vec<Expr> = types.iter().map(|data_type| self.expr(*data_type, &scope, 1)).collect();
        for _ in 0..self.random.random_range(1..3) {
            exprs.push(self.operation(WINDOWS, None, &scope, 1));
        }
        let filter = self.filter(&scope, depth);
        let items = named(exprs);
        Query::Select(Box::new(Select { distinct: false, items, from, filter, keys: None, having: None, first: None }))
    }

    /// The first rows by all columns: no tie is left.
    fn first_rows(&mut self, depth: usize) -> Query {
        let mut select = match self.chance(0.3) {
            true => match self.grouped(depth, None) {
                Query::Select(select) => *select,
                Query::Set { .. } => unreachable!("a grouped query is a SELECT"),
            },
            false => self.plain(depth, None),
        };
        let order = select.items.iter().map(|_| (self.chance(0.5), self.chance(0.5))).collect();
        select.first = Some((order, self.random.random_range(1..5)));
        Query::Select(Box::new(select))
    }

    /// `row_number()` with a bound, by all columns.
    fn numbered(&mut self, depth: usize) -> Query {
        let (from, scope) = self.from(depth);
        let types = self.types();
        let mut exprs: Vec<Expr> = types.iter().map(|data_type| self.expr(*data_type, &scope, 1)).collect();
        let order: Vec<String> = (0..exprs.len())
            .map(|place| {
                let way = self.pick(&["ASC", "DESC"]);
                let nulls = self.pick(&["FIRST", "LAST"]);
                format!("{{{place}}} {way} NULLS {nulls}")
            })
            .collect();
        let partition = if self.chance(0.6) { "PARTITION BY {0} " } else { "" };
        let number = format!("row_number() OVER ({partition}ORDER BY {})", order.join(", "));
        exprs.push(Expr::of(Type::Int, number, exprs.clone()));
        let filter = self.filter(&scope, depth);
        let items = named(exprs);
        let last = items[items.len() - 1].name.clone();
        let inner = Select { distinct: false, items, from, filter, keys: None, having: None, first: None };
        let inner = Query::Select(Box::new(inner));
        let alias = self.alias();
        let kept = inner.columns().len() - usize::from(self.chance(0.5));
        let columns = inner.columns().into_iter().take(kept);
        let items =
            columns.map(|(name, data_type)| Expr::plain(data_type, format!("{alias}.{name}"))).collect::<Vec<_>>();
        let bound = self.random.random_range(1..4);
        let filter = Some(Expr::plain(Type::Bool, format!("{alias}.{last} <= {bound}")));
        let from = From::Derived { query: Box::new(inner), alias };
        let items = named(items);
        Query::Select(Box::new(Select { distinct: false, items, from, filter, keys: None, having: None, first: None }))
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// What a `SELECT` reads, and the columns that this brings.
    fn from(&mut self, depth: usize) -> (From, Scope) {
        let (left, mut scope) = self.one(depth);
        if !self.chance(0.35) {
            return (left, scope);
        }
        let (right, other) = self.one(depth.saturating_sub(1));
        let pairs: Vec<(String, String, Type)> = scope
            .iter()
            .flat_map(|(l, lt)| {
                other.iter().filter(move |(_, rt)| lt == rt).map(move |(r, _)| (l.clone(), r.clone(), *lt))
            })
            .collect();
        if pairs.is_empty() {
            return (left, scope);
        }
        let kind = self.pick(&["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let pair = |generator: &mut Self| {
            let (l, r, data_type) = pairs[generator.random.random_range(0..pairs.len())].clone();
            let sides = [Expr::plain(data_type, l), Expr::plain(data_type, r)];
            let template = if generator.chance(0.1) { "{0} IS NOT DISTINCT FROM {1}" } else { "{0} = {1}" };
            Expr::of(Type::Bool, template, sides.to_vec())
        };
        let mut on = pair(self);
        if self.chance(0.2) {
            on = Expr::of(Type::Bool, "{0} AND {1}", vec![on, pair(self)]);
        }
        scope.extend(other);
        if kind == "JOIN" && self.chance(0.3) {
            let more = self.expr(Type::Bool, &scope, 1);
            on = Expr::of(Type::Bool, "{0} AND {1}", vec![on, more]);
        }
        (From::Join { kind, left: Box::new(left), right: Box::new(right), on: Some(on) }, scope)
    }

    fn one(&mut self, depth: usize) -> (From, Scope) {
        let alias = self.alias();
        let (from, columns) = if depth > 0 && self.chance(0.3) {
            let query = self.query(depth - 1);
            let columns = query.columns();
            (From::Derived { query: Box::new(query), alias: alias.clone() }, columns)
        } else {
            let (name, columns) = self.relations[self.random.random_range(0..self.relations.len())].clone();
            (From::Relation { name, alias: alias.clone() }, columns)
        };
        let scope = columns.into_iter().map(|(name, data_type)| (format!("{alias}.{name}"), data_type)).collect();
        (from, scope)
    }

    fn filter(&mut self, scope: &Scope, depth: usize) -> Option<Expr> {
        if !self.chance(0.6) {
            return None;
        }
        let mut filter = self.expr(Type::Bool, scope, 3);
        if self.chance(0.2) {
            let more = self.expr(Type::Bool, scope, 2);
            filter = Expr::of(Type::Bool, "({0} AND {1})", vec![filter, more]);
        }
        if self.chance(0.25) {
            let subquery = self.subquery_condition(scope, depth.saturating_sub(1));
            filter = Expr::of(Type::Bool, "({0} AND {1})", vec![subquery, filter]);
        }
        Some(filter)
    }

    /// `EXISTS`, `IN` and comparisons with a scalar subquery.
    fn subquery_condition(&mut self, scope: &Scope, depth: usize) -> Expr {
        let data_type = self.any_type();
        let value = self.expr(data_type, scope, 1);
        match self.random.random_range(0..6) {
            0 | 1 => {
                let query = self.query_of(depth, &[data_type]);
                Expr {
                    args: vec![Arg::Expr(value), Arg::Query(Box::new(query))],
                    ..Expr::plain(Type::Bool, "{0} IN ({1})")
                }
            }
            2 | 3 => {
                let query = self.correlated(scope, depth);
                let template = self.pick(&["EXISTS ({0})", "NOT EXISTS ({0})"]);
                Expr { args: vec![Arg::Query(Box::new(query))], ..Expr::plain(Type::Bool, template) }
            }
            4 => {
                let query = self.scalar(data_type, scope, depth);
                let template = self.pick(&["{0} = ({1})", "{0} <= ({1})", "{0} IS DISTINCT FROM ({1})"]);
                Expr { args: vec![Arg::Expr(value), Arg::Query(Box::new(query))], ..Expr::plain(Type::Bool, template) }
            }
            _ => {
                let query = self.query_of(depth, &[data_type]);
                Expr {
                    args: vec![Arg::Expr(value), Arg::Query(Box::new(query))],
                    ..Expr::plain(Type::Bool, "{0} NOT IN ({1})")
                }
            }
        }
    }

    /// `SELECT 1 FROM … WHERE inner = outer`.
    fn correlated(&mut self, outer: &Scope, depth: usize) -> Query {
        let (from, scope) = self.one(depth);
        let filter = self.link(&scope, outer);
        let items = named(vec![Expr::plain(Type::Int, "1")]);
        Query::Select(Box::new(Select { distinct: false, items, from, filter, keys: None, having: None, first: None }))
    }

    /// A condition that ties a subquery to the rows around it, if their types let it.
    fn link(&mut self, inner: &Scope, outer: &Scope) -> Option<Expr> {
        let mut filter = None;
        for (name, data_type) in inner {
            let fits: Vec<&(String, Type)> = outer.iter().filter(|(_, other)| other == data_type).collect();
            if fits.is_empty() {
                continue;
            }
            let other = fits[self.random.random_range(0..fits.len())].0.clone();
            let sides = vec![Expr::plain(*data_type, name), Expr::plain(*data_type, other)];
            filter = Some(Expr::of(Type::Bool, "{0} = {1}", sides));
            break;
        }
        if self.chance(0.3) {
            let more = self.expr(Type::Bool, inner, 1);
            filter = Some(match filter {
                Some(filter) => Expr::of(Type::Bool, "{0} AND {1}", vec![filter, more]),
                None => more,
            });
        }
        filter
    }

    /// A query of one row: an aggregate without groups.
    fn scalar(&mut self, data_type: Type, outer: &Scope, depth: usize) -> Query {
        let (from, scope) = self.one(depth);
        let filter = if self.chance(0.5) { self.link(&scope, outer) } else { None };
        let items = named(vec![self.operation(AGGREGATES, Some(data_type), &scope, 1)]);
        Query::Select(Box::new(Select {
            distinct: false,
            items,
            from,
            filter,
            keys: Some(0),
            having: None,
            first: None,
        }))
    }

    /// An expression of type `data_type` over `scope`, operations nested at most `depth` deep.
    pub fn expr(&mut self, data_type: Type, scope: &Scope, depth: usize) -> Expr {
        if depth == 0 || self.chance(0.3) {
            return self.leaf(data_type, scope);
        }
        self.operation(SCALARS, Some(data_type), scope, depth - 1)
    }

    fn leaf(&mut self, data_type: Type, scope: &Scope) -> Expr {
        let fits: Vec<&(String, Type)> = scope.iter().filter(|(_, known)| *known == data_type).collect();
        if !fits.is_empty() && self.chance(0.8) {
            return Expr::plain(data_type, fits[self.random.random_range(0..fits.len())].0.clone());
        }
        self.literal(data_type)
    }

    fn literal(&mut self, data_type: Type) -> Expr {
        if self.chance(0.12) {
            return Expr::plain(data_type, format!("CAST(NULL AS {})", data_type.name()));
        }
        let text = match data_type {
            Type::Int => self.pick(&["0", "1", "2", "3", "(-1)", "(-2)", "7"]).to_string(),
            Type::Float => format!("CAST({} AS DOUBLE)", self.pick(&["0", "0.5", "1", "1.5", "-2.5", "3"])),
            Type::Text => format!("'{}'", self.pick(&TEXTS)),
            Type::Bool => self.pick(&["TRUE", "FALSE"]).to_string(),
            Type::Time => format!(
                "TIMESTAMP '2024-01-0{} 0{}:00:00'",
                self.random.random_range(1..6),
                self.random.random_range(0..9)
            ),
            Type::Date => format!("DATE '2024-01-0{}'", self.random.random_range(1..6)),
            Type::Decimal => format!("CAST({} AS DECIMAL(38, 0))", self.pick(&["0", "1", "2", "-1", "-2", "5"])),
        };
        Expr::plain(data_type, text)
    }

    /// An operation of `ops` that gives `wanted`, or anything.
    fn operation(&mut self, ops: &[Op], wanted: Option<Type>, scope: &Scope, depth: usize) -> Expr {
        let fits =
            |(result, ..): &&Op| wanted.is_none_or(|wanted| *result == Kind::Same || *result == Kind::Of(wanted));
        let fits: Vec<&Op> = ops.iter().filter(fits).collect();
        let (result, kinds, ours, duckdb) = *fits[self.random.random_range(0..fits.len())];
        let same = match (result, wanted) {
            (Kind::Same, Some(wanted)) => wanted,
            _ => self.any_type(),
        };
        let data_type = match result {
            Kind::Of(data_type) => data_type,
            _ => same,
        };
        let args = kinds.iter().map(|kind| Arg::Expr(self.argument(*kind, same, scope, depth))).collect();
        Expr { data_type, ours: ours.to_string(), duckdb: duckdb.to_string(), args }
    }

    fn argument(&mut self, kind: Kind, same: Type, scope: &Scope, depth: usize) -> Expr {
        match kind {
            Kind::Of(data_type) => self.expr(data_type, scope, depth),
            Kind::Same => self.expr(same, scope, depth),
            Kind::Small => Expr::plain(Type::Int, self.random.random_range(0..4).to_string()),
            Kind::Count => Expr::plain(Type::Int, self.random.random_range(1..4).to_string()),
            Kind::Divisor => Expr::plain(Type::Float, format!("CAST({} AS DOUBLE)", self.pick(&DIVISORS))),
            Kind::Like => Expr::plain(Type::Text, self.pick(&LIKES)),
            Kind::Regex => Expr::plain(Type::Text, self.pick(&REGEXES)),
            Kind::Letters => Expr::plain(Type::Text, self.pick(&LETTERS)),
        }
    }
}

fn named(exprs: Vec<Expr>) -> Vec<Item> {
    exprs.into_iter().enumerate().map(|(place, expr)| Item { expr, name: format!("x{place}") }).collect()
}

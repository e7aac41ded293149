//! What a `SELECT` reads, as far as the merging of columns goes.

use datafusion_sql::sqlparser::ast::{JoinConstraint, JoinOperator, ObjectName, TableFactor, TableWithJoins};

use crate::statement::plain;

/// The relations of a `FROM`, and how they are joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct From {
    /// Relations and joins, each join behind its sides.
    steps: Vec<Step>,
    /// Whether relations are named so that their columns can be told apart.
    is_plain: bool,
    /// Sides of right and full joins whose own columns differ from the merged ones, and the columns.
    sides: Vec<Side>,
    /// Relations, joined.
    whole: Group,
}

/// Relations that are joined to one another.
#[derive(Clone, Debug, Default)]
struct Group {
    relations: Vec<String>,
    /// The columns that are merged, each with a relation that has it.
    held: Vec<(String, String)>,
    /// What `*` lists; `None` if the text does not tell.
    columns: Option<Vec<Part>>,
}

/// A part of what `*` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A merged column.
    Merged(String),
    /// All columns of a relation but those.
    Rest(String, Vec<String>),
}

#[derive(Clone, Debug)]
enum Step {
    Relation(String),
    Join(Merging),
    /// Of the right side no column is left.
    Semi,
}

/// Which columns a join merges.
#[derive(Clone, Debug)]
enum Merging {
    None,
    Named(Vec<String>),
    Shared,
}

impl Merging {
    fn may_have(&self, column: &str) -> bool {
        match self {
            Merging::None => false,
            Merging::Named(names) => names.iter().any(|known| known == column),
            Merging::Shared => true,
        }
    }
}

#[derive(Clone, Debug)]
struct Side {
    /// With each, whether it is a side alone.
    relations: Vec<(String, bool)>,
    merging: Merging,
}

impl Group {
    /// Each relation, and whether it is alone.
    fn alone(&self) -> impl Iterator<Item = (String, bool)> {
        self.relations.iter().map(|name| (name.clone(), self.relations.len() == 1))
    }

    /// The group, joined with `right`.
    fn joined(mut self, mut right: Group, merging: &Merging) -> Group {
        let names = match merging {
            Merging::None => &[][..],
            Merging::Named(names) => names,
            Merging::Shared => {
                self.columns = None;
                &[]
            }
        };
        for name in names {
            if !(self.holds(name) && right.holds(name)) {
                self.columns = None;
            }
        }
        let merged = names.iter().cloned().map(Part::Merged).collect::<Vec<_>>();
        self.columns = self.columns.zip(right.columns).map(|(left, right)| {
            let rest = left.into_iter().chain(right).filter(|part| !merged.contains(part));
            merged.iter().cloned().chain(rest).collect()
        });
        self.relations.append(&mut right.relations);
        self.held.append(&mut right.held);
        self
    }

    /// Whether it is known which relations have `column`, which is about to be merged.
    fn holds(&mut self, column: &str) -> bool {
        let is_held = self.held.iter().any(|(_, held)| held == column);
        if let ([relation], false) = (self.relations.as_slice(), is_held) {
            self.held.push((relation.clone(), column.to_string()));
            return true;
        }
        is_held
    }
}

impl Side {
    /// Whether `relation` is a side alone; `None` if it is none.
    fn has(&self, relation: &str) -> Option<bool> {
        self.relations.iter().find(|(known, _)| known == relation).map(|(_, alone)| *alone)
    }
}

impl From {
    /// Of the text `from`.
    pub fn of(from: &[TableWithJoins]) -> From {
        let mut made = From { is_plain: true, ..From::default() };
        for (place, tables) in from.iter().enumerate() {
            let group = made.tables(tables);
            if place == 0 {
                made.whole = group;
            } else {
                made.steps.push(Step::Join(Merging::None));
                made.whole = std::mem::take(&mut made.whole).joined(group, &Merging::None);
            }
        }
        let unnamed = made.steps.iter().filter(|step| matches!(step, Step::Relation(name) if name.is_empty())).count();
        made.is_plain &= unnamed < 2;
        made
    }

    fn tables(&mut self, tables: &TableWithJoins) -> Group {
        use JoinOperator::{Anti, FullOuter, LeftAnti, LeftSemi, Right, RightAnti, RightOuter, RightSemi, Semi};
        let mut left = self.factor(&tables.relation);
        for join in &tables.joins {
            let right = self.factor(&join.relation);
            let merging = match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(names)) => Merging::Named(names.iter().filter_map(last_of).collect()),
                Some(JoinConstraint::Natural) => Merging::Shared,
                _ => Merging::None,
            };
            let differing: &[&Group] = match &join.join_operator {
                FullOuter(_) => &[&left, &right],
                Right(_) | RightOuter(_) => &[&left],
                _ => &[],
            };
            if !differing.is_empty() && !matches!(merging, Merging::None) {
                let relations = differing.iter().flat_map(|side| side.alone());
                self.sides.push(Side { relations: relations.collect(), merging: merging.clone() });
            }
            match &join.join_operator {
                Semi(_) | LeftSemi(_) | Anti(_) | LeftAnti(_) => self.steps.push(Step::Semi),
                RightSemi(_) | RightAnti(_) => {
                    self.is_plain = false;
                    self.steps.push(Step::Semi);
                    left.columns = None;
                }
                _ => {
                    left = left.joined(right, &merging);
                    self.steps.push(Step::Join(merging));
                }
            }
        }
        left
    }

    fn factor(&mut self, factor: &TableFactor) -> Group {
        let (name, alias) = match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.tables(table_with_joins),
            TableFactor::Table { name, alias, .. } => (last_of(name), alias),
            TableFactor::Derived { alias, .. } => (None, alias),
            _ => {
                self.is_plain = false;
                (None, &None)
            }
        };
        let name = alias.as_ref().map(|alias| plain(&alias.name)).or(name).unwrap_or_default();
        self.steps.push(Step::Relation(name.clone()));
        let columns = (!name.is_empty()).then(|| vec![Part::Rest(name.clone(), Vec::new())]);
        Group { relations: vec![name], held: Vec::new(), columns }
    }

    /// Whether some join merges columns.
    pub fn merges(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Join(Merging::Named(_) | Merging::Shared)))
    }

    /// Whether `column` of `relation` may be another value than the one that a join makes of it.
    pub fn is_own(&self, relation: &str, column: &str) -> bool {
        self.sides.iter().any(|side| side.has(relation).is_some() && side.merging.may_have(column))
    }

    /// The columns for which [`is_own`](Self::is_own) holds; `None` if the text does not tell.
    pub fn own_columns(&self, relation: &str) -> Option<Vec<String>> {
        let mut columns: Vec<String> = Vec::new();
        for side in &self.sides {
            match (side.has(relation), &side.merging) {
                (None, _) => {}
                (Some(true), Merging::Named(names)) => columns.extend(names.iter().cloned()),
                (Some(_), _) => return None,
            }
        }
        columns.sort();
        columns.dedup();
        Some(columns)
    }

    /// What `*` lists, in SQL's order: merged columns first. `None` if no join merges columns, or the text does not tell.
    pub(super) fn listed(&self) -> Option<Vec<Part>> {
        let parts = self.whole.columns.clone().filter(|_| self.merges())?;
        let held = |relation: &String| {
            let held = self.whole.held.iter().filter(|(known, _)| known == relation);
            held.map(|(_, column)| column.clone()).collect()
        };
        let parts = parts.into_iter().map(|part| match part {
            Part::Rest(relation, _) => Part::Rest(relation.clone(), held(&relation)),
            merged => merged,
        });
        Some(parts.collect())
    }

    /// What [`only_one`] reads for `column`; `None` if no join may merge columns of that name.
    pub fn joins_of(&self, column: &str) -> Option<String> {
        let merges = self.steps.iter().any(|step| matches!(step, Step::Join(merging) if merging.may_have(column)));
        (merges && self.is_plain).then(|| {
            let steps = self.steps.iter().map(|step| match step {
                Step::Relation(name) => format!("={name}"),
                Step::Join(Merging::Shared) => "n".to_string(),
                Step::Join(merging) if merging.may_have(column) => "u".to_string(),
                Step::Join(_) => "o".to_string(),
                Step::Semi => "s".to_string(),
            });
            steps.collect::<Vec<_>>().join(SEPARATOR)
        })
    }
}

/// Between the steps of a text for [`only_one`]: no name holds it.
const SEPARATOR: &str = "\u{0}";

/// The relation whose column stands for all that have the name after `joins`; `None` if they are not all merged. `has` are
/// the relations that have such a column; those that are not joined yet have none.
pub(super) fn only_one<'j>(joins: &'j str, has: &dyn Fn(&str) -> bool) -> Option<&'j str> {
    let mut sides: Vec<Vec<&str>> = Vec::new();
    for step in joins.split(SEPARATOR) {
        if let Some(relation) = step.strip_prefix('=') {
            sides.push(if has(relation) { vec![relation] } else { Vec::new() });
            continue;
        }
        let (right, mut left) = (sides.pop()?, sides.pop()?);
        match step {
            "s" => {}
            "n" | "u" => match (left.as_slice(), right.as_slice()) {
                ([_], [_]) => {}
                ([], _) | (_, []) => left.extend(right),
                _ => return None,
            },
            _ => left.extend(right),
        }
        sides.push(left);
    }
    match sides.as_slice() {
        [side] => match side.as_slice() {
            [relation] => Some(relation),
            _ => None,
        },
        _ => None,
    }
}

fn last_of(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(plain)
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator::*;
    match operator {
        Join(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on) | FullOuter(on) | Semi(on)
        | LeftSemi(on) | RightSemi(on) | Anti(on) | LeftAnti(on) | RightAnti(on) => Some(on),
        _ => None,
    }
}

/// How `operator` tells which rows belong together.
pub(super) fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator::*;
    match operator {
        Join(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on) | FullOuter(on) | Semi(on)
        | LeftSemi(on) | RightSemi(on) | Anti(on) | LeftAnti(on) | RightAnti(on) => Some(on),
        _ => None,
    }
}

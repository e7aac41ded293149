//! Operators and expressions in writing: a notation of our own, of which a relation's identity is made and which `explain`
//! shows to people.
//!
//! A relation's identity outlives builds, so nothing here is what DataFusion or Arrow print: every kind of expression,
//! operator, type and value is written by a match of ours without a default. What a new version adds does not compile, or is
//! an error when the job is checked.
//!
//! | what | written |
//! |---|---|
//! | a column | `#3`, the fourth of the input; for people its name |
//! | a value | its type and itself, `int64 5`, `text 'it''s'`, `list(text) ['a', null]`; for people itself alone |
//! | a function, an operator | `date_trunc(text 'hour', #3)`, `(#0 + int64 1)`, chains of AND and OR flat |
//! | a cast | `cast(#0 as int64)`; one that changes only how a text is kept is left out |
//! | a type | `int64`, `text`, `timestamp(us, 'UTC')`, `list(text)`; encodings of one type are one |

mod expression;
mod operator;
mod value;

pub(crate) use expression::expression;
pub(crate) use operator::{Names, operator};
pub(crate) use value::{named, quoted, row, type_name};

/// Whom something is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// For a relation's identity: complete, and the same in each build.
    Stable,
    /// For people: with names, and without what is clear.
    Plain,
}

//! The table of functions: every name that a query may call, and those that it may not, a line each.
//!
//! A line has the function's name and other names for it, its arguments and result, what it gives, and when a row is a reject
//! because of it: `never`, in words, or `bounded` where only its bound makes it fail. What a row may ask of it is bounded where a
//! [`Limit`] is named.

mod aggregates;
mod lists;
mod math;
mod text;
mod times;
mod values;

use super::limits::Limit;

/// A function of the table.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name, then the others that it goes by, with spaces between.
    names: &'static str,
    /// What it takes and gives: `text[, characters] → text`. Empty where it is refused.
    pub usage: &'static str,
    /// What the result is.
    pub gives: &'static str,
    /// How it may be used.
    pub kind: Kind,
}

/// How a function may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On the values of a row.
    Scalar {
        /// When it fails, in words; `None` if for no row, empty if that is not known, or only where its limit says so.
        fails: Option<&'static str>,
        /// What bounds that a row asks of it.
        limit: Option<Limit>,
    },
    /// On a group's rows, and with `OVER` on a window's.
    Aggregate,
    /// With `OVER` alone.
    Window,
    /// In the SELECT list, where it makes several rows of one.
    Rows,
    /// Not at all.
    Refused {
        /// What it would be: `function`, `aggregate function`, `window function`.
        what: &'static str,
        /// Why, where that is not clear: `depends on the clock`.
        why: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
}

impl Function {
    /// The name by which plans know it.
    pub fn name(&self) -> &'static str {
        self.names.split(' ').next().unwrap_or_default()
    }

    /// Every name that a query may call it by, its own first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.split(' ')
    }

    /// Whether a query may call it.
    pub fn is_offered(&self) -> bool {
        !matches!(self.kind, Kind::Refused { .. })
    }
}

/// A part of the table.
pub struct Section {
    /// What its functions are about.
    pub title: &'static str,
    /// The functions, by name.
    pub functions: &'static [Function],
}

/// The whole table.
pub const SECTIONS: [Section; 11] = [
    Section { title: "Text", functions: text::FUNCTIONS },
    Section { title: "Numbers", functions: math::FUNCTIONS },
    Section { title: "Times", functions: times::FUNCTIONS },
    Section { title: "Lists and maps", functions: lists::FUNCTIONS },
    Section { title: "Values of any type", functions: values::FUNCTIONS },
    Section { title: "Several rows of one", functions: lists::ROWS },
    Section { title: "Groups, and windows with OVER", functions: aggregates::FUNCTIONS },
    Section { title: "Windows", functions: aggregates::WINDOWS },
    Section { title: "Refused", functions: values::REFUSED },
    Section { title: "Refused over groups", functions: aggregates::REFUSED },
    Section { title: "Refused over windows", functions: aggregates::REFUSED_WINDOWS },
];

/// Lines of scalar functions: `"names", "usage", "gives", never;` or `"when it fails";`, each with `within Limit` or without, or
/// `bounded within Limit;`.
macro_rules! scalars {
    (@fails never) => { None };
    (@fails bounded) => { Some("") };
    (@fails $when:literal) => { Some($when) };
    (@limit) => { None };
    (@limit $limit:ident) => { Some($crate::functions::limits::Limit::$limit) };
    ($($names:literal, $usage:literal, $gives:literal, $fails:tt $(within $limit:ident)?;)*) => {
        &[$($crate::functions::table::Function {
            names: $names,
            usage: $usage,
            gives: $gives,
            kind: $crate::functions::table::Kind::Scalar {
                fails: scalars!(@fails $fails),
                limit: scalars!(@limit $($limit)?),
            },
        }),*]
    };
}

/// Lines of functions of one kind: `"names", "usage", "gives";`
macro_rules! functions {
    ($kind:expr => $($names:literal, $usage:literal, $gives:literal;)*) => {
        &[$($crate::functions::table::Function { names: $names, usage: $usage, gives: $gives, kind: $kind }),*]
    };
}

/// Lines of functions that are refused: `"names", "why", "what to write instead";`
macro_rules! refused {
    ($what:literal => $($names:literal, $why:literal, $instead:literal;)*) => {
        &[$($crate::functions::table::Function {
            names: $names,
            usage: "",
            gives: "",
            kind: $crate::functions::table::Kind::Refused { what: $what, why: $why, instead: $instead },
        }),*]
    };
}

use {functions, refused, scalars};

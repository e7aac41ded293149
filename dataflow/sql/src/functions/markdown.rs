//! The table as a page for people: `docs/functions.md`.

use super::limits::Limit;
use super::table::{Function, Kind, SECTIONS, Section};

/// What stands above the tables.
const HEAD: &str = "# Functions

Every function that a query may call. DataFusion computes most of them; what they make of one row is bounded. Where a function
fails, the row is a reject of its view, with the reason. So it is where an argument is not of the type that a function takes, and
its value cannot be made one: a text that is no number, beside a list of numbers.

This page is written from the table in `dataflow/sql/src/functions/table`:
`CATCHMENT_RENEW=1 cargo test -p catchment-sql --test it functions::` writes it anew.
";

/// The page.
pub fn markdown() -> String {
    let mut text = HEAD.to_string();
    for Section { title, functions } in &SECTIONS {
        let rows: Vec<String> = functions.iter().map(row).collect();
        let head = match functions.first().map(|function| function.kind) {
            Some(Kind::Scalar { .. }) => "| function | gives | a row is a reject if |\n|---|---|---|",
            Some(Kind::Refused { .. }) => "| function | why | instead |\n|---|---|---|",
            Some(Kind::Aggregate | Kind::Window | Kind::Rows) => "| function | gives |\n|---|---|",
            None => continue,
        };
        text += &format!("\n## {title}\n\n{head}\n{}\n", rows.join("\n"));
    }
    text
}

fn row(function: &Function) -> String {
    let gives = function.gives.replace('|', "\\|");
    match function.kind {
        Kind::Scalar { fails, limit } => {
            let reasons: Vec<&str> =
                [fails.filter(|when| !when.is_empty()), limit.and_then(Limit::bound)].into_iter().flatten().collect();
            let reasons = if reasons.is_empty() { "never".to_string() } else { reasons.join(", or ") };
            format!("| {} | {gives} | {reasons} |", call(function))
        }
        Kind::Aggregate | Kind::Window | Kind::Rows => format!("| {} | {gives} |", call(function)),
        Kind::Refused { why, instead, .. } => {
            let why = if why.is_empty() { "it cannot be kept up to date" } else { why };
            format!("| {} | {why} | {instead} |", names(function))
        }
    }
}

/// `btrim(text[, characters]) → text`, and its other names.
fn call(function: &Function) -> String {
    let (arguments, result) = function.usage.split_once('→').unwrap_or((function.usage, ""));
    let result = if result.is_empty() { String::new() } else { format!(" → {}", result.trim()) };
    let call = format!("`{}({}){result}`", function.name(), arguments.trim());
    let others: Vec<String> = function.names().skip(1).map(|name| format!("`{name}`")).collect();
    if others.is_empty() { call } else { format!("{call}, also {}", others.join(", ")) }
}

fn names(function: &Function) -> String {
    function.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

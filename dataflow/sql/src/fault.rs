//! The planner's errors in our form: the view, the place in the job's text, the message, and the way out.

use catchment_contract::Error;
use catchment_contract::error::clause;
use catchment_contract::options::nearest;
use datafusion_common::{Column, DataFusionError, Diagnostic, SchemaError};

use crate::inspect::{Construct, Landmarks};
use crate::text::{Place, Text};

/// A view whose query is being planned, for messages.
pub(crate) struct Subject<'a> {
    /// The job's text.
    pub text: &'a Text,
    /// The view's name.
    pub view: &'a str,
    /// Where its statement begins.
    pub place: Place,
    /// Where the constructs of its query stand.
    pub landmarks: &'a Landmarks,
}

impl Subject<'_> {
    /// What the planner said, in our form.
    pub fn planning(&self, error: &DataFusionError) -> Error {
        let mut found = Found::default();
        found.look(error);
        if let Some((column, valid)) = found.missing {
            return self.unknown_column(column, valid, found.diagnostic);
        }
        if let Some(column) = found.ambiguous {
            let place = self.landmarks.name(&column).unwrap_or(self.place);
            let message = format!("view \"{}\": two columns are called \"{column}\"", self.view);
            let hint = "write which one is meant (relation.column), or give one of them another name with AS";
            return self.text.error(place, message, hint);
        }
        let (message, given) = readable(&found.message);
        let place = found
            .diagnostic
            .and_then(|diagnostic| diagnostic.span)
            .map(|span| self.text.place(span.start.line, span.start.column))
            .or_else(|| self.landmarks.function_in(&found.message));
        let help = found.diagnostic.and_then(|diagnostic| diagnostic.helps.first()).map(|help| clause(&help.message));
        let hint = given.or(help).unwrap_or_else(|| "check the names and types that the query uses here".to_string());
        self.text.error(place.unwrap_or(self.place), format!("view \"{}\": {message}", self.view), hint)
    }

    fn unknown_column(&self, column: &Column, valid: &[Column], diagnostic: Option<&Diagnostic>) -> Error {
        let span = column.spans().first().or_else(|| diagnostic.and_then(|diagnostic| diagnostic.span));
        let place = span.map(|span| self.text.place(span.start.line, span.start.column));
        let place = place.or_else(|| self.landmarks.name(&column.name)).unwrap_or(self.place);
        let message = format!("view \"{}\": there is no column \"{}\"", self.view, column.quoted_flat_name());
        let names: Vec<&str> = valid.iter().map(|column| column.name.as_str()).collect();
        let hint = match nearest(&column.name, names.iter().copied()) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None if names.is_empty() => "there is nothing to select from: add FROM".to_string(),
            None => format!("columns here are {}", names.join(", ")),
        };
        self.text.error(place, message.replace("\"\"", "\""), hint)
    }

    /// An expression that fails whatever the rows hold.
    pub fn never(&self, error: &DataFusionError) -> Error {
        let mut found = Found::default();
        found.look(error);
        let (message, _) = readable(&found.message);
        let place = self.landmarks.function_in(&found.message).unwrap_or(self.place);
        let hint = "this fails for every row: check the constants that the query uses here";
        self.text.error(place, format!("view \"{}\": {message}", self.view), hint)
    }

    /// A construct that cannot be kept up to date, found when the plan was lowered.
    pub fn unsupported(&self, construct: Option<Construct>, what: &str, hint: &str) -> Error {
        let place = construct.and_then(|construct| self.landmarks.construct(construct)).unwrap_or(self.place);
        self.unsupported_at(place, what, hint)
    }

    /// The same for a construct at `place`.
    pub fn unsupported_at(&self, place: Place, what: &str, hint: &str) -> Error {
        self.text.error(place, format!("view \"{}\": {what} cannot be kept up to date", self.view), hint)
    }
}

/// A message of the planner's without the noise, and its hint if it has one: ours have the form `message; hint`.
fn readable(message: &str) -> (String, Option<String>) {
    if message.contains("regex parse error") {
        // What is wrong stands below the expression, which is shown.
        let wrong = message.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it is none");
        return (format!("a regular expression does not parse: {wrong}"), None);
    }
    if let Some(name) = twice(message) {
        let hint = "write which one is meant (relation.column), or give one of them another name with AS";
        return (format!("two columns are called \"{name}\""), Some(hint.to_string()));
    }
    let message = in_sql(message.lines().next().unwrap_or_default());
    let mut line = without_internals(&message);
    while let Some((prefix, rest)) = line.split_once(": ")
        && NOISE.contains(&prefix)
    {
        line = rest;
    }
    if let Some((what, _)) = line.split_once(", errors: ") {
        let hint = "check the types of its arguments; CAST(… AS type) makes one of another";
        return (clause(what), Some(hint.to_string()));
    }
    match line.split_once("; ") {
        Some((message, hint)) => (clause(message), Some(hint.to_string())),
        None => (clause(line), None),
    }
}

/// What two columns of a SELECT list are called, where `message` is of them: it shows the first one as the planner sees it.
fn twice(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("rojections require unique expression names but the expression \"")?;
    let (column, _) = rest.split_once("\" at position ")?;
    column.rsplit(" AS ").next()?.rsplit('.').next()
}

/// `line` with types as SQL calls them, and without the names of functions that no query names.
fn in_sql(line: &str) -> String {
    const WORDS: [(&str, &str); 27] = [
        ("Timestamp(µs, \"UTC\")", "TIMESTAMP"),
        ("Timestamp(ns, \"UTC\")", "TIMESTAMP in nanoseconds"),
        ("Timestamp(ns)", "TIMESTAMP in nanoseconds"),
        ("Timestamp(µs)", "TIMESTAMP"),
        ("Interval(MonthDayNano)", "INTERVAL"),
        ("Duration(µs)", "INTERVAL"),
        ("Duration(ns)", "INTERVAL"),
        ("Time64(ns)", "TIME"),
        ("Utf8View", "TEXT"),
        ("LargeUtf8", "TEXT"),
        ("Utf8", "TEXT"),
        ("UInt64", "BIGINT UNSIGNED"),
        ("UInt32", "INTEGER UNSIGNED"),
        ("Int64", "BIGINT"),
        ("Int32", "INTEGER"),
        ("Int16", "SMALLINT"),
        ("Int8", "TINYINT"),
        ("Float64", "DOUBLE"),
        ("Float32", "REAL"),
        ("Boolean", "BOOLEAN"),
        ("Date32", "DATE"),
        ("Decimal128", "DECIMAL"),
        ("Decimal256", "DECIMAL"),
        ("failed to call 'regex_match_dyn_scalar' Compute error: ", ""),
        ("Failed to call 'regex_match_dyn_scalar' Compute error: ", ""),
        ("user-defined coercion failed with: Error during planning", "cannot be called so"),
        ("Unsupported ast node in sqltorel", "there is an expression that is not known"),
    ];
    WORDS.into_iter().fold(line.to_string(), |line, (theirs, ours)| line.replace(theirs, ours))
}

/// `line` up to where it goes on to print a structure of the planner's.
fn without_internals(line: &str) -> &str {
    let shown = |marker: &str| {
        let at = line.find(marker)?;
        // The structure's name stands before its brace.
        Some(line[..at].trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len())
    };
    let markers = [
        " { ",
        "[Field {",
        ": While expanding wildcard",
        ": Invalid argument error",
        ". No function matches the given name",
        ". This issue was",
        " to the signature ",
    ];
    let end = markers.into_iter().filter_map(|marker| match marker {
        " { " => shown(marker),
        other => line.find(other),
    });
    line[..end.min().unwrap_or(line.len())].trim_end_matches([' ', ':', ','])
}

/// What DataFusion puts before messages to say which part of it speaks.
const NOISE: [&str; 6] =
    ["Internal error", "Error during planning", "Execution error", "Arrow error", "Schema error", "type_coercion"];

/// What an error chain of DataFusion's holds.
#[derive(Default)]
struct Found<'a> {
    missing: Option<(&'a Column, &'a [Column])>,
    diagnostic: Option<&'a Diagnostic>,
    ambiguous: Option<String>,
    message: String,
}

impl<'a> Found<'a> {
    fn look(&mut self, error: &'a DataFusionError) {
        match error {
            DataFusionError::Diagnostic(diagnostic, inner) => {
                self.diagnostic.get_or_insert(diagnostic);
                self.look(inner);
            }
            DataFusionError::Context(_, inner) => self.look(inner),
            DataFusionError::Shared(inner) => self.look(inner),
            DataFusionError::Collection(errors) => errors.iter().take(1).for_each(|error| self.look(error)),
            DataFusionError::SchemaError(inner, _) => {
                match inner.as_ref() {
                    SchemaError::FieldNotFound { field, valid_fields } => {
                        self.missing.get_or_insert((field, valid_fields));
                    }
                    SchemaError::AmbiguousReference { field } => self.ambiguous = Some(field.name.clone()),
                    SchemaError::DuplicateQualifiedField { name, .. }
                    | SchemaError::DuplicateUnqualifiedField { name } => self.ambiguous = Some(name.clone()),
                }
                self.message = inner.to_string();
            }
            other => self.message = other.message().to_string(),
        }
    }
}

/// A fault of one row at run time, as a person reads it.
pub(crate) fn reason(error: &DataFusionError) -> String {
    let mut found = Found::default();
    found.look(error);
    readable(&found.message).0
}

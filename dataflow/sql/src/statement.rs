//! A job's statements: `CREATE SOURCE`, `CREATE VIEW`, `CREATE SINK`.
//!
//! The clauses around a query are read here, token by token, so that every option and name keeps its place; queries are
//! read by sqlparser in DataFusion's dialect. Unquoted names are lower-cased, quoted ones kept.
//!
//! ```text
//! CREATE SOURCE name [(column [type] [PRIMARY KEY], …, [PRIMARY KEY (column, …)])] WITH (connector = '…', option = value, …);
//! CREATE VIEW name [(column, …)] AS query;
//! CREATE SINK name FROM relation WITH (connector = '…', option = value, …);
//! ```

use catchment_contract::error::clause;
use catchment_contract::{Error, Result};
use datafusion_sql::sqlparser::ast::{DataType, Ident, Query};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::dialect::translated;
use crate::precedence::restored;
use crate::text::{Place, Text};
use crate::written::marked;

/// A name and where it stands.
#[derive(Clone, Debug)]
pub struct Name {
    /// The name, lower-cased unless it was quoted.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// One option of a `WITH` clause.
#[derive(Clone, Debug)]
pub struct OptionText {
    /// The option's name.
    pub name: Name,
    /// Its value: the inside of a string, or the token itself.
    pub value: String,
    /// Where the value stands.
    pub value_place: Place,
}

/// A declared column of a source.
#[derive(Clone, Debug)]
pub struct ColumnText {
    /// Its name.
    pub name: Name,
    /// Its type, if one was given.
    pub data_type: Option<DataType>,
}

/// What stands in the parentheses after a source's name.
#[derive(Clone, Debug, Default)]
pub struct ColumnsText {
    /// The declared columns; empty if none are.
    pub columns: Vec<ColumnText>,
    /// The columns of the primary key; empty without one.
    pub key: Vec<Name>,
}

/// What a statement makes.
#[derive(Clone, Debug)]
pub enum Body {
    /// `CREATE SOURCE`
    Source {
        /// The declared columns.
        declared: ColumnsText,
        /// The `WITH` clause.
        options: Vec<OptionText>,
    },
    /// `CREATE VIEW`
    View {
        /// Names for the query's columns; empty if it keeps its own.
        columns: Vec<Name>,
        /// The query.
        query: Box<Query>,
    },
    /// `CREATE SINK`
    Sink {
        /// The relation it takes.
        from: Name,
        /// The `WITH` clause.
        options: Vec<OptionText>,
    },
}

/// One statement of a job.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Where it begins.
    pub place: Place,
    /// What it makes is called so.
    pub name: Name,
    /// What it makes.
    pub body: Body,
}

/// How deep queries and parentheses may be nested.
const DEPTH_MAX: usize = 100;

/// How many operators may follow one another, those of enclosing parentheses included: each makes the plan one level
/// deeper, and plans are walked by recursion, here and by the planner.
const CHAIN_MAX: usize = 250;

/// The statements of `text`, in order.
///
/// # Errors
/// At the first token that does not fit, with what was expected there.
pub fn parse(text: &Text) -> Result<Vec<Statement>> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text.expanded()).tokenize_with_location().map_err(|error| {
        let place = text.place(error.location.line, error.location.column);
        text.error(place, format!("syntax error: {}", clause(&error.message)), "close the string, name or comment")
    })?;
    check_chains(text, &tokens)?;
    let parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
    let mut reader = Reader { text, parser };
    let mut statements = Vec::new();
    loop {
        while reader.parser.consume_token(&Token::SemiColon) {}
        if reader.parser.peek_token().token == Token::EOF {
            return Ok(statements);
        }
        statements.push(reader.statement()?);
        let next = reader.parser.peek_token();
        if !matches!(next.token, Token::SemiColon | Token::EOF) {
            return Err(reader.unexpected(&next, "\";\" or the end of the file", "end each statement with \";\""));
        }
    }
}

/// Refuses chains of more than [`CHAIN_MAX`] operators, joins and unions.
fn check_chains(text: &Text, tokens: &[TokenWithSpan]) -> Result<()> {
    // For each open parenthesis: operators since the last comma, and joins and unions.
    let mut levels = vec![[0, 0]];
    for token in tokens {
        let last = levels.len() - 1;
        match &token.token {
            Token::SemiColon => levels = vec![[0, 0]],
            Token::Comma => levels[last][0] = 0,
            Token::LParen => levels.push([0, 0]),
            Token::RParen if last > 0 => drop(levels.pop()),
            Token::Word(word) => match word.keyword {
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::CASE => levels[last][0] += 1,
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN => levels[last][1] += 1,
                _ => {}
            },
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Period | Token::Whitespace(_) => {}
            Token::RParen | Token::EOF => {}
            _ => levels[last][0] += 1,
        }
        // Deeper parentheses than these are refused by the parser.
        let total: usize = levels.iter().take(2 * DEPTH_MAX).flatten().sum();
        if total > CHAIN_MAX {
            let place = text.place(token.span.start.line, token.span.start.column);
            let message = format!("the query chains more than {CHAIN_MAX} operators, joins or unions");
            return Err(text.error(place, message, "write IN (…) for many values, or split it into several views"));
        }
    }
    Ok(())
}

struct Reader<'a> {
    text: &'a Text,
    parser: Parser<'a>,
}

const STATEMENTS: &str = "a job holds CREATE SOURCE, CREATE VIEW and CREATE SINK statements";

impl Reader<'_> {
    fn statement(&mut self) -> Result<Statement> {
        let first = self.parser.next_token();
        let place = self.place(&first);
        if !is_word(&first, "CREATE") {
            return Err(self.unexpected(&first, "CREATE", STATEMENTS));
        }
        let kind = self.parser.next_token();
        let word = kind.token.to_string().to_ascii_uppercase();
        let (name, body) = match word.as_str() {
            "SOURCE" => {
                let name = self.name("a name for the source")?;
                let declared = self.columns()?;
                (name, Body::Source { declared, options: self.options()? })
            }
            "VIEW" => self.view()?,
            "SINK" => {
                let name = self.name("a name for the sink")?;
                self.keyword("FROM", "CREATE SINK name FROM relation WITH (…)")?;
                let from = self.name("the relation that the sink takes")?;
                (name, Body::Sink { from, options: self.options()? })
            }
            _ => return Err(self.no_statement(&kind, &word)),
        };
        Ok(Statement { place, name, body })
    }

    fn no_statement(&self, kind: &TokenWithSpan, word: &str) -> Error {
        let hint = match word {
            "TABLE" | "EXTERNAL" => "write CREATE SOURCE for what comes in and CREATE SINK … FROM for what goes out",
            "MATERIALIZED" => "write CREATE VIEW: every view that a sink reads is kept up to date",
            "OR" | "TEMPORARY" | "TEMP" => {
                "write CREATE SOURCE, CREATE VIEW or CREATE SINK: a job is read anew each time"
            }
            _ => STATEMENTS,
        };
        match catchment_contract::options::nearest(word, ["SOURCE", "VIEW", "SINK"]) {
            Some(known) => self.unexpected(kind, "SOURCE, VIEW or SINK", &format!("did you mean CREATE {known}?")),
            None => self.unexpected(kind, "SOURCE, VIEW or SINK", hint),
        }
    }

    fn view(&mut self) -> Result<(Name, Body)> {
        let name = self.name("a name for the view")?;
        let mut columns = Vec::new();
        if self.parser.consume_token(&Token::LParen) {
            loop {
                columns.push(self.name("a column's name")?);
                if self.list_ends("CREATE VIEW name (column, …) AS query")? {
                    break;
                }
            }
        }
        self.keyword("AS", "CREATE VIEW name AS query")?;
        let query = self.parser.parse_query().map_err(|error| self.syntax(error))?;
        Ok((name, Body::View { columns, query: translated(marked(restored(query))) }))
    }

    /// The declared columns of a source, if there are any, and its primary key.
    fn columns(&mut self) -> Result<ColumnsText> {
        const FORM: &str = "CREATE SOURCE name (column type, …, PRIMARY KEY (column, …)) WITH (…)";
        let mut declared = ColumnsText::default();
        if !self.parser.consume_token(&Token::LParen) {
            return Ok(declared);
        }
        loop {
            let name = self.name("a column's name")?;
            if name.text == "primary" && self.parser.parse_keyword(Keyword::KEY) {
                self.one_key(&declared, name.place)?;
                declared.key = self.key(FORM)?;
            } else {
                self.column(name, &mut declared)?;
            }
            if self.list_ends(FORM)? {
                return Ok(declared);
            }
        }
    }

    /// What follows a column's name: a type, and whether the column is the key.
    fn column(&mut self, name: Name, declared: &mut ColumnsText) -> Result<()> {
        if declared.columns.iter().any(|column| column.name.text == name.text) {
            let message = format!("there are two columns \"{}\"", name.text);
            return Err(self.text.error(name.place, message, "give one of them another name"));
        }
        let untyped = matches!(self.parser.peek_token().token, Token::Comma | Token::RParen);
        let data_type = match untyped {
            true => None,
            false => Some(self.parser.parse_data_type().map_err(|error| self.syntax(error))?),
        };
        if self.parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
            self.one_key(declared, name.place)?;
            declared.key = vec![name.clone()];
        }
        declared.columns.push(ColumnText { name, data_type });
        Ok(())
    }

    fn one_key(&self, declared: &ColumnsText, place: Place) -> Result<()> {
        if declared.key.is_empty() {
            return Ok(());
        }
        Err(self.text.error(place, "there are two primary keys", "write one: PRIMARY KEY (column, …)"))
    }

    /// `(column, …)` after `PRIMARY KEY`.
    fn key(&mut self, form: &str) -> Result<Vec<Name>> {
        let open = self.parser.next_token();
        if open.token != Token::LParen {
            return Err(self.unexpected(&open, "\"(\"", form));
        }
        let mut key = Vec::new();
        loop {
            key.push(self.name("a column's name")?);
            if self.list_ends(form)? {
                return Ok(key);
            }
        }
    }

    /// `WITH (name = value, …)`
    fn options(&mut self) -> Result<Vec<OptionText>> {
        const FORM: &str = "write WITH (connector = '…', option = 'value', …)";
        self.keyword("WITH", FORM)?;
        let open = self.parser.next_token();
        if open.token != Token::LParen {
            return Err(self.unexpected(&open, "\"(\"", FORM));
        }
        let mut options: Vec<OptionText> = Vec::new();
        loop {
            let name = self.name("an option's name")?;
            let equals = self.parser.next_token();
            if equals.token != Token::Eq {
                return Err(self.unexpected(&equals, "\"=\"", FORM));
            }
            let token = self.parser.next_token();
            let value = match &token.token {
                Token::SingleQuotedString(text) => text.clone(),
                Token::Number(text, _) => text.clone(),
                Token::Word(word) if word.quote_style.is_none() => word.value.clone(),
                _ => return Err(self.unexpected(&token, "a value", "put the value in single quotes")),
            };
            if options.iter().any(|option| option.name.text == name.text) {
                let message = format!("option \"{}\" is given twice", name.text);
                return Err(self.text.error(name.place, message, "keep one of them"));
            }
            options.push(OptionText { name, value, value_place: self.place(&token) });
            if self.list_ends(FORM)? {
                return Ok(options);
            }
        }
    }

    /// Reads `,` (false) or `)` (true). A comma before the closing parenthesis is allowed.
    fn list_ends(&mut self, form: &str) -> Result<bool> {
        let token = self.parser.next_token();
        match token.token {
            Token::Comma => Ok(self.parser.consume_token(&Token::RParen)),
            Token::RParen => Ok(true),
            _ => Err(self.unexpected(&token, "\",\" or \")\"", form)),
        }
    }

    fn name(&mut self, what: &str) -> Result<Name> {
        let token = self.parser.next_token();
        match &token.token {
            Token::Word(word) => {
                let ident = Ident { value: word.value.clone(), quote_style: word.quote_style, span: token.span };
                Ok(Name { text: plain(&ident), place: self.place(&token) })
            }
            _ => Err(self.unexpected(&token, what, "names are words, or anything in double quotes")),
        }
    }

    fn keyword(&mut self, word: &str, form: &str) -> Result<()> {
        let token = self.parser.next_token();
        if is_word(&token, word) { Ok(()) } else { Err(self.unexpected(&token, word, form)) }
    }

    fn place(&self, token: &TokenWithSpan) -> Place {
        self.text.place(token.span.start.line, token.span.start.column)
    }

    fn unexpected(&self, token: &TokenWithSpan, expected: &str, hint: &str) -> Error {
        let found = match &token.token {
            Token::EOF => "the end of the file".to_string(),
            token => format!("\"{token}\""),
        };
        let place = match token.token {
            Token::EOF => self.text.end(),
            _ => self.place(token),
        };
        self.text.error(place, format!("syntax error: expected {expected}, found {found}"), hint)
    }

    /// A syntax error inside a query, which sqlparser reports as text with its place at the end.
    fn syntax(&self, error: ParserError) -> Error {
        let (ParserError::ParserError(message) | ParserError::TokenizerError(message)) = error else {
            let message = format!("syntax error: the query is nested more than {DEPTH_MAX} deep");
            return self.text.error(
                self.place(self.parser.get_current_token()),
                message,
                "split it into several views",
            );
        };
        let (message, location) = split_location(&message);
        let place = match location {
            Some(location) if location.line > 0 => self.text.place(location.line, location.column),
            _ => self.text.end(),
        };
        let message = message.replace("found: EOF", "found: the end of the file");
        let hint =
            "check the words before this place: a comma, a parenthesis or a keyword may be missing or one too many";
        self.text.error(place, format!("syntax error: {}", clause(&message)), hint)
    }
}

/// A name as SQL compares it.
pub(crate) fn plain(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Takes sqlparser's ` at Line: 1, Column: 2` off a message.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let parse = || {
        let (text, rest) = message.rsplit_once(" at Line: ")?;
        let (line, column) = rest.split_once(", Column: ")?;
        let end = column.find(|c: char| !c.is_ascii_digit()).unwrap_or(column.len());
        Some((text, Location { line: line.parse().ok()?, column: column[..end].parse().ok()? }))
    };
    match parse() {
        Some((text, location)) => (text, Some(location)),
        None => (message, None),
    }
}

fn is_word(token: &TokenWithSpan, expected: &str) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Statement>> {
        let text = Text::expand(text, &|_| None)?;
        parse(&text)
    }

    fn refused(text: &str, starts: &str) {
        let error = parsed(text).expect_err(text).chain();
        assert!(error.starts_with(starts), "{error}");
    }

    #[test]
    fn statements_keep_names_options_and_places() {
        let statements = parsed(
            "-- a job\nCREATE SOURCE Comments WITH (connector = 'reddit', n = 3, flag = true,);\n\
             CREATE VIEW v (A, \"B\") AS SELECT 1, 2;;\n create sink s from v with (connector = 'lake')",
        )
        .expect("a job");
        assert_eq!(statements.len(), 3);
        assert_eq!(statements[0].name.text, "comments");
        assert_eq!(statements[0].place, Place { line: 2, column: 1 });
        let Body::Source { options, .. } = &statements[0].body else { panic!("a source") };
        let values: Vec<&str> = options.iter().map(|option| option.value.as_str()).collect();
        assert_eq!(values, ["reddit", "3", "true"]);
        assert_eq!(options[1].value_place, Place { line: 2, column: 56 });
        let Body::View { columns, .. } = &statements[1].body else { panic!("a view") };
        assert_eq!(columns.iter().map(|name| name.text.as_str()).collect::<Vec<_>>(), ["a", "B"]);
        assert_eq!(statements[2].place, Place { line: 4, column: 2 });
    }

    #[test]
    fn syntax_errors_say_what_was_expected_and_where() {
        refused("SELECT 1", "line 1, column 1: syntax error: expected CREATE, found \"SELECT\"; a job holds");
        refused(
            "CREATE SORCE x",
            "line 1, column 8: syntax error: expected SOURCE, VIEW or SINK, found \"SORCE\"; did you",
        );
        refused(
            "CREATE TABLE x (a int)",
            "line 1, column 8: syntax error: expected SOURCE, VIEW or SINK, found \"TABLE\"",
        );
        refused("CREATE SOURCE x", "line 1, column 16: syntax error: expected WITH, found the end of the file");
        refused("CREATE SOURCE x WITH (a 'b')", "line 1, column 25: syntax error: expected \"=\"");
        refused("CREATE SOURCE x WITH (a = 'b' c = 'd')", "line 1, column 31: syntax error: expected \",\" or \")\"");
        refused("CREATE SOURCE x WITH (a = 'b', a = 'd')", "line 1, column 32: option \"a\" is given twice");
        refused("CREATE VIEW v AS SELECT a FRM t", "line 1, column 31: syntax error: expected \";\"");
        refused("CREATE VIEW v AS\nSELECT a, FROM t WHERE", "line 2, column 23: syntax error: expected: an expression");
        refused("CREATE VIEW v AS SELECT 'abc", "line 1, column 25: syntax error: unterminated string literal");
        refused("CREATE SINK s FROM WITH (a = 'b')", "line 1, column 25: syntax error: expected WITH, found \"(\"");
    }
}

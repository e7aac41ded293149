//! A job's text: variables filled in, and places that always refer to the text as it was written.
//!
//! `${NAME}` and `${NAME:-default}` stand for values from outside, in strings and elsewhere, but not in comments. A value
//! that lands inside a quoted string or name is taken literally: its quotes are doubled. Values are not scanned for
//! variables again. `$${` writes `${`.
//!
//! The text with its variables filled in is what is parsed, so every place that a parser reports is mapped back through
//! [`Text::place`]. Lines and columns count from 1, columns in characters.

use catchment_contract::Error;
pub use catchment_contract::Place;

/// A job's text before and after its variables were filled in.
#[derive(Debug)]
pub struct Text {
    original: Vec<char>,
    expanded: String,
    /// For each character of `expanded`, the character of `original` that it came from; one more for the end.
    origins: Vec<u32>,
    /// The index in `origins` at which each line of `expanded` starts.
    line_starts: Vec<usize>,
}

/// Where the scanner is: variables are filled in everywhere but in comments.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Code,
    Quoted(char),
    LineComment,
    BlockComment(u32),
}

impl Text {
    /// Fills in the variables of `text`.
    ///
    /// # Errors
    /// A variable without a value and without a default, or one that does not end.
    pub fn expand(text: &str, variables: &dyn Fn(&str) -> Option<String>) -> Result<Text, Error> {
        let original: Vec<char> = text.strip_prefix('\u{feff}').unwrap_or(text).chars().collect();
        let mut filling = Text { original, expanded: String::new(), origins: Vec::new(), line_starts: vec![0] };
        let mut inside = Inside::Code;
        let mut at = 0;
        while at < filling.original.len() {
            let rest = &filling.original[at..];
            let in_comment = matches!(inside, Inside::LineComment | Inside::BlockComment(_));
            if !in_comment && rest.starts_with(&['$', '$', '{']) {
                filling.push('$', at);
                filling.push('{', at + 2);
                at += 3;
            } else if !in_comment && rest.starts_with(&['$', '{']) {
                at = filling.fill(at, inside, variables)?;
            } else {
                let (next, taken) = step(inside, rest);
                for offset in 0..taken {
                    filling.push(filling.original[at + offset], at + offset);
                }
                inside = next;
                at += taken;
            }
        }
        let end = filling.original.len() as u32;
        filling.origins.push(end);
        Ok(filling)
    }

    fn push(&mut self, character: char, origin: usize) {
        self.expanded.push(character);
        self.origins.push(origin as u32);
        if character == '\n' {
            self.line_starts.push(self.origins.len());
        }
    }

    /// Fills in the variable at `at`; returns the index behind it.
    fn fill(&mut self, at: usize, inside: Inside, variables: &dyn Fn(&str) -> Option<String>) -> Result<usize, Error> {
        let place = self.original_place(at);
        let Some(length) = self.original[at..].iter().position(|c| *c == '}') else {
            return Err(self.error(place, "a variable \"${\" has no end", "write ${NAME} or ${NAME:-default}"));
        };
        let inner: String = self.original[at + 2..at + length].iter().collect();
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_string())),
            None => (inner.as_str(), None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            let message = format!("\"${{{inner}}}\" does not name a variable");
            let hint = "write ${NAME} or ${NAME:-default}; a name has letters, digits and underscores";
            return Err(self.error(place, message, hint));
        }
        let Some(value) = variables(name).or(default) else {
            let message = format!("the variable \"{name}\" has no value");
            let hint = format!("give --set {name}=VALUE, set it in the environment, or write ${{{name}:-default}}");
            return Err(self.error(place, message, hint));
        };
        for character in value.chars() {
            self.push(character, at);
            if inside == Inside::Quoted(character) {
                self.push(character, at);
            }
        }
        Ok(at + length + 1)
    }

    /// The text with its variables filled in.
    pub fn expanded(&self) -> &str {
        &self.expanded
    }

    /// The place in the original text of a line and column (both from 1) of the expanded text. Line 0, which parsers use
    /// for "nowhere", is the text's beginning; a line behind the end is the text's end.
    pub fn place(&self, line: u64, column: u64) -> Place {
        if line == 0 {
            return Place { line: 1, column: 1 };
        }
        let last = self.origins.len() - 1;
        let start = self.line_starts.get(line as usize - 1).copied().unwrap_or(last);
        let index = (start + column.saturating_sub(1) as usize).min(last);
        self.original_place(self.origins[index] as usize)
    }

    /// The place behind the last character that is not white space.
    pub fn end(&self) -> Place {
        let blank = self.original.iter().rev().take_while(|c| c.is_whitespace()).count();
        self.original_place(self.original.len() - blank)
    }

    fn original_place(&self, index: usize) -> Place {
        let before = &self.original[..index.min(self.original.len())];
        let line = before.iter().filter(|c| **c == '\n').count() as u64 + 1;
        let column = before.iter().rev().take_while(|c| **c != '\n').count() as u64 + 1;
        Place { line, column }
    }

    /// An error at `place`: `line 3, column 9: <message>`, and `hint` with the line below it and a caret.
    pub fn error(&self, place: Place, message: impl AsRef<str>, hint: impl AsRef<str>) -> Error {
        Error::user(message.as_ref()).at(place).with_hint(hint.as_ref()).with_excerpt(self.excerpt(place))
    }

    /// An error of a connector or sink, which speaks of options, put at `place` unless it names its place already.
    pub fn locate(&self, error: Error, place: Place) -> Error {
        let place = error.place().unwrap_or(place);
        let error = if error.hint().is_some() { error } else { error.with_hint("see the connector's options") };
        error.at(place).with_excerpt(self.excerpt(place))
    }

    /// The line at `place` with its number, and a caret under the column. Long lines are cut around the column.
    fn excerpt(&self, place: Place) -> String {
        const WIDTH: usize = 100;
        let line: Vec<char> =
            self.original.split(|c| *c == '\n').nth(place.line as usize - 1).unwrap_or_default().to_vec();
        let column = (place.column as usize - 1).min(line.len());
        let from = column.saturating_sub(WIDTH * 3 / 4);
        let shown: String = line.iter().skip(from).take(WIDTH).collect();
        let indent: String = line[from..column].iter().map(|c| if *c == '\t' { '\t' } else { ' ' }).collect();
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        format!(" {number} | {}\n {margin} | {indent}^", shown.trim_end())
    }
}

/// What the scanner is inside after the next characters, and how many those are.
fn step(inside: Inside, rest: &[char]) -> (Inside, usize) {
    let pair = |a, b| rest.starts_with(&[a, b]);
    match (inside, rest[0]) {
        (Inside::Code, '-') if pair('-', '-') => (Inside::LineComment, 2),
        (Inside::Code, '/') if pair('/', '*') => (Inside::BlockComment(1), 2),
        (Inside::Code, quote @ ('\'' | '"')) => (Inside::Quoted(quote), 1),
        (Inside::LineComment, '\n') => (Inside::Code, 1),
        (Inside::BlockComment(depth), '/') if pair('/', '*') => (Inside::BlockComment(depth + 1), 2),
        (Inside::BlockComment(1), '*') if pair('*', '/') => (Inside::Code, 2),
        (Inside::BlockComment(depth), '*') if pair('*', '/') => (Inside::BlockComment(depth - 1), 2),
        // A doubled quote closes and opens again, which comes to the same.
        (Inside::Quoted(quote), character) if character == quote => (Inside::Code, 1),
        (inside, _) => (inside, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<Text, Error> {
        Text::expand(text, &|name| match name {
            "dir" => Some("/data/it's".into()),
            "two" => Some("1\n2".into()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_filled_in_but_not_in_comments() {
        let check = |text: &str, expect: &str| assert_eq!(expand(text).expect(text).expanded(), expect);
        check("a '${dir}/x' b", "a '/data/it''s/x' b");
        check("${dir}", "/data/it's");
        check("\"${dir}\"", "\"/data/it's\"");
        check("-- ${nothing}\n${x:-y z}", "-- ${nothing}\ny z");
        check("/* ${a} /* ${b} */ ${c} */ ${x:-}|", "/* ${a} /* ${b} */ ${c} */ |");
        check("'--' ${x:-1} '$${x}'", "'--' 1 '${x}'");
        check("'it''s ${x:-1}'", "'it''s 1'");
    }

    #[test]
    fn places_refer_to_the_original_text() {
        let text = expand("é ${two} x\n'${dir}' y").expect("both are set");
        assert_eq!(text.expanded(), "é 1\n2 x\n'/data/it''s' y");
        assert_eq!(text.place(1, 1), Place { line: 1, column: 1 });
        assert_eq!(text.place(2, 3), Place { line: 1, column: 10 });
        assert_eq!(text.place(3, 15), Place { line: 2, column: 10 });
        assert_eq!(text.place(9, 9), Place { line: 2, column: 11 });
    }

    #[test]
    fn a_variable_without_a_value_is_an_error_with_its_place() {
        let error = expand("a\n  '${redit}'").expect_err("not set").chain();
        assert_eq!(
            error,
            "line 2, column 4: the variable \"redit\" has no value; give --set redit=VALUE, set it in the environment, or \
             write ${redit:-default}\n 2 |   '${redit}'\n   |    ^"
        );
        assert!(
            expand("${a b}").expect_err("no name").chain().starts_with("line 1, column 1: \"${a b}\" does not name")
        );
        assert!(expand("x ${a").expect_err("no end").chain().starts_with("line 1, column 3: a variable"));
    }
}

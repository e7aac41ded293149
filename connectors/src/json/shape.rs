//! How a file of JSON is to be cut, and whether it is one, told by its beginning.

use crate::files::{Alien, SNIFF_BYTES, begins_json};

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A JSON value a line.
    Lines,
    /// JSON values wherever they begin and end: over several lines, with nothing between them, in an array around them.
    Values,
    /// Text of another format.
    Alien(Alien),
}

const HTML: Alien =
    Alien { what: "an HTML page", hint: "it may be an error page that was saved; fetch the data again" };
const XML: Alien = Alien { what: "XML", hint: "fetch the data as JSON" };
const CSV: Alien = Alien {
    what: "CSV (a table as text)",
    hint: "convert it, as DuckDB does with COPY (FROM 'x.csv') TO 'x.ndjson' (FORMAT json)",
};
const TSV: Alien = Alien {
    what: "TSV (a table as text)",
    hint: "convert it, as DuckDB does with COPY (FROM read_csv('x.tsv')) TO 'x.ndjson' (FORMAT json)",
};
const SQL: Alien = Alien { what: "a dump of SQL", hint: "load it into its database and export JSON lines" };
const VTT: Alien = Alien { what: "a file of captions", hint: "read them with the connector 'youtube'" };
const TEXT: Alien = Alien { what: "text without a line of JSON", hint: "move it out of the source's path" };

impl Shape {
    /// The shape of a file that begins with `head`, of up to [`SNIFF_BYTES`].
    ///
    /// A value that ends within its line is one of lines, unless another one follows on the line. What is no JSON costs a
    /// line alone: a damaged first line does not turn lines into something else.
    pub(crate) fn of(head: &[u8]) -> Self {
        let text = skip_blank(head);
        match text.first() {
            Some(b'{' | b'[') => {}
            // Strings that hold JSON.
            Some(b'"') if text.starts_with(b"\"{\\\"") => return Shape::Lines,
            _ => return other_text(text).map_or(Shape::Lines, Shape::Alien),
        }
        if text[0] == b'[' && !begins_json(line(text)) {
            return other_text(text).map_or(Shape::Lines, Shape::Alien);
        }
        match First::of(text) {
            First::Ended { at, spans } => match skip_blanks_of_line(&text[at..]).first() {
                _ if spans => Shape::Values,
                Some(b'{' | b'[') => Shape::Values,
                _ => Shape::Lines,
            },
            First::Unfinished { spans } if spans || head.len() >= SNIFF_BYTES => Shape::Values,
            // An array is none of lines when its first record ends a line and goes wrong later.
            First::Broken if text[0] == b'[' => Shape::Values,
            First::Unfinished { .. } | First::Broken => Shape::Lines,
        }
    }
}

/// What is seen of the first value.
enum First {
    Ended {
        at: usize,
        /// Over a newline.
        spans: bool,
    },
    Unfinished {
        spans: bool,
    },
    /// It is no JSON.
    Broken,
}

impl First {
    fn of(text: &[u8]) -> Self {
        let (mut depth, mut in_text, mut escaped, mut spans, mut last) = (0_usize, false, false, false, b':');
        for (at, byte) in text.iter().enumerate() {
            if in_text {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_text = false,
                    b'\n' if matches!(text.get(at + 1), Some(b'{')) => return First::Broken,
                    b'\n' => spans = true,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' if depth > 0 && !matches!(last, b':' | b',' | b'[') => return First::Broken,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return First::Ended { at: at + 1, spans };
                    }
                }
                b'"' => in_text = true,
                b'\n' => spans = true,
                _ => {}
            }
            if !byte.is_ascii_whitespace() && *byte != 0 {
                last = *byte;
            }
        }
        First::Unfinished { spans }
    }
}

/// `text` without what may stand before the first value.
fn skip_blank(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x1e | b',' | 0xef | 0xbb | 0xbf);
    &text[text.iter().position(|byte| !blank(byte)).unwrap_or(text.len())..]
}

/// `text` without what may stand between values of one line.
fn skip_blanks_of_line(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | 0 | b',' | 0x1e);
    &text[text.iter().position(|byte| !blank(byte)).unwrap_or(text.len())..]
}

fn line(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(b'\n', text).unwrap_or(text.len())]
}

/// What text is that does not begin as JSON does; `None` for nothing at all, and if a later line begins so.
fn other_text(text: &[u8]) -> Option<Alien> {
    if text.is_empty() {
        return None;
    }
    let starts = |with: &str| text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()));
    let any = |all: &[&str]| all.iter().any(|with| starts(with));
    if any(&["<!doctype html", "<html", "<head", "<body", "<!--", "<script"]) {
        return Some(HTML);
    }
    if text[0] == b'<' {
        return Some(XML);
    }
    if starts("WEBVTT") {
        return Some(VTT);
    }
    let table = delimiter(line(text));
    // Cells may hold JSON of their own; a line of a log may look like names.
    let second = text.get(line(text).len() + 1..).map(line).unwrap_or_default();
    if begins_json(if table.is_some() { second } else { text }) {
        return None;
    }
    let sql =
        ["insert into", "create table", "-- mysql", "-- postgres", "--\n-- postgres", "begin transaction", "pragma "];
    if any(&sql) {
        return Some(SQL);
    }
    match table {
        Some(b'\t') => Some(TSV),
        Some(_) => Some(CSV),
        // One line that is no JSON may be the beginning of something.
        None => text.trim_ascii().contains(&b'\n').then_some(TEXT),
    }
}

/// What parts the names in a table's first line; `None` if it is none.
fn delimiter(header: &[u8]) -> Option<u8> {
    let header = header.trim_ascii();
    let name = |part: &[u8]| {
        let part = part.trim_ascii();
        let letter = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ' | b'-' | b'.' | b'"' | b'\'' | b'#' | b':')
        };
        part.len() <= 64 && part.iter().all(letter) && part.iter().filter(|byte| **byte == b' ').count() <= 3
    };
    let parted = |delimiter: &u8| {
        let mut parts = header.split(|byte| byte == delimiter);
        header.contains(delimiter) && parts.all(name)
    };
    [b'\t', b',', b';', b'|'].into_iter().find(parted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_tells_lines_from_values() {
        let check = |head: &str, expect: Shape| assert_eq!(Shape::of(head.as_bytes()), expect, "{head:?}");
        check("", Shape::Lines);
        check("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", Shape::Lines);
        check("\n\n{\"id\":\"a\"}\n", Shape::Lines);
        check("\0\0\0{\"id\":\"a\"}\n", Shape::Lines);
        check("{\"id\":\"a\"}", Shape::Lines);
        check("[{\"id\":\"a\"}]\n", Shape::Lines);
        check("{\"id\":\"a\"},\n{\"id\":\"b\"},\n", Shape::Lines);
        check("{\"id\":\"a\",\"body\":\"a line longer than what is looked at", Shape::Lines);
        check("{\"id\":\"a\",\"bo\n{\"id\":\"b\"}\n", Shape::Lines);
        check("{\"id\":\"a\"\n{\"id\":\"b\"}\n", Shape::Lines);
        check("Fetching, please wait\n{\"id\":\"b\"}\n", Shape::Lines);
        check("\"{\\\"id\\\":1}\"\n\"{\\\"id\\\":2}\"\n", Shape::Lines);
        check("rubbish\n{\"id\":\"b\"}\n", Shape::Lines);
        check("rubbish\n", Shape::Lines);
        check("{\n  \"kind\": \"Listing\"\n}", Shape::Values);
        check("[\n{\"id\":\"a\"},\n{\"id\":\"b\"}\n]", Shape::Values);
        check("[{\"id\":\"a\"},\n{\"id\":\"b\"}\n]", Shape::Values);
        check("{\"id\":\"a\"}{\"id\":\"b\"}\n", Shape::Values);
        check("{\"id\":\"a\"}, {\"id\":\"b\"}\n", Shape::Values);
        check("{\"id\":\"a\"}\r{\"id\":\"b\"}\r", Shape::Values);
        check(&("[{\"id\":\"".to_owned() + &"a".repeat(SNIFF_BYTES)), Shape::Values);
        check("{\n  \"kind\": \"Listing\",\n \"data\": {", Shape::Values);
        check("\u{feff}\u{1e}{\"id\":\n\"a\"}\n", Shape::Values);
        check("[{\"id\": NaN,\n\"x\":1}]", Shape::Values);
        check("[{\"id\":1},\n{\"id\":2\n{\"id\":3}]", Shape::Values);
    }

    #[test]
    fn other_text_is_named() {
        let check =
            |head: &str, expect: Alien| assert_eq!(Shape::of(head.as_bytes()), Shape::Alien(expect), "{head:?}");
        check("<!DOCTYPE html>\n<p>", HTML);
        check("  <html>", HTML);
        check("<?xml version=\"1.0\"?>\n<feed/>", XML);
        check("id,author,body\n1,a,\"{x}\"\n", CSV);
        check("id,body\n1,\"said:\n{\"\"a\"\":1}\n[{}]\n\"\n", CSV);
        check("\"id\",\"author\"\n\"1\",\"a\"\n", CSV);
        check("id;author\n1;a\n", CSV);
        check("id\tauthor\n1\ta\n", TSV);
        check("INSERT INTO comments VALUES (1);\n", SQL);
        check("WEBVTT\n\n", VTT);
        check("[Music]\nla la\n", TEXT);
        check("2024-01-01 12:00 INFO started\n2024-01-01 12:01 INFO stopped\n", TEXT);
        check("# Comments\n\nThese are the comments.\n", TEXT);
    }
}

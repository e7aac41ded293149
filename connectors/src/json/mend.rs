//! JSON that is nearly JSON, made strict: what tools write that do not keep to the standard.
//!
//! - `NaN`, `Infinity`, `-Infinity`, `undefined`, `None` become null, `True` and `False` true and false;
//! - commas at the end, before the first value and in a row are dropped;
//! - several values on one line, with commas or nothing between them, become an array of them;
//! - NULs, byte order marks and record separators between values are dropped; control characters in strings are escaped;
//! - strings in single quotes (Python's `repr`) get double ones.
//!
//! Nothing is guessed: a value that ends in the middle, an unknown word or a bracket too many stays an error, and so does
//! what is nested more than [`DEPTH_MAX`] deep.
//!
//! Cost: only paid for text that the parser has refused, once or twice its length.

use serde::de::IgnoredAny;
use sonic_rs::from_str;

use super::DEPTH_MAX;

/// `text` as strict JSON, if it can be made so.
pub(crate) fn mend(text: &str) -> Option<String> {
    let mut mender = Mender { rest: text, out: String::with_capacity(text.len() + 16), open: Vec::new(), comma: false };
    let values = mender.values()?;
    let mended = if values > 1 { format!("[{}]", mender.out) } else { mender.out };
    from_str::<IgnoredAny>(&mended).is_ok().then_some(mended)
}

struct Mender<'a> {
    rest: &'a str,
    out: String,
    /// Closing brackets that are due.
    open: Vec<char>,
    /// A value has ended, so that another one needs a comma before it.
    comma: bool,
}

impl Mender<'_> {
    /// All values; how many stand on the outermost level.
    fn values(&mut self) -> Option<usize> {
        let mut values = 0;
        while let Some(first) = self.rest.chars().next() {
            let outermost = self.open.is_empty();
            match first {
                '\0' | '\u{feff}' | '\u{1e}' | ',' => self.skip(first),
                _ if first.is_whitespace() => self.skip(first),
                ':' => {
                    self.skip(first);
                    self.out.push(':');
                    self.comma = false;
                }
                '}' | ']' => {
                    if self.open.pop()? != first {
                        return None;
                    }
                    self.skip(first);
                    self.out.push(first);
                    self.comma = true;
                }
                _ => {
                    values += usize::from(outermost);
                    self.value(first)?;
                }
            }
        }
        (self.open.is_empty() && values > 0).then_some(values)
    }

    fn skip(&mut self, character: char) {
        self.rest = &self.rest[character.len_utf8()..];
    }

    fn value(&mut self, first: char) -> Option<()> {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
        match first {
            '{' | '[' => {
                self.skip(first);
                self.out.push(first);
                self.open.push(if first == '{' { '}' } else { ']' });
                self.comma = false;
                (self.open.len() <= DEPTH_MAX).then_some(())
            }
            '"' | '\'' => self.string(first),
            _ => self.word(),
        }
    }

    fn string(&mut self, quote: char) -> Option<()> {
        self.out.push('"');
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next()?.1 {
                    '\'' => self.out.push('\''),
                    'x' => self.out.push_str("\\u00"),
                    escaped => self.out.extend(['\\', escaped]),
                },
                '"' if quote == '\'' => self.out.push_str("\\\""),
                _ if character == quote => {
                    self.out.push('"');
                    self.rest = &self.rest[at + 1..];
                    return Some(());
                }
                '\0'..='\u{1f}' => self.out.push_str(&format!("\\u{:04x}", u32::from(character))),
                _ => self.out.push(character),
            }
        }
        None
    }

    fn word(&mut self) -> Option<()> {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let strict = match word {
            "true" | "True" => "true",
            "false" | "False" => "false",
            "null" | "None" | "undefined" | "NaN" | "nan" | "-NaN" | "-nan" => "null",
            "Infinity" | "-Infinity" | "+Infinity" | "inf" | "-inf" => "null",
            _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => word,
            _ => return None,
        };
        self.out.push_str(strict);
        self.rest = rest;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_json_becomes_json() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(mend(text).as_deref(), expect, "{text:?}");
        check("{\"a\":NaN,\"b\":[-Infinity,Infinity]}", Some("{\"a\":null,\"b\":[null,null]}"));
        check("{\"a\":1},", Some("{\"a\":1}"));
        check("[{\"a\":1,},]", Some("[{\"a\":1}]"));
        check(",{\"a\":[1,,2]}", Some("{\"a\":[1,2]}"));
        check("{\"a\":1}{\"a\":2}", Some("[{\"a\":1},{\"a\":2}]"));
        check("{\"a\":1}, {\"a\":2},", Some("[{\"a\":1},{\"a\":2}]"));
        check("\0\0{\"a\":\0 1}\0", Some("{\"a\":1}"));
        check("\u{feff}{\"a\":\"x\ty\"}", Some("{\"a\":\"x\\u0009y\"}"));
        check(
            "{'a': \"it's\", 'b': 'say \"x\"', 'c': None, 'd': True}",
            Some("{\"a\":\"it's\",\"b\":\"say \\\"x\\\"\",\"c\":null,\"d\":true}"),
        );
        check("{\"a\":\"don\\'t \\x41\"}", Some("{\"a\":\"don't \\u0041\"}"));
        for wrong in [
            "{\"a\":1",
            "{\"a\":1]",
            "]",
            "rubbish",
            "{\"a\":1} x",
            "",
            "\0\0",
            "{\"a\" 1}",
            "{\"a\":\"x",
            "{\"a\":rubbish}",
            "{\"a\":\"x\\",
        ] {
            check(wrong, None);
        }
        let nested = |levels: usize| "[".repeat(levels) + "NaN" + &"]".repeat(levels);
        assert!(mend(&nested(DEPTH_MAX)).is_some());
        check(&nested(DEPTH_MAX + 1), None);
    }
}

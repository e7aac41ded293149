//! The parts of JSON that most fields are made of, read by hand: names, plain strings, short integers, literals, empty
//! containers. What else a value may be, the parser reads.
//!
//! The parser's reader is not inlined into code that visits values, and asks for each name anew what it is; records of one
//! file name the same fields in the same order. Reading what is simple here takes a quarter off the time of decoding
//! comments.
//!
//! Everything that is read here is strict JSON, and means what the parser makes of it. Where it is neither, the answer is
//! `None`, and the whole text is the parser's.

use std::borrow::Cow;

use serde::Deserialize;
use sonic_rs::LazyValue;

use super::names::Names;
use super::parser;

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// A string without escapes.
    Str(&'a str),
    /// Anything else.
    Other,
}

/// Digits that fit an `i64` whatever they are.
const DIGITS_MAX: usize = 18;

/// Which name came after which, in the last record.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// By the number of a name plus one; 0 is the start.
    after: Vec<u16>,
    last: usize,
}

impl Order {
    /// No order yet, of `names`.
    pub(crate) fn new<K: Copy>(names: &Names<K>) -> Self {
        Order { after: vec![0; names.len() + 1], last: 0 }
    }
}

/// A place in a text that is JSON, perhaps.
pub(crate) struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// At the start of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Walk { text, at: 0 }
    }

    /// Passes over blanks; the byte ahead then.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Passes over blanks, and `byte` if it is ahead then.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        (self.token() == Some(byte)).then(|| self.at += 1)
    }

    /// Whether nothing but blanks is left.
    pub(crate) fn is_done(&mut self) -> bool {
        self.token().is_none()
    }

    /// A field's name and the colon after it: what it means.
    #[inline]
    pub(crate) fn name<K: Copy>(&mut self, names: &Names<K>, order: &mut Order) -> Option<Option<K>> {
        self.take(b'"')?;
        let ahead = &self.text.as_bytes()[self.at..];
        if let Some((name, key)) = names.entry(order.after[order.last])
            && ahead.get(name.len()) == Some(&b'"')
            && ahead.starts_with(name.as_bytes())
        {
            self.at += name.len() + 1;
            order.last = usize::from(order.after[order.last]) + 1;
            return self.take(b':').map(|()| Some(key));
        }
        let (start, end) = (self.at, special(self.text.as_bytes(), self.at)?);
        if self.text.as_bytes()[end] != b'"' {
            return None;
        }
        self.at = end + 1;
        let number = names.find(&self.text[start..end]);
        if let Some(number) = number {
            order.after[order.last] = number;
            order.last = usize::from(number) + 1;
        }
        self.take(b':').map(|()| number.and_then(|number| names.entry(number)).map(|(_, key)| key))
    }

    /// The next name is the first of a record.
    #[inline]
    pub(crate) fn begin(&mut self, order: &mut Order) -> Option<()> {
        order.last = 0;
        self.take(b'{')
    }

    /// A value, and its text.
    #[inline]
    pub(crate) fn value(&mut self) -> Option<(Token<'a>, &'a str)> {
        let (first, start) = (self.token()?, self.at);
        let token = match first {
            b'"' => self.string(),
            b'n' => self.literal("null", Token::Null),
            b't' => self.literal("true", Token::Bool(true)),
            b'f' => self.literal("false", Token::Bool(false)),
            b'-' | b'0'..=b'9' => self.number(),
            b'[' => self.literal("[]", Token::Other).or_else(|| self.other()),
            b'{' => self.literal("{}", Token::Other).or_else(|| self.other()),
            _ => None,
        }?;
        Some((token, &self.text[start..self.at]))
    }

    #[inline]
    fn literal(&mut self, word: &str, token: Token<'a>) -> Option<Token<'a>> {
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            token
        })
    }

    #[inline]
    fn number(&mut self) -> Option<Token<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.at + usize::from(bytes[self.at] == b'-');
        let (mut at, mut value) = (start, 0_i64);
        while let Some(digit @ b'0'..=b'9') = bytes.get(at)
            && at - start < DIGITS_MAX
        {
            value = value * 10 + i64::from(digit - b'0');
            at += 1;
        }
        let is_plain =
            matches!(bytes.get(at), Some(b',' | b'}')) && at > start && (bytes[start] != b'0' || at == start + 1);
        let negative = start > self.at;
        // Zero has a sign only as a float.
        if !is_plain || (negative && value == 0) {
            return self.other();
        }
        self.at = at;
        Some(Token::Int(if negative { -value } else { value }))
    }

    #[inline]
    fn string(&mut self) -> Option<Token<'a>> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut end = special(bytes, start + 1)?;
        let is_plain = bytes[end] == b'"';
        while bytes[end] != b'"' {
            end = special(bytes, escape(bytes, end)?)?;
        }
        self.at = end + 1;
        Some(if is_plain { Token::Str(&self.text[start + 1..end]) } else { Token::Other })
    }

    /// A value that the parser passes over.
    #[cold]
    fn other(&mut self) -> Option<Token<'a>> {
        let rest = &self.text[self.at..];
        let Cow::Borrowed(raw) = LazyValue::deserialize(&mut parser(rest)).ok()?.as_raw_cow() else { return None };
        self.at += raw.len();
        Some(Token::Other)
    }
}

/// Where the escape that begins `at` ends.
fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes[at] != b'\\' {
        return None;
    }
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 6),
        _ => None,
    }
}

/// The first quote, backslash or control character from `at` on.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        // Long strings, by vector registers.
        while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>)
            && !chunk.iter().fold(false, |any, byte| any | is_special(*byte))
        {
            at += 32;
        }
    }
    bytes.get(at..)?.iter().position(|byte| is_special(*byte)).map(|more| at + more)
}

#[inline]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < b' ')
}

/// The high bit of each special byte of a word, right up to the lowest one: the usual trick, in which a borrow may touch
/// what is above a hit.
#[inline]
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | equal(b'"') | equal(b'\\')) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_are() {
        for len in 0..100 {
            let plain: Vec<u8> =
                (0..len).map(|n| [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xff][n % 9]).collect();
            assert_eq!(special(&plain, 0), None);
            for at in 0..len {
                for byte in [b'"', b'\\', 0, 0x1f] {
                    let mut bytes = plain.clone();
                    bytes[at] = byte;
                    bytes[len - 1] = b'"';
                    let expect = if at == len - 1 { len - 1 } else { at };
                    assert_eq!(special(&bytes, 0), Some(expect), "{len} {at} {byte}");
                    assert_eq!(special(&bytes, at), Some(expect));
                }
            }
        }
    }

    #[test]
    fn what_is_simple_is_read_and_the_rest_is_the_parsers() {
        let check =
            |text: &str, token: Token<'_>, of: &str| assert_eq!(Walk::new(text).value(), Some((token, of)), "{text}");
        check("null,", Token::Null, "null");
        check(" true}", Token::Bool(true), "true");
        check("false", Token::Bool(false), "false");
        check("12,", Token::Int(12), "12");
        check("-7}", Token::Int(-7), "-7");
        check("0,", Token::Int(0), "0");
        check("-0,", Token::Other, "-0");
        check("999999999999999999,", Token::Int(999_999_999_999_999_999), "999999999999999999");
        check("9999999999999999999,", Token::Other, "9999999999999999999");
        check("1.5e3,", Token::Other, "1.5e3");
        check("[]", Token::Other, "[]");
        check("{ }", Token::Other, "{ }");
        check("[1, {\"a\": \"]\"}],", Token::Other, "[1, {\"a\": \"]\"}]");
        check("\"x y é\"", Token::Str("x y é"), "\"x y é\"");
        check(r#" "a\"\u00e9\\","#, Token::Other, r#""a\"\u00e9\\""#);
        for wrong in [
            "",
            "nul",
            "tru",
            "01,",
            "-,",
            "-a",
            "\"x",
            "\"x\\",
            r#""\x""#,
            r#""\u12g4""#,
            "\"a\tb\"",
            "[1",
            "{",
            "]",
            ",",
        ] {
            assert_eq!(Walk::new(wrong).value(), None, "{wrong}");
        }
    }
}

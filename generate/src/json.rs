//! JSON written straight into a byte buffer.
//!
//! A line of a dump is a fixed skeleton with some twenty values in it: building a tree for each of millions of records
//! would cost many times what the writing costs.

/// How text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Raw UTF-8, as newer dumps have it.
    Utf8,
    /// ASCII: `\uXXXX` for everything else (surrogate pairs beyond U+FFFF) and `\/` for slashes, as older dumps have it.
    Ascii,
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE_36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A JSON document under construction.
pub(crate) trait Json {
    /// Bytes that are JSON already.
    fn raw(&mut self, text: &str) -> &mut Self;
    /// A string with its quotes.
    fn text(&mut self, text: &str, style: Style) -> &mut Self;
    /// An integer.
    fn int(&mut self, value: i64) -> &mut Self;
    /// A number in base 36, as Reddit writes its ids.
    fn base_36(&mut self, value: u64) -> &mut Self;
    /// `true` or `false`.
    fn bool(&mut self, value: bool) -> &mut Self;
}

impl Json for Vec<u8> {
    fn raw(&mut self, text: &str) -> &mut Self {
        self.extend_from_slice(text.as_bytes());
        self
    }

    fn text(&mut self, text: &str, style: Style) -> &mut Self {
        self.push(b'"');
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            let special = match style {
                Style::Utf8 => byte < 0x20 || byte == b'"' || byte == b'\\',
                Style::Ascii => byte < 0x20 || byte == b'"' || byte == b'\\' || byte == b'/' || byte >= 0x80,
            };
            // Only a character's first byte starts an escape; the bytes that follow it are skipped with it.
            if special && at >= plain && text.is_char_boundary(at) {
                self.extend_from_slice(&text.as_bytes()[plain..at]);
                let character = text[at..].chars().next().unwrap_or_default();
                escape(self, character);
                plain = at + character.len_utf8();
            }
        }
        self.extend_from_slice(&text.as_bytes()[plain..]);
        self.push(b'"');
        self
    }

    fn int(&mut self, value: i64) -> &mut Self {
        if value < 0 {
            self.push(b'-');
        }
        digits(self, value.unsigned_abs(), 10);
        self
    }

    fn base_36(&mut self, value: u64) -> &mut Self {
        digits(self, value, 36);
        self
    }

    fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }
}

fn digits(out: &mut Vec<u8>, mut value: u64, base: u64) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = BASE_36[(value % base) as usize];
        value /= base;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[at..]);
}

fn escape(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '/' => out.extend_from_slice(b"\\/"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(HEX[usize::from(*unit >> shift & 0xF)]);
                }
            }
        }
    }
}

/// `value` in base 36.
pub(crate) fn base_36(value: u64) -> String {
    let mut out = Vec::with_capacity(8);
    out.base_36(value);
    out.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, style: Style) -> String {
        let mut out = Vec::new();
        out.text(text, style);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_in_both_styles() {
        assert_eq!(written("a \"b\"\n\\c/é", Style::Utf8), r#""a \"b\"\n\\c/é""#);
        assert_eq!(written("é/😂\u{1}", Style::Ascii), r#""\u00e9\/\ud83d\ude02\u0001""#);
        for style in [Style::Utf8, Style::Ascii] {
            let text = "straße 日本\t\"x\"\r\n😂 end";
            assert_eq!(serde_json::from_str::<String>(&written(text, style)).unwrap(), text);
        }
    }

    #[test]
    fn numbers() {
        let mut out = Vec::new();
        out.int(0).raw(" ").int(-42).raw(" ").int(i64::MIN).raw(" ").base_36(0).raw(" ").base_36(46_655);
        assert_eq!(out, b"0 -42 -9223372036854775808 0 zzz");
    }
}

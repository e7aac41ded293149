//! Bytes to text with one kind of line end.
//!
//! | bytes | are |
//! |---|---|
//! | a byte order mark of UTF-8 or UTF-16 | text so encoded; the mark is dropped |
//! | no mark, and a NUL beside each of the first characters | UTF-16 of that byte order |
//! | anything else | UTF-8 |
//!
//! `\r\n`, `\n` and `\r` alone all end a line, mixed in one document too. A byte order mark that begins a line (of files put
//! together) is dropped. NULs around the text (what a download that was
//! allotted its size in advance leaves) are dropped.

use std::borrow::Cow;

/// How many characters have to look like UTF-16 for a document without a mark to be taken for it.
const UTF_16_SAMPLE: usize = 4;

/// The text of `bytes`, each line ended by `\n`.
///
/// # Errors
/// Which byte is wrong: a reject's reason.
pub(super) fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes)?,
        _ if is_utf_16(bytes, 1) => utf_16(bytes, u16::from_le_bytes)?,
        _ if is_utf_16(bytes, 0) => utf_16(bytes, u16::from_be_bytes)?,
        _ => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
            let place = error.valid_up_to();
            format!("not UTF-8 text: byte {place} is wrong; convert the file with iconv")
        })?,
    };
    let text = trimmed(text, |text| text.trim_matches('\0').trim_start_matches('\u{feff}'));
    let text = if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { text };
    Ok(if text.contains("\n\u{feff}") { Cow::Owned(text.replace("\n\u{feff}", "\n")) } else { text })
}

fn trimmed(text: Cow<'_, str>, trim: fn(&str) -> &str) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'static, str>, String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let text = String::from_utf16(&units.iter().map(|pair| unit(*pair)).collect::<Vec<_>>());
    text.ok().filter(|_| rest.is_empty()).map(Cow::Owned).ok_or_else(|| "the text is damaged UTF-16".to_owned())
}

/// Whether each of the first pairs of bytes is a character of ASCII, its zero byte at place `zero`.
fn is_utf_16(bytes: &[u8], zero: usize) -> bool {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.len() >= UTF_16_SAMPLE
        && pairs.iter().take(UTF_16_SAMPLE).all(|pair| pair[zero] == 0 && (9..127).contains(&pair[1 - zero]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_marks_and_nuls() {
        for (bytes, expect) in [
            (&b"a\r\nb\rc\nd\r\r\ne"[..], "a\nb\nc\nd\n\ne"),
            (b"\xef\xbb\xbfa", "a"),
            (b"\0\0a\nb\0\0\0", "a\nb"),
            (b"a\r\n\xef\xbb\xbfb", "a\nb"),
            (b"\xff\xfea\0\r\0\n\0\xe9\0", "a\n\u{e9}"),
            (b"\xfe\xff\0a", "a"),
            (b"W\0E\0B\0V\0T\0T\0", "WEBVTT"),
            (b"\0[\0{\0}\0]", "[{}]"),
            (b"", ""),
        ] {
            assert_eq!(text_of(bytes).as_deref(), Ok(expect), "{bytes:?}");
        }
    }

    #[test]
    fn damage_is_named() {
        assert_eq!(text_of(b"\xff\xfea").unwrap_err(), "the text is damaged UTF-16");
        assert!(text_of(b"1\n\xe9").unwrap_err().starts_with("not UTF-8 text: byte 2 is wrong"));
    }
}

//! JSON from outside: what all sources of it share.
//!
//! ```text
//! text ─ shape, split ─▶ values ─ (mend) ─▶ parser ─ names, value ─▶ cells on a sheet ─ settle ─▶ build ─▶ columns
//! ```
//!
//! - [`shape`] tells how a file is cut, [`split`] cuts values out of a stream, [`mend`] makes strict what is nearly JSON.
//! - [`names`] looks fields up, [`value`] reads one (MongoDB's extended JSON too), [`walk`] those that are simple, [`cell`]
//!   has the values and their types, [`sheet`] their rows, [`build`] the Arrow columns.
//!
//! **[`scalars_are!`].** A visitor that wants objects takes every scalar for the same.
//!
//! **A guard.** The parser skips unwanted values by recursion without a limit of its own, so that a file
//! of `[[[[…` would overflow the stack and end the process. What is nested deeper than [`DEPTH_MAX`] is kept from it.
//!
//! Cost: one vectorised count of opening brackets, and a walk over the text only if there are enough of them to be
//! dangerous.

pub(crate) mod build;
pub(crate) mod cell;
mod decimal;
pub(crate) mod mend;
pub(crate) mod names;
#[cfg(feature = "reddit")]
pub(crate) mod shape;
pub(crate) mod sheet;
pub(crate) mod split;
pub(crate) mod value;
#[cfg(feature = "reddit")]
pub(crate) mod walk;

use catchment_contract::error::clause;

/// How deep JSON may be nested. Reddit's deepest threads, ten replies of five levels each, stay below 60. A build without
/// optimisation needs some 37 KiB of stack a level and so takes fewer, an optimised one less than 1 KiB.
pub(crate) const DEPTH_MAX: usize = if cfg!(debug_assertions) { 50 } else { 200 };

/// Opening brackets that cannot overflow a stack of 2 MiB even if each is a level of its own.
const BRACKETS_HARMLESS: usize = if cfg!(debug_assertions) { DEPTH_MAX } else { 1024 };

/// Chunk in which brackets are counted in single bytes, for the sake of vector registers.
const CHUNK_BYTES: usize = 240;

/// The methods of a `Visitor` for scalars: each of them is `$value`.
macro_rules! scalars_are {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}
pub(crate) use scalars_are;

/// What reads `text`. Lone surrogates (half an emoji, cut off by somebody's script) become U+FFFD instead of costing the record.
pub(crate) fn parser(text: &str) -> sonic_rs::Deserializer<sonic_rs::Read<'_>> {
    sonic_rs::Deserializer::from_str(text).utf8_lossy()
}

/// Whether `json` is nested more than [`DEPTH_MAX`] deep. Any bytes will do.
pub(crate) fn nested_too_deep(json: &[u8]) -> bool {
    brackets(json) > BRACKETS_HARMLESS && depth(json) > DEPTH_MAX
}

/// Whether a last line without a newline is a whole JSON value, or can be mended to one. One that is nested too deep is, so
/// that it is rejected as such.
#[cfg(feature = "reddit")]
pub(crate) fn is_complete(line: &[u8]) -> bool {
    let text = || str::from_utf8(line).ok();
    nested_too_deep(line)
        || sonic_rs::from_slice::<serde::de::IgnoredAny>(line).is_ok()
        || text().is_some_and(|text| mend::mend(text).is_some())
}

/// Opening brackets and braces, those in strings too.
fn brackets(json: &[u8]) -> usize {
    // '[' and '{' differ in one bit.
    json.chunks(CHUNK_BYTES)
        .map(|chunk| usize::from(chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>()))
        .sum()
}

/// How deep brackets and braces are nested outside strings.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut most, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Why `text` is no JSON, in words that fit what it looks like.
pub(crate) fn not_json(text: &str, error: &sonic_rs::Error) -> String {
    if text.trim_start().starts_with('<') {
        return "not JSON but HTML or XML, perhaps an error page that was saved".to_owned();
    }
    // The parser's own message goes on with a picture of the place over several lines.
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or_default();
    let what: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    format!("not JSON: {} at byte {}", clause(&what), error.offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_outside_strings() {
        let check = |json: &str, expect: usize| assert_eq!(depth(json.as_bytes()), expect, "{json}");
        check("", 0);
        check("{}", 1);
        check("[{\"a\":[1]},[]]", 3);
        check("{\"a[[[\":\"[[\\\"[[\"}", 1);
        check("]]][", 1);
    }

    #[test]
    fn wide_is_not_deep() {
        let wide = "[{},".repeat(40) + &"{},".repeat(2_000);
        assert_eq!(brackets(wide.as_bytes()), 2_080);
        assert!(!nested_too_deep(wide.as_bytes()));
        assert!(nested_too_deep("[".repeat(2_000).as_bytes()));
        assert!(!nested_too_deep("[".repeat(DEPTH_MAX).as_bytes()));
        assert!(!nested_too_deep("\"[[[[\",".repeat(2_000).as_bytes()));
    }
}

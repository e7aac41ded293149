//! Telling files of lines from whole documents by their beginning.

use serde::de::IgnoredAny;

use crate::json::nested_too_deep;

/// How much of a file is looked at.
pub(super) const SNIFF_BYTES: usize = 64 << 10;

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A JSON value a line.
    Lines,
    /// One JSON value over several lines, or a page that is no JSON at all.
    Document,
}

impl Shape {
    /// The shape of a file that begins with `head`, which is cut at [`SNIFF_BYTES`].
    ///
    /// A value that ends within its line is one of lines. A value that goes on over a newline makes a document, unless
    /// what was read is no JSON: a damaged first line does not turn a dump into a document.
    pub(super) fn of(head: &[u8]) -> Self {
        let head = head.trim_ascii_start();
        let starts = |with: &str| head.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()));
        if ["<!doctype", "<html", "<?xml", "<head", "<body"].iter().any(|tag| starts(tag)) {
            return Shape::Document;
        }
        let mut values = serde_json::Deserializer::from_slice(head).into_iter::<IgnoredAny>();
        let spans = match values.next() {
            Some(Ok(_)) => head[..values.byte_offset()].contains(&b'\n'),
            Some(Err(error)) => error.is_eof() && head.contains(&b'\n'),
            None => false,
        };
        if spans { Shape::Document } else { Shape::Lines }
    }
}

/// Whether a last line without a newline is a whole JSON value. One that is nested too deep is, so that it is rejected as
/// such.
pub(super) fn is_complete(line: &[u8]) -> bool {
    nested_too_deep(line) || sonic_rs::from_slice::<IgnoredAny>(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_tells_lines_from_documents() {
        let check = |head: &str, expect: Shape| assert_eq!(Shape::of(head.as_bytes()), expect, "{head:?}");
        check("", Shape::Lines);
        check("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", Shape::Lines);
        check("\n\n{\"id\":\"a\"}\n", Shape::Lines);
        check("{\"id\":\"a\"}", Shape::Lines);
        check("[{\"id\":\"a\"}]\n", Shape::Lines);
        check("{\"id\":\"a\",\"body\":\"a line longer than what is looked at", Shape::Lines);
        check("{\"id\":\"a\",\"bo\n{\"id\":\"b\"}\n", Shape::Lines);
        check("{\"id\":\"a\"\n{\"id\":\"b\"}\n", Shape::Lines);
        check("rubbish\n{\"id\":\"b\"}\n", Shape::Lines);
        check("{\n  \"kind\": \"Listing\"\n}", Shape::Document);
        check("[\n{\"id\":\"a\"},\n{\"id\":\"b\"}\n]", Shape::Document);
        check("{\n  \"kind\": \"Listing\",\n \"data\": {", Shape::Document);
        check("<!DOCTYPE html>\n<p>", Shape::Document);
        check("<html>", Shape::Document);
    }
}

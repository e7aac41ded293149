//! Mark-up inside the text of captions: tags and entities.
//!
//! **Tags.** Only those that caption formats and players know are removed ([`TAGS`]), so that `MyValue<String>`,
//! `#include <vector>` and `a<b and c>d` stay. `<br>` ends a line. A tag of one letter that touches the word before it
//! (`Map<K>`, `List<B>`) is text unless it is closed later on. `{\an8}` and its like are SubStation's and removed; `{b}` is
//! text.
//!
//! **Entities.** All of HTML's, decoded once: `&amp;lt;` is `&lt;`. What is no entity stays as it is.

use std::borrow::Cow;

use super::clock::clock;

/// The longest name of an entity is `CounterClockwiseContourIntegral`.
const ENTITY_BYTES_MAX: usize = 33;

/// How much of a tag may be read: whatever is longer is text with a `<` in it.
const TAG_BYTES_MAX: usize = 512;

/// How far behind a tag the one that closes it is looked for.
const CLOSED_BYTES_MAX: usize = 4096;

/// What may follow the name of a tag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Attributes with values: `<b class="x">`.
    Attributes,
    /// Anything: `<v Jane Doe>`, `<lang en>`.
    Anything,
}

/// The tags of WebVTT, SRT and what sites leave of HTML. WebVTT's may carry classes (`c.color00FF00`).
const TAGS: [(&str, Inside); 28] = [
    ("c", Inside::Attributes),
    ("v", Inside::Anything),
    ("lang", Inside::Anything),
    ("b", Inside::Attributes),
    ("i", Inside::Attributes),
    ("u", Inside::Attributes),
    ("s", Inside::Attributes),
    ("em", Inside::Attributes),
    ("strong", Inside::Attributes),
    ("strike", Inside::Attributes),
    ("del", Inside::Attributes),
    ("ins", Inside::Attributes),
    ("mark", Inside::Attributes),
    ("small", Inside::Attributes),
    ("big", Inside::Attributes),
    ("sub", Inside::Attributes),
    ("sup", Inside::Attributes),
    ("tt", Inside::Attributes),
    ("p", Inside::Attributes),
    ("div", Inside::Attributes),
    ("center", Inside::Attributes),
    ("span", Inside::Anything),
    ("font", Inside::Anything),
    ("a", Inside::Attributes),
    ("br", Inside::Anything),
    ("ruby", Inside::Attributes),
    ("rt", Inside::Attributes),
    ("rp", Inside::Attributes),
];

/// A line without tags, and whether one of them was a time (`<00:00:01.000>`).
pub(super) fn strip_tags(line: &str) -> (Cow<'_, str>, bool) {
    if !line.contains(['<', '{']) {
        return (Cow::Borrowed(line), false);
    }
    let (mut plain, mut timed, mut rest) = (String::with_capacity(line.len()), false, line);
    while let Some(open) = rest.find(['<', '{']) {
        let (before, tag) = rest.split_at(open);
        plain.push_str(before);
        let close = if tag.starts_with('<') { b'>' } else { b'}' };
        let end = tag.bytes().take(TAG_BYTES_MAX).position(|byte| byte == close);
        match end.and_then(|end| Some((end, kind(&tag[..=end], &plain, &tag[end + 1..])?))) {
            Some((end, kind)) => {
                timed |= kind == Tag::Time;
                if kind == Tag::LineEnd {
                    plain.push('\n');
                }
                rest = &tag[end + 1..];
            }
            None => {
                plain.push_str(&tag[..1]);
                rest = &tag[1..];
            }
        }
    }
    plain.push_str(rest);
    (Cow::Owned(plain), timed)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Time,
    LineEnd,
    Other,
}

/// What `tag` is, which stands between `before` and `after`; none if it is text.
fn kind(tag: &str, before: &str, after: &str) -> Option<Tag> {
    let inside = &tag[1..tag.len() - 1];
    if tag.starts_with('{') {
        return inside.starts_with('\\').then_some(Tag::Other);
    }
    if clock(inside).is_some() {
        return Some(Tag::Time);
    }
    let (inside, closes) = inside.strip_prefix('/').map_or((inside, false), |inside| (inside, true));
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let (name, allowed) = TAGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let is_rest = match rest.chars().next() {
        None | Some('.' | '/') => true,
        Some(c) if c.is_whitespace() => *allowed == Inside::Anything || rest.contains('=') || rest.trim() == "/",
        Some(_) => false,
    };
    let is_text =
        || name.len() == 1 && rest.is_empty() && before.ends_with(char::is_alphanumeric) && !is_closed(after, name);
    if !is_rest || (!closes && is_text()) {
        return None;
    }
    Some(if *name == "br" { Tag::LineEnd } else { Tag::Other })
}

fn is_closed(after: &str, name: &str) -> bool {
    let after = &after.as_bytes()[..after.len().min(CLOSED_BYTES_MAX)];
    memchr::memmem::find_iter(after, b"</").any(|place| {
        let tag = &after[place + 2..];
        tag.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
            && tag.get(name.len()) == Some(&b'>')
    })
}

/// Text of captions from text with HTML's mark-up: tags removed, entities decoded.
pub(super) fn plain(text: &str) -> String {
    entities(&strip_tags(text).0).into_owned()
}

/// `text` with entities decoded once.
pub(super) fn entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let (mut decoded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find('&') {
        let (before, from) = rest.split_at(start);
        decoded.push_str(before);
        let end = from.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';');
        let name = end.map(|end| &from[1..end]);
        rest = match name.map(|name| (name, entity(name, &mut decoded))) {
            Some((name, true)) => &from[name.len() + 2..],
            _ => {
                decoded.push('&');
                &from[1..]
            }
        };
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// Appends what the entity `name` stands for; false if there is none of that name.
fn entity(name: &str, to: &mut String) -> bool {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
            None => number.parse(),
        };
        let character = code.ok().filter(|code| *code != 0).and_then(char::from_u32);
        to.extend(character);
        return character.is_some();
    }
    let names = &html_escape::NAMED_ENTITIES;
    let found = names.binary_search_by_key(&name.as_bytes(), |(known, _)| known);
    if let Ok(place) = found {
        to.push_str(names[place].1);
    }
    found.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for (line, expect) in [
            ("<i>Hey</i> {\\an8}you", "Hey you"),
            ("<v Bob>Hi", "Hi"),
            ("<v.loud Jane Doe>Hi</v>", "Hi"),
            ("<c.colorE5E5E5>a</c><c> b</c>", "a b"),
            ("hi<00:00:01.040><c> everyone</c>", "hi everyone"),
            ("<lang en>a</lang><ruby>b<rt>c</rt></ruby>", "abc"),
            ("<font color=\"#fff\">now</font><FONT COLOR=red>b</FONT>", "nowb"),
            ("a<br>b<br/>c<br />d", "a\nb\nc\nd"),
            ("<b class=\"x\">a</b>", "a"),
            ("or a MyValue<String> like before", "or a MyValue<String> like before"),
            ("if a<b and c>d then", "if a<b and c>d then"),
            ("#include <vector> and <3 and <john@example.org>", "#include <vector> and <3 and <john@example.org>"),
            ("Map<String, List<I>> and Set<b>", "Map<String, List<I>> and Set<b>"),
            ("top {b} {c:$ff}", "top {b} {c:$ff}"),
            ("1 < 2 > 0", "1 < 2 > 0"),
            ("<>", "<>"),
            ("<", "<"),
            ("{\\an8", "{\\an8"),
        ] {
            assert_eq!(strip_tags(line).0, expect, "{line}");
        }
        assert!(strip_tags("a<00:00:01.000>b").1 && !strip_tags("a<b>c</b>").1);
    }

    #[test]
    fn entities_are_decoded_once() {
        for (text, expect) in [
            ("a&nbsp;b &amp; &amp;lt; &ndash; &hellip; &eacute;", "a\u{a0}b & &lt; \u{2013} \u{2026} \u{e9}"),
            ("&lt;int&gt; &#39;x&#x27; &#X41;", "<int> 'x' A"),
            ("&lrm;a&rlm; &apos;&quot;", "\u{200e}a\u{200f} '\""),
            ("&CounterClockwiseContourIntegral; &star;", "\u{2233} \u{2606}"),
            (
                "AT&T; &; & &amp &#xd800; &#0; &#99999999999; &unknown;",
                "AT&T; &; & &amp &#xd800; &#0; &#99999999999; &unknown;",
            ),
            ("&amp;amp;amp;", "&amp;amp;"),
        ] {
            assert_eq!(entities(text), expect, "{text}");
        }
    }
}

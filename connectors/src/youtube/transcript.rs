//! What a document says, whatever its format, and how formats are told apart.
//!
//! In this order, by the first characters of the text that are not white space:
//!
//! | begins with | is |
//! |---|---|
//! | `WEBVTT` | WebVTT |
//! | `<!doctype html`, `<html` | a page: refused |
//! | `<` | XML: srv1, srv2, srv3, TTML by the root element |
//! | `{`, or `[` and what may begin a JSON value | JSON: see `json` |
//! | a line with `-->`, or a number and then such a line | SRT |
//! | anything else without control characters | plain text |
//!
//! Text is UTF-8, with or without a byte order mark, or UTF-16 with one.

use std::borrow::Cow;

use super::{json, srt, vtt, xml};

/// A transcript as its document has it: what the document does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// The video.
    pub video_id: Option<String>,
    /// The language's code.
    pub language_code: Option<String>,
    /// The language's name.
    pub language: Option<String>,
    /// Whether speech recognition made it.
    pub is_generated: Option<bool>,
    /// The video's title.
    pub title: Option<String>,
    /// What is said, in the document's order.
    pub segments: Vec<Segment>,
}

/// One segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Seconds from the video's start; finite.
    pub start: Option<f64>,
    /// Seconds; finite.
    pub duration: Option<f64>,
    /// What is said.
    pub text: String,
}

/// How sure the content alone makes us that a document is a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A format that only transcripts have.
    Captions,
    /// Text that could be anything.
    Text,
}

/// The transcripts in a document: one, or several for a JSON list of raw forms.
///
/// # Errors
/// What the document seems to be instead, or what is wrong with it and where: a reject's reason.
pub fn read(bytes: &[u8]) -> Result<(Kind, Vec<Transcript>), String> {
    let text = text_of(bytes)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let body = text.trim_start();
    let one = |transcript: Transcript| (Kind::Captions, vec![transcript]);
    if body.is_empty() {
        return Err("the document is empty".to_owned());
    }
    if body.starts_with("WEBVTT") {
        return vtt::read(body).map(one);
    }
    if body.starts_with('<') {
        return if is_html(body) { Err(page(body)) } else { xml::read(body).map(one) };
    }
    if json::is_json(body) {
        return json::read(body).map(|transcripts| (Kind::Captions, transcripts));
    }
    if srt::is_srt(body) {
        return srt::read(body).map(one);
    }
    if let Some(control) = text.chars().find(|c| c.is_control() && !c.is_whitespace()) {
        return Err(format!("neither a transcript nor text: it holds the character U+{:04X}", control as u32));
    }
    let segment = Segment { start: None, duration: None, text: body.trim_end().to_owned() };
    Ok((Kind::Text, vec![Transcript { segments: vec![segment], ..Transcript::default() }]))
}

fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let text = String::from_utf16(&units.iter().map(|pair| unit(*pair)).collect::<Vec<_>>());
        text.ok().filter(|_| rest.is_empty()).map(Cow::Owned).ok_or_else(|| "the text is damaged UTF-16".to_owned())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
            format!("not UTF-8 text: byte {} is wrong; convert the file with iconv", error.valid_up_to())
        }),
    }
}

/// Whether `body`, which begins with `<`, is a page.
fn is_html(body: &str) -> bool {
    let head = body.as_bytes();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body"]
        .iter()
        .any(|tag| head.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)))
}

/// What a page seems to be.
fn page(body: &str) -> String {
    let has = |text: &str| body.contains(text);
    let what = if has("consent.youtube.com/s") {
        "a consent page of YouTube's (HTML), not a transcript"
    } else if has("class=\"g-recaptcha\"") || has("www.google.com/recaptcha/") {
        "a captcha page (HTML: too many requests), not a transcript"
    } else if has("ytInitialPlayerResponse") || has("ytInitialData") {
        "a watch page of YouTube's (HTML), not a transcript"
    } else {
        let title = body.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        let title = title.map(|(title, _)| title.trim()).filter(|title| !title.is_empty() && title.len() <= 200);
        return match title {
            Some(title) => format!("a page (HTML) with the title \"{title}\", not a transcript"),
            None => "a page (HTML), not a transcript".to_owned(),
        };
    };
    what.to_owned()
}

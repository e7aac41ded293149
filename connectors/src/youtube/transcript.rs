//! What a document says, whatever its format, and how formats are told apart.
//!
//! In this order, by the first characters of the text that are not white space:
//!
//! | begins with | is |
//! |---|---|
//! | `<!doctype html`, `<html` | a page: refused |
//! | `<` and a name | XML: srv1, srv2, srv3, TTML by the root element |
//! | `[Script Info]` | ASS |
//! | `[`, and then lines of which two in five begin with a time | LRC and its like: see `stamped` |
//! | two numbers in brackets | MicroDVD or MPL2: refused |
//! | `{`, or `[` and what may begin a JSON value | JSON: see `json` |
//! | `WEBVTT`, or a line with two times among the first 40 | WebVTT, SRT, SBV: see `captions` |
//! | a time | lines that begin with times: see `stamped` |
//! | anything else without control characters | plain text |
//!
//! How bytes become text: see `text`.

use super::text::text_of;
use super::{ass, captions, clock, json, stamped, xml};

/// The latest second of a video: 115 days. Later starts are clock times, dates or frames.
const START_SECONDS_MAX: f64 = 1e7;

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
    /// Which of several tracks of the language it is, other than by speech recognition.
    pub track: Option<String>,
    /// The video's title.
    pub title: Option<String>,
    /// What is said, in the document's order.
    pub segments: Vec<Segment>,
}

/// One segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Seconds from the video's start; finite, below 0 if the document says so.
    pub start: Option<f64>,
    /// Seconds; finite and not negative.
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

/// Why a document gives no transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It describes a video, a list or a channel: what yt-dlp writes beside transcripts, and is passed over.
    Info,
    /// What it seems to be instead, or what is wrong with it and where: a reject's reason.
    Reject(String),
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Refused::Reject(reason)
    }
}

/// The transcripts in a document: one, or several for a JSON document of several.
///
/// # Errors
/// If it has none.
pub fn read(bytes: &[u8]) -> Result<(Kind, Vec<Transcript>), Refused> {
    let text = text_of(bytes)?;
    let body = text.trim_start();
    if body.is_empty() {
        return Err("the document is empty".to_owned().into());
    }
    let transcripts = match captions(body) {
        Some(transcripts) => transcripts?,
        None => return Ok((Kind::Text, vec![plain(body)?])),
    };
    for (transcript, number) in transcripts.iter().zip(1..) {
        check_times(&transcript.segments).map_err(|reason| match transcripts.len() {
            1 => reason,
            _ => format!("{reason} (transcript {number} of the document)"),
        })?;
    }
    Ok((Kind::Captions, transcripts))
}

/// The transcripts of a document in a format that only transcripts have; `None` if it has none.
fn captions(body: &str) -> Option<Result<Vec<Transcript>, Refused>> {
    let one = |transcript: Result<Transcript, String>| {
        Some(transcript.map(|transcript| vec![transcript]).map_err(Refused::from))
    };
    if body.starts_with('<') && body[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '?' | '!')) {
        return if is_html(body) { Some(Err(page(body).into())) } else { one(xml::read(body)) };
    }
    if ass::is_ass(body) {
        return one(ass::read(body));
    }
    if body.starts_with('[') && stamped::is_stamped(body) {
        return one(Ok(stamped::read(body)));
    }
    if let Some(name) = bracketed(body) {
        return Some(Err(format!("captions of the format {name}; convert them to SRT or WebVTT").into()));
    }
    if json::is_json(body) {
        return Some(json::read(body));
    }
    if let Some(form) = captions::Form::of(body) {
        return one(captions::read(body, form));
    }
    stamped::is_stamped(body).then(|| Ok(vec![stamped::read(body)]))
}

/// The format of captions that begin with two numbers in brackets: `{25}{50}one`, `[10][20]one`.
fn bracketed(body: &str) -> Option<&'static str> {
    let line = body.lines().next()?;
    let begins = |[open, close]: [char; 2]| {
        let mut parts = line.split(open).skip(1).map(|part| part.split_once(close));
        let mut is_number = || parts.next().flatten().is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        line.starts_with(open) && is_number() && is_number()
    };
    let formats = [(['{', '}'], "MicroDVD, whose times are frames"), (['[', ']'], "MPL2")];
    formats.into_iter().find(|(brackets, _)| begins(*brackets)).map(|(_, name)| name)
}

/// Text that could be anything, as one segment.
fn plain(body: &str) -> Result<Transcript, String> {
    if let Some(control) = body.chars().find(|c| c.is_control() && !c.is_whitespace()) {
        return Err(format!("neither a transcript nor text: it holds the character U+{:04X}", u32::from(control)));
    }
    if let Some((line, _)) = (1..).zip(body.lines()).find(|(_, line)| clock::is_time_range(line)) {
        return Err(format!(
            "captions of an unknown format: line {line} holds two times, but not as \"00:01 --> 00:02\""
        ));
    }
    if let Some(mark) = table_mark(body) {
        return Err(format!("a table whose values are parted by {mark:?} (CSV); write it as JSON, SRT or WebVTT"));
    }
    let segment = Segment { start: None, duration: None, text: body.trim_end().to_owned() };
    Ok(Transcript { segments: vec![segment], ..Transcript::default() })
}

/// What parts the columns of a table of segments, which its first line names.
fn table_mark(body: &str) -> Option<char> {
    let head = body.lines().next()?.to_ascii_lowercase();
    let has = |mark: char, known: &[&str]| {
        head.split(mark).any(|name| known.contains(&name.trim_matches(|c: char| c == '"' || c.is_whitespace())))
    };
    let is_mark = |mark: &char| has(*mark, &["text"]) && has(*mark, &["start", "begin", "from", "time", "start_time"]);
    [',', '\t', ';'].into_iter().find(is_mark)
}

/// Whether all starts can be times within a video.
fn check_times(segments: &[Segment]) -> Result<(), String> {
    let late =
        (1..).zip(segments).find(|(_, segment)| segment.start.is_some_and(|start| start.abs() > START_SECONDS_MAX));
    match late {
        Some((number, segment)) => {
            let start = segment.start.unwrap_or_default();
            Err(format!(
                "segment {number} would start {start} s into the video: no time within one, but perhaps a date"
            ))
        }
        None => Ok(()),
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

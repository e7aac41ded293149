//! The JSON forms of transcripts.
//!
//! | form | written by |
//! |---|---|
//! | `[{text, start, duration}, …]` | youtube-transcript-api |
//! | `{video_id, language, language_code, is_generated, snippets: […]}`, or a list of them | the same since 1.0 |
//! | `{ID: […], …}`, `[{ID: […], …}, [ID, …]]` | the same, several videos at once |
//! | `{info, transcript: [{text, offset, duration}, …]}` | youtube-transcript (npm) and its like |
//! | `{lang, availableLangs, content: […]}`, or the list alone; `content` may be one text | Supadata |
//! | `{events: [{tStartMs, dDurationMs, segs: [{utf8}]}, …]}` | YouTube's json3 |
//! | `… initialSegments: [{transcriptSegmentRenderer: {startMs, endMs, snippet}}, …]` | YouTube's inner API |
//! | `{text, segments: [{start, end, text}, …], language}`; `{chunks: [{timestamp: [0, 1], text}]}`; `{transcription: […]}` | Whisper and its ports |
//! | `{data: {transcript: […]}}`, `{en: […], de: […]}` and their like | programs around these |
//!
//! The list of segments is looked for under the names that such programs use ([`LISTS`]), also inside other objects
//! ([`WRAPPERS`]) and under ids and languages. What the objects around it say (id, title, language, track) counts, the
//! innermost first. For fields of segments and the units of their times see [`segments`], [`fields`] and [`units`].
//!
//! One JSON value a line (or just behind the other) is a list of them. `NaN` and `Infinity`, which Python writes, are null; a
//! comma too many is passed over.

mod about;
mod fields;
mod parse;
mod refused;
mod segments;
mod units;

use serde_json::{Map, Value};

use super::captions;
use super::language::Tag;
use super::name::has_id_form;
use super::transcript::{Refused, Segment, Transcript};
use about::{describe, language};
use refused::{is_info, is_refused, names, refused};
use segments::{is_segment, is_timed_segment, json3, segments, unwrapped};

type Object = Map<String, Value>;

/// How deep a list of segments may lie inside other objects. In YouTube's inner API it is 14.
const DEPTH_MAX: usize = 20;

/// Names of lists of segments, in the order in which they are looked for; those up to [`TRANSCRIPT_LISTS`] need no times.
const LISTS: [&str; 20] = [
    "snippets",
    "transcript",
    "content",
    "segments",
    "transcription",
    "chunks",
    "captions",
    "subtitles",
    "utterances",
    "cues",
    "timestamps",
    "sentences",
    "initialSegments",
    "lines",
    "fragments",
    "items",
    "results",
    "body",
    "data",
    "words",
];
const TRANSCRIPT_LISTS: usize = 10;

/// Among how many of a list's first values a segment is looked for.
const HEADINGS_MAX: usize = 3;

/// Names of objects and lists that may hold such a list further inside.
const WRAPPERS: [&str; 18] = [
    "transcript",
    "transcripts",
    "captions",
    "subtitles",
    "data",
    "result",
    "results",
    "response",
    "output",
    "payload",
    "content",
    "body",
    "items",
    "videos",
    "tracks",
    "video",
    "channels",
    "alternatives",
];

/// Whether text that begins so is JSON: `[` begins plain text too (`[Music]`).
pub(super) fn is_json(body: &str) -> bool {
    match body.as_bytes() {
        [b'{', ..] | [b')', b']', b'}', b'\'', ..] => true,
        [b'[', rest @ ..] => {
            let first = rest.iter().find(|byte| !byte.is_ascii_whitespace());
            first.is_none_or(|byte| matches!(byte, b'{' | b'[' | b']' | b'"' | b'-' | b'0'..=b'9'))
        }
        _ => false,
    }
}

/// Reads a JSON document.
///
/// # Errors
/// What it seems to be instead, or what is wrong with it.
pub(super) fn read(text: &str) -> Result<Vec<Transcript>, Refused> {
    let (value, is_lines) = parse::values(text)?;
    if value.as_object().is_some_and(is_info) {
        return Err(Refused::Info);
    }
    of_value(&value, 0).map_err(|fault| match fault {
        Fault::Damage(reason) => reason.into(),
        Fault::Other(_) if is_lines => {
            "JSON lines, one value a line (metadata or a chat?), not a transcript".to_owned().into()
        }
        Fault::Other(reason) => reason.into(),
    })
}

/// Why a value gives no transcript.
enum Fault {
    /// It is something else, for this reason; what lies around it may be something better known.
    Other(String),
    /// It is one, but damaged in this way.
    Damage(String),
}

type Found<T> = Result<T, Fault>;

fn other<T>(reason: impl Into<String>) -> Found<T> {
    Err(Fault::Other(reason.into()))
}

fn of_value(value: &Value, depth: usize) -> Found<Vec<Transcript>> {
    match value {
        Value::Array(list) => of_list(list, depth),
        Value::Object(object) => of_object(object, depth),
        _ => other("a JSON value that is neither a list nor an object"),
    }
}

fn of_list(list: &[Value], depth: usize) -> Found<Vec<Transcript>> {
    let objects = list.iter().filter(|value| value.is_object()).count();
    match list.first() {
        None => Ok(vec![Transcript::default()]),
        Some(Value::Object(first)) if is_segment(unwrapped(first)) => one(of_segments(list)),
        // Ids of videos that had no transcript may stand behind the ones that had.
        Some(Value::Object(_)) if list[objects..].iter().all(is_list_of_texts) => of_objects(&list[..objects], depth),
        Some(Value::Object(_)) => other("a JSON list of objects and other values, not a transcript"),
        Some(Value::Array(inner)) => match inner.first() {
            Some(Value::Object(_)) if list.len() == 1 => of_list(inner, depth),
            Some(Value::Object(_)) => other(format!("a list of {} transcripts without video ids", list.len())),
            _ => other("a JSON list of lists (timings of words or sentences?), not a transcript"),
        },
        Some(_) => other("a JSON list of plain values, not a transcript"),
    }
}

fn one(transcript: Result<Transcript, String>) -> Found<Vec<Transcript>> {
    transcript.map(|transcript| vec![transcript]).map_err(Fault::Damage)
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

/// The transcripts of a list of objects, each of which holds one or several.
fn of_objects(list: &[Value], depth: usize) -> Found<Vec<Transcript>> {
    let mut transcripts = Vec::new();
    for (value, number) in list.iter().zip(1..) {
        let object = value.as_object().filter(|object| !is_refused(object));
        match (of_value(value, depth + 1), object) {
            (Ok(found), _) => transcripts.extend(found),
            (Err(Fault::Other(_)), Some(first)) if transcripts.is_empty() => {
                return other(format!("a JSON list of objects without text ({}), not a transcript", names(first)));
            }
            (Err(Fault::Other(reason) | Fault::Damage(reason)), _) => {
                return Err(Fault::Damage(format!("a list of which item {number} is no transcript: {reason}")));
            }
        }
    }
    Ok(transcripts)
}

fn of_object(object: &Object, depth: usize) -> Found<Vec<Transcript>> {
    if depth > DEPTH_MAX {
        return other(format!("a JSON object nested more than {DEPTH_MAX} deep"));
    }
    let mut transcripts = inner(object, depth).unwrap_or_else(|| other(refused(object)))?;
    for transcript in &mut transcripts {
        describe(object, transcript);
    }
    Ok(transcripts)
}

/// The transcripts inside an object, if there are any.
fn inner(object: &Object, depth: usize) -> Option<Found<Vec<Transcript>>> {
    if object.contains_key("responseContext") || object.contains_key("actions") {
        return initial_segments(object, depth).map(|list| one(of_segments(list)));
    }
    if is_refused(object) {
        return None;
    }
    if let Some(list) = list_of_segments(object) {
        return Some(one(of_segments(list)));
    }
    if let Some(Value::Array(events)) = object.get("events")
        && (events.is_empty()
            || events.iter().any(|event| event.get("segs").is_some())
            || object.contains_key("wireMagic"))
    {
        return Some(one(json3(events)));
    }
    let mut is_wrapped = false;
    for value in WRAPPERS.iter().filter_map(|name| object.get(*name)).filter(|value| is_container(value)) {
        is_wrapped = true;
        match of_value(value, depth + 1) {
            Err(Fault::Other(_)) => {}
            found => return Some(found),
        }
    }
    // What was tried is not tried again under its name: that would double the work of each level.
    let keyed = if is_wrapped { None } else { keyed(object, depth) };
    keyed.or_else(|| text(object).map(|transcript| vec![transcript])).map(Ok)
}

fn is_container(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|value| value.is_object() || value.is_array()),
        Value::Object(object) => !object.is_empty(),
        _ => false,
    }
}

/// The list of segments that an object holds under one of the usual names. An empty list counts if no other is there.
fn list_of_segments(object: &Object) -> Option<&[Value]> {
    let lists = || LISTS.iter().enumerate().filter_map(|(rank, name)| Some((rank, object.get(*name)?.as_array()?)));
    // Headings may stand before the first segment.
    let is_list = |rank: usize, list: &[Value]| {
        let is_one = if rank < TRANSCRIPT_LISTS { is_segment } else { is_timed_segment };
        list.iter().take(HEADINGS_MAX).filter_map(Value::as_object).any(|object| is_one(unwrapped(object)))
    };
    let full = lists().find(|(rank, list)| is_list(*rank, list)).map(|(_, list)| list.as_slice());
    full.or_else(|| {
        lists().find(|(rank, list)| *rank < TRANSCRIPT_LISTS && list.is_empty()).map(|(_, list)| list.as_slice())
    })
}

fn of_segments(list: &[Value]) -> Result<Transcript, String> {
    let mut transcript = Transcript { segments: segments(list)?, ..Transcript::default() };
    if let Some(first) = list.first().and_then(Value::as_object) {
        transcript.language_code = language(first);
    }
    Ok(transcript)
}

/// The segments of a transcript panel of YouTube's inner API, wherever they lie.
fn initial_segments(object: &Object, depth: usize) -> Option<&[Value]> {
    if depth > DEPTH_MAX {
        return None;
    }
    if let Some(list) = list_of_segments(object).filter(|list| !list.is_empty()) {
        return Some(list);
    }
    object.values().find_map(|value| match value {
        Value::Object(inner) => initial_segments(inner, depth + 1),
        Value::Array(list) => {
            list.iter().filter_map(Value::as_object).find_map(|inner| initial_segments(inner, depth + 1))
        }
        _ => None,
    })
}

/// The transcripts of an object whose names are ids of videos, or languages.
fn keyed(object: &Object, depth: usize) -> Option<Vec<Transcript>> {
    let entries: Vec<(&String, &Value)> = object.iter().filter(|(_, value)| !value.is_null()).collect();
    let by_id = entries.iter().all(|(name, _)| has_id_form(name));
    let by_language = || entries.iter().all(|(name, _)| Tag::of(name).is_some());
    if entries.is_empty() || !(by_id || by_language()) {
        return None;
    }
    let mut transcripts = Vec::new();
    for (name, value) in entries {
        for mut transcript in of_value(value, depth + 1).ok()? {
            let tag = if by_id { Tag::default() } else { Tag::of(name)? };
            if by_id {
                transcript.video_id.get_or_insert_with(|| name.clone());
            }
            transcript.language_code = transcript.language_code.or(tag.language);
            transcript.track = transcript.track.or(tag.track);
            transcript.is_generated = transcript.is_generated.or(tag.is_generated.then_some(true));
            transcripts.push(transcript);
        }
    }
    Some(transcripts)
}

/// The transcript of an object that holds it as one text: captions in a format of their own, or plain text if its name or
/// the object says that it belongs to a video (articles have `content` too).
fn text(object: &Object) -> Option<Transcript> {
    let texts = ["transcript", "captions", "subtitles", "content", "text", "vtt", "srt"];
    let (name, text) = texts.iter().find_map(|name| Some((name, object.get(*name)?.as_str()?)))?;
    let names_video = texts[..3].contains(name)
        || ["video_id", "videoId", "lang", "availableLangs", "info"].iter().any(|name| object.contains_key(*name));
    if let Some(form) = captions::Form::of(text.trim_start()) {
        return captions::read(text.trim_start(), form).ok();
    }
    let segment = Segment { start: None, duration: None, text: text.to_owned() };
    names_video.then(|| Transcript { segments: vec![segment], ..Transcript::default() })
}

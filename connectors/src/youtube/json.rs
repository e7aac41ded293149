//! The JSON forms of transcripts, and what other JSON seems to be.
//!
//! | form | written by | times |
//! |---|---|---|
//! | `[{text, start, duration}, …]` | youtube-transcript-api | seconds |
//! | `{video_id, language, language_code, is_generated, snippets: […]}`, or a list of them | the same since 1.0 | seconds |
//! | `{info, transcript: [{text, offset, duration}, …]}` | youtube-transcript (npm) and its like | milliseconds |
//! | `{lang, availableLangs, content: […]}`, or the list alone; `content` may be one text | Supadata | milliseconds |
//! | `{events: [{tStartMs, dDurationMs, segs: [{utf8}]}, …]}` | YouTube's json3 | milliseconds |
//! | `{text, segments: [{start, end, text}, …], language}` | Whisper | seconds |
//!
//! `offset` means milliseconds, unless a number has a fraction and no duration reaches 100: newer versions of the npm
//! package give seconds under the same names. Numbers may be written as strings.
//!
//! In json3, events that only break lines (`aAppend` with `\n`) or only place windows are no segments.

use serde_json::{Map, Value};

use super::cues::rounded;
use super::name::{has_id_form, is_language};
use super::transcript::{Segment, Transcript};

type Object = Map<String, Value>;

/// No segment is shown for this long in seconds, hardly one for less than this in milliseconds.
const DURATION_SECONDS_MAX: f64 = 100.0;

/// Whether text that begins so is JSON: `[` begins plain text too (`[Music]`).
pub(super) fn is_json(body: &str) -> bool {
    match body.as_bytes() {
        [b'{', ..] => true,
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
pub(super) fn read(text: &str) -> Result<Vec<Transcript>, String> {
    let value = serde_json::from_str(text).map_err(|error| match lines_of_json(text) {
        true => "JSON lines, one object a line (metadata or a chat?), not a transcript".to_owned(),
        false => format!("the JSON is damaged or cut off: {error}"),
    })?;
    match &value {
        Value::Array(list) => of_list(list),
        Value::Object(object) => of_object(object).map(|transcript| vec![transcript]),
        _ => Err("a JSON value that is neither a list nor an object".to_owned()),
    }
}

/// Whether the first two lines are each an object of their own.
fn lines_of_json(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).take(2);
    let mut is_object = || lines.next().is_some_and(|line| serde_json::from_str::<Object>(line).is_ok());
    is_object() && is_object()
}

fn of_list(list: &[Value]) -> Result<Vec<Transcript>, String> {
    match list.first() {
        Some(Value::Object(first)) if first.contains_key("snippets") => {
            let object = |value: &Value| match value {
                Value::Object(object) => of_object(object),
                _ => Err("a list of transcripts with something else in it".to_owned()),
            };
            list.iter().map(object).collect()
        }
        Some(Value::Array(inner)) => match inner.first() {
            Some(Value::Object(_)) if list.len() == 1 => of_list(inner),
            Some(Value::Object(_)) => Err(format!("a list of {} transcripts without video ids", list.len())),
            _ => Err("a JSON list of lists (timings of words or sentences?), not a transcript".to_owned()),
        },
        Some(Value::Object(first)) if !first.contains_key("text") => {
            Err(format!("a JSON list of objects without text ({}), not a transcript", names(first)))
        }
        None | Some(Value::Object(_)) => {
            let mut transcript = Transcript { segments: segments(list)?, ..Transcript::default() };
            transcript.language_code = list.first().and_then(Value::as_object).and_then(language);
            Ok(vec![transcript])
        }
        Some(_) => Err("a JSON list of plain values, not a transcript".to_owned()),
    }
}

fn of_object(object: &Object) -> Result<Transcript, String> {
    let list = ["snippets", "transcript", "content", "segments"].into_iter().find_map(|name| match object.get(name) {
        Some(Value::Array(list)) => Some(segments(list).map(|segments| (segments, list.first()))),
        Some(Value::String(text)) if matches!(name, "transcript" | "content") && names_video(object) => {
            let segment = Segment { start: None, duration: None, text: text.clone() };
            Some(Ok((vec![segment], None)))
        }
        _ => None,
    });
    let mut transcript = Transcript::default();
    match (list, object.get("events")) {
        (Some(list), _) if !is_refused(object) => {
            let (segments, first) = list?;
            transcript.segments = segments;
            transcript.language_code = first.and_then(Value::as_object).and_then(language);
        }
        (_, Some(Value::Array(events))) if !is_refused(object) => {
            (transcript.segments, transcript.is_generated) = json3(events)?;
        }
        _ => return Err(refused(object)),
    }
    describe(object, &mut transcript);
    Ok(transcript)
}

/// Whether an object with one long text says that the text belongs to a video: articles have `content` too.
fn names_video(object: &Object) -> bool {
    ["video_id", "videoId", "lang", "availableLangs", "info"].iter().any(|name| object.contains_key(*name))
}

/// What an object says of its transcript, on its own level and in `info`.
fn describe(object: &Object, transcript: &mut Transcript) {
    let info = object.get("info").and_then(Value::as_object);
    for object in [Some(object), info].into_iter().flatten() {
        let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if transcript.video_id.is_none() {
            let id = text("video_id").or_else(|| text("videoId"));
            transcript.video_id = id.or_else(|| text("id").filter(|id| has_id_form(id))).map(str::to_owned);
        }
        if transcript.title.is_none() {
            transcript.title = text("title").map(str::to_owned);
        }
        if transcript.language.is_none() {
            transcript.language = text("language").filter(|name| !is_language(name)).map(str::to_owned);
        }
        if transcript.is_generated.is_none() {
            transcript.is_generated = object.get("is_generated").and_then(Value::as_bool);
        }
    }
    transcript.language_code = language(object).or(transcript.language_code.take());
}

/// A language's code: `language` holds its name in some forms and its code in others.
fn language(object: &Object) -> Option<String> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let code = text("language_code").or_else(|| text("languageCode")).or_else(|| text("lang"));
    code.or_else(|| text("language").filter(|code| is_language(code))).map(str::to_owned)
}

/// The segments of a list of `{text, start | offset, duration | end}`.
fn segments(list: &[Value]) -> Result<Vec<Segment>, String> {
    let objects = list.iter().zip(1..).map(|(value, number)| {
        let object = value.as_object().filter(|object| object.contains_key("text"));
        object.ok_or_else(|| format!("segment {number} of the transcript is not an object with a text"))
    });
    let objects = objects.collect::<Result<Vec<_>, _>>()?;
    let scale = offset_scale(&objects);
    objects.into_iter().zip(1..).map(|(object, number)| segment(object, scale, number)).collect()
}

fn segment(object: &Object, scale: f64, number: u64) -> Result<Segment, String> {
    let time = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match finite(value) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("segment {number} of the transcript has {name} = {value}, which is not a number")),
        },
    };
    let text = match object.get("text") {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => return Err(format!("segment {number} of the transcript has text = {other}, which is not text")),
    };
    let (start, offset, duration) = (time("start")?, time("offset")?, time("duration")?);
    if start.is_none()
        && let Some(offset) = offset
    {
        let seconds = |number: f64| number / scale;
        return Ok(Segment { start: Some(seconds(offset)), duration: duration.map(seconds), text });
    }
    let until_end = || Some(rounded(object.get("end").and_then(finite)? - start?)).filter(|number| number.is_finite());
    let duration = duration.or_else(|| object.get("dur").and_then(finite)).or_else(until_end);
    Ok(Segment { start, duration, text })
}

/// How many units of `offset` make a second.
fn offset_scale(objects: &[&Object]) -> f64 {
    let numbers = |name: &'static str| objects.iter().filter_map(move |object| finite(object.get(name)?));
    let fractions = numbers("offset").chain(numbers("duration")).any(|number| number.fract() != 0.0);
    if fractions && numbers("duration").all(|duration| duration < DURATION_SECONDS_MAX) { 1.0 } else { 1000.0 }
}

/// The segments of json3's events, and whether speech recognition made them: its words carry a confidence.
fn json3(events: &[Value]) -> Result<(Vec<Segment>, Option<bool>), String> {
    let (mut segments, mut generated) = (Vec::new(), None);
    for (event, number) in events.iter().zip(1..) {
        let event = event.as_object().ok_or_else(|| format!("event {number} of the json3 is not an object"))?;
        let Some(Value::Array(parts)) = event.get("segs") else { continue };
        let parts = parts.iter().filter_map(Value::as_object);
        if parts.clone().any(|part| part.contains_key("acAsrConf")) {
            generated = Some(true);
        }
        let text = parts.filter_map(|part| part.get("utf8")?.as_str()).collect::<String>();
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let seconds = |name: &str| event.get(name).and_then(finite).map(|number| number / 1000.0);
        segments.push(Segment { start: seconds("tStartMs"), duration: seconds("dDurationMs"), text: text.to_owned() });
    }
    Ok((segments, generated))
}

fn finite(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// Whether an object is something else though it may hold a list that looks like segments.
fn is_refused(object: &Object) -> bool {
    ["formats", "playabilityStatus", "responseContext", "entries", "error"]
        .iter()
        .any(|name| object.get(*name).is_some_and(|value| !value.is_null()))
}

/// What an object that is no transcript seems to be.
fn refused(object: &Object) -> String {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or("?");
    if let Some(error) = object.get("error").filter(|error| !error.is_null()) {
        let message = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
        let short = message.chars().take(200).collect::<String>();
        return format!("an error object instead of a transcript: {short}");
    }
    if let Some(status) = object.get("playabilityStatus").and_then(Value::as_object) {
        let part = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or("?");
        let detail = if status.contains_key("reason") { format!(", {}", part("reason")) } else { String::new() };
        return format!("a player response of YouTube's (status {}{detail}), not a transcript", part("status"));
    }
    if object.contains_key("responseContext") {
        return "a response of YouTube's inner API, not a transcript".to_owned();
    }
    if object.contains_key("formats") {
        return format!("the info JSON of video {}, not a transcript", text("id"));
    }
    if object.contains_key("entries") || object.get("_type").is_some_and(|kind| kind == "playlist") {
        return format!("the info JSON of the list or channel {}, not a transcript", text("id"));
    }
    let by_id = |(id, value): (&String, &Value)| has_id_form(id) && value.is_object();
    if !object.is_empty() && object.iter().all(by_id) {
        return format!("metadata of {} videos by id, not a transcript", object.len());
    }
    format!("a JSON object with the fields {}: no known form of a transcript", names(object))
}

/// The first names of an object.
fn names(object: &Object) -> String {
    let mut names = object.keys().take(6).map(|name| name.chars().take(40).collect()).collect::<Vec<String>>();
    if object.len() > names.len() {
        names.push("…".to_owned());
    }
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

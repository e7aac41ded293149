//! Segments of JSON transcripts.
//!
//! Which field holds the text and which the times: see [`super::fields`]; in which unit: see [`super::units`]. Of several
//! starts the one that stands first in [`super::fields::START`] counts. A pair (`timestamp: [1.5, 2.5]`) or an object
//! (`timestamps: {from, to}`) is a start and an end.
//!
//! What is no time in such a field is an error, and so is a list in which no time is known but something looks like one:
//! times are never lost in silence.

use serde_json::Value;

use super::super::clock::{clock, rounded};
use super::super::cues::between;
use super::super::markup::entities;
use super::super::transcript::{Segment, Transcript};
use super::Object;
use super::fields::{Role, TEXT, Time, normal, role, short, text_of, time, time_number};
use super::refused::names;
use super::units::units;

/// A segment before the units are known.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub start: Option<Time>,
    pub duration: Option<Time>,
    pub end: Option<Time>,
    /// The rank of the start's name.
    pub rank: usize,
    pub text: String,
}

/// The object inside an object that only wraps it: `{"transcriptSegmentRenderer": {…}}`.
pub(super) fn unwrapped(object: &Object) -> &Object {
    match object.values().next() {
        Some(Value::Object(inner)) if object.len() == 1 => inner,
        _ => object,
    }
}

/// Whether an object has a text, as a segment has.
pub(super) fn is_segment(object: &Object) -> bool {
    let text = |name: &&str| object.get(*name).is_some_and(|value| value.is_null() || text_of(value).is_some());
    // `content` and its like stand for many things, `text` for one.
    TEXT[..2].iter().any(text) || (TEXT.iter().any(text) && is_timed(object))
}

/// Whether an object has a text and a time.
pub(super) fn is_timed_segment(object: &Object) -> bool {
    is_segment(object) && is_timed(object)
}

fn is_timed(object: &Object) -> bool {
    object.keys().any(|name| role(name).is_some_and(|(role, _, _)| role == Role::Start))
}

/// The segments of a list.
///
/// # Errors
/// The first segment that is none, or has a time that is none.
pub(super) fn segments(list: &[Value]) -> Result<Vec<Segment>, String> {
    let mut raws = Vec::with_capacity(list.len());
    for (value, number) in list.iter().zip(1..) {
        let object = value.as_object().map(unwrapped);
        // The inner API puts headings of chapters between segments.
        if object.is_some_and(|object| {
            object.contains_key("sectionHeader") || value.get("transcriptSectionHeaderRenderer").is_some()
        }) {
            continue;
        }
        let object = object.filter(|object| TEXT.iter().any(|name| object.contains_key(*name)));
        let object =
            object.ok_or_else(|| format!("segment {number} of the transcript is not an object with a text"))?;
        raws.push(raw(object).map_err(|reason| format!("segment {number} of the transcript has {reason}"))?);
    }
    if raws.iter().all(|raw| raw.start.is_none())
        && let Some(object) =
            list.iter().filter_map(Value::as_object).map(unwrapped).find(|object| hints_at_time(object))
    {
        return Err(format!("segments with the fields {}, none of which is known as their time", names(object)));
    }
    Ok(timed(raws))
}

/// Whether an object has something like a time under a name that is not known.
fn hints_at_time(object: &Object) -> bool {
    object.iter().any(|(name, value)| {
        let name = normal(name);
        let is_named = ["time", "start", "begin", "offset", "stamp", "position"].iter().any(|part| name.contains(part));
        value.as_str().is_some_and(|text| clock(text).is_some())
            || (is_named && (value.is_number() || value.is_object()))
    })
}

fn raw(object: &Object) -> Result<Raw, String> {
    let mut raw = Raw { rank: usize::MAX, ..Raw::default() };
    for (name, value) in object {
        let Some((role, unit, rank)) = role(name) else { continue };
        let wrong = || format!("{name} = {}, which is not a time", short(value));
        match (role, value) {
            (Role::Start, _) if rank > raw.rank => {}
            (_, Value::Null) => {}
            (Role::Start, Value::Array(pair)) if pair.len() == 2 => {
                raw.start = time(&pair[0], unit).ok_or_else(wrong)?;
                raw.end = time(&pair[1], unit).ok_or_else(wrong)?;
                raw.rank = rank;
            }
            (Role::Start, Value::Object(inner)) if !inner.contains_key("seconds") => {
                let part = |names: [&str; 3]| {
                    names
                        .iter()
                        .find_map(|name| inner.get(*name))
                        .map_or(Ok(None), |value| time(value, unit).ok_or_else(wrong))
                };
                raw.start = part(["from", "start", "begin"])?;
                raw.end = part(["to", "end", "stop"])?;
                raw.rank = rank;
            }
            (Role::Start, _) => {
                raw.start = time(value, unit).ok_or_else(wrong)?;
                raw.rank = rank;
            }
            (Role::Duration, _) => raw.duration = time(value, unit).ok_or_else(wrong)?,
            (Role::End, _) => raw.end = raw.end.or(time(value, unit).ok_or_else(wrong)?),
        }
    }
    let text = TEXT.iter().filter_map(|name| object.get(*name)).next().unwrap_or(&Value::Null);
    raw.text = match text {
        Value::Null => String::new(),
        text => text_of(text).ok_or_else(|| format!("text = {}, which is not text", short(text)))?,
    };
    Ok(raw)
}

/// Segments with their times in seconds.
fn timed(mut raws: Vec<Raw>) -> Vec<Segment> {
    let (starts, durations) = units(&raws);
    let levels = escapes(raws.iter().map(|raw| raw.text.as_str()));
    let segment = |raw: &mut Raw| {
        let start = raw.start.map(|time| rounded(time.seconds(starts)));
        let end = raw.end.map(|time| time.seconds(starts));
        let duration = raw.duration.map(|time| rounded(time.seconds(durations))).filter(|seconds| *seconds >= 0.0);
        let until_end = || start.zip(end).and_then(|(start, end)| between(start, end));
        let mut text = std::mem::take(&mut raw.text);
        (0..levels).for_each(|_| text = entities(&text).into_owned());
        // Whisper's segments begin with a blank.
        Segment { start, duration: duration.or_else(until_end), text: text.trim().to_owned() }
    };
    raws.iter_mut().map(segment).collect()
}

/// How often entities are escaped in these texts: programs that copy YouTube's XML leave them in. Nobody says `&#39;`, so
/// one of these tells it for the whole document.
fn escapes<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    let mut levels = 0;
    for text in texts.filter(|text| text.contains('&')) {
        let has = |marks: [&str; 4]| marks.iter().any(|mark| text.contains(mark));
        if has(["&amp;#39;", "&amp;quot;", "&amp;amp;", "&amp;gt;"]) {
            return 2;
        }
        if has(["&#39;", "&quot;", "&#34;", "&amp;"]) {
            levels = 1;
        }
    }
    levels
}

/// The transcript of json3's events; generated if its words carry a confidence. A number that is not there is 0, as in all
/// JSON of protocol buffers.
pub(super) fn json3(events: &[Value]) -> Result<Transcript, String> {
    let mut transcript = Transcript::default();
    for (event, number) in events.iter().zip(1..) {
        let event = event.as_object().ok_or_else(|| format!("event {number} of the json3 is not an object"))?;
        let Some(Value::Array(parts)) = event.get("segs") else { continue };
        let parts = parts.iter().filter_map(Value::as_object);
        if parts.clone().any(|part| part.contains_key("acAsrConf")) {
            transcript.is_generated = Some(true);
        }
        let text = parts.filter_map(|part| part.get("utf8")?.as_str()).collect::<String>();
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let seconds = |name: &str| match event.get(name) {
            None => Ok(None),
            Some(value) => match time_number(value) {
                Some(millis) => Ok(Some(rounded(millis / 1000.0))),
                None => Err(format!("event {number} of the json3 has {name} = {}, which is not a time", short(value))),
            },
        };
        let (start, duration) = (seconds("tStartMs")?.unwrap_or(0.0), seconds("dDurationMs")?);
        transcript.segments.push(Segment { start: Some(start), duration, text: text.to_owned() });
    }
    Ok(transcript)
}

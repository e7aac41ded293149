//! Fields of segments: what their names mean, and their values as times and texts.
//!
//! **Names.** Capitals and signs do not count, and a unit may end a name: `start`, `startTime`, `start_ms`, `tStartMs`,
//! `begin`, `from`, `offset`, `timestamp`, `time`, …; see [`START`], [`DURATION`], [`END`].
//!
//! **Values** are numbers, numbers as text, clock times (`0:05`), with or without `s` or `ms`, or protocol buffers'
//! `{seconds, nanos}`.

use serde_json::Value;

use super::super::clock::clock;

/// Names of the start, the best first. Without capitals and signs, and without a unit at the end.
pub(super) const START: [&str; 17] = [
    "start",
    "starttime",
    "tstart",
    "begin",
    "begintime",
    "timestart",
    "startat",
    "startoffset",
    "starttimestamp",
    "from",
    "offset",
    "timestamp",
    "timestamps",
    "offsets",
    "time",
    "ts",
    "t",
];
/// Names of the duration.
pub(super) const DURATION: [&str; 5] = ["duration", "dur", "dduration", "durationtime", "d"];
/// Names of the end.
pub(super) const END: [&str; 10] =
    ["end", "endtime", "tend", "timeend", "endat", "endoffset", "endtimestamp", "to", "until", "stop"];

/// Names of the text, the best first.
pub(super) const TEXT: [&str; 11] =
    ["text", "utf8", "snippet", "caption", "cue", "line", "sentence", "subtitle", "content", "transcript", "word"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Start,
    Duration,
    End,
}

/// A time as its document has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    pub value: f64,
    pub unit: Option<Unit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
}

impl Time {
    pub(super) fn seconds(self, otherwise: Unit) -> f64 {
        match self.unit.unwrap_or(otherwise) {
            Unit::Seconds => self.value,
            Unit::Millis => self.value / 1000.0,
        }
    }
}

/// What a field holds, in which unit if its name tells, and the rank of that name among those of its role.
pub(super) fn role(name: &str) -> Option<(Role, Option<Unit>, usize)> {
    // `start_s`: without its sign it would be a plural.
    let (name, short) = name.strip_suffix("_s").map_or((name, false), |name| (name, true));
    let name = normal(name);
    let units = [
        ("inmilliseconds", Unit::Millis),
        ("inseconds", Unit::Seconds),
        ("milliseconds", Unit::Millis),
        ("millis", Unit::Millis),
        ("msec", Unit::Millis),
        ("inms", Unit::Millis),
        ("ms", Unit::Millis),
        ("seconds", Unit::Seconds),
        ("secs", Unit::Seconds),
        ("sec", Unit::Seconds),
    ];
    let unit = units.iter().find(|(unit, _)| name.ends_with(unit));
    let base = unit.map_or(name.as_str(), |(unit, _)| &name[..name.len() - unit.len()]);
    let unit = unit.map(|(_, unit)| *unit).or(short.then_some(Unit::Seconds));
    let place = |list: &[&str]| list.iter().position(|known| *known == base);
    place(&START)
        .map(|rank| (Role::Start, unit, rank))
        .or_else(|| place(&DURATION).map(|rank| (Role::Duration, unit, rank)))
        .or_else(|| place(&END).map(|rank| (Role::End, unit, rank)))
}

/// A name without capitals and signs.
pub(super) fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A time, `None` inside for one that is not there; `None` for what is no time.
pub(super) fn time(value: &Value, unit: Option<Unit>) -> Option<Option<Time>> {
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    let time = |value: f64, unit| Some(Some(Time { value, unit }));
    match value {
        Value::Null => Some(None),
        Value::Number(number) => time(number.as_f64().filter(|number| number.is_finite())?, unit),
        Value::String(text) => {
            let text = text.trim();
            match text {
                "" => Some(None),
                _ if text.contains(':') => time(clock(text)?, Some(Unit::Seconds)),
                _ => match (number(text), text.strip_suffix("ms"), text.strip_suffix('s')) {
                    (Some(value), _, _) => time(value, unit),
                    (None, Some(millis), _) => time(number(millis)?, Some(Unit::Millis)),
                    (None, None, seconds) => time(number(seconds?)?, Some(Unit::Seconds)),
                },
            }
        }
        // Protocol buffers' duration.
        Value::Object(parts) => {
            let part = |name: &str| parts.get(name).map_or(Some(0.0), time_number);
            time(part("seconds")? + part("nanos")? / 1e9, Some(Unit::Seconds)).filter(|_| parts.contains_key("seconds"))
        }
        _ => None,
    }
}

pub(super) fn time_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
}

/// The text in a value: itself, lines, or YouTube's `{simpleText}` and `{runs: [{text}]}`.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => {
            let lines = lines.iter().map(|line| line.as_str()).collect::<Option<Vec<_>>>()?;
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        Value::Object(object) => match (object.get("simpleText").or_else(|| object.get("text")), object.get("runs")) {
            (Some(Value::String(text)), _) => Some(text.clone()),
            (None, Some(Value::Array(runs))) => runs.iter().map(|run| run.get("text")?.as_str()).collect(),
            _ => None,
        },
        _ => None,
    }
}

/// A value in few words.
pub(super) fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= 80 { text } else { text.chars().take(80).chain(['…']).collect() }
}

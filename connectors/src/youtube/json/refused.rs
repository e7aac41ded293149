//! What JSON seems to be that is no transcript.

use serde_json::Value;

use super::super::name::has_id_form;
use super::Object;

/// Whether an object is something else though it may hold a list that looks like segments.
pub(super) fn is_refused(object: &Object) -> bool {
    ["formats", "playabilityStatus", "responseContext", "entries", "error"]
        .iter()
        .any(|name| object.get(*name).is_some_and(says_something))
}

/// Whether an object describes a video, a list or a channel, as yt-dlp's `--write-info-json` does.
pub(super) fn is_info(object: &Object) -> bool {
    let is_list = || object.contains_key("entries") || object.get("_type").is_some_and(|kind| kind == "playlist");
    object.get("id").is_some_and(Value::is_string) && (object.contains_key("formats") || is_list())
}

/// Whether a value is more than a placeholder: `"error": false` is no error.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}

/// What an object that is no transcript seems to be.
pub(super) fn refused(object: &Object) -> String {
    if let Some(error) = error(object) {
        return format!("an error object instead of a transcript: {error}");
    }
    if let Some(status) = object.get("playabilityStatus").and_then(Value::as_object) {
        let part = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or("?");
        let detail = if status.contains_key("reason") { format!(", {}", part("reason")) } else { String::new() };
        return format!("a player response of YouTube's (status {}{detail}), not a transcript", part("status"));
    }
    if object.contains_key("responseContext") {
        return "a response of YouTube's inner API, not a transcript".to_owned();
    }
    if object.contains_key("replayChatItemAction") {
        return "a live chat, not a transcript".to_owned();
    }
    let by_id = |(id, value): (&String, &Value)| has_id_form(id) && value.is_object();
    if !object.is_empty() && object.iter().all(by_id) {
        return format!("metadata of {} videos by id, not a transcript", object.len());
    }
    format!("a JSON object with the fields {}: no known form of a transcript", names(object))
}

/// The message of an error that was saved.
fn error(object: &Object) -> Option<String> {
    let full = |name: &&str| object.get(*name).filter(|value| says_something(value));
    // `message` and `detail` alone are errors of servers if little else is there.
    let names: &[&str] = if object.len() <= 4 { &["error", "detail", "message"] } else { &["error"] };
    let error = names.iter().find_map(full)?;
    let message = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
    Some(message.chars().take(200).collect())
}

/// The first names of an object.
pub(super) fn names(object: &Object) -> String {
    let mut names = object.keys().take(6).map(|name| name.chars().take(40).collect()).collect::<Vec<String>>();
    if object.len() > names.len() {
        names.push("…".to_owned());
    }
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

//! What caption formats share: clock times, mark-up in text, entities, and the rolling duplicates of automatic captions.
//!
//! **Rolling captions.** YouTube shows generated captions as two lines that roll up, and its WebVTT says so literally:
//! each line stands in a cue of its own second, where words carry times, then for 10 ms alone, then as the upper line of
//! the next cue. In such documents a cue keeps the lines that the cue before it did not show. A document is rolling if a
//! cue holds a time inside its text, or if a third of its cues are such 10 ms repeats (as in SRT converted from WebVTT).

use std::borrow::Cow;

use super::transcript::Segment;

/// A cue of at most this long that shows nothing new is a repeat (YouTube's are 10 ms).
const REPEAT_SECONDS_MAX: f64 = 0.05;

/// A caption as it stands in the document.
#[derive(Clone, Debug, Default)]
pub(super) struct Cue {
    pub start: f64,
    pub end: f64,
    /// Lines without mark-up, trimmed, none of them empty.
    pub lines: Vec<String>,
    /// Whether its text holds times of words.
    pub timed_words: bool,
}

impl Cue {
    pub(super) fn new((start, end): (f64, f64)) -> Self {
        Cue { start, end, ..Cue::default() }
    }

    /// Adds a line of text, cleaned.
    pub(super) fn push(&mut self, line: &str) {
        let (plain, timed) = strip_tags(line);
        self.timed_words |= timed;
        let text = entities(&plain);
        let text = text.trim();
        if !text.is_empty() {
            self.lines.push(text.to_owned());
        }
    }

    fn is_brief(&self) -> bool {
        self.end - self.start <= REPEAT_SECONDS_MAX
    }

    fn is_repeat_of(&self, before: &Cue) -> bool {
        self.is_brief() && self.lines.iter().all(|line| before.lines.contains(line))
    }
}

/// The cues' segments, rolling duplicates removed, and whether they roll. Cues without text give none.
pub(super) fn segments(cues: Vec<Cue>) -> (Vec<Segment>, bool) {
    let repeats = cues.windows(2).filter(|pair| pair[1].is_repeat_of(&pair[0])).count();
    let rolling = cues.iter().any(|cue| cue.timed_words) || (repeats > 0 && repeats * 3 >= cues.len());
    let mut segments = Vec::<Segment>::new();
    let mut shown: &[String] = &[];
    for cue in &cues {
        let mut new = if rolling { unseen(cue, shown) } else { cue.lines.clone() };
        shown = &cue.lines;
        if new.is_empty() {
            continue;
        }
        if rolling && let Some(last) = segments.last() {
            // A line that was shown in part for an instant, and is now shown whole, counts once.
            let was_brief = last.duration.is_some_and(|duration| duration <= REPEAT_SECONDS_MAX);
            if was_brief && continues(&last.text, &new[0]) {
                segments.pop();
            }
        }
        let text = if new.len() == 1 { new.swap_remove(0) } else { new.join("\n") };
        segments.push(Segment { start: Some(cue.start), duration: Some(rounded(cue.end - cue.start)), text });
    }
    (segments, rolling)
}

/// The lines of `cue` that are not among those `shown`, of which each stands for one line. A brief cue may show the end
/// of a line again, broken anew.
fn unseen(cue: &Cue, shown: &[String]) -> Vec<String> {
    let mut left = shown.iter().collect::<Vec<_>>();
    let is_again = |shown: &str, line: &str| match shown.strip_suffix(line) {
        Some(before) => before.is_empty() || (cue.is_brief() && before.ends_with(' ')),
        None => false,
    };
    let is_new = |line: &&String| match left.iter().position(|shown| is_again(shown, line)) {
        Some(place) => {
            left.swap_remove(place);
            false
        }
        None => true,
    };
    cue.lines.iter().filter(is_new).cloned().collect()
}

fn continues(part: &str, whole: &str) -> bool {
    whole.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// The difference of two times in milliseconds, without the noise of binary fractions.
pub(super) fn rounded(seconds: f64) -> f64 {
    let micros = seconds * 1e6;
    if micros.is_finite() { micros.round() / 1e6 } else { seconds }
}

/// The times of `00:00:01.500 --> 00:00:02.000 align:start`: start and end in seconds. Hours may be missing, and a comma
/// may stand for the point.
pub(super) fn timing(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once("-->")?;
    let end = rest.split_whitespace().next()?;
    let (start, end) = (clock(start.trim())?, clock(end)?);
    Some((start, end))
}

/// Seconds of `[H:]MM:SS[.fff]`, with at most two digits of minutes and seconds.
pub(super) fn clock(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let mut seconds = 0;
    let parts = whole.split(':').collect::<Vec<_>>();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    for part in parts {
        seconds = seconds * 60 + digits(part).filter(|_| part.len() <= 6)?;
    }
    digits(fraction).filter(|_| fraction.len() <= 9)?;
    format!("{seconds}.{fraction}").parse().ok()
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A line without tags, and whether one of them was a time. A tag is `<` and a letter, a digit or `/`, up to `>`;
/// `{\an8}` and its like are SRT's.
fn strip_tags(line: &str) -> (Cow<'_, str>, bool) {
    if !line.contains(['<', '{']) {
        return (Cow::Borrowed(line), false);
    }
    let (mut plain, mut timed, mut rest) = (String::with_capacity(line.len()), false, line);
    while let Some(open) = rest.find(['<', '{']) {
        let (before, tag) = rest.split_at(open);
        plain.push_str(before);
        let close = if tag.starts_with('<') { '>' } else { '}' };
        let inside = tag.find(close).map(|end| &tag[1..end]);
        match inside.filter(|inside| is_tag(inside, close)) {
            Some(inside) => {
                timed |= clock(inside).is_some();
                rest = &tag[inside.len() + 2..];
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

fn is_tag(inside: &str, close: char) -> bool {
    match close {
        '}' => inside.starts_with('\\'),
        _ => inside.strip_prefix('/').unwrap_or(inside).starts_with(|c: char| c.is_ascii_alphanumeric()),
    }
}

/// Text of captions from text with HTML's mark-up: tags removed, entities decoded.
pub(super) fn plain(text: &str) -> String {
    entities(&strip_tags(text).0).into_owned()
}

/// `text` with entities decoded: those of WebVTT and XML, and numeric ones. What is no entity stays.
pub(super) fn entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let (mut decoded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find('&') {
        let (before, from) = rest.split_at(start);
        decoded.push_str(before);
        let name = from.bytes().take(12).position(|byte| byte == b';').map(|end| &from[1..end]);
        match name.and_then(|name| Some((name, entity(name)?))) {
            Some((name, character)) => {
                decoded.push(character);
                rest = &from[name.len() + 2..];
            }
            None => {
                decoded.push('&');
                rest = &from[1..];
            }
        }
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "lrm" => '\u{200e}',
        "rlm" => '\u{200f}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

//! Texts whose lines carry the time at which they begin: LRC, and what people copy from YouTube's transcript panel.
//!
//! ```text
//! [ti:Title]            0:05                0:05 welcome back     (0:05) welcome back
//! [00:05.20]welcome     welcome back        1:12 so               [01:12] so
//! ```
//!
//! A segment's duration goes to the start of the next one that begins later, and is unknown for the last. A line of LRC
//! with several times is as many segments; an empty line of LRC ends the one before. `[offset:+500]` moves all times earlier.

use super::clock::first_clock;
use super::cues::between;
use super::markup::entities;
use super::transcript::{Segment, Transcript};

/// How many of the first lines that are not empty are looked at, and how many of a hundred must begin with a time.
const SAMPLE_LINES: usize = 40;
const STAMPED_PERCENT: usize = 40;

/// How many times one line of LRC may have; what follows is its text.
const LINE_STAMPS_MAX: usize = 64;

/// Whether a text is of this form: its first line begins with a time, or is LRC's metadata, and two lines in five begin
/// with one.
pub(super) fn is_stamped(body: &str) -> bool {
    let lines: Vec<&str> = lines(body).filter(|line| metadata(line).is_none()).take(SAMPLE_LINES).collect();
    let stamped = lines.iter().filter(|line| stamp(line).is_some()).count();
    stamped > 0 && stamp(lines[0]).is_some() && stamped * 100 >= lines.len() * STAMPED_PERCENT
}

/// Reads a text of this form.
pub(super) fn read(body: &str) -> Transcript {
    let mut transcript = Transcript::default();
    let (mut segments, mut offset) = (Vec::<Segment>::new(), 0.0);
    for line in lines(body) {
        match metadata(line) {
            Some(("ti", title)) if !title.is_empty() => transcript.title = Some(title.to_owned()),
            Some(("offset", millis)) => {
                offset = millis.parse::<f64>().ok().filter(|m| m.is_finite()).unwrap_or(0.0) / 1000.0
            }
            Some(_) => {}
            None => push(line, &mut segments),
        }
    }
    segments.sort_by(|one, other| one.start.unwrap_or(0.0).total_cmp(&other.start.unwrap_or(0.0)));
    // From the end: the start of the next segment, and of the next one that begins later.
    let (mut next, mut later) = (None, None);
    for segment in segments.iter_mut().rev() {
        if segment.start != next {
            later = next;
        }
        next = segment.start;
        segment.duration = next.zip(later).and_then(|(start, end)| between(start, end));
    }
    segments.retain(|segment| !segment.text.is_empty());
    segments.iter_mut().for_each(|segment| segment.start = segment.start.map(|start| start - offset));
    transcript.segments = segments;
    transcript
}

/// Adds what a line begins, or adds it to the text of the segment at hand.
fn push(line: &str, segments: &mut Vec<Segment>) {
    let (mut rest, mut begun) = (line, 0);
    while begun < LINE_STAMPS_MAX
        && let Some((start, after)) = stamp(rest)
    {
        segments.push(Segment { start: Some(start), duration: None, text: String::new() });
        (rest, begun) = (after, begun + 1);
    }
    let count = segments.len();
    let text = entities(rest.trim());
    for segment in &mut segments[count - begun.max(1).min(count)..] {
        if !segment.text.is_empty() && !text.is_empty() {
            segment.text.push('\n');
        }
        segment.text.push_str(&text);
    }
}

fn lines(body: &str) -> impl Iterator<Item = &str> {
    body.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// The time at a line's beginning, perhaps in brackets, and the text behind it.
fn stamp(line: &str) -> Option<(f64, &str)> {
    let line = line.trim_start();
    let close = match line.chars().next()? {
        '[' => "]",
        '(' => ")",
        '0'..='9' => "",
        _ => return None,
    };
    let (start, rest) = first_clock(if close.is_empty() { line } else { &line[1..] })?;
    let rest = rest.strip_prefix(close)?;
    // A time that stands free must stand free: not `10:30am`.
    let is_end =
        !close.is_empty() || rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || matches!(c, ':' | '-'));
    let rest = if close.is_empty() { rest.trim_start_matches([':', '-', ' ']) } else { rest };
    is_end.then_some((start, rest))
}

/// The name and value of LRC's `[ti:Title]`.
fn metadata(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
    let is_name =
        !name.is_empty() && name.len() <= 10 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'#');
    is_name.then(|| (name, value.trim()))
}

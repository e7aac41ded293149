//! Captions to segments: the rolling duplicates of automatic captions, and durations.
//!
//! **Rolling captions.** YouTube shows generated captions as two lines that roll up, and its WebVTT says so literally:
//! each line stands in a cue of its own second, where words carry times, then for 10 ms alone, then as the upper line of
//! the next cue. In such documents a cue keeps the lines that the cue before it did not show. A document is rolling if a
//! cue holds a time inside its text, or if a third of its cues are such 10 ms repeats (as in SRT converted from WebVTT).

use super::clock::{Times, rounded};
use super::markup::{entities, strip_tags};
use super::transcript::Segment;

/// A cue of at most this long that shows nothing new is a repeat (YouTube's are 10 ms).
const REPEAT_SECONDS_MAX: f64 = 0.05;

/// A cue of more lines does not roll.
const ROLLING_LINES_MAX: usize = 16;

/// A caption as it stands in the document.
#[derive(Clone, Debug, Default)]
pub(super) struct Cue {
    start: f64,
    end: f64,
    /// Lines without mark-up, trimmed, none of them empty.
    lines: Vec<String>,
    /// Whether its text holds times of words.
    timed_words: bool,
}

impl Cue {
    pub(super) fn new((start, end): Times) -> Self {
        Cue { start, end, ..Cue::default() }
    }

    /// Adds a line of text with mark-up, which may hold `<br>` or `\n` and so be several.
    pub(super) fn push(&mut self, line: &str) {
        let (plain, timed) = strip_tags(line);
        self.timed_words |= timed;
        let text = entities(&plain);
        self.lines.extend(text.split('\n').map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn is_brief(&self) -> bool {
        self.end - self.start <= REPEAT_SECONDS_MAX
    }

    fn is_repeat_of(&self, before: &Cue) -> bool {
        self.is_brief()
            && before.lines.len() <= ROLLING_LINES_MAX
            && self.lines.iter().all(|line| before.lines.contains(line))
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
        shown = if cue.lines.len() <= ROLLING_LINES_MAX { &cue.lines } else { &[] };
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
        segments.push(Segment { start: Some(cue.start), duration: between(cue.start, cue.end), text });
    }
    (segments, rolling)
}

/// Seconds from `start` to `end`; none if the document has them the wrong way round.
pub(super) fn between(start: f64, end: f64) -> Option<f64> {
    Some(rounded(end - start)).filter(|seconds| *seconds >= 0.0 && seconds.is_finite())
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

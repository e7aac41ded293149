//! WebVTT, SRT and SBV: lines with times, each followed by lines of text.
//!
//! The three differ in little, and files mix their habits, so one reader takes them all:
//!
//! - A caption's text goes on to the next time line. An empty line does not end it: YouTube's generated WebVTT has lines
//!   of one blank, which editors strip, and people leave lines empty inside captions.
//! - What stands right above a time line, behind an empty line, is its number or name and not text of the caption before.
//!   If the document is numbered, that also holds for a number with text right above it or an empty line below it.
//! - WebVTT's header goes to the first time line; its `Language:`, `Video:` and `Title:` count. `NOTE`, `STYLE` and `REGION` skip
//!   what follows up to an empty line. `WEBVTT` again begins another header, as in segments of a stream put together; there
//!   `X-TIMESTAMP-MAP` moves the times of its segment against the first one's.
//! - Times and their arrows: see [`super::clock`]. Mark-up in text: see [`super::markup`].

use super::clock::{Arrow, Times, is_bad_timing, sbv_timing, timing};
use super::cues::{Cue, segments};
use super::name::{has_id_form, is_language};
use super::transcript::Transcript;

/// Ticks of `MPEGTS` in a second, and of which number its counter starts anew.
const MPEGTS_PER_SECOND: f64 = 90_000.0;
const MPEGTS_WRAP: f64 = (1_u64 << 33) as f64;

/// Among how many of the first lines that are not empty the first time line is looked for.
const HEAD_LINES: usize = 40;

const FENCE: &str = "```";

/// Which of the three a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    WebVtt,
    Srt,
    Sbv,
}

impl Form {
    /// What a document looks like: it has a time line near its beginning, or is WebVTT by its first word.
    pub(super) fn of(body: &str) -> Option<Self> {
        let is_webvtt = |line: &str| line.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("WEBVTT"));
        if is_webvtt(body) {
            return Some(Form::WebVtt);
        }
        let lines = body.lines().map(str::trim).filter(|line| !line.is_empty()).take(HEAD_LINES);
        let mut before: Vec<&str> = Vec::new();
        for line in lines {
            if sbv_timing(line).is_some() {
                return Some(Form::Sbv);
            }
            if let Some((_, arrow)) = timing(line)
                && (arrow != Arrow::Dash || before.iter().all(|line| is_number(line)))
            {
                let has_word = before.iter().any(|line| is_webvtt(line));
                return Some(if has_word { Form::WebVtt } else { Form::Srt });
            }
            if is_bad_timing(line) && before.iter().all(|line| is_number(line)) {
                return Some(Form::Srt);
            }
            before.push(line);
        }
        None
    }

    fn name(self) -> &'static str {
        match self {
            Form::WebVtt => "WebVTT",
            Form::Srt => "SRT",
            Form::Sbv => "SBV",
        }
    }
}

/// Reads a document of the form `form`.
///
/// # Errors
/// A time line that cannot be read, by its number.
pub(super) fn read(text: &str, form: Form) -> Result<Transcript, String> {
    // Unicode's own line ends, which no format names and some editors write.
    let lines = text.split(['\n', '\u{85}', '\u{2028}', '\u{2029}']);
    // Fences of Markdown around captions that somebody copied.
    let is_fenced = text.starts_with(FENCE);
    let lines: Vec<&str> = lines.map(|line| if is_fenced && line.starts_with(FENCE) { "" } else { line }).collect();
    let mut reader = Reader::new(form, &lines);
    for (index, line) in lines.iter().enumerate() {
        reader.line(index, line)?;
    }
    if let (true, Some(line)) = (reader.cues.is_empty(), reader.stray) {
        return Err(format!("a {} without a line of times, though line {line} is text", form.name()));
    }
    let (segments, rolling) = segments(reader.cues);
    let mut transcript = reader.transcript;
    transcript.segments = segments;
    transcript.is_generated = rolling.then_some(true);
    Ok(transcript)
}

/// What the lines at hand belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    /// WebVTT's header.
    Header,
    /// A comment, style or region.
    Skipped,
    /// The last caption, or nothing if there is none yet.
    Text,
}

struct Reader<'a> {
    form: Form,
    lines: &'a [&'a str],
    /// Whether the first thing in the document is a number above a time line.
    numbered: bool,
    /// Whether that number has marks around it.
    marked: bool,
    /// Whether times are parted by a dash alone.
    dashed: bool,
    block: Block,
    /// What goes on behind an empty line: a header up to the first time line, then captions.
    around: Block,
    /// Seconds to add to times: what a segment's `X-TIMESTAMP-MAP` says against the first one's.
    shift: f64,
    first_map: Option<f64>,
    /// The first line that is neither part of a header nor of a caption.
    stray: Option<usize>,
    transcript: Transcript,
    cues: Vec<Cue>,
}

impl<'a> Reader<'a> {
    fn new(form: Form, lines: &'a [&'a str]) -> Self {
        let block = if form == Form::WebVtt { Block::Header } else { Block::Text };
        let mut reader = Reader {
            form,
            lines,
            numbered: false,
            marked: false,
            dashed: true,
            block,
            around: block,
            shift: 0.0,
            first_map: None,
            stray: None,
            transcript: Transcript::default(),
            cues: Vec::new(),
        };
        if let Some(first) = lines.iter().position(|line| reader.times(line).is_some()) {
            reader.dashed = timing(lines[first]).is_some_and(|(_, arrow)| arrow == Arrow::Dash);
            let above = lines[..first].iter().rev().find(|line| !is_blank(line));
            reader.numbered = above.is_some_and(|line| is_number(unmarked(line)));
            reader.marked = above.is_some_and(|line| !is_number(line));
        }
        reader
    }

    /// The times of a time line.
    fn times(&self, line: &str) -> Option<Times> {
        match self.form {
            Form::Sbv => sbv_timing(line),
            _ => timing(line).filter(|(_, arrow)| *arrow != Arrow::Dash || self.dashed).map(|(times, _)| times),
        }
    }

    fn line(&mut self, index: usize, line: &str) -> Result<(), String> {
        if line.is_empty() {
            self.block = self.around;
            return Ok(());
        }
        if self.form == Form::WebVtt {
            self.enter_block(line, index == 0 || is_blank(self.lines[index - 1]));
        }
        if self.block == Block::Skipped {
            return Ok(());
        }
        if let Some((start, end)) = self.times(line) {
            (self.block, self.around) = (Block::Text, Block::Text);
            self.cues.push(Cue::new((start + self.shift, end + self.shift)));
        } else if is_bad_timing(line) {
            return Err(format!("line {} of the {} has no times around \"-->\"", index + 1, self.form.name()));
        } else if self.block == Block::Header {
            let is_field = index == 0 || line.contains([':', '=']) || is_word(line, "WEBVTT");
            self.stray = self.stray.or((!is_field).then_some(index + 1));
            self.header(line);
        } else if !self.is_name(index, line)
            && let Some(cue) = self.cues.last_mut()
        {
            match self.form {
                Form::Sbv => cue.push(&line.replace("[br]", "\n")),
                _ => cue.push(line),
            }
        }
        Ok(())
    }

    /// Notes where a header, comment, style or region of WebVTT begins.
    fn enter_block(&mut self, line: &str, after_blank: bool) {
        if line == "WEBVTT" || (after_blank && is_word(line, "WEBVTT")) {
            (self.block, self.around) = (Block::Header, Block::Header);
        } else if after_blank && ["NOTE", "STYLE", "REGION"].iter().any(|word| is_word(line, word)) {
            self.block = Block::Skipped;
        }
    }

    /// Whether a line is the number or name of the next caption.
    fn is_name(&self, index: usize, line: &str) -> bool {
        let after_blank = index == 0 || is_blank(self.lines[index - 1]);
        let is_times = |line: &str| self.times(line).is_some() || is_bad_timing(line);
        let below = self.lines.get(index + 1).copied();
        if below.is_some_and(is_times) {
            // WebVTT's captions may have any name. But if the caption above had no text so far, this is it.
            let named = || self.form == Form::WebVtt && self.cues.last().is_none_or(|cue| !cue.is_empty());
            return if self.is_number(line) { self.numbered || after_blank } else { after_blank && named() };
        }
        // A number that stands alone: above a time line further below, or at the end of a document that was cut off.
        let stands_alone = self.is_number(line) && self.numbered && after_blank && below.is_none_or(is_blank);
        stands_alone && self.lines[index + 1..].iter().find(|line| !is_blank(line)).is_none_or(|line| is_times(line))
    }

    /// Whether a line is a number as the document writes those of its captions.
    fn is_number(&self, line: &str) -> bool {
        is_number(if self.marked { unmarked(line) } else { line })
    }

    fn header(&mut self, line: &str) {
        if let Some(map) = line.strip_prefix("X-TIMESTAMP-MAP=").and_then(timestamp_map) {
            let first = *self.first_map.get_or_insert(map);
            self.shift = (map - first).rem_euclid(MPEGTS_WRAP / MPEGTS_PER_SECOND);
            return;
        }
        // Older files have it all in the first line: `WEBVTT Kind: captions; Language: en`.
        let fields = line.strip_prefix("WEBVTT").map_or(vec![line], |fields| fields.split(';').collect());
        for (name, value) in fields.into_iter().filter_map(|field| field.split_once(':')) {
            self.field(name.trim(), value.trim());
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        let Transcript { language_code, language, video_id, title, .. } = &mut self.transcript;
        let field = match name.to_ascii_lowercase().as_str() {
            "language" if is_language(value) => language_code,
            "language" => language,
            "video" if has_id_form(value) => video_id,
            "title" => title,
            _ => return,
        };
        if field.is_none() && !value.is_empty() {
            *field = Some(value.to_owned());
        }
    }
}

/// By how many seconds the stream's clock is ahead of a segment's: of `LOCAL:00:00:00.000,MPEGTS:900000`, in either order.
fn timestamp_map(map: &str) -> Option<f64> {
    let part = |name: &str| map.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix(':'));
    let local = super::clock::clock(part("LOCAL")?)?;
    let ticks: f64 = part("MPEGTS")?.trim().parse().ok().filter(|ticks: &f64| ticks.is_finite())?;
    Some(ticks / MPEGTS_PER_SECOND - local)
}

/// A line without the marks that some write around numbers: `#7`, `7.`.
fn unmarked(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix('#').unwrap_or(line);
    line.strip_suffix(['.', ')', ':']).unwrap_or(line)
}

fn is_number(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.chars().all(char::is_numeric)
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// Whether `line` is `word`, alone or before a blank or a colon.
fn is_word(line: &str, word: &str) -> bool {
    line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ':', '-']))
}

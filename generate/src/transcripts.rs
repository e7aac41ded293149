//! Transcripts of videos in the forms that tools save them.
//!
//! | form | who writes it | file |
//! |---|---|---|
//! | [`Form::Raw`] | youtube-transcript-api 1.x, `to_raw_data` with its metadata | `ID.json` |
//! | [`Form::List`] | youtube-transcript-api before 1.0 | `ID.json` |
//! | [`Form::Vtt`] | yt-dlp, captions that a person wrote | `ID.LANG.vtt` |
//! | [`Form::Rolling`] | yt-dlp, automatic captions: each line is shown again above the next | `ID.LANG.vtt` |
//! | [`Form::Srt`] | yt-dlp, converted | `ID.LANG.srt` |
//! | [`Form::Json3`] | YouTube's timedtext, `fmt=json3` | `ID.LANG.json3` |
//! | [`Form::Srv3`] | YouTube's timedtext, `fmt=srv3` | `ID.LANG.srv3` |

use super::json::{Json, Style};
use super::rng::{Rng, Stream};
use super::world::World;

/// A stretch of speech.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) start_ms: u64,
    pub(crate) duration_ms: u64,
    pub(crate) text: String,
}

/// What was said in a video.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub(crate) video: String,
    pub(crate) language: &'static str,
    pub(crate) generated: bool,
    pub(crate) segments: Vec<Segment>,
}

/// How a transcript is saved; see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Raw,
    List,
    Vtt,
    Rolling,
    Srt,
    Json3,
    Srv3,
}

/// The transcript of the world's video `index`, 60 to 140 segments, and the form it is saved in: 80 % raw, 8 % lists,
/// 12 % WebVTT, half of them rolling.
pub(crate) fn transcript(world: &World, index: usize) -> (Transcript, Form) {
    let mut rng = Rng::new(world.seed, Stream::Transcript, index as u64);
    let form = match rng.below(100) {
        0..80 => Form::Raw,
        80..88 => Form::List,
        88..94 => Form::Vtt,
        _ => Form::Rolling,
    };
    let mut start_ms = 0;
    let mut segments = Vec::new();
    for _ in 0..60 + rng.below(80) {
        let duration_ms = 1000 + rng.below(4000);
        let mut text = String::new();
        world.text.write_about(&mut rng, &world.shapes, [35, 5, 80], &mut text);
        segments.push(Segment { start_ms, duration_ms, text: spoken(&text) });
        start_ms += duration_ms + rng.below(500);
    }
    let language = rng.pick(&["en", "en", "en", "en-US", "de", "es"]);
    let generated = form == Form::Rolling || rng.chance(600);
    (Transcript { video: world.video(index).to_owned(), language, generated, segments }, form)
}

/// Text on one line, without the signs that captions have to escape.
fn spoken(text: &str) -> String {
    let plain = text.replace("&gt;", "").replace("&amp;", "and").replace(['<', '>', '\\', '*'], "");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Transcript {
    /// The file's name and content.
    pub(crate) fn file(&self, form: Form) -> (String, Vec<u8>) {
        let Transcript { video, language, .. } = self;
        let mut out = Vec::new();
        match form {
            Form::Raw => self.raw(&mut out),
            Form::List => self.list(&mut out),
            Form::Vtt => self.vtt(&mut out),
            Form::Rolling => self.rolling(&mut out),
            Form::Srt => self.srt(&mut out),
            Form::Json3 => self.json3(&mut out),
            Form::Srv3 => self.srv3(&mut out),
        }
        let name = match form {
            Form::Raw | Form::List => format!("{video}.json"),
            Form::Vtt | Form::Rolling => format!("{video}.{language}.vtt"),
            Form::Srt => format!("{video}.{language}.srt"),
            Form::Json3 => format!("{video}.{language}.json3"),
            Form::Srv3 => format!("{video}.{language}.srv3"),
        };
        (name, out)
    }

    fn raw(&self, out: &mut Vec<u8>) {
        out.raw(r#"{"video_id":""#).raw(&self.video).raw(r#"","language":""#).raw(language_name(self.language));
        out.raw(if self.generated { " (auto-generated)" } else { "" }).raw(r#"","language_code":""#);
        out.raw(self.language).raw(r#"","is_generated":"#).bool(self.generated).raw(r#","snippets":"#);
        self.list(out);
        out.raw("}");
    }

    fn list(&self, out: &mut Vec<u8>) {
        for (at, Segment { start_ms, duration_ms, text }) in self.segments.iter().enumerate() {
            out.raw(if at == 0 { "[" } else { "," }).raw(r#"{"text":"#).text(text, Style::Utf8);
            out.raw(r#","start":"#)
                .raw(&seconds(*start_ms))
                .raw(r#","duration":"#)
                .raw(&seconds(*duration_ms))
                .raw("}");
        }
        out.raw(if self.segments.is_empty() { "[]" } else { "]" });
    }

    fn vtt(&self, out: &mut Vec<u8>) {
        out.raw("WEBVTT\nKind: captions\nLanguage: ").raw(self.language).raw("\n\n");
        for segment in &self.segments {
            out.raw(&clock(segment.start_ms, '.')).raw(" --> ").raw(&clock(segment.end_ms(), '.')).raw("\n");
            out.raw(&segment.text).raw("\n\n");
        }
    }

    /// Automatic captions: a cue shows the line before and, word by word with a time each, the new one; a cue of 10 ms
    /// then holds the new line still.
    fn rolling(&self, out: &mut Vec<u8>) {
        const LAYOUT: &str = " align:start position:0%\n";
        out.raw("WEBVTT\nKind: captions\nLanguage: ").raw(self.language).raw("\n\n");
        let mut before = " ";
        for segment in &self.segments {
            let still_ms = segment.end_ms() - 10;
            out.raw(&clock(segment.start_ms, '.')).raw(" --> ").raw(&clock(still_ms, '.')).raw(LAYOUT);
            out.raw(before).raw("\n");
            let words: Vec<&str> = segment.text.split(' ').collect();
            let word_ms = (segment.duration_ms - 10) / words.len() as u64;
            for (at, word) in words.iter().enumerate() {
                if at == 0 {
                    out.raw(word);
                } else {
                    let time = clock(segment.start_ms + at as u64 * word_ms, '.');
                    out.raw("<").raw(&time).raw("><c> ").raw(word).raw("</c>");
                }
            }
            out.raw("\n\n").raw(&clock(still_ms, '.')).raw(" --> ").raw(&clock(segment.end_ms(), '.')).raw(LAYOUT);
            out.raw(&segment.text).raw("\n \n\n");
            before = &segment.text;
        }
    }

    fn srt(&self, out: &mut Vec<u8>) {
        for (at, segment) in self.segments.iter().enumerate() {
            out.int(at as i64 + 1).raw("\n").raw(&clock(segment.start_ms, ',')).raw(" --> ");
            out.raw(&clock(segment.end_ms(), ',')).raw("\n").raw(&segment.text).raw("\n\n");
        }
    }

    fn json3(&self, out: &mut Vec<u8>) {
        out.raw(r#"{"wireMagic":"pb3","pens":[{}],"wsWinStyles":[{}],"wpWinPositions":[{}],"events":["#);
        for (at, Segment { start_ms, duration_ms, text }) in self.segments.iter().enumerate() {
            out.raw(if at == 0 { "" } else { "," }).raw(r#"{"tStartMs":"#).int(*start_ms as i64);
            out.raw(r#","dDurationMs":"#).int(*duration_ms as i64).raw(r#","segs":["#);
            for (at, word) in text.split(' ').enumerate() {
                let word = if at == 0 { word.to_owned() } else { format!(" {word}") };
                out.raw(if at == 0 { "" } else { "," }).raw(r#"{"utf8":"#).text(&word, Style::Utf8).raw("}");
            }
            out.raw("]}");
        }
        out.raw("]}\n");
    }

    fn srv3(&self, out: &mut Vec<u8>) {
        out.raw("<?xml version=\"1.0\" encoding=\"utf-8\" ?><timedtext format=\"3\">\n<body>\n");
        for Segment { start_ms, duration_ms, text } in &self.segments {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&#39;");
            out.raw("<p t=\"").int(*start_ms as i64).raw("\" d=\"").int(*duration_ms as i64);
            out.raw("\">").raw(&text).raw("</p>\n");
        }
        out.raw("</body>\n</timedtext>\n");
    }
}

impl Segment {
    fn end_ms(&self) -> u64 {
        self.start_ms + self.duration_ms
    }
}

fn language_name(code: &str) -> &'static str {
    match code {
        "de" => "German",
        "es" => "Spanish",
        "en-US" => "English (United States)",
        _ => "English",
    }
}

/// Seconds with three decimals.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// `00:00:00.000`, with `point` before the milliseconds.
fn clock(ms: u64, point: char) -> String {
    let (seconds, minutes, hours) = (ms / 1000 % 60, ms / 60_000 % 60, ms / 3_600_000);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{:03}", ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Transcript {
        let segment = |start_ms, text: &str| Segment { start_ms, duration_ms: 2000, text: text.to_owned() };
        Transcript {
            video: "abcdefghijk".to_owned(),
            language: "en",
            generated: true,
            segments: vec![segment(0, "so it's \"here\""), segment(3_723_004, "then we go")],
        }
    }

    fn text(form: Form) -> String {
        String::from_utf8(two().file(form).1).unwrap()
    }

    #[test]
    fn json_forms_parse() {
        let raw: serde_json::Value = serde_json::from_str(&text(Form::Raw)).unwrap();
        assert_eq!(raw["snippets"][0]["text"], "so it's \"here\"");
        assert_eq!(raw["snippets"][1]["start"], 3723.004);
        let list: serde_json::Value = serde_json::from_str(&text(Form::List)).unwrap();
        assert_eq!(list, raw["snippets"]);
        let json3: serde_json::Value = serde_json::from_str(&text(Form::Json3)).unwrap();
        assert_eq!(json3["events"][1]["segs"][1]["utf8"], " we");
    }

    #[test]
    fn caption_forms_hold_times_and_text() {
        assert!(text(Form::Vtt).contains("01:02:03.004 --> 01:02:05.004\nthen we go\n"));
        assert!(text(Form::Srt).contains("2\n01:02:03,004 --> 01:02:05,004\nthen we go\n"));
        assert!(text(Form::Srv3).contains("<p t=\"0\" d=\"2000\">so it&#39;s \"here\"</p>"));
        let rolling = text(Form::Rolling);
        assert!(
            rolling.contains("so it's \"here\"\nthen<01:02:03.667><c> we</c><01:02:04.330><c> go</c>\n"),
            "{rolling}"
        );
        assert_eq!(rolling.matches("so it's \"here\"").count(), 2);
    }
}

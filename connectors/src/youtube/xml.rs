//! The XML forms of transcripts, told apart by their root and its children.
//!
//! | root | children | form | times |
//! |---|---|---|---|
//! | `transcript` | `text start dur` | srv1 | seconds |
//! | `timedtext` | `text t d` | srv2 | milliseconds |
//! | `timedtext` | `body/p t d`, words in `s` | srv3 | milliseconds |
//! | `tt` | `body/div/p begin end\|dur` | TTML | clock times, or numbers with `h`, `m`, `s`, `ms` |
//!
//! In srv1 and srv2 the text is mark-up of its own inside the XML (`&amp;#39;`, `&lt;i>`): it is decoded twice and its tags
//! are removed, as youtube-transcript-api does. Elements without text (srv3 breaks lines with them) are no segments. No
//! entity but XML's own and numbers is expanded, and nothing is ever fetched.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::cues::{clock, entities, plain, rounded};
use super::name::is_language;
use super::transcript::{Segment, Transcript};

/// What `<br/>` is while its paragraph is read: no layout of the XML itself holds it.
const LINE_END: &str = "\u{2028}";

/// Reads an XML document.
///
/// # Errors
/// What it seems to be instead, or where it is damaged.
pub(super) fn read(text: &str) -> Result<Transcript, String> {
    let mut reader = Reader::from_str(text);
    let mut document = Document::default();
    loop {
        let event = reader
            .read_event()
            .map_err(|error| format!("the XML is damaged at byte {}: {error}", reader.error_position()))?;
        match event {
            Event::Start(tag) => document.open(&tag)?,
            Event::Empty(tag) => {
                document.open(&tag)?;
                document.close();
            }
            Event::End(_) => document.close(),
            Event::Text(text) => document.text(&String::from_utf8_lossy(&text)),
            Event::CData(text) => document.text(&String::from_utf8_lossy(&text)),
            Event::GeneralRef(name) => document.text(&entities(&format!("&{};", String::from_utf8_lossy(&name)))),
            Event::Eof => return document.finish(),
            _ => {}
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Document {
    transcript: Transcript,
    form: Option<Form>,
    /// Names of the open elements.
    open: Vec<Vec<u8>>,
    /// The segment whose element is open, and how deep that stands.
    segment: Option<(usize, Segment)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `transcript`.
    Srv1,
    /// `timedtext`.
    Timed,
    /// `tt`.
    Ttml,
}

impl Document {
    fn open(&mut self, tag: &BytesStart) -> Result<(), String> {
        let name = tag.local_name().as_ref().to_vec();
        let form = match self.form {
            Some(form) => form,
            None => self.root(&name, tag)?,
        };
        let millis = |name| attribute(tag, name).and_then(|text| number(&text)).map(|number| number / 1000.0);
        let seconds = |name| attribute(tag, name).and_then(|text| number(&text));
        let times = match (form, name.as_slice()) {
            (Form::Srv1, b"text") => Some((seconds("start"), seconds("dur"))),
            (Form::Timed, b"text" | b"p") => Some((millis("t"), millis("d"))),
            (Form::Ttml, b"p") => Some(ttml_times(tag)),
            _ => None,
        };
        match (name.as_slice(), times) {
            (_, Some((start, duration))) if self.segment.is_none() => {
                self.segment = Some((self.open.len(), Segment { start, duration, text: String::new() }));
            }
            (b"br", _) => self.text(LINE_END),
            (b"s", _) if attribute(tag, "ac").is_some() => self.transcript.is_generated = Some(true),
            _ => {}
        }
        self.open.push(tag.name().0.to_vec());
        Ok(())
    }

    fn root(&mut self, name: &[u8], tag: &BytesStart) -> Result<Form, String> {
        let form = match name {
            b"transcript" => Form::Srv1,
            b"timedtext" => Form::Timed,
            b"tt" => Form::Ttml,
            other => {
                let name = String::from_utf8_lossy(other).chars().take(60).collect::<String>();
                return Err(format!("an XML document with the root \"{name}\": no known form of a transcript"));
            }
        };
        self.transcript.language_code = attribute(tag, "xml:lang").filter(|code| is_language(code));
        self.form = Some(form);
        Ok(form)
    }

    /// Closes the innermost element; the reader has checked its name.
    fn close(&mut self) {
        self.open.pop();
        if self.segment.as_ref().is_some_and(|(depth, _)| *depth == self.open.len())
            && let Some((_, mut segment)) = self.segment.take()
        {
            segment.text = match self.form {
                Some(Form::Ttml) => lines(&segment.text),
                _ => plain(&segment.text.replace(LINE_END, "\n")).trim().to_owned(),
            };
            if !segment.text.is_empty() {
                self.transcript.segments.push(segment);
            }
        }
    }

    fn text(&mut self, text: &str) {
        if let Some((_, segment)) = &mut self.segment {
            segment.text.push_str(text);
        }
    }

    fn finish(self) -> Result<Transcript, String> {
        match (self.form, self.open.last()) {
            (_, Some(name)) => Err(format!("the XML is cut off inside <{}>", String::from_utf8_lossy(name))),
            (None, None) => Err("an XML document without elements, not a transcript".to_owned()),
            (Some(_), None) => Ok(self.transcript),
        }
    }
}

/// The attribute `name` of a tag, unescaped.
fn attribute(tag: &BytesStart, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|attribute| attribute.key.0 == name.as_bytes())?;
    Some(entities(&String::from_utf8_lossy(&found.value)).into_owned())
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn ttml_times(tag: &BytesStart) -> (Option<f64>, Option<f64>) {
    let time = |name| attribute(tag, name).and_then(|text| ttml_time(text.trim()));
    let (start, end) = (time("begin"), time("end"));
    let duration = time("dur").or_else(|| Some(rounded(end? - start?)));
    (start, duration)
}

/// Seconds of `00:00:01.500`, `1.5s`, `1500ms`, `2m`, `1h`.
fn ttml_time(text: &str) -> Option<f64> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let unit = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    match unit {
        Some((count, seconds)) => number(count).map(|count| rounded(count * seconds)),
        None => clock(text),
    }
}

/// Text with white space folded in each line, as XML's layout means nothing, and without empty lines.
fn lines(text: &str) -> String {
    let fold = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split(LINE_END).map(fold).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

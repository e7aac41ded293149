//! The XML forms of transcripts, told apart by their root and its children.
//!
//! | root | children | form | times |
//! |---|---|---|---|
//! | `transcript` | `text start dur` | srv1 | seconds |
//! | `timedtext` | `text t d` | srv2 | milliseconds |
//! | `timedtext` | `body/p t d`, words in `s` | srv3 | milliseconds |
//! | `tt` | `body/div/p begin end\|dur` | TTML (DFXP) | see [`super::ttml`] |
//!
//! In srv1 and srv2 the text is mark-up of its own inside the XML (`&amp;#39;`, `&lt;i>`): it is decoded twice and its tags
//! are removed, as youtube-transcript-api does. Elements without text (srv3 breaks lines with them) are no segments. All of
//! HTML's entities are expanded, a `&` that begins none stays, and nothing is ever fetched.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::cues::between;
use super::markup::{entities, plain};
use super::name::is_language;
use super::transcript::{Segment, Transcript};
use super::ttml::{Clock, Span};

/// What `<br/>` is while its paragraph is read: no layout of the XML itself holds it.
const LINE_END: &str = "\u{2028}";

/// How deep elements may be nested; TTML's deepest are at about 10.
const DEPTH_MAX: usize = 200;

/// Reads an XML document.
///
/// # Errors
/// What it seems to be instead, or where it is damaged.
pub(super) fn read(text: &str) -> Result<Transcript, String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
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
    /// The open elements.
    open: Vec<Element>,
    /// The segment whose element is open, and how deep that stands.
    segment: Option<(usize, Segment)>,
    /// What times mean in this TTML.
    clock: Clock,
}

struct Element {
    name: String,
    /// TTML: the time that it spans, or what its parent spans.
    span: Span,
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
        let local = tag.local_name();
        let name = local.as_ref();
        let form = match self.form {
            Some(form) => form,
            None => self.root(name, tag)?,
        };
        if self.open.len() == DEPTH_MAX {
            return Err(format!("an XML document nested more than {DEPTH_MAX} deep, not a transcript"));
        }
        let parent = self.open.last().map(|element| element.span).unwrap_or_default();
        let mut span = parent;
        let millis = |name| attribute(tag, name).and_then(|text| number(&text)).map(|number| number / 1000.0);
        let seconds = |name| attribute(tag, name).and_then(|text| number(&text));
        match (form, name) {
            (Form::Srv1, b"text") => self.begin(seconds("start"), seconds("dur")),
            (Form::Timed, b"text" | b"p") => self.begin(millis("t"), millis("d")),
            (Form::Ttml, b"body" | b"div" | b"p" | b"span") => {
                span = self.clock.span(parent, |name| attribute(tag, name));
                self.ttml(name, span)?;
            }
            (_, b"s") if attribute(tag, "ac").is_some() => self.transcript.is_generated = Some(true),
            (_, b"br") => self.text(LINE_END),
            _ => {}
        }
        if form == Form::Ttml && self.transcript.language_code.is_none() && matches!(name, b"body" | b"div" | b"p") {
            self.transcript.language_code = attribute(tag, "xml:lang").filter(|code| is_language(code));
        }
        self.open.push(Element { name: String::from_utf8_lossy(tag.name().0).into_owned(), span });
        Ok(())
    }

    /// Begins a segment, unless one is open.
    fn begin(&mut self, start: Option<f64>, duration: Option<f64>) {
        if self.segment.is_none() {
            self.segment = Some((self.open.len(), Segment { start, duration, text: String::new() }));
        }
    }

    /// A paragraph of TTML begins a segment; in one without times of its own, its spans' times count.
    fn ttml(&mut self, name: &[u8], span: Span) -> Result<(), String> {
        match (name, &mut self.segment) {
            (b"p", None) => {
                let (start, end) = (span.begin, span.end);
                self.begin(start, start.zip(end).and_then(|(start, end)| between(start, end)));
            }
            (b"span", Some((_, segment))) if span.is_own => {
                let start = *segment.start.get_or_insert(span.begin.unwrap_or_default());
                let before = segment.duration.map_or(start, |duration| start + duration);
                if segment.duration.is_none() || self.open.last().is_some_and(|parent| !parent.span.is_own) {
                    segment.duration = span.end.and_then(|end| between(start, end.max(before)));
                }
            }
            _ => {}
        }
        match span.unreadable {
            true => Err("the TTML has a time that cannot be read".to_owned()),
            false => Ok(()),
        }
    }

    fn root(&mut self, name: &[u8], tag: &BytesStart) -> Result<Form, String> {
        let form = match name {
            b"transcript" => Form::Srv1,
            b"timedtext" => Form::Timed,
            b"tt" => Form::Ttml,
            b"transcript_list" => return Err("a list of a video's caption tracks, not a transcript".to_owned()),
            other => {
                let name = String::from_utf8_lossy(other).chars().take(60).collect::<String>();
                return Err(format!("an XML document with the root \"{name}\": no known form of a transcript"));
            }
        };
        self.clock = Clock::of(|name| attribute(tag, name));
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
            (_, Some(element)) => Err(format!("the XML is cut off inside <{}>", element.name)),
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

/// Text with white space folded in each line, as XML's layout means nothing, and without empty lines.
fn lines(text: &str) -> String {
    let fold = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split(LINE_END).map(fold).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

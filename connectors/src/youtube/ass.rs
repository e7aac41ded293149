//! SubStation Alpha (ASS, SSA), which yt-dlp can convert captions to.
//!
//! Of the section `[Events]` the lines `Dialogue:` are segments; `Format:` says in which order their fields come. Overrides
//! (`{\i1}`) are removed, `\N` and `\n` end a line, `\h` is a hard space. `Title:` in `[Script Info]` is the title.

use super::clock::clock;
use super::cues::between;
use super::transcript::{Segment, Transcript};

/// The fields of a line where the document does not say: version 4+.
const FIELDS: &str = "Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text";

pub(super) fn is_ass(body: &str) -> bool {
    body.get(..13).is_some_and(|head| head.eq_ignore_ascii_case("[Script Info]"))
}

/// Reads a document that begins with `[Script Info]`.
///
/// # Errors
/// A line whose times cannot be read, by its number.
pub(super) fn read(text: &str) -> Result<Transcript, String> {
    let mut transcript = Transcript::default();
    let mut fields = names(FIELDS);
    for (line, number) in text.lines().zip(1..) {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim() {
            "Title" if !value.trim().is_empty() => transcript.title = Some(value.trim().to_owned()),
            "Format" if value.contains("Start") => fields = names(value),
            "Dialogue" => {
                let segment = dialogue(value, &fields);
                let segment = segment.ok_or_else(|| format!("line {number} of the ASS has no times or no text"))?;
                transcript.segments.push(segment);
            }
            _ => {}
        }
    }
    transcript.segments.retain(|segment| !segment.text.is_empty());
    Ok(transcript)
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// The segment of a line's values; text, the last field, may hold commas.
fn dialogue(values: &str, fields: &[String]) -> Option<Segment> {
    let values: Vec<&str> = values.splitn(fields.len(), ',').collect();
    let value = |name: &str| values.get(fields.iter().position(|field| field == name)?).copied();
    let (start, end) = (clock(value("start")?)?, clock(value("end")?)?);
    let text = without_overrides(value("text")?).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", "\u{a0}");
    let text = text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    Some(Segment { start: Some(start), duration: between(start, end), text })
}

fn without_overrides(text: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("{\\") {
        let Some((_, behind)) = after.split_once('}') else { break };
        plain.push_str(before);
        rest = behind;
    }
    plain + rest
}

//! WebVTT, as yt-dlp and YouTube write it.
//!
//! Blocks are parted by empty lines (a line with a space in it is not empty, and YouTube's generated captions have such
//! lines). The first block is the header, whose `Language:` and `Video:` lines are kept; blocks without a time line are
//! comments, styles and regions, and are skipped. Cue settings behind the times are skipped too.

use super::cues::{Cue, segments, timing};
use super::name::{has_id_form, is_language};
use super::transcript::Transcript;

/// Reads a document that begins with `WEBVTT`.
///
/// # Errors
/// A time line that cannot be read, by its number.
pub(super) fn read(text: &str) -> Result<Transcript, String> {
    let mut transcript = Transcript::default();
    let mut lines = text.lines().zip(1usize..);
    for (line, _) in lines.by_ref().take_while(|(line, _)| !line.is_empty()) {
        header(line, &mut transcript);
    }
    let mut cues = Vec::<Cue>::new();
    let mut in_cue = false;
    let mut skip = false;
    let mut begins = true;
    for (line, number) in lines {
        if line.is_empty() {
            (in_cue, skip, begins) = (false, false, true);
            continue;
        }
        skip |= begins && ["NOTE", "STYLE", "REGION"].iter().any(|word| is_word(line, word));
        begins = false;
        if skip {
            continue;
        }
        if line.contains("-->") {
            let times =
                timing(line).ok_or_else(|| format!("line {number} of the WebVTT has no times around \"-->\""))?;
            cues.push(Cue::new(times));
            in_cue = true;
        } else if in_cue && let Some(cue) = cues.last_mut() {
            cue.push(line);
        }
    }
    let (segments, rolling) = segments(cues);
    transcript.segments = segments;
    transcript.is_generated = rolling.then_some(true);
    Ok(transcript)
}

fn header(line: &str, transcript: &mut Transcript) {
    let Some((name, value)) = line.split_once(':') else { return };
    let value = value.trim();
    match name.trim().to_ascii_lowercase().as_str() {
        "language" if is_language(value) => transcript.language_code = Some(value.to_owned()),
        "language" if !value.is_empty() => transcript.language = Some(value.to_owned()),
        "video" if has_id_form(value) => transcript.video_id = Some(value.to_owned()),
        "title" if !value.is_empty() => transcript.title = Some(value.to_owned()),
        _ => {}
    }
}

/// Whether `line` is `word`, alone or before a blank.
fn is_word(line: &str, word: &str) -> bool {
    line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ':']))
}

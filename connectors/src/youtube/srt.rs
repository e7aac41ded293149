//! SRT (SubRip), as yt-dlp and editors write it, and as people mend it: LF or CRLF, with or without numbers, with empty
//! lines inside a caption, without one at the end or between captions.

use super::cues::{Cue, segments, timing};
use super::transcript::Transcript;

/// Whether a document looks like SRT: its first line is a time line, or a number before one.
pub(super) fn is_srt(body: &str) -> bool {
    let mut lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    timing(first).is_some() || (is_number(first) && lines.next().is_some_and(|line| line.contains("-->")))
}

/// Reads SRT.
///
/// # Errors
/// A time line that cannot be read, by its number.
pub(super) fn read(text: &str) -> Result<Transcript, String> {
    let lines = text.lines().collect::<Vec<_>>();
    let mut cues = Vec::<Cue>::new();
    for (index, line) in lines.iter().enumerate() {
        let line = line.trim();
        if let Some(times) = timing(line) {
            cues.push(Cue::new(times));
        } else if is_number(line) && lines.get(index + 1).is_some_and(|next| next.contains("-->")) {
            if timing(lines[index + 1].trim()).is_none() {
                return Err(format!("line {} of the SRT has no times around \"-->\"", index + 2));
            }
        } else if let Some(cue) = cues.last_mut()
            && !is_last_number(line, index, &lines)
        {
            cue.push(line);
        }
    }
    let (segments, rolling) = segments(cues);
    Ok(Transcript { segments, is_generated: rolling.then_some(true), ..Transcript::default() })
}

fn is_number(line: &str) -> bool {
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the file ends with this number, behind an empty line: a caption that was cut off before its times.
fn is_last_number(line: &str, index: usize, lines: &[&str]) -> bool {
    is_number(line)
        && index > 0
        && lines[index - 1].trim().is_empty()
        && lines[index + 1..].iter().all(|line| line.trim().is_empty())
}

//! Says in the log when the transcript of one file takes the place of another file's.
//!
//! The key of a transcript is its video, language and track; of several files with one key the last one read stands, as the
//! format says. Whoever keeps a track in two formats wants that; whoever did not know that two files are one track would
//! miss rows. What is kept here serves the log alone: of the first [`KEYS_MAX`] transcripts of a run, in some 100 bytes each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::Xxh3;

use super::transcript::Transcript;

/// How many transcripts are remembered, and how many lines are written.
const KEYS_MAX: usize = 100_000;
const LINES_MAX: u32 = 20;

/// The files of a run's transcripts by key.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    files: HashMap<u128, Box<str>>,
    lines: u32,
}

impl Replaced {
    /// Takes note of a transcript that was read from `file`.
    pub(super) fn note(&self, transcript: &Transcript, file: &str) {
        if let Some(before) = self.file_before(transcript, file) {
            let (video, language) = (transcript.video_id.as_deref(), transcript.language_code.as_deref());
            tracing::warn!(
                video,
                language,
                track = transcript.track.as_deref(),
                file,
                replaced = %before,
                "two files hold one track of a video; the one read later stands"
            );
        }
    }

    /// The other file that held the transcript of this key, if it shall be written down.
    fn file_before(&self, transcript: &Transcript, file: &str) -> Option<Box<str>> {
        let mut hash = Xxh3::new();
        for part in [&transcript.video_id, &transcript.language_code, &transcript.track] {
            hash.update(part.as_deref().unwrap_or_default().as_bytes());
            hash.update(&[0xff, u8::from(part.is_some())]);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = seen.files.len() >= KEYS_MAX;
        let before = match seen.files.entry(hash.digest128()) {
            Entry::Occupied(mut entry) if **entry.get() != *file => entry.insert(file.into()),
            Entry::Vacant(entry) if !is_full => {
                entry.insert(file.into());
                return None;
            }
            _ => return None,
        };
        seen.lines += 1;
        if seen.lines == LINES_MAX {
            tracing::warn!("more files hold one track of a video; they are not written down any more");
        }
        (seen.lines < LINES_MAX).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_with_the_same_key_is_said_some_times() {
        let replaced = Replaced::default();
        let track = |track: Option<&str>| Transcript { track: track.map(str::to_owned), ..Transcript::default() };
        assert_eq!(replaced.file_before(&track(None), "a"), None);
        assert_eq!(replaced.file_before(&track(Some("orig")), "b"), None);
        assert_eq!(replaced.file_before(&track(None), "a"), None, "the file again");
        assert_eq!(replaced.file_before(&track(None), "c").as_deref(), Some("a"));
        assert_eq!(replaced.file_before(&track(None), "a").as_deref(), Some("c"));
        let said = (0..100).filter(|file| replaced.file_before(&track(None), &file.to_string()).is_some()).count();
        assert_eq!(said, LINES_MAX as usize - 3);
    }
}

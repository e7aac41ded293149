//! `youtube_video_ids(text) -> list`: the ids of the YouTube videos that a text links, each once, in order of first
//! appearance. An id is eleven of `A–Z a–z 0–9 _ -`.
//!
//! **Model.** Everything starts at the letters `youtu` in any case. From there to the next white space, quote, `)`, `<` or
//! `>` is one *link*, which may hold further links (as an argument of its own, percent-encoded or not). Behind each host of
//! the link two things name videos:
//!
//! | what | where | examples |
//! |---|---|---|
//! | path | right behind the host | `youtu.be/ID`; `youtube.com/` + `embed/ID`, `shorts/ID`, `live/ID`, `v/ID`, `e/ID`, `vi/ID`, `watch/ID` |
//! | argument | anywhere behind it, after `?`, `&`, `#`, `!` or `;` | `v=ID`, `video_id=ID`, `video_ids=ID,ID`, `#p/u/1/ID` |
//!
//! A host is `youtu.be`, or any name that goes on from `youtube` and has a dot: `youtube.com` with whatever stands before
//! it (`m.`, `music.`, `gaming.`), `youtube-nocookie.com`, `youtube.googleapis.com`, `youtube.co.uk`, and sites of others
//! that follow YouTube's forms. Delimiters may be percent-encoded, also twice (`watch%3Fv%3DID`, `%252F`): so
//! `attribution_link?u=/watch%3Fv%3DID`, `oembed?url=…` and search engines' redirects are found; `&amp;` is an ampersand,
//! and `\_` in an id is Reddit's Markdown for `_`.
//!
//! **Where an id ends.** The forms that everybody's regular expression finds, which is
//! `(?:youtube\.com/(?:watch\?(?:[^\s)"']*&)?v=|shorts/|embed/)|youtu\.be/)([A-Za-z0-9_-]{11})`,
//! give the first eleven characters whatever follows, so that answers compare. In every other form a twelfth character of
//! an id makes it none: a channel's or a playlist's name must not become a video.
//!
//! Differences from that expression, all on purpose: `embed/videoseries` and `embed/live_stream` are players, not videos;
//! and of several `v=` in one link all count, where the expression takes the last.
//!
//! **Not found**: ids without `youtu` before them (`y2u.be`, `ytimg.com`), in paths of other sites
//! (`psu.edu/youtube/ID`), `src_vid=` (where a viewer came from).
//!
//! **Cost.** Texts without `youtu` cost three searches of the column's buffers by `memchr`; a link costs its length once,
//! however many hosts it repeats.

mod link;

use std::sync::{Arc, LazyLock};

use catchment_contract::arrow::array::{Array, ArrayRef, ListArray, StringViewArray};
use catchment_contract::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use catchment_contract::{Error, Result};
use datafusion_expr::ScalarUDF;
use memchr::memmem::Finder;

use self::link::Ids;
use super::text_to_list::{TextToList, item_field, views};

/// The function's name in SQL.
pub(super) const NAME: &str = "youtube_video_ids";

/// The shortest text with a link: `youtu.be/` and an id.
const LINK_BYTES_MIN: usize = 20;

/// The spellings of `youtu` that people and their keyboards write, by their last letters.
static SPELLINGS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [Finder::new("outu"), Finder::new("ouTu"), Finder::new("OUTU")]);

/// The ids that each text links: a list column of `Utf8View`, null where the text is.
///
/// # Errors
/// If the batch holds more than 2³¹ − 1 ids, which a list column cannot number.
pub fn youtube_video_ids(text: &StringViewArray) -> Result<ListArray> {
    let maybe = Suspects::of(text);
    let mut ids = Ids::default();
    let mut offsets = Vec::with_capacity(text.len() + 1);
    offsets.push(0);
    for row in 0..text.len() {
        if maybe.has(text, row) {
            ids.next_text(text.value(row).as_bytes());
        }
        offsets.push(i32::try_from(ids.views().len()).map_err(|_| {
            Error::user("a batch of texts links more than 2147483647 videos")
                .with_hint("feed youtube_video_ids() smaller batches")
        })?);
    }
    let broken = |error| Error::bug("the result of youtube_video_ids() is not a list").with_source(error);
    let values = StringViewArray::try_new(ids.into_views().into(), vec![], None).map_err(broken)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    ListArray::try_new(item_field(), offsets, Arc::new(values), text.nulls().cloned()).map_err(broken)
}

/// The SQL function.
pub(super) fn udf() -> Arc<ScalarUDF> {
    TextToList::udf(NAME, |text: &ArrayRef| Ok(Arc::new(youtube_video_ids(&views(NAME, text)?)?)))
}

/// Which rows may hold a link.
enum Suspects {
    /// Places of `youtu` in each of the column's buffers, ascending.
    Places(Vec<Vec<u32>>),
    /// The rows refer to a small part of the buffers: each is searched alone.
    EachRow,
}

impl Suspects {
    fn of(text: &StringViewArray) -> Self {
        let referred = text.views().iter().map(|view| u64::from(*view as u32)).sum::<u64>();
        let held = text.data_buffers().iter().map(|buffer| buffer.len() as u64).sum::<u64>();
        if held > referred.saturating_mul(2) {
            return Suspects::EachRow;
        }
        Suspects::Places(text.data_buffers().iter().map(|buffer| places(buffer)).collect())
    }

    /// Whether `row` is text in which `youtu` stands, in one of the spellings.
    fn has(&self, text: &StringViewArray, row: usize) -> bool {
        let view = text.views()[row];
        let length = view as u32 as usize;
        if length < LINK_BYTES_MIN || text.is_null(row) {
            return false;
        }
        match self {
            Suspects::Places(places) => {
                let places = &places[(view >> 64) as u32 as usize];
                let (from, to) = ((view >> 96) as usize, (view >> 96) as usize + length);
                let next = places.partition_point(|place| (*place as usize) < from);
                places.get(next).is_some_and(|place| (*place as usize) < to)
            }
            Suspects::EachRow => {
                let bytes = text.value(row).as_bytes();
                SPELLINGS.iter().any(|spelling| spelling.find(bytes).is_some())
            }
        }
    }
}

/// Where the spellings stand in a buffer (at most 2³² − 1 bytes long, as views' offsets are), ascending.
fn places(buffer: &[u8]) -> Vec<u32> {
    let mut places = Vec::new();
    for spelling in SPELLINGS.iter() {
        places.extend(spelling.find_iter(buffer).map(|place| place as u32));
    }
    places.sort_unstable();
    places
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

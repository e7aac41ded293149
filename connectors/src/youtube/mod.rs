//! YouTube transcripts: `connector = 'youtube'`, with the option `path` (a file, a folder with everything below it, or a
//! glob). One file is one document; one row is one segment of it.
//!
//! | column | type | what |
//! |---|---|---|
//! | `video_id` | text | from the document, else from the file's name, else its path: see below |
//! | `language_code` | text, nullable | `en`, `pt-BR`, … from the document, else from the name |
//! | `track` | text, nullable | which of several tracks of the language: see below |
//! | `is_generated` | boolean, nullable | whether captions were made by speech recognition, where something tells |
//! | `segment` | integer | number of the segment in the document, from 0 |
//! | `start` | float, nullable | seconds from the video's start; null in a transcript without times |
//! | `duration` | float, nullable | seconds that the segment is shown |
//! | `text` | text | what is said; lines of one caption are parted by `\n` |
//! | `language` | text, nullable | the language's name as the document has it (`English (auto-generated)`) |
//! | `title` | text, nullable | the video's title, where the document has it |
//! | `file` | text | the file's path below the source's root |
//!
//! **Tracks.** A video may have several tracks of one language. `track` is what the document or the file's name calls it
//! (`orig`, `nP7-2PuUl7o`, `en` for what YouTube translated from English, `sdh`), else `generated` if speech recognition made
//! it, else null. So captions by hand and generated ones are kept side by side.
//!
//! **Replacement.** The key is (`video_id`, `language_code`, `track`), and a document replaces the whole transcript of its
//! key. A transcript without segments replaces it with nothing. Of several files with one key (a track in several formats)
//! the one read last stands, and a line in the log says so.
//!
//! **Formats**, told apart by content and never by name ([`transcript`] has the order): youtube-transcript-api's list and
//! its raw form since 1.0, `{info, transcript}` and `{lang, availableLangs, content}` with milliseconds, YouTube's json3,
//! srv1, srv2 and srv3 and its transcript panel, Whisper's JSON, other JSON lists of texts with times, WebVTT, SRT, SBV, ASS,
//! LRC, TTML, and plain text in a file that is named after its video. All of them packed with zstd, gzip or bzip2, or not,
//! in UTF-8 or UTF-16.
//!
//! **Times** are seconds to the microsecond. A caption that ends before it starts has no duration; a start below 0 is kept.
//!
//! **Rejects.** A document becomes rows or exactly one reject, whose reason says what it seems to be: a watch, consent or
//! captcha page, an error object, an empty file, captions of an unknown format, damage with its place. The info JSON of a
//! video or list, which yt-dlp writes beside transcripts, is neither: it is passed over and counted as such.
//!
//! **Ids.** Captions whose document and name hold no id are kept all the same: their `video_id` is the file's path below
//! the source's root without language and extension, which never equals an id of YouTube's. See [`name`] for the rules.
//!
//! Limits: a document of 256 MiB (as in [`crate::files`]); starts of 10⁷ seconds.

mod ass;
mod captions;
mod clock;
mod columns;
mod cues;
mod decoder;
mod json;
mod language;
mod markup;
pub mod name;
mod replaced;
mod stamped;
mod text;
pub mod transcript;
mod ttml;
mod xml;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use catchment_contract::{
    Declaration, Decoder, Environment, Options, Partition, PartitionReader, Position, Relation, Replace, Result,
    Source, SourceConnector, Unfinished, Wake,
};

use self::decoder::TranscriptDecoder;
use self::replaced::Replaced;
use crate::files::{FileSet, Opened};

static RELATION: LazyLock<Relation> = LazyLock::new(|| Relation {
    schema: columns::schema(),
    key: vec![columns::VIDEO_ID, columns::LANGUAGE_CODE, columns::TRACK],
    replace: Replace::Payload,
});

/// Makes sources of transcripts.
#[derive(Clone, Debug)]
pub struct YoutubeConnector {
    environment: Environment,
}

impl YoutubeConnector {
    /// A connector that takes its time from `environment`.
    pub fn new(environment: &Environment) -> Self {
        YoutubeConnector { environment: environment.clone() }
    }
}

impl SourceConnector for YoutubeConnector {
    fn name(&self) -> &'static str {
        "youtube"
    }

    fn check(&self, _name: &str, declared: &Declaration, options: &mut Options) -> Result<Arc<dyn Source>> {
        declared.refuse_key(options.owner())?;
        Ok(Arc::new(Transcripts {
            files: FileSet::from_options(options, &self.environment)?,
            replaced: Arc::default(),
        }))
    }
}

/// A checked source: the transcripts among some files.
#[derive(Debug)]
struct Transcripts {
    files: FileSet,
    replaced: Arc<Replaced>,
}

impl Source for Transcripts {
    fn relation(&self) -> &Relation {
        &RELATION
    }

    fn definition(&self) -> String {
        "files of YouTube transcripts".into()
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        self.files.discover(known)
    }

    fn open(&self, partition: &Partition, unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        let opened = match self.files.open(partition)? {
            Opened::Text(file) if unfinished == Unfinished::Leave => file.settled()?,
            opened => opened,
        };
        Ok(match opened {
            Opened::Text(file) => Box::new(file.into_document(unfinished)),
            Opened::Decided(reader) => reader,
        })
    }

    fn decoder(&self, projection: &[usize]) -> Arc<dyn Decoder> {
        Arc::new(TranscriptDecoder::new(projection, Arc::clone(&self.replaced)))
    }

    fn watch(&self, wake: Wake) -> Result<Option<Box<dyn Send>>> {
        Ok(self.files.watch(wake))
    }
}

#[cfg(test)]
mod tests;

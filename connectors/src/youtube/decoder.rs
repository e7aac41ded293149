//! One document to rows, or to one reject.

use std::collections::BTreeSet;
use std::sync::Arc;

use catchment_contract::{Decoded, Decoder, Payload, Reject};

use super::columns;
use super::language::Tag;
use super::name::FileName;
use super::replaced::Replaced;
use super::transcript::{Kind, Refused, Transcript, read};

/// The track of what speech recognition made, if nothing else names it.
pub(super) const GENERATED: &str = "generated";

/// Decodes documents into the projected columns.
pub(super) struct TranscriptDecoder {
    projection: Vec<usize>,
    replaced: Arc<Replaced>,
}

impl TranscriptDecoder {
    pub(super) fn new(projection: &[usize], replaced: Arc<Replaced>) -> Self {
        TranscriptDecoder { projection: projection.to_vec(), replaced }
    }
}

impl Decoder for TranscriptDecoder {
    fn decode(&self, payload: &Payload) -> Decoded {
        let mut rejects = payload.rejects.clone();
        let (mut transcripts, mut passed_over) = (Vec::new(), 0);
        if rejects.is_empty() {
            match document(&payload.bytes, &payload.partition) {
                Ok(read) => transcripts = read,
                Err(Refused::Info) => passed_over = 1,
                Err(Refused::Reject(reason)) => rejects.push(Reject::new("document", Some(&payload.bytes), reason)),
            }
        }
        transcripts.iter().for_each(|transcript| self.replaced.note(transcript, &payload.partition));
        let records = if transcripts.is_empty() { rejects.len() as u64 } else { 1 };
        let (rows, tombstones) = columns::batch(&transcripts, &payload.partition, &self.projection);
        Decoded { rows, versions: None, tombstones, rejects, records, passed_over }
    }
}

/// The transcripts of the document `bytes` at `path`, each with its id, and at least one.
fn document(bytes: &[u8], path: &str) -> Result<Vec<Transcript>, Refused> {
    let name = FileName::of(path);
    if path.ends_with(".part") || path.ends_with(".ytdl") {
        return Err("a download that is not finished; it is read when it has its final name".to_owned().into());
    }
    let (kind, mut transcripts) = read(bytes)?;
    if let (Kind::Text, Some(format)) = (kind, &name.format) {
        let reason = format!("plain text in a file named .{format}; name it .txt if it is a transcript without times");
        return Err(reason.into());
    }
    if transcripts.is_empty() {
        return Err("an empty list: no transcript in it".to_owned().into());
    }
    let several = transcripts.len() > 1;
    for transcript in &mut transcripts {
        complete(transcript, &name);
    }
    if several {
        // Tracks of one video may share the id of the name; of several videos none may.
        let without = || transcripts.iter().filter(|transcript| transcript.video_id.is_none());
        let tracks: BTreeSet<_> = without().map(|transcript| (&transcript.language_code, &transcript.track)).collect();
        if tracks.len() < without().count() {
            return Err("several transcripts in one document without video ids or languages".to_owned().into());
        }
    }
    for transcript in &mut transcripts {
        if transcript.video_id.is_none() {
            let id = id_of(kind, transcript, &name);
            transcript.video_id = Some(id.ok_or_else(|| no_id(kind))?);
        }
    }
    Ok(transcripts.into_iter().flat_map(all_tracks).collect())
}

/// Adds what the name says of the track, and gives the track of generated captions its name.
fn complete(transcript: &mut Transcript, name: &FileName) {
    // A document's code may name the track too: `en-orig`, `a.en`.
    if let Some(code) = &transcript.language_code
        && let Some(tag) = Tag::of(code.strip_prefix("a.").unwrap_or(code))
    {
        let is_generated = tag.is_generated || code.starts_with("a.");
        transcript.is_generated = transcript.is_generated.or(is_generated.then_some(true));
        transcript.track = transcript.track.take().or(tag.track);
        transcript.language_code = tag.language;
    }
    transcript.language_code = transcript.language_code.take().or_else(|| name.language.clone());
    transcript.track = transcript.track.take().or_else(|| name.track.clone());
    transcript.is_generated = transcript.is_generated.or(name.is_generated.then_some(true));
    if transcript.is_generated == Some(true) {
        transcript.track.get_or_insert_with(|| GENERATED.to_owned());
    }
}

/// The transcript itself; one without segments, of which nothing says how it was made, also as the generated one: it
/// stands for whatever the file held before.
fn all_tracks(transcript: Transcript) -> Vec<Transcript> {
    let is_unknown = transcript.segments.is_empty() && transcript.track.is_none() && transcript.is_generated.is_none();
    let generated = is_unknown.then(|| Transcript { track: Some(GENERATED.to_owned()), ..transcript.clone() });
    [transcript].into_iter().chain(generated).collect()
}

/// The id that the name gives to a document without one. Text needs a name that is an id, nothing at all a name that
/// holds one; for captions any name will do.
fn id_of(kind: Kind, transcript: &Transcript, name: &FileName) -> Option<String> {
    match kind {
        Kind::Text => name.id.clone().filter(|_| name.is_bare),
        Kind::Captions if transcript.segments.is_empty() => name.id.clone(),
        Kind::Captions => Some(name.id.clone().unwrap_or_else(|| name.path.clone())),
    }
}

fn no_id(kind: Kind) -> String {
    let what = match kind {
        Kind::Text => "plain text in a file that is not named after a video",
        Kind::Captions => "no segments, and no video id in the document or its name",
    };
    format!("{what}; name the file as in \"dQw4w9WgXcQ.en.txt\" if it is a transcript")
}

//! One document to rows, or to one reject.

use catchment_contract::{Decoded, Decoder, Payload, Reject};

use super::columns;
use super::name::FileName;
use super::transcript::{Kind, Transcript, read};

/// Decodes documents into the projected columns.
pub(super) struct TranscriptDecoder {
    projection: Vec<usize>,
}

impl TranscriptDecoder {
    pub(super) fn new(projection: &[usize]) -> Self {
        TranscriptDecoder { projection: projection.to_vec() }
    }
}

impl Decoder for TranscriptDecoder {
    fn decode(&self, payload: &Payload) -> Decoded {
        let mut rejects = payload.rejects.clone();
        let mut transcripts = Vec::new();
        if rejects.is_empty() {
            match document(&payload.bytes, &payload.partition) {
                Ok(read) => transcripts = read,
                Err(reason) => rejects.push(Reject::new("document", Some(&payload.bytes), reason)),
            }
        }
        let records = if transcripts.is_empty() { rejects.len() as u64 } else { 1 };
        let (rows, tombstones) = columns::batch(&transcripts, &payload.partition, &self.projection);
        Decoded { rows, versions: None, tombstones, rejects, records, passed_over: 0 }
    }
}

/// The transcripts of the document `bytes` at `path`, each with its id, and at least one.
fn document(bytes: &[u8], path: &str) -> Result<Vec<Transcript>, String> {
    let (kind, mut transcripts) = read(bytes)?;
    let name = FileName::of(path);
    let several = transcripts.len() > 1;
    for transcript in &mut transcripts {
        if transcript.video_id.is_none() {
            let id = if several { None } else { id_of(kind, transcript, &name) };
            transcript.video_id = Some(id.ok_or_else(|| no_id(kind, transcript))?);
        }
        if transcript.language_code.is_none() {
            transcript.language_code.clone_from(&name.language);
        }
        if transcript.is_generated.is_none() && name.is_generated {
            transcript.is_generated = Some(true);
        }
    }
    match transcripts.is_empty() {
        true => Err("an empty list: no transcript in it".to_owned()),
        false => Ok(transcripts),
    }
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

fn no_id(kind: Kind, transcript: &Transcript) -> String {
    let what = match kind {
        Kind::Text => "plain text in a file that is not named after a video",
        Kind::Captions if transcript.segments.is_empty() => "no segments, and no video id in the document or its name",
        Kind::Captions => "several transcripts in one document without video ids",
    };
    format!("{what}; name the file as in \"dQw4w9WgXcQ.en.txt\" if it is a transcript")
}

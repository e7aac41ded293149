//! What a file's name tells: the video's id, the language and its track, whether captions were generated.
//!
//! From the last part of the path, extensions of packers (`.zst`, `.gz`, `.bz2`) and of formats (`.json`, `.vtt`, …) are
//! cut off, then the language's tag and words beside it: `.en`, `.pt-BR`, `.en-orig`, `.a.en`, `.en.auto` (see
//! [`super::language`]). In what remains, the *stem*, the first of these that holds names the video:
//! 1. the last `[ID]`, as yt-dlp writes it;
//! 2. the whole stem;
//! 3. an id at its beginning with a language's tag behind a separator (`ID_en`, `ID-en-US`);
//! 4. an id at the stem's end behind a separator (`supadata_ID`, `Title-ID`);
//! 5. an id at its beginning before one (`ID - title`);
//! 6. the last id between two separators;
//! 7. the folder's name, if it is an id.
//!
//! An *id* is eleven of `A–Z a–z 0–9 _ -` that do not read as words: see [`is_id`]. So `transcripts.json` and
//! `dot-product/en.vtt` have none; one id in ten thousand is not recognised for it. Of folders more is asked, since most are
//! named with words: `JavaScripts`, `podcast2023`, `season01ep2`. One id in fifty is not recognised as a folder.
//! Separators are everything but letters and digits, so `-` and `_` are, though ids hold them too.
//!
//! Without a language in the extension, one that is joined to the id (`ID_en`), the whole name in a folder (`ID/en`), one in
//! brackets before a title (`[English] …`), then the folder's name (`en`, `english`) counts.

pub(super) use super::language::is_language;
use super::language::{Tag, named};

/// Characters of an id.
const ID_BYTES: usize = 11;

/// Extensions of packers, of plain text and of what may be anything.
const EXTENSIONS: [&str; 9] = ["zst", "gz", "bz2", "txt", "text", "static", "transcript", "html", "raw"];

/// Extensions of formats in which text without times is damage and no plain text.
const FORMATS: [&str; 18] = [
    "json", "json3", "jsonl", "ndjson", "vtt", "webvtt", "srt", "sbv", "sub", "ass", "ssa", "lrc", "xml", "srv1",
    "srv2", "srv3", "ttml", "dfxp",
];

/// How many runs of letters in one case and of digits a folder's name has at least if it is an id.
const FOLDER_RUNS_MIN: usize = 5;

/// What a path tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The video's id.
    pub id: Option<String>,
    /// Whether the stem is the id and nothing else, perhaps with a language or a title around brackets.
    pub is_bare: bool,
    /// The language's code.
    pub language: Option<String>,
    /// Which of several tracks of the language.
    pub track: Option<String>,
    /// Whether the name says that speech recognition made it.
    pub is_generated: bool,
    /// The extension of a format other than plain text, in small letters.
    pub format: Option<String>,
    /// The path without extensions and language.
    pub path: String,
}

impl FileName {
    /// Reads `path`, whose parts are parted by `/`.
    pub fn of(path: &str) -> Self {
        let (folders, file) = path.rsplit_once('/').map_or(("", path), |(folders, file)| (folders, file));
        let folder = folders.rsplit('/').next().unwrap_or_default();
        let (stem, format) = without_extensions(file);
        let (stem, mut tag) = without_tag(without_copy(stem));
        let found = find_id(stem);
        // In a folder of the video's a file may be called after its language alone.
        let is_tag = tag.language.is_none() && found.is_none() && !folder.is_empty();
        let whole = if is_tag { Tag::of(stem).or_else(|| named_tag(stem)) } else { None };
        let path = match (folders.is_empty(), &whole) {
            (true, _) => stem.to_owned(),
            (false, None) => format!("{folders}/{stem}"),
            (false, Some(_)) => folders.to_owned(),
        };
        tag = tag.or(whole.unwrap_or_default());
        let mut joined = false;
        if let Some((at, end)) = found {
            let sides = [&stem[end..], &stem[..at]]
                .map(|rest| rest.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-'));
            if tag.language.is_none()
                && let Some((is_behind, found)) = [true, false]
                    .into_iter()
                    .zip(sides)
                    .find_map(|(is_behind, rest)| Some((is_behind, joined_tag(rest)?)))
            {
                joined = is_behind && at == 0;
                tag = tag.or(found);
            }
        }
        let is_bare = found.is_some_and(|(at, end)| {
            end - at == stem.len() || (stem[..at].ends_with('[') && &stem[end..] == "]") || joined
        });
        let in_folder = || is_folder_id(folder).then(|| folder.to_owned());
        let lower = file.to_ascii_lowercase();
        tag.is_generated |= lower.contains("auto_generated") || lower.contains("auto-generated");
        FileName {
            id: found.map(|(at, end)| stem[at..end].to_owned()).or_else(in_folder),
            is_bare,
            language: tag.language.or_else(|| title_language(stem)).or_else(|| folder_language(folder)),
            track: tag.track,
            is_generated: tag.is_generated,
            format: format.map(str::to_ascii_lowercase),
            path,
        }
    }
}

/// Whether `text` is eleven characters of an id that do not read as words: with a digit beside a letter, or with capitals
/// inside a word.
pub fn is_id(text: &str) -> bool {
    has_id_form(text) && !reads_as_words(text)
}

/// Whether `text` is eleven characters of an id.
pub fn has_id_form(text: &str) -> bool {
    text.len() == ID_BYTES && text.bytes().all(is_id_byte)
}

/// The file's name without extensions, and the last of them that names a format.
fn without_extensions(file: &str) -> (&str, Option<&str>) {
    let is_one_of = |list: &[&str], extension: &str| list.iter().any(|known| known.eq_ignore_ascii_case(extension));
    let (mut stem, mut format) = (file, None);
    while let Some((before, extension)) = stem.rsplit_once('.')
        && !before.is_empty()
    {
        if is_one_of(&FORMATS, extension) {
            format = format.or(Some(extension));
        } else if !is_one_of(&EXTENSIONS, extension) {
            break;
        }
        stem = before;
    }
    (stem, format)
}

/// The stem without the language's tag at its end and the words around it.
fn without_tag(stem: &str) -> (&str, Tag) {
    let (mut rest, mut tag, mut words) = (stem, Tag::default(), Tag::default());
    while let Some((before, last)) = rest.rsplit_once('.')
        && !before.is_empty()
    {
        if tag.language.is_none()
            && let Some(found) = Tag::of(last)
        {
            tag = found;
        } else if !words.add_word(last) {
            break;
        }
        rest = before;
    }
    // Words without a language are part of the title: `A talk.cc.vtt`.
    let keeps = tag.language.is_some() || words.is_generated;
    if keeps { (rest, tag.or(words)) } else { (stem, Tag::default()) }
}

/// The stem without what a browser adds to the name of a second download: ` (1)`.
fn without_copy(stem: &str) -> &str {
    let number = stem.strip_suffix(')').and_then(|stem| stem.rsplit_once(" ("));
    let copied =
        number.filter(|(_, number)| (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()));
    copied.map_or(stem, |(stem, _)| stem)
}

/// The tag of a language that stands there with its name.
fn named_tag(name: &str) -> Option<Tag> {
    named(name).map(|code| Tag { language: Some(code.to_owned()), ..Tag::default() })
}

/// The language before a title, as downsub writes it: `[English (auto-generated)] Title`.
fn title_language(stem: &str) -> Option<String> {
    let name = stem.strip_prefix('[')?.split(']').next()?.split(" (").next()?;
    named(name).map(str::to_owned)
}

/// The tag in what stands beside an id: `_en`, `-en-US`, ` (English)`, `_en_auto`.
fn joined_tag(rest: &str) -> Option<Tag> {
    // The name of a track may end with a sign.
    let rest = rest.trim_start_matches(['_', '-']);
    let trimmed = rest.trim_end_matches(['_', '-']);
    if let Some(tag) = Tag::of(rest).or_else(|| Tag::of(trimmed)) {
        return Some(tag);
    }
    let rest = trimmed;
    if let Some(tag) = named_tag(rest) {
        return Some(tag);
    }
    let (language, word) = rest.split_once(['_', '.', ' '])?;
    let mut tag = Tag::of(language)?;
    tag.add_word(word).then_some(tag)
}

/// Where the id stands in the stem.
fn find_id(stem: &str) -> Option<(usize, usize)> {
    let at = |start: usize| {
        let end = start + ID_BYTES;
        stem.get(start..end).filter(|text| is_id(text)).map(|_| (start, end))
    };
    let free = |place: Option<&u8>| place.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let bytes = stem.as_bytes();
    let mut bracketed =
        stem.rmatch_indices('[').map(|(open, _)| open + 1).filter(|start| bytes.get(start + ID_BYTES) == Some(&b']'));
    if let Some(found) = bracketed.find_map(at) {
        return Some(found);
    }
    let stands_free = |start: &usize| {
        free(start.checked_sub(1).and_then(|before| bytes.get(before))) && free(bytes.get(start + ID_BYTES))
    };
    let last = bytes.len().checked_sub(ID_BYTES)?;
    let is_tagged = |(_, end): &(usize, usize)| joined_tag(&stem[*end..]).is_some();
    let tagged = Some(0).filter(stands_free).and_then(at).filter(is_tagged);
    tagged.or_else(|| [last, 0].into_iter().chain((0..last).rev()).filter(stands_free).find_map(at))
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether the parts between `-` and `_` are all numbers or all plain words: `dot-product`, `Transcripts`, `2020-01-01`.
fn reads_as_words(text: &str) -> bool {
    let plain = |part: &str| {
        let rest = part.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or(part);
        let lower = rest.bytes().all(|b| b.is_ascii_lowercase());
        lower || part.bytes().all(|b| b.is_ascii_uppercase()) || part.bytes().all(|b| b.is_ascii_digit())
    };
    text.split(['-', '_']).filter(|part| !part.is_empty()).all(plain)
}

/// Whether a folder's name is an id: it changes often between small letters, capitals and digits.
fn is_folder_id(folder: &str) -> bool {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 1,
        b'a'..=b'z' => 2,
        b'A'..=b'Z' => 3,
        _ => 0,
    };
    let begins = |(before, at): (u8, u8)| {
        let (before, at) = (class(before), class(at));
        // A capital before small letters begins their run.
        at != 0 && at != before && !(before == 3 && at == 2)
    };
    let runs = std::iter::once(b'-').chain(folder.bytes()).zip(folder.bytes()).filter(|pair| begins(*pair));
    is_id(folder) && runs.count() >= FOLDER_RUNS_MIN
}

fn folder_language(folder: &str) -> Option<String> {
    if is_language(folder) {
        return Some(folder.to_owned());
    }
    named(folder).map(str::to_owned)
}

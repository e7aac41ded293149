//! What a file's name tells: the video's id, the language, whether captions were generated.
//!
//! From the last part of the path, extensions of packers (`.zst`, `.gz`, `.bz2`) and of formats (`.json`, `.vtt`, …) are
//! cut off, then one `.en`, `.pt-BR` or `.a.en`: the language. In what remains, the *stem*, the first of these that holds
//! names the video:
//! 1. the last `[ID]`, as yt-dlp writes it;
//! 2. the whole stem;
//! 3. an id at the stem's end behind a separator (`supadata_ID`, `Title-ID`);
//! 4. an id at its beginning before one (`ID_en`, `ID - title`);
//! 5. the last id between two separators;
//! 6. the folder's name, if it is an id.
//!
//! An *id* is eleven of `A–Z a–z 0–9 _ -` that do not read as words: with a digit beside a letter, or with capitals inside
//! a word. So `transcripts.json` and `dot-product/en.vtt` have none; one id in ten thousand is not recognised for it.
//! Separators are everything but letters and digits, so `-` and `_` are, though ids hold them too.
//!
//! Without a language in the extension, one that is joined to the id (`ID_en`), then the folder's name (`en`, `english`)
//! counts.

/// Characters of an id.
const ID_BYTES: usize = 11;

const EXTENSIONS: [&str; 19] = [
    "zst",
    "gz",
    "bz2",
    "json",
    "json3",
    "vtt",
    "srt",
    "txt",
    "text",
    "xml",
    "srv1",
    "srv2",
    "srv3",
    "ttml",
    "dfxp",
    "static",
    "html",
    "raw",
    "transcript",
];

/// Codes of two letters (ISO 639-1, with the three that YouTube still writes in their old form) and the longer ones that
/// YouTube uses.
const LANGUAGES: &str = " aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz \
ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja \
jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng \
nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw \
ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu iw in ji \
asm bho ceb ckb cmn doi fil gom haw hmn ilo kri lus mai mni nso pcm yue zxx ";

const LANGUAGE_NAMES: [(&str, &str); 36] = [
    ("arabic", "ar"),
    ("bengali", "bn"),
    ("bulgarian", "bg"),
    ("chinese", "zh"),
    ("croatian", "hr"),
    ("czech", "cs"),
    ("danish", "da"),
    ("dutch", "nl"),
    ("english", "en"),
    ("finnish", "fi"),
    ("french", "fr"),
    ("german", "de"),
    ("greek", "el"),
    ("hebrew", "he"),
    ("hindi", "hi"),
    ("hungarian", "hu"),
    ("indonesian", "id"),
    ("italian", "it"),
    ("japanese", "ja"),
    ("korean", "ko"),
    ("malay", "ms"),
    ("marathi", "mr"),
    ("norwegian", "no"),
    ("persian", "fa"),
    ("polish", "pl"),
    ("portuguese", "pt"),
    ("romanian", "ro"),
    ("russian", "ru"),
    ("spanish", "es"),
    ("swedish", "sv"),
    ("tamil", "ta"),
    ("telugu", "te"),
    ("thai", "th"),
    ("turkish", "tr"),
    ("ukrainian", "uk"),
    ("vietnamese", "vi"),
];

/// What a path tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The video's id.
    pub id: Option<String>,
    /// Whether the stem is the id and nothing else, perhaps with a language or a title around brackets.
    pub is_bare: bool,
    /// The language's code.
    pub language: Option<String>,
    /// Whether the name says that speech recognition made it.
    pub is_generated: bool,
    /// The path without extensions and language.
    pub path: String,
}

impl FileName {
    /// Reads `path`, whose parts are parted by `/`.
    pub fn of(path: &str) -> Self {
        let (folders, file) = path.rsplit_once('/').map_or(("", path), |(folders, file)| (folders, file));
        let folder = folders.rsplit('/').next().unwrap_or_default();
        let (stem, mut language, automatic) = stem(file);
        let found = find_id(stem);
        if let (None, Some((at, end))) = (&language, found) {
            let joined = stem[end..].trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            language = [joined, stem[..at].trim_end_matches(|c: char| !c.is_ascii_alphanumeric())]
                .into_iter()
                .find(|rest| is_language(rest))
                .map(str::to_owned);
        }
        let is_bare = found.is_some_and(|(at, end)| {
            let joined = language.is_some() && stem.get(end + 1..) == language.as_deref();
            end - at == stem.len() || (stem[..at].ends_with('[') && &stem[end..] == "]") || joined
        });
        let in_folder = || (folder.len() == ID_BYTES && is_id(folder)).then(|| folder.to_owned());
        let path = if folders.is_empty() { stem.to_owned() } else { format!("{folders}/{stem}") };
        let lower = file.to_ascii_lowercase();
        FileName {
            id: found.map(|(at, end)| stem[at..end].to_owned()).or_else(in_folder),
            is_bare,
            language: language.or_else(|| folder_language(folder)),
            is_generated: automatic || lower.contains("auto_generated") || lower.contains("auto-generated"),
            path,
        }
    }
}

/// Whether `text` is eleven characters of an id that do not read as words.
pub fn is_id(text: &str) -> bool {
    has_id_form(text) && !reads_as_words(text)
}

/// Whether `text` is eleven characters of an id.
pub fn has_id_form(text: &str) -> bool {
    text.len() == ID_BYTES && text.bytes().all(is_id_byte)
}

/// Whether `text` is a language's code, perhaps with script, region or YouTube's own ending: `zh-Hans`, `en-orig`.
pub fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let code = parts.next().unwrap_or_default();
    let known = matches!(code.len(), 2 | 3) && LANGUAGES.split(' ').any(|known| known == code);
    known && parts.all(|part| (2..=11).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The file's name without extensions and language, the language, and whether the name says `.a.`.
fn stem(file: &str) -> (&str, Option<String>, bool) {
    let mut stem = file;
    while let Some((before, extension)) = stem.rsplit_once('.')
        && !before.is_empty()
        && EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
    {
        stem = before;
    }
    match stem.rsplit_once('.') {
        Some((before, language)) if !before.is_empty() && is_language(language) => {
            let automatic = before.strip_suffix(".a").filter(|rest| !rest.is_empty());
            (automatic.unwrap_or(before), Some(language.to_owned()), automatic.is_some())
        }
        _ => (stem, None, false),
    }
}

/// Where the id stands in the stem.
fn find_id(stem: &str) -> Option<(usize, usize)> {
    let at = |start: usize| {
        let end = start + ID_BYTES;
        stem.get(start..end).filter(|text| is_id(text)).map(|_| (start, end))
    };
    let free = |place: Option<&u8>| place.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let bytes = stem.as_bytes();
    let bracketed =
        stem.rmatch_indices('[').map(|(open, _)| open + 1).filter(|start| bytes.get(start + ID_BYTES) == Some(&b']'));
    if let Some(found) = bracketed.clone().find_map(at) {
        return Some(found);
    }
    let stands_free = |start: &usize| {
        free(start.checked_sub(1).and_then(|before| bytes.get(before))) && free(bytes.get(start + ID_BYTES))
    };
    let last = bytes.len().checked_sub(ID_BYTES)?;
    [last, 0].into_iter().chain((0..last).rev()).filter(stands_free).find_map(at)
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether the parts between `-` and `_` are all numbers or all plain words: `dot-product`, `Transcripts`, `2020-01-01`.
fn reads_as_words(text: &str) -> bool {
    let plain = |part: &str| {
        let rest = part.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or(part);
        let (lower, upper) =
            (rest.bytes().all(|b| b.is_ascii_lowercase()), part.bytes().all(|b| b.is_ascii_uppercase()));
        lower || upper || part.bytes().all(|b| b.is_ascii_digit())
    };
    let words = text.split(['-', '_']).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    words.iter().all(|part| plain(part))
}

fn folder_language(folder: &str) -> Option<String> {
    if is_language(folder) {
        return Some(folder.to_owned());
    }
    let named = LANGUAGE_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(folder));
    named.map(|(_, code)| (*code).to_owned())
}

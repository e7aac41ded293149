//! A second `youtube_video_ids`, made of regular expressions and nothing of the first, and both over random texts.

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use regex::bytes::Regex;

use super::youtube_video_ids;

/// A character of an id, Markdown's `\_` and `\-` among them.
const CHARACTER: &str = r"(?:[A-Za-z0-9]|\\?[_-])";

struct Oracle {
    end: Regex,
    hit: Regex,
    host: Regex,
    dotted: Regex,
    slashes: Regex,
    named: Regex,
    delimiter: Regex,
    v: Regex,
    video_id: Regex,
    video_ids: Regex,
    p: Regex,
    slash: Regex,
    comma: Regex,
    id: Regex,
    characters: Regex,
}

/// An expression over bytes, in any case.
fn bytes(expression: &str) -> Regex {
    Regex::new(&format!("(?i-u){expression}")).unwrap()
}

/// A delimiter, plain or percent-encoded up to three times over.
fn encoded(plain: &str, code: &str) -> String {
    format!("(?:{plain}|%(?:25){{0,2}}(?:{code}))")
}

impl Oracle {
    fn new() -> Oracle {
        let (slash, equals) = (encoded("/", "2F"), encoded("=", "3D"));
        Oracle {
            end: bytes(r#"[\t\n\x0b\f\r "')<>]"#),
            hit: bytes("youtu"),
            host: bytes("^[a-z0-9.-]{0,253}"),
            dotted: bytes(r"^be.*\.[a-z0-9]"),
            slashes: bytes(&format!("^{slash}+")),
            named: bytes(&format!("^(embed|shorts|live|watch|vi|v|e){slash}")),
            delimiter: bytes(&format!("^{}", encoded("[?&#!;]", "3F|26|23|21|3B"))),
            v: bytes(&format!("^v{equals}")),
            video_id: bytes(&format!("^video_id{equals}")),
            video_ids: bytes(&format!("^video_ids{equals}")),
            p: bytes(&format!("^p{slash}")),
            slash: bytes(&format!("^{slash}")),
            comma: bytes(&format!("^{}", encoded(",", "2C"))),
            id: bytes(&format!("^({CHARACTER}{{11}})({CHARACTER})?")),
            characters: bytes(&format!("^{CHARACTER}*")),
        }
    }

    fn ids(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.end.split(text.as_bytes()).for_each(|link| self.link(link, &mut found));
        let mut ids: Vec<String> = Vec::new();
        for id in found {
            if !ids.contains(&id) && id != "videoseries" && id != "live_stream" {
                ids.push(id);
            }
        }
        ids
    }

    /// What stands between two ends.
    fn link(&self, link: &[u8], found: &mut Vec<String>) {
        let hits: Vec<usize> = self.hit.find_iter(link).map(|hit| hit.end()).collect();
        let mut is_link = false;
        for (number, after) in hits.iter().enumerate() {
            let rest = &link[*after..];
            let name = String::from_utf8_lossy(self.host.find(rest).map_or(&b""[..], |name| name.as_bytes()));
            let name = name.to_lowercase();
            let other = self.dotted.is_match(name.as_bytes());
            let is_host = name == ".be" || other;
            is_link |= is_host;
            let behind = if is_host { after + name.len() } else { *after };
            if is_host {
                self.path(&link[behind..], &name, found);
            }
            let next = hits.get(number + 1).map_or(link.len(), |next| next - 5);
            if is_link {
                (behind..next).for_each(|at| self.argument(&link[at..], name == "be.com", found));
            }
        }
    }

    fn path(&self, rest: &[u8], host: &str, found: &mut Vec<String>) {
        let Some(slashes) = self.slashes.find(rest) else { return };
        let rest = &rest[slashes.end()..];
        match self.named.captures(rest) {
            Some(named) => {
                let name = named[1].to_ascii_lowercase();
                let any = (name == b"embed" || name == b"shorts") && (host == "be.com" || host == ".be");
                found.extend(self.id(&rest[named[0].len()..], any));
            }
            None if host == ".be" => found.extend(self.id(rest, true)),
            None => {}
        }
    }

    /// The ids of the argument that begins right here, if one does.
    fn argument(&self, rest: &[u8], any: bool, found: &mut Vec<String>) {
        let Some(delimiter) = self.delimiter.find(rest) else { return };
        let rest = &rest[delimiter.end()..];
        let behind = |name: &Regex| name.find(rest).map(|name| &rest[name.end()..]);
        if let Some(rest) = behind(&self.v) {
            found.extend(self.id(rest, any));
        } else if let Some(rest) = behind(&self.video_id) {
            found.extend(self.id(rest, false));
        } else if let Some(mut rest) = behind(&self.video_ids) {
            loop {
                found.extend(self.id(rest, false));
                rest = &rest[self.characters.find(rest).unwrap().end()..];
                let Some(comma) = self.comma.find(rest) else { return };
                rest = &rest[comma.end()..];
            }
        } else if let Some(mut rest) = behind(&self.p) {
            loop {
                let end = self.characters.find(rest).unwrap().end();
                let Some(slash) = self.slash.find(&rest[end..]) else { break };
                rest = &rest[end + slash.end()..];
            }
            found.extend(self.id(rest, false));
        }
    }

    /// The id right here; whether more may follow it.
    fn id(&self, rest: &[u8], any: bool) -> Option<String> {
        let id = self.id.captures(rest)?;
        (any || id.get(2).is_none()).then(|| String::from_utf8_lossy(&id[1]).replace('\\', ""))
    }
}

/// Parts of links and of texts around them.
#[rustfmt::skip]
const PIECES: [&str; 64] = [
    "youtu.be", "youtube.com", "YouTube.com", "www.youtube.com/", "youtube-nocookie.com", "youtube.co.uk", "youtube",
    "YOUTU.BE", "youtuberepeater.com", "youtu", "be.com", ".be", "/", "//", "%2F", "%252f", "%25252F", "%2525252F",
    "watch", "watch?", "embed/", "shorts/", "live/", "v/", "vi/", "e/", "v=", "V=", "v%3D", "v%253d", "video_id=",
    "video_ids=", "p/", "p%2F", "?", "&", "&amp;", "#", "!", ";", "%3F", "%26", "%253F", ",", "%2C", "dQw4w9WgXcQ",
    "-_aB3456789", r"\-\_aB3456789", "abcdefghijk", "videoseries", "live_stream", "x", "_", "-", "\\", " ", "\n",
    "\"", ")", "<", "é", "🔥", "%", ".",
];

#[test]
fn random_texts_give_what_the_oracle_gives() {
    let seed = 4_711;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let oracle = Oracle::new();
    for round in 0..400 {
        let texts: Vec<Option<String>> = (0..random.random_range(0..40))
            .map(|_| {
                let pieces = random.random_range(0..24);
                let text = (0..pieces).filter_map(|_| PIECES.choose(&mut random).copied()).collect::<String>();
                let starts = ["", "https://youtu.be/", "https://www.youtube.com/"];
                let text = format!("{}{text}", starts.choose(&mut random).unwrap_or(&""));
                (random.random_range(0..10) > 0).then_some(text)
            })
            .collect();
        let found = youtube_video_ids(&StringViewArray::from_iter(texts.iter())).unwrap();
        for (row, text) in texts.iter().enumerate() {
            let list = |values: ArrayRef| values.as_string_view().iter().flatten().map(str::to_owned).collect();
            let ids: Option<Vec<String>> = found.is_valid(row).then(|| list(found.value(row)));
            assert_eq!(ids, text.as_ref().map(|text| oracle.ids(text)), "seed {seed}, round {round}: {text:?}");
        }
    }
}

#[test]
fn extremes_give_what_the_oracle_gives() {
    let oracle = Oracle::new();
    let long = [
        "youtu".repeat(500),
        format!("youtube.{}com/watch?v=dQw4w9WgXcQ", "a.".repeat(200)),
        format!("https://youtu.be{}dQw4w9WgXcQ", "/".repeat(1000)),
        format!("youtube.com/?video_ids={}", "dQw4w9WgXcQ,-_aB3456789,".repeat(50)),
        format!("youtube.com/{}", "&v=dQw4w9WgXcQ".repeat(50)),
        format!("youtube.com/#p/{}dQw4w9WgXcQ", "u/".repeat(300)),
        "\u{0}youtu.be/dQw4w9WgXcQ\u{0}".to_owned(),
    ];
    for text in long {
        let found = youtube_video_ids(&StringViewArray::from(vec![text.as_str()])).unwrap();
        let ids: Vec<String> = found.value(0).as_string_view().iter().flatten().map(str::to_owned).collect();
        assert_eq!(ids, oracle.ids(&text), "{text:.80}…");
    }
}

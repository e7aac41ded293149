//! Links in one text: where they begin and end, their hosts, and the ids that their paths and arguments carry.
//!
//! Everything here is linear in the text: a link is cut once, and each host in it is read up to the next one.

use std::collections::HashSet;

use memchr::memchr2_iter;

/// Characters of an id.
const ID_BYTES: usize = 11;

/// Past this many ids in a text, a set finds repeats.
const COMPARED_MAX: usize = 32;

/// The longest host name that there is (RFC 1035): what goes on longer is none, and is not read to its end.
const HOST_BYTES_MAX: usize = 253;

/// What stands in an id's place and is none.
const PLAYERS: [&[u8]; 2] = [b"videoseries", b"live_stream"];

/// First path segments of `youtube.com` behind which an id stands, and whether more characters may follow the id.
const PATHS: [(&[u8], Tail); 7] = [
    (b"embed", Tail::Any),
    (b"shorts", Tail::Any),
    (b"live", Tail::End),
    (b"v", Tail::End),
    (b"e", Tail::End),
    (b"vi", Tail::End),
    (b"watch", Tail::End),
];

/// What may follow an id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Anything: the first eleven characters count.
    Any,
    /// Nothing that could belong to an id.
    End,
}

/// Whose link it is: where a host ends, and how strict its forms are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    /// `youtu.be`.
    Short,
    /// `youtube.com`.
    Main,
    /// `youtube-nocookie.com`, `youtube.co.uk`, sites of others.
    Other,
}

/// The ids found in text after text: eleven bytes each, as Arrow views.
#[derive(Default)]
pub(super) struct Ids {
    views: Vec<u128>,
    /// Where the present text's ids begin.
    first: usize,
    /// The present text's ids, once there are many.
    seen: HashSet<u128>,
}

impl Ids {
    /// The ids of all texts so far.
    pub(super) fn views(&self) -> &[u128] {
        &self.views
    }

    /// The ids of all texts.
    pub(super) fn into_views(self) -> Vec<u128> {
        self.views
    }

    /// Appends the ids of `text`, each once.
    pub(super) fn next_text(&mut self, text: &[u8]) {
        self.first = self.views.len();
        self.seen.clear();
        let mut link_end = 0;
        let mut active = false;
        for hit in hits(text) {
            if hit >= link_end {
                link_end = hit + text[hit..].iter().position(|byte| ends_link(*byte)).unwrap_or(text.len() - hit);
                active = false;
            }
            self.host(&text[..link_end], hit, &mut active);
        }
    }

    /// Reads the host at `hit`, then what follows up to the next one. Arguments count once some host of the link was one.
    fn host(&mut self, link: &[u8], hit: usize, active: &mut bool) {
        let host = host_at(link, hit + 5);
        let (rest, main) = match host {
            Some((end, host)) => {
                *active = true;
                self.path(link, end, host);
                (end, host == Host::Main)
            }
            None => (hit + 5, false),
        };
        if *active {
            let end = hits(&link[rest..]).next().map_or(link.len(), |next| rest + next);
            self.arguments(link, rest, end, if main { Tail::Any } else { Tail::End });
        }
    }

    /// The id in the path that begins at `at`, behind `host`.
    fn path(&mut self, link: &[u8], at: usize, host: Host) {
        let Some(mut at) = slashes(link, at) else { return };
        let mut tail = Tail::Any;
        if host != Host::Short || named_path(link, at).is_some() {
            let Some((next, named)) = named_path(link, at) else { return };
            (at, tail) = (next, named);
        }
        if host == Host::Other {
            tail = Tail::End;
        }
        self.id(link, at, tail);
    }

    /// The ids in arguments between `from` and `to`. An id itself may reach beyond `to`, to the end of the link.
    fn arguments(&mut self, link: &[u8], from: usize, to: usize, tail: Tail) {
        let mut at = from;
        while at < to {
            let Some(begin) = argument(link, at) else {
                at += 1;
                continue;
            };
            at = begin;
            if let Some(next) = word(link, at, b"v").and_then(|next| equals(link, next)) {
                self.id(link, next, tail);
            } else if let Some(next) = word(link, at, b"video_id").and_then(|next| equals(link, next)) {
                self.id(link, next, Tail::End);
            } else if let Some(next) = word(link, at, b"video_ids").and_then(|next| equals(link, next)) {
                self.list(link, next);
            } else if let Some(next) = word(link, at, b"p").and_then(|next| slash(link, next)) {
                self.last_segment(link, next);
            }
        }
    }

    /// `ID,ID,…`, commas plain or encoded.
    fn list(&mut self, link: &[u8], mut at: usize) {
        loop {
            self.id(link, at, Tail::End);
            let (_, end) = id_text(link, at);
            match delimiter(link, end, b',', b"2C") {
                Some(next) => at = next,
                None => return,
            }
        }
    }

    /// `u/1/ID`: the last segment of a fragment's path.
    fn last_segment(&mut self, link: &[u8], mut at: usize) {
        loop {
            let (_, end) = id_text(link, at);
            match slash(link, end) {
                Some(next) => at = next,
                None => return self.id(link, at, Tail::End),
            }
        }
    }

    /// Takes the id at `at`, if there is one.
    fn id(&mut self, link: &[u8], at: usize, tail: Tail) {
        let mut id = [0; ID_BYTES];
        let mut length = 0;
        for byte in id_bytes(link, at).map(|(_, byte)| byte).take(ID_BYTES + 1) {
            match id.get_mut(length) {
                Some(place) => *place = byte,
                None if tail == Tail::End => return,
                None => {}
            }
            length += 1;
        }
        if length < ID_BYTES || PLAYERS.contains(&id.as_slice()) {
            return;
        }
        let mut view = [0; 16];
        view[0] = ID_BYTES as u8;
        view[4..4 + ID_BYTES].copy_from_slice(&id);
        self.add(u128::from_le_bytes(view));
    }

    fn add(&mut self, view: u128) {
        let own = &self.views[self.first..];
        let repeated = if own.len() < COMPARED_MAX {
            own.contains(&view)
        } else {
            if self.seen.is_empty() {
                self.seen.extend(own);
            }
            !self.seen.insert(view)
        };
        if !repeated {
            self.views.push(view);
        }
    }
}

/// Where `youtu` stands in any case, ascending, not overlapping.
fn hits(text: &[u8]) -> impl Iterator<Item = usize> {
    memchr2_iter(b'y', b'Y', text).filter(|at| word(text, *at, b"youtu").is_some())
}

fn ends_link(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'\x0b' | b'"' | b'\'' | b')' | b'<' | b'>')
}

/// The host that goes on at `at`, behind `youtu`, and where it ends.
fn host_at(link: &[u8], at: usize) -> Option<(usize, Host)> {
    let name = &link[at..link.len().min(at + HOST_BYTES_MAX)];
    let length = name.iter().position(|byte| !matches!(byte, b'.' | b'-') && !byte.is_ascii_alphanumeric());
    let name = &name[..length.unwrap_or(name.len())];
    let end = at + name.len();
    let host = match name.to_ascii_lowercase().as_slice() {
        b".be" => Host::Short,
        b"be.com" => Host::Main,
        other if other.starts_with(b"be") && dotted(other) => Host::Other,
        _ => return None,
    };
    Some((end, host))
}

/// Whether a dot stands inside, before a letter or digit.
fn dotted(name: &[u8]) -> bool {
    name.windows(2).any(|pair| pair[0] == b'.' && pair[1].is_ascii_alphanumeric())
}

/// Behind `word` at `at`, in any case.
fn word(link: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    let end = at + word.len();
    link.get(at..end)?.eq_ignore_ascii_case(word).then_some(end)
}

/// Behind `embed/` and its like at `at`, with what may follow an id there.
fn named_path(link: &[u8], at: usize) -> Option<(usize, Tail)> {
    PATHS.iter().find_map(|(name, tail)| Some((slash(link, word(link, at, name)?)?, *tail)))
}

/// Behind one or more slashes at `at`.
fn slashes(link: &[u8], at: usize) -> Option<usize> {
    let mut at = slash(link, at)?;
    while let Some(next) = slash(link, at) {
        at = next;
    }
    Some(at)
}

fn slash(link: &[u8], at: usize) -> Option<usize> {
    delimiter(link, at, b'/', b"2F")
}

fn equals(link: &[u8], at: usize) -> Option<usize> {
    delimiter(link, at, b'=', b"3D")
}

/// Behind the delimiter at `at` that an argument begins with. A semicolon ends `&amp;`.
fn argument(link: &[u8], at: usize) -> Option<usize> {
    match link[at] {
        b'?' | b'&' | b'#' | b'!' | b';' => Some(at + 1),
        b'%' => [b"3F", b"26", b"23", b"21", b"3B"].iter().find_map(|code| escape(link, at, *code)),
        _ => None,
    }
}

/// Behind `plain` at `at`, or behind its percent-encoded form `%code`, or that encoded again.
fn delimiter(link: &[u8], at: usize, plain: u8, code: &[u8]) -> Option<usize> {
    if link.get(at) == Some(&plain) { Some(at + 1) } else { escape(link, at, code) }
}

/// Behind `%code` at `at`, encoded up to three times over (`%25252F`).
fn escape(link: &[u8], at: usize, code: &[u8]) -> Option<usize> {
    if link.get(at) != Some(&b'%') {
        return None;
    }
    let mut at = at + 1;
    for _ in 0..2 {
        at = word(link, at, b"25").unwrap_or(at);
    }
    word(link, at, code)
}

/// The characters that may belong to an id at `at`, with the place behind each. Markdown's `\_` and `\-` are `_` and `-`.
fn id_bytes(link: &[u8], at: usize) -> impl Iterator<Item = (usize, u8)> {
    let mut at = at;
    std::iter::from_fn(move || {
        let escaped = link.get(at) == Some(&b'\\') && matches!(link.get(at + 1), Some(b'_' | b'-'));
        at += usize::from(escaped);
        let byte = *link.get(at)?;
        at += 1;
        (byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).then_some((at, byte))
    })
}

/// The number of characters that may belong to an id at `at`, and where they end.
fn id_text(link: &[u8], at: usize) -> (usize, usize) {
    id_bytes(link, at).fold((0, at), |(count, _), (end, _)| (count + 1, end))
}

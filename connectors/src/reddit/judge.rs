//! What an object is: a comment, a submission, another thing of Reddit, or nothing of it. Its own fields tell, the surest
//! first, since exports put every column into every record and name things as they like.
//!
//! 1. `kind` of the object around it (`t1`, `t3`), or its own; the prefix of `name`, then of `id`.
//! 2. A `link_id`: only comments have one. A `parent_id`, unless there is a title.
//! 3. A `title` without a `body` makes a submission, a `body` without a `title` a comment; null and empty ones do not count,
//!    nor do the words that exports write for null. With both, or neither, the fields decide that submissions or comments
//!    alone have, then a link that leads to the comment ([`links_to_itself`]), an empty title or body.
//! 4. With nothing of all that it may be either, and is taken for the source's kind.
//!
//! From 3 on it must look like Reddit: an `id` of base 36, or a `subreddit`; none of the fields that users, subreddits,
//! flairs, widgets and messages have; from 4 on some field that records of Reddit have, or nothing but an `id`.

use super::columns::Kind;
use super::plan::{Key, Plan, Slot};
use super::record::is_nothing;
use super::scan::{Found, What};
use crate::json::cell::Cell;

/// What the fields that nobody reads told of an object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clues {
    /// It has a field of comments or submissions.
    pub known: bool,
    /// It has a field, not null, that submissions alone have.
    pub post: bool,
    /// It has a field, not null, that comments alone have.
    pub reply: bool,
    /// It has a title and a body, and no field said whose the title is.
    pub torn: bool,
    /// It has a field of something else.
    pub foreign: bool,
    /// It has a field that no table here knows.
    pub unknown: bool,
}

impl Clues {
    /// It has the field of a key that nobody reads; `some` if it is not null.
    pub(super) fn add(&mut self, key: Key, some: bool) {
        self.known |= matches!(key, Key::Known | Key::Post | Key::Reply | Key::Meta);
        self.post |= some && key == Key::Post;
        self.reply |= some && key == Key::Reply;
        self.foreign |= some && key == Key::Foreign;
    }
}

pub(super) const NO_ID: &str = "it has no \"id\", so it is not a record of Reddit";
const NOT_TEXT: &str = "its \"id\" is not a string";
const TABLE: &str =
    "its \"id\" is an object or an array, as in a table by columns; write it by records (pandas: orient='records')";
const FOREIGN: &str =
    "it is neither a comment nor a submission but a user, a subreddit, a flair, a message or the like";
const FOREIGN_ID: &str = "its \"id\" is not one of Reddit, and nothing else says that it is a comment or a submission";
const UNKNOWN: &str = "it has an \"id\" and nothing else of a comment or a submission";

/// The longest id in base 36: that of a 64-bit number.
const ID_BYTES_MAX: usize = 13;

/// What a `kind` says; `None` if it is not one of Reddit.
pub(super) fn kind(kind: &str) -> Option<What> {
    Some(match kind {
        "t1" | "comment" => What::Record(Some(Kind::Comments)),
        "t3" | "submission" | "link" | "post" => What::Record(Some(Kind::Submissions)),
        "Listing" => What::Container,
        "t2" | "t4" | "t5" | "t6" | "more" | "LabeledMulti" | "UserList" | "KarmaList" | "TrophyList" | "wikipage" => {
            What::Other
        }
        _ => return None,
    })
}

/// What stands before an id in a full name.
fn prefixed(name: &str) -> Option<What> {
    let what = match name.as_bytes() {
        [b't', b'1', b'_', ..] => What::Record(Some(Kind::Comments)),
        [b't', b'3', b'_', ..] => What::Record(Some(Kind::Submissions)),
        [b't', b'2' | b'4'..=b'9', b'_', ..] => What::Other,
        _ => return None,
    };
    is_base36(bare(name)).then_some(what)
}

/// An id without `t1_`, `t3_` and the like in front.
pub(super) fn bare(id: &str) -> &str {
    match id.as_bytes() {
        [b't', b'0'..=b'9', b'_', ..] => &id[3..],
        _ => id,
    }
}

fn is_base36(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

/// Whether the object in `row` has an id of its own, or a full name.
pub(super) fn has_id(found: &Found<'_>, row: usize) -> bool {
    id(found, row).is_some()
}

/// The cell that is the id of the object in `row`: its `id`, its full name, or what MongoDB calls its id.
fn id<'a>(found: &Found<'a>, row: usize) -> Option<Cell<'a>> {
    let text = |slot: usize| found.sheet.str(row, slot).filter(|text| !bare(text).is_empty());
    if text(Plan::ID).is_some() {
        return Some(found.sheet.cell(row, Plan::ID));
    }
    if text(Plan::NAME).is_some_and(|name| prefixed(name).is_some()) {
        return Some(found.sheet.cell(row, Plan::NAME));
    }
    let mongo = text(Plan::MONGO_ID).is_some_and(|id| is_base36(bare(id)));
    (mongo && !found.sheet.cell(row, Plan::ID).is_some()).then(|| found.sheet.cell(row, Plan::MONGO_ID))
}

/// What the object in `row` is by its own fields and its own `kind`. Puts the id where it is looked for.
pub(super) fn judge(plan: &Plan, found: &mut Found<'_>, row: usize, own_kind: Option<What>) -> What {
    let seen = look(plan, found, row, own_kind);
    let filled = |slot: usize| found.sheet.str(row, slot).is_some_and(|text| !is_nothing(text));
    let torn = matches!(seen, Seen::Likely(Kind::Submissions)) && filled(Plan::TITLE) && filled(Plan::BODY);
    found.rows[row].clues.torn = torn;
    let Some(id) = id(found, row) else {
        if matches!(seen, Seen::Likely(Kind::Submissions)) && thread(found, row).is_some() {
            found.sheet.put(row, Plan::ID, found.sheet.cell(row, Plan::THREAD));
            return judge(plan, found, row, own_kind);
        }
        // In an object by id, the key is the id of what else is a record, and says more than a text.
        let texts = [Plan::TITLE, Plan::BODY].into_iter().any(|slot| found.sheet.str(row, slot).is_some());
        let says_more = texts && (found.rows[row].clues.known || any_wanted(plan, found, row));
        let record = match seen {
            Seen::Surely(What::Record(_)) => true,
            Seen::Likely(_) => {
                says_more || found.rows[row].key.str(&found.sheet.arena.text).and_then(prefixed).is_some()
            }
            _ => false,
        };
        let by_key = record && found.rows[row].key.str(&found.sheet.arena.text).is_some_and(|key| is_base36(bare(key)));
        if by_key && !found.sheet.cell(row, Plan::ID).is_some() {
            found.sheet.put(row, Plan::ID, found.rows[row].key);
            return judge(plan, found, row, own_kind);
        }
        return match (seen, found.sheet.cell(row, Plan::ID)) {
            (Seen::Surely(What::Other), _) => What::Other,
            (_, Cell::Missing | Cell::Null) => What::Nothing(NO_ID),
            (_, Cell::Wrong(_)) => What::Nothing(TABLE),
            (_, _) => What::Nothing(NOT_TEXT),
        };
    };
    found.sheet.put(row, Plan::ID, id);
    if !found.sheet.cell(row, Plan::LINK).is_some() && thread(found, row).is_some() {
        found.sheet.put(row, Plan::LINK, found.sheet.cell(row, Plan::THREAD));
    }
    let base36 = id.str(&found.sheet.arena.text).is_some_and(|id| is_base36(bare(id)));
    let clues = found.rows[row].clues;
    let subreddit = found.sheet.cell(row, Plan::SUBREDDIT).is_some();
    match seen {
        Seen::Surely(what) => what,
        _ if clues.foreign => What::Nothing(FOREIGN),
        _ if !base36 && !subreddit => What::Nothing(FOREIGN_ID),
        Seen::Likely(kind) => What::Record(Some(kind)),
        // A name that is no full name is that of a user or a thing.
        Seen::Unseen if found.sheet.cell(row, Plan::NAME).is_some() && !name_is_id(found, row) => {
            What::Nothing(FOREIGN)
        }
        Seen::Unseen if clues.unknown && !clues.known && !subreddit && !any_wanted(plan, found, row) => {
            What::Nothing(UNKNOWN)
        }
        Seen::Unseen => What::Record(None),
    }
}

/// Whether the record `text` with this id has a link to itself as a comment: `…/comments/SUBMISSION/TITLE/ID/`.
pub(super) fn links_to_itself(text: &str, id: &str) -> bool {
    let link = |field: &str| sonic_rs::from_str::<String>(sonic_rs::get(text, [field]).ok()?.as_raw_str()).ok();
    ["permalink", "url", "link"].into_iter().filter_map(link).any(|link| {
        let path = link.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let behind = path.split_once("/comments/").map(|(_, behind)| behind.split('/'));
        behind.is_some_and(|mut parts| parts.clone().count() >= 3 && parts.next_back() == Some(bare(id)))
    })
}

enum Seen {
    Surely(What),
    Likely(Kind),
    Unseen,
}

fn look(plan: &Plan, found: &Found<'_>, row: usize, own_kind: Option<What>) -> Seen {
    let cell = |slot: usize| found.sheet.cell(row, slot);
    let text = |slot: usize| found.sheet.str(row, slot);
    let filled = |slot: usize| text(slot).is_some_and(|text| !is_nothing(text));
    if let Some(what @ (What::Record(_) | What::Other)) = own_kind {
        return Seen::Surely(what);
    }
    let prefix = [Plan::NAME, Plan::ID, Plan::MONGO_ID].into_iter().find_map(|slot| prefixed(text(slot)?));
    if let Some(what) = prefix {
        return Seen::Surely(what);
    }
    let has = |slot: usize| cell(slot).is_some() && !text(slot).is_some_and(is_nothing);
    let (title, body) = (filled(Plan::TITLE), filled(Plan::BODY));
    let any = |is: fn(&Slot) -> bool| plan.slots.iter().zip(0..).any(|(slot, at)| is(slot) && cell(at).is_some());
    let posted = || found.rows[row].clues.post || cell(Plan::SELFTEXT).is_some() || any(|slot| slot.post);
    let replied = || found.rows[row].clues.reply || thread(found, row).is_some() || any(|slot| slot.reply);
    if has(Plan::LINK) || (has(Plan::PARENT) && !title) {
        return Seen::Surely(What::Record(Some(Kind::Comments)));
    }
    match (title, body) {
        (true, true) if replied() && !posted() => Seen::Likely(Kind::Comments),
        (true, _) => Seen::Likely(Kind::Submissions),
        (false, true) => Seen::Likely(Kind::Comments),
        (false, false) if posted() => Seen::Likely(Kind::Submissions),
        (false, false) if text(Plan::TITLE).is_some() => Seen::Likely(Kind::Submissions),
        (false, false) if text(Plan::BODY).is_some() => Seen::Likely(Kind::Comments),
        (false, false) => Seen::Unseen,
    }
}

/// The id of the submission that the object in `row` belongs to or is, in the words of some tools; none if that is its own
/// id.
fn thread<'f>(found: &'f Found<'_>, row: usize) -> Option<&'f str> {
    let id = found.sheet.str(row, Plan::ID).map(bare);
    found.sheet.str(row, Plan::THREAD).map(bare).filter(|thread| is_base36(thread) && id != Some(thread))
}

fn name_is_id(found: &Found<'_>, row: usize) -> bool {
    found.sheet.str(row, Plan::NAME) == found.sheet.str(row, Plan::ID)
}

/// Whether a field that some column is made of is there, beside those that other things have too.
fn any_wanted(plan: &Plan, found: &Found<'_>, row: usize) -> bool {
    let shared = |slot: usize| {
        matches!(slot, Plan::ID | Plan::NAME | Plan::TITLE | Plan::BODY | Plan::MONGO_ID | Plan::FETCHED | Plan::TEXT)
    };
    let wanted = |(at, _): (usize, &Slot)| !shared(at) && found.sheet.cell(row, at) != Cell::Missing;
    plan.slots.iter().enumerate().any(wanted)
}

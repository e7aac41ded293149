//! What one projection needs of a record: which JSON fields go to which slot of a row, and how columns are made of slots.

use super::columns::{ALIASES, Column, Holds, Kind, META, Made, OBJECTS, RETRIEVED};
use crate::json::cell::Type;
use crate::json::names::Names;

/// What a field's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Goes to this slot.
    Slot(u8),
    /// Another name of the field of this slot: goes there unless something is there.
    Alias(u8),
    /// A field of comments or submissions that nobody reads.
    Known,
    /// A field that submissions alone have and nobody reads.
    Post,
    /// A field that comments alone have and nobody reads.
    Reply,
    /// A field of users, subreddits, flairs, messages.
    Foreign,
    /// A field beside records that holds none.
    Around,
    /// `kind` of a `{kind, data}` object.
    Kind,
    /// `data` and its like: records inside, and the object around them is one itself only if it says so.
    Container,
    /// A submission's id in a comment, or the submission itself beside its comments.
    Thread,
    /// A container of replies: an object there may be one of replies by id.
    Replies,
    /// `fetched_at` of a snapshot.
    FetchedAt,
    /// `_meta`: more fields of the same record.
    Meta,
}

const SPECIAL: [(&str, Key); 12] = [
    ("kind", Key::Kind),
    ("data", Key::Container),
    ("listing", Key::Container),
    ("children", Key::Replies),
    ("replies", Key::Replies),
    ("comments", Key::Replies),
    ("things", Key::Container),
    ("sorted_links", Key::Container),
    ("json", Key::Container),
    ("fetched_at", Key::FetchedAt),
    ("_meta", Key::Meta),
    ("submission", Key::Thread),
];

/// Fields that tell submissions from comments where neither a title nor a body does.
const POST: [&str; 12] = [
    "num_comments",
    "is_self",
    "domain",
    "url",
    "upvote_ratio",
    "selftext_html",
    "thumbnail",
    "post_hint",
    "num_crossposts",
    "link_flair_text",
    "is_video",
    "crosspost_parent",
];

/// Fields that tell comments from submissions where there is a title as well as a body: some tools write that of the post.
const REPLY: [&str; 10] = [
    "is_submitter",
    "controversiality",
    "collapsed",
    "collapsed_reason",
    "comment_type",
    "depth",
    "link_title",
    "link_author",
    "link_url",
    "link_permalink",
];

/// Fields of what is neither a comment nor a submission.
const FOREIGN: [&str; 29] = [
    "display_name",
    "display_name_prefixed",
    "public_description",
    "subscribers",
    "active_user_count",
    "accounts_active",
    "user_is_subscriber",
    "comment_karma",
    "link_karma",
    "total_karma",
    "karma",
    "awardee_karma",
    "has_verified_email",
    "is_employee",
    "icon_img",
    "snoovatar_img",
    "cssClass",
    "css_class",
    "flairType",
    "modOnly",
    "textEditable",
    "shortName",
    "subject",
    "dest",
    "was_comment",
    "isInternal",
    "conversationId",
    "usernames",
    "content_md",
];

/// Fields of listings and answers that hold no records.
const AROUND: [&str; 8] = ["after", "before", "dist", "modhash", "geo_filter", "errors", "metadata", "error"];

/// A field that is read.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub field: &'static str,
    pub ty: Type,
    /// Read from `_meta` too.
    pub meta: bool,
    /// What stands for it where it is an object.
    pub pick: &'static [&'static str],
    /// Some column is made of it: what it cannot hold costs the record.
    pub wanted: bool,
    /// Only submissions have it.
    pub post: bool,
    /// Only comments have it.
    pub reply: bool,
}

/// What one projection needs.
#[derive(Debug)]
pub(super) struct Plan {
    pub kind: Kind,
    pub slots: Vec<Slot>,
    /// The projected columns, each with its field's slot.
    pub columns: Vec<(&'static Column, usize)>,
    /// Some column holds the record's own text.
    pub text: bool,
    /// Slot of `_meta` as a whole.
    pub meta: Option<usize>,
    /// Flat records are read by hand: always, but in tests that compare.
    pub flat: bool,
    names: Names<Key>,
}

impl Plan {
    /// Slots that each record has, wanted or not: what tells what it is, and its version.
    pub(super) const ID: usize = 0;
    pub(super) const NAME: usize = 1;
    pub(super) const TITLE: usize = 2;
    pub(super) const BODY: usize = 3;
    pub(super) const LINK: usize = 4;
    pub(super) const PARENT: usize = 5;
    pub(super) const SELFTEXT: usize = 6;
    pub(super) const SUBREDDIT: usize = 7;
    /// `_id`, which MongoDB adds to records.
    pub(super) const MONGO_ID: usize = 8;
    /// The snapshot's `fetched_at`, which no record has itself.
    pub(super) const FETCHED: usize = 9;
    /// The record's own text.
    pub(super) const TEXT: usize = 10;
    /// What some tools call the submission that a comment belongs to, or that it is.
    pub(super) const THREAD: usize = 11;
    /// First slot of those of [`RETRIEVED`].
    const RETRIEVED: usize = 12;

    const FIXED: [(&str, Type); Self::RETRIEVED] = [
        ("id", Type::Text),
        ("name", Type::Text),
        ("title", Type::Text),
        ("body", Type::Text),
        ("link_id", Type::Text),
        ("parent_id", Type::Text),
        ("selftext", Type::Any),
        ("subreddit", Type::Text),
        ("_id", Type::Text),
        ("fetched_at", Type::Time(crate::json::cell::TimeUnit::Guessed)),
        ("", Type::Text),
        ("submission_id", Type::Text),
    ];

    /// Slots that say when a record was fetched.
    pub(super) fn retrieved(&self) -> impl Iterator<Item = usize> + use<> {
        (Self::RETRIEVED..Self::RETRIEVED + RETRIEVED.len()).chain([Self::FETCHED])
    }

    /// A plan for the columns `projection` of `kind`.
    ///
    /// # Panics
    /// If an index is not one of a column.
    pub(super) fn new(kind: Kind, projection: &[usize]) -> Self {
        let slot = |field: &'static str, ty| {
            let pick = OBJECTS.iter().find(|(name, _)| *name == field).map_or(&[][..], |(_, pick)| pick);
            let [meta, post, reply] = [&META[..], &POST, &REPLY].map(|fields| fields.contains(&field));
            Slot { field, ty, meta, pick, wanted: false, post, reply }
        };
        let mut slots: Vec<Slot> = Self::FIXED.iter().map(|(field, ty)| slot(field, ty.clone())).collect();
        slots.extend(RETRIEVED.map(|field| slot(field, Holds::Time.json_type())));
        let mut columns = Vec::with_capacity(projection.len());
        for column in projection.iter().map(|index| &kind.columns()[*index]) {
            let at = if column.field.is_empty() {
                Self::TEXT
            } else {
                let known = slots.iter().position(|slot| slot.field == column.field);
                known.unwrap_or_else(|| {
                    slots.push(slot(column.field, column.holds.json_type()));
                    slots.len() - 1
                })
            };
            if slots[at].ty == Type::Any {
                slots[at].ty = column.holds.json_type();
            }
            slots[at].wanted = true;
            columns.push((column, at));
        }
        let text = columns.iter().any(|(column, _)| column.made == Made::Text);
        let meta = slots.iter().position(|slot| slot.field == "_meta");
        let names = names(&slots);
        Plan { kind, slots, columns, text, meta, flat: true, names }
    }

    /// What the names of fields mean.
    pub(super) fn names(&self) -> &Names<Key> {
        &self.names
    }

    /// What the field `name` means; `None` if nothing.
    #[inline]
    pub(super) fn key(&self, name: &str) -> Option<Key> {
        self.names.get(name)
    }
}

/// What each name means: of one that means several things, the first counts.
fn names(slots: &[Slot]) -> Names<Key> {
    let entry = |name: &str, key| (name.to_owned(), key);
    let mut entries: Vec<(String, Key)> = SPECIAL.iter().map(|(name, key)| entry(name, *key)).collect();
    let read = slots.iter().zip(0..).filter(|(slot, _)| !slot.field.is_empty() && slot.field != "fetched_at");
    entries.extend(read.clone().map(|(slot, at)| entry(slot.field, Key::Slot(at))));
    let alias = |(field, name): &(&str, &str)| {
        read.clone().find(|(slot, _)| slot.field == *field).map(|(_, at)| entry(name, Key::Alias(at)))
    };
    entries.extend(ALIASES.iter().filter_map(alias));
    entries.extend(POST.map(|name| entry(name, Key::Post)));
    entries.extend(REPLY.map(|name| entry(name, Key::Reply)));
    entries.extend(FOREIGN.map(|name| entry(name, Key::Foreign)));
    entries.extend(AROUND.map(|name| entry(name, Key::Around)));
    let columns = [Kind::Comments, Kind::Submissions].into_iter().flat_map(Kind::columns);
    entries.extend(columns.filter(|column| !column.field.is_empty()).map(|column| entry(column.field, Key::Known)));
    Names::new(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_every_projection_has_its_slot() {
        for kind in [Kind::Comments, Kind::Submissions] {
            let all: Vec<usize> = (0..kind.columns().len()).collect();
            for projection in [vec![], vec![0], all.clone(), all.iter().rev().copied().collect()] {
                let plan = Plan::new(kind, &projection);
                assert!(plan.slots.len() < 256, "slots are numbered in a byte");
                for (index, slot) in plan.slots.iter().enumerate() {
                    if !matches!(slot.field, "" | "fetched_at" | "_meta") {
                        assert_eq!(plan.key(slot.field), Some(Key::Slot(index as u8)), "{}", slot.field);
                    }
                }
                assert_eq!(plan.key("children"), Some(Key::Replies));
                for other in ["", "i", "idd", "Body", "kinds", "dat", "posts"] {
                    assert_eq!(plan.key(other), None, "{other}");
                }
            }
            for one in all {
                let plan = Plan::new(kind, &[one]);
                assert_eq!(plan.slots[plan.columns[0].1].field, kind.columns()[one].field);
            }
        }
    }

    #[test]
    fn fixed_slots_are_where_they_are_said_to_be() {
        let plan = Plan::new(Kind::Comments, &[]);
        for (at, field) in [
            (Plan::ID, "id"),
            (Plan::NAME, "name"),
            (Plan::TITLE, "title"),
            (Plan::BODY, "body"),
            (Plan::LINK, "link_id"),
            (Plan::PARENT, "parent_id"),
            (Plan::SELFTEXT, "selftext"),
            (Plan::SUBREDDIT, "subreddit"),
            (Plan::MONGO_ID, "_id"),
            (Plan::FETCHED, "fetched_at"),
            (Plan::THREAD, "submission_id"),
            (Plan::RETRIEVED, RETRIEVED[0]),
        ] {
            assert_eq!(plan.slots[at].field, field);
        }
    }
}

//! The columns of comments and submissions, and the JSON fields they are made of.
//!
//! A column keeps its field's name and value; the exceptions say so below. All columns but `id` may be null: a field that
//! a dump does not have is null in its rows.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// What a source yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Comments, `t1` in Reddit's own names.
    Comments,
    /// Submissions, `t3`.
    Submissions,
}

impl Kind {
    /// What stands before an id in a full name.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Kind::Comments => "t1_",
            Kind::Submissions => "t3_",
        }
    }

    /// All columns, in the order of the relation's schema. The first is `id`.
    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Kind::Comments => COMMENTS,
            Kind::Submissions => SUBMISSIONS,
        }
    }

    /// The relation's schema.
    pub fn schema(self) -> SchemaRef {
        let fields =
            self.columns().iter().map(|column| Field::new(column.name, column.data_type(), column.name != "id"));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// What a JSON field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    /// A 64-bit integer; a float without fraction and digits in a string count as one.
    Int,
    Float,
    /// True or false; 1, 0 and the words in a string count as such.
    Flag,
    /// Seconds since 1970 as an integer, a float or digits in a string; an RFC 3339 string.
    Time,
    /// False, true, or the time of the edit.
    Edited,
    /// Anything: only whether the field is there counts.
    Any,
}

/// How a column comes from its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// As it is.
    Same,
    /// The record's id without prefix.
    Id,
    /// The record's full name, made of the id where the field is missing.
    Name,
    /// Without `t1_` and the like in front.
    Bare,
    /// Whether it was edited.
    EditedFlag,
    /// When it was edited; null where only "edited" is known.
    EditedAt,
    /// The latest time at which it was fetched.
    Retrieved,
}

/// A column of a relation.
#[derive(Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub field: &'static str,
    pub ty: Type,
    pub made: Made,
}

impl Column {
    pub(super) fn data_type(&self) -> DataType {
        match (self.made, self.ty) {
            (Made::EditedFlag, _) | (Made::Same, Type::Flag | Type::Any | Type::Edited) => DataType::Boolean,
            (Made::EditedAt | Made::Retrieved, _) | (Made::Same, Type::Time) => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            (Made::Same, Type::Int) => DataType::Int64,
            (Made::Same, Type::Float) => DataType::Float64,
            (Made::Same, Type::Text) | (Made::Id | Made::Name | Made::Bare, _) => DataType::Utf8View,
        }
    }
}

const fn same(name: &'static str, ty: Type) -> Column {
    Column { name, field: name, ty, made: Made::Same }
}

const fn text(name: &'static str) -> Column {
    same(name, Type::Text)
}

const fn int(name: &'static str) -> Column {
    same(name, Type::Int)
}

const fn flag(name: &'static str) -> Column {
    same(name, Type::Flag)
}

const fn made(name: &'static str, field: &'static str, ty: Type, made: Made) -> Column {
    Column { name, field, ty, made }
}

/// Fields that say when a record was fetched. The latest counts: it is the row's version and `retrieved_at`.
pub(super) const RETRIEVED: [&str; 5] =
    ["retrieved_on", "retrieved_utc", "retrieved_2nd_on", "updated_on", "updated_utc"];

/// Fields that are read from a record's `_meta` object too, where Arctic Shift keeps what its second fetch found.
pub(super) const META: [&str; 3] = ["retrieved_2nd_on", "removal_type", "was_deleted_later"];

const ID: Column = made("id", "id", Type::Text, Made::Id);
const NAME: Column = made("name", "name", Type::Text, Made::Name);
const RETRIEVED_AT: Column = made("retrieved_at", "retrieved_on", Type::Time, Made::Retrieved);
const EDITED: Column = made("edited", "edited", Type::Edited, Made::EditedFlag);
const EDITED_AT: Column = made("edited_at", "edited", Type::Edited, Made::EditedAt);
const CREATED_UTC: Column = same("created_utc", Type::Time);

const COMMENTS: &[Column] = &[
    ID,
    NAME,
    text("subreddit"),
    text("subreddit_id"),
    text("subreddit_type"),
    text("author"),
    text("author_fullname"),
    text("author_flair_text"),
    text("author_flair_css_class"),
    flag("author_premium"),
    CREATED_UTC,
    RETRIEVED_AT,
    EDITED,
    EDITED_AT,
    int("score"),
    int("ups"),
    int("downs"),
    text("body"),
    text("body_html"),
    text("link_id"),
    made("link", "link_id", Type::Text, Made::Bare),
    text("parent_id"),
    made("parent", "parent_id", Type::Text, Made::Bare),
    text("link_title"),
    text("link_author"),
    text("link_url"),
    text("link_permalink"),
    text("permalink"),
    int("depth"),
    flag("is_submitter"),
    int("controversiality"),
    int("gilded"),
    int("total_awards_received"),
    text("distinguished"),
    flag("stickied"),
    flag("locked"),
    flag("archived"),
    flag("score_hidden"),
    flag("collapsed"),
    text("collapsed_reason"),
    flag("no_follow"),
    flag("send_replies"),
    text("removal_reason"),
    text("removal_type"),
    flag("was_deleted_later"),
];

const SUBMISSIONS: &[Column] = &[
    ID,
    NAME,
    text("title"),
    text("selftext"),
    text("selftext_html"),
    text("url"),
    text("url_overridden_by_dest"),
    text("domain"),
    text("permalink"),
    text("thumbnail"),
    text("post_hint"),
    text("subreddit"),
    text("subreddit_id"),
    text("subreddit_type"),
    int("subreddit_subscribers"),
    text("author"),
    text("author_fullname"),
    text("author_flair_text"),
    text("author_flair_css_class"),
    flag("author_premium"),
    CREATED_UTC,
    RETRIEVED_AT,
    EDITED,
    EDITED_AT,
    int("score"),
    int("ups"),
    int("downs"),
    same("upvote_ratio", Type::Float),
    int("num_comments"),
    int("num_crossposts"),
    text("crosspost_parent"),
    flag("over_18"),
    flag("spoiler"),
    flag("is_self"),
    flag("is_video"),
    flag("is_gallery"),
    flag("is_meta"),
    flag("is_original_content"),
    text("link_flair_text"),
    text("link_flair_css_class"),
    int("gilded"),
    int("total_awards_received"),
    text("distinguished"),
    flag("stickied"),
    flag("locked"),
    flag("archived"),
    flag("pinned"),
    flag("hidden"),
    flag("hide_score"),
    flag("quarantine"),
    flag("contest_mode"),
    flag("no_follow"),
    flag("send_replies"),
    text("suggested_sort"),
    text("removed_by_category"),
    text("removal_reason"),
    text("removal_type"),
    flag("was_deleted_later"),
];

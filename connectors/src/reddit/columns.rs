//! The columns of comments and submissions, and the JSON fields they are made of.
//!
//! A column keeps its field's name and value; the exceptions say so below. All columns but `id` may be null: a field that
//! a dump does not have is null in its rows. Columns of arrays and objects hold their JSON text.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::json::cell::{TimeUnit as JsonTime, Type};

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

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    /// A 64-bit integer; a float without fraction and digits in a string count as one.
    Int,
    Float,
    /// True or false; 1, 0 and the words in a string count as such.
    Flag,
    /// Seconds since 1970 as an integer, a float or digits in a string, or milliseconds; ISO-8601 text.
    Time,
    /// False, true, or the time of the edit.
    Edited,
    /// The JSON text of an array or object.
    Json,
}

impl Holds {
    /// How its values are read.
    pub(super) fn json_type(self) -> Type {
        match self {
            Holds::Text => Type::Text,
            Holds::Int => Type::Int { min: i64::MIN, max: i64::MAX },
            Holds::Float => Type::Float,
            Holds::Flag => Type::Bool,
            Holds::Time => Type::Time(JsonTime::Guessed),
            Holds::Edited => Type::Edited,
            Holds::Json => Type::Json,
        }
    }
}

/// How a column comes from its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// As it is.
    Same,
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
    /// The string at this place inside the field's object.
    Inside(&'static [&'static str]),
    /// The file, as the path below the source's root.
    File,
    /// The number of the line, or of the value, in the file.
    Record,
    /// The record's own JSON text.
    Text,
}

/// A column of a relation.
#[derive(Debug)]
pub(super) struct Column {
    pub name: &'static str,
    /// Empty for columns that no field fills.
    pub field: &'static str,
    pub holds: Holds,
    pub made: Made,
}

impl Column {
    pub(super) fn data_type(&self) -> DataType {
        match (self.made, self.holds) {
            (Made::EditedFlag, _) | (Made::Same, Holds::Flag) => DataType::Boolean,
            (Made::EditedAt | Made::Retrieved, _) | (Made::Same, Holds::Time | Holds::Edited) => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            (Made::Same, Holds::Int) | (Made::Record, _) => DataType::Int64,
            (Made::Same, Holds::Float) => DataType::Float64,
            (Made::Same, Holds::Text | Holds::Json)
            | (Made::Name | Made::Bare | Made::Inside(_) | Made::File | Made::Text, _) => DataType::Utf8View,
        }
    }
}

const fn same(name: &'static str, holds: Holds) -> Column {
    Column { name, field: name, holds, made: Made::Same }
}

const fn text(name: &'static str) -> Column {
    same(name, Holds::Text)
}

const fn int(name: &'static str) -> Column {
    same(name, Holds::Int)
}

const fn flag(name: &'static str) -> Column {
    same(name, Holds::Flag)
}

const fn time(name: &'static str) -> Column {
    same(name, Holds::Time)
}

const fn json(name: &'static str) -> Column {
    same(name, Holds::Json)
}

const fn made(name: &'static str, field: &'static str, holds: Holds, made: Made) -> Column {
    Column { name, field, holds, made }
}

const fn inside(name: &'static str, field: &'static str, path: &'static [&'static str]) -> Column {
    Column { name, field, holds: Holds::Json, made: Made::Inside(path) }
}

/// Fields that say when a record was fetched. The latest counts: it is the row's version and `retrieved_at`.
pub(super) const RETRIEVED: [&str; 5] =
    ["retrieved_on", "retrieved_utc", "retrieved_2nd_on", "updated_on", "updated_utc"];

/// Fields that are read from a record's `_meta` object too, where Arctic Shift keeps what its second fetch found.
pub(super) const META: [&str; 7] = [
    "retrieved_2nd_on",
    "removal_type",
    "was_deleted_later",
    "is_edited",
    "was_initially_deleted",
    "no_2nd_retrieval",
    "note",
];

/// Other names that tools give to fields: the field, and its name there. A field's own name goes before.
pub(super) const ALIASES: [(&str, &str); 14] = [
    ("created_utc", "created"),
    ("created_utc", "created_at"),
    ("created_utc", "createdUtc"),
    ("created_utc", "createdAt"),
    ("created_utc", "created_time"),
    ("created_utc", "created_date"),
    ("created_utc", "created_on"),
    ("created_utc", "created_datetime"),
    ("created_utc", "date_created"),
    ("created_utc", "utc_datetime_str"),
    ("created_utc", "timestamp"),
    ("created_utc", "datetime"),
    ("created_utc", "date"),
    ("subreddit", "subreddit_name"),
];

/// Fields that tools write as objects, and what stands for them.
pub(super) const OBJECTS: [(&str, &[&str]); 2] =
    [("author", &["name", "username", "display_name"]), ("subreddit", &["display_name", "name"])];

const ID: Column = text("id");
const NAME: Column = made("name", "name", Holds::Text, Made::Name);
const RETRIEVED_AT: Column = made("retrieved_at", "retrieved_on", Holds::Time, Made::Retrieved);
const EDITED: Column = made("edited", "edited", Holds::Edited, Made::EditedFlag);
const EDITED_AT: Column = made("edited_at", "edited", Holds::Edited, Made::EditedAt);
const CREATED_UTC: Column = time("created_utc");
const FILE: Column = made("_file", "", Holds::Text, Made::File);
const RECORD: Column = made("_record", "", Holds::Int, Made::Record);
const JSON: Column = made("json", "", Holds::Text, Made::Text);

const COMMENTS: &[Column] = &[
    ID,
    NAME,
    text("subreddit"),
    text("subreddit_id"),
    text("subreddit_type"),
    text("subreddit_name_prefixed"),
    text("author"),
    text("author_fullname"),
    time("author_created_utc"),
    text("author_flair_text"),
    text("author_flair_css_class"),
    text("author_flair_type"),
    text("author_flair_template_id"),
    text("author_flair_text_color"),
    text("author_flair_background_color"),
    json("author_flair_richtext"),
    flag("author_premium"),
    flag("author_patreon_flair"),
    flag("author_cakeday"),
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
    made("link", "link_id", Holds::Text, Made::Bare),
    text("parent_id"),
    made("parent", "parent_id", Holds::Text, Made::Bare),
    text("link_title"),
    text("link_author"),
    text("link_url"),
    text("link_permalink"),
    text("permalink"),
    int("depth"),
    int("num_comments"),
    flag("over_18"),
    flag("quarantine"),
    flag("is_submitter"),
    int("controversiality"),
    int("gilded"),
    json("gildings"),
    int("total_awards_received"),
    json("all_awardings"),
    json("awarders"),
    text("associated_award"),
    text("top_awarded_type"),
    json("treatment_tags"),
    text("comment_type"),
    text("distinguished"),
    flag("stickied"),
    flag("locked"),
    flag("archived"),
    flag("saved"),
    flag("score_hidden"),
    flag("collapsed"),
    text("collapsed_reason"),
    text("collapsed_reason_code"),
    text("collapsed_because_crowd_control"),
    text("unrepliable_reason"),
    flag("no_follow"),
    flag("send_replies"),
    flag("can_gild"),
    flag("can_mod_post"),
    flag("likes"),
    text("approved_by"),
    time("approved_at_utc"),
    text("banned_by"),
    time("banned_at_utc"),
    text("mod_note"),
    text("mod_reason_title"),
    text("mod_reason_by"),
    json("mod_reports"),
    json("user_reports"),
    json("report_reasons"),
    int("num_reports"),
    json("media_metadata"),
    json("expression_asset_data"),
    text("removed_by_category"),
    text("removed_by"),
    text("removal_reason"),
    text("removal_type"),
    flag("is_edited"),
    flag("was_deleted_later"),
    flag("was_initially_deleted"),
    flag("no_2nd_retrieval"),
    time("retrieved_2nd_on"),
    text("note"),
    json("_meta"),
    FILE,
    RECORD,
    JSON,
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
    int("thumbnail_width"),
    int("thumbnail_height"),
    text("post_hint"),
    text("subreddit"),
    text("subreddit_id"),
    text("subreddit_type"),
    text("subreddit_name_prefixed"),
    int("subreddit_subscribers"),
    text("author"),
    text("author_fullname"),
    time("author_created_utc"),
    text("author_flair_text"),
    text("author_flair_css_class"),
    text("author_flair_type"),
    text("author_flair_template_id"),
    text("author_flair_text_color"),
    text("author_flair_background_color"),
    json("author_flair_richtext"),
    flag("author_premium"),
    flag("author_patreon_flair"),
    flag("author_cakeday"),
    flag("author_is_blocked"),
    CREATED_UTC,
    RETRIEVED_AT,
    EDITED,
    EDITED_AT,
    int("score"),
    int("ups"),
    int("downs"),
    same("upvote_ratio", Holds::Float),
    int("num_comments"),
    int("num_crossposts"),
    int("num_reports"),
    int("view_count"),
    text("crosspost_parent"),
    json("crosspost_parent_list"),
    json("media"),
    inside("media_type", "media", &["type"]),
    inside("media_url", "media", &["oembed", "url"]),
    inside("media_title", "media", &["oembed", "title"]),
    inside("media_description", "media", &["oembed", "description"]),
    inside("media_author", "media", &["oembed", "author_name"]),
    inside("media_author_url", "media", &["oembed", "author_url"]),
    inside("media_html", "media", &["oembed", "html"]),
    inside("media_thumbnail_url", "media", &["oembed", "thumbnail_url"]),
    inside("media_video_url", "media", &["reddit_video", "fallback_url"]),
    json("media_embed"),
    json("secure_media"),
    json("secure_media_embed"),
    flag("media_only"),
    json("media_metadata"),
    json("gallery_data"),
    json("poll_data"),
    json("preview"),
    json("event_data"),
    json("collections"),
    flag("over_18"),
    flag("spoiler"),
    flag("is_self"),
    flag("is_video"),
    flag("is_gallery"),
    flag("is_meta"),
    flag("is_original_content"),
    flag("is_reddit_media_domain"),
    flag("is_robot_indexable"),
    flag("is_crosspostable"),
    flag("is_created_from_ads_ui"),
    text("link_flair_text"),
    text("link_flair_css_class"),
    text("link_flair_type"),
    text("link_flair_template_id"),
    text("link_flair_text_color"),
    text("link_flair_background_color"),
    json("link_flair_richtext"),
    int("gilded"),
    json("gildings"),
    int("total_awards_received"),
    json("all_awardings"),
    json("awarders"),
    text("top_awarded_type"),
    json("treatment_tags"),
    text("distinguished"),
    flag("stickied"),
    flag("locked"),
    flag("archived"),
    flag("pinned"),
    flag("hidden"),
    flag("saved"),
    flag("clicked"),
    flag("visited"),
    flag("hide_score"),
    flag("quarantine"),
    flag("contest_mode"),
    flag("no_follow"),
    flag("send_replies"),
    flag("allow_live_comments"),
    flag("brand_safe"),
    flag("can_gild"),
    flag("can_mod_post"),
    flag("likes"),
    text("suggested_sort"),
    text("discussion_type"),
    text("category"),
    json("content_categories"),
    text("whitelist_status"),
    text("parent_whitelist_status"),
    int("wls"),
    int("pwls"),
    text("approved_by"),
    time("approved_at_utc"),
    text("banned_by"),
    time("banned_at_utc"),
    text("mod_note"),
    text("mod_reason_title"),
    text("mod_reason_by"),
    json("mod_reports"),
    json("user_reports"),
    json("report_reasons"),
    text("removed_by"),
    text("removed_by_category"),
    text("removal_reason"),
    text("removal_type"),
    flag("is_edited"),
    flag("was_deleted_later"),
    flag("was_initially_deleted"),
    flag("no_2nd_retrieval"),
    time("retrieved_2nd_on"),
    text("note"),
    json("_meta"),
    FILE,
    RECORD,
    JSON,
];

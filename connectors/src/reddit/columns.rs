//! The columns of comments and submissions, and the JSON fields they are made of.
//!
//! A column keeps its field's name and value; the exceptions say so below. All columns but `id` may be null: a field that
//! a dump does not have is null in its rows. Columns of arrays and objects hold their JSON text.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::json::cell::{TimeUnit as JsonTime, Type};

mod lists;

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
            Kind::Comments => &lists::COMMENTS,
            Kind::Submissions => &lists::SUBMISSIONS,
        }
    }

    /// The relation's schema.
    pub fn schema(self) -> SchemaRef {
        let fields =
            self.columns().iter().map(|column| Field::new(column.name, column.data_type(), column.name != "id"));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The columns of where a row comes from, which only those get who name them.
    pub(super) fn unlisted(self) -> Vec<usize> {
        let is_unlisted = |column: &Column| matches!(column.made, Made::File | Made::Record | Made::Text);
        let columns = self.columns().iter().enumerate();
        columns.filter(|(_, column)| is_unlisted(column)).map(|(index, _)| index).collect()
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
#[derive(Clone, Copy, Debug)]
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
pub(super) const ALIASES: [(&str, &str); 25] = [
    ("id", "comment_id"),
    ("id", "commentId"),
    ("link_id", "linkId"),
    ("parent_id", "parentId"),
    ("submission_id", "submissionId"),
    ("submission_id", "post_id"),
    ("submission_id", "postId"),
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
    ("created_utc", "time"),
    ("created_utc", "date_utc"),
    ("created_utc", "created_utc_iso"),
    ("created_utc", "published_at"),
    ("subreddit", "subreddit_name"),
];

/// Fields that tools write as objects, and what stands for them.
pub(super) const OBJECTS: [(&str, &[&str]); 2] =
    [("author", &["name", "username", "display_name"]), ("subreddit", &["display_name", "name"])];

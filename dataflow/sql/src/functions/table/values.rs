//! Functions of values of any type, and those that no view may call.

use super::{Function, refused, scalars};

/// By name.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Function] = scalars! {
    "arrow_cast", "any, type → type", "as Arrow's type of that name", "it is no such value";
    "arrow_try_cast", "any, type → type", "the same, null where it is no such value", never;
    "arrow_typeof", "any → text", "the name of its Arrow type", never;
    "cast_to_type", "any, other → other's type", "as a value of the other's type", "it is no such value";
    "coalesce", "any, … → any", "the first that is not null", never;
    "decode", "text, format → bytes", "what the text says in 'base64' or 'hex'", "the text is not of the format";
    "encode", "any, format → text", "its bytes in 'base64' or 'hex'", "there is no such format";
    "get_field", "struct, name → any", "a field: `s['name']`", never;
    "greatest", "any, … → any", "the greatest that is not null", never;
    "least", "any, … → any", "the least that is not null", never;
    "named_struct", "name, any, … → struct", "a struct of fields with names", never;
    "nullif", "any, any → any", "the first, null where both are equal", never;
    "nvl ifnull", "any, any → any", "the first, the second where it is null", never;
    "nvl2", "any, any, any → any", "the second where the first is not null, else the third", never;
    "struct row", "any, … → struct", "a struct of fields c0, c1, …", never;
    "try_cast_to_type", "any, other → other's type", "the same as cast_to_type, null where it is no such value", never;
};

/// What no view may call.
#[rustfmt::skip]
pub(super) const REFUSED: &[Function] = refused! { "function" =>
    "array_any_match any_match list_any_match", "takes a function", "unnest the list in a view, and ask with EXISTS";
    "array_filter list_filter", "takes a function", "unnest the list in a view, with WHERE";
    "array_first list_first", "takes a function", "unnest the list in a view, with WHERE";
    "array_transform list_transform", "takes a function", "unnest the list in a view, and compute there";
    "arrow_field", "asks for metadata, which no column has", "use arrow_typeof for the type";
    "arrow_metadata", "asks for metadata, which no column has", "leave it out";
    "current_date today", "depends on the clock", "a view may depend on its input alone: compare two columns, or pass a value with --set";
    "current_time", "depends on the clock", "a view may depend on its input alone: compare two columns, or pass a value with --set";
    "file_row_index", "asks for a file", "sources have no files in a query: leave it out";
    "input_file_name", "asks for a file", "sources have no files in a query: leave it out";
    "now current_timestamp", "depends on the clock", "a view may depend on its input alone: compare two columns, or pass a value with --set";
    "random rand", "depends on chance", "a view may depend on its input alone: compare two columns, or pass a value with --set";
    "union_extract", "takes a union, which no column is", "leave it out";
    "union_tag", "takes a union, which no column is", "leave it out";
    "uuid", "depends on chance", "use a column that is unique, or several with concat";
    "version", "depends on the build", "pass a value with --set";
    "with_metadata", "makes metadata, which no column has", "leave it out";
};

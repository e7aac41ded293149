//! The SQL function library: the functions that catchment adds to DataFusion's.
//!
//! | function | from | to |
//! |---|---|---|
//! | [`words`] | a text | its words, in order, repeats kept |
//! | [`youtube_video_ids`] | a text | the YouTube videos it links, each once |
//! | [`mad`] | the numbers of a group or window | how far they lie from their median: an aggregate |
//!
//! Every function here is pure, immutable and total: no value makes it fail. A scalar function of a text gives a list, and
//! null for null. Such a function has two faces: the [`ScalarUDF`] of [`all`], which the planner and DataFusion's executor use and which
//! returns exactly the type it declares, and for some the *encoded* form of [`encoded`], which the dataflow uses where
//! the function's result is unnested at once: the same list with dictionary-encoded values.

pub mod mad;
mod text_to_list;
pub mod word_table;
pub mod words;
pub mod youtube_video_ids;

use std::sync::Arc;

use catchment_contract::Result;
use catchment_contract::arrow::array::ArrayRef;
use datafusion_expr::{AggregateUDF, ScalarUDF};

pub use words::words_encoded;
pub use youtube_video_ids::youtube_video_ids;

/// A function over one column of text whose list values are `Dictionary(UInt32, Utf8View)`.
pub type Encoded = fn(&ArrayRef) -> Result<ArrayRef>;

/// Every aggregate function of the library, to be registered with the planner.
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    vec![mad::udaf()]
}

/// Every scalar function of the library, to be registered with the planner.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    vec![words::udf(), youtube_video_ids::udf()]
}

/// The form of function `name` whose list values are dictionary-encoded, if it has one.
///
/// It takes the argument's column (`Utf8View`, another string type, or a dictionary of one) and returns a list column of
/// the same length, equal to the function's own result but for the encoding.
pub fn encoded(name: &str) -> Option<Encoded> {
    match name {
        words::NAME => Some(words::encoded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_encoded_forms_belong_to_functions() {
        let names = all().iter().map(|udf| udf.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names, ["words", "youtube_video_ids"]);
        assert!(encoded("words").is_some());
        assert!(encoded("youtube_video_ids").is_none());
    }
}

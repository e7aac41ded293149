//! Fluvio topics as sources: `connector = 'fluvio'`.
//!
//! ```sql
//! CREATE SOURCE buzz (video_id TEXT, mentions BIGINT, PRIMARY KEY (video_id))
//!   WITH (connector = 'fluvio', topic = 'video-buzz', format = 'debezium');
//! ```
//!
//! | option | values | |
//! |---|---|---|
//! | `topic` | a topic's name | required |
//! | `format` | `json` (default), `ndjson`, `debezium`, `upsert` | what a record is, below |
//! | `from` | `earliest` (default), `latest`, an offset, a time | where a job begins that has read nothing yet |
//! | `on_eviction` | `fail` (default), `earliest` | when records were evicted before they were read |
//! | `time_unit` | `microseconds` (default), `milliseconds`, `seconds` | of integers in `TIMESTAMP` columns |
//!
//! **Columns** are declared, with types; a field that is not declared is passed over, a column whose field is missing is
//! null. A field's name is a column's name to the letter. Some columns are filled by the record itself:
//!
//! | column | filled with |
//! |---|---|
//! | `_offset`, `_partition` | where the record lies |
//! | `_time` | when it was written, as its batch says; null if that says nothing |
//! | `_key` | its key as text |
//! | `_epoch`, `_ts_ms` | in `debezium`, the envelope's `epoch` and `ts_ms`; in the other formats plain fields |
//!
//! **Formats.** A record's value is, for
//! - `json`: one object, a row. With a primary key it replaces the row with the same key, else every record is added.
//! - `ndjson`: lines of such objects; blank lines are passed over.
//! - `upsert`: one object; the value `null` (or nothing at all) removes the row that the record's key names.
//! - `debezium`: an envelope `{"before":…,"after":…,"op":…}`, as it is or inside a `payload`. `c`, `r` and `u` give the row
//!   of `after`, `d` removes the row of `before`; an update that changes the primary key removes the row of `before` too.
//!   `null` removes the row that the record's key names. Truncations (`t`) and messages (`m`) are rejects.
//!
//! A primary key's column that is missing in the value is filled from the record's key: plain text (one column), a JSON
//! array in the key's order, or a JSON object. In `debezium` and `upsert` it may be null, if the value or the key says so: as
//! a view's group may be. A record that is `null` and has no key removes the row whose key, of one column, is null.
//!
//! **Values.** What does not fit its column is a reject; nothing wraps. Numbers may come as strings (`"42"`), `DECIMAL`
//! keeps all digits of a number as written, `DOUBLE` is the nearest one, `TEXT` takes any value (what is no string as its
//! JSON text; a surrogate without its other half becomes U+FFFD), `TIMESTAMP` takes ISO-8601 (UTC without an offset; digits
//! after the microseconds are dropped) or integers in `time_unit`, `DATE` takes `2024-01-31` or days since 1970; both from
//! the year 1 to 9999. Other column types are booleans, integers, floats and arrays of all these.
//!
//! **Rejects** say `partition 3, offset 17` and keep the record's text. A batch that cannot be decompressed is one reject.
//!
//! **Partitions** are read in the order of their numbers; a partition's id is its number. Within a partition order is
//! that of the offsets, so changes of one key stay in order when its records share a partition, as keyed records do.
//! `from` holds for the partitions that there are when a job looks for the first time; those that are added later are read
//! from their beginning, whatever `from` says.
//!
//! **Exactly once.** [`position`] says where a partition goes on; a batch that its writer has repeated is skipped by the
//! numbers in its header. A partition that ends before its position was made anew: that is an error, never a new start. (One
//! that was made anew and has grown beyond the position already looks like the old one: give the source another name.)

mod clients;
mod decode;
mod option;
pub mod position;
mod reader;
mod source;
mod start;
mod watch;

use std::sync::Arc;

use catchment_contract::{Declaration, Options, Result, Source, SourceConnector};
use catchment_topics::Topics;

pub use decode::TopicDecoder;
pub use option::{Format, OnEviction, Start, TopicOptions};

use source::Topic;

/// The connector `fluvio`.
#[derive(Clone)]
pub struct Connector {
    topics: Topics,
}

impl Connector {
    /// A connector whose sources read from the broker that `topics` will be bound to.
    pub fn new(topics: &Topics) -> Self {
        Connector { topics: topics.clone() }
    }
}

impl SourceConnector for Connector {
    fn name(&self) -> &'static str {
        "fluvio"
    }

    fn check(&self, _name: &str, declared: &Declaration, options: &mut Options) -> Result<Arc<dyn Source>> {
        let checked = TopicOptions::take(declared, options)?;
        Ok(Arc::new(Topic::new(checked, self.topics.clone())))
    }
}

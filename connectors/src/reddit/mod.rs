//! Reddit: comments and submissions from dumps, API listings and snapshots of listings.
//!
//! ```sql
//! CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = 'data/RC_*.zst');
//! ```
//!
//! | option | meaning |
//! |---|---|
//! | `kind` | `comments` or `submissions`; required |
//! | `path` | a file, a folder or a glob: see [`files`](crate::files); required |
//!
//! **Inputs**, plain or packed with zstd, gzip or bzip2, in UTF-8 or UTF-16, told by content and never by name:
//! - a record a line, as Pushshift and Arctic Shift publish them, in older `.zst_blocks` files too;
//! - records over several lines, with nothing between them, in an array of any size, in an object by id
//!   (`{"abc": {…}, …}`), or in fields of an object (`{"posts": […]}`);
//! - `{"kind":"t1","data":{…}}`, listings of such with replies, answers of the API (`{"json":{"data":{"things":[…]}}}`);
//! - records inside records: `replies`, `children`, `comments` (as BDFR writes them);
//! - snapshots of listings, `{"fetched_at":…,"listing":{…}}`;
//! - exports by mongoexport (extended JSON) and by pandas (`NaN`, floats for numbers and flags, every column in every record);
//! - JSON that is nearly JSON (see [`mend`](crate::json::mend)), and strings that hold it.
//!
//! A file of mixed kinds yields the records of the source's kind; those of other kinds, and things of Reddit that are
//! neither (`more` stubs, subreddits), are passed over and counted as such. A record that nothing tells the kind of is taken
//! for one of the source's kind; what is no record is a reject. See [`judge`] for how they are told apart.
//!
//! **Rows** replace one another by `id`, which never has a `t1_` or `t3_` in front; `link_id` and `parent_id` always have it,
//! and `link` and `parent` repeat them without it. A row's version is the latest of `retrieved_on`, `retrieved_utc`,
//! `updated_on`, `updated_utc`, `_meta.retrieved_2nd_on` and the snapshot's `fetched_at`, in microseconds since 1970, null if
//! there is none. `_file` and `_record` say where a row stands, `json` is its record's text: these three are there for
//! whoever names them, and `*` leaves them out.
//!
//! **Rejects**: a file of another format as a whole; a line that is no JSON, no object or no UTF-8; an object that is no
//! record; a wanted field of an impossible type or out of range. Lone surrogates in strings become U+FFFD.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::{
    Declaration, Environment, Error, Options, Partition, PartitionReader, Position, Relation, Replace, Result, Source,
    SourceConnector, Unfinished, Wake,
};

use crate::files::position::Cut;
use crate::files::{FileSet, Opened, SNIFF_BYTES};
use crate::json::is_complete;
use crate::json::shape::Shape;

mod columns;
mod decode;
mod flat;
mod judge;
mod plan;
mod record;
mod scan;

pub use columns::Kind;
pub use decode::Decoder;

/// The connector `reddit`.
#[derive(Clone, Debug)]
pub struct Connector {
    environment: Environment,
}

impl Connector {
    /// A connector that takes its time from `environment`.
    pub fn new(environment: &Environment) -> Self {
        Connector { environment: environment.clone() }
    }
}

impl SourceConnector for Connector {
    fn name(&self) -> &'static str {
        "reddit"
    }

    fn check(&self, _name: &str, declared: &Declaration, options: &mut Options) -> Result<Arc<dyn Source>> {
        declared.refuse_key(options.owner())?;
        let (kind, span) = options.require("kind")?;
        let kind = match kind.to_ascii_lowercase().as_str() {
            "comments" => Kind::Comments,
            "submissions" => Kind::Submissions,
            _ => {
                let message = format!("option \"kind\" of {} cannot be '{kind}'", options.owner());
                let error: Error = options.error(span, message);
                return Err(error.with_hint("write 'comments' or 'submissions'"));
            }
        };
        let files = FileSet::from_options(options, &self.environment)?.by_content();
        let relation = Relation { schema: kind.schema(), key: vec![0], replace: Replace::Row };
        Ok(Arc::new(Reddit { kind, files, relation }))
    }
}

struct Reddit {
    kind: Kind,
    files: FileSet,
    relation: Relation,
}

impl Source for Reddit {
    fn relation(&self) -> &Relation {
        &self.relation
    }

    fn unlisted(&self) -> Vec<usize> {
        self.kind.unlisted()
    }

    fn definition(&self) -> String {
        let kind = match self.kind {
            Kind::Comments => "comments",
            Kind::Submissions => "submissions",
        };
        format!("files of Reddit {kind}")
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        self.files.discover(known)
    }

    fn open(&self, partition: &Partition, unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        let mut file = match self.files.open(partition)? {
            Opened::Text(file) => file,
            Opened::Decided(reader) => return Ok(reader),
        };
        let shape = match file.resumes() {
            Some(Cut::Values) => Shape::Values,
            Some(_) => Shape::Lines,
            None => Shape::of(file.sniff(SNIFF_BYTES)?),
        };
        Ok(match shape {
            Shape::Lines => Box::new(file.into_lines(Some(is_complete), unfinished)),
            Shape::Values => Box::new(file.into_values(unfinished)),
            Shape::Alien(alien) => file.into_alien(alien)?,
        })
    }

    fn decoder(&self, projection: &[usize]) -> Arc<dyn catchment_contract::Decoder> {
        Arc::new(Decoder::new(self.kind, projection))
    }

    fn watch(&self, wake: Wake) -> Result<Option<Box<dyn Send>>> {
        Ok(self.files.watch(wake))
    }
}

#[cfg(test)]
mod tests;

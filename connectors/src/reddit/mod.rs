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
//! **Inputs**, plain or packed with zstd, gzip or bzip2, told by content:
//! - a record a line, as Pushshift and Arctic Shift publish them;
//! - `{"kind":"t1","data":{…}}` a line, as the API has them;
//! - API listings, with replies inside comments; arrays of listings or records; a line each or one document a file;
//! - snapshots of listings, `{"fetched_at":…,"listing":{…}}` a line.
//!
//! A file of mixed kinds yields the records of the source's kind. The others are neither rows nor rejects and do not
//! count as records: [`Decoder::others`] counts them, and each payload's count is logged at debug level. A record that
//! nothing tells the kind of is taken for one of the source's kind.
//!
//! **Rows** replace one another by `id`, which never has a `t1_` or `t3_` in front; other ids keep the prefix that the dump
//! gives them, and `link` and `parent` repeat `link_id` and `parent_id` without it. A row's version is the latest of
//! `retrieved_on`, `retrieved_utc`, `updated_on`, `updated_utc`, `_meta.retrieved_2nd_on` and the snapshot's `fetched_at`,
//! in microseconds since 1970, null if there is none.
//!
//! **Rejects**: a line that is no JSON, no object or no UTF-8; a record without `id`; a wanted field of an impossible type
//! or out of range. Lone surrogates in strings become U+FFFD. A document over several lines is one reject if it is no
//! JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::{
    Declaration, Error, Options, Partition, PartitionReader, Position, Relation, Replace, Result, Source,
    SourceConnector, Unfinished, Wake,
};

use crate::files::FileSet;

mod build;
mod cell;
mod columns;
mod decode;
mod plan;
mod scan;
mod shape;

pub use columns::Kind;
pub use decode::Decoder;
use shape::{SNIFF_BYTES, Shape, is_complete};

/// The connector `reddit`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connector;

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
        let files = FileSet::from_options(options)?;
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
        let mut file = self.files.open(partition)?;
        let lines = file.resumes() || Shape::of(file.sniff(SNIFF_BYTES)?) == Shape::Lines;
        if lines {
            return Ok(Box::new(file.into_lines(Some(is_complete), unfinished)));
        }
        let file = if unfinished == Unfinished::Leave { file.settled()? } else { file };
        Ok(Box::new(file.into_document(unfinished)))
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

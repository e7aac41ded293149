//! What every commit of a table says of the version it makes: who may write next, and what its files add up to.
//!
//! The *seal* is the table's domain metadata `catchment`, a JSON object, replaced by each commit:
//!
//! | field | meaning |
//! |---|---|
//! | `format` | 2: of tables and their staged commits; another is refused |
//! | `run` | 32 hexadecimal digits: the run that may write. A newer run writes its own before it does anything else (it *fences* the table), so that no commit of an older one can succeed |
//! | `files`, `rows` | data files of the version, and the rows that readers see in them |
//! | `digest` | 32 hexadecimal digits: the sum, modulo 2¹²⁸, of the XXH3-128 of each file's entry (`entry.rs`) |
//!
//! A log that lost an entry, or of which one was emptied or changed, does not add up to its newest seal.

use catchment_contract::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::lake::entry::Totals;

/// The name of our domain in a table's metadata.
pub const DOMAIN: &str = "catchment";
/// The version of the format of tables.
pub const FORMAT: u32 = 2;

/// See the module's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    format: u32,
    /// The run that may write.
    pub run: String,
    /// What the version's files add up to.
    #[serde(flatten)]
    pub totals: Totals,
}

impl Seal {
    /// Of a version that `run` makes.
    pub fn new(run: &str, totals: Totals) -> Self {
        Seal { format: FORMAT, run: run.to_owned(), totals }
    }

    /// As the log keeps it.
    ///
    /// # Errors
    /// None: every field has a JSON form.
    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::bug("a table's seal has no JSON form").with_source(error))
    }

    /// Reads what [`Seal::to_text`] wrote for `table`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is something else.
    pub fn from_text(text: &str, table: &str) -> Result<Self> {
        let read: Seal = serde_json::from_str(text)
            .map_err(|error| Error::data(format!("the seal of table \"{table}\" cannot be read")).with_source(error))?;
        if read.format == FORMAT {
            return Ok(read);
        }
        Err(Error::data(format!("table \"{table}\" has format {}, and this version knows {FORMAT}", read.format))
            .with_hint("run the version of catchment that wrote it, or a newer one"))
    }
}

//! What a checkpoint keeps of a table's staged commit, so that it can be published after a crash.
//!
//! A JSON object, the value of [`Staged`]. Fields, all always present:
//!
//! | field | meaning |
//! |---|---|
//! | `format` | 2, as in the table's seal |
//! | `table` | the table's path below the lake |
//! | `table_id` | the id in the table's metadata: another one was made anew |
//! | `version` | the table's newest version when this was staged: an older one has lost commits |
//! | `app` | the id under which the log keeps the number of the last published checkpoint |
//! | `checkpoint`, `epoch` | number of the checkpoint that staged this, and its epoch |
//! | `previous` | number of the checkpoint that was published last before this one; null for none |
//! | `files`, `rows` | data files of the table once this is published, and rows that readers see in them |
//! | `adds` | data files to add: `path` (as in the log: relative to the table, URL-encoded), `bytes`, `modified_ms`, `rows`, `partition` (name → text or null), `stats` (the log's statistics, a JSON text) |
//! | `removes` | paths of data files to remove |
//! | `vectors` | data files that get another deletion vector: `path`, `vector` (`storageType`, `pathOrInlineDv`, `offset`, `sizeInBytes`, `cardinality`, as in the log) |

use catchment_contract::{Error, Result, Staged};
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use serde::{Deserialize, Serialize};

use crate::lake::columns::PartitionValues;
use crate::lake::entry::FileEntry;
use crate::lake::seal::FORMAT;

/// A commit that is durable and not visible yet; see the module's table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StagedCommit {
    pub format: u32,
    pub table: String,
    pub table_id: String,
    pub version: u64,
    pub app: String,
    pub checkpoint: u64,
    pub epoch: u64,
    pub previous: Option<u64>,
    pub files: u64,
    pub rows: u64,
    pub adds: Vec<AddedFile>,
    pub removes: Vec<String>,
    pub vectors: Vec<NewVector>,
}

/// A data file that a commit adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddedFile {
    pub path: String,
    pub bytes: u64,
    pub modified_ms: i64,
    pub rows: u64,
    pub partition: PartitionValues,
    pub stats: String,
}

impl AddedFile {
    /// What the log says of it once it is added.
    pub fn entry(&self) -> FileEntry {
        FileEntry {
            path: self.path.clone(),
            bytes: self.bytes,
            modified_ms: self.modified_ms,
            rows: self.rows,
            partition: self.partition.clone(),
            vector: None,
        }
    }
}

/// Another deletion vector for a data file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewVector {
    pub path: String,
    pub vector: Vector,
}

/// A deletion vector's place, in the log's words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vector {
    pub storage_type: String,
    pub path_or_inline_dv: String,
    pub offset: Option<i32>,
    pub size_in_bytes: i32,
    pub cardinality: i64,
}

impl Vector {
    /// The kernel's descriptor in our words.
    pub fn of(descriptor: &DeletionVectorDescriptor) -> Self {
        Vector {
            storage_type: descriptor.storage_type.to_string(),
            path_or_inline_dv: descriptor.path_or_inline_dv.clone(),
            offset: descriptor.offset,
            size_in_bytes: descriptor.size_in_bytes,
            cardinality: descriptor.cardinality,
        }
    }

    /// The kernel's descriptor.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if the fields make no sense.
    pub fn descriptor(&self) -> Result<DeletionVectorDescriptor> {
        let storage = self.storage_type.parse();
        let made = storage.and_then(|storage| {
            let place = self.path_or_inline_dv.clone();
            DeletionVectorDescriptor::try_new(storage, place, self.offset, self.size_in_bytes, self.cardinality)
        });
        made.map_err(|error| Error::data("a checkpoint holds a deletion vector that makes no sense").with_source(error))
    }
}

impl StagedCommit {
    /// Whether publishing it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.removes.is_empty() && self.vectors.is_empty()
    }

    /// As a checkpoint keeps it.
    ///
    /// # Errors
    /// None: every field has a JSON form.
    pub fn to_staged(&self) -> Result<Staged> {
        let value = serde_json::to_value(self);
        Ok(Staged(value.map_err(|error| Error::bug("a staged commit has no JSON form").with_source(error))?))
    }

    /// Reads what [`StagedCommit::to_staged`] wrote for `table`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is something else.
    pub fn from_staged(staged: &Staged, table: &str) -> Result<Self> {
        let read: StagedCommit = serde_json::from_value(staged.0.clone()).map_err(|error| {
            Error::data(format!("the checkpoint's note about table \"{table}\" cannot be read")).with_source(error)
        })?;
        if read.format != FORMAT {
            return Err(Error::data(format!(
                "the checkpoint's note about table \"{table}\" has format {}, and this version knows {FORMAT}",
                read.format
            ))
            .with_hint("run the version of catchment that wrote it, or a newer one"));
        }
        if read.table != table {
            return Err(Error::user(format!("the sink wrote to table \"{}\" until its last checkpoint", read.table))
                .with_hint(format!("keep that name, or give the sink for \"{table}\" another name")));
        }
        Ok(read)
    }
}

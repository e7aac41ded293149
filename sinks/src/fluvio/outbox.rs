//! The sink's objects in the lake: outboxes, and the keys that `emit = 'first'` has published.
//!
//! Names carry a random part: of two runs that stage the same checkpoint only one commits it, and the other must not
//! have overwritten its objects.

use bytes::Bytes;
use catchment_contract::{Environment, Error, Lease, Result};
use catchment_topics::batch::batches;
use object_store::PutPayload;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::fluvio::staged::Object;
use catchment_store::LakeStore;

/// The folder of a sink's objects.
pub struct Outbox {
    lake: LakeStore,
    folder: String,
    environment: Environment,
}

impl Outbox {
    /// The folder of `sink` in the job `job`.
    pub fn new(lake: LakeStore, job: &str, sink: &str, environment: Environment) -> Self {
        Outbox { lake, folder: format!("_catchment/{job}/outbox/{}", file_name(sink)), environment }
    }

    /// Writes a new object for checkpoint `n`: `parts` one after the other.
    ///
    /// # Errors
    /// If the lake cannot be written.
    pub fn put(&self, n: u64, ending: &str, parts: &[Bytes]) -> Result<Object> {
        let path = format!("{}/{n}-{:016x}.{ending}", self.folder, self.environment.random_u64());
        let mut checksum = Xxh3Default::new();
        parts.iter().for_each(|part| checksum.update(part));
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        self.lake.put(&path, parts.iter().cloned().collect::<PutPayload>())?;
        Ok(Object { path, bytes, checksum: checksum.digest() })
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is gone or not what was written.
    pub fn get(&self, object: &Object) -> Result<Bytes> {
        let bytes = self.lake.get(&object.path)?.ok_or_else(|| {
            Error::data(format!("\"{}\" is gone, and the last checkpoint needs it", object.path))
                .with_hint("put it back")
        })?;
        if bytes.len() as u64 != object.bytes || xxh3_64(&bytes) != object.checksum {
            return Err(Error::data(format!("\"{}\" is not what the last checkpoint wrote", object.path))
                .with_hint("restore it from a copy"));
        }
        Ok(bytes)
    }

    /// The encoded batches in an object.
    ///
    /// # Errors
    /// As [`Outbox::get`].
    pub fn chunks(&self, object: &Object) -> Result<Vec<Bytes>> {
        let bytes = self.get(object)?;
        Ok(batches(&bytes).map(|batch| bytes.slice_ref(batch.bytes)).collect())
    }

    /// Removes the object at `path`. What cannot be removed now is at the next open.
    pub fn remove(&self, path: &str) {
        if let Err(error) = self.lake.delete(path) {
            tracing::warn!(path, error = error.chain(), "an outbox that is done with could not be removed");
        }
    }

    /// Removes every object but those at `kept`, unless a newer run has begun.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub fn remove_others(&self, kept: &[String], lease: &dyn Lease) -> Result<()> {
        // Listed paths are encoded, file names of ours need no encoding.
        let listed = self.lake.list(&self.folder)?;
        let names = listed.iter().filter_map(|object| object.path.rsplit('/').next());
        let is_kept = |name: &str| kept.iter().any(|path| path.rsplit('/').next() == Some(name));
        let others: Vec<&str> = names.filter(|name| !is_kept(name)).collect();
        if !others.is_empty() && lease.may_remove()? {
            others.iter().try_for_each(|name| self.lake.delete(&format!("{}/{name}", self.folder)))?;
        }
        Ok(())
    }
}

/// A sink's name as the name of a folder: letters, digits, `_` and `-` as they are, other bytes as `.2F`.
fn file_name(sink: &str) -> String {
    let part = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        _ => format!(".{byte:02X}"),
    };
    sink.bytes().map(part).collect()
}

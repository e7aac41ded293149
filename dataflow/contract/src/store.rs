//! The little that checkpoints ask of an object store.
//!
//! Paths are relative to the lake's root, with `/` between their parts and no leading `/`. Calls block; they come from
//! I/O threads.

use crate::error::Result;

/// What a conditional put found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object did not exist; now it does, with our bytes.
    Created,
    /// The object exists with other bytes: somebody else made it.
    Exists,
}

/// An object store, as far as checkpoints need one.
pub trait Store: Send + Sync {
    /// Where it lies, for people: a folder or a URL, without credentials.
    fn describe(&self) -> String;

    /// Writes the whole object durably, whether or not it exists.
    ///
    /// # Errors
    /// After retries; the outcome may be unknown.
    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()>;

    /// Writes the whole object durably if it does not exist. Of several callers at most one is told
    /// [`PutOutcome::Created`]. A reply that was lost is resolved by reading back: our own bytes count as created.
    ///
    /// # Errors
    /// After retries; the outcome may be unknown.
    fn put_if_absent(&self, path: &str, bytes: Vec<u8>) -> Result<PutOutcome>;

    /// The object's bytes, `None` if it does not exist.
    ///
    /// # Errors
    /// After retries.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Paths of all objects below the folder `prefix`, in no order.
    ///
    /// # Errors
    /// After retries.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Removes the object; one that does not exist is no error.
    ///
    /// # Errors
    /// After retries; the outcome may be unknown.
    fn delete(&self, path: &str) -> Result<()>;

    /// Removes what killed writes have left below `folder` and no list returns. Called when no other run writes there.
    /// Nothing by default: most stores keep whole objects only.
    ///
    /// # Errors
    /// After retries.
    fn remove_unfinished(&self, folder: &str) -> Result<()> {
        let _ = folder;
        Ok(())
    }
}

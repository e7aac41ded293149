//! The lake as a value: where it lies and how it is reached, opened once however many ask.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catchment_contract::{Environment, Result, RetryPolicy};
use object_store::memory::InMemory;
use url::Url;

use crate::address::Address;
use crate::lake_store::LakeStore;
use crate::patient::{PATIENCE, policy};

/// Where a lake lies, and what its calls take time and chance from.
///
/// Making one touches neither disk nor network. Clones share what [`Lake::open`] opened: a job, its checkpoints and its
/// sinks use one connection. It prints as its folder or URL, never with credentials.
///
/// ```
/// use catchment_contract::Environment;
/// use catchment_store::Lake;
///
/// let lake = Lake::new("s3://key:secret@bucket/lake", Environment::system()).unwrap();
/// assert_eq!(lake.to_string(), "s3://bucket/lake");
/// ```
#[derive(Clone)]
pub struct Lake {
    address: Address,
    environment: Environment,
    policy: RetryPolicy,
    opened: Arc<Mutex<Option<LakeStore>>>,
}

impl Lake {
    /// The lake at a folder, a `file://` URL or an `s3://bucket/prefix` URL. Endpoint, region and keys of a bucket come
    /// from the usual `AWS_*` variables when it is opened; the URL may hold keys as its user part, and in its query any
    /// setting by its lower-case name (`?region=eu-west-1`).
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::Invalid`] for a URL that is not understood.
    pub fn new(url_or_path: &str, environment: Environment) -> Result<Lake> {
        let address = Address::parse(url_or_path)?;
        Ok(Lake { address, environment, policy: policy(), opened: Arc::default() })
    }

    /// A lake that is open already, such as one in memory.
    pub fn of(store: LakeStore) -> Lake {
        let (address, environment) = (store.address().clone(), store.environment().clone());
        Lake { address, environment, policy: store.policy(), opened: Arc::new(Mutex::new(Some(store))) }
    }

    /// A lake in memory, for tests: it is gone with its last clone.
    pub fn in_memory() -> Lake {
        let root = Url::parse("memory:///lake/").expect("it is a URL");
        let store = LakeStore::with_store(Arc::new(InMemory::new()), root, Environment::system());
        Lake::of(store.expect("a URL with a path is a root"))
    }

    /// The same lake, whose calls go on failing for as long as `patience` before they are given up: ten minutes
    /// ([`PATIENCE`]) if nothing is said. Zero: the first failure is final.
    pub fn with_patience(mut self, patience: Duration) -> Lake {
        self.policy = self.policy.with_patience(patience);
        self.opened = Arc::default();
        self
    }

    /// The lake's store. The first call opens it and makes a local folder that is missing; later calls, and those on
    /// clones, return the same.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::Denied`] if the folder cannot be made, [`catchment_contract::ErrorKind::Invalid`]
    /// for settings that are not understood.
    pub fn open(&self) -> Result<LakeStore> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.as_ref() {
            return Ok(store.clone());
        }
        let store = LakeStore::open(&self.address, self.environment.clone(), self.policy)?;
        Ok(opened.insert(store).clone())
    }

    /// The lake's folder, as it was written, where it is local.
    pub fn folder(&self) -> Option<&Path> {
        match &self.address {
            Address::Folder(folder) => Some(folder),
            Address::Bucket { .. } => None,
        }
    }

    /// For how long its calls may go on failing before they are given up.
    pub fn patience(&self) -> Duration {
        self.policy.patience
    }

    /// What its calls take time and chance from.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// The folder `lake` where the program runs, with the system's clock.
impl Default for Lake {
    fn default() -> Self {
        Lake {
            address: Address::Folder(PathBuf::from("lake")),
            environment: Environment::system(),
            policy: policy().with_patience(PATIENCE),
            opened: Arc::default(),
        }
    }
}

impl fmt::Display for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lake({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_is_opened_and_nothing_is_made_before() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/lake");
        let lake = Lake::new(folder.to_str().unwrap(), Environment::simulated(1).0).unwrap();
        let clone = lake.clone();
        assert!(!folder.exists(), "a value makes nothing");
        let (one, other) = (lake.open().unwrap(), clone.open().unwrap());
        assert!(folder.is_dir());
        assert!(Arc::ptr_eq(one.object_store(), other.object_store()), "one store");
    }
}

//! The lake's storage: an object store and the place in it that is ours.
//!
//! Paths are relative to the lake's root and written with `/`. The interface blocks: sinks and checkpoints run on plain
//! threads, and one small runtime, shared by the process, does the waiting. A call that fails for a reason that passes is
//! repeated ([`crate::patient`]); an error that comes out is final, or has lasted for the lake's patience.
//!
//! **Put if absent** is what checkpoints and table commits stand on. [`LakeStore::probe`] refuses a store that does not
//! honour it.
//!
//! **Durability.** On a local folder what lies under a folder whose name begins with `_` (`_delta_log`, `_catchment`) is
//! on disk when a put returns, with the entries of all folders above it; other files are once [`LakeStore::sync`] was
//! called with their paths.

use std::fmt;
use std::fs;
use std::future::Future;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use catchment_contract::{Environment, Error, PutOutcome, Result, RetryPolicy, Store};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{DynObjectStore, Error as StoreError, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use url::Url;

use crate::address::Address;
use crate::disk::{Disk, SystemDisk};
use crate::failure::{Failure, in_our_words};
use crate::local::DurableLocal;
use crate::patient::{Patient, policy};
use crate::s3::{self, Bucket};
use crate::waiting::runtime;

/// Requests of one call that are on their way at a time.
const REQUESTS: usize = 16;

/// An object that [`LakeStore::list`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its path below the lake's root.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the store's clock.
    pub modified: SystemTime,
}

/// An object store and the place in it where the lake lies. Clones share the connection. Prints as the lake does.
#[derive(Clone)]
pub struct LakeStore {
    address: Address,
    /// What is wrapped by `store`.
    raw: Arc<DynObjectStore>,
    store: Arc<DynObjectStore>,
    /// The lake's URL, with a slash at its end.
    root: Url,
    /// The lake's path in `store`.
    prefix: Path,
    /// The lake's folder, where it is local.
    local: Option<Arc<DurableLocal>>,
    environment: Environment,
    policy: RetryPolicy,
    secrets: Vec<String>,
}

impl LakeStore {
    pub(crate) fn open(address: &Address, environment: Environment, policy: RetryPolicy) -> Result<LakeStore> {
        match address {
            Address::Folder(folder) => LakeStore::on_disk(folder, Arc::new(SystemDisk), environment, policy),
            Address::Bucket { root, options } => {
                let Bucket { store, secrets } = s3::open(root, options)?;
                LakeStore::assemble(address.clone(), store, root.clone(), None, environment, policy, secrets)
            }
        }
    }

    /// A lake in the local folder `folder`, made if it is missing, whose files are written by `disk`.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::Denied`] if the folder cannot be made.
    pub fn on_disk(
        folder: &FilePath,
        disk: Arc<dyn Disk>,
        environment: Environment,
        policy: RetryPolicy,
    ) -> Result<LakeStore> {
        let address = Address::Folder(folder.to_owned());
        let what = || format!("make the lake's folder \"{address}\"");
        fs::create_dir_all(folder).map_err(|error| denied(Error::io(what(), error)))?;
        let folder = fs::canonicalize(folder).map_err(|error| Error::io(what(), error))?;
        let root = Url::from_directory_path(&folder)
            .map_err(|()| Error::user(format!("the lake's folder \"{address}\" cannot be written as a URL")))?;
        let local = Arc::new(DurableLocal::new(folder, disk, environment.clone()));
        let raw: Arc<DynObjectStore> = local.clone();
        LakeStore::assemble(address, raw, root, Some(local), environment, policy, Vec::new())
    }

    /// A lake at `root` in `store`, whose paths are those of the URL `root`: in memory, or a store of the program's own.
    ///
    /// # Errors
    /// If `root` has no path that the store can hold.
    pub fn with_store(store: Arc<DynObjectStore>, mut root: Url, environment: Environment) -> Result<LakeStore> {
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        let address = Address::Bucket { root: root.clone(), options: Vec::new() };
        LakeStore::assemble(address, store, root, None, environment, policy(), Vec::new())
    }

    fn assemble(
        address: Address,
        raw: Arc<DynObjectStore>,
        root: Url,
        local: Option<Arc<DurableLocal>>,
        environment: Environment,
        policy: RetryPolicy,
        secrets: Vec<String>,
    ) -> Result<LakeStore> {
        let prefix = Path::from_url_path(root.path())
            .map_err(|error| Error::user(format!("a lake cannot lie at \"{address}\"")).with_source(error))?;
        let store = raw.clone();
        let mut lake = LakeStore { address, raw, store, root, prefix, local, environment, policy, secrets };
        lake.wrap();
        Ok(lake)
    }

    fn wrap(&mut self) {
        let (name, environment) = (self.to_string(), self.environment.clone());
        self.store = Arc::new(Patient::new(self.raw.clone(), name, environment, self.policy, self.secrets.clone()));
    }

    /// The same place through another store, such as one that injects faults; its calls are repeated as the former's were.
    pub fn map_store(mut self, wrap: impl FnOnce(Arc<DynObjectStore>) -> Arc<DynObjectStore>) -> Self {
        self.raw = wrap(self.raw);
        self.wrap();
        self
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// What its calls take time and chance from.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The lake's URL, with a slash at its end and without credentials.
    pub fn root(&self) -> &Url {
        &self.root
    }

    /// The object store; paths in it begin at the URL's root, not at the lake's.
    pub fn object_store(&self) -> &Arc<DynObjectStore> {
        &self.store
    }

    /// The path in the object store of `path` below the lake's root.
    pub fn full_path(&self, path: &str) -> Path {
        path.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |full, part| full.join(part))
    }

    /// The path in the object store of a path that [`LakeStore::list`] returned.
    pub fn listed_path(&self, path: &str) -> Path {
        // Parts of listed paths are encoded already.
        Path::parse(format!("{}/{path}", self.prefix)).unwrap_or_else(|_| self.full_path(path))
    }

    /// The path below the lake's root of an object in it, as [`LakeStore::list`] returns it.
    pub fn below(&self, object: &Path) -> String {
        object.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or(object.as_ref()).trim_start_matches('/').to_owned()
    }

    fn wait<T>(&self, what: &str, path: &str, work: impl Future<Output = object_store::Result<T>>) -> Result<T> {
        runtime()?.block_on(work).map_err(|error| {
            let place = match path {
                "" => format!("the lake \"{self}\""),
                path => format!("\"{path}\" in the lake \"{self}\""),
            };
            in_our_words(what, &place, self.local.is_some(), error)
        })
    }

    /// Writes `path` if there is no such object.
    ///
    /// `bytes` must be unlike what anybody else would write there (hold a random name): an object with equal bytes counts
    /// as written by this call, which is how a lost reply is told from a lost race.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses; the outcome may be unknown.
    pub fn put_if_absent(&self, path: &str, bytes: impl Into<Bytes>) -> Result<PutOutcome> {
        self.put_if_absent_as(path, path, bytes)
    }

    /// The same, called `shown` in messages.
    pub(crate) fn put_if_absent_as(&self, shown: &str, path: &str, bytes: impl Into<Bytes>) -> Result<PutOutcome> {
        let (full, bytes) = (self.full_path(path), bytes.into());
        self.wait("write", shown, async {
            match self.store.put_opts(&full, bytes.into(), PutOptions::from(PutMode::Create)).await {
                Ok(_) => Ok(PutOutcome::Created),
                Err(StoreError::AlreadyExists { .. }) => Ok(PutOutcome::Exists),
                Err(error) => Err(error),
            }
        })
    }

    /// Writes `path`, over what was there.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn put(&self, path: &str, bytes: impl Into<PutPayload>) -> Result<()> {
        self.put_object(&self.full_path(path), bytes.into())
    }

    /// [`LakeStore::put`] by the path in the object store.
    ///
    /// # Errors
    /// As there.
    pub fn put_object(&self, object: &Path, bytes: PutPayload) -> Result<()> {
        self.wait("write", &self.below(object), self.store.put(object, bytes)).map(drop)
    }

    /// The bytes of `path`; `None` if there is no such object.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn get(&self, path: &str) -> Result<Option<Bytes>> {
        self.get_object(&self.full_path(path))
    }

    /// [`LakeStore::get`] by the path in the object store.
    ///
    /// # Errors
    /// As there.
    pub fn get_object(&self, object: &Path) -> Result<Option<Bytes>> {
        self.wait("read", &self.below(object), self.read(object))
    }

    async fn read(&self, object: &Path) -> object_store::Result<Option<Bytes>> {
        match self.store.get(object).await {
            Ok(found) => found.bytes().await.map(Some),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of each of `paths` that exists, in their order; sixteen are on their way at a time.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn get_all(&self, paths: &[String]) -> Result<Vec<Bytes>> {
        let objects: Vec<Path> = paths.iter().map(|path| self.full_path(path)).collect();
        let reads = stream::iter(objects.iter().map(|object| self.read(object))).buffered(REQUESTS);
        let found: Vec<Option<Bytes>> = self.wait("read", "", reads.try_collect())?;
        Ok(found.into_iter().flatten().collect())
    }

    /// All objects below `folder`, in the order of their paths; none if it does not exist.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let found = self.list_objects(folder)?;
        let mut listed: Vec<Listed> = found
            .into_iter()
            .filter_map(|object| {
                let path = object.location.prefix_match(&self.prefix)?;
                let path = path.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
                Some(Listed { path, bytes: object.size, modified: object.last_modified.into() })
            })
            .collect();
        listed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(listed)
    }

    /// The same by their paths in the object store, in no order.
    ///
    /// # Errors
    /// As there.
    pub fn list_objects(&self, folder: &str) -> Result<Vec<ObjectMeta>> {
        self.wait("list", folder, self.store.list(Some(&self.full_path(folder))).try_collect())
    }

    /// Removes `path`, if it is there.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.delete_object(&self.full_path(path))
    }

    /// [`LakeStore::delete`] by the path in the object store.
    ///
    /// # Errors
    /// As there.
    pub fn delete_object(&self, object: &Path) -> Result<()> {
        self.wait("delete", &self.below(object), self.remove(object))
    }

    async fn remove(&self, object: &Path) -> object_store::Result<()> {
        match self.store.delete(object).await {
            Err(StoreError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes those of `objects` (paths in the object store) that are there; sixteen requests are on their way at a time.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn delete_objects(&self, objects: impl IntoIterator<Item = Path>) -> Result<()> {
        let remove = |object: Path| async move { self.remove(&object).await };
        let removals = stream::iter(objects).map(remove).buffered(REQUESTS);
        self.wait("delete", "", removals.try_collect())
    }

    /// Makes the folder `path`, where the lake is local; object stores have none.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn make_folder(&self, path: &str) -> Result<()> {
        let Some(local) = &self.local else { return Ok(()) };
        let folder: PathBuf = local.root().join(path);
        let made = local.make_folder(&folder);
        made.map_err(|error| denied(Error::io(format!("make the folder \"{}\"", folder.display()), error)))
    }

    /// Brings the named objects (paths in the object store) and the entries of their folders to disk, where the lake is
    /// local. Several at a time: each costs the disk some milliseconds of waiting.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&self, objects: &[Path]) -> Result<()> {
        let Some(local) = &self.local else { return Ok(()) };
        local.sync(objects).map_err(|error| {
            let failure = Failure::passing(error.to_string());
            Error::remote(format!("could not bring files of the lake \"{self}\" to disk")).with_source(failure)
        })
    }

    /// Removes what writes that were killed have left below `folder`, where the lake is local: files beside their place,
    /// which no list returns. Call it when nobody else writes there: a write that is under way would fail.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn remove_unfinished(&self, folder: &str) -> Result<()> {
        self.remove_unfinished_before(folder, None)
    }

    /// The same for writes that began before a time.
    pub(crate) fn remove_unfinished_before(&self, folder: &str, before: Option<SystemTime>) -> Result<()> {
        let Some(local) = &self.local else { return Ok(()) };
        let removed = local.remove_unfinished(&local.root().join(folder), before);
        let what = format!("remove unfinished files in \"{folder}\" of the lake \"{self}\"");
        removed.map_err(|error| Error::io(what, error))
    }
}

fn denied(error: Error) -> Error {
    error.with_hint("give a folder that you may write with --lake, or change its owner")
}

impl fmt::Display for LakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl fmt::Debug for LakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeStore({self})")
    }
}

impl Store for LakeStore {
    fn describe(&self) -> String {
        self.to_string()
    }

    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        LakeStore::put(self, path, bytes)
    }

    fn put_if_absent(&self, path: &str, bytes: Vec<u8>) -> Result<PutOutcome> {
        LakeStore::put_if_absent(self, path, bytes)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(LakeStore::get(self, path)?.map(Into::into))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(LakeStore::list(self, prefix)?.into_iter().map(|object| object.path).collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        LakeStore::delete(self, path)
    }

    fn remove_unfinished(&self, folder: &str) -> Result<()> {
        LakeStore::remove_unfinished(self, folder)
    }
}

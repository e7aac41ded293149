//! The lake's storage: an object store and the place in it that is ours.
//!
//! A [`LakeStore`] is opened from a folder, a `file://` URL or an `s3://bucket/prefix` URL (endpoint, region and keys
//! from the usual `AWS_*` variables). Paths are relative to the lake's root and written with `/`. The interface blocks:
//! sinks and checkpoints run on plain threads, and one small runtime, shared by the process, does the waiting.
//!
//! **Put if absent** is what checkpoints and table commits stand on. [`LakeStore::probe`] refuses a store that does not
//! honour it; [`LakeStore::put_if_absent`] resolves a reply that says nothing (a time-out) by reading back.
//!
//! **Durability.** On a local folder what lies under `_delta_log` and `_catchment` is on disk when a put returns; other
//! files are once [`LakeStore::sync`] was called with their paths.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use catchment_contract::{Error, ErrorKind, Outcome, PutOutcome, Result, Retry, Store};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{DynObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig};
use rand::Rng;
use tokio::runtime::{Handle, Runtime};
use url::Url;

use crate::local::{DurableLocal, sync_folder};

/// How often an ambiguous put is tried again.
const ATTEMPTS_MAX: u32 = 6;

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

/// An object store and the place in it where the lake lies. Clones share the connection.
#[derive(Clone, Debug)]
pub struct LakeStore {
    store: Arc<DynObjectStore>,
    /// The lake's URL, with a slash at its end.
    root: Url,
    /// The lake's path in `store`.
    prefix: Path,
    /// The lake's folder, where it is local.
    folder: Option<PathBuf>,
}

/// Opens the lake at a folder, a `file://` URL or an `s3://bucket/prefix` URL. A local folder is made if it is missing.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a URL that is not understood, [`ErrorKind::Denied`] if the folder cannot be made.
pub fn open(url_or_path: &str) -> Result<LakeStore> {
    match url_or_path.split_once("://") {
        None => open_folder(PathBuf::from(url_or_path)),
        Some(("file", _)) => {
            let url = parse_url(url_or_path)?;
            let folder = url.to_file_path().map_err(|()| {
                Error::user(format!("\"{url_or_path}\" does not name a local folder"))
                    .with_hint("write file:///path/to/lake with three slashes")
            })?;
            open_folder(folder)
        }
        Some(("s3" | "s3a", _)) => open_s3(url_or_path),
        Some((scheme, _)) => {
            Err(Error::user(format!("a lake cannot lie at \"{url_or_path}\": unknown scheme \"{scheme}\""))
                .with_hint("give a folder, file:///path or s3://bucket/prefix"))
        }
    }
}

fn parse_url(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| {
        Error::user(format!("\"{text}\" is not a URL"))
            .with_source(error)
            .with_hint("give a folder, file:///path or s3://bucket/prefix")
    })
}

fn open_folder(folder: PathBuf) -> Result<LakeStore> {
    let what = || format!("make the lake's folder \"{}\"", folder.display());
    fs::create_dir_all(&folder).map_err(|error| {
        Error::io(what(), error).with_hint("give a folder that you may write with --lake, or change its owner")
    })?;
    let folder = fs::canonicalize(&folder).map_err(|error| Error::io(what(), error))?;
    let root = Url::from_directory_path(&folder)
        .map_err(|()| Error::user(format!("the lake's folder \"{}\" cannot be written as a URL", folder.display())))?;
    let mut lake = LakeStore::with_store(Arc::new(DurableLocal::new()), root)?;
    lake.folder = Some(folder);
    Ok(lake)
}

fn open_s3(text: &str) -> Result<LakeStore> {
    let url = parse_url(text)?;
    let Some(bucket) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(Error::user(format!("\"{text}\" names no bucket")).with_hint("write s3://bucket/prefix"));
    };
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let plain = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).is_some_and(|at| at.starts_with("http://"));
    let builder = builder.with_retry(RetryConfig {
        max_retries: 5,
        retry_timeout: Duration::from_secs(30),
        ..RetryConfig::default()
    });
    // An endpoint written with http:// says all that AWS_ALLOW_HTTP would.
    let builder = if plain { builder.with_allow_http(true) } else { builder };
    let store = builder.build().map_err(|error| {
        Error::user(format!("cannot use the lake \"{text}\"")).with_source(error).with_hint(
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (and AWS_ENDPOINT_URL for other stores than AWS)",
        )
    })?;
    LakeStore::with_store(Arc::new(store), url)
}

/// The runtime that waits for object stores: the process has one, however many lakes it opens.
pub fn runtime() -> Result<Handle> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).max_blocking_threads(16).thread_name("lake").enable_all().build().ok()
    });
    let runtime = made.as_ref().ok_or_else(|| Error::remote("could not start threads for the lake's storage"))?;
    Ok(runtime.handle().clone())
}

impl LakeStore {
    /// A lake at `root` in `store`, whose paths are those of the URL `root`.
    ///
    /// # Errors
    /// If `root` has no path that the store can hold.
    pub fn with_store(store: Arc<DynObjectStore>, mut root: Url) -> Result<Self> {
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        let prefix = Path::from_url_path(root.path())
            .map_err(|error| Error::user(format!("a lake cannot lie at \"{root}\"")).with_source(error))?;
        Ok(LakeStore { store, root, prefix, folder: None })
    }

    /// The same place through another store, such as one that injects faults.
    pub fn map_store(mut self, wrap: impl FnOnce(Arc<DynObjectStore>) -> Arc<DynObjectStore>) -> Self {
        self.store = wrap(self.store);
        self
    }

    /// The lake's URL, with a slash at its end.
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

    /// What people call the lake: its folder or URL.
    fn shown(&self) -> String {
        match &self.folder {
            Some(folder) => folder.display().to_string(),
            None => self.root.to_string(),
        }
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        Ok(runtime()?.block_on(work))
    }

    fn error(&self, what: &str, path: &str, error: object_store::Error) -> Error {
        use object_store::Error as Store;
        let lake = self.shown();
        let place =
            if path.is_empty() { format!("the lake \"{lake}\"") } else { format!("\"{path}\" in the lake \"{lake}\"") };
        let denied = matches!(error, Store::PermissionDenied { .. } | Store::Unauthenticated { .. })
            || io_kind(&error) == Some(std::io::ErrorKind::PermissionDenied);
        if denied {
            let hint = match &self.folder {
                Some(_) => "give a folder that you may write with --lake, or change its owner",
                None => "check the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and the bucket's policy",
            };
            return Error::user(format!("cannot {what} {place}: permission denied"))
                .with_kind(ErrorKind::Denied)
                .with_source(error)
                .with_hint(hint);
        }
        if matches!(error, Store::NotFound { .. }) {
            return Error::user(format!("cannot {what} {place}: it does not exist"))
                .with_kind(ErrorKind::NotFound)
                .with_source(error)
                .with_hint("make the bucket first, or check its name and AWS_ENDPOINT_URL");
        }
        let failed =
            Error::remote(format!("could not {what} {place}")).with_source(error).with_outcome(Outcome::Unknown);
        if self.folder.is_some() {
            failed
        } else {
            failed.with_hint("check AWS_ENDPOINT_URL, AWS_REGION and the network")
        }
    }

    /// Writes a small object twice with "create if absent" and takes it away again: shows at start that the lake can be
    /// written and that a second create is refused, without which two runs could overwrite each other's commits.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] or [`ErrorKind::NotFound`] if it cannot be written, [`ErrorKind::Invalid`] if the store
    /// accepts both creates.
    pub fn probe(&self) -> Result<()> {
        let path = format!("_catchment/probe-{:016x}", rand::rng().random::<u64>());
        let full = self.full_path(&path);
        let create = || PutOptions::from(PutMode::Create);
        let payload = || PutPayload::from_static(b"catchment");
        let first = self.wait(self.store.put_opts(&full, payload(), create()))?;
        first.map_err(|error| self.error("write", "", error))?;
        let second = self.wait(self.store.put_opts(&full, payload(), create()))?;
        let refused = match second {
            Ok(_) => false,
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => true,
            Err(error) => return Err(self.error("write", "", error)),
        };
        self.delete(&path)?;
        if refused {
            return Ok(());
        }
        Err(Error::user(format!(
            "the store of the lake \"{}\" accepted two puts that each said \"only if it does not exist\"",
            self.shown()
        ))
        .with_hint(
            "tables would lose commits there: use a store that honours If-None-Match on PUT (AWS S3, MinIO, R2)",
        ))
    }

    /// Writes `path` if there is no such object.
    ///
    /// `bytes` must be unlike what anybody else would write there (hold a random id): an object with equal bytes counts
    /// as written by this call, which is how a lost reply is told from a lost race.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses; the outcome is then unknown.
    pub fn put_if_absent(&self, path: &str, bytes: impl Into<Bytes>) -> Result<PutOutcome> {
        let (bytes, full) = (bytes.into(), self.full_path(path));
        let mut attempt = 0;
        loop {
            let put = self.store.put_opts(&full, bytes.clone().into(), PutOptions::from(PutMode::Create));
            let Err(error) = self.wait(put)? else {
                return Ok(PutOutcome::Created);
            };
            let error = self.error("write", path, error);
            // Without a right to write, nothing was; in every other case, look.
            if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound) {
                return Err(error);
            }
            attempt += 1;
            match self.get(path) {
                Ok(Some(found)) if found == bytes => return Ok(PutOutcome::Created),
                Ok(Some(_)) => return Ok(PutOutcome::Exists),
                // Nothing landed, even if the store said that something was there (S3 answers 409 to a race).
                Ok(None) | Err(_) if attempt < ATTEMPTS_MAX => pause(attempt),
                Ok(None) | Err(_) => return Err(error.with_outcome(Outcome::Unknown).with_retry(Retry::BackOff)),
            }
        }
    }

    /// Writes `path`, over what was there.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn put(&self, path: &str, bytes: impl Into<PutPayload>) -> Result<()> {
        self.put_object(&self.full_path(path), bytes.into())
    }

    /// [`LakeStore::put`] by the path in the object store.
    pub fn put_object(&self, object: &Path, bytes: PutPayload) -> Result<()> {
        let shown = self.below(object);
        self.retried("write", &shown, || self.wait(self.store.put(object, bytes.clone())))?;
        Ok(())
    }

    /// The path below the lake's root of an object in it, for people.
    fn below(&self, object: &Path) -> String {
        object.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or(object.as_ref()).trim_start_matches('/').to_owned()
    }

    /// The bytes of `path`; `None` if there is no such object.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn get(&self, path: &str) -> Result<Option<Bytes>> {
        self.get_object(&self.full_path(path))
    }

    /// [`LakeStore::get`] by the path in the object store.
    pub fn get_object(&self, object: &Path) -> Result<Option<Bytes>> {
        let read = || {
            self.wait(async {
                match self.store.get(object).await {
                    Ok(found) => found.bytes().await.map(Some),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            })
        };
        self.retried("read", &self.below(object), read)
    }

    /// The bytes of each of `paths` that exists, in their order; sixteen are on their way at a time.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn get_all(&self, paths: &[&str]) -> Result<Vec<Bytes>> {
        let read = |path: Path| async move { self.store.get(&path).await?.bytes().await };
        let all = stream::iter(paths.iter().map(|path| read(self.full_path(path)))).buffered(16).collect::<Vec<_>>();
        let found = self.wait(all)?.into_iter().zip(paths).map(|(read, path)| match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => self.get(path),
        });
        found.filter_map(Result::transpose).collect()
    }

    /// All objects below `folder`, in the order of their paths; none if it does not exist.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let full = self.full_path(folder);
        let found = self.retried("list", folder, || self.wait(self.store.list(Some(&full)).try_collect::<Vec<_>>()))?;
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

    /// Removes `path`, if it is there.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.delete_object(&self.full_path(path))
    }

    /// [`LakeStore::delete`] by the path in the object store.
    pub fn delete_object(&self, object: &Path) -> Result<()> {
        let remove = || {
            self.wait(async {
                match self.store.delete(object).await {
                    Err(object_store::Error::NotFound { .. }) => Ok(()),
                    other => other,
                }
            })
        };
        self.retried("delete", &self.below(object), remove)
    }

    /// Makes the folder `path`, where the lake is local; object stores have none.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn make_folder(&self, path: &str) -> Result<()> {
        let Some(root) = &self.folder else {
            return Ok(());
        };
        let folder = root.join(path);
        let what = || format!("make the folder \"{}\"", folder.display());
        fs::create_dir_all(&folder).map_err(|error| {
            Error::io(what(), error).with_hint("give a folder that you may write with --lake, or change its owner")
        })
    }

    /// Brings the named objects (paths in the object store) and their folders to disk, where the lake is local. Several
    /// at a time: each costs the disk some milliseconds of waiting.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&self, objects: &[Path]) -> Result<()> {
        let Some(root) = &self.folder else {
            return Ok(());
        };
        let local = LocalFileSystem::new();
        let failed = |path: &PathBuf, error| Error::io(format!("bring \"{}\" to disk", path.display()), error);
        let files = objects.iter().map(|path| local.path_to_filesystem(path)).collect::<Result<Vec<_>, _>>();
        let files = files.map_err(|error| self.error("write", "", error))?;
        for some in files.chunks(8) {
            std::thread::scope(|scope| {
                let sync =
                    |file| move || File::open(file).and_then(|open| open.sync_all()).map_err(|e| failed(file, e));
                let waiting: Vec<_> = some.iter().map(|file| scope.spawn(sync(file))).collect();
                waiting.into_iter().try_for_each(|one| {
                    one.join().unwrap_or_else(|_| Err(Error::bug("a thread that brings a file to disk panicked")))
                })
            })?;
        }
        let above = |file: &PathBuf| {
            file.ancestors().skip(1).take_while(|up| up.starts_with(root)).map(PathBuf::from).collect::<Vec<_>>()
        };
        let folders: BTreeSet<PathBuf> = files.iter().flat_map(above).collect();
        folders.iter().try_for_each(|folder| sync_folder(folder).map_err(|error| failed(folder, error)))
    }

    /// Repeats an idempotent call while the store fails for reasons that pass.
    fn retried<T>(
        &self,
        what: &str,
        path: &str,
        mut call: impl FnMut() -> Result<object_store::Result<T>>,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            let error = match call()? {
                Ok(done) => return Ok(done),
                Err(error) => self.error(what, path, error),
            };
            attempt += 1;
            if error.retry() != Retry::BackOff || attempt >= ATTEMPTS_MAX {
                return Err(error);
            }
            pause(attempt);
        }
    }
}

impl Store for LakeStore {
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
}

/// The operating system's code below an object store's error.
fn io_kind(error: &object_store::Error) -> Option<std::io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// Waits a random time that doubles with every attempt: at most 4 ms before the second try, 128 ms before the seventh.
pub fn pause(attempt: u32) {
    let limit = 2_u64 << attempt.min(6);
    std::thread::sleep(Duration::from_millis(rand::rng().random_range(0..=limit)));
}

//! A local folder as an object store whose commits survive a power cut.
//!
//! `object_store` renames a file into place without bringing it to disk, so that a commit could come back empty after a
//! power cut. Here a file is written beside its place and moved there. What lies under a folder whose name begins with
//! `_` (a table's log, our checkpoints) is on disk when a put returns: its bytes before it becomes visible, then its
//! folder's entry for it, and the entries of all folders above up to the lake's own. Everything else is brought there by
//! [`DurableLocal::sync`]. Checksum files of a log are left out: they can be made again.
//!
//! An entry of a folder is brought to disk once a run: a folder that was there when the run began may be on its way to the
//! disk still, since the run that made it may have been killed.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use catchment_contract::Environment;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::disk::Disk;

/// Files that are brought to disk at a time.
const SYNCS: usize = 8;

/// The local file system, with durable commits below one folder.
#[derive(Clone, Debug)]
pub(crate) struct DurableLocal {
    inner: Arc<LocalFileSystem>,
    root: PathBuf,
    disk: Arc<dyn Disk>,
    environment: Environment,
    /// Folders whose own entries are on disk.
    settled: Arc<Mutex<HashSet<PathBuf>>>,
}

impl DurableLocal {
    /// The lake in the folder `root`, which exists.
    pub fn new(root: PathBuf, disk: Arc<dyn Disk>, environment: Environment) -> Self {
        DurableLocal { inner: Arc::new(LocalFileSystem::new()), root, disk, environment, settled: Arc::default() }
    }

    /// The lake's folder.
    pub fn root(&self) -> &FilePath {
        &self.root
    }

    /// Makes a folder and those above it that are missing.
    pub fn make_folder(&self, folder: &FilePath) -> io::Result<()> {
        match self.disk.make_folder(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = folder.parent().ok_or(error)?;
                self.make_folder(above)?;
                match self.disk.make_folder(folder) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
                    made => made.inspect(|()| self.unsettle(folder)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            made => made.inspect(|()| self.unsettle(folder)),
        }
    }

    fn unsettle(&self, folder: &FilePath) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).remove(folder);
    }

    /// Brings to disk that `folder`, the folders above it and the lake's own exist.
    fn settle(&self, folder: &FilePath) -> io::Result<()> {
        for at in folder.ancestors().take_while(|at| at.starts_with(&self.root)) {
            if self.settled.lock().unwrap_or_else(PoisonError::into_inner).contains(at) {
                continue;
            }
            if let Some(above) = at.parent() {
                match self.disk.sync_folder(above) {
                    // What lies around the lake may be closed to us.
                    Err(_) if at == self.root => {}
                    synced => synced?,
                }
            }
            self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(at.to_owned());
        }
        Ok(())
    }

    /// Writes beside `file` and moves that into place; on disk when it returns if `durable`.
    fn write(&self, file: &FilePath, payload: &PutPayload, mode: &PutMode, durable: bool) -> io::Result<()> {
        let folder = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
        // A name that ends with # and digits is one that lists leave out.
        let beside = PathBuf::from(format!("{}#{}", file.display(), self.environment.random_u64()));
        match self.disk.write_new(&beside, payload, durable) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder(folder)?;
                self.disk.write_new(&beside, payload, durable)
            }
            written => written,
        }
        .and_then(|()| match mode {
            PutMode::Overwrite => self.disk.rename(&beside, file),
            PutMode::Create => self.disk.link(&beside, file),
            PutMode::Update(_) => Err(io::ErrorKind::Unsupported.into()),
        })
        .inspect_err(|_| drop(self.disk.remove(&beside)))?;
        if durable {
            self.disk.sync_folder(folder)?;
            self.settle(folder)?;
        }
        if matches!(mode, PutMode::Create) {
            // The link under the right name stays; should this one stay too, the next run removes it.
            let _ = self.disk.remove(&beside);
        }
        Ok(())
    }

    /// Brings the named objects and the entries of their folders to disk.
    pub fn sync(&self, objects: &[Path]) -> Result<()> {
        let failed = |error: io::Error| StoreError::Generic { store: "local", source: error.into() };
        let files = objects.iter().map(|path| self.inner.path_to_filesystem(path)).collect::<Result<Vec<_>>>()?;
        for some in files.chunks(SYNCS) {
            self.sync_files(some).map_err(failed)?;
        }
        let folders: BTreeSet<&FilePath> = files.iter().filter_map(|file| file.parent()).collect();
        folders
            .into_iter()
            .try_for_each(|folder| self.disk.sync_folder(folder).and_then(|()| self.settle(folder)))
            .map_err(failed)
    }

    fn sync_files(&self, files: &[PathBuf]) -> io::Result<()> {
        std::thread::scope(|scope| {
            let waiting: Vec<_> = files
                .iter()
                .map(|file| {
                    let thread = std::thread::Builder::new().name("lake-sync".into());
                    // A system that gives no thread waits for one file after the other.
                    thread.spawn_scoped(scope, || self.disk.sync_file(file)).map_err(|_| file)
                })
                .collect();
            waiting.into_iter().try_for_each(|one| match one {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))),
                Err(file) => self.disk.sync_file(file),
            })
        })
    }

    /// Removes files beside their place from `folder` and those below it: all, or those that were written before a time.
    pub fn remove_unfinished(&self, folder: &FilePath, before: Option<SystemTime>) -> io::Result<()> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.remove_unfinished(&path, before)?;
            } else if is_beside(&entry.file_name().to_string_lossy())
                && before.is_none_or(|before| is_older(&entry, before))
            {
                tracing::info!(path = %path.display(), "removing a file that was never finished");
                match self.disk.remove(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed?,
                }
            }
        }
        Ok(())
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        location: &Path,
        work: impl FnOnce(&DurableLocal, &FilePath) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (local, file, path) = (self.clone(), self.inner.path_to_filesystem(location)?, location.to_string());
        let done = tokio::task::spawn_blocking(move || work(&local, &file)).await?;
        done.map_err(|error| failed(path, error))
    }

    /// The files below `prefix` whose paths are greater than `offset`. Each is looked at once, and those up to `offset`
    /// not at all; `object_store` looks at all of them, at most three times.
    fn list_after(&self, prefix: Option<&Path>, offset: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        // The path of a file is asked for, since that of a folder is private to `object_store`.
        let inside = prefix.cloned().unwrap_or_default().join("any");
        let (inside, offset) = (self.inner.path_to_filesystem(&inside), offset.cloned());
        let found = async move {
            let inside = inside?;
            let list = move || {
                let mut found = Vec::new();
                inside.parent().map_or(Ok(()), |folder| find_files(folder, offset.as_ref(), &mut found))?;
                Ok::<_, StoreError>(stream::iter(found.into_iter().map(Ok)))
            };
            tokio::task::spawn_blocking(list).await?
        };
        stream::once(found).try_flatten().boxed()
    }
}

/// Finds the files in `folder` and below it whose paths are greater than `offset`; what goes meanwhile is not found.
fn find_files(folder: &FilePath, offset: Option<&Path>, found: &mut Vec<ObjectMeta>) -> Result<()> {
    let failed = |error| failed(folder.display().to_string(), error);
    let is_gone = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if is_gone(&error) => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    let at = Path::from_absolute_path(folder)?;
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let (file, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if kind.is_dir() {
            find_files(&file, offset, found)?;
            continue;
        }
        let name = entry.file_name();
        if is_beside(&name.to_string_lossy()) {
            continue;
        }
        let location = match name.to_str() {
            Some(name) => Path::parse(format!("{at}/{name}"))?,
            None => Path::from_absolute_path(&file)?,
        };
        if kind.is_file() && offset.is_some_and(|offset| location <= *offset) {
            continue;
        }
        let metadata = match std::fs::metadata(&file) {
            Err(error) if is_gone(&error) => continue,
            metadata => metadata.map_err(failed)?,
        };
        if metadata.is_dir() {
            find_files(&file, offset, found)?;
        } else if metadata.is_file() && offset.is_none_or(|offset| location > *offset) {
            let last_modified = metadata.modified().map_err(failed)?.into();
            found.push(ObjectMeta { location, last_modified, size: metadata.len(), e_tag: None, version: None });
        }
    }
    Ok(())
}

/// An error of the disk in the words of object stores.
fn failed(path: String, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => StoreError::AlreadyExists { path, source: source.into() },
        io::ErrorKind::NotFound => StoreError::NotFound { path, source: source.into() },
        io::ErrorKind::PermissionDenied => StoreError::PermissionDenied { path, source: source.into() },
        _ => StoreError::Generic { store: "local", source: source.into() },
    }
}

/// Whether a put of `path`, below the lake's folder, must be on disk when it returns.
fn is_commit(path: &FilePath) -> bool {
    let below = |part: &OsStr| part.as_encoded_bytes().starts_with(b"_");
    path.extension().is_none_or(|ending| ending != "crc") && path.iter().any(below)
}

/// Whether a file was written before a time.
fn is_older(entry: &std::fs::DirEntry, before: SystemTime) -> bool {
    entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|modified| modified < before)
}

/// Whether it is the name of a file beside its place.
fn is_beside(name: &str) -> bool {
    let digits = name.rsplit_once('#').map(|(_, digits)| digits);
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.on_thread(location, move |local, file| {
            let durable = is_commit(file.strip_prefix(&local.root).unwrap_or(file));
            local.write(file, &payload, &opts.mode, durable)
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let operation = "multipart uploads: objects are put whole".to_owned();
        Err(StoreError::NotImplemented { operation, implementer: self.to_string() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let local = self.clone();
        let delete = move |location: Path| {
            let local = local.clone();
            async move {
                local.on_thread(&location, |local, file| local.disk.remove(file)).await?;
                Ok(location)
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_after(prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_after(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;
    use crate::disk::SystemDisk;

    #[test]
    fn commits_are_put_once_and_unfinished_files_removed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a/_delta_log");
        let path =
            |name: &str| Path::from_filesystem_path(folder.path()).unwrap().join("a").join("_delta_log").join(name);
        let store = DurableLocal::new(folder.path().into(), Arc::new(SystemDisk), Environment::simulated(1).0);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let create = || PutOptions::from(PutMode::Create);
            store.put_opts(&path("1.json"), "one".into(), create()).await.unwrap();
            let again = store.put_opts(&path("1.json"), "two".into(), create()).await.unwrap_err();
            assert!(matches!(again, StoreError::AlreadyExists { .. }), "{again}");
            store.put(&path("2.json"), "old".into()).await.unwrap();
            store.put(&path("2.json"), "new".into()).await.unwrap();
            for (name, expect) in [("1.json", "one"), ("2.json", "new")] {
                assert_eq!(store.get(&path(name)).await.unwrap().bytes().await.unwrap(), expect);
            }
            let none = store.delete(&path("3.json")).await.unwrap_err();
            assert!(matches!(none, StoreError::NotFound { .. }), "{none}");
        });
        std::fs::write(log.join("3.json#17"), "half").unwrap();
        std::fs::write(log.join("a#b"), "whole").unwrap();
        store.remove_unfinished(folder.path(), Some(SystemTime::UNIX_EPOCH)).unwrap();
        assert!(log.join("3.json#17").exists(), "it is younger");
        store.remove_unfinished(folder.path(), None).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["1.json", "2.json", "a#b"], "nothing is left beside them");
    }

    /// Our lists hold what those of `object_store` do.
    #[test]
    fn lists_are_as_those_of_object_store() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["t/log", "t/data/day=1 a%2Fb", "t/empty", "elsewhere"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        let files =
            ["t/log/1.json", "t/log/10.json", "t/log/2.json", "t/log/2.json#17", "t/log/a#b", "t/data/day=1 a%2Fb/ü"];
        for (bytes, name) in files.iter().chain(&["t/top", "elsewhere/far"]).enumerate() {
            std::fs::write(at(name), "x".repeat(bytes)).unwrap();
        }
        for (link, to) in [("t/linked", "elsewhere"), ("t/log/3.json", "elsewhere/far"), ("t/broken", "nowhere")] {
            std::os::unix::fs::symlink(at(to), at(link)).unwrap();
        }
        let store = DurableLocal::new(folder.path().into(), Arc::new(SystemDisk), Environment::simulated(1).0);
        let root = Path::from_filesystem_path(folder.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let all = |list: BoxStream<'static, Result<ObjectMeta>>| {
            let mut found = runtime.block_on(list.try_collect::<Vec<_>>()).unwrap();
            found.sort_by(|a, b| a.location.cmp(&b.location));
            found.into_iter().map(|one| (one.location, one.size, one.last_modified)).collect::<Vec<_>>()
        };
        for prefix in ["t", "t/log", "t/empty", "t/top", "nowhere"].map(|name| root.clone().join_all(name)) {
            assert_eq!(all(store.list(Some(&prefix))), all(store.inner.list(Some(&prefix))), "{prefix}");
            for after in
                ["t/log/1", "t/log/10.json", "t/log/9", "t/linked/far", "t"].map(|name| root.clone().join_all(name))
            {
                let (ours, theirs) = (&store, &store.inner);
                let lists =
                    [ours.list_with_offset(Some(&prefix), &after), theirs.list_with_offset(Some(&prefix), &after)];
                let [ours, theirs] = lists.map(all);
                assert_eq!(ours, theirs, "{prefix} after {after}");
            }
        }
        assert_eq!(all(store.list(Some(&root.clone().join_all("t")))).len(), 8);
    }

    trait JoinAll {
        fn join_all(self, names: &str) -> Path;
    }

    impl JoinAll for Path {
        fn join_all(self, names: &str) -> Path {
            names.split('/').fold(self, |path, name| path.join(name))
        }
    }
}

//! A local folder as an object store whose commits survive a power cut.
//!
//! `object_store` renames a file into place without bringing it to disk, so that a commit could come back empty after a
//! power cut. This wrapper writes what lies under a folder whose name begins with `_` (the Delta log, our checkpoints)
//! to disk before it becomes visible, and the folder after; everything else goes straight through. Checksum files of
//! the log are left out: they can be made again.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use rand::Rng;

/// The local file system, with durable commits.
#[derive(Debug)]
pub struct DurableLocal {
    inner: Arc<LocalFileSystem>,
}

impl DurableLocal {
    /// The whole local file system.
    pub fn new() -> Self {
        DurableLocal { inner: Arc::new(LocalFileSystem::new()) }
    }
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

/// Whether a put of `location` must be on disk when it returns.
fn is_commit(location: &Path) -> bool {
    !location.as_ref().ends_with(".crc") && location.parts().any(|part| part.as_ref().starts_with('_'))
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !is_commit(location) {
            return self.inner.put_opts(location, payload, opts).await;
        }
        let file = self.inner.path_to_filesystem(location)?;
        put_on_thread(file, location.to_string(), payload, opts.mode).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        if is_commit(location) {
            let file = self.inner.path_to_filesystem(location)?;
            return Ok(Box::new(Gathered { file, shown: location.to_string(), parts: Vec::new() }));
        }
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// The parts of a large object that becomes visible at once (a checkpoint of a log).
#[derive(Debug)]
struct Gathered {
    file: PathBuf,
    shown: String,
    parts: Vec<Bytes>,
}

#[async_trait]
impl MultipartUpload for Gathered {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.extend(data);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = std::mem::take(&mut self.parts);
        put_on_thread(self.file.clone(), self.shown.clone(), parts.into_iter().collect(), PutMode::Overwrite).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

async fn put_on_thread(file: PathBuf, shown: String, payload: PutPayload, mode: PutMode) -> Result<PutResult> {
    let written = tokio::task::spawn_blocking(move || put_durably(&file, &payload, &mode)).await?;
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path: shown, source: source.into() },
        io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied { path: shown, source: source.into() },
        _ => object_store::Error::Generic { store: "local", source: source.into() },
    })?;
    Ok(PutResult { e_tag: None, version: None })
}

/// Writes beside `file`, brings that to disk, and moves it into place.
fn put_durably(file: &FilePath, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
    let folder = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    // A name that ends with # and digits is one that listings of a local store leave out.
    let beside = PathBuf::from(format!("{}#{}", file.display(), rand::rng().random::<u32>()));
    let moved = write_synced(&beside, payload).and_then(|()| match mode {
        PutMode::Overwrite => fs::rename(&beside, file),
        PutMode::Create => fs::hard_link(&beside, file),
        PutMode::Update(_) => Err(io::ErrorKind::Unsupported.into()),
    });
    if moved.is_err() || matches!(mode, PutMode::Create) {
        // The link under the right name stays; what is left of the other is a file that nobody lists.
        let _ = fs::remove_file(&beside);
    }
    moved?;
    sync_folder(folder)
}

fn write_synced(path: &FilePath, payload: &PutPayload) -> io::Result<()> {
    let mut open = File::options().write(true).create_new(true).open(path)?;
    payload.iter().try_for_each(|bytes| open.write_all(bytes))?;
    open.sync_all()
}

/// Brings a folder's entries to disk.
pub fn sync_folder(folder: &FilePath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[test]
    fn commits_are_put_once_and_large_ones_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Path::from_filesystem_path(folder.path()).unwrap().join("_delta_log").join(name);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = DurableLocal::new();
            let create = || PutOptions::from(PutMode::Create);
            store.put_opts(&path("1.json"), "one".into(), create()).await.unwrap();
            let again = store.put_opts(&path("1.json"), "two".into(), create()).await.unwrap_err();
            assert!(matches!(again, object_store::Error::AlreadyExists { .. }), "{again}");
            store.put(&path("2.json"), "old".into()).await.unwrap();
            store.put(&path("2.json"), "new".into()).await.unwrap();
            let mut upload = store.put_multipart(&path("3.parquet")).await.unwrap();
            upload.put_part("first ".into()).await.unwrap();
            upload.put_part("second".into()).await.unwrap();
            assert!(store.head(&path("3.parquet")).await.is_err(), "not visible yet");
            upload.complete().await.unwrap();
            for (name, expect) in [("1.json", "one"), ("2.json", "new"), ("3.parquet", "first second")] {
                assert_eq!(store.get(&path(name)).await.unwrap().bytes().await.unwrap(), expect);
            }
        });
        let names = fs::read_dir(folder.path().join("_delta_log")).unwrap().count();
        assert_eq!(names, 3, "nothing is left beside them");
    }
}

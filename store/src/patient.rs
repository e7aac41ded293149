//! The one place that repeats calls of an object store.
//!
//! Everything goes through it: [`crate::LakeStore`], and Delta's kernel, which knows nothing of it. A call that fails for
//! a reason that passes (refused, reset, cut short, 5xx, a full disk) is repeated with growing pauses for as long as the
//! policy says; what is certain to fail again comes out at once.
//!
//! - A **put if absent** whose answer says nothing is resolved by reading back: bytes of ours count as written by us,
//!   others as somebody else's. So whoever puts if absent writes bytes that nobody else would write (with a random name
//!   in them).
//! - An **object** is read whole before it is returned, so that a body that is cut short is read again. (Files of a local
//!   disk are returned as they are.)
//! - A **list** is read whole before its first entry is returned.
//! - A **large object**'s parts are gathered and put at once: at most some 100 MB, a checkpoint of a table's log.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use catchment_contract::{Environment, Error, Retries, RetryPolicy};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, DynObjectStore, Error as StoreError, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};

use crate::failure::{passes, told};

/// How long calls may go on failing before the job gives up, if nothing else is said: ten minutes.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Pauses from 20 ms to 2 s, for [`PATIENCE`].
pub(crate) fn policy() -> RetryPolicy {
    RetryPolicy::default().with_patience(PATIENCE)
}

/// An object store whose calls are repeated while they fail for reasons that pass. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Patient(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    inner: Arc<DynObjectStore>,
    /// The lake, for the log.
    name: String,
    environment: Environment,
    policy: RetryPolicy,
    /// What must not be told of errors.
    secrets: Secrets,
}

struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Patient {
    /// A store before `inner`, which is called `name` in the log; values of `secrets` are hidden in its errors.
    pub fn new(
        inner: Arc<DynObjectStore>,
        name: String,
        environment: Environment,
        policy: RetryPolicy,
        secrets: Vec<String>,
    ) -> Self {
        Patient(Arc::new(Parts { inner, name, environment, policy, secrets: Secrets(secrets) }))
    }

    fn retries(&self) -> Retries {
        Retries::new(self.0.policy, self.0.environment.clone())
    }

    /// Pauses before the next attempt.
    ///
    /// # Errors
    /// `error`, if there should be none.
    async fn wait(&self, retries: Retries, what: &str, path: &str, error: StoreError) -> Result<Retries> {
        let error = told(error, &self.0.secrets.0);
        if !passes(&error) {
            return Err(error);
        }
        let what = format!("{what} \"{path}\" in the lake \"{}\"", self.0.name);
        let failed = Error::remote(error.to_string());
        // The pause may block: not on a thread that others' calls need.
        let waited = tokio::task::spawn_blocking(move || {
            let mut retries = retries;
            retries.wait(&what, failed).map(|()| retries)
        });
        match waited.await {
            Ok(Ok(retries)) => Ok(retries),
            Ok(Err(_)) | Err(_) => Err(error),
        }
    }

    async fn repeated<T, F>(&self, what: &str, path: &str, attempt: impl Fn(Arc<DynObjectStore>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut retries = self.retries();
        loop {
            match attempt(Arc::clone(&self.0.inner)).await {
                Ok(answer) => {
                    if retries.failures() > 1 {
                        tracing::info!(failures = retries.failures(), lake = self.0.name, "the lake answers again");
                    }
                    return Ok(answer);
                }
                Err(error) => retries = self.wait(retries, what, path, error).await?,
            }
        }
    }

    async fn create(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let mut retries = self.retries();
        loop {
            let put = self.0.inner.put_opts(location, payload.clone(), opts.clone()).await;
            let Err(error) = put else { return put };
            let taken = matches!(error, StoreError::AlreadyExists { .. } | StoreError::Precondition { .. });
            if !taken && !passes(&error) {
                return Err(told(error, &self.0.secrets.0));
            }
            match self.holds(location, &payload).await {
                Ok(Some(true)) => return Ok(PutResult { e_tag: None, version: None }),
                Ok(Some(false)) => {
                    let path = location.to_string();
                    return Err(StoreError::AlreadyExists { path, source: "another wrote it".into() });
                }
                // Nothing landed, even if the store said that something was there (S3 answers 409 to a race).
                Ok(None) | Err(_) => {}
            }
            let error = match error {
                StoreError::AlreadyExists { source, .. } | StoreError::Precondition { source, .. } => {
                    StoreError::Generic { store: "lake", source }
                }
                other => other,
            };
            retries = self.wait(retries, "write", location.as_ref(), error).await?;
        }
    }

    /// Whether the object holds these bytes; `None` if there is none.
    async fn holds(&self, location: &Path, payload: &PutPayload) -> Result<Option<bool>> {
        match self.0.inner.get(location).await {
            Ok(found) => {
                let found = found.bytes().await?;
                let mut rest = found.as_ref();
                let same = payload.iter().all(|part| match rest.split_at_checked(part.len()) {
                    Some((start, after)) => {
                        rest = after;
                        start == part.as_ref()
                    }
                    None => false,
                });
                Ok(Some(same && rest.is_empty()))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A list whose entries come when all of it was read.
fn whole(
    read: impl Future<Output = Result<Vec<ObjectMeta>>> + Send + 'static,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let entries = async move { Ok::<_, StoreError>(stream::iter(read.await?.into_iter().map(Ok))) };
    stream::once(entries).try_flatten().boxed()
}

impl fmt::Display for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.inner)
    }
}

#[async_trait]
impl ObjectStore for Patient {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if opts.mode == PutMode::Create {
            return self.create(location, payload, opts).await;
        }
        self.repeated("write", location.as_ref(), |inner| {
            let (payload, opts) = (payload.clone(), opts.clone());
            async move { inner.put_opts(location, payload, opts).await }
        })
        .await
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Parcel { store: self.clone(), location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.repeated("read", location.as_ref(), |inner| {
            let options = options.clone();
            async move {
                let is_head = options.head;
                let found = inner.get_opts(location, options).await?;
                if is_head || matches!(found.payload, GetResultPayload::File(..)) {
                    return Ok(found);
                }
                let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
                let bytes = found.bytes().await?;
                let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed());
                Ok(GetResult { payload, meta, range, attributes })
            }
        })
        .await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<Bytes>> {
        self.repeated("read", location.as_ref(), |inner| async move { inner.get_ranges(location, ranges).await }).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Path| {
            let store = store.clone();
            async move {
                let removed = store.repeated("delete", location.as_ref(), |inner| {
                    let location = location.clone();
                    async move { inner.delete(&location).await }
                });
                removed.await.map(|()| location.clone())
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        whole(async move {
            let shown = prefix.as_ref().map_or("", Path::as_ref).to_owned();
            let list = |inner: Arc<DynObjectStore>| {
                let prefix = prefix.clone();
                async move { inner.list(prefix.as_ref()).try_collect().await }
            };
            store.repeated("list", &shown, list).await
        })
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix, offset) = (self.clone(), prefix.cloned(), offset.clone());
        whole(async move {
            let shown = prefix.as_ref().map_or("", Path::as_ref).to_owned();
            let list = |inner: Arc<DynObjectStore>| {
                let (prefix, offset) = (prefix.clone(), offset.clone());
                async move { inner.list_with_offset(prefix.as_ref(), &offset).try_collect().await }
            };
            store.repeated("list", &shown, list).await
        })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let shown = prefix.map_or("", Path::as_ref);
        self.repeated("list", shown, |inner| async move { inner.list_with_delimiter(prefix).await }).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.repeated("copy", from.as_ref(), |inner| {
            let options = options.clone();
            async move { inner.copy_opts(from, to, options).await }
        })
        .await
    }
}

/// The parts of a large object that becomes visible at once.
#[derive(Debug)]
struct Parcel {
    store: Patient,
    location: Path,
    parts: Vec<Bytes>,
}

#[async_trait]
impl MultipartUpload for Parcel {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.extend(data);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = std::mem::take(&mut self.parts).into_iter().collect();
        self.store.put_opts(&self.location, parts, PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

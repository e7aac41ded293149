//! An object store that stands still before one of its changes, as a process does that is stopped, a machine that sleeps, or
//! a request that is long on its way.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, DynObjectStore, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

#[derive(Debug, Default)]
struct State {
    /// Changes that began, in their order.
    changes: Vec<String>,
    /// The change that waits, from 1.
    stop_at: Option<usize>,
    stopped: bool,
    released: bool,
}

/// Where a [`Paused`] store stands.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

impl Gate {
    /// Stops before change `stop_at`, from 1; at none for `None`.
    pub fn new(stop_at: Option<usize>) -> Arc<Self> {
        let gate = Gate::default();
        gate.state.lock().unwrap().stop_at = stop_at;
        Arc::new(gate)
    }

    /// Waits until the store stands still, or `ended` says that nobody will use it any more. True if it stands still.
    pub fn wait(&self, ended: impl Fn() -> bool) -> bool {
        let mut state = self.state.lock().unwrap();
        while !state.stopped && !ended() {
            state = self.moved.wait_timeout(state, std::time::Duration::from_millis(5)).unwrap().0;
        }
        state.stopped
    }

    /// Lets it go on.
    pub fn release(&self) {
        self.state.lock().unwrap().released = true;
        self.moved.notify_all();
    }

    /// The changes that began, in their order: `put …`, `delete …`.
    pub fn changes(&self) -> Vec<String> {
        self.state.lock().unwrap().changes.clone()
    }

    fn pass(&self, change: String) {
        let mut state = self.state.lock().unwrap();
        state.changes.push(change);
        if state.stop_at == Some(state.changes.len()) {
            state.stopped = true;
            self.moved.notify_all();
            while !state.released {
                state = self.moved.wait(state).unwrap();
            }
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Paused {
    inner: Arc<DynObjectStore>,
    gate: Arc<Gate>,
}

impl Paused {
    pub fn new(inner: Arc<DynObjectStore>, gate: Arc<Gate>) -> Self {
        Paused { inner, gate }
    }
}

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "paused {}", self.inner)
    }
}

/// A wait that leaves the runtime's threads to others.
async fn pass(gate: &Arc<Gate>, change: String) {
    let gate = Arc::clone(gate);
    tokio::task::spawn_blocking(move || gate.pass(change)).await.unwrap();
}

#[async_trait]
impl ObjectStore for Paused {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        pass(&self.gate, format!("put {location}")).await;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        pass(&self.gate, format!("put {location}")).await;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let gate = Arc::clone(&self.gate);
        let passed = locations.then(move |location| {
            let gate = Arc::clone(&gate);
            async move {
                if let Ok(location) = &location {
                    pass(&gate, format!("delete {location}")).await;
                }
                location
            }
        });
        self.inner.delete_stream(passed.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        pass(&self.gate, format!("put {to}")).await;
        self.inner.copy_opts(from, to, options).await
    }
}

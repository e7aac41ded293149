//! A run that stands still before a call to its lake while another run takes over and ends, and then goes on: it stops or
//! is the newer one itself, and what the other run left is intact.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use catchment::{Environment, Lake};
use catchment_contract::ErrorKind;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, DynObjectStore, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::world::{comment, rows, run};

/// Does something else before one of its calls.
struct Interrupted {
    inner: Arc<DynObjectStore>,
    calls: AtomicU64,
    before: u64,
    other: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Interrupted {
    fn interrupt(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.before {
            let other = self.other.lock().unwrap().take();
            // A thread of its own: this one may belong to the runtime that the other run waits on.
            other.into_iter().for_each(|other| std::thread::spawn(other).join().unwrap());
        }
    }
}

impl fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupted")
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupted")
    }
}

#[async_trait]
impl ObjectStore for Interrupted {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.interrupt();
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.interrupt();
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.interrupt();
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.interrupt();
        self.inner.list(prefix).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.interrupt();
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

pub fn copy(from: &FilePath, to: &FilePath) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn lake_at(path: &FilePath) -> Lake {
    Lake::new(path.to_str().unwrap(), Environment::system()).unwrap()
}

#[test]
fn a_run_that_wakes_up_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (first, base) = (folder.path().join("first"), folder.path().join("base"));
    std::fs::create_dir_all(&first).unwrap();
    std::fs::write(first.join("a.ndjson"), comment(1, "rust", 1, 1) + &comment(2, "sql", 1, 1)).unwrap();
    run(&first, &lake_at(&base)).unwrap();
    let (mut stopped, mut newer) = (0, 0);
    for before in 1.. {
        let (place, input) = (folder.path().join("lake"), folder.path().join("input"));
        copy(&base, &place);
        copy(&first, &input);
        std::fs::write(input.join("b.ndjson"), comment(3, "rust", 1, 2)).unwrap();
        let took_over = Arc::new(AtomicU64::new(0));
        let other: Box<dyn FnOnce() + Send> = {
            let (place, input, took_over) = (place.clone(), input.clone(), took_over.clone());
            Box::new(move || {
                std::fs::write(input.join("c.ndjson"), comment(1, "moved", 5, 3)).unwrap();
                run(&input, &lake_at(&place)).unwrap_or_else(|error| panic!("the other run: {}", error.chain()));
                took_over.store(1, Ordering::SeqCst);
            })
        };
        let wrap = |inner| -> Arc<DynObjectStore> {
            Arc::new(Interrupted { inner, calls: AtomicU64::new(0), before, other: Mutex::new(Some(other)) })
        };
        let outcome = run(&input, &Lake::of(lake_at(&place).open().unwrap().map_store(wrap)));
        if took_over.load(Ordering::SeqCst) == 0 {
            outcome.unwrap();
            break;
        }
        match outcome {
            Ok(_) => newer += 1,
            Err(error) => {
                let text = error.chain();
                assert_eq!(error.kind(), ErrorKind::Taken, "before call {before}: {text}");
                assert!(!text.contains("--reset"), "before call {before}: {text}");
                stopped += 1;
            }
        }
        run(&input, &lake_at(&place)).unwrap_or_else(|error| panic!("after call {before}: {}", error.chain()));
        assert_eq!(rows(&lake_at(&place)), ["moved|1|5", "rust|1|1", "sql|1|1"], "after call {before}");
        std::fs::remove_dir_all(&place).unwrap();
        std::fs::remove_dir_all(&input).unwrap();
    }
    println!("woken before {stopped} calls of its life, and before {newer} as the newer run");
    assert!(stopped > 20 && newer > 0, "{stopped} stopped, {newer} newer");
}

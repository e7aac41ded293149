//! An object store that fails as stores do: a put is done or not, and reported or not.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, DynObjectStore, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What happens to calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Every call does what it says.
    Fair,
    /// Some puts and reads fail; half of the failed puts were done all the same.
    Rough,
    /// After this many puts the process is as good as dead: every call fails, the last put done or not.
    Crash(u64),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<DynObjectStore>,
    random: Mutex<SmallRng>,
    weather: Mutex<Weather>,
    puts: AtomicU64,
    /// Whether "create if absent" is honoured.
    pub honest: bool,
}

impl Faulty {
    pub fn new(inner: Arc<DynObjectStore>, seed: u64) -> Self {
        let random = Mutex::new(SmallRng::seed_from_u64(seed));
        Faulty { inner, random, weather: Mutex::new(Weather::Fair), puts: AtomicU64::new(0), honest: true }
    }

    pub fn set(&self, weather: Weather) {
        self.puts.store(0, Ordering::SeqCst);
        *self.weather.lock().unwrap() = weather;
    }

    /// Whether every call does what it says.
    pub fn is_fair(&self) -> bool {
        *self.weather.lock().unwrap() == Weather::Fair
    }

    fn chance(&self, percent: u32) -> bool {
        self.random.lock().unwrap().random_range(0..100) < percent
    }

    fn read_fails(&self) -> Result<()> {
        let fails = match *self.weather.lock().unwrap() {
            Weather::Fair => false,
            Weather::Rough => self.chance(3),
            Weather::Crash(after) => self.puts.load(Ordering::SeqCst) > after,
        };
        if fails { Err(lost()) } else { Ok(()) }
    }

    /// Whether the next put is done, and whether that is reported.
    fn put_fate(&self) -> (bool, bool) {
        let count = self.puts.fetch_add(1, Ordering::SeqCst) + 1;
        match *self.weather.lock().unwrap() {
            Weather::Fair => (true, true),
            Weather::Rough if self.chance(15) => (self.chance(50), false),
            Weather::Rough => (true, true),
            Weather::Crash(after) if count <= after => (true, true),
            Weather::Crash(after) => (count == after + 1 && self.chance(50), false),
        }
    }
}

fn lost() -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: "the reply was lost".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut opts: PutOptions) -> Result<PutResult> {
        if !self.honest {
            opts.mode = PutMode::Overwrite;
        }
        let (done, reported) = self.put_fate();
        let result = if done { Some(self.inner.put_opts(location, payload, opts).await) } else { None };
        match result {
            Some(result) if reported => result,
            _ => Err(lost()),
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read_fails()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.read_fails() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => Box::pin(futures::stream::once(async { Err(error) })),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read_fails() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => Box::pin(futures::stream::once(async { Err(error) })),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read_fails()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

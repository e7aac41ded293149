//! The threads that wait for object stores: the process has one small pool, however many lakes it opens.

use std::sync::{Mutex, PoisonError};

use catchment_contract::{Error, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that drive connections.
const THREADS: usize = 2;
/// Threads for calls of a local disk.
const BLOCKING_THREADS_MAX: usize = 16;

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// The runtime that waits for object stores.
///
/// # Errors
/// If the system gives no threads; it is asked again by the next call.
pub fn runtime() -> Result<Handle> {
    let mut made = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = made.as_ref() {
        return Ok(runtime.handle().clone());
    }
    let failed =
        |error: std::io::Error| Error::remote("could not start threads for the lake's storage").with_source(error);
    // Making the pool panics where the system gives no threads: ask for as many first.
    let asked: std::io::Result<Vec<_>> =
        (0..=THREADS).map(|_| std::thread::Builder::new().name("lake".into()).spawn(|| ())).collect();
    asked.map_err(failed)?.into_iter().for_each(|thread| drop(thread.join()));
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(THREADS).max_blocking_threads(BLOCKING_THREADS_MAX).thread_name("lake").enable_all();
    // One blocking thread always stays: without any, a system that gives no more would be a panic, with one it is a wait.
    builder.thread_keep_alive(std::time::Duration::from_secs(u64::from(u32::MAX)));
    let runtime = builder.build().map_err(failed)?;
    let handle = runtime.handle().clone();
    drop(handle.spawn_blocking(|| ()));
    *made = Some(runtime);
    Ok(handle)
}

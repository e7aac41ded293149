//! The folder that spilled runs lie in.
//!
//! A file has no name: it is removed from the folder as soon as it is made, so that nothing is left whatever ends the process.
//! Its space is free when nobody reads it any more. A folder that was made here goes with the run, if that ends well.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use catchment_contract::{Environment, Error, Result};

/// A folder for files that do not outlive the process. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct SpillFolder(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    environment: Environment,
    written: AtomicU64,
    /// Whether it was made here.
    made: AtomicBool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if *self.made.get_mut() {
            // Another run may use it.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

impl SpillFolder {
    /// The folder at `path`, which is made when the first file is.
    pub fn new(path: impl Into<PathBuf>, environment: Environment) -> Self {
        let (written, made) = (AtomicU64::new(0), AtomicBool::new(false));
        SpillFolder(Arc::new(Folder { path: path.into(), environment, written, made }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Bytes that were ever written to it.
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    pub(crate) fn note_written(&self, bytes: usize) {
        self.0.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A new file, for reading and writing.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub(crate) fn create(&self) -> Result<File> {
        let Folder { path: folder, environment, made, .. } = &*self.0;
        let path = folder.join(format!("{}.run", environment.unique_name()));
        let make = || {
            let open = || File::options().read(true).write(true).create_new(true).open(&path);
            // Another run may have removed it just now.
            let file = open().or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    std::fs::create_dir_all(folder)?;
                    made.store(true, Ordering::Relaxed);
                    open()
                }
                _ => Err(error),
            })?;
            std::fs::remove_file(&path)?;
            Ok(file)
        };
        make().map_err(|error| self.failed("make a file in", error))
    }

    /// The error of a call that the system refused.
    pub(crate) fn failed(&self, what: &str, error: std::io::Error) -> Error {
        Error::remote(format!("could not {what} the spill folder {}", self.0.path.display())).with_source(error).with_hint(
            "the last checkpoint stays good: make room or choose another folder with --spill-dir, or give the job more memory \
             with --memory, and run it again",
        )
    }
}

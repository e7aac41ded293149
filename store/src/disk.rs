//! What a local lake does to its disk, call by call.
//!
//! [`SystemDisk`] is the real one. A test puts one in its place that records the calls, and so knows what a power cut
//! after any of them may leave.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use object_store::PutPayload;

/// The calls that change a local lake. Each is one call of the operating system or a few in a row.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes one folder; its parent exists.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if it is there, [`io::ErrorKind::NotFound`] if its parent is not.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// Writes a new file, and brings its bytes to disk before it returns if `synced`.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if it is there.
    fn write_new(&self, file: &Path, payload: &PutPayload, synced: bool) -> io::Result<()>;

    /// Brings a file's bytes to disk.
    ///
    /// # Errors
    /// If the system refuses.
    fn sync_file(&self, file: &Path) -> io::Result<()>;

    /// Brings a folder's entries to disk.
    ///
    /// # Errors
    /// If the system refuses.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name in its folder, in the place of what had it.
    ///
    /// # Errors
    /// If the system refuses.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name in its folder.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if something has it.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none.
    fn remove(&self, file: &Path) -> io::Result<()>;
}

/// The operating system's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)
    }

    fn write_new(&self, file: &Path, payload: &PutPayload, synced: bool) -> io::Result<()> {
        let mut open = File::options().write(true).create_new(true).open(file)?;
        payload.iter().try_for_each(|bytes| open.write_all(bytes))?;
        if synced { open.sync_all() } else { Ok(()) }
    }

    fn sync_file(&self, file: &Path) -> io::Result<()> {
        File::open(file)?.sync_all()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }
}

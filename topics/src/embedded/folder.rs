//! What the broker asks of a folder: one owner, and files that are there whole or not at all.
//!
//! The owner is whoever holds the advisory lock on the file `lock`; the system drops it with the process, however that
//! ends. The file's text is the owner's address, for the message to whoever comes second.

use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchment_contract::{Error, ErrorKind, Result};

/// Holds the folder's lock until the last clone is dropped.
#[derive(Clone)]
pub struct Lock(Arc<File>);

impl Lock {
    /// Takes the folder, which must exist.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] if another broker has it.
    pub fn take(folder: &Path) -> Result<Lock> {
        let path = folder.join("lock");
        let opened = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = opened.map_err(|error| Error::io(format!("open \"{}\"", path.display()), error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(Arc::new(file))),
            Err(TryLockError::WouldBlock) => Err(taken(folder, &path)),
            Err(TryLockError::Error(error)) => Err(Error::io(format!("lock \"{}\"", path.display()), error)),
        }
    }

    /// Says where the owner can be reached.
    pub fn write_address(&self, address: &str) -> io::Result<()> {
        let mut file = &*self.0;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(address.as_bytes())
    }
}

fn taken(folder: &Path, lock: &Path) -> Error {
    let owner = fs::read(lock).ok().and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
    let owner = owner.trim();
    let (at, address) = match owner {
        "" => (String::new(), "HOST:PORT"),
        _ => (format!(" at {owner}"), owner),
    };
    Error::user(format!("topics folder \"{}\" is in use by another broker{at}", folder.display()))
        .with_kind(ErrorKind::Taken)
        .with_hint(format!("use that one with --topics {address}, stop it, or choose another folder with --topics-dir"))
}

/// What stands between the text of a whole file and its checksum.
const CHECKSUM: &[u8] = b"\ncrc32c ";

/// Writes the text `bytes` to `path` so that a reader, also after a power cut, finds the old file or the new one. A line
/// follows it: `crc32c ` and the text's checksum as eight hexadecimal digits.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.write_all(CHECKSUM)?;
    file.write_all(format!("{:08x}\n", crc32c::crc32c(bytes)).as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// The text that [`write_whole`] wrote to `path`.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if it does not match its checksum, or has none.
pub fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    let text = bytes.len().saturating_sub(CHECKSUM.len() + 9);
    let expect = [CHECKSUM, format!("{:08x}\n", crc32c::crc32c(&bytes[..text])).as_bytes()].concat();
    if bytes[text..] != expect {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not match its checksum"));
    }
    bytes.truncate(text);
    Ok(bytes)
}

/// Makes a folder with all that are missing above it, and brings the entries that name them to disk.
pub fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folders(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(above)
}

/// Brings a folder's entries to disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The guard of a mutex whose data stays whole when a holder panics.
pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A disk whose calls are recorded, and what a power cut after any of them may leave.
//!
//! A file's bytes are safe once it was synced, a folder's entries (new, renamed and removed names, new folders) once that
//! folder was synced. Of everything else a power cut may leave the old or the new, and of bytes a part.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use catchment_contract::Environment;
use catchment_store::disk::{Disk, SystemDisk};
use object_store::PutPayload;

#[derive(Clone, Debug)]
enum Call {
    MakeFolder(PathBuf),
    Write(PathBuf, Arc<Vec<u8>>, bool),
    SyncFile(PathBuf),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// The system's disk, with a record of what it did below one folder.
#[derive(Debug)]
pub struct RecordedDisk {
    root: PathBuf,
    calls: Mutex<Vec<Call>>,
}

impl RecordedDisk {
    pub fn new(root: &Path) -> RecordedDisk {
        RecordedDisk { root: root.to_owned(), calls: Mutex::default() }
    }

    /// How many calls were made.
    pub fn len(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn below(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(Path::new("..")).to_owned()
    }

    /// Does the call and notes it: one at a time, for their order is what counts.
    fn call(&self, call: Call, done: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut calls = self.calls.lock().unwrap();
        done()?;
        calls.push(call);
        Ok(())
    }

    /// What may be on disk after the first `cut` calls and a power cut.
    pub fn after(&self, cut: usize, left: &Left) -> Image {
        let mut model = Model::default();
        model.folders.insert(PathBuf::new(), Folder::default());
        self.calls.lock().unwrap()[..cut].iter().for_each(|call| model.apply(call));
        model.image(left)
    }
}

impl Disk for RecordedDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.call(Call::MakeFolder(self.below(folder)), || SystemDisk.make_folder(folder))
    }

    fn write_new(&self, file: &Path, payload: &PutPayload, synced: bool) -> io::Result<()> {
        let bytes = Arc::new(payload.iter().flat_map(|part| part.to_vec()).collect());
        self.call(Call::Write(self.below(file), bytes, synced), || SystemDisk.write_new(file, payload, false))
    }

    fn sync_file(&self, file: &Path) -> io::Result<()> {
        self.call(Call::SyncFile(self.below(file)), || Ok(()))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.call(Call::SyncFolder(self.below(folder)), || Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename(self.below(from), self.below(to)), || SystemDisk.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Link(self.below(from), self.below(to)), || SystemDisk.link(from, to))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.call(Call::Remove(self.below(file)), || SystemDisk.remove(file))
    }
}

/// What happens to that which was not synced.
pub enum Left {
    /// It is lost: old entries, no bytes.
    Nothing,
    /// It is all there.
    Everything,
    /// Each may be lost or there, of bytes a part.
    Chance(Environment),
}

impl Left {
    fn keeps(&self) -> bool {
        match self {
            Left::Nothing => false,
            Left::Everything => true,
            Left::Chance(environment) => environment.random_in(0..=1) == 1,
        }
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let len = match self {
            Left::Nothing => 0,
            Left::Everything => bytes.len(),
            Left::Chance(environment) => environment.random_in(0..=bytes.len() as u64) as usize,
        };
        bytes[..len].to_vec()
    }
}

/// Files by path, and folders without files.
pub type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Writes an image below `root`.
pub fn materialize(image: &Image, root: &Path) {
    std::fs::create_dir_all(root).unwrap();
    for (path, bytes) in image {
        let path = root.join(path);
        match bytes {
            None => std::fs::create_dir_all(path).unwrap(),
            Some(bytes) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
}

#[derive(Clone, PartialEq)]
enum Entry {
    Folder,
    File(usize),
}

#[derive(Clone, Default)]
struct Folder {
    now: BTreeMap<PathBuf, Entry>,
    safe: BTreeMap<PathBuf, Entry>,
}

#[derive(Default)]
struct Model {
    /// By path; entries by their whole path.
    folders: BTreeMap<PathBuf, Folder>,
    /// Bytes, and whether they are safe.
    files: Vec<(Arc<Vec<u8>>, bool)>,
}

impl Model {
    fn entries(&mut self, of: &Path) -> &mut BTreeMap<PathBuf, Entry> {
        &mut self.folders.entry(of.parent().unwrap_or(Path::new("")).to_owned()).or_default().now
    }

    fn apply(&mut self, call: &Call) {
        match call {
            Call::MakeFolder(path) => {
                self.entries(path).insert(path.clone(), Entry::Folder);
                self.folders.insert(path.clone(), Folder::default());
            }
            Call::Write(path, bytes, synced) => {
                self.files.push((bytes.clone(), *synced));
                let file = Entry::File(self.files.len() - 1);
                self.entries(path).insert(path.clone(), file);
            }
            Call::SyncFile(path) => {
                if let Some(Entry::File(file)) = self.entries(path).get(path).cloned() {
                    self.files[file].1 = true;
                }
            }
            Call::SyncFolder(path) => {
                if let Some(folder) = self.folders.get_mut(path) {
                    folder.safe.clone_from(&folder.now);
                }
            }
            Call::Rename(from, to) => {
                let entry = self.entries(from).remove(from).unwrap();
                self.entries(to).insert(to.clone(), entry);
            }
            Call::Link(from, to) => {
                let entry = self.entries(from)[from].clone();
                self.entries(to).insert(to.clone(), entry);
            }
            Call::Remove(path) => drop(self.entries(path).remove(path)),
        }
    }

    fn image(&self, left: &Left) -> Image {
        let mut image = Image::new();
        let mut open = vec![PathBuf::new()];
        while let Some(at) = open.pop() {
            let folder = self.folders.get(&at).cloned().unwrap_or_default();
            let names: Vec<&PathBuf> = folder.now.keys().chain(folder.safe.keys()).collect();
            let mut seen = std::collections::BTreeSet::new();
            for path in names.into_iter().filter(|path| seen.insert(*path)) {
                let (now, safe) = (folder.now.get(path), folder.safe.get(path));
                let entry = if now == safe || left.keeps() { now } else { safe };
                match entry {
                    None => {}
                    Some(Entry::Folder) => {
                        image.insert(path.clone(), None);
                        open.push(path.clone());
                    }
                    Some(Entry::File(file)) => {
                        let (bytes, safe) = &self.files[*file];
                        let bytes = if *safe { bytes.to_vec() } else { left.bytes(bytes) };
                        image.insert(path.clone(), Some(bytes));
                    }
                }
            }
        }
        image
    }
}

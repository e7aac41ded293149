//! The files of one source: found, compared with what was read, opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use catchment_contract::{Error, ErrorKind, Options, Partition, Position, Result, Wake};

use super::find::{Found, find, path_error, root};
use super::open::OpenFile;
use super::position::{Change, FilePosition};
use super::watch;

/// The files that the option `path` of a source names.
#[derive(Clone, Debug)]
pub struct FileSet {
    path: String,
    owner: String,
}

impl FileSet {
    /// Takes the option `path`: a file, a folder, or a glob. Touches no disk.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::User`] if it is missing or empty.
    pub fn from_options(options: &mut Options) -> Result<Self> {
        let (path, span) = options.require("path")?;
        if path.trim().is_empty() {
            return Err(options
                .error(span, format!("option \"path\" of {} is empty", options.owner()))
                .with_hint("write a file, a folder or a glob such as 'data/**/*.json'"));
        }
        Ok(FileSet { path, owner: options.owner().to_owned() })
    }

    /// The option as it was written.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All files, in canonical order: see [`find`](super::find).
    ///
    /// # Errors
    /// As [`find()`].
    pub fn find(&self) -> Result<Vec<Found>> {
        find(&self.path)
    }

    /// Files that are new, have grown or were replaced, given the positions reached so far, in canonical order: what
    /// [`Source::discover`](catchment_contract::Source::discover) returns. A replaced file has no `from`.
    ///
    /// # Errors
    /// As [`FileSet::find`]; if there is no file at all and `known` is empty; if `known` holds a position that is not
    /// one of a file source.
    pub fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let found = self.find()?;
        if found.is_empty() && known.is_empty() {
            let message = format!("{} has nothing to read: \"{}\" {}", self.owner, self.path, self.nothing());
            return Err(Error::user(message)
                .with_kind(ErrorKind::Empty)
                .with_hint("put files there, or change the option \"path\""));
        }
        let mut partitions = Vec::new();
        for file in found {
            let Some(position) = known.get(&file.id) else {
                partitions.push(Partition { id: file.id, bytes: Some(file.stamp.bytes), from: None });
                continue;
            };
            let before = FilePosition::decode(position, &file.id)?;
            let partition = match before.compare(&file)? {
                Change::None => continue,
                Change::Replaced => Partition { id: file.id, bytes: Some(file.stamp.bytes), from: None },
                Change::Grown => {
                    let bytes = before.bytes_left(file.stamp.bytes);
                    Partition { id: file.id, bytes: Some(bytes), from: Some(position.clone()) }
                }
            };
            partitions.push(partition);
        }
        Ok(partitions)
    }

    /// Opens a partition that [`FileSet::discover`] returned, at its `from`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Denied`] for the file; [`catchment_contract::Fault::Data`] if it is no
    /// longer the file that `from` refers to.
    pub fn open(&self, partition: &Partition) -> Result<OpenFile> {
        let from = partition.from.as_ref().map(|from| FilePosition::decode(from, &partition.id)).transpose()?;
        OpenFile::open(&partition.id, self.path_of(&partition.id)?, from)
    }

    /// Calls `wake` whenever a file may have come, grown or been replaced, until the answer is dropped: what
    /// [`Source::watch`](catchment_contract::Source::watch) returns. `None`, after a warning, where that is impossible.
    ///
    /// A wake may come too often, and what no event tells (network file systems) wakes with some seconds' delay.
    pub fn watch(&self, wake: Wake) -> Option<Box<dyn Send>> {
        watch::watch(&self.path, wake)
    }

    /// The path of the partition `id`: below the root, or looked for if its name is not UTF-8.
    fn path_of(&self, id: &str) -> Result<PathBuf> {
        let direct = root(&self.path).join(id);
        if direct.is_file() {
            return Ok(direct);
        }
        match self.find()?.into_iter().find(|found| found.id == id) {
            Some(found) => Ok(found.path),
            None => Err(path_error(&direct, std::io::ErrorKind::NotFound.into())),
        }
    }

    fn nothing(&self) -> &'static str {
        if Path::new(&self.path).is_dir() { "is a folder without files" } else { "matches no file" }
    }
}

#[cfg(test)]
mod tests;

//! The files of one source: found, compared with what was read, opened.
//!
//! **Content decides, not names and times.** A file whose stamp (size and time) is as it was is not looked into. Else it is
//! what it was if the hash of its content says so, then goes on where it was left if it has grown, and is read from its
//! beginning if it was replaced. A source that asks for it ([`FileSet::by_content`]) also knows a file under another name:
//! what was renamed or copied is not new, and a log that was rotated goes on where it was left under its former name.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use catchment_contract::{Environment, Error, ErrorKind, Options, Partition, Position, Result, Retry, Wake};

use super::contents::Contents;
use super::find::{Found, Stamp, find, root};
use super::open::{OpenFile, Opened};
use super::position::{Cut, FilePosition};
use super::watch;

/// The files that the option `path` of a source names.
#[derive(Clone, Debug)]
pub struct FileSet {
    path: String,
    owner: String,
    environment: Environment,
    by_content: bool,
    /// Files that were looked into and found unchanged, by id, with the stamp that they had.
    looked_at: Arc<Mutex<HashMap<String, Stamp>>>,
}

/// What a file that was read before needs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Nothing: all of it was read.
    None,
    /// To be opened at its position: it has grown, or its stamp alone has changed, which is to be recorded.
    Resume,
    /// To be read from its beginning.
    Replaced,
}

impl FileSet {
    /// Takes the option `path`: a file, a folder, or a glob. Touches no disk.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::User`] if it is missing or empty.
    pub fn from_options(options: &mut Options, environment: &Environment) -> Result<Self> {
        let (path, span) = options.require("path")?;
        if path.trim().is_empty() {
            return Err(options
                .error(span, format!("option \"path\" of {} is empty", options.owner()))
                .with_hint("write a file, a folder or a glob such as 'data/**/*.json'"));
        }
        let (owner, environment) = (options.owner().to_owned(), environment.clone());
        Ok(FileSet { path, owner, environment, by_content: false, looked_at: Arc::default() })
    }

    /// The same files for a source whose records do not depend on the names of their files: content that was read is not
    /// new under another name.
    #[must_use]
    pub fn by_content(self) -> Self {
        FileSet { by_content: true, ..self }
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

    /// Files that are new, have grown or were replaced, given the positions reached so far: what
    /// [`Source::discover`](catchment_contract::Source::discover) returns. A replaced file has no `from`; one that is known
    /// under another name has that one's position, and comes first, since what it holds is older than what has taken its
    /// place. All others are in canonical order. A file whose stamp alone has changed is opened once more, to record it.
    ///
    /// # Errors
    /// As [`FileSet::find`], to be repeated if there were files before; if there is no file at all and `known` is empty; if
    /// `known` holds a position that is not one of a file source.
    pub fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let found = self.find().map_err(|error| match known.is_empty() {
            true => error,
            false => error.with_retry(Retry::BackOff),
        })?;
        if found.is_empty() && known.is_empty() {
            let message = format!("{} has nothing to read: \"{}\" {}", self.owner, self.path, self.nothing());
            return Err(Error::user(message)
                .with_kind(ErrorKind::Empty)
                .with_hint("put files there, or change the option \"path\""));
        }
        let (mut partitions, mut new) = (Vec::new(), Vec::new());
        for file in found {
            let Some(position) = known.get(&file.id) else {
                new.push(file);
                continue;
            };
            let before = FilePosition::decode(position, &file.id)?;
            match self.compare(&before, &file) {
                Ok(Change::None) => {}
                Ok(Change::Replaced) => new.push(file),
                // What cannot be looked into says so when it is opened.
                Ok(Change::Resume) | Err(_) => {
                    let bytes = Some(before.bytes_left(file.stamp.bytes));
                    partitions.push((false, file.path, Partition { id: file.id, bytes, from: Some(position.clone()) }));
                }
            }
        }
        let mut contents = if self.by_content && !new.is_empty() { Some(Contents::of(known)?) } else { None };
        for file in new {
            let same = contents.as_mut().map(|contents| contents.look_up(&file)).unwrap_or_default();
            if same.duplicate {
                tracing::info!(path = %file.path.display(), "the file is a copy of another new one");
                continue;
            }
            let bytes = same.from.as_ref().map_or(file.stamp.bytes, |from| from.bytes_left(file.stamp.bytes));
            // A time that no file has: the position is recorded for this name, whatever the file's time.
            let from = same.from.map(|mut from| {
                from.file.modified_us = -1;
                from.encode()
            });
            partitions.push((from.is_some(), file.path, Partition { id: file.id, bytes: Some(bytes), from }));
        }
        let key = |path: &PathBuf| path.as_os_str().as_encoded_bytes().to_vec();
        partitions.sort_by_cached_key(|(renamed, path, _)| (!renamed, key(path)));
        Ok(partitions.into_iter().map(|(_, _, partition)| partition).collect())
    }

    /// What a file that was read up to `before` needs now.
    fn compare(&self, before: &FilePosition, now: &Found) -> io::Result<Change> {
        let same_stamp = now.stamp == before.file.stamp();
        if same_stamp && !before.end {
            return Ok(Change::Resume);
        }
        let looked_at = || self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if same_stamp && (!before.file.racy || looked_at().get(&now.id) == Some(&now.stamp)) {
            return Ok(Change::None);
        }
        if same_stamp && now.stamp.is_racy(&self.environment) {
            // Another look, when time can tell.
            return Ok(Change::None);
        }
        if now.stamp.bytes < before.file.bytes {
            return Ok(Change::Replaced);
        }
        let mut file = match File::open(&now.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Change::None),
            opened => opened?,
        };
        let same_size = now.stamp.bytes == before.file.bytes;
        if !same_size && before.cut == Cut::Document || !before.is_prefix_of(&mut file, same_size)? {
            return Ok(Change::Replaced);
        }
        if same_stamp {
            looked_at().insert(now.id.clone(), now.stamp);
            return Ok(Change::None);
        }
        Ok(Change::Resume)
    }

    /// Opens a partition that [`FileSet::discover`] returned, at its `from`.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] for a file that cannot be read. A file that is gone is none, nor is one that is no longer what
    /// `from` refers to: there is nothing to read of it in this round.
    pub fn open(&self, partition: &Partition) -> Result<Opened> {
        let from = partition.from.as_ref().map(|from| FilePosition::decode(from, &partition.id)).transpose()?;
        OpenFile::open(&partition.id, self.path_of(&partition.id)?, from, &self.environment)
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
        if !id.contains(char::REPLACEMENT_CHARACTER) {
            return Ok(direct);
        }
        let found = self.find()?.into_iter().find(|found| found.id == id);
        Ok(found.map_or(direct, |found| found.path))
    }

    fn nothing(&self) -> &'static str {
        if Path::new(&self.path).is_dir() { "is a folder without files" } else { "matches no file" }
    }
}

#[cfg(test)]
mod tests;

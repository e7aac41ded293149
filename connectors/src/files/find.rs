//! Finding files: a path, a folder or a glob becomes a list of files in canonical order.
//!
//! - A file's path names that file. A folder names the files in it and below.
//! - A glob knows `*`, `?`, `[abc]` inside a name and `**` for any number of folders. A folder that a glob without `**`
//!   matches stands for the files in it and below; with `**` the pattern alone decides.
//! - A path that exists is taken literally, even if it contains `[` or `*`.
//! - No name is left out: `_`, `-` and `.` in front, and names that are not UTF-8, are files like all others. What is
//!   neither file nor folder (a pipe, a socket, a link to nothing) is logged and left out.
//!
//! **Order** is bytewise by the path below the root. **Root** is the folder itself, a file's parent, or a glob's folders
//! before its first special character. Links are followed; a folder inside itself is entered once.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catchment_contract::{Environment, Error, ErrorKind, Result};
use glob::{MatchOptions, Pattern};
use xxhash_rust::xxh3::xxh3_64;

/// How deep folders may be nested below the root.
const DEPTH_MAX: usize = 64;

/// The tick of a file system that counts fractions of a second: a timer's, generously.
const TICK_US: i64 = 20_000;

/// The tick of a file system that counts seconds, or pairs of them.
const SECONDS_TICK_US: i64 = 2_000_000;

/// Characters that make a path a glob.
const SPECIAL: [char; 3] = ['*', '?', '['];

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path below the root with `/` between its parts: the partition's id. A name that is not UTF-8 is written with
    /// U+FFFD in place of the bytes that are not, and a hash of the name at its end.
    pub id: String,
    /// The path to open.
    pub path: PathBuf,
    /// Size and time of the last change.
    pub stamp: Stamp,
}

/// What tells cheaply that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Size in bytes.
    pub bytes: u64,
    /// Time of the last change, in microseconds since 1970; 0 if the system does not say.
    pub modified_us: i64,
}

impl Stamp {
    /// The stamp in a file's metadata.
    pub fn new(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified_us = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        Stamp { bytes: metadata.len(), modified_us }
    }

    /// How long ago the file was changed; nothing for one that says it will be.
    pub(super) fn age(&self, environment: &Environment) -> Duration {
        let age = environment.wall_micros().saturating_sub(self.modified_us);
        Duration::from_micros(u64::try_from(age).unwrap_or(0))
    }

    /// Whether another change right now could leave the stamp as it is: file systems count time in ticks.
    pub(super) fn is_racy(&self, environment: &Environment) -> bool {
        let whole_seconds = self.modified_us % 1_000_000 == 0;
        let tick_us = if whole_seconds { SECONDS_TICK_US } else { TICK_US };
        environment.wall_micros().saturating_sub(self.modified_us).abs() < tick_us
    }
}

/// The files that `pattern` names, in canonical order; empty if a folder or glob holds none.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the path, or a glob's folder before its first special character, does not exist;
/// [`ErrorKind::Denied`] if a folder cannot be listed; [`catchment_contract::Fault::User`] for a glob that is wrong.
pub fn find(pattern: &str) -> Result<Vec<Found>> {
    let path = Path::new(pattern);
    let mut walk = Walk { found: Vec::new(), root: root(pattern), ancestors: Vec::new() };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => walk.below(path)?,
        Ok(metadata) => {
            if !metadata.is_file() {
                return Err(Error::user(format!("cannot read path \"{pattern}\": it is neither a file nor a folder"))
                    .with_hint("write its records to a file first"));
            }
            walk.entry(path, true)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && pattern.contains(SPECIAL) => walk.glob(pattern)?,
        Err(error) => return Err(path_error(path, error)),
    }
    let mut found = walk.found;
    found.sort_by(|a, b| a.path.as_os_str().as_encoded_bytes().cmp(b.path.as_os_str().as_encoded_bytes()));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// The folder that the ids of `pattern`'s files are relative to.
pub(super) fn root(pattern: &str) -> PathBuf {
    let path = Path::new(pattern);
    if path.is_dir() {
        return path.to_path_buf();
    }
    if path.exists() || !pattern.contains(SPECIAL) {
        return path.parent().unwrap_or(Path::new("")).to_path_buf();
    }
    let literal = &pattern[..pattern.find(SPECIAL).unwrap_or(pattern.len())];
    PathBuf::from(&literal[..literal.rfind('/').map_or(0, |slash| slash + 1)])
}

/// The error for a path that cannot be looked at, with the way out.
pub(super) fn path_error(path: &Path, error: io::Error) -> Error {
    let made = Error::io(format_args!("read path \"{}\"", path.display()), error);
    match made.kind() {
        ErrorKind::NotFound if path.is_relative() => match std::env::current_dir() {
            Ok(here) => made.with_hint(format!(
                "check the option \"path\": it is looked for in the working directory \"{}\"",
                here.display()
            )),
            Err(_) => made.with_hint("check the option \"path\""),
        },
        ErrorKind::NotFound => made.with_hint("check the option \"path\""),
        ErrorKind::Denied => made.with_hint("give the user that runs the job the right to read it (chmod, chown)"),
        _ => made,
    }
}

struct Walk {
    found: Vec<Found>,
    root: PathBuf,
    /// Folders that are being walked, by canonical path, so that links cannot lead round in circles.
    ancestors: Vec<PathBuf>,
}

impl Walk {
    /// Files in `folder` and below.
    fn below(&mut self, folder: &Path) -> Result<()> {
        self.inside(folder, |walk| walk.names(folder)?.iter().try_for_each(|path| walk.entry(path, true)))
    }

    /// Runs `visit` for `folder`, unless the folder is being visited already or has vanished.
    fn inside(&mut self, folder: &Path, visit: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let canonical = match fs::canonicalize(folder_or_here(folder)) {
            Ok(canonical) => canonical,
            Err(error) => return self.unlisted(folder, error),
        };
        if self.ancestors.contains(&canonical) {
            return Ok(());
        }
        if self.ancestors.len() == DEPTH_MAX {
            return Err(Error::user(format!(
                "cannot read path \"{}\": it is more than {DEPTH_MAX} folders deep",
                folder.display()
            ))
            .with_hint("point the option \"path\" further down"));
        }
        self.ancestors.push(canonical);
        let result = visit(self);
        self.ancestors.pop();
        result
    }

    /// What lies directly in `folder`; nothing if it has vanished or cannot be listed.
    fn names(&mut self, folder: &Path) -> Result<Vec<PathBuf>> {
        let listed = fs::read_dir(folder_or_here(folder))
            .and_then(|list| list.map(|entry| entry.map(|entry| folder.join(entry.file_name()))).collect());
        match listed {
            Ok(names) => Ok(names),
            Err(error) => self.unlisted(folder, error).map(|()| Vec::new()),
        }
    }

    /// A folder that cannot be listed: the root is an error; one below that vanished is nothing; any other stands for its
    /// files in the answer, so that whoever opens it learns why they are not there.
    fn unlisted(&mut self, folder: &Path, error: io::Error) -> Result<()> {
        if folder == self.root {
            return Err(path_error(folder, error));
        }
        if error.kind() == io::ErrorKind::NotFound {
            tracing::info!(path = %folder.display(), "left out a folder that vanished");
            return Ok(());
        }
        self.keep(folder, Stamp { bytes: 0, modified_us: 0 });
        Ok(())
    }

    fn keep(&mut self, path: &Path, stamp: Stamp) {
        let id = id(path.strip_prefix(&self.root).unwrap_or(path));
        self.found.push(Found { id, path: path.to_path_buf(), stamp });
    }

    /// A file is kept, a folder walked if `recurse`.
    fn entry(&mut self, path: &Path, recurse: bool) -> Result<()> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.keep(path, Stamp { bytes: 0, modified_us: 0 });
                return Ok(());
            }
            // A name that vanished, a link to nothing, a link to itself.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "left out a name that is no file");
                return Ok(());
            }
        };
        if metadata.is_dir() {
            return if recurse { self.below(path) } else { Ok(()) };
        }
        if !metadata.is_file() {
            tracing::warn!(path = %path.display(), "left out what is neither a file nor a folder");
            return Ok(());
        }
        self.keep(path, Stamp::new(&metadata));
        Ok(())
    }

    /// Files that the glob `pattern` matches.
    fn glob(&mut self, pattern: &str) -> Result<()> {
        let root = root(pattern);
        let literal = root.as_os_str().len();
        let mut parts = pattern[literal..]
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| Part::new(pattern, part))
            .collect::<Result<Vec<_>>>()?;
        parts.dedup_by(|a, b| matches!((a, b), (Part::Folders, Part::Folders)));
        fs::metadata(folder_or_here(&root)).map_err(|error| path_error(&root, error))?;
        let recurse = !parts.iter().any(|part| matches!(part, Part::Folders));
        if recurse && let Ok(canonical) = fs::canonicalize(folder_or_here(&root)) {
            self.ancestors.push(canonical);
        }
        self.matching(&root, &parts, recurse)
    }

    /// What below `folder` matches `parts`.
    fn matching(&mut self, folder: &Path, parts: &[Part], recurse: bool) -> Result<()> {
        match parts {
            [] => Ok(()),
            [Part::Folders, rest @ ..] => self.inside(folder, |walk| {
                walk.matching(folder, rest, recurse)?;
                walk.names(folder)?.iter().try_for_each(|path| match is_folder(path) {
                    true => walk.matching(path, parts, recurse),
                    false if rest.is_empty() => walk.entry(path, false),
                    false => Ok(()),
                })
            }),
            [Part::Name(name), rest @ ..] => {
                let names = self.names(folder)?;
                names.iter().filter(|path| name.matches_with(&file_name(path), MATCH)).try_for_each(|path| {
                    match rest.is_empty() {
                        true => self.entry(path, recurse),
                        false if is_folder(path) => self.matching(path, rest, recurse),
                        false => Ok(()),
                    }
                })
            }
        }
    }
}

/// One part of a glob, between slashes.
enum Part {
    /// `**`: any number of folders.
    Folders,
    Name(Pattern),
}

impl Part {
    fn new(pattern: &str, part: &str) -> Result<Self> {
        if part == "**" {
            return Ok(Part::Folders);
        }
        let made = Pattern::new(part).map_err(|error| {
            Error::user(format!("the glob \"{pattern}\" is wrong: {} in \"{part}\"", error.msg.to_lowercase()))
                .with_hint(
                    "write ** alone between slashes, close every [, and put a special character in [] to mean itself",
                )
        })?;
        Ok(Part::Name(made))
    }
}

const MATCH: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default()
}

fn is_folder(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn folder_or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn id(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let mut id = parts.join("/");
    if path.to_str().is_none() {
        id.push_str(&format!("#{:016x}", xxh3_64(path.as_os_str().as_encoded_bytes())));
    }
    id
}

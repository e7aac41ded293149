//! For tests: a folder with one file, read by any of the readers.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use catchment_contract::{Environment, Options, Partition, PartitionReader, Payload, Position};

use super::{FileSet, OpenFile, Opened};

/// A folder in which there is at most the file `a`.
pub(super) struct OneFile {
    folder: tempfile::TempDir,
    pub files: FileSet,
}

impl OneFile {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new("source \"s\"");
        options.insert("path", folder.path().to_str().unwrap(), Default::default());
        OneFile { files: FileSet::from_options(&mut options, &Environment::system()).unwrap(), folder }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("a")
    }

    pub(super) fn append(&self, bytes: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path()).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    pub(super) fn partition(&self, from: Option<Position>) -> Partition {
        Partition { id: "a".to_owned(), bytes: None, from }
    }

    /// All payloads of the reader that `read_by` makes of the file's text.
    pub(super) fn read_by<R: PartitionReader + 'static>(
        &self,
        from: Option<Position>,
        read_by: impl FnOnce(OpenFile) -> R,
    ) -> Vec<Payload> {
        let mut reader: Box<dyn PartitionReader> = match self.files.open(&self.partition(from)).unwrap() {
            Opened::Text(file) => Box::new(read_by(*file)),
            Opened::Decided(reader) => reader,
        };
        std::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    /// Where the file is to be read from, if there is something to read behind `at`.
    pub(super) fn discover(&self, at: &Position) -> Option<Option<Position>> {
        let known = BTreeMap::from([("a".to_owned(), at.clone())]);
        self.files.discover(&known).unwrap().pop().map(|partition| partition.from)
    }
}

/// The rejects of some payloads: `position: reason`.
pub(super) fn reasons(payloads: &[Payload]) -> Vec<String> {
    payloads.iter().flat_map(|p| &p.rejects).map(|reject| format!("{}: {}", reject.position, reject.reason)).collect()
}

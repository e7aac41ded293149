//! Where a source's partitions are to be resumed, kept so that a checkpoint writes what changed.
//!
//! A source may have a hundred thousand partitions (files). The manifest holds those that changed lately; when they are
//! more than [`RECENT_MAX`] they are written to a file of their own, beside earlier ones. An entry of a later file, and of
//! the manifest, stands for those of earlier files. Before a file is written, earlier ones that hold no more than twice as
//! many entries are merged into it, so that sizes at least double from file to file: there are at most some 17 for
//! 100,000 partitions, and an entry is rewritten as often at most.
//!
//! A file, `positions/<source>/<run>-<part>.json`, is a sealed text (see [`super::seal`]) of format 1: a JSON object whose
//! members are partitions, each with its position.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::{Error, Position, Result, Store};
use serde::{Deserialize, Serialize};

use super::manifest::StateFile;
use super::seal;

/// Positions that a manifest holds itself: some 25 kB.
pub(crate) const RECENT_MAX: usize = 256;

/// Version of the files' format.
const FORMAT: u32 = 1;

type Entries = BTreeMap<String, Position>;

/// Positions by partition. Clones share what lies in files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Positions {
    /// Files, earlier ones first.
    files: Vec<Layer>,
    /// What changed since the last file was written.
    recent: Entries,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Layer {
    #[serde(flatten)]
    file: StateFile,
    /// What is in it, once read.
    #[serde(skip)]
    entries: Arc<Entries>,
}

impl Positions {
    /// Moves a partition on.
    pub fn insert(&mut self, partition: String, position: Position) {
        self.recent.insert(partition, position);
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, Position> {
        let mut all = Entries::new();
        for layer in &self.files {
            all.extend(layer.entries.iter().map(|(partition, position)| (partition.clone(), position.clone())));
        }
        all.extend(self.recent.clone());
        all
    }

    /// The files that hold some.
    pub fn files(&self) -> impl Iterator<Item = &StateFile> {
        self.files.iter().map(|layer| &layer.file)
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] for a file that is missing or not what the manifest says.
    pub(crate) fn load(&mut self, store: &dyn Store) -> Result<()> {
        for layer in &mut self.files {
            layer.entries = Arc::new(read(store, &layer.file)?);
        }
        Ok(())
    }

    /// Whether so many changed that they belong into a file.
    pub(crate) fn is_full(&self) -> bool {
        self.recent.len() > RECENT_MAX
    }

    /// Writes what changed, and small files with it, to a new file at `path`.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) fn spill(&mut self, store: &dyn Store, path: String) -> Result<()> {
        let mut entries = std::mem::take(&mut self.recent);
        while let Some(last) = self.files.pop_if(|layer| layer.file.rows <= 2 * entries.len() as u64) {
            let mut older = Arc::unwrap_or_clone(last.entries);
            older.append(&mut entries);
            entries = older;
        }
        let text = serde_json::to_vec(&entries).expect("partitions are text");
        let bytes = seal::seal(FORMAT, &text);
        let rows = entries.len() as u64;
        let file = StateFile::describe(path, &bytes, rows);
        store.put(&file.path, bytes)?;
        self.files.push(Layer { file, entries: Arc::new(entries) });
        Ok(())
    }

    /// Takes over the files of `committed`, which were written from these positions; what changed since stays recent.
    pub(crate) fn adopt(&mut self, committed: &Positions) {
        if self.files().eq(committed.files()) {
            return;
        }
        self.files.clone_from(&committed.files);
        let kept = |partition: &String, position: &mut Position| {
            let written = self.files.iter().rev().find_map(|layer| layer.entries.get(partition));
            written != Some(position)
        };
        self.recent.retain(kept);
    }
}

/// A source's name as the name of a folder: letters, digits, `_` and `-` as they are, other bytes as `.2F`.
pub(crate) fn folder_name(source: &str) -> String {
    let part = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        _ => format!(".{byte:02X}"),
    };
    source.bytes().map(part).collect()
}

fn read(store: &dyn Store, file: &StateFile) -> Result<Entries> {
    let bytes = file.read(store, "positions")?;
    let (format, text) = seal::open(&bytes).map_err(|what| file.damaged("positions", what))?;
    if format != FORMAT {
        return Err(Error::data(format!("positions \"{}\" have format {format}", file.path)).with_hint(format!(
            "this build reads format {FORMAT}: run the build that wrote it, or add --reset once to load everything anew"
        )));
    }
    let entries: Entries = serde_json::from_slice(text)
        .map_err(|error| file.damaged("positions", "it is no object").with_source(error))?;
    if entries.len() as u64 != file.rows {
        return Err(file.damaged("positions", "it holds another number of entries"));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use catchment_contract::PutOutcome;

    use super::*;

    #[derive(Default)]
    struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Store for Memory {
        fn describe(&self) -> String {
            "memory".into()
        }

        fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
            self.0.lock().unwrap().insert(path.into(), bytes);
            Ok(())
        }

        fn put_if_absent(&self, path: &str, bytes: Vec<u8>) -> Result<PutOutcome> {
            self.put(path, bytes).map(|()| PutOutcome::Created)
        }

        fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
            Ok(self.0.lock().unwrap().get(path).cloned())
        }

        fn list(&self, _: &str) -> Result<Vec<String>> {
            Ok(self.0.lock().unwrap().keys().cloned().collect())
        }

        fn delete(&self, path: &str) -> Result<()> {
            self.0.lock().unwrap().remove(path);
            Ok(())
        }
    }

    fn at(position: usize) -> Position {
        Position(position.to_string())
    }

    /// Checkpoint after checkpoint, as the runtime makes them, with a restart now and then.
    #[test]
    fn files_are_few_and_hold_everything() {
        let (store, mut now, mut expected, mut written) = (Memory::default(), Positions::default(), Entries::new(), 0);
        let mut files_most = 0;
        for checkpoint in 0..200 {
            for n in 0..100 {
                let partition = format!("file-{:05}", (checkpoint * 100 + n * 7) % 15_000);
                expected.insert(partition.clone(), at(checkpoint));
                now.insert(partition, at(checkpoint));
            }
            let mut cut = now.clone();
            // Something goes on while the checkpoint is made.
            expected.insert("file-00001".into(), at(checkpoint + 1));
            now.insert("file-00001".into(), at(checkpoint + 1));
            if cut.is_full() {
                cut.spill(&store, format!("p/{checkpoint}")).unwrap();
                written += cut.files.last().map_or(0, |layer| layer.file.rows);
            }
            now.adopt(&cut);
            files_most = files_most.max(now.files.len());
            if checkpoint % 50 == 49 {
                let text = serde_json::to_string(&now).unwrap();
                assert!(text.len() < 60_000, "a manifest stays small: {} bytes", text.len());
                now = serde_json::from_str(&text).unwrap();
                now.load(&store).unwrap();
            }
            if checkpoint % 25 == 24 {
                assert_eq!(now.all(), expected, "checkpoint {checkpoint}");
            }
        }
        assert!(files_most <= 9, "{files_most} files");
        assert!(written < 20_000 * 12, "{written} entries were written for 20,000 changes");
    }

    #[test]
    fn any_damage_is_seen() {
        let (store, mut positions) = (Memory::default(), Positions::default());
        positions.insert("a".into(), at(1));
        positions.spill(&store, "p/1".into()).unwrap();
        let whole = store.get("p/1").unwrap().unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            for bytes in [flipped, whole[..at].to_vec()] {
                store.put("p/1", bytes).unwrap();
                let error = positions.load(&store).unwrap_err();
                assert!(error.chain().contains("\"p/1\""), "{}", error.chain());
            }
        }
        store.delete("p/1").unwrap();
        let error = positions.load(&store).unwrap_err();
        assert!(error.chain().starts_with("positions \"p/1\" are missing"), "{}", error.chain());
    }
}

//! A partition's rows in order: a list of short lists, so that a change moves a few hundred entries at most and a walk runs
//! over memory in order.

use super::frame::{Limit, Place};

/// Entries of one of the short lists at most.
const CHUNK_ENTRIES_MAX: usize = 512;

/// A row: where it stands, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub place: Place,
    pub row: u32,
}

/// The distinct rows of a partition, by place; peers by number.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// None is empty.
    chunks: Vec<Vec<Entry>>,
}

/// Where an entry stands, or the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    chunk: usize,
    at: usize,
}

impl Entries {
    /// Adds an entry that is not there.
    pub(super) fn insert(&mut self, entry: Entry) {
        let chunk = self.chunks.partition_point(|chunk| *last(chunk) < entry).min(self.chunks.len().saturating_sub(1));
        let Some(entries) = self.chunks.get_mut(chunk) else {
            self.chunks.push(vec![entry]);
            return;
        };
        let at = entries.partition_point(|known| *known < entry);
        entries.insert(at, entry);
        if entries.len() > CHUNK_ENTRIES_MAX {
            // New rows mostly come at the end: the half that is left behind stays as it is.
            let upper = entries.split_off(CHUNK_ENTRIES_MAX / 2);
            self.chunks.insert(chunk + 1, upper);
        }
    }

    /// Removes an entry that is there.
    pub(super) fn remove(&mut self, entry: Entry) {
        let chunk = self.chunks.partition_point(|chunk| *last(chunk) < entry);
        let Some(entries) = self.chunks.get_mut(chunk) else { return };
        if let Ok(at) = entries.binary_search(&entry) {
            entries.remove(at);
            if entries.is_empty() {
                self.chunks.remove(chunk);
            }
        }
    }

    /// The first entry that is not before `limit`.
    pub(super) fn seek(&self, limit: Limit) -> Cursor {
        let chunk = self.chunks.partition_point(|chunk| last(chunk).place.limit() < limit);
        let at = self.chunks.get(chunk).map_or(0, |entries| {
            // In bounds: the last entry is not before the limit.
            entries.partition_point(|entry| entry.place.limit() < limit)
        });
        Cursor { chunk, at }
    }

    /// The entry at `cursor`; none at the end.
    #[inline]
    pub(super) fn at(&self, cursor: Cursor) -> Option<Entry> {
        self.chunks.get(cursor.chunk).map(|entries| entries[cursor.at])
    }

    /// The entry behind that at `cursor`, which is not at the end.
    #[inline]
    pub(super) fn after(&self, cursor: Cursor) -> Cursor {
        match cursor.at + 1 < self.chunks[cursor.chunk].len() {
            true => Cursor { at: cursor.at + 1, ..cursor },
            false => Cursor { chunk: cursor.chunk + 1, at: 0 },
        }
    }
}

fn last(chunk: &[Entry]) -> &Entry {
    chunk.last().expect("no chunk is empty")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn place(value: i64) -> Place {
        Place::new(Some(value), false, false)
    }

    fn all(entries: &Entries) -> Vec<Entry> {
        let (mut found, mut cursor) = (Vec::new(), Cursor::default());
        while let Some(entry) = entries.at(cursor) {
            found.push(entry);
            cursor = entries.after(cursor);
        }
        found
    }

    #[test]
    fn random_changes_leave_what_an_ordered_set_holds() {
        for seed in 0..20 {
            println!("seed {seed}");
            let mut random = SmallRng::seed_from_u64(seed);
            let (mut entries, mut model) = (Entries::default(), BTreeSet::new());
            for _ in 0..4_000 {
                let entry = Entry { place: place(random.random_range(0..900)), row: random.random_range(0..3) };
                match model.insert(entry) {
                    true => entries.insert(entry),
                    false => {
                        model.remove(&entry);
                        entries.remove(entry);
                    }
                }
            }
            assert_eq!(all(&entries), model.iter().copied().collect::<Vec<_>>());
            for value in -1..902 {
                let expected = model.range(Entry { place: place(value), row: 0 }..).next().copied();
                assert_eq!(entries.at(entries.seek(place(value).limit())), expected);
            }
            model.iter().for_each(|entry| entries.remove(*entry));
            assert!(entries.at(Cursor::default()).is_none());
        }
    }
}

//! Names of fields and what they mean, looked up for every field of every record, wanted or not: a small open-addressed
//! table, at most a quarter full, over the length, the first and the last bytes. Up to 16 bytes these are the whole name,
//! so that most names are compared in two words.

/// What the names of fields mean.
#[derive(Clone, Debug)]
pub(crate) struct Names<K> {
    entries: Vec<Entry<K>>,
    /// Indexes of entries; [`FREE`] where there is none.
    table: Vec<u16>,
}

#[derive(Clone, Debug)]
struct Entry<K> {
    ends: Ends,
    key: K,
    name: Box<str>,
}

const FREE: u16 = u16::MAX;

impl<K: Copy> Names<K> {
    /// A table of `entries`. Of a name that comes twice, the first counts.
    ///
    /// # Panics
    /// With 65 535 names or more.
    pub(crate) fn new(entries: impl IntoIterator<Item = (String, K)>) -> Self {
        let entry = |(name, key): (String, K)| Entry { ends: Ends::of(&name), key, name: name.into() };
        let entries: Vec<Entry<K>> = entries.into_iter().map(entry).collect();
        let len = (entries.len() * 4).next_power_of_two().max(8);
        let mut names = Names { entries, table: vec![FREE; len] };
        for index in 0..names.entries.len() {
            let place = names.place(&names.entries[index].name);
            if names.table[place] == FREE {
                names.table[place] = u16::try_from(index).expect("a relation has fewer than 65 535 columns");
            }
        }
        names
    }

    /// What `name` means.
    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<K> {
        self.find(name).map(|index| self.entries[usize::from(index)].key)
    }

    /// The number of `name`.
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<u16> {
        Some(self.table[self.place(name)]).filter(|index| *index != FREE)
    }

    /// The name of a number, and what it means.
    #[inline]
    pub(crate) fn entry(&self, number: u16) -> Option<(&str, K)> {
        self.entries.get(usize::from(number)).map(|entry| (&*entry.name, entry.key))
    }

    /// How many names there are: their numbers are below it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where `name` is in the table, or would be.
    #[inline]
    fn place(&self, name: &str) -> usize {
        let mask = self.table.len() - 1;
        let ends = Ends::of(name);
        let mut at = ends.hash() & mask;
        loop {
            let index = self.table[at];
            if index == FREE {
                return at;
            }
            let entry = &self.entries[usize::from(index)];
            if entry.ends == ends && (name.len() <= Ends::WHOLE || *entry.name == *name) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }
}

/// A name's length, first and last bytes: all of a name of up to [`Ends::WHOLE`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    head: u64,
    tail: u64,
    len: usize,
}

impl Ends {
    const WHOLE: usize = 16;

    #[inline]
    fn of(name: &str) -> Self {
        let bytes = name.as_bytes();
        let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
                (Some(head), Some(tail)) => (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into()),
                _ => (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
            },
        };
        Ends { head, tail, len: bytes.len() }
    }

    #[inline]
    fn hash(self) -> usize {
        let mixed = (self.head ^ self.tail.rotate_left(29) ^ self.len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let names: Vec<String> =
            (0..300).map(|n| format!("{}{n}{}", "field".repeat(n % 4), "x".repeat(n % 9))).collect();
        let table = Names::new(names.iter().cloned().zip(0..300));
        for (at, name) in names.iter().enumerate() {
            assert_eq!(table.get(name), Some(at));
        }
        for other in ["", "field", "x", "300", "fieldfield1x", "fieldfield0fieldxxxxxxxx", "fieldfieldfieldfield"] {
            assert_eq!(table.get(other), None, "{other}");
        }
        let alike = Names::new([("collapsed_because_of_it".to_owned(), 1), ("collapsed_whatever_of_it".to_owned(), 2)]);
        assert_eq!((alike.get("collapsed_because_of_it"), alike.get("collapsed_becauze_of_it")), (Some(1), None));
        let twice = Names::new([("a".to_owned(), 1), ("a".to_owned(), 2), ("b".to_owned(), 3)]);
        assert_eq!((twice.get("a"), twice.get("b")), (Some(1), Some(3)));
        assert_eq!(Names::<u8>::new([]).get("a"), None);
    }
}

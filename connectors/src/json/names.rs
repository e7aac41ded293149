//! Names of fields and what they mean, looked up for every field of every record, wanted or not: a small open-addressed
//! table, at most a quarter full, over the length, the first and the last bytes.

/// What the names of fields mean.
#[derive(Clone, Debug)]
pub(crate) struct Names<K> {
    entries: Vec<(String, K)>,
    /// Indexes of entries; [`FREE`] where there is none.
    table: Vec<u16>,
}

const FREE: u16 = u16::MAX;

impl<K: Copy> Names<K> {
    /// A table of `entries`. Of a name that comes twice, the first counts.
    ///
    /// # Panics
    /// With 65 535 names or more.
    pub(crate) fn new(entries: impl IntoIterator<Item = (String, K)>) -> Self {
        let entries: Vec<(String, K)> = entries.into_iter().collect();
        let len = (entries.len() * 4).next_power_of_two().max(8);
        let mut table = vec![FREE; len];
        for (index, (name, _)) in entries.iter().enumerate() {
            let mut at = hash(name) & (len - 1);
            while table[at] != FREE && entries[usize::from(table[at])].0 != *name {
                at = (at + 1) & (len - 1);
            }
            if table[at] == FREE {
                table[at] = u16::try_from(index).expect("a relation has fewer than 65 535 columns");
            }
        }
        Names { entries, table }
    }

    /// What `name` means.
    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<K> {
        let mask = self.table.len() - 1;
        let mut at = hash(name) & mask;
        loop {
            let index = self.table[at];
            if index == FREE {
                return None;
            }
            let (known, key) = &self.entries[usize::from(index)];
            if known == name {
                return Some(*key);
            }
            at = (at + 1) & mask;
        }
    }
}

#[inline]
fn hash(name: &str) -> usize {
    let bytes = name.as_bytes();
    let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(head), Some(tail)) => (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail))),
            _ => (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
        },
    };
    let mixed = (head ^ tail.rotate_left(29) ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let names: Vec<String> = (0..300).map(|n| format!("{}{n}", "field".repeat(n % 4))).collect();
        let table = Names::new(names.iter().cloned().zip(0..300));
        for (at, name) in names.iter().enumerate() {
            assert_eq!(table.get(name), Some(at));
        }
        for other in ["", "field", "x", "300", "fieldfield1x"] {
            assert_eq!(table.get(other), None, "{other}");
        }
        let twice = Names::new([("a".to_owned(), 1), ("a".to_owned(), 2), ("b".to_owned(), 3)]);
        assert_eq!((twice.get("a"), twice.get("b")), (Some(1), Some(3)));
        assert_eq!(Names::<u8>::new([]).get("a"), None);
    }
}

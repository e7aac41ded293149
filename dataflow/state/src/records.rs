//! States of some keys, as bytes.

/// Strings of bytes in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    /// The number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// String `index`.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn at(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }

    /// Adds a string that `write` appends.
    #[inline]
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds a string.
    pub fn push(&mut self, string: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(string));
    }

    /// All strings, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.at(index))
    }
}

/// The states of some keys. A key is named by its hash and its bytes; an empty state says that the key is gone.
#[derive(Clone, Debug, Default)]
pub struct Records {
    hashes: Vec<u64>,
    keys: Strings,
    states: Strings,
}

/// What records are sorted by.
pub(crate) type Name<'a> = (u64, &'a [u8]);

impl Records {
    /// Records of the keys that `keys` names, with the states `states`.
    ///
    /// # Panics
    /// If there are not as many of the one as of the other.
    pub fn new<'a>(keys: impl Iterator<Item = (u64, &'a [u8])>, states: Strings) -> Self {
        let mut records = Records { hashes: Vec::with_capacity(states.len()), keys: Strings::default(), states };
        for (hash, key) in keys {
            records.hashes.push(hash);
            records.keys.push(key);
        }
        assert_eq!(records.keys.len(), records.states.len(), "a state for each key");
        records
    }

    /// Records of these keys without states: what is looked for.
    pub fn names<'a>(keys: impl ExactSizeIterator<Item = (u64, &'a [u8])>) -> Self {
        let states = Strings { bytes: Vec::new(), ends: vec![0; keys.len()] };
        Records::new(keys, states)
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub(crate) fn name(&self, index: usize) -> Name<'_> {
        (self.hashes[index], self.keys.at(index))
    }

    /// All records in the order of their names, each with its state.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = (Name<'_>, &[u8])> {
        let mut order: Vec<(u64, u32)> = self.hashes.iter().copied().zip(0..).collect();
        order.sort_unstable_by(|one, other| {
            one.0.cmp(&other.0).then_with(|| self.keys.at(one.1 as usize).cmp(self.keys.at(other.1 as usize)))
        });
        order.into_iter().map(|(_, index)| (self.name(index as usize), self.states.at(index as usize)))
    }

    /// Bytes of names and states.
    pub fn bytes(&self) -> usize {
        self.hashes.len() * size_of::<u64>() + self.keys.bytes.len() + self.states.bytes.len()
    }
}

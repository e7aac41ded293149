//! The keys that `emit = 'first'` has published.
//!
//! In a checkpoint they are an object `<n>-<random>.keys` beside the outboxes: 128-bit identities, 16 bytes each,
//! little-endian, in ascending order. The object is written anew in each checkpoint that has a new key; the checkpoint's
//! note names it with its checksum.

use std::hash::BuildHasherDefault;

use catchment_contract::{Error, Result};
use hashbrown::HashSet;

use crate::lake::order::IdentityHasher;

const IDENTITY_BYTES: usize = 16;

/// Identities of keys.
#[derive(Clone, Debug, Default)]
pub struct FirstKeys {
    seen: HashSet<u128, BuildHasherDefault<IdentityHasher>>,
    changed: bool,
}

impl FirstKeys {
    /// Reads what [`FirstKeys::encode`] wrote.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::Data`] if it is something else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (identities, rest) = bytes.as_chunks::<IDENTITY_BYTES>();
        if !rest.is_empty() {
            return Err(Error::data("the object of published keys does not hold whole identities"));
        }
        Ok(FirstKeys { seen: identities.iter().map(|bytes| u128::from_le_bytes(*bytes)).collect(), changed: false })
    }

    /// As a checkpoint keeps them.
    pub fn encode(&self) -> Vec<u8> {
        let mut identities: Vec<u128> = self.seen.iter().copied().collect();
        identities.sort_unstable();
        identities.iter().flat_map(|identity| identity.to_le_bytes()).collect()
    }

    /// Adds a key; false if it was there.
    pub fn insert(&mut self, key: u128) -> bool {
        let new = self.seen.insert(key);
        self.changed |= new;
        new
    }

    /// Whether keys came since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

//! Keys that leave memory when it is short, and come back when they are touched.
//!
//! An operator keeps something beside each key of a [`KeyTable`]. It asks for the states of keys that are new in the table before
//! it looks at them ([`Spill::recall`]), and may lose some at the end of an epoch ([`Spill::settle`]): those that were not touched
//! for longest, an eighth of what it keeps at least, so that files are large. Where nothing was ever spilled neither costs more
//! than a look at a number.
//!
//! **Keys without a state.** One that may lie in a file must stay in the table when its state is empty, so that the next spill
//! says that it is gone: see [`Spill::may_hold`].

use catchment_contract::Error;
use catchment_state::records::Strings;
use catchment_state::{Account, Memory, Records, Runs};

use crate::key_table::KeyTable;

/// What is kept beside the keys of a table.
pub(crate) trait Beside {
    /// The states of `ids`; an empty string for a key without one.
    fn save(&self, ids: &[u32]) -> Strings;

    /// Gives `ids`, which have no states, those that were saved.
    fn load(&mut self, ids: &[u32], states: &Strings);

    /// Takes the states of `ids`.
    fn forget(&mut self, ids: &[u32]);

    /// Bytes in memory, roughly, where the table holds `keys` keys.
    fn memory(&self, keys: usize) -> usize;
}

/// What an operator has spilled; nothing if it may keep all.
#[derive(Default)]
pub(crate) struct Spill(Option<Spilling>);

struct Spilling {
    account: Account,
    runs: Runs,
    /// When each key was touched last: the number of spills until then, modulo 256.
    stamps: Vec<u8>,
    spills: u8,
    /// Where the search for cold keys goes on.
    hand: usize,
}

/// The part of what is kept that is spilled at least.
const PART: usize = 8;

impl Spill {
    /// For an operator that shares `memory`.
    pub(crate) fn new(memory: &Memory) -> Self {
        let spilling = |(account, runs)| Spilling { account, runs, stamps: Vec::new(), spills: 0, hand: 0 };
        Spill(memory.account().map(spilling))
    }

    /// Gives the keys that are new in `keys` since the last call the states that they had.
    pub(crate) fn recall(&mut self, keys: &mut KeyTable, beside: &mut impl Beside) {
        let Some(Spilling { runs, .. }) = self.0.as_ref().filter(|spilling| !spilling.runs.is_empty()) else { return };
        let fresh = keys.take_fresh();
        if fresh.is_empty() {
            return;
        }
        let (mut ids, mut states) = (Vec::new(), Strings::default());
        let names = Records::names(fresh.iter().map(|id| (keys.hash(*id), keys.bytes(*id))));
        let fetched = runs.fetch(&names, |index, state| {
            ids.push(fresh[index]);
            states.push(state);
        });
        fetched.unwrap_or_else(|error| fail(error));
        if !ids.is_empty() {
            beside.load(&ids, &states);
        }
    }

    /// Whether a key of this hash may have been spilled.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        self.0.as_ref().is_some_and(|spilling| spilling.runs.may_hold(hash))
    }

    /// Takes note of the keys that an epoch touched, and spills what is too much. Keys that are spilled lose their numbers.
    pub(crate) fn settle(&mut self, keys: &mut KeyTable, beside: &mut impl Beside, touched: impl Iterator<Item = u32>) {
        let Some(spilling) = &mut self.0 else { return };
        spilling.stamps.resize(keys.bound(), 0);
        touched.for_each(|id| spilling.stamps[id as usize] = spilling.spills);
        let (all, excess) = spilling.account(keys, beside);
        if excess == 0 || keys.len() == 0 {
            return;
        }
        let wanted = (excess + all / PART) * keys.len() / all.max(1) + 1;
        let cold = spilling.coldest(keys, wanted.min(keys.len()));
        let states = beside.save(&cold);
        let records = Records::new(cold.iter().map(|id| (keys.hash(*id), keys.bytes(*id))), states);
        spilling.runs.add(&records).unwrap_or_else(|error| fail(error));
        beside.forget(&cold);
        cold.iter().for_each(|id| keys.remove(*id));
        // From now on the table says which keys are new.
        drop(keys.take_fresh());
        spilling.spills = spilling.spills.wrapping_add(1);
        let _ = spilling.account(keys, beside);
    }
}

impl Spilling {
    /// What is kept in memory now, and how much of it is too much.
    fn account(&mut self, keys: &KeyTable, beside: &impl Beside) -> (usize, usize) {
        let all = keys.memory() + beside.memory(keys.len());
        (all, self.account.set(all + self.runs.memory()))
    }

    /// So many keys: first those that were not touched since the last spill, in the order of their numbers.
    fn coldest(&mut self, keys: &KeyTable, wanted: usize) -> Vec<u32> {
        let bound = keys.bound();
        let mut cold = Vec::with_capacity(wanted);
        for touched in [false, true] {
            let from = self.hand;
            for step in 0..bound {
                if cold.len() == wanted {
                    return cold;
                }
                let id = (from + step) % bound;
                if keys.is_used(id as u32) && (self.stamps[id] == self.spills) == touched {
                    cold.push(id as u32);
                    self.hand = id + 1;
                }
            }
        }
        cold
    }
}

/// What was spilled cannot be had: the worker cannot go on, and whoever runs it gets the error.
fn fail(error: Error) -> ! {
    std::panic::resume_unwind(Box::new(error))
}

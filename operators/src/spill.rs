//! Keys that leave memory when it is short, and come back when they are touched.
//!
//! An operator keeps something beside each key of a [`KeyTable`]. It asks for the states of keys that are new in the table before
//! it looks at them ([`Spill::recall`]), and may lose some at the end of an epoch ([`Spill::settle`]): cold ones, which were not
//! touched since the last time, an eighth of what it keeps at least, so that files are large, and half of it at most.
//!
//! **Keys without a state.** One that may lie in a file must stay in the table when its state is empty, so that the next spill
//! says that it is gone: see [`Spill::release`].

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
    /// Whether each key was touched since the last spill.
    touched: Vec<bool>,
    /// Where the search for cold keys goes on.
    hand: usize,
}

/// The part of what is kept that is spilled at least.
const PART: usize = 8;

/// Keys that are saved at a time.
const SAVED_KEYS: usize = 32 * 1024;

impl Spill {
    /// For an operator that shares `memory`, and whose keys have so many columns; without columns there is one key, which stays.
    pub(crate) fn new(memory: &Memory, key_columns: usize) -> Self {
        if key_columns == 0 {
            return Spill(None);
        }
        let spilling = |(account, runs)| Spilling { account, runs, touched: Vec::new(), hand: 0 };
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

    /// Takes a key without a state out of the table, unless a file may hold it: the next spill says that it is gone then.
    pub(crate) fn release(&self, keys: &mut KeyTable, id: u32) {
        if !self.0.as_ref().is_some_and(|spilling| spilling.runs.may_hold(keys.hash(id))) {
            keys.remove(id);
        }
    }

    /// Takes note of the keys that an epoch touched, and spills what is too much. Keys that are spilled lose their numbers.
    pub(crate) fn settle(&mut self, keys: &mut KeyTable, beside: &mut impl Beside, touched: impl Iterator<Item = u32>) {
        let Some(spilling) = &mut self.0 else { return };
        spilling.touched.resize(keys.bound(), false);
        touched.for_each(|id| spilling.touched[id as usize] = true);
        spilling.runs.tend().unwrap_or_else(|error| fail(error));
        let (all, excess) = spilling.take_stock(keys, beside);
        if excess == 0 || keys.len() == 0 {
            return;
        }
        let wanted = (excess + all / PART) as f64 / all.max(1) as f64 * keys.len() as f64;
        let mut cold = spilling.coldest(keys, (wanted as usize).min(keys.len() / 2) + 1);
        let name = |id: &u32| (keys.hash(*id), keys.bytes(*id));
        cold.sort_unstable_by(|one, other| name(one).cmp(&name(other)));
        // Memory is short: a part at a time.
        let parts = cold.chunks(SAVED_KEYS).map(|ids| Records::new(ids.iter().map(name), beside.save(ids)));
        spilling.runs.add(cold.len(), parts).unwrap_or_else(|error| fail(error));
        beside.forget(&cold);
        cold.iter().for_each(|id| keys.remove(*id));
        // From now on the table says which keys are new.
        drop(keys.take_fresh());
        spilling.touched.fill(false);
        spilling.take_stock(keys, beside);
    }
}

impl Spilling {
    /// Takes note of what is kept in memory now; that, and how much of it is too much.
    fn take_stock(&mut self, keys: &KeyTable, beside: &impl Beside) -> (usize, usize) {
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
                if keys.is_used(id as u32) && self.touched[id] == touched {
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

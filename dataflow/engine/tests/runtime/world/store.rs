//! A store in memory whose calls fail by chance, before or after they took effect.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use catchment_contract::{Error, Outcome, PutOutcome, Result, Store};
use catchment_engine::host::{Host, Monitor};

use super::Faults;

pub struct Memory {
    objects: Monitor<BTreeMap<String, Vec<u8>>>,
    faults: Faults,
    /// What happens, once, just before the state files are listed.
    pub before_state: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Whether writing a state file panics.
    pub state_panics: AtomicBool,
}

impl Memory {
    pub fn new(host: &Host, faults: &Faults) -> Self {
        Memory {
            objects: Monitor::new(host, BTreeMap::new()),
            faults: faults.clone(),
            before_state: Mutex::default(),
            state_panics: AtomicBool::default(),
        }
    }

    /// Paths and sizes of all objects.
    pub fn sizes(&self) -> BTreeMap<String, usize> {
        self.objects.with(|objects| objects.iter().map(|(path, bytes)| (path.clone(), bytes.len())).collect())
    }

    fn faulty<T>(&self, effect: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> Result<T> {
        self.faults.chance(8, "the store")?;
        let answer = self.objects.update(effect);
        match self.faults.hit(8) {
            true => Err(Error::remote("the store failed after").with_outcome(Outcome::Unknown)),
            false => Ok(answer),
        }
    }
}

impl Store for Memory {
    fn describe(&self) -> String {
        "memory".into()
    }

    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let panics = path.contains("/state/") && self.state_panics.load(Ordering::Relaxed);
        assert!(!panics, "the store has gone mad");
        self.faulty(|objects| drop(objects.insert(path.into(), bytes)))
    }

    fn put_if_absent(&self, path: &str, bytes: Vec<u8>) -> Result<PutOutcome> {
        self.faulty(|objects| {
            if objects.contains_key(path) {
                return PutOutcome::Exists;
            }
            objects.insert(path.into(), bytes);
            PutOutcome::Created
        })
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.faulty(|objects| objects.get(path).cloned())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let happens = prefix.ends_with("/state").then(|| self.before_state.lock().unwrap().take()).flatten();
        happens.into_iter().for_each(|happens| happens());
        self.faulty(|objects| objects.keys().filter(|path| path.starts_with(prefix)).cloned().collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.faulty(|objects| drop(objects.remove(path)))
    }
}

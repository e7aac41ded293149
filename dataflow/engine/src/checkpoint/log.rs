//! The log of manifests of one job.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use catchment_contract::{Error, ErrorKind, Fault, Lease, PutOutcome, Result, Store};

use super::manifest::{Manifest, WAY_OUT};
use super::positions::folder_name;
use super::retention::Kept;

/// How often fencing tries again when other runs start at the same moment.
const FENCE_TRIES: u32 = 10;

/// The manifests of one job, as one run of it sees them.
pub struct CheckpointLog {
    pub(super) store: Arc<dyn Store>,
    job: String,
    run: String,
    /// The greatest number that this run has put.
    number: AtomicU64,
    /// The manifests that are kept, and what they name.
    pub(super) kept: Mutex<Kept>,
}

impl CheckpointLog {
    /// The log of `job`, for the run named `run`.
    pub fn new(store: Arc<dyn Store>, job: &str, run: &str) -> Self {
        CheckpointLog {
            store,
            job: job.to_string(),
            run: run.to_string(),
            number: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }

    /// Folder of all that the job keeps.
    pub fn root(&self) -> String {
        format!("_catchment/{}", self.job)
    }

    pub(super) fn path(&self, number: u64) -> String {
        format!("{}/checkpoints/{number:020}.json", self.root())
    }

    /// The newest manifest, if there is one.
    ///
    /// # Errors
    /// If the store fails or the manifest is damaged.
    pub fn latest(&self) -> Result<Option<Manifest>> {
        // A manifest that another run removes between our list and our get was not the newest: look again.
        for _ in 0..FENCE_TRIES {
            let Some(number) = self.numbers()?.into_iter().max() else { return Ok(None) };
            if let Some(manifest) = self.read(number)? {
                return manifest.map(Some).map_err(|error| self.with_way_back(error, number));
            }
        }
        Err(Error::remote(format!(
            "could not read the checkpoints of job \"{}\": they were removed while being listed",
            self.job
        )))
    }

    /// Numbers of all manifests, in no order.
    pub(super) fn numbers(&self) -> Result<Vec<u64>> {
        let folder = format!("{}/checkpoints", self.root());
        let paths = self.store.list(&folder)?;
        Ok(paths.iter().filter_map(|path| path.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()).collect())
    }

    /// Manifest `number`, or why it cannot be used; `None` if it is gone.
    pub(super) fn read(&self, number: u64) -> Result<Option<Result<Manifest>>> {
        let path = self.path(number);
        let bytes = self.store.get(&path)?;
        Ok(bytes.map(|bytes| Manifest::decode(&path, &self.job, number, &bytes)))
    }

    /// What a person can do about a newest manifest that is damaged. To go back by ourselves would be wrong: sinks may have
    /// published it.
    fn with_way_back(&self, error: Error, number: u64) -> Error {
        if error.hint().is_some() {
            return error;
        }
        let whole = |number: &u64| matches!(self.read(*number), Ok(Some(Ok(_))));
        let earlier =
            self.numbers().unwrap_or_default().into_iter().filter(|other| *other < number).filter(whole).max();
        match earlier {
            Some(earlier) => error.with_hint(format!(
                "put it back from a copy, or remove it to go back to checkpoint {earlier} (a sink that has published more \
                 refuses that), or add --reset once to load everything anew"
            )),
            None => error.with_hint(WAY_OUT),
        }
    }

    /// Makes every earlier run of the job unable to commit, and returns where this run goes on: the newest manifest,
    /// renumbered and in this run's name. If everything is to be forgotten (`reset`), it is a first one that is returned,
    /// and becomes durable with the run's first commit: a run that fails before it has forgotten nothing.
    ///
    /// `fits` is asked first whether the job fits the newest manifest, unless that is to be forgotten: a run that does not
    /// fit ends no other.
    ///
    /// # Errors
    /// That of `fits`; if the store fails, runs of the job keep starting, or the newest manifest cannot be read and is not
    /// to be forgotten.
    pub fn fence(&self, reset: bool, fits: impl Fn(&Manifest) -> Result<()>) -> Result<Manifest> {
        for _ in 0..FENCE_TRIES {
            let last = match self.latest() {
                Err(error) if reset && error.fault() == Fault::Data => None,
                last => last?,
            };
            match &last {
                Some(last) if !reset => fits(last)?,
                None if !reset && self.has_lost_its_checkpoints()? => continue,
                _ => {}
            }
            // One that cannot be read has a number all the same.
            let number = match &last {
                Some(last) => last.number,
                None => self.numbers()?.into_iter().max().unwrap_or(0),
            };
            let renumbered = |manifest| Manifest { number: number + 1, run: self.run.clone(), ..manifest };
            let manifest = renumbered(last.unwrap_or_else(|| self.first()));
            match self.store.put_if_absent(&self.path(manifest.number), manifest.encode())? {
                PutOutcome::Created => {
                    self.number.store(manifest.number, Ordering::Relaxed);
                    self.keep(&manifest)?;
                    return Ok(if reset { renumbered(self.first()) } else { manifest });
                }
                PutOutcome::Exists => tracing::warn!(job = self.job, "another run of the job starts at this moment"),
            }
        }
        Err(self.taken())
    }

    fn first(&self) -> Manifest {
        Manifest {
            job: self.job.clone(),
            number: 0,
            run: String::new(),
            epoch: 0,
            sources: Default::default(),
            sinks: Default::default(),
            refused: Default::default(),
            relations: Default::default(),
        }
    }

    /// Writes positions of `manifest` that are too many for it to files of their own.
    ///
    /// # Errors
    /// If the store fails.
    pub fn spill_positions(&self, manifest: &mut Manifest) -> Result<()> {
        let (root, run, number) = (self.root(), &self.run, manifest.number);
        for (source, state) in &mut manifest.sources {
            if state.positions.is_full() {
                let path = format!("{root}/positions/{}/{run}-{number:06}.json", folder_name(source));
                state.positions.spill(&*self.store, path)?;
            }
        }
        Ok(())
    }

    /// Takes back the manifest by which this run has fenced earlier ones, if it is the newest: the run has found that the
    /// job cannot go on from there, and has changed nothing.
    pub fn withdraw(&self) {
        let own = self.number();
        let removed = self.numbers().and_then(|numbers| match numbers.iter().all(|number| *number <= own) {
            true => self.store.delete(&self.path(own)),
            false => Ok(()),
        });
        if let Err(error) = removed {
            tracing::warn!(number = own, error = error.chain(), "the manifest of a run that does not go on stays");
        }
    }

    /// The commit point: puts `manifest` if its number is free and the greatest.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] if another run of the job has gone on from here: this one must stop.
    pub fn commit(&self, manifest: &Manifest) -> Result<()> {
        let path = self.path(manifest.number);
        let created = self.store.put_if_absent(&path, manifest.encode())? == PutOutcome::Created;
        // A number may be free because a newer run has pruned it: then a greater one exists, since the newest is kept.
        let newest = created && self.numbers()?.iter().all(|number| *number <= manifest.number);
        if !newest {
            if created {
                self.store.delete(&path)?;
            }
            return Err(self.taken());
        }
        self.number.store(manifest.number, Ordering::Relaxed);
        self.note(manifest);
        Ok(())
    }

    /// Without a manifest: an error if the job has left anything else, true if a run has put one meanwhile.
    fn has_lost_its_checkpoints(&self) -> Result<bool> {
        let mut left: BTreeMap<String, usize> = BTreeMap::new();
        let root = self.root();
        for path in self.store.list(&root)? {
            let below = path.strip_prefix(&root).unwrap_or(&path).trim_start_matches('/');
            *left.entry(below.split('/').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        if left.is_empty() {
            return Ok(false);
        }
        if !self.numbers()?.is_empty() {
            return Ok(true);
        }
        let left: Vec<String> = left.iter().map(|(folder, files)| format!("{files} in \"{folder}\"")).collect();
        let job = &self.job;
        Err(Error::data(format!(
            "job \"{job}\" has files in \"{root}\" ({}) and no checkpoint in \"{root}/checkpoints\"",
            left.join(", ")
        ))
        .with_hint(
            "its checkpoints were lost: put them back from a copy, or add --reset once to load everything anew (what its \
             tables hold is replaced then by what the sources still have)",
        ))
    }

    pub(super) fn taken(&self) -> Error {
        Error::user(format!("another run of job \"{}\" has taken over its lake", self.job))
            .with_kind(ErrorKind::Taken)
            .with_hint("run only one instance of a job at a time, or give the second one another --lake")
    }

    /// The same error, or that a newer run has begun: what a run finds missing then was that one's to remove.
    pub fn blame(&self, error: Error) -> Error {
        let is_ours = error.kind() == ErrorKind::Taken || error.fault() != Fault::Data;
        match is_ours || self.is_held().unwrap_or(true) {
            true => error,
            false => self.taken().with_source(error),
        }
    }

    /// Number of the last manifest that this run put.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }
}

impl Lease for CheckpointLog {
    fn is_held(&self) -> Result<bool> {
        let own = self.number.load(Ordering::Relaxed);
        Ok(self.numbers()?.into_iter().all(|number| number <= own))
    }
}

//! The log of manifests of one job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catchment_contract::{Error, ErrorKind, Fault, Lease, PutOutcome, Result, Store};

use super::manifest::{FORMAT, Manifest};

/// How often fencing tries again when other runs start at the same moment.
const FENCE_TRIES: u32 = 10;

/// The manifests of one job, as one run of it sees them.
pub struct CheckpointLog {
    store: Arc<dyn Store>,
    job: String,
    run: String,
    /// The greatest number that this run has put.
    number: AtomicU64,
}

impl CheckpointLog {
    /// The log of `job`, for the run named `run`.
    pub fn new(store: Arc<dyn Store>, job: &str, run: &str) -> Self {
        CheckpointLog { store, job: job.to_string(), run: run.to_string(), number: AtomicU64::new(0) }
    }

    /// Folder of all that the job keeps.
    pub fn root(&self) -> String {
        format!("_catchment/{}", self.job)
    }

    fn path(&self, number: u64) -> String {
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
            let path = self.path(number);
            if let Some(bytes) = self.store.get(&path)? {
                return Manifest::decode(&path, &bytes).map(Some);
            }
        }
        Err(Error::remote(format!("could not read the checkpoints of job \"{}\": they vanish while listed", self.job)))
    }

    fn numbers(&self) -> Result<Vec<u64>> {
        let folder = format!("{}/checkpoints", self.root());
        let paths = self.store.list(&folder)?;
        Ok(paths.iter().filter_map(|path| path.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()).collect())
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
            if let Some(last) = last.as_ref().filter(|_| !reset) {
                fits(last)?;
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
                    return Ok(if reset { renumbered(self.first()) } else { manifest });
                }
                PutOutcome::Exists => tracing::warn!(job = self.job, "another run of the job starts at this moment"),
            }
        }
        Err(self.taken())
    }

    fn first(&self) -> Manifest {
        Manifest {
            format: FORMAT,
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

    /// The commit point: puts `manifest` if its number is free and the greatest.
    ///
    /// # Errors
    /// [`ErrorKind::Taken`] if another run of the job has gone on from here: this one must stop.
    pub fn commit(&self, manifest: &Manifest) -> Result<()> {
        let created = self.store.put_if_absent(&self.path(manifest.number), manifest.encode())?;
        // A number may be free because a newer run has pruned it: then a greater one exists, since the newest is kept.
        if created == PutOutcome::Exists || self.numbers()?.iter().any(|number| *number > manifest.number) {
            return Err(self.taken());
        }
        self.number.store(manifest.number, Ordering::Relaxed);
        Ok(())
    }

    fn taken(&self) -> Error {
        Error::user(format!("another run of job \"{}\" has taken over its lake", self.job))
            .with_kind(ErrorKind::Taken)
            .with_hint("run a job once at a time, or give the second one another --lake")
    }

    /// Number of the last manifest that this run put.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Removes the manifests before `number`.
    ///
    /// # Errors
    /// If the store fails; nothing is lost by it.
    pub fn prune(&self, number: u64) -> Result<()> {
        for old in self.numbers()?.into_iter().filter(|old| *old < number) {
            self.store.delete(&self.path(old))?;
        }
        Ok(())
    }
}

impl Lease for CheckpointLog {
    fn is_held(&self) -> Result<bool> {
        let own = self.number.load(Ordering::Relaxed);
        Ok(self.numbers()?.into_iter().all(|number| number <= own))
    }
}

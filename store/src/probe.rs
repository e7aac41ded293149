//! Does the store honour "create if absent"? Without it two runs could overwrite each other's commits.

use std::time::Duration;

use catchment_contract::{Error, PutOutcome, Result};

use crate::lake_store::LakeStore;

/// Folder of the probes: no job has a name that begins with a point.
const PROBES: &str = "_catchment/.probes";

/// A probe this old was left by a run that was killed.
const OLD: Duration = Duration::from_secs(3600);

impl LakeStore {
    /// Creates a small object, tries to create it again with other bytes, and takes it away: shows that the lake can be
    /// written and that a second create is refused.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::Denied`] or [`catchment_contract::ErrorKind::NotFound`] if it cannot be written,
    /// [`catchment_contract::ErrorKind::Invalid`] if the store accepts both creates.
    pub fn probe(&self) -> Result<()> {
        let name = self.environment().unique_name();
        let path = format!("{PROBES}/{name}");
        self.remove_old_probes()?;
        let create = |text: &str| self.put_if_absent_as("", &path, format!("{text} {name}"));
        create("first")?;
        let second = create("second")?;
        self.delete(&path)?;
        if second == PutOutcome::Exists {
            return Ok(());
        }
        Err(Error::user(format!(
            "the store of the lake \"{self}\" accepted two puts that each said \"only if it does not exist\""
        ))
        .with_hint(
            "tables would lose commits there: use a store that honours If-None-Match on PUT (AWS S3, MinIO, R2)",
        ))
    }

    fn remove_old_probes(&self) -> Result<()> {
        let now = self.environment().wall();
        for probe in self.list(PROBES)? {
            if now.duration_since(probe.modified).is_ok_and(|age| age > OLD) {
                self.delete(&probe.path)?;
            }
        }
        Ok(())
    }
}

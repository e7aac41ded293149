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
        // Other jobs may be probing at this moment.
        self.remove_unfinished_before(PROBES, now.checked_sub(OLD))
    }
}

#[cfg(test)]
mod tests {
    use catchment_contract::Environment;

    use super::*;
    use crate::lake::Lake;

    #[test]
    fn what_killed_probes_left_goes_once_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let lake = |environment| Lake::new(folder.path().to_str().unwrap(), environment).unwrap().open().unwrap();
        let names = || std::fs::read_dir(folder.path().join(PROBES)).unwrap().count();
        lake(Environment::system()).probe().unwrap();
        assert_eq!(names(), 0, "a probe leaves nothing");
        for name in ["00ff", "00ff#17"] {
            std::fs::write(folder.path().join(PROBES).join(name), "first 00ff").unwrap();
        }
        lake(Environment::system()).probe().unwrap();
        assert_eq!(names(), 2, "somebody may be at work");
        // As these were written in 2026 or later, they are old by a clock that is far ahead.
        let (environment, clock) = Environment::simulated(1);
        clock.advance(Duration::from_secs(400 * 365 * 86_400));
        lake(environment).probe().unwrap();
        assert_eq!(names(), 0);
    }
}

//! A job: one SQL text, checked, that can be opened as often as there are runs of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use catchment_contract::{Error, Result};
use catchment_engine::runtime::{RunOptions, Runtime};
use catchment_sinks::lake::store;

use crate::registry::registry;

/// A checked job with its name.
pub struct Job {
    name: String,
    checked: catchment_sql::Job,
}

impl Job {
    /// Checks the job `text` without touching disk or network. `name` owns its tables and checkpoints in the lake;
    /// `variables` fills `${NAME}`.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::User`] with line and column of what is wrong and what to write instead.
    pub fn from_sql(name: &str, text: &str, variables: &dyn Fn(&str) -> Option<String>) -> Result<Job> {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(valid) {
            return Err(Error::user(format!("a job cannot be named \"{name}\""))
                .with_hint("name the job's file with letters, digits, \"_\", \"-\" and \".\" only"));
        }
        Ok(Job { name: name.to_string(), checked: catchment_sql::check(text, variables, &registry())? })
    }

    /// Reads and checks a job file; the job's name is the file's without its ending.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`Job::from_sql`].
    pub fn from_file(path: &Path, variables: &dyn Fn(&str) -> Option<String>) -> Result<Job> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(format_args!("read the job file \"{}\"", path.display()), error))?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        Job::from_sql(name, &text, variables)
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was checked.
    pub fn checked(&self) -> &catchment_sql::Job {
        &self.checked
    }

    /// Opens the job at its last checkpoint in the lake `options.lake`. `stop`, once true, ends a drain early.
    ///
    /// # Errors
    /// If the lake cannot be used, holds tables of another job, or does not fit the job any more.
    pub fn open(self, options: RunOptions, stop: Arc<AtomicBool>) -> Result<Runtime> {
        let lake = store::open(&options.lake)?;
        lake.probe()?;
        Runtime::open(self.checked.into_spec(&self.name), Arc::new(lake), options, stop)
    }
}

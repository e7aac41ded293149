//! `--set NAME=VALUE`: what fills `${NAME}` in a job, before the environment does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::Failure;
use catchment::{Job, Lake, TopicsLocation};

/// A job file and what fills its variables.
#[derive(Args)]
pub struct JobFile {
    /// The job: one SQL file of sources, views and sinks
    job: PathBuf,
    /// Fill ${NAME} in the job; the environment fills what is not set here
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("write NAME=VALUE".into());
    }
    Ok((name.to_string(), value.to_string()))
}

impl JobFile {
    /// Reads and checks the job, which writes to `lake` and has its topics at `topics`.
    pub fn check(&self, lake: &Lake, topics: TopicsLocation) -> Result<Job, Failure> {
        let set: BTreeMap<String, String> = self.set.iter().cloned().collect();
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let ask = {
            let (set, asked) = (set.clone(), asked.clone());
            move |name: &str| {
                asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
                set.get(name).cloned().or_else(|| std::env::var(name).ok())
            }
        };
        let mut builder = Job::file(&self.job)?;
        let job = builder.variables(ask).lake(lake.clone()).topics(topics).check()?;
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        match set.keys().find(|name| !asked.contains(*name)) {
            Some(unused) => Err(Failure::Wrong(self.no_variable(unused, &asked))),
            None => Ok(job),
        }
    }

    fn no_variable(&self, name: &str, asked: &BTreeSet<String>) -> String {
        let hint = match catchment_contract::options::nearest(name, asked.iter().map(String::as_str)) {
            Some(near) => format!("did you mean --set {near}=…?"),
            None => "leave it out".to_string(),
        };
        format!("--set {name}: there is no ${{{name}}} in \"{}\"; {hint}", self.job.display())
    }
}

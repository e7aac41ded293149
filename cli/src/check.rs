//! `catchment check JOB.sql`.

use catchment::{Lake, TopicsLocation};
use clap::Args;

use super::variables::JobFile;
use super::{Failure, print};

/// Parse, plan and check a job without touching disk or network
#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    job: JobFile,
}

impl Check {
    /// Prints sources, views and sinks, each view's key and whether it can retract.
    pub fn execute(&self) -> Result<(), Failure> {
        print(self.job.check(&Lake::default(), TopicsLocation::default())?.checked().describe())
    }
}

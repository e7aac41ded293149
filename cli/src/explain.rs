//! `catchment explain JOB.sql [VIEW]`.

use catchment::{Lake, TopicsLocation};
use clap::{Args, ValueEnum};

use super::variables::JobFile;
use super::{Failure, print};

/// Show a job's plans and dataflow operators
#[derive(Args)]
pub struct Explain {
    #[command(flatten)]
    job: JobFile,
    /// Only this view, and what it reads
    view: Option<String>,
    /// How it looks
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Indented text
    Text,
    /// A Mermaid flow chart of the operators
    Mermaid,
}

impl Explain {
    /// Prints the plan.
    pub fn execute(&self) -> Result<(), Failure> {
        let job = self.job.check(&Lake::default(), TopicsLocation::default())?;
        let format = match self.format {
            Format::Text => catchment_sql::Format::Text,
            Format::Mermaid => catchment_sql::Format::Mermaid,
        };
        let text = catchment_sql::explain(job.checked(), self.view.as_deref(), format)?;
        print(text.trim_end())
    }
}

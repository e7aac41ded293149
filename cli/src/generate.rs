//! `catchment generate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failure, print};
use catchment_generate::{RedditOptions, reddit, sample};

/// Make up data in the real formats
#[derive(Args)]
pub struct Generate {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A month of Reddit comments and submissions, transcripts, and later changes
    Reddit {
        /// Comments in the first dump
        #[arg(long)]
        records: u64,
        /// The same seed gives the same bytes
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// Folder to write into
        #[arg(long)]
        out: PathBuf,
        /// Log 2 of the dumps' compression window; real dumps have 31, which takes 2 GiB to read
        #[arg(long, default_value_t = 27)]
        window_log: u32,
        /// Also write the changes as plain files of so many lines
        #[arg(long)]
        change_batch_lines: Option<u64>,
    },
    /// The small sample that ships in examples/data
    Sample {
        /// Folder to write into
        #[arg(long)]
        out: PathBuf,
    },
}

impl Generate {
    /// Writes the files and says what is in them.
    pub fn execute(self) -> Result<(), Failure> {
        let failed = |error: anyhow::Error| Failure::Failed(format!("{error:#}"));
        match self.what {
            What::Reddit { records, seed, out, window_log, change_batch_lines } => {
                let options = RedditOptions { records, seed, out, window_log, change_batch_lines };
                print(reddit(&options).map_err(failed)?)
            }
            What::Sample { out } => sample(&out).map_err(failed),
        }
    }
}

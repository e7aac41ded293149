//! `catchment run JOB.sql`.

use std::time::Duration;

use catchment::{Environment, Lake, RunOptions, RunReport, Runtime, StopHandle};
use clap::{Args, ValueEnum};

use super::memory::MemoryOptions;
use super::progress::Display;
use super::topics::RunTopics;
use super::variables::JobFile;
use super::{Failure, on_signal, print};

/// Run a job: read its sources, keep its views, write its sinks
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    job: JobFile,
    /// Where tables and checkpoints lie: a folder, or a URL such as s3://bucket/prefix
    #[arg(long, default_value = "lake")]
    lake: String,
    /// How long to wait for a source, a lake or a broker that does not answer, before the job ends
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    patience: Duration,
    /// When to end; without it the job stays up until it is told to stop
    #[arg(long, value_enum)]
    until: Option<Until>,
    /// Worker threads; as many as the machine has cores, if not said
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Time between checkpoints, such as 10s, 500ms or 1m
    #[arg(long, default_value = "10s", value_parser = duration)]
    checkpoint_interval: Duration,
    /// Time after which an epoch is closed
    #[arg(long, default_value = "100ms", value_parser = duration)]
    epoch_interval: Duration,
    #[command(flatten)]
    memory: MemoryOptions,
    #[command(flatten)]
    topics: RunTopics,
    /// Forget what earlier runs read and wrote: all that the sources still have is read again, tables are replaced by the
    /// first commit, and topics get everything again behind what they hold
    #[arg(long)]
    reset: bool,
    /// Let this sink begin anew and everything else go on: a table is replaced by the first commit, a topic gets everything
    /// again behind what it holds; may be given several times
    #[arg(long, value_name = "SINK", conflicts_with = "reset")]
    reset_sink: Vec<String>,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Until {
    /// When every source is drained, after a last checkpoint
    Idle,
}

/// `10s`, `500ms`, `1m 30s`, in the notation of jiff's spans.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write a duration such as 10s, 500ms or 1m")?;
    Duration::try_from(span).map_err(|_| "a duration cannot be negative".to_string())
}

impl Run {
    /// Runs the job to its end and prints the summary.
    pub fn execute(&self) -> Result<(), Failure> {
        let location = self.topics.location()?;
        let lake = Lake::new(&self.lake, Environment::system())?.with_patience(self.patience);
        let job = self.job.check(&lake, location)?;
        let stop = StopHandle::new();
        let handle = stop.clone();
        on_signal(move || handle.stop())?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let options = RunOptions {
            workers: self.workers.map_or(cores, usize::from),
            checkpoint_interval: self.checkpoint_interval,
            epoch_interval: self.epoch_interval,
            patience: self.patience,
            spill_dir: self.memory.spill_dir(&self.lake),
            reset: self.reset,
            reset_sinks: self.reset_sink.clone(),
            ..RunOptions::default()
        };
        let options = match self.memory.bytes() {
            Some(bytes) => options.within(bytes),
            None => options,
        };
        let topics = job.broker()?;
        if let Some(broker) = &topics {
            // Not in the summary's way: it may be one JSON object.
            eprintln!("topics at the {}", broker.describe());
        }
        let runtime = job.open(options, &stop)?;
        let display = Display::start(runtime.progress(), self.json);
        let mut report = self.drive(runtime)?;
        report.topics = topics.map(|broker| broker.describe());
        drop(display);
        self.print(&report)
    }

    fn drive(&self, mut runtime: Runtime) -> catchment_contract::Result<RunReport> {
        match self.until {
            Some(Until::Idle) => runtime.drain().map(drop)?,
            None => runtime.stay()?,
        }
        runtime.finish()
    }

    fn print(&self, report: &RunReport) -> Result<(), Failure> {
        if self.json {
            return print(serde_json::to_string(report).map_err(|error| Failure::Failed(error.to_string()))?);
        }
        print(report.to_string().trim_end())
    }
}

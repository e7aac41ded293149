//! The command line.
//!
//! Exit status: 0 when all went well, 1 for a run that failed, 2 for a job or a flag that is wrong. Results go to standard
//! output; progress, logs and errors to standard error.

mod check;
mod explain;
mod generate;
mod logging;
mod progress;
mod run;
mod topics;
mod variables;

use std::fmt;
use std::process::ExitCode;

use catchment_contract::Error;
use clap::{Parser, Subcommand};

/// SQL views over streams, kept exactly right, in your own data lake.
#[derive(Parser)]
#[command(name = "catchment", version, arg_required_else_help = true)]
struct Arguments {
    /// How log lines look; which ones appear is RUST_LOG's business
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: logging::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a job: read its sources, keep its views, write its sinks
    Run(run::Run),
    /// Parse, plan and check a job without touching disk or network
    Check(check::Check),
    /// Show a job's plans and dataflow operators
    Explain(explain::Explain),
    /// See and serve topics
    Topics(topics::Topics),
    /// Make up data in the real formats
    Generate(generate::Generate),
}

/// Why a command ended badly.
enum Failure {
    /// The job or a flag is wrong: status 2.
    Wrong(String),
    /// The run failed: status 1.
    Failed(String),
}

impl Failure {
    fn wrong(error: Error) -> Self {
        Failure::Wrong(error.chain())
    }

    fn failed(error: Error) -> Self {
        Failure::Failed(error.chain())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Wrong(message) | Failure::Failed(message)) = self;
        write!(f, "error: {message}")
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(arguments.log_format);
    let outcome = match arguments.command {
        Command::Run(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Explain(command) => command.execute(),
        Command::Topics(command) => command.execute(),
        Command::Generate(command) => command.execute(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(if matches!(failure, Failure::Wrong(_)) { 2 } else { 1 })
        }
    }
}

//! The command `catchment`.
//!
//! Exit status: 0 when all went well, 2 for what a person must change (a job, a flag, a missing file), 1 for a run that
//! failed otherwise. Results go to standard
//! output; progress, logs and errors to standard error.

mod check;
mod explain;
mod generate;
mod lake;
mod logging;
mod memory;
mod progress;
mod run;
mod topics;
mod variables;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use catchment_contract::{Error, Fault, panics};
use clap::{Parser, Subcommand};

/// One allocator for every thread: workers free what readers allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// See and mend tables
    Lake(lake::Lake),
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

/// A person changes what is wrong and runs again; everything else failed.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.fault() {
            Fault::User => Failure::Wrong(error.chain()),
            Fault::Remote | Fault::Data | Fault::Bug => Failure::Failed(error.chain()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Wrong(message) | Failure::Failed(message)) = self;
        write!(f, "error: {message}")
    }
}

/// Writes a result to standard output. Whoever reads it may have enough before its end.
fn print(text: impl fmt::Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("could not write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Calls `stop` when the process is told to stop. Told again, it ends at once, as if it were killed: nothing is lost.
fn on_signal(stop: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let told = AtomicBool::new(false);
    let handler = move || {
        if told.swap(true, Ordering::Relaxed) {
            // As a shell counts the end by SIGINT.
            std::process::exit(130);
        }
        stop();
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::Failed(format!("could not listen for signals: {error}")))
}

/// As many open files as the system allows: spilled runs are some dozen an operator and worker, inputs and topics come on top.
fn allow_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Where it is refused, the limit stays as it is.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

fn main() -> ExitCode {
    // Zeroing huge pages costs up to two fifths of the CPU where buffers come and go as they do here.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    allow_open_files();
    panics::end_the_process();
    let arguments = Arguments::parse();
    logging::start(arguments.log_format);
    let outcome = match arguments.command {
        Command::Run(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Explain(command) => command.execute(),
        Command::Topics(command) => command.execute(),
        Command::Lake(command) => command.execute(),
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

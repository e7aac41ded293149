//! Log lines on standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// How log lines look.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// A JSON object a line
    Json,
}

/// What is said of every file and version of a table, unless somebody asks for it by name: what goes wrong there is in our own
/// errors.
const QUIET: &str = "delta_kernel=off,delta_kernel_default_engine=off";

/// Logs what `RUST_LOG` asks for, else warnings and progress. Spans (of epochs, checkpoints, commits) are logged when they
/// close.
pub fn start(format: Format) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| "warn,progress=info".into());
    let filter = EnvFilter::new(format!("{QUIET},{wanted}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        Format::Text => builder.init(),
        Format::Json => builder.json().init(),
    }
}

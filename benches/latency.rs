//! How long a batch of changed lines takes to reach every table of the main job.
//!
//! Loads generated comments, then adds files of changed lines one by one. Two figures a batch: until all views and their
//! sinks' state contain it (*state*), and until the tables that readers see do (*commit*).
//!
//! ```text
//! cargo bench --bench latency                                    20,000 comments, 100 changed lines a batch
//! RECORDS=1000000 LINES=1000 BATCHES=100 cargo bench --bench latency
//! ```
//!
//! Under `cargo test` it runs on a few hundred comments, so that it cannot rot.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use catchment::{Environment, Job, Lake, RunOptions, StopHandle};
use catchment_generate::{RedditOptions, reddit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true)?;
    let test = !std::env::args().any(|argument| argument == "--bench");
    let (records, lines, batches) = if test { (500, 10, 3) } else { (20_000, 100, 20) };
    let folder = tempfile::tempdir()?;
    let mut options = RedditOptions::new(setting("RECORDS", records), 7, folder.path().join("month"));
    options.change_batch_lines = Some(setting("LINES", lines));
    let month = options.out.clone();
    println!("{}", reddit(&options)?);
    let workers = setting("WORKERS", std::thread::available_parallelism()?.get() as u64) as usize;
    measure(&month, &folder.path().join("lake"), workers, setting("BATCHES", batches))
}

fn measure(month: &Path, lake: &Path, workers: usize, batches: u64) -> Result<()> {
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pulse.sql");
    let place = |name: &str| month.join(name).display().to_string();
    let failed = |error: catchment::Error| anyhow::anyhow!(error.chain());
    let lake = Lake::new(&lake.display().to_string(), Environment::system()).map_err(failed)?;
    let mut builder = Job::file(&job).map_err(failed)?;
    builder.variable("reddit", &place("reddit")).variable("transcripts", &place("transcripts"));
    let job = builder.lake(lake).check().map_err(failed)?;
    let options = RunOptions { workers, checkpoint_interval: Duration::from_secs(3600), ..RunOptions::default() };
    let mut runtime = job.open(options, &StopHandle::new()).map_err(failed)?;
    let started = Instant::now();
    ensure!(runtime.drain()?, "the base has rows");
    runtime.settle();
    println!("load: {:.2} s", started.elapsed().as_secs_f64());
    runtime.checkpoint()?;
    println!("load and commit: {:.2} s", started.elapsed().as_secs_f64());

    let (mut state, mut commit) = (Vec::new(), Vec::new());
    for number in 1..=batches {
        let batch = month.join(format!("changes/batches/{number:04}.ndjson"));
        if !batch.exists() {
            break;
        }
        std::fs::rename(&batch, month.join(format!("reddit/RC_{number:06}"))).context("could not add a batch")?;
        let started = Instant::now();
        ensure!(runtime.drain()?, "batch {number} changes something");
        runtime.settle();
        state.push(started.elapsed());
        runtime.checkpoint()?;
        commit.push(started.elapsed());
    }
    print("state", &mut state);
    print("commit", &mut commit);
    let report = runtime.finish()?;
    print!("{report}");
    Ok(())
}

fn print(what: &str, latencies: &mut [Duration]) {
    latencies.sort();
    let at = |share: f64| {
        let index = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    };
    println!(
        "{what}: {} batches, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

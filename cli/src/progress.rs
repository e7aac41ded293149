//! How far a run is: bars on a terminal, a log line now and then otherwise.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use catchment::Environment;
use catchment_engine::runtime::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often bars are drawn.
const DRAW: Duration = Duration::from_millis(100);

/// How often a log line is written where there is no terminal.
const LOG: Duration = Duration::from_secs(10);

/// Shows progress until it is dropped.
pub struct Display {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Shows `progress`, unless `quiet`.
    pub fn start(progress: Arc<Progress>, quiet: bool) -> Display {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let bars = !quiet && std::io::stderr().is_terminal();
        let thread = std::thread::spawn(move || {
            let environment = Environment::system();
            if bars { draw(&progress, &stopped, &environment) } else { log(&progress, &stopped, &environment) }
        });
        Display { stop, thread: Some(thread) }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn draw(progress: &Progress, stop: &AtomicBool, environment: &Environment) {
    let all = MultiProgress::new();
    let template = "{prefix:>16} {bar:24} {binary_bytes:>10}/{binary_total_bytes:<10} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    let bars: Vec<ProgressBar> = progress
        .sources
        .iter()
        .map(|source| all.add(ProgressBar::new(0)).with_style(style.clone()).with_prefix(source.name.clone()))
        .collect();
    let started = environment.now();
    while !stop.load(Ordering::Relaxed) {
        for (bar, source) in bars.iter().zip(&progress.sources) {
            let rows = source.rows.load(Ordering::Relaxed);
            bar.set_length(source.bytes_total.load(Ordering::Relaxed));
            bar.set_position(source.bytes.load(Ordering::Relaxed));
            bar.set_message(format!(
                "{rows} rows, {:.0} rows/s",
                rows as f64 / (environment.now() - started).as_secs_f64()
            ));
        }
        std::thread::park_timeout(DRAW);
    }
    bars.iter().for_each(ProgressBar::finish_and_clear);
}

fn log(progress: &Progress, stop: &AtomicBool, environment: &Environment) {
    let mut last = environment.now();
    let mut seen = vec![0; progress.sources.len()];
    while !stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(LOG);
        if environment.now() - last >= LOG {
            last = environment.now();
            for (source, seen) in progress.sources.iter().zip(&mut seen) {
                let (records, bytes) = (source.records.load(Ordering::Relaxed), source.bytes.load(Ordering::Relaxed));
                let (total, rejects) =
                    (source.bytes_total.load(Ordering::Relaxed), source.rejects.load(Ordering::Relaxed));
                let checkpoint = progress.checkpoint.load(Ordering::Relaxed);
                if std::mem::replace(seen, records) != records {
                    tracing::info!(target: "progress", source = source.name, records, rejects, bytes, total, checkpoint, "reading");
                }
            }
        }
    }
}

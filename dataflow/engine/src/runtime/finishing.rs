//! A job that ends: no source is read any more, a last checkpoint is taken, threads end, and what was done is said.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catchment_contract::{PartitionLag, Result, SinkFigures};
use catchment_state::Budget;

use super::opened::Opened;
use super::report::{RelationReport, RunReport, SinkReport, SourceReport};
use super::running::Running;
use super::sinking::SinkMessage;
use crate::host::reply;

/// How long a source is asked for what is left to read.
const LAG_WAIT: Duration = Duration::from_secs(2);

/// Takes the last checkpoint and ends a running job.
///
/// # Errors
/// If the checkpoint fails or a worker panics; if something could not be read.
pub(super) fn finish_running(mut running: Running) -> Result<RunReport> {
    running.job.stop_reading();
    running.checkpoint()?;
    if running.take_refused() {
        running.checkpoint()?;
    }
    let Running { job, workers, checkpoints, closed, .. } = running;
    let mut report = report(&job);
    report.epochs = closed;
    report.relations = job.counters.iter().map(|(name, counter)| counter.report(name)).collect();
    for sink in &mut report.sinks {
        sink.commits = checkpoints.commits.get(&sink.name).copied().unwrap_or_default();
    }
    workers.finish()?;
    end(job, report)
}

/// Ends a job that had nothing to do.
///
/// # Errors
/// If something could not be read.
pub(super) fn finish_opened(job: Opened) -> Result<RunReport> {
    job.stop_reading();
    let report = report(&job);
    end(job, report)
}

fn end(mut job: Opened, mut report: RunReport) -> Result<RunReport> {
    job.state_log.finish();
    std::mem::take(&mut job.sinks).into_iter().for_each(|sink| sink.finish());
    job.check()?;
    report.seconds = job.host().since(job.began).as_secs_f64();
    std::mem::take(&mut job.unread).into_result().map(|()| report)
}

/// What is known of a job at its end; of its relations, what the last checkpoint says.
fn report(job: &Opened) -> RunReport {
    let relations = job.manifest.relations.iter();
    let relations = relations.map(|(name, rows)| RelationReport { name: name.clone(), rows: *rows, changes: 0 });
    RunReport {
        job: job.spec.name.clone(),
        lake: job.store.describe(),
        checkpoint: job.manifest.number,
        epoch: job.manifest.epoch,
        sources: source_reports(job),
        relations: relations.collect(),
        sinks: sink_reports(job),
        spilled_bytes: job.budget.as_ref().map_or(0, Budget::spilled),
        ..RunReport::default()
    }
}

fn source_reports(job: &Opened) -> Vec<SourceReport> {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let totals = |name: &str| job.sources.get(name).map(|state| state.ledger).unwrap_or_default();
    let sources = job.progress.sources.iter().zip(lags(job)).map(|(source, lag)| SourceReport {
        name: source.name.clone(),
        partitions: count(&source.partitions),
        bytes: count(&source.bytes),
        records: count(&source.records),
        rows: count(&source.rows),
        rejects: count(&source.rejects),
        passed_over: count(&source.passed_over),
        records_total: totals(&source.name).records,
        rejects_total: totals(&source.name).rejects,
        passed_over_total: totals(&source.name).passed_over,
        partitions_read: lag,
    });
    sources.collect()
}

/// How far each source's partitions are read. They are asked at once, by threads of their own: a summary must neither fail
/// nor wait because a broker has gone.
fn lags(job: &Opened) -> Vec<Vec<PartitionLag>> {
    let host = job.host();
    let ask = |source: &super::job::JobSource| {
        let (question, answer) = reply(host);
        let (asked, name) = (source.source.clone(), source.name.clone());
        let positions = job.sources[&source.name].positions.all();
        let body = move || question.give(asked.lag(&positions));
        let started = host.spawn(&format!("lag-{name}"), body, drop);
        (name, started.map(|()| answer))
    };
    let asked: Vec<_> = job.spec.sources.iter().map(ask).collect();
    let deadline = host.now() + LAG_WAIT;
    let lag = |(source, answer): (String, Result<crate::host::Answer<Result<Vec<PartitionLag>>>>)| match answer
        .map(|answer| answer.wait_until(deadline))
    {
        Ok(Some(Ok(lag))) => lag,
        Ok(Some(Err(error))) | Err(error) => {
            tracing::warn!(source, error = error.chain(), "the source could not say how much is left to read");
            Vec::new()
        }
        Ok(None) => {
            tracing::warn!(source, "the source could not say how much is left to read");
            Vec::new()
        }
    };
    asked.into_iter().map(lag).collect()
}

fn sink_reports(job: &Opened) -> Vec<SinkReport> {
    let sinks = job.spec.sinks.iter().zip(&job.sinks).map(|(sink, thread)| {
        let SinkFigures { rows, partitions } = thread.ask(SinkMessage::Figures).unwrap_or_default();
        SinkReport {
            name: sink.name.clone(),
            from: sink.from.clone(),
            target: sink.spec.describe(),
            rows,
            commits: 0,
            partitions,
        }
    });
    sinks.collect()
}

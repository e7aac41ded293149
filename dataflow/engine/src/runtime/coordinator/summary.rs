//! What a run has done, for people.

use std::sync::atomic::Ordering;

use catchment_contract::{PartitionLag, SinkFigures};

use super::super::report::{RelationReport, SinkReport, SourceReport};
use super::Runtime;

impl Runtime {
    /// How far a source's partitions are read. A summary must not fail because a broker has gone.
    fn lag_of(&self, source: &str) -> Vec<PartitionLag> {
        let found = self.spec.sources.iter().find(|known| known.name == source);
        let lag = found.map(|found| found.source.lag(&self.sources[source].positions));
        lag.and_then(|lag| lag.inspect_err(|error| tracing::warn!(source, error = error.chain(), "no lag")).ok())
            .unwrap_or_default()
    }

    pub(super) fn fill_report(&mut self) {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        self.report.checkpoint = self.manifest.number;
        self.report.epoch = self.manifest.epoch;
        let totals = |name: &str| self.sources.get(name).map(|state| state.ledger).unwrap_or_default();
        let sources = self.progress.sources.iter().map(|source| SourceReport {
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
            partitions_read: self.lag_of(&source.name),
        });
        self.report.sources = sources.collect();
        self.report.relations = match &self.running {
            Some(_) => self.counters.iter().map(|(name, counter)| counter.report(name)).collect(),
            None => {
                let kept = self.manifest.relations.iter();
                kept.map(|(name, rows)| RelationReport { name: name.clone(), rows: *rows, changes: 0 }).collect()
            }
        };
        let sinks = self.spec.sinks.iter().zip(&self.sinks).map(|(sink, thread)| {
            let SinkFigures { rows, partitions } = thread.figures();
            SinkReport {
                name: sink.name.clone(),
                from: sink.from.clone(),
                target: sink.spec.describe(),
                rows,
                commits: self.commits.get(&sink.name).copied().unwrap_or_default(),
                partitions,
            }
        });
        self.report.sinks = sinks.collect();
    }
}

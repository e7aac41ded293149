//! What a run did, for people and for machines, and how far it is while it runs.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use catchment_contract::{PartitionLag, TopicPosition};
use serde::Serialize;

/// Figures of one source.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SourceReport {
    /// The relation's name.
    pub name: String,
    /// Partitions read in this run.
    pub partitions: u64,
    /// Bytes read from the outside world in this run (compressed, if so).
    pub bytes: u64,
    /// Input records of this run: those that became rows, and those that became rejects.
    pub records: u64,
    /// Rows that arrived in this run, before newer ones replaced older ones.
    pub rows: u64,
    /// Records that became rejects in this run.
    pub rejects: u64,
    /// Records of this run that are of another kind than the source takes: neither rows nor rejects.
    pub passed_over: u64,
    /// Records since the job's first run.
    pub records_total: u64,
    /// Rejects since the job's first run.
    pub rejects_total: u64,
    /// Records passed over since the job's first run.
    pub passed_over_total: u64,
    /// How far a topic's partitions are read; empty for sources without offsets.
    pub partitions_read: Vec<PartitionLag>,
}

/// Figures of one relation that a sink takes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RelationReport {
    /// The relation's name.
    pub name: String,
    /// Rows it holds now.
    pub rows: i64,
    /// Updates it made in this run, insertions and retractions.
    pub changes: u64,
}

/// Figures of one sink.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SinkReport {
    /// The sink's name.
    pub name: String,
    /// The relation it takes.
    pub from: String,
    /// What it is, in one line.
    pub target: String,
    /// Rows that a reader of a table sees after the last commit; for a topic, the records published in this run.
    pub rows: u64,
    /// Commits of this run that changed something.
    pub commits: u64,
    /// Where a topic's partitions stand; empty for tables.
    pub partitions: Vec<TopicPosition>,
}

/// Everything that the summary prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunReport {
    /// The job's name.
    pub job: String,
    /// Where its tables lie.
    pub lake: String,
    /// Where its topics lie, in words, if it has any.
    pub topics: Option<String>,
    /// Its sources, in job order.
    pub sources: Vec<SourceReport>,
    /// The relations that sinks take, in name order.
    pub relations: Vec<RelationReport>,
    /// Its sinks, in job order.
    pub sinks: Vec<SinkReport>,
    /// Number of the last checkpoint.
    pub checkpoint: u64,
    /// Epoch of the last checkpoint.
    pub epoch: u64,
    /// Epochs closed in this run.
    pub epochs: u64,
    /// Bytes of operators' states that were written to the spill folder, merges of them included.
    pub spilled_bytes: u64,
    /// Wall time, in seconds.
    pub seconds: f64,
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} in {:.2} s: checkpoint {}, epoch {}, lake {}",
            self.job, self.seconds, self.checkpoint, self.epoch, self.lake
        )?;
        writeln!(
            f,
            "\n{:<28} {:>12} {:>12} {:>10} {:>11} {:>8} {:>12}",
            "source", "records", "rows", "rejects", "passed over", "files", "bytes"
        )?;
        for source in &self.sources {
            let SourceReport { name, partitions, bytes, records, rows, rejects, passed_over, .. } = source;
            writeln!(
                f,
                "{name:<28} {records:>12} {rows:>12} {rejects:>10} {passed_over:>11} {partitions:>8} {bytes:>12}"
            )?;
        }
        writeln!(f, "\n{:<28} {:>12} {:>12}", "relation", "rows", "changes")?;
        for RelationReport { name, rows, changes } in &self.relations {
            writeln!(f, "{name:<28} {rows:>12} {changes:>12}")?;
        }
        writeln!(f, "\n{:<28} {:>12} {:>12}  target", "sink", "rows", "commits")?;
        for SinkReport { name, rows, commits, target, .. } in &self.sinks {
            writeln!(f, "{name:<28} {rows:>12} {commits:>12}  {target}")?;
        }
        if self.spilled_bytes > 0 {
            writeln!(f, "\nspilled {} bytes of state: --memory was short", self.spilled_bytes)?;
        }
        self.fmt_topics(f)
    }
}

impl RunReport {
    /// Offsets and lag of the partitions that were read and written.
    fn fmt_topics(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(topics) = &self.topics {
            writeln!(f, "\ntopics at the {topics}")?;
        }
        let read = self.sources.iter().flat_map(|source| {
            let row = |lag: &PartitionLag| (format!("{} < {}", source.name, lag.partition), lag.offset, lag.behind);
            source.partitions_read.iter().map(row)
        });
        let written = self.sinks.iter().flat_map(|sink| {
            let row = |at: &TopicPosition| (format!("{} > {}", sink.name, at.partition), at.offset, at.behind);
            sink.partitions.iter().map(row)
        });
        let rows: Vec<(String, u64, u64)> = read.chain(written).collect();
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(f, "{:<28} {:>12} {:>12}", "partition", "offset", "behind")?;
        rows.iter().try_for_each(|(name, offset, behind)| writeln!(f, "{name:<28} {offset:>12} {behind:>12}"))
    }
}

/// Counters that grow while a job runs; read by progress bars.
#[derive(Debug, Default)]
pub struct Progress {
    /// One for each source, in job order.
    pub sources: Vec<SourceProgress>,
    /// Epochs that every worker has finished.
    pub epochs: AtomicU64,
    /// Number of the last checkpoint.
    pub checkpoint: AtomicU64,
}

/// Counters of one source.
#[derive(Debug, Default)]
pub struct SourceProgress {
    /// The relation's name.
    pub name: String,
    /// Bytes known to lie ahead and behind in this run.
    pub bytes_total: AtomicU64,
    /// Bytes read.
    pub bytes: AtomicU64,
    /// Records decoded.
    pub records: AtomicU64,
    /// Rows decoded.
    pub rows: AtomicU64,
    /// Rejects.
    pub rejects: AtomicU64,
    /// Records of another kind than the source takes.
    pub passed_over: AtomicU64,
    /// Partitions begun.
    pub partitions: AtomicU64,
    /// The most bytes that were ever read ahead, decoded or not.
    pub ahead_bytes_most: AtomicU64,
}

/// Rows and changes of one relation, counted on the workers.
#[derive(Debug, Default)]
pub(crate) struct RelationCounter {
    pub rows: AtomicI64,
    pub changes: AtomicU64,
}

impl RelationCounter {
    pub fn report(&self, name: &str) -> RelationReport {
        let (rows, changes) = (self.rows.load(Ordering::Relaxed), self.changes.load(Ordering::Relaxed));
        RelationReport { name: name.to_string(), rows, changes }
    }
}

//! Compaction: small files of one partition become one, in a commit of its own that changes no data.
//!
//! Files of about one size are merged eight at a time, so that a partition has at most seven of each size, and each row is
//! written anew at most once a size. In a table that only grows, files that waited an hour are merged whatever their
//! number and go to `data/`, so that a plain reader of that folder lags by no more. In other tables the small files of a
//! partition that nothing was written to for an hour become one.
//!
//! What is merged is checked: every file that goes is live in the version that the commit is made on, and every file
//! that comes was put and is on disk before.

use std::collections::{BTreeMap, BTreeSet};

use catchment_contract::{Error, Result};
use object_store::path::Path;

use crate::lake::columns::PartitionValues;
use crate::lake::commit::{CLOCK, Change};
use crate::lake::contents::DataFile;
use crate::lake::held::{Held, Pending};
use crate::lake::next_commit::NextCommit;
use crate::lake::reader::read_live;
use crate::lake::spec::{LakeSpec, Mode};
use crate::lake::staged::AddedFile;
use crate::lake::table::Table;
use crate::lake::writer::Written;

/// Files of one partition and size that are merged into one.
const MERGE_FILES: usize = 8;
/// Sizes from one step to its eightfold count as about one size; the first step ends here.
const STEP_BYTES: u64 = 64 << 10;
/// How long a file waits at most before it is merged whatever its size.
const WAIT_MS: i64 = 3_600_000;

/// Files of one partition that are to be merged.
struct Group {
    files: Vec<u32>,
    /// Whether what comes out is left alone whatever its size.
    seal: bool,
}

/// Merges the small files that are due. True if anything was committed.
///
/// # Errors
/// If a commit or the store fails; what is not done is done later.
pub fn compact(table: &mut Table, spec: &LakeSpec, next: &mut NextCommit) -> Result<bool> {
    let groups = due(spec, next, table.clock_ms() - WAIT_MS);
    if groups.is_empty() {
        return Ok(false);
    }
    let mut written = Vec::new();
    for group in &groups {
        rewrite(table, spec, next, group, &mut written)?;
    }
    let objects: Vec<Path> = written.iter().map(|one| one.object.clone()).collect();
    table.lake().sync(&objects)?;
    let parts = written.into_iter().map(Written::into_parts).collect::<Result<Vec<_>>>()?;
    let (adds, new): (Vec<AddedFile>, Vec<DataFile>) = parts.into_iter().unzip();
    let old: Vec<u32> = groups.into_iter().flat_map(|group| group.files).collect();
    let removes: Vec<String> =
        old.iter().filter_map(|number| next.contents.get(*number)).map(|file| file.path.clone()).collect();
    check_rows(table, next, &old, &adds)?;
    let info = vec![("job", table.job.clone()), ("sink", spec.sink.clone()), (CLOCK, table.clock_ms().to_string())];
    table.commit(&Change { adds: &adds, removes: &removes, info, ..Change::default() })?;
    tracing::debug!(table = table.name(), from = removes.len(), to = adds.len(), "merged small files");
    for number in old {
        next.contents.remove(number);
    }
    for file in new {
        next.contents.add(file);
    }
    Ok(true)
}

/// No row comes or goes.
fn check_rows(table: &Table, next: &NextCommit, old: &[u32], adds: &[AddedFile]) -> Result<()> {
    let before: u64 =
        old.iter().filter_map(|number| next.contents.get(*number)).map(|file| u64::from(file.live_rows())).sum();
    let after: u64 = adds.iter().map(|added| added.rows).sum();
    if before == after {
        return Ok(());
    }
    Err(Error::bug(format!("merging {before} rows of table \"{}\" made {after}", table.name())))
}

/// Groups of files that are to be merged. Those written before `old_ms` have waited long enough.
fn due(spec: &LakeSpec, next: &NextCommit, old_ms: i64) -> Vec<Group> {
    let hot = || next.contents.iter().filter(|(number, file)| file.is_hot() && !next.is_unpublished(*number));
    // Partitions with a file that waited; for tables that rows leave, with none that did not.
    let mut waited: BTreeSet<&PartitionValues> =
        hot().filter(|(_, file)| file.modified_ms < old_ms).map(|(_, file)| &file.partition).collect();
    if spec.mode != Mode::Append {
        for (_, file) in hot().filter(|(_, file)| file.modified_ms >= old_ms) {
            waited.remove(&file.partition);
        }
    }
    let mut groups: BTreeMap<(&PartitionValues, u32), Vec<u32>> = BTreeMap::new();
    for (number, file) in hot() {
        let size = if waited.contains(&file.partition) { u32::MAX } else { size_step(file.bytes) };
        groups.entry((&file.partition, size)).or_default().push(number);
    }
    let is_append = spec.mode == Mode::Append;
    let is_due = |size: u32, files: &[u32]| match size {
        u32::MAX => is_append || files.len() > 1,
        _ => files.len() >= MERGE_FILES,
    };
    let due = groups.into_iter().filter(|((_, size), files)| is_due(*size, files));
    due.map(|((_, size), files)| Group { files, seal: is_append && size == u32::MAX }).collect()
}

/// Writes the rows of a group into as few files as can be.
fn rewrite(
    table: &Table,
    spec: &LakeSpec,
    next: &mut NextCommit,
    group: &Group,
    written: &mut Vec<Written>,
) -> Result<()> {
    let sealed_bytes = if group.seal { 0 } else { next.sealed_bytes() };
    let mut rows = Pending::default();
    for number in &group.files {
        let mut parts = Vec::new();
        if let Some(file) = next.contents.get(*number) {
            read_live(table, spec, file, |columns, count| {
                parts.push(Held::new(columns, count, spec.mode == Mode::Current));
                Ok(())
            })?;
        }
        for part in parts {
            rows.add(part);
            if rows.bytes() > next.held_bytes_max() {
                written.extend(next.writer().write(table, spec, rows.take_rows(), sealed_bytes)?);
            }
        }
    }
    written.extend(next.writer().write(table, spec, rows.take_rows(), sealed_bytes)?);
    Ok(())
}

fn size_step(bytes: u64) -> u32 {
    (bytes / STEP_BYTES).checked_ilog(8).map_or(0, |step| step + 1)
}

//! A way back for a table that cannot be read, or that lost commits, without the sources that it was made of.
//!
//! **Looking** ([`examine`]): the log is read into memory, where files of it can be left out one by one. The newest version
//! that can be read and adds up to its seal is the *good* one. Entries that are no JSON are left out first, then newer
//! versions, then checkpoints of the log that do not hold what they should.
//!
//! **Mending** ([`mend`]): what stands in the way of the good version goes from `_delta_log/` to `_lost/<run>/` in the
//! table's folder, beside a report, newest first, so that the table reads as its good version. If data files of that are gone, or have
//! another size, a commit of one more version takes them out. Data files that are there stay: those that the good version
//! does not name are listed, and the next run of the job removes them as garbage.
//!
//! Nothing is thrown away here, and nothing else is changed. Whether the job must write the table anew, and has what it
//! needs for that in its state, is for the caller to say ([`Finding::is_behind`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use catchment_contract::{Error, PutOutcome, Result, Staged};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{DynObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use url::Url;

use crate::lake::commit::{CLOCK, ENGINE};
use crate::lake::entry::{FileEntry, Totals};
use crate::lake::log::{LogFile, entry_path, log_file};
use crate::lake::removed::record_path;
use crate::lake::seal::{DOMAIN, Seal};
use crate::lake::staged::StagedCommit;
use crate::lake::table::{check_totals, engine_on, entries_of, load, seal_of, table_url};
use crate::lake::writer::VECTORS;
use catchment_store::{LakeStore, runtime};

/// How many versions are tried at most, from the newest: more than the log of a sink ever holds.
const VERSIONS_MAX: usize = 20_000;

/// A version that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// Its number.
    pub version: u64,
    /// What its files add up to.
    pub totals: Totals,
    /// The newest checkpoint of the job that it holds.
    pub checkpoint: Option<u64>,
}

/// What is the matter with a table.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The table's path below the lake.
    pub table: String,
    /// The newest version that its log names; `None` if there is no log.
    pub newest: Option<u64>,
    /// The newest good version; `None` if none can be read.
    pub good: Option<Good>,
    /// Files of the log that the good version does not need and that stand in its way, newest first, below the lake.
    pub in_the_way: Vec<String>,
    /// Data files that the good version names and that are gone, or have another size.
    pub missing: Vec<FileEntry>,
    /// Data files that the good version does not name: path below the lake, and rows if the file can be read.
    pub unnamed: Vec<(String, Option<u64>)>,
    /// What the job's last checkpoint left: its number, and rows and files of the table.
    pub expected: Option<(u64, u64, u64)>,
    /// Whether the good version is what the job's last checkpoint left, or what that can be published on.
    is_whole: bool,
}

impl Finding {
    /// Whether readers cannot read the newest version.
    pub fn is_damaged(&self) -> bool {
        self.good.is_none() || !self.in_the_way.is_empty() || !self.missing.is_empty()
    }

    /// Whether the job's last checkpoint left more than can be read: it must write the table anew.
    pub fn is_behind(&self) -> bool {
        !self.is_whole
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |rows: u64, files: u64| format!("{rows} rows in {files} files");
        match (&self.newest, &self.good) {
            (None, _) => writeln!(f, "table \"{}\" has no log", self.table)?,
            (Some(newest), None) => writeln!(f, "table \"{}\": no version up to {newest} can be read", self.table)?,
            (Some(newest), Some(good)) => {
                let counted = counts(good.totals.rows, good.totals.files);
                let table = &self.table;
                match self.is_damaged() {
                    false => writeln!(f, "table \"{table}\" can be read: version {newest}, {counted}")?,
                    true if good.version == *newest => {
                        writeln!(f, "table \"{table}\": version {newest} can be read in part: {counted}")?;
                    }
                    true => writeln!(
                        f,
                        "table \"{table}\": version {newest} cannot be read; version {} can be: {counted}",
                        good.version
                    )?,
                }
            }
        }
        if let Some((checkpoint, rows, files)) = self.expected {
            let verdict = if self.is_behind() { "that is lost in part" } else { "nothing of that is lost" };
            writeln!(f, "the job's checkpoint {checkpoint} left {}: {verdict}", counts(rows, files))?;
        }
        for entry in &self.missing {
            writeln!(f, "  {}/{} is gone, with {} rows", self.table, entry.path, entry.live_rows())?;
        }
        if self.is_damaged() || self.is_behind() {
            let readable: u64 = self.unnamed.iter().filter_map(|(_, rows)| *rows).sum();
            writeln!(
                f,
                "{} data files with {readable} rows are there that this version does not name",
                self.unnamed.len()
            )?;
            for (path, rows) in &self.unnamed {
                let rows = rows.map_or("cannot be read".to_owned(), |rows| format!("{rows} rows"));
                writeln!(f, "  {path}: {rows}")?;
            }
        }
        Ok(())
    }
}

/// A log in memory.
struct Log<'a> {
    lake: &'a LakeStore,
    table: &'a str,
    /// Files with their bytes, in the order of their names.
    files: Vec<(LogFile, Bytes)>,
    /// Files that are no use, whatever version is read.
    useless: Vec<String>,
    /// Sizes of the table's other objects.
    stored: BTreeMap<Path, u64>,
}

/// Looks at table `table`, of which the job's last checkpoint says `staged`.
///
/// # Errors
/// If the lake cannot be read.
pub fn examine(lake: &LakeStore, table: &str, staged: Option<&Staged>) -> Result<Finding> {
    let staged = staged.map(|staged| StagedCommit::from_staged(staged, table)).transpose()?;
    let log = Log::read(lake, table)?;
    let newest = log.files.iter().map(|(file, _)| file.version).chain(log.useless_versions()).max();
    let found = log.newest_good(staged.as_ref())?;
    let (good, needed, entries, missing, is_whole) = match found {
        Some(found) => (Some(found.good), found.needed, found.entries, found.missing, found.is_whole),
        None => (None, BTreeSet::new(), Vec::new(), Vec::new(), staged.is_none() && newest.is_none()),
    };
    let mut in_the_way = log.useless.clone();
    let newest_good = good.as_ref().map(|good| good.version);
    in_the_way
        .extend(log.files.iter().filter(|(file, _)| !needed.contains(&file.path)).map(|(file, _)| file.path.clone()));
    let is_damaged = good.is_none() || newest != newest_good || !log.useless.is_empty() || {
        // A checkpoint that was left out stands in the way of readers; older files do not.
        log.files.iter().any(|(file, _)| file.is_checkpoint && !needed.contains(&file.path))
    };
    // Where readers begin is told by a file that may be damaged, or name what goes; so may what entries say of removed files.
    let hint = format!("{table}/_delta_log/_last_checkpoint");
    let reads = || load(&table_url(lake, table)?, &*engine_on(Arc::clone(lake.object_store()))?, table, None);
    if is_damaged {
        in_the_way.extend([hint, record_path(table)]);
    } else {
        in_the_way.clear();
        if newest.is_some() && !reads().is_ok_and(|snapshot| Some(snapshot.version()) == newest) {
            in_the_way.push(hint);
        }
    }
    in_the_way.sort_by(|a, b| b.cmp(a));
    let named = entries.iter().map(|entry| log.object(&entry.path)).collect::<Result<BTreeSet<_>>>()?;
    let unnamed = log.unnamed(&named)?;
    Ok(Finding {
        table: table.to_owned(),
        newest,
        good,
        in_the_way,
        missing,
        unnamed,
        expected: staged.as_ref().map(|staged| (staged.checkpoint, staged.rows, staged.files)),
        is_whole,
    })
}

/// Makes the table read as its good version: moves what stands in the way to `_lost/<run>/` in the table's folder.
///
/// # Errors
/// If the lake cannot be written; it can be called again then.
pub fn mend(lake: &LakeStore, finding: &Finding) -> Result<()> {
    let run = lake.environment().unique_name();
    if finding.is_damaged() {
        lake.put(&format!("{}/_lost/{run}/report.txt", finding.table), finding.to_string())?;
    }
    for path in &finding.in_the_way {
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some(bytes) = lake.get(path)? {
            let kept = format!("{}/_lost/{run}/{name}", finding.table);
            lake.put(&kept, bytes.clone())?;
            lake.sync(&[lake.full_path(&kept)])?;
            lake.delete(path)?;
        }
    }
    match &finding.good {
        Some(good) if !finding.missing.is_empty() => take_out(lake, finding, good, &run),
        _ => Ok(()),
    }
}

/// Commits one more version without the files that are gone. It is written by hand: the kernel commits through a snapshot
/// of a whole table.
fn take_out(lake: &LakeStore, finding: &Finding, good: &Good, run: &str) -> Result<()> {
    let clock_ms = lake.environment().wall_micros().div_euclid(1000);
    let seal = Seal::new(run, good.totals).to_text()?;
    let mut actions = vec![
        json!({"commitInfo": {"timestamp": clock_ms, "operation": "REPAIR", "engineInfo": ENGINE, CLOCK: clock_ms.to_string()}}),
        json!({"domainMetadata": {"domain": DOMAIN, "configuration": seal, "removed": false}}),
    ];
    for entry in &finding.missing {
        let mut remove = json!({"path": entry.path, "deletionTimestamp": clock_ms, "dataChange": true});
        if let Some(vector) = &entry.vector {
            let vector = serde_json::to_value(vector);
            remove["deletionVector"] =
                vector.map_err(|error| Error::bug("a deletion vector has no JSON form").with_source(error))?;
        }
        actions.push(json!({ "remove": remove }));
    }
    let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
    let path = entry_path(&finding.table, good.version + 1);
    match lake.put_if_absent(&path, text)? {
        PutOutcome::Created => Ok(()),
        PutOutcome::Exists => {
            Err(Error::remote(format!("table \"{}\" was written to by a run meanwhile", finding.table))
                .with_hint("stop the job, then repair the table"))
        }
    }
}

/// What a good version is made of.
struct Found {
    good: Good,
    needed: BTreeSet<String>,
    entries: Vec<FileEntry>,
    missing: Vec<FileEntry>,
    is_whole: bool,
}

impl<'a> Log<'a> {
    fn read(lake: &'a LakeStore, table: &'a str) -> Result<Self> {
        let root = lake.full_path(table);
        let mut log = Log { lake, table, files: Vec::new(), useless: Vec::new(), stored: BTreeMap::new() };
        for object in lake.list(table)? {
            let path = lake.listed_path(&object.path);
            let folder =
                path.prefix_match(&root).and_then(|mut parts| parts.next().map(|part| part.as_ref().to_owned()));
            match folder.as_deref() {
                Some("hot" | "data" | VECTORS) => drop(log.stored.insert(path, object.bytes)),
                Some("_delta_log") => log.take(object.path)?,
                _ => {}
            }
        }
        Ok(log)
    }

    fn take(&mut self, path: String) -> Result<()> {
        let Some(file) = log_file(path).filter(|file| file.is_entry || file.is_checkpoint) else {
            return Ok(());
        };
        let bytes = self.lake.get(&file.path)?.unwrap_or_default();
        let is_json =
            |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).is_ok_and(|value| value.is_object());
        let lines = || bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let is_sound = match file.is_entry {
            true => lines().count() > 0 && lines().all(is_json),
            false => ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).is_ok(),
        };
        if is_sound {
            self.files.push((file, bytes));
        } else {
            self.useless.push(file.path);
        }
        Ok(())
    }

    fn useless_versions(&self) -> impl Iterator<Item = u64> + '_ {
        self.useless.iter().filter_map(|path| log_file(path.clone())).map(|file| file.version)
    }

    fn object(&self, path: &str) -> Result<Path> {
        let url =
            table_url(self.lake, self.table)?.join(path).map_err(|error| Error::data("no path").with_source(error))?;
        Path::from_url_path(url.path()).map_err(|error| Error::data("no path").with_source(error))
    }

    /// The newest version that is good, with as many checkpoints of the log as can be used.
    fn newest_good(&self, staged: Option<&StagedCommit>) -> Result<Option<Found>> {
        let mut versions: Vec<u64> = self.files.iter().map(|(file, _)| file.version).collect();
        versions.dedup();
        for version in versions.into_iter().rev().take(VERSIONS_MAX) {
            let mut left_out = BTreeSet::new();
            loop {
                if let Ok(found) = self.try_version(version, &left_out, staged) {
                    return Ok(Some(found));
                }
                let checkpoint =
                    |file: &LogFile| file.is_checkpoint && file.version <= version && !left_out.contains(&file.path);
                let Some((newest, _)) = self.files.iter().rev().find(|(file, _)| checkpoint(file)) else {
                    break;
                };
                left_out.insert(newest.path.clone());
            }
        }
        Ok(None)
    }

    fn try_version(&self, version: u64, left_out: &BTreeSet<String>, staged: Option<&StagedCommit>) -> Result<Found> {
        let memory: Arc<DynObjectStore> = Arc::new(InMemory::new());
        let mut needed = BTreeSet::new();
        for (file, bytes) in &self.files {
            if file.version <= version && !left_out.contains(&file.path) {
                let object = self.lake.full_path(&file.path);
                let put = memory.put(&object, bytes.clone().into());
                runtime()?.block_on(put).map_err(|error| Error::bug("memory cannot be written").with_source(error))?;
                needed.insert(file.path.clone());
            }
        }
        let (url, engine) = (table_url(self.lake, self.table)?, engine_on(memory)?);
        let snapshot = load(&url, &engine, self.table, None)?;
        if snapshot.version() != version {
            return Err(Error::data("the version cannot be read"));
        }
        let seal = seal_of(&snapshot, &engine, self.table)?.ok_or_else(|| Error::data("the version has no seal"))?;
        let entries = entries_of(&snapshot, &engine, self.table)?;
        check_totals(self.table, version, &seal, &entries)?;
        let (entries, missing): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| self.is_there(&url, entry));
        let app = staged.map(|staged| staged.app.clone());
        let number = |app: &String| snapshot.get_app_id_version(app, engine.as_ref()).ok().flatten();
        let checkpoint = app.as_ref().and_then(number).and_then(|number| u64::try_from(number).ok());
        let totals = Totals::of(&entries);
        let is_whole = staged.is_none_or(|staged| {
            let same = snapshot.table_configuration().metadata().id() == staged.table_id;
            let done = checkpoint == Some(staged.checkpoint) && totals.rows == staged.rows;
            let added = staged.adds.iter().all(|added| {
                self.object(&added.path).is_ok_and(|object| self.stored.get(&object) == Some(&added.bytes))
            });
            missing.is_empty()
                && same
                && (done || (checkpoint == staged.previous && version >= staged.version && added))
        });
        Ok(Found { good: Good { version, totals, checkpoint }, needed, entries, missing, is_whole })
    }

    /// Whether a data file lies in the table with its size, and its deletion vector too.
    fn is_there(&self, url: &Url, entry: &FileEntry) -> bool {
        let has_file = self.object(&entry.path).is_ok_and(|object| self.stored.get(&object) == Some(&entry.bytes));
        let vector = entry.vector.as_ref().map(|vector| vector.descriptor().ok()?.absolute_path(url).ok());
        has_file
            && match vector {
                None | Some(Some(None)) => true,
                Some(None) => false,
                Some(Some(Some(url))) => {
                    Path::from_url_path(url.path()).is_ok_and(|path| self.stored.contains_key(&path))
                }
            }
    }

    /// Data files that are not among `named`.
    fn unnamed(&self, named: &BTreeSet<Path>) -> Result<Vec<(String, Option<u64>)>> {
        let is_data = |path: &Path| path.as_ref().ends_with(".parquet");
        let mut unnamed = Vec::new();
        for path in self.stored.keys().filter(|path| is_data(path) && !named.contains(*path)) {
            let bytes = self.lake.get_object(path)?.unwrap_or_default();
            let rows = ParquetRecordBatchReaderBuilder::try_new(bytes).ok();
            let rows = rows.map(|reader| reader.metadata().file_metadata().num_rows().max(0) as u64);
            let root = self.lake.full_path("");
            let shown = path.as_ref().strip_prefix(root.as_ref()).unwrap_or(path.as_ref()).trim_start_matches('/');
            unnamed.push((shown.to_owned(), rows));
        }
        Ok(unnamed)
    }
}

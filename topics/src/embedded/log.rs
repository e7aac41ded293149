//! One partition: an append-only run of encoded batches in segments.
//!
//! A batch is the unit: it is appended whole, read whole and never taken apart. Offsets are assigned by writing
//! `base_offset` into the header, which its checksum does not cover.
//!
//! *Writers* are serialised by one lock, held over the write and, if so configured, the sync. *Readers* take the view's
//! lock only to find a file and a position, so they never wait for a disk that syncs. What is in the view is written
//! (and synced): an acknowledged batch can be read by everybody, and nothing else can.
//!
//! A write that fails is cut off again; if that fails too, or a sync does, the log takes no more until it is opened
//! anew, since nobody knows what the disk holds.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use catchment_contract::Environment;
use tokio::sync::watch;
use tracing::{error, warn};

use super::folder::{Lock, held, sync_folder};
use super::producers::Producers;
use super::recover::{Recovered, recover};
use super::refused::Refused;
use super::run::Run;
use super::segment::{Segment, file_name};
use crate::batch::batches;
use crate::broker::{Bounds, Fetched};

/// The end of a log whose topic was deleted, as its watchers see it.
pub const DELETED: i64 = -1;

/// Batches of one append, each of which costs memory beside its bytes. The stock client sends one, or a few.
const SET_BATCHES_MAX: usize = 4096;

/// How a log writes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A segment that would grow beyond this is sealed. One batch may be larger.
    pub segment_bytes: u64,
    /// Largest batch.
    pub batch_bytes_max: usize,
    /// Whether an append is on disk before it is acknowledged.
    pub fsync: bool,
}

/// See the module.
pub struct Log {
    folder: PathBuf,
    limits: Limits,
    writer: Mutex<Writer>,
    view: RwLock<View>,
    /// Held over dropping old segments: files that nobody sees any more and that are still to be removed, oldest first.
    retaining: Mutex<VecDeque<PathBuf>>,
    /// Held over a sync: base of the first segment that may not be on disk.
    synced: Mutex<i64>,
    /// The end, for waiting threads; [`DELETED`] at last.
    end: Mutex<i64>,
    grown: Condvar,
    /// The same for waiting tasks.
    watched: watch::Sender<i64>,
    environment: Environment,
    /// The folder stays locked as long as somebody can write.
    _lock: Lock,
}

struct Writer {
    file: Arc<File>,
    /// Where the next batch goes in the active file.
    position: u64,
    next: i64,
    producers: Producers,
    /// Why nothing more is taken.
    stopped: Option<Stopped>,
}

enum Stopped {
    Deleted,
    Failed(String),
}

/// What readers see.
struct View {
    /// At least one; the last is active.
    segments: VecDeque<Segment>,
    end: i64,
    deleted: bool,
}

impl Log {
    /// Opens a partition's folder, made if missing.
    pub fn open(folder: &Path, limits: Limits, lock: Lock, environment: &Environment) -> Result<Log, Refused> {
        let Recovered { segments, end, producers, file } = recover(folder)?;
        let position = segments.last().map_or(0, |segment| segment.bytes);
        let writer = Writer { file, position, next: end, producers, stopped: None };
        Ok(Log {
            folder: folder.to_owned(),
            limits,
            writer: Mutex::new(writer),
            view: RwLock::new(View { segments: segments.into(), end, deleted: false }),
            retaining: Mutex::default(),
            synced: Mutex::new(i64::MIN),
            end: Mutex::new(end),
            grown: Condvar::new(),
            watched: watch::channel(end).0,
            environment: environment.clone(),
            _lock: lock,
        })
    }

    /// Appends a run of whole batches, all or none, and returns the offset of its first record.
    pub fn append(&self, set: &[u8]) -> Result<i64, Refused> {
        self.check(set)?;
        let mut writer = held(&self.writer);
        match &writer.stopped {
            Some(Stopped::Deleted) => return Err(Refused::Deleted),
            Some(Stopped::Failed(why)) => return Err(Refused::Stopped(why.clone())),
            None => {}
        }
        writer.producers.check(set)?;
        if writer.position > 0 && writer.position + set.len() as u64 > self.limits.segment_bytes {
            self.roll(&mut writer)?;
        }
        let base = writer.next;
        let run = Run::assign(set, base);
        self.write(&mut writer, &run)?;
        self.publish(&mut writer, &run);
        Ok(base)
    }

    /// Refuses what is not a run of whole, intact batches.
    fn check(&self, set: &[u8]) -> Result<(), Refused> {
        let malformed = |why: &str| Err(Refused::Malformed(why.to_owned()));
        let mut bytes = 0;
        for (index, batch) in batches(set).enumerate() {
            let size = batch.header.bytes;
            if size > self.limits.batch_bytes_max {
                return Err(Refused::TooLarge { bytes: size, limit: self.limits.batch_bytes_max });
            }
            if index >= SET_BATCHES_MAX {
                return malformed("more than 4096 batches at a time");
            }
            if batch.header.records == 0 {
                return malformed("a batch without records");
            }
            if !batch.is_intact() {
                return malformed("a batch that does not match its checksum");
            }
            bytes += size;
        }
        match bytes {
            0 if set.len() > self.limits.batch_bytes_max => {
                Err(Refused::TooLarge { bytes: set.len(), limit: self.limits.batch_bytes_max })
            }
            _ if bytes < set.len() => malformed("it ends within a batch"),
            0 => malformed("it is empty"),
            _ => Ok(()),
        }
    }

    /// Writes to the end of the active file, on disk if so configured.
    fn write(&self, writer: &mut Writer, run: &Run<'_>) -> Result<(), Refused> {
        if let Err(source) = run.write(&writer.file, writer.position) {
            if let Err(cut) = writer.file.set_len(writer.position) {
                writer.fail(&self.folder, &cut);
            }
            return Err(Refused::Io { what: format!("write to \"{}\"", self.folder.display()), source });
        }
        if self.limits.fsync
            && let Err(source) = writer.file.sync_data()
        {
            writer.fail(&self.folder, &source);
            return Err(Refused::Unknown { what: format!("bring \"{}\" to disk", self.folder.display()), source });
        }
        Ok(())
    }

    /// Makes what was written visible, and wakes who waits for it.
    fn publish(&self, writer: &mut Writer, run: &Run<'_>) {
        let start = writer.position;
        writer.position += run.bytes;
        writer.next = run.next;
        {
            let mut view = self.view_mut();
            view.end = run.next;
            if let Some(active) = view.segments.back_mut() {
                for part in &run.parts {
                    active.mark(part.header.base_offset, start + part.start);
                }
                active.bytes = writer.position;
            }
        }
        for part in &run.parts {
            writer.producers.appended(&part.header, part.header.base_offset);
        }
        self.announce(run.next);
    }

    fn announce(&self, end: i64) {
        *held(&self.end) = end;
        self.grown.notify_all();
        self.watched.send_replace(end);
    }

    /// Seals the active segment and begins another.
    fn roll(&self, writer: &mut Writer) -> Result<(), Refused> {
        let path = self.folder.join(file_name(writer.next));
        let made = File::options().create_new(true).read(true).write(true).open(&path);
        let synced = made.and_then(|file| {
            if self.limits.fsync {
                file.sync_all()?;
                sync_folder(&self.folder)?;
            }
            Ok(Arc::new(file))
        });
        let file = synced.map_err(|source| {
            // Left behind, the name would be taken at the next try.
            let _ = fs::remove_file(&path);
            Refused::Io { what: format!("begin \"{}\"", path.display()), source }
        })?;
        let mut view = self.view_mut();
        if let Some(before) = view.segments.back_mut() {
            before.sealed = Some(self.environment.wall());
            before.file = None;
        }
        let opened = Some(Arc::clone(&file));
        let segment = Segment { base: writer.next, path, bytes: 0, marks: Vec::new(), sealed: None, file: opened };
        view.segments.push_back(segment);
        writer.file = file;
        writer.position = 0;
        Ok(())
    }

    /// Brings all that is visible to disk, and the folder's entries. Appends and reads go on meanwhile.
    pub fn sync(&self) -> Result<(), Refused> {
        if self.limits.fsync {
            return Ok(());
        }
        let mut synced = held(&self.synced);
        let paths: Vec<(i64, PathBuf)> = {
            let view = self.view();
            let late = view.segments.iter().filter(|segment| segment.base >= *synced);
            late.map(|segment| (segment.base, segment.path.clone())).collect()
        };
        let one = |path: &Path| match File::open(path).and_then(|file| file.sync_data()) {
            // Dropped by retention meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        let done = paths.iter().try_for_each(|(_, path)| one(path)).and_then(|()| sync_folder(&self.folder));
        if let Err(source) = done {
            // What the system could not write it may have thrown away.
            held(&self.writer).fail(&self.folder, &source);
            return Err(Refused::Unknown { what: format!("bring \"{}\" to disk", self.folder.display()), source });
        }
        if let Some((base, _)) = paths.last() {
            *synced = *base;
        }
        Ok(())
    }

    /// First offset kept, and the end.
    pub fn bounds(&self) -> Result<Bounds, Refused> {
        let view = self.view();
        if view.deleted {
            return Err(Refused::Deleted);
        }
        Ok(view.bounds())
    }

    /// Bytes kept.
    pub fn bytes(&self) -> u64 {
        self.view().segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Whole batches from the one that holds `offset`, at most `max_bytes` but at least one if there is any, up to the first
    /// that is damaged.
    pub fn fetch(&self, offset: i64, max_bytes: usize) -> Result<Fetched, Refused> {
        let bounds = self.bounds()?;
        if offset > bounds.end {
            return Err(Refused::Beyond { offset, end: bounds.end });
        }
        if offset == bounds.end {
            return Ok(Fetched::Batches { bytes: Bytes::new(), next: offset });
        }
        let span = {
            let view = self.view();
            let after = view.segments.partition_point(|segment| segment.base <= offset);
            after.checked_sub(1).and_then(|at| view.segments.get(at)).map(|segment| segment.span(offset))
        };
        let Some(span) = span else { return Ok(Fetched::Evicted { start: self.bounds()?.start }) };
        match span.read(offset, max_bytes) {
            Ok((bytes, next)) => Ok(Fetched::Batches { bytes, next }),
            // Dropped by retention, or deleted, since the view was looked at.
            Err(Refused::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && self.bounds()?.start > offset =>
            {
                Ok(Fetched::Evicted { start: self.bounds()?.start })
            }
            Err(damaged @ Refused::Damaged { .. }) => {
                let next = self.after_damage(&damaged, offset, bounds.end);
                Ok(Fetched::Damaged { next, why: damaged.to_string() })
            }
            Err(refused) => Err(refused),
        }
    }

    /// Where to read on behind a damaged batch that holds `offset`: after it, if its header can be believed, else where
    /// another batch is known to begin.
    fn after_damage(&self, damaged: &Refused, offset: i64, end: i64) -> i64 {
        if let Refused::Damaged { next: Some(next), .. } = damaged
            && (offset + 1..=end).contains(next)
        {
            return *next;
        }
        let view = self.view();
        let marks = view.segments.iter().flat_map(|segment| segment.marks.iter().map(|mark| mark.offset));
        marks.chain([end]).find(|known| *known > offset).unwrap_or(end)
    }

    /// Waits until the end lies beyond `end`.
    pub fn wait(&self, end: i64, timeout: Duration) -> Result<bool, Refused> {
        let is_early = |now: &mut i64| *now != DELETED && *now <= end;
        let waited = self.grown.wait_timeout_while(held(&self.end), timeout, is_early);
        match *waited.unwrap_or_else(PoisonError::into_inner).0 {
            DELETED => Err(Refused::Deleted),
            now => Ok(now > end),
        }
    }

    /// The end as it moves; [`DELETED`] at last.
    pub fn watch(&self) -> watch::Receiver<i64> {
        self.watched.subscribe()
    }

    /// Drops sealed segments that were written last before `now - keep`, and the oldest while more than `bytes_max` are
    /// kept. The active one stays. Returns how many went; a file that could not be removed is tried again next time.
    pub fn retain(&self, now: SystemTime, keep: Duration, bytes_max: Option<u64>) -> io::Result<usize> {
        let mut leaving = held(&self.retaining);
        let dropped = self.view().overdue(now, keep, bytes_max);
        if dropped == 0 && leaving.is_empty() {
            return Ok(0);
        }
        // Neither appends nor reads wait for what follows. Producers that come meanwhile are in segments that stay.
        let producers = {
            let writer = held(&self.writer);
            if matches!(writer.stopped, Some(Stopped::Deleted)) {
                return Ok(0);
            }
            writer.producers.clone()
        };
        if dropped > 0 && !producers.is_empty() {
            producers.store(&self.folder)?;
        }
        leaving.extend(self.view_mut().segments.drain(..dropped).map(|segment| segment.path));
        // In offset order, and not past a file that stays: what a start finds must have no hole.
        while let Some(path) = leaving.front() {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    warn!(file = %path.display(), %error, "an old segment could not be removed");
                    break;
                }
                _ => drop(leaving.pop_front()),
            }
        }
        Ok(dropped)
    }

    /// Takes no more, and tells everybody; the folder is the caller's to remove.
    pub fn delete(&self) {
        // Files are removed by path: what runs on could touch those of a topic made anew under the same name.
        let _retaining = held(&self.retaining);
        held(&self.writer).stopped = Some(Stopped::Deleted);
        self.view_mut().deleted = true;
        self.announce(DELETED);
    }

    /// Whether its topic was deleted.
    pub fn is_deleted(&self) -> bool {
        self.view().deleted
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    fn fail(&mut self, folder: &Path, why: &io::Error) {
        error!(folder = %folder.display(), error = %why, "a failed write could not be undone: the partition takes no more");
        self.stopped = Some(Stopped::Failed(why.to_string()));
    }
}

impl View {
    fn bounds(&self) -> Bounds {
        Bounds { start: self.segments.front().map_or(self.end, |segment| segment.base), end: self.end }
    }

    /// How many segments from the front may go.
    fn overdue(&self, now: SystemTime, keep: Duration, bytes_max: Option<u64>) -> usize {
        let mut bytes: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        let mut count = 0;
        for segment in &self.segments {
            let Some(sealed) = segment.sealed else { break };
            let old = now.duration_since(sealed).is_ok_and(|age| age > keep);
            if !old && bytes_max.is_none_or(|limit| bytes <= limit) {
                break;
            }
            bytes -= segment.bytes;
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests;

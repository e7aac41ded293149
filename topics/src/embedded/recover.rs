//! A partition's files after whatever end: which batches are there, and what is cut off.
//!
//! Only the active segment is written, and only at its end: a killed broker, or a machine without power, can leave a
//! torn run of bytes there. It is cut off at the last intact batch. Anything else (a batch that is not intact with
//! intact ones behind it, a segment that does not begin where the one before ended) is damage, and is an error that
//! names file and position: the broker does not decide for a person which records to give up.
//!
//! Where records are not synced as they are written, a power cut may also take the end of a sealed segment, and leave a
//! file that ends within a batch, zeros up to its end, or an empty file. What comes after such a *torn* segment was written
//! later and synced no more than it was: those segments are set aside (`<offset>.log.lost`, nothing is removed), and the
//! torn one becomes the active one.
//!
//! The active segment is read whole and its checksums are compared. Of sealed ones only the headers are read; their
//! checksums are compared when they are fetched.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::producers::Producers;
use super::refused::Refused;
use super::segment::{Segment, base_of, file_name};
use crate::batch::{BatchHeader, CHECKED_FROM, HEADER_BYTES, batches};

/// Read at once while only headers are looked at.
const HEADERS_BYTES: usize = 16 * 1024;

/// Read at once while checksums are compared.
const WHOLE_BYTES: usize = 1024 * 1024;

/// More than any compression brings into a byte.
const RECORDS_PER_BYTE_MAX: i64 = 4096;

/// A partition, ready for appending.
pub struct Recovered {
    /// In offset order, the active one last; at least one.
    pub segments: Vec<Segment>,
    /// Offset of the next record.
    pub end: i64,
    pub producers: Producers,
    /// The active segment's file.
    pub file: Arc<File>,
}

/// What an attempt to open a folder came to.
enum Attempt {
    Done(Recovered),
    /// A sealed segment is torn; these come after it.
    Torn(Vec<PathBuf>),
}

/// Opens a partition's folder, made if it is not there.
pub fn recover(folder: &Path) -> Result<Recovered, Refused> {
    loop {
        match attempt(folder)? {
            Attempt::Done(recovered) => return Ok(recovered),
            Attempt::Torn(later) => later.iter().rev().try_for_each(|path| set_aside(path))?,
        }
    }
}

/// Takes a segment out of the log.
fn set_aside(path: &Path) -> Result<(), Refused> {
    let mut lost = path.as_os_str().to_owned();
    lost.push(".lost");
    fs::rename(path, &lost).map_err(failed("set aside", path))?;
    let lost = Path::new(&lost).display();
    warn!(%lost, "a power cut took the end of the segment before this one, which is set aside");
    Ok(())
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Refused {
    let what = format!("{what} \"{}\"", path.display());
    move |source| Refused::Io { what, source }
}

fn attempt(folder: &Path) -> Result<Attempt, Refused> {
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let mut paths = segment_paths(folder).map_err(failed("list", folder))?;
    if paths.is_empty() {
        let path = folder.join(file_name(0));
        File::create_new(&path).map_err(failed("make", &path))?;
        paths.push((0, path));
    }
    let mut producers = Producers::load(folder)?;
    let mut segments: Vec<Segment> = Vec::with_capacity(paths.len());
    let mut end = paths.first().map_or(0, |(base, _)| *base);
    let mut active = None;
    let last = paths.len() - 1;
    for (at, (base, path)) in paths.iter().cloned().enumerate() {
        if base > end && segments.last().is_some_and(|before| before.bytes == 0) {
            return Ok(Attempt::Torn(paths[at..].iter().map(|(_, path)| path.clone()).collect()));
        }
        if base != end {
            let why = format!("it begins at offset {base}, and the records before it end at {end}: a file is missing");
            return Err(Refused::Damaged { file: path, position: 0, why, next: None });
        }
        let opened = File::options().read(true).write(at == last).open(&path);
        let file = Arc::new(opened.map_err(failed("open", &path))?);
        let segment = Segment { base, path: path.clone(), bytes: 0, marks: Vec::new(), sealed: None, file: None };
        let mut scan = Scan { file: &file, segment, next: end, producers: &mut producers };
        let scanned = scan.run(at == last);
        end = scan.next;
        let mut segment = match scanned {
            Ok(segment) => segment,
            Err(Stop::Damaged { position, .. })
                if at < last && scan.is_torn(position).map_err(failed("read", &path))? =>
            {
                return Ok(Attempt::Torn(paths[at + 1..].iter().map(|(_, path)| path.clone()).collect()));
            }
            Err(stop) => return Err(stop.into_refused(&path)),
        };
        if at == last {
            segment.file = Some(Arc::clone(&file));
            active = Some(file);
        } else {
            let metadata = fs::metadata(&path).map_err(failed("look at", &path))?;
            segment.sealed = Some(metadata.modified().map_err(failed("look at", &path))?);
        }
        segments.push(segment);
    }
    producers.forget_from(end);
    let file = active.expect("there is at least one segment, and the last one is the active one");
    Ok(Attempt::Done(Recovered { segments, end, producers, file }))
}

fn segment_paths(folder: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(base) = base_of(&path) {
            paths.push((base, path));
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Why a scan ended before the file did.
enum Stop {
    Io(io::Error),
    Damaged { position: u64, why: String },
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

impl Stop {
    fn into_refused(self, path: &Path) -> Refused {
        match self {
            Stop::Io(source) => Refused::Io { what: format!("read \"{}\"", path.display()), source },
            Stop::Damaged { position, why } => Refused::Damaged { file: path.to_owned(), position, why, next: None },
        }
    }
}

/// Walks over one segment.
struct Scan<'a> {
    file: &'a File,
    segment: Segment,
    /// Offset that the next batch must begin at.
    next: i64,
    producers: &'a mut Producers,
}

impl Scan<'_> {
    /// Looks at every batch; of the active segment whole, and cuts off what is torn.
    fn run(&mut self, active: bool) -> Result<Segment, Stop> {
        let size = self.file.metadata()?.len();
        let mut window = Window { file: self.file, size, start: 0, bytes: Vec::new(), active };
        while self.segment.bytes < size {
            let position = self.segment.bytes;
            match window.batch(position)? {
                Some(header) if header.base_offset == self.next => self.note(&header),
                Some(header) => {
                    let why = format!("a batch of offset {} where {} was expected", header.base_offset, self.next);
                    return Err(Stop::Damaged { position, why });
                }
                None if active => {
                    self.cut(size)?;
                    break;
                }
                None => return Err(Stop::Damaged { position, why: "no whole batch begins here".to_owned() }),
            }
        }
        let path = self.segment.path.clone();
        let emptied = Segment { base: 0, path, bytes: 0, marks: Vec::new(), sealed: None, file: None };
        Ok(std::mem::replace(&mut self.segment, emptied))
    }

    fn note(&mut self, header: &BatchHeader) {
        self.segment.mark(self.next, self.segment.bytes);
        self.producers.appended(header, self.next);
        self.segment.bytes += header.bytes as u64;
        self.next = header.next_offset();
    }

    /// Cuts the file behind the last intact batch, unless an intact one comes later.
    fn cut(&mut self, size: u64) -> Result<(), Stop> {
        let position = self.segment.bytes;
        if let Some(later) = self.intact_after(position, size)? {
            let why = format!("this batch is not intact, but the one at byte {later} is");
            return Err(Stop::Damaged { position, why });
        }
        let (file, cut) = (self.segment.path.display(), size - position);
        warn!(%file, offset = self.next, bytes = cut, "a torn end was cut off");
        // Not synced: should the end come back after a power cut, it is cut off again.
        self.file.set_len(position)?;
        Ok(())
    }

    /// Whether the file ends as a power cut leaves it: in zeros from `position` on, or within the batch that begins there.
    fn is_torn(&self, position: u64) -> io::Result<bool> {
        let size = self.file.metadata()?.len();
        let mut tail = vec![0; usize::try_from(size - position).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut tail, position)?;
        let Some(header) = BatchHeader::read(&tail) else {
            return Ok(tail.len() < HEADER_BYTES || tail.iter().all(|byte| *byte == 0));
        };
        // A whole batch whose length alone is wrong is damage.
        let is_whole = crc32c::crc32c(&tail[CHECKED_FROM..]) == header.checksum;
        Ok(header.bytes > tail.len() && !is_whole && self.intact_after(position, size)?.is_none())
    }

    /// Where an intact batch begins behind `position`. To be one of ours, its offset must be one that the bytes between
    /// can account for, so that a torn batch with an encoded batch in a record is hardly ever mistaken for damage.
    fn intact_after(&self, position: u64, size: u64) -> io::Result<Option<u64>> {
        let mut tail = vec![0; usize::try_from(size - position).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut tail, position)?;
        for at in 1..tail.len().saturating_sub(HEADER_BYTES - 1) {
            let Some(rest) = tail.get(at..) else { break };
            let Some(header) = BatchHeader::read(rest) else { continue };
            let ahead = header.base_offset.saturating_sub(self.next);
            if !(1..=at as i64 * RECORDS_PER_BYTE_MAX).contains(&ahead) || header.bytes > rest.len() {
                continue;
            }
            if batches(rest).next().is_some_and(|batch| batch.is_intact()) {
                return Ok(Some(position + at as u64));
            }
        }
        Ok(None)
    }
}

/// A stretch of the file in memory.
struct Window<'a> {
    file: &'a File,
    size: u64,
    start: u64,
    bytes: Vec<u8>,
    /// Whether batches are read whole and must be intact.
    active: bool,
}

impl Window<'_> {
    /// Header of the batch at `position`; `None` if there is no whole one (and, in the active segment, intact one).
    fn batch(&mut self, position: u64) -> io::Result<Option<BatchHeader>> {
        self.hold(position, HEADER_BYTES)?;
        let Some(header) = self.from(position).and_then(BatchHeader::read) else { return Ok(None) };
        if header.records == 0 || position + header.bytes as u64 > self.size {
            return Ok(None);
        }
        if !self.active {
            return Ok(Some(header));
        }
        self.hold(position, header.bytes)?;
        let batch = self.from(position).and_then(|bytes| batches(bytes).next());
        Ok(batch.filter(|batch| batch.is_intact()).map(|batch| batch.header))
    }

    fn from(&self, position: u64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(position.checked_sub(self.start)?).ok()?..)
    }

    /// Reads on so that `bytes` from `position` are in memory, or as many as the file has.
    fn hold(&mut self, position: u64, bytes: usize) -> io::Result<()> {
        let end = self.size.min(position + bytes as u64);
        if position >= self.start && end <= self.start + self.bytes.len() as u64 {
            return Ok(());
        }
        let ahead = if self.active { WHOLE_BYTES } else { HEADERS_BYTES };
        let left = usize::try_from(self.size - position).unwrap_or(usize::MAX);
        self.bytes.resize(bytes.max(ahead).min(left), 0);
        self.start = position;
        self.file.read_exact_at(&mut self.bytes, position)
    }
}
